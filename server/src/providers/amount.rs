//! Amounts of money in providers' events.
//!
//! An amount that cannot be read rejects the event: without an amount, a success
//! would pay an order whatever it costs.

use iso_currency::Currency;
use serde_json::Value;

use crate::problem::Rejection;

/// Decimal text in the major unit with the currency's ISO 4217 decimals (`19.99`),
/// and the currency's code in upper case.
pub type Amount = (String, String);

/// The most digits of an amount: beyond it no product costs, and `i128` holds it with
/// all decimals.
const DIGITS_MAX: usize = 24;

/// Decimals of a currency whose code ISO 4217 does not have.
const USUAL_DECIMALS: u32 = 2;

/// Returns the decimals by ISO 4217.
pub fn iso_decimals(code: &str) -> u32 {
    let decimals = Currency::from_code(code).and_then(Currency::exponent);
    decimals.map_or(USUAL_DECIMALS, u32::from)
}

/// Reads an amount in the provider's minor unit; `decimals` tells how many of its
/// digits are decimals in this provider's view of a currency. None without an amount
/// or a currency.
///
/// # Errors
/// `invalid_argument` for an amount that is not a whole number.
pub fn from_minor(
    minor: Option<&Value>,
    currency: Option<&str>,
    decimals: fn(&str) -> u32,
) -> Result<Option<Amount>, Rejection> {
    let (Some(minor), Some(currency)) = (minor.filter(|minor| !minor.is_null()), currency) else {
        return Ok(None);
    };
    let minor = minor.as_i64().ok_or_else(|| Rejection::invalid("an amount is not whole"))?;
    let code = currency.to_ascii_uppercase();
    Ok(Some((decimal(minor.into(), decimals(&code), iso_decimals(&code)), code)))
}

/// Reads an amount in decimal text, in the major unit. None without an amount or a
/// currency.
///
/// # Errors
/// `invalid_argument` for a text that is not a decimal number.
pub fn from_decimal(
    text: Option<&str>,
    currency: Option<&str>,
) -> Result<Option<Amount>, Rejection> {
    let (Some(text), Some(currency)) = (text, currency) else { return Ok(None) };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{decimals}");
    let unsigned = digits.strip_prefix('-').unwrap_or(&digits);
    let is_number = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.parse::<i128>().ok().filter(|_| is_number && digits.len() <= DIGITS_MAX);
    let value = value.ok_or_else(|| Rejection::invalid("an amount is not a decimal number"))?;
    let scale = u32::try_from(decimals.len()).unwrap_or(u32::MAX);
    let code = currency.to_ascii_uppercase();
    Ok(Some((decimal(value, scale, iso_decimals(&code)), code)))
}

/// Writes `value / 10^scale` with this many decimals, and with more where the value
/// needs them.
fn decimal(mut value: i128, mut scale: u32, decimals: u32) -> String {
    while scale < decimals {
        value *= 10;
        scale += 1;
    }
    while scale > decimals && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    if scale == 0 {
        return value.to_string();
    }
    let width = scale as usize + 1;
    let digits = format!("{:0>width$}", value.unsigned_abs());
    let (whole, rest) = digits.split_at(digits.len() - scale as usize);
    format!("{}{whole}.{rest}", if value < 0 { "-" } else { "" })
}
