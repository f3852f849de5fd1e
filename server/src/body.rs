//! Request bodies: reading within a size limit, and parsing JSON.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::value::RawValue;
use stockade::{ProductId, ProductRef};

use crate::problem::{Code, Rejection};

/// The most bytes of an oversized body that are read and discarded: most
/// clients read the response only after they have sent everything.
const DISCARD_MAX: u64 = 16 << 20;

/// The largest id: JavaScript keeps whole numbers exactly up to it.
const ID_MAX: u64 = (1 << 53) - 1;

/// Reads a body of at most `limit` bytes.
pub async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
) -> Result<Bytes, Rejection> {
    let limit = limit as u64;
    let announced = body.size_hint().lower();
    if announced > limit {
        // A client that sent `Expect` gets the rejection before it sends the
        // body.
        if announced <= DISCARD_MAX && !headers.contains_key(EXPECT) {
            discard(&mut body, 0).await;
        }
        return Err(too_large(limit));
    }
    // A body in a single frame is returned without a copy.
    let mut whole = next(&mut body).await?.unwrap_or_default();
    while !body.is_end_stream() && whole.len() as u64 <= limit {
        let Some(more) = next(&mut body).await? else {
            break;
        };
        let mut longer = BytesMut::from(whole);
        longer.extend_from_slice(&more);
        whole = longer.freeze();
    }
    if whole.len() as u64 > limit {
        discard(&mut body, whole.len() as u64).await;
        return Err(too_large(limit));
    }
    Ok(whole)
}

fn too_large(limit: u64) -> Rejection {
    let detail = format!("the body exceeds the limit of {limit} bytes (setting body_max)");
    Rejection::Server(Code::PayloadTooLarge, detail.into())
}

/// Returns the next data frame and ignores trailers.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Rejection> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Rejection::malformed("the body ended early or its framing is invalid"));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn discard(body: &mut Incoming, mut read: u64) {
    while read <= DISCARD_MAX {
        match next(body).await {
            Ok(Some(data)) => read += data.len() as u64,
            Ok(None) | Err(_) => return,
        }
    }
}

/// Returns a JSON body as UTF-8 text.
pub fn text(body: &[u8]) -> Result<&str, Rejection> {
    match str::from_utf8(body) {
        Ok(text) if text.trim_ascii().is_empty() => {
            Err(Rejection::malformed("the body is empty, expected a JSON object"))
        }
        Ok(text) => Ok(text),
        Err(_) => Err(Rejection::malformed("the body is not UTF-8")),
    }
}

/// Parses a JSON object. Invalid JSON is `malformed_request`; JSON of another
/// shape is `invalid_argument`, and the message names the field.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejection> {
    object_at("", text)
}

/// Parses an object at a path within the body.
pub fn object_at<'a, T: Deserialize<'a>>(path: &str, text: &'a str) -> Result<T, Rejection> {
    // Serde also fills a struct from an array, field by field.
    if text.trim_ascii_start().starts_with('[') {
        whole(text)?;
        return Err(Rejection::invalid(wanted(path, "expected an object, found an array")));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let within = error.path().to_string();
        let path = match (path, within.as_str()) {
            (path, ".") => path.to_owned(),
            ("", within) => within.to_owned(),
            (path, within) => format!("{path}.{within}"),
        };
        match whole(text) {
            Ok(()) => shape_error(&path, &error.into_inner()),
            // The shape error came first, but the text after it is not JSON at
            // all.
            Err(malformed) => malformed,
        }
    })?;
    json.end().map_err(|error| rejection(&error))?;
    Ok(read)
}

