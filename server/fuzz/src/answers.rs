//! The responses that the server may send.

use serde_json::Value;

/// The statuses of the contract and of HTTP errors. No 5xx: a single client
/// causes no overload, and the store is always reachable.
const STATUSES: &[u16] =
    &[100, 200, 201, 202, 400, 401, 403, 404, 405, 408, 409, 413, 414, 422, 431];

/// The headers that the server writes.
const HEADERS: &[&str] = &[
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "idempotent-replayed",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// The error codes of an engine that must not occur.
const FAULTS: &[&str] = &["misuse", "internal", "unavailable", "contention"];

/// One response.
pub struct Answer<'a> {
    pub status: u16,
    /// Whether it replays the response to an earlier request.
    pub is_replayed: bool,
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// Parses the body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

/// Parses everything received on an HTTP/1 connection: complete responses and
/// nothing else, each of a kind that the contract has.
pub fn read(mut received: &[u8]) -> Vec<Answer<'_>> {
    let mut answers = Vec::new();
    while !received.is_empty() {
        let (answer, rest) = next(received);
        check(&answer);
        answers.push(answer);
        received = rest;
    }
    answers
}

/// Splits off the first response.
fn next(received: &[u8]) -> (Answer<'_>, &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(received);
    let Ok(httparse::Status::Complete(length)) = parsed else {
        panic!("{parsed:?}: no answer begins like {}", shown(received));
    };
    let (mut body_length, mut is_replayed) = (0, false);
    for header in head.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        assert!(HEADERS.contains(&name.as_str()), "a header {name} in {}", shown(received));
        is_replayed |= name == "idempotent-replayed";
        if name == "content-length" {
            let text = str::from_utf8(header.value).expect("a number");
            body_length = text.parse().expect("a number");
        }
    }
    let status = head.code.expect("a status");
    let rest = &received[length..];
    // The response to HEAD has a length and no body. No body begins like a
    // response.
    if rest.is_empty() || rest.starts_with(b"HTTP/1.") {
        return (Answer { status, is_replayed, body: b"" }, rest);
    }
    let whole = rest.split_at_checked(body_length);
    let (body, rest) = whole.unwrap_or_else(|| panic!("the body ends early: {}", shown(received)));
    (Answer { status, is_replayed, body }, rest)
}

/// Fails unless the response is well-formed and of the contract.
fn check(answer: &Answer<'_>) {
    let text = shown(answer.body);
    assert!(STATUSES.contains(&answer.status), "status {}: {text}", answer.status);
    if answer.status >= 400 && !answer.body.is_empty() {
        let problem = answer.json();
        assert_eq!(problem["success"], false, "{text}");
        assert_eq!(problem["status"], answer.status, "{text}");
        assert!(problem["code"].is_string() && problem["message"].is_string(), "{text}");
    }
    // The response to another process's engine, 200 in any case.
    if let Some(code) = answer.json()["Err"]["code"].as_str() {
        assert!(!FAULTS.contains(&code), "{text}");
    }
}

/// Formats bytes for people.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
