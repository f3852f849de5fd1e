//! Money in JSON: a number with exactly its digits, or a string.

use serde_json::value::RawValue;
use stockade::{InvalidArgument, Money};

use crate::problem::Rejection;

/// Renders an amount as a JSON number with exactly its digits.
pub fn number(amount: Money) -> Result<Box<RawValue>, Rejection> {
    RawValue::from_string(amount.to_string()).map_err(|error| {
        Rejection::internal(format!("cannot render an amount as a JSON number: {error}"))
    })
}

/// Parses the amount in a field, a JSON number or a string; missing and null are
/// none. The text is kept until here, since a float would lose cents.
pub fn read(field: &str, json: Option<&RawValue>) -> Result<Option<Money>, Rejection> {
    json.map(|json| parse(field, json)).transpose()
}

/// Parses the amount in a field that is there, as [`read`] does.
pub fn parse(field: &str, json: &RawValue) -> Result<Money, Rejection> {
    let json = json.get();
    let parsed = match serde_json::from_str::<String>(json) {
        Ok(text) => text.parse(),
        Err(_) => json.parse(),
    };
    let wrong = |error: InvalidArgument| Rejection::invalid(format!("{field}: {error}"));
    parsed.map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(json: &str) -> Result<Option<Money>, Rejection> {
        read("amount", Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn an_amount_is_a_number_or_a_string_with_its_digits() {
        for json in ["19.99", r#""19.99""#, r#""19.990""#, r#""1\u0039.99""#] {
            let read = amount(json).unwrap().unwrap();
            assert_eq!(number(read).unwrap().get(), "19.99", "{json}");
        }
        assert_eq!(read("amount", None).unwrap(), None);
        for json in ["-1", "1e2", "true", "[1]", "{}", r#""""#, r#""1,5""#] {
            assert!(amount(json).is_err(), "{json}");
        }
    }
}
