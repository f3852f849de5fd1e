//! Currencies of ISO 4217.

use std::fmt;
use std::str::FromStr;

use super::InvalidArgument;
use super::ids::serde_as_text;

/// A currency of ISO 4217, which determines how many decimals an amount may have.
///
/// ```
/// use stockade::Currency;
/// let yen: Currency = "JPY".parse()?;
/// assert_eq!((yen.decimals(), yen.to_string().as_str()), (0, "JPY"));
/// assert_eq!(Currency::EUR.decimals(), 2);
/// assert!("EURO".parse::<Currency>().is_err());
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The euro, the default of the `currency` setting.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);

    /// The code of three letters, such as `EUR`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimal places of an amount in this currency: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn decimals(self) -> u32 {
        // A currency without minor units does not parse.
        self.0.exponent().unwrap_or(0).into()
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::EUR
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = InvalidArgument;

    /// Parses a code of three capital letters. One that is no money, such as `XAU`
    /// (gold) or `XXX`, is refused.
    fn from_str(code: &str) -> Result<Self, InvalidArgument> {
        let known = iso_currency::Currency::from_code(code);
        known.filter(|currency| currency.exponent().is_some()).map(Self).ok_or_else(|| {
            InvalidArgument::new(format!(
                "a currency is an ISO 4217 code such as EUR, got `{}`",
                code.chars().take(40).collect::<String>()
            ))
        })
    }
}

serde_as_text!(Currency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_its_decimals_and_an_unknown_one_is_refused() {
        for (code, decimals) in [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("CLF", 4)] {
            let currency: Currency = code.parse().expect(code);
            assert_eq!((currency.decimals(), currency.to_string().as_str()), (decimals, code));
        }
        for bad in ["", "eur", "EU", "EURO", "ABC", "XAU", "XXX", "978"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad} was accepted");
        }
        let json = serde_json::to_string(&Currency::EUR).expect("JSON");
        assert_eq!(serde_json::from_str::<Currency>(&json).ok(), Some(Currency::EUR));
    }
}
