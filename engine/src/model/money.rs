//! Exact decimal money.

use std::fmt;
use std::str::FromStr;

use super::ids::serde_as_text;
use super::{Currency, InvalidArgument};

/// An exact amount of money: a decimal of at least 0 with up to four places. How
/// many of them it may have depends on its [`Currency`].
///
/// ```
/// use stockade::{Currency, Money};
/// let price: Money = "19.99".parse()?;
/// assert_eq!(price.to_minor(Currency::EUR)?, 1999);
/// assert_eq!(price.to_string(), "19.99");
/// assert!(price.to_minor("JPY".parse()?).is_err());
/// assert_eq!(Money::from_minor(20_000)?, "200.00".parse()?);
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(i128);

/// The most decimals of a currency (CLF, UYW).
const DECIMALS_MAX: u32 = 4;

/// Units of [`Money`] in one major unit.
const SCALE: i128 = 10_i128.pow(DECIMALS_MAX);

/// Units of [`Money`] in one minor unit of a currency with so many decimals.
const fn step(decimals: u32) -> i128 {
    10_i128.pow(DECIMALS_MAX.saturating_sub(decimals))
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Builds an amount from hundredths, the minor units of most currencies.
    ///
    /// # Errors
    /// `invalid_argument` for a negative amount.
    pub fn from_minor(minor: i64) -> Result<Self, InvalidArgument> {
        Self::from_minor_of(minor, Currency::EUR)
    }

    /// Builds an amount from minor units of a currency.
    ///
    /// # Errors
    /// `invalid_argument` for a negative amount.
    pub fn from_minor_of(minor: i64, currency: Currency) -> Result<Self, InvalidArgument> {
        if minor < 0 {
            return Err(InvalidArgument::new(format!("a price cannot be negative, got {minor}")));
        }
        Ok(Self::from_row(minor, currency))
    }

    /// Builds an amount from a stored row, which is never negative.
    pub(crate) fn from_row(minor: i64, currency: Currency) -> Self {
        Self(i128::from(minor) * step(currency.decimals()))
    }

    /// The amount in minor units of a currency.
    ///
    /// # Errors
    /// `invalid_argument` for an amount with more decimals than the currency has, or
    /// beyond `i64`.
    pub fn to_minor(self, currency: Currency) -> Result<i64, InvalidArgument> {
        let step = step(currency.decimals());
        if self.0 % step != 0 {
            return Err(InvalidArgument::new(format!(
                "an amount in {currency} has at most {} decimals, got {self}",
                currency.decimals()
            )));
        }
        i64::try_from(self.0 / step)
            .map_err(|_| InvalidArgument::new(format!("the amount {self} {currency} is too large")))
    }

    /// Formats the amount with all decimals of a currency: `19.90`.
    #[must_use]
    pub fn to_padded_string(self, currency: Currency) -> String {
        self.to_text(currency.decimals())
    }

    /// Formats the amount with at least so many decimals.
    fn to_text(self, decimals: u32) -> String {
        let (major, rest) = (self.0 / SCALE, self.0 % SCALE);
        let digits = format!("{rest:04}");
        let shown = digits.trim_end_matches('0').len();
        let shown = shown.max(usize::try_from(decimals).unwrap_or(0)).min(digits.len());
        match digits.get(..shown) {
            None | Some("") => major.to_string(),
            Some(digits) => format!("{major}.{digits}"),
        }
    }
}

impl fmt::Display for Money {
    /// Formats a decimal without trailing zeros, as in a JSON number: `200`, `19.99`,
    /// `19.9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(0))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Money {
    type Err = InvalidArgument;

    /// Parses a decimal with at most four places, such as `200` or `19.99`.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (major, places) = text.split_once('.').unwrap_or((text, "0"));
        let trimmed = places.trim_end_matches('0');
        let units = (is_digits(major) && is_digits(places) && trimmed.len() <= 4)
            .then(|| format!("{trimmed:0<4}"))
            .and_then(|rest| {
                let major: i64 = major.parse().ok()?;
                Some(i128::from(major) * SCALE + rest.parse::<i128>().ok()?)
            });
        units.map(Self).ok_or_else(|| {
            InvalidArgument::new(format!(
                "expected a decimal of at least 0 with at most {DECIMALS_MAX} places, in digits such as \
                 19.99, got `{}`",
                text.chars().take(40).collect::<String>()
            ))
        })
    }
}

serde_as_text!(Money);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_parse_and_format_exactly() {
        for (text, minor, shown) in [
            ("200", 20_000, "200"),
            ("19.99", 1_999, "19.99"),
            ("19.90", 1_990, "19.9"),
            ("0.05", 5, "0.05"),
            ("0.500", 50, "0.5"),
            ("92233720368547758.07", i64::MAX, "92233720368547758.07"),
        ] {
            let money: Money = text.parse().expect(text);
            let hundredths = money.to_minor(Currency::EUR).expect("fits");
            assert_eq!((hundredths, money.to_string().as_str()), (minor, shown));
            assert_eq!(Money::from_minor(minor).ok(), Some(money));
        }
        for bad in ["", "-1", "1.", ".5", "1e2", "1.99999", "1,5", "9223372036854775808", "NaN"] {
            assert!(bad.parse::<Money>().is_err(), "{bad} was accepted");
        }
        assert!(Money::from_minor(-1).is_err());
    }

    #[test]
    fn minor_units_are_those_of_the_currency() {
        let currency = |code: &str| code.parse::<Currency>().expect(code);
        let minor = |text: &str, code: &str| {
            text.parse::<Money>().expect(text).to_minor(currency(code)).ok()
        };
        assert_eq!(minor("1999", "JPY"), Some(1_999));
        assert_eq!(minor("1999.00", "JPY"), Some(1_999));
        assert_eq!(minor("19.9", "JPY"), None);
        assert_eq!(minor("1.234", "KWD"), Some(1_234));
        assert_eq!(minor("1.234", "EUR"), None);
        assert_eq!(minor("1.2345", "KWD"), None);
        assert_eq!(minor("92233720368547758.08", "EUR"), None);
        assert_eq!(Money::from_minor_of(1_234, currency("KWD")).ok(), "1.234".parse().ok());
        let price: Money = "5.5".parse().expect("a price");
        assert_eq!(price.to_padded_string(Currency::EUR), "5.50");
        assert_eq!(price.to_padded_string(currency("KWD")), "5.500");
        assert_eq!(Money::ZERO.to_padded_string(currency("JPY")), "0");
    }
}
