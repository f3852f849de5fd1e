//! Reads fields of providers' JSON bodies by JSON pointer.

use serde_json::Value;

use crate::body;
use crate::problem::Rejection;

/// Parses a body that must be a JSON object.
pub fn object(bytes: &[u8]) -> Result<Value, Rejection> {
    let value: Value =
        serde_json::from_str(body::text(bytes)?).map_err(|error| body::rejection(&error))?;
    if value.is_object() { Ok(value) } else { Err(Rejection::invalid("expected a JSON object")) }
}

/// Returns a string that is not empty.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// Returns a string without which the body cannot be understood.
pub fn required<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Rejection> {
    let missing = || Rejection::invalid(format!("{} is missing, or not a string", name(pointer)));
    text(value, pointer).ok_or_else(missing)
}

/// Returns an id or a number as text: a string or a number in the body.
pub fn plain(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the id of an object that the body shows whole or by its id alone.
pub fn id<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    text(value, pointer).or_else(|| text(value, &format!("{pointer}/id")))
}

/// Whether a field is true.
pub fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// Names a field in an error: `/data/object/amount` is `data.object.amount`.
pub fn name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// The rejection of a field that is there and cannot be read.
pub fn unreadable(pointer: &str, why: &str) -> Rejection {
    Rejection::invalid(format!("{}: {why}", name(pointer)))
}

/// Returns a field, none for one that is missing or null.
///
/// # Errors
/// `invalid_argument` if a field on the way to it is neither an object nor an array, so
/// that it cannot be told whether it is there.
pub fn field<'a>(value: &'a Value, pointer: &str) -> Result<Option<&'a Value>, Rejection> {
    let mut found = value;
    for (at, _) in pointer.match_indices('/').skip(1).chain([(pointer.len(), "")]) {
        let Some(next) = value.pointer(&pointer[..at]).filter(|next| !next.is_null()) else {
            return Ok(None);
        };
        let is_last = at == pointer.len();
        if !is_last && !next.is_object() && !next.is_array() {
            return Err(unreadable(&pointer[..at], "expected an object"));
        }
        found = next;
    }
    Ok(Some(found))
}
