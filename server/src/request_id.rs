//! Request ids: the client's own if it is valid, else a generated one.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;

/// The header of the id, in requests and responses.
pub const HEADER: &str = "x-request-id";

const LENGTH_MAX: usize = 128;

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Returns the id as a header value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        // Visible ASCII is always valid text.
        self.0.to_str().unwrap_or_default()
    }
}

/// Generates ids: a random prefix per process, then a counter.
#[derive(Debug)]
pub struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Creates a generator; its prefix is random, so that processes do not
    /// collide.
    pub fn new() -> Self {
        // Without a random source the ids are unique within the process only.
        let process = getrandom::u64().unwrap_or(u64::from(std::process::id()));
        Self { process: format!("{process:016x}-"), next: AtomicU64::new(1) }
    }

    /// Returns the id of a request with these headers.
    pub fn of(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(HEADER) {
            Some(value) if is_sane(value) => RequestId(value.clone()),
            _ => self.fresh(),
        }
    }

    /// Generates an id.
    pub fn fresh(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.process.len() + 16);
        id.push_str(&self.process);
        let _ = write!(id, "{number:x}");
        // Hexadecimal digits and a dash are always a valid header value.
        RequestId(
            HeaderValue::from_maybe_shared(Bytes::from(id))
                .unwrap_or(HeaderValue::from_static("none")),
        )
    }
}

fn is_sane(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=LENGTH_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_client_ids_are_kept_and_others_replaced() {
        let ids = RequestIds::new();
        let mut headers = HeaderMap::new();
        let made = ids.of(&headers);
        assert_ne!(made.as_str(), ids.of(&headers).as_str());
        headers.insert(HEADER, HeaderValue::from_static("cart-77"));
        assert_eq!(ids.of(&headers).as_str(), "cart-77");
        for insane in ["", "two words", &"x".repeat(LENGTH_MAX + 1), "caf\u{e9}"] {
            headers.insert(HEADER, HeaderValue::from_bytes(insane.as_bytes()).unwrap());
            assert_ne!(ids.of(&headers).as_str(), insane);
        }
    }
}
