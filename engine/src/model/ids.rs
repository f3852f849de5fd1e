//! Ids and tokens, and the parsers that all bindings share.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::InvalidArgument;
use crate::runtime;

/// The greatest id that is drawn, and that a product may be given: JavaScript reads
/// larger ones as others.
pub(crate) const EXACT_ID_MAX: u64 = (1 << 53) - 1;

/// Parses a whole number of ASCII digits. One too large for `u64` becomes
/// `u64::MAX`, which no row can have.
fn parse_digits(name: &str, text: &str) -> Result<u64, InvalidArgument> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidArgument::new(format!(
            "{name} must be a whole number, got `{}`",
            text.chars().take(40).collect::<String>()
        )));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Parses a quantity: a whole number from 1 to `u32::MAX`.
///
/// # Errors
/// `invalid_argument` for anything else, such as `0`, `-1`, `1.5` or `2abc`.
pub fn parse_quantity(text: &str) -> Result<u32, InvalidArgument> {
    match parse_digits("quantity", text)? {
        0 => Err(InvalidArgument::new("quantity must be at least 1, got 0")),
        number => u32::try_from(number).map_err(|_| {
            // Quotes the text, since a number beyond `u64` was not parsed as such.
            let got: String = text.chars().take(40).collect();
            InvalidArgument::new(format!("quantity must be at most {}, got {got}", u32::MAX))
        }),
    }
}

/// Parses a boolean: `true`, `yes`, `on` or `1`, and `false`, `no`,
/// `off` or `0`, in upper or lower case.
///
/// # Errors
/// `invalid_argument` for anything else. The message does not repeat the text.
pub fn parse_bool(text: &str) -> Result<bool, InvalidArgument> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match text {
        _ if is_one_of(["true", "yes", "on", "1"]) => Ok(true),
        _ if is_one_of(["false", "no", "off", "0"]) => Ok(false),
        _ => {
            Err(InvalidArgument::new("expected true or false (also yes or no, on or off, 1 or 0)"))
        }
    }
}

/// Parses a duration: whole seconds, or as in `90s`, `2m` or `1h 30m`.
///
/// # Errors
/// `invalid_argument` for anything else. The message does not repeat the text.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidArgument> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|_| {
            InvalidArgument::new("expected a duration such as 90s, 2m or 1h, or whole seconds")
        }),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Whether a row can have this id: from 1 to `i64::MAX`.
            #[must_use]
            pub fn is_possible(self) -> bool {
                self.0 >= 1 && i64::try_from(self.0).is_ok()
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidArgument;

            /// Parses an id of ASCII digits; anything else is `invalid_argument`.
            fn from_str(text: &str) -> Result<Self, InvalidArgument> {
                parse_digits($noun, text).map(Self)
            }
        }
    };
}

id!(
    /// A product's id.
    ProductId,
    "product id"
);
id!(
    /// A hold's id.
    HoldId,
    "hold id"
);
id!(
    /// A cart's id: the smallest id of its holds.
    CartId,
    "cart id"
);
id!(
    /// An order's id.
    OrderId,
    "order id"
);

/// A secret of 128 random bits, formatted as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub(crate) u128);

impl Token {
    /// The token of a hold whose batch has yet to assign it.
    pub(crate) const UNASSIGNED: Self = Self(0);

    /// Draws a random token.
    pub(crate) fn random() -> Self {
        Self(runtime::random())
    }

    /// Compares with a token that a caller shows, in constant time.
    pub(crate) fn is(self, shown: Self) -> bool {
        self.0.ct_eq(&shown.0).into()
    }

    /// Draws a token of 48 bits of time and 80 random bits, so that rows with such
    /// keys are inserted in index order.
    #[cfg(feature = "remote")]
    pub(crate) fn by_time() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self(millis << 80 | (runtime::random::<u128>() >> 48))
    }
}

/// The secret from which the tokens of the holds of one batch of requests are
/// derived, so that no token is stored.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TokenSeed(pub(crate) u128);

impl TokenSeed {
    /// Draws a random seed.
    pub(crate) fn random() -> Self {
        Self(runtime::random())
    }

    /// Prepares the derivation of tokens.
    pub(crate) fn deriver(self) -> TokenDeriver {
        TokenDeriver(Aes128Enc::new(&self.0.to_be_bytes().into()))
    }
}

// A seed is a secret: `Debug` redacts it, since it may be logged.
impl fmt::Debug for TokenSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSeed(..)")
    }
}

