//! Exact decimal money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidArgument;

/// An exact amount of money in minor units (hundredths).
///
/// ```
/// use stockade::Money;
/// let price: Money = "19.99".parse()?;
/// assert_eq!(price.minor(), 1999);
/// assert_eq!(price.to_string(), "19.99");
/// assert_eq!(Money::from_minor(20_000)?.to_string(), "200");
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Money(i64);

impl Money {
    /// Minor units in one major unit.
    const SCALE: i64 = 100;

    /// Builds an amount from minor units.
    ///
    /// # Errors
    /// `invalid_argument` for a negative amount.
    pub fn from_minor(minor: i64) -> Result<Self, InvalidArgument> {
        if minor < 0 {
            return Err(InvalidArgument::new(format!("a price cannot be negative, got {minor}")));
        }
        Ok(Self(minor))
    }

    /// Builds an amount from a stored row, which is never negative.
    pub(crate) const fn from_row(minor: i64) -> Self {
        Self(minor)
    }

    /// The amount in minor units.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Money {
    type Error = InvalidArgument;

    fn try_from(minor: i64) -> Result<Self, InvalidArgument> {
        Self::from_minor(minor)
    }
}

impl fmt::Display for Money {
    /// Formats a decimal without trailing zeros, as in a JSON number: `200`, `19.99`,
    /// `19.9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        match minor {
            0 => write!(f, "{major}"),
            _ if minor % 10 == 0 => write!(f, "{major}.{}", minor / 10),
            _ => write!(f, "{major}.{minor:02}"),
        }
    }
}

impl FromStr for Money {
    type Err = InvalidArgument;

    /// Parses a decimal with at most two places, such as `200` or `19.99`.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (major, places) = text.split_once('.').unwrap_or((text, "0"));
        let trimmed = places.trim_end_matches('0');
        let minor = (is_digits(major) && is_digits(places) && trimmed.len() <= 2)
            .then(|| format!("{trimmed:0<2}"))
            .and_then(|hundredths| {
                let major: i64 = major.parse().ok()?;
                major.checked_mul(Self::SCALE)?.checked_add(hundredths.parse().ok()?)
            });
        minor.map(Self).ok_or_else(|| {
            InvalidArgument::new(format!(
                "a price is a decimal of at least 0 with at most two places, got `{}`",
                text.chars().take(40).collect::<String>()
            ))
        })
    }
}

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
            assert_eq!((money.minor(), money.to_string().as_str()), (minor, shown));
        }
        for bad in ["", "-1", "1.", ".5", "1e2", "1.999", "1,5", "92233720368547758.08", "NaN"] {
            assert!(bad.parse::<Money>().is_err(), "{bad} was accepted");
        }
    }
}