/// Parses the objects of a list within the body; an error names the place in it.
pub fn list_at<'a, T: Deserialize<'a>>(
    path: &str,
    list: Vec<&'a RawValue>,
) -> Result<Vec<T>, Rejection> {
    let object =
        |(at, json): (usize, &'a RawValue)| object_at(&format!("{path}[{at}]"), json.get());
    list.into_iter().enumerate().map(object).collect()
}

/// Returns the product that an object at a path within the body names.
pub fn product(
    path: &str,
    product_id: Option<ProductId>,
    sku: Option<String>,
) -> Result<ProductRef, Rejection> {
    match (product_id, sku) {
        (Some(id), None) => Ok(id.into()),
        (None, Some(sku)) => Ok(ProductRef::Sku(sku)),
        (None, None) => {
            Err(Rejection::invalid(format!("{} is missing, or sku", field(path, "product_id"))))
        }
        (Some(_), Some(_)) => {
            Err(Rejection::invalid(wanted(path, "product_id and sku are both given")))
        }
    }
}

/// Rejects a text that is not one complete JSON value.
fn whole(text: &str) -> Result<(), Rejection> {
    serde_json::from_str(text).map(|_: IgnoredAny| ()).map_err(|error| rejection(&error))
}

/// Converts a serde error to a rejection.
pub fn rejection(error: &serde_json::Error) -> Rejection {
    match error.classify() {
        Category::Data => shape_error("", error),
        Category::Syntax | Category::Eof | Category::Io => Rejection::malformed(error.to_string()),
    }
}

/// Describes a shape error by field, expected and found type, in terms of JSON
/// rather than of Rust.
fn shape_error(path: &str, error: &serde_json::Error) -> Rejection {
    let said = error.to_string();
    // The position in the text is redundant beside the field's path.
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    if let Some(name) = quoted(said, "missing field ") {
        return Rejection::invalid(format!("{} is missing", field(path, name)));
    }
    if let Some(name) = quoted(said, "duplicate field ") {
        return Rejection::invalid(format!("{} is given twice", field(path, name)));
    }
    if let Some((name, known)) = unknown_field(said) {
        // The path ends with the field.
        let field = if path.is_empty() { name } else { path };
        return Rejection::invalid(format!("{field} is unknown here{known}"));
    }
    let mismatch = said.strip_prefix("invalid type: ").or(said.strip_prefix("invalid value: "));
    let why = match mismatch.and_then(|said| said.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            format!("expected {}, found {}", json_type_name(path, expected), json_kind(found))
        }
        None => said.to_owned(),
    };
    Rejection::invalid(wanted(path, &why))
}

/// Returns the name of an unknown field, and what to say of those that are known.
fn unknown_field(said: &str) -> Option<(&str, String)> {
    let (name, known) = said.strip_prefix("unknown field `")?.split_once('`')?;
    let known = known.strip_prefix(", expected ").map(|known| known.trim_start_matches("one of "));
    Some((name, known.map_or_else(String::new, |known| format!("; known are {known}"))))
}

fn wanted(path: &str, why: &str) -> String {
    if path.is_empty() { why.to_owned() } else { format!("{path}: {why}") }
}

fn field(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Returns the name in backquotes after a prefix.
fn quoted<'a>(said: &'a str, beginning: &str) -> Option<&'a str> {
    said.strip_prefix(beginning)?.strip_prefix('`')?.strip_suffix('`')
}

/// Returns the JSON name of the type that serde expected of a field.
fn json_type_name(path: &str, expected: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or_default();
    match expected {
        "u32" if matches!(field, "quantity" | "line") => {
            format!("a whole number from 1 to {}", u32::MAX)
        }
        "u64" if field == "id" || field.ends_with("_id") => {
            format!("a whole number from 1 to {ID_MAX}")
        }
        "u64" if matches!(field, "stock" | "safety_stock" | "to") => {
            format!("a whole number from 0 to {}", i64::MAX)
        }
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => format!("a whole number from 0 to {}", u64::MAX),
        "i64" => format!("a whole number from {} to {}", i64::MIN, i64::MAX),
        "a string" | "a borrowed string" => "a string".to_owned(),
        "a sequence" => "an array".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected.to_owned(),
    }
}