/// Derives the tokens of holds from one seed: the hold's id as a big-endian number of
/// 128 bits, encrypted by AES-128 under the seed. A block cipher under a random key is
/// a pseudorandom permutation: neither the seed nor another token can be computed from
/// tokens, and no two holds of a seed have the same. It takes some nanoseconds where
/// HMAC-SHA-256 takes most of a microsecond on processors without SHA instructions.
pub(crate) struct TokenDeriver(Aes128Enc);

impl TokenDeriver {
    /// Returns the token of a hold.
    pub(crate) fn token(&self, id: HoldId) -> Token {
        let mut block = u128::from(id.0).to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        Token(u128::from_be_bytes(block.into()))
    }

    /// Returns the token of a cart whose holds have tokens of this seed: the cart's
    /// id with the highest bit of the block set, which no hold's id has.
    pub(crate) fn cart_token(&self, id: CartId) -> Token {
        let mut block = (1_u128 << 127 | u128::from(id.0)).to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        Token(u128::from_be_bytes(block.into()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

// A token is a secret: `Debug` redacts it, since it may be logged.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let well_formed =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| well_formed)
            .map(Self)
            .ok_or_else(|| InvalidArgument::new("a token is 32 hexadecimal digits"))
    }
}

/// The token by which a payment provider refers to an order:
/// `pt_<order id>_<token>`.
///
/// It contains the order's id, so that the order is found by its primary key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaymentToken {
    pub(crate) order_id: OrderId,
    pub(crate) secret: Token,
}

impl PaymentToken {
    /// The id of the token's order.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        self.order_id
    }
}

impl fmt::Display for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pt_{}_{}", self.order_id, self.secret)
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentToken(pt_{}_..)", self.order_id)
    }
}

impl FromStr for PaymentToken {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let parse = || {
            let (id, secret) = text.strip_prefix("pt_")?.split_once('_')?;
            let order_id: OrderId = id.parse().ok()?;
            // Canonical: one text for each token, so no leading zeros.
            let canonical = order_id.is_possible() && order_id.to_string() == id;
            canonical.then_some(Self { order_id, secret: secret.parse().ok()? })
        };
        parse().ok_or_else(|| InvalidArgument::new("no order can ever have this payment_token"))
    }
}

macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(super) use serde_as_text;

serde_as_text!(Token);
serde_as_text!(PaymentToken);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_quantity_accepts_digits_from_1_to_u32_max() {
        for bad in ["0", "-1", "+1", "2abc", "1.5", "", " 1", "4294967296", "99999999999999999999"]
        {
            assert!(parse_quantity(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(parse_quantity("1").ok(), Some(1));
        assert_eq!(parse_quantity("4294967295").ok(), Some(u32::MAX));
        let beyond = parse_quantity("99999999999999999999999").expect_err("refused").to_string();
        assert!(beyond.ends_with("got 99999999999999999999999"), "{beyond}");
    }

    #[test]
    fn parse_bool_accepts_several_words() {
        for (words, is) in [
            (["true", "yes", "on", "1", "True", "YES"], true),
            (["false", "no", "off", "0", "False", "OFF"], false),
        ] {
            for word in words {
                assert_eq!(parse_bool(word).ok(), Some(is), "{word}");
            }
        }
        for bad in ["", "2", "y", "perhaps", " true"] {
            let refused = parse_bool(bad).expect_err(bad).to_string();
            assert!(refused.contains("true or false"), "{refused}");
        }
    }

    #[test]
    fn parse_duration_rejects_others_with_examples() {
        for bad in ["soon", "", "1.5", "-1", "1 parsec", "99999999999999999999999s"] {
            let refused = parse_duration(bad).expect_err(bad).to_string();
            assert!(refused.contains("90s, 2m or 1h"), "{bad}: {refused}");
        }
    }

    #[test]
    fn an_id_beyond_i64_parses_but_is_impossible() {
        let id: ProductId = "99999999999999999999".parse().expect("digits");
        assert!(!id.is_possible());
        assert!("1e3".parse::<ProductId>().is_err());
    }

    #[test]
    fn a_payment_token_parses_back_from_its_canonical_text_only() {
        let token = PaymentToken { order_id: OrderId(19), secret: Token(7) };
        assert_eq!(token.to_string().parse::<PaymentToken>().ok(), Some(token));
        for bad in [
            "",
            "pt_",
            "pt_0_00000000000000000000000000000007",
            "pt_019_00000000000000000000000000000007",
            "pt_19_7",
            "19",
        ] {
            assert!(bad.parse::<PaymentToken>().is_err(), "{bad} was accepted");
        }
    }
}
