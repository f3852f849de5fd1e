//! The body of a request: its bytes within a limit, and its JSON.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::problem::{Code, Refusal};

/// A body over the limit is read on to here, and thrown away: most clients look
/// for an answer only after they have sent everything.
const DISCARD_MAX: u64 = 16 << 20;

/// Reads a body of at most `limit` bytes.
pub async fn read(headers: &HeaderMap, mut body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let limit = limit as u64;
    let announced = body.size_hint().lower();
    if announced > limit {
        // A client that asks before it sends is told at once.
        if announced <= DISCARD_MAX && !headers.contains_key(EXPECT) {
            discard(&mut body, 0).await;
        }
        return Err(too_large(limit));
    }
    // Small bodies come in one piece, which is then not copied.
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

fn too_large(limit: u64) -> Refusal {
    let detail = format!("a body has at most {limit} bytes");
    Refusal::Server(Code::PayloadTooLarge, detail.into())
}

/// The next piece; trailers are not looked at.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Refusal::malformed("the body ended early or is badly framed"));
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

/// The text of a body of JSON.
pub fn text(body: &[u8]) -> Result<&str, Refusal> {
    match str::from_utf8(body) {
        Ok(text) if text.trim_ascii().is_empty() => {
            Err(Refusal::malformed("the body is empty, a JSON object is expected"))
        }
        Ok(text) => Ok(text),
        Err(_) => Err(Refusal::malformed("the body is not UTF-8")),
    }
}

/// Reads a JSON object. What is no JSON is malformed; JSON of another shape is
/// an invalid argument.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    // Serde would also fill a struct from an array, field by field.
    if text.trim_ascii_start().starts_with('[') {
        whole(text)?;
        return Err(Refusal::invalid("expected a JSON object, found an array"));
    }
    serde_json::from_str(text).map_err(|error| match whole(text) {
        Ok(()) => refusal(error),
        // The wrong shape came first, but what follows is no JSON at all.
        Err(malformed) => malformed,
    })
}

/// Refuses a text that is not one whole JSON value.
fn whole(text: &str) -> Result<(), Refusal> {
    serde_json::from_str(text).map(|_: IgnoredAny| ()).map_err(refusal)
}

/// What serde found wrong, as a refusal.
pub fn refusal(error: serde_json::Error) -> Refusal {
    let detail = error.to_string();
    match error.classify() {
        Category::Data => Refusal::invalid(detail),
        Category::Syntax | Category::Eof | Category::Io => Refusal::malformed(detail),
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
        read.err().map(|refusal| refusal.code())
    }

    #[test]
    fn what_is_no_json_is_malformed_and_another_shape_is_invalid() {
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
}
