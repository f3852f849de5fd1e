//! Amounts of money in providers' events.
//!
//! An amount that cannot be read rejects the event: without an amount, a success
//! would pay an order whatever it costs.

use iso_currency::Currency;
use serde_json::Value;

use super::Meaning::{self, Ignored, Refund, Success};
use super::json;
use crate::problem::Rejection;

/// Decimal text in the major unit with the currency's ISO 4217 decimals (`19.99`),
/// and the currency's code in upper case.
pub type Amount = (String, String);

/// The most digits of an amount: beyond it no product costs, and `i128` holds it with
/// all decimals.
const DIGITS_MAX: usize = 24;

/// Decimals of a currency whose code ISO 4217 does not have.
const USUAL_DECIMALS: u32 = 2;

/// The JSON pointers to an amount and its currency in an event.
#[derive(Debug, Clone, Copy)]
pub struct MoneyPointers<'a> {
    pub amount: &'a str,
    pub currency: &'a str,
}

/// Returns the decimals by ISO 4217.
pub fn iso_decimals(code: &str) -> u32 {
    let decimals = Currency::from_code(code).and_then(Currency::exponent);
    decimals.map_or(USUAL_DECIMALS, u32::from)
}

/// Reads an amount in the provider's minor unit; `decimals` tells how many of its
/// digits are decimals in this provider's view of a currency. None where the event
/// has no amount.
///
/// # Errors
/// `invalid_argument`, naming the field, for an amount that is not a whole number of at
/// least 0, and where money moved for one without a currency.
pub fn minor(
    event: &Value,
    meaning: Meaning,
    place: MoneyPointers<'_>,
    decimals: fn(&str) -> u32,
) -> Result<Option<Amount>, Rejection> {
    minor_since(event, meaning, place, 0, decimals)
}

/// Reads what was added to an amount that was `before`.
///
/// # Errors
/// As [`minor`], and for an amount that became smaller.
pub fn minor_since(
    event: &Value,
    meaning: Meaning,
    place: MoneyPointers<'_>,
    before: u64,
    decimals: fn(&str) -> u32,
) -> Result<Option<Amount>, Rejection> {
    let Some((amount, code)) = amount_and_code(event, meaning, place)? else { return Ok(None) };
    let minor = amount.as_u64().and_then(|minor| minor.checked_sub(before));
    let minor = minor.ok_or_else(|| {
        json::unreadable(place.amount, "expected a whole number of minor units, of at least 0")
    })?;
    Ok(Some((decimal(minor.into(), decimals(&code), iso_decimals(&code)), code)))
}

/// Reads an amount in the major unit, a decimal text or a number. None where the event
/// has no amount.
///
/// # Errors
/// As [`minor`], for a text that is not a decimal of at least 0.
pub fn major(
    event: &Value,
    meaning: Meaning,
    place: MoneyPointers<'_>,
) -> Result<Option<Amount>, Rejection> {
    let Some((amount, code)) = amount_and_code(event, meaning, place)? else { return Ok(None) };
    let text = match amount {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{decimals}");
    let is_number = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.parse::<u128>().ok().filter(|_| is_number && digits.len() <= DIGITS_MAX);
    let value = value.ok_or_else(|| {
        json::unreadable(place.amount, "expected a decimal of at least 0, such as 19.99")
    })?;
    let scale = u32::try_from(decimals.len()).unwrap_or(u32::MAX);
    Ok(Some((decimal(value, scale, iso_decimals(&code)), code)))
}

/// Returns an event's amount and the code of its currency.
fn amount_and_code<'a>(
    event: &'a Value,
    meaning: Meaning,
    place: MoneyPointers<'_>,
) -> Result<Option<(&'a Value, String)>, Rejection> {
    if meaning == Ignored {
        return Ok(None);
    }
    let Some(amount) = json::field(event, place.amount)? else { return Ok(None) };
    let Some(currency) = json::field(event, place.currency)? else {
        // Only where money moved is the amount of use.
        if matches!(meaning, Success | Refund { .. }) {
            let amount = json::name(place.amount);
            let why = format!("it is missing beside {amount}");
            return Err(json::unreadable(place.currency, &why));
        }
        return Ok(None);
    };
    let code = currency
        .as_str()
        .filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let code = code.ok_or_else(|| {
        json::unreadable(place.currency, "expected the three letters of a currency, such as EUR")
    })?;
    Ok(Some((amount, code.to_ascii_uppercase())))
}

/// Writes `value / 10^scale` with this many decimals, and with more where the value
/// needs them.
fn decimal(mut value: u128, mut scale: u32, decimals: u32) -> String {
    while scale < decimals {
        value *= 10;
        scale += 1;
    }
    while scale > decimals && value.is_multiple_of(10) {
        value /= 10;
        scale -= 1;
    }
    if scale == 0 {
        return value.to_string();
    }
    let width = scale as usize + 1;
    let digits = format!("{value:0>width$}");
    let (whole, rest) = digits.split_at(digits.len() - scale as usize);
    format!("{whole}.{rest}")
}