/// Returns the whole number that serde found, or else the JSON type: other values may be
/// long or secret.
fn json_kind(found: &str) -> &str {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "string" | "character" => "a string",
        "integer" => found.split('`').nth(1).unwrap_or("a number"),
        "number" => "a number",
        "floating" => "a number that is not whole or too large",
        "boolean" => "true or false",
        "map" => "an object",
        "sequence" => "an array",
        "null" => "null",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Life {
        #[serde(rename = "ttl")]
        _ttl: Option<u64>,
    }

    fn code(body: &[u8]) -> Option<Code> {
        let read = text(body).and_then(object::<Life>);
        read.err().map(|rejection| rejection.code())
    }

    #[test]
    fn non_json_is_malformed_and_wrong_shape_is_invalid() {
        for good in ["{}", r#"{"ttl":60}"#, r#" {"ttl":null,"more":[1]} "#] {
            assert_eq!(code(good.as_bytes()), None, "{good}");
        }
        let deep = "[".repeat(100_000);
        for malformed in ["", "  ", "{", "nul", "{\"ttl\":60", "{ttl:60}", "[60", deep.as_str()] {
            let shown = malformed.get(..9).unwrap_or(malformed);
            assert_eq!(code(malformed.as_bytes()), Some(Code::MalformedRequest), "{shown}");
        }
        assert_eq!(code(b"{\"ttl\":\xff}"), Some(Code::MalformedRequest));
        assert_eq!(code(b"{\"more\":\"\xff\"}"), Some(Code::MalformedRequest));
        for invalid in [
            "60",
            "null",
            "[60]",
            "[]",
            r#"{"ttl":"60"}"#,
            r#"{"ttl":1.5}"#,
            r#"{"ttl":-1}"#,
            r#"{"ttl":1e2}"#,
            r#"{"ttl":99999999999999999999}"#,
            r#"{"ttl":1,"ttl":2}"#,
        ] {
            assert_eq!(code(invalid.as_bytes()), Some(Code::InvalidArgument), "{invalid}");
        }
    }

    #[derive(Debug, Deserialize)]
    struct Whole<'a> {
        #[serde(borrow, rename = "items")]
        _items: Vec<&'a serde_json::value::RawValue>,
        #[serde(rename = "customer")]
        _customer: Option<String>,
        #[serde(rename = "delta")]
        _delta: Option<i64>,
        #[serde(rename = "inner")]
        _inner: Option<Vec<Inner>>,
        #[serde(borrow, rename = "price")]
        _price: Option<&'a serde_json::value::RawValue>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "quantity")]
        _quantity: u32,
    }

    #[test]
    fn shape_error_names_field_and_expected_type() {
        let read = |body| object::<Whole<'_>>(body);
        assert!(read(r#"{"items":[{"a":1},2],"price":1.10}"#).is_ok());
        for (body, says) in [
            (r#"{"items":7}"#, "items: expected an array, found 7"),
            ("{}", "items is missing"),
            (r#"{"items":[],"items":[]}"#, "items is given twice"),
            (r#"{"items":[],"customer":7}"#, "customer: expected a string, found 7"),
            (
                r#"{"items":[],"delta":"7"}"#,
                "delta: expected a whole number from -9223372036854775808 to \
                 9223372036854775807, found a string",
            ),
            (
                r#"{"items":[],"inner":[{"quantity":1},{"quantity":-1}]}"#,
                "inner[1].quantity: expected a whole number from 1 to 4294967295, found -1",
            ),
            (
                r#"{"items":[],"inner":[{"quantity":4294967296}]}"#,
                "inner[0].quantity: expected a whole number from 1 to 4294967295, found 4294967296",
            ),
            (
                r#"{"items":[],"inner":[{"quantity":99999999999999999999}]}"#,
                "inner[0].quantity: expected a whole number from 1 to 4294967295, found a number \
                 that is not whole or too large",
            ),
            (r#"{"items":[],"inner":[{}]}"#, "inner[0].quantity is missing"),
            (r#"{"items":[],"inner":[true]}"#, "inner[0]: expected an object, found true or false"),
            ("null", "expected an object, found null"),
            ("[1]", "expected an object, found an array"),
        ] {
            let Err(Rejection::Server(code, said)) = read(body) else { panic!("{body} was read") };
            assert_eq!((code, &*said), (Code::InvalidArgument, says), "{body}");
        }
        let Err(Rejection::Server(_, said)) = object_at::<Inner>("items[3]", "{}") else {
            panic!("it was read")
        };
        assert_eq!(said, "items[3].quantity is missing");
    }
}
