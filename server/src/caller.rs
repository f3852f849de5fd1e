//! The caller of a request: its API key's name and scope, and the space of its
//! idempotency keys.

use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::problem::Rejection;

/// The longest idempotency key that the engine takes, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The fewest characters of a keyless caller's idempotency key under
/// `require_hold_token`: 22 characters of base 64 have the 128 bits of a hold's
/// token, which a replay shows to any caller that guesses the key.
const UNGUESSABLE_CHARS_MIN: usize = 22;

/// Between a caller's name, which cannot contain it, and its idempotency key.
const SEPARATOR: char = '/';

/// What an API key permits. Each scope includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading everything.
    Read,
    /// Holding, ordering, releasing and extending.
    Sell,
    /// Changing products and stock, and everything else.
    Operate,
}

impl Scope {
    /// Returns the name of the scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sell => "sell",
            Self::Operate => "operate",
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "sell" => Ok(Self::Sell),
            "operate" => Ok(Self::Operate),
            _ => Err("expected the scope read, sell or operate"),
        }
    }
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The name and scope of the API key; None for a keyless caller.
    key: Option<(Arc<str>, Scope)>,
    /// The fewest characters of an idempotency key.
    key_chars_min: usize,
    /// Whether it is the shop.
    is_shop: bool,
}

impl Caller {
    /// A caller without an API key. Its idempotency keys must be unguessable
    /// where hold tokens are required.
    pub fn keyless(require_hold_token: bool) -> Self {
        let key_chars_min = if require_hold_token { UNGUESSABLE_CHARS_MIN } else { 1 };
        Self { key: None, key_chars_min, is_shop: true }
    }

    /// This keyless caller where others have API keys: a buyer, who does not say
    /// what an order costs.
    #[must_use]
    pub fn beside_keys(self) -> Self {
        Self { is_shop: false, ..self }
    }

    /// Whether the caller is the shop: it has an API key, or no key is set at all. A
    /// buyer neither says what an order costs nor sees the shop's metadata.
    pub fn is_shop(&self) -> bool {
        self.is_shop
    }

    /// The caller that an API key identifies.
    pub fn with_key(name: Arc<str>, scope: Scope) -> Self {
        Self { key: Some((name, scope)), key_chars_min: 1, is_shop: true }
    }

    /// Returns the name of the API key; None for a keyless caller.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.key.as_ref().map(|(name, _)| name)
    }

    /// Whether the API key has this scope. A keyless caller has none, whatever
    /// the server lets keyless callers do.
    pub fn may(&self, scope: Scope) -> bool {
        self.scope() >= Some(scope)
    }

    /// Returns the scope of the API key.
    pub fn scope(&self) -> Option<Scope> {
        self.key.as_ref().map(|(_, scope)| *scope)
    }

    /// Returns the key under which the engine keeps the answer to an idempotency
    /// key of this caller. No other caller's key leads to the same one.
    ///
    /// With an API key it is `name/key`. A keyless caller's is the key itself, or
    /// `/key` where it could be mistaken for one with a name. What is too long
    /// for the engine, or starts with the separator, is hashed: `name//hash`.
    ///
    /// # Errors
    /// `invalid_argument` for a key that the engine would refuse, or one that is
    /// too short for a keyless caller under `require_hold_token`.
    pub fn idempotency_key(&self, key: &str) -> Result<String, Rejection> {
        // Checked before it is joined with anything: the engine sees the result.
        if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
            return Err(Rejection::invalid(format!(
                "an idempotency key has 1 to {KEY_BYTES_MAX} bytes and no control characters"
            )));
        }
        if key.chars().count() < self.key_chars_min {
            return Err(Rejection::invalid(format!(
                "without an API key an idempotency key has at least {} characters, because a \
                 caller that guesses it is shown the hold's token: draw a UUID",
                self.key_chars_min
            )));
        }
        let name = match self.name() {
            None if !key.contains(SEPARATOR) => return Ok(key.to_owned()),
            None => "",
            Some(name) => name,
        };
        let is_too_long = name.len() + SEPARATOR.len_utf8() + key.len() > KEY_BYTES_MAX;
        if !is_too_long && !key.starts_with(SEPARATOR) {
            return Ok(format!("{name}{SEPARATOR}{key}"));
        }
        let hashed = hex::encode(Sha256::digest(key.as_bytes()));
        Ok(format!("{name}{SEPARATOR}{SEPARATOR}{hashed}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn shop(name: &str) -> Caller {
        Caller::with_key(name.into(), Scope::Sell)
    }

    #[test]
    fn scopes_include_the_ones_before() {
        let scopes = [Scope::Read, Scope::Sell, Scope::Operate];
        for (held, scope) in scopes.iter().enumerate() {
            let caller = Caller::with_key("a".into(), *scope);
            for (wanted, other) in scopes.iter().enumerate() {
                assert_eq!(caller.may(*other), wanted <= held, "{scope:?} {other:?}");
            }
            assert!(!Caller::keyless(false).may(*scope));
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        assert!("Sell".parse::<Scope>().is_err());
    }

    #[test]
    fn no_two_callers_share_a_key_of_the_engine() {
        let long = "k".repeat(KEY_BYTES_MAX);
        let slash = format!("a/{}", "k".repeat(KEY_BYTES_MAX - 2));
        let name = "n".repeat(64);
        let callers = [Caller::keyless(false), shop("a"), shop("b"), shop(&name)];
        let keys = ["k", "a/k", "/k", "/a/k", "//k", "b", "a", "b/", "/", &long, &slash];
        let mut seen = HashSet::new();
        for caller in &callers {
            for key in keys {
                let scoped = caller.idempotency_key(key).unwrap();
                assert!((1..=KEY_BYTES_MAX).contains(&scoped.len()), "{scoped}");
                // Whatever the engine keeps may be sent by another caller, too.
                let again = Caller::keyless(false).idempotency_key(&scoped).unwrap();
                assert!(again != scoped || caller.name().is_none(), "{scoped}");
                assert!(seen.insert(scoped.clone()), "{scoped}");
                assert_eq!(caller.idempotency_key(key).unwrap(), scoped);
            }
        }
        assert_eq!(callers[0].idempotency_key("cart-77").unwrap(), "cart-77");
        assert_eq!(callers[1].idempotency_key("cart-77").unwrap(), "a/cart-77");
    }

    #[test]
    fn keys_that_the_engine_refuses_are_refused_before_they_are_scoped() {
        for caller in [Caller::keyless(false), shop("a")] {
            for bad in ["", "a\tb", "a\u{0}", &"k".repeat(KEY_BYTES_MAX + 1)] {
                assert!(caller.idempotency_key(bad).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn guessable_keys_of_keyless_callers_are_refused_where_tokens_are_required() {
        let keyless = Caller::keyless(true);
        // Characters, not bytes.
        for short in ["cart-77", &"k".repeat(21), &"\u{e4}".repeat(21)] {
            assert!(keyless.idempotency_key(short).is_err(), "{short}");
            assert!(shop("a").idempotency_key(short).is_ok(), "{short}");
            assert!(Caller::keyless(false).idempotency_key(short).is_ok(), "{short}");
        }
        assert!(keyless.idempotency_key(&"k".repeat(22)).is_ok());
    }
}
