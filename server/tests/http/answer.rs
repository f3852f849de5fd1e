//! A response of the server, and its comparison with the expected one.

use ureq::http::HeaderMap;

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Whether it replays the response to an earlier request.
    pub fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the first number or string with this name, at any depth.
    pub fn field(&self, name: &str) -> &str {
        let start = format!("\"{name}\":");
        let at = self.body.find(&start).unwrap_or_else(|| panic!("no {name} in {}", self.body));
        let value = &self.body[at + start.len()..];
        match value.strip_prefix('"') {
            Some(text) => &text[..text.find('"').unwrap()],
            None => &value[..value.find([',', '}', ']']).unwrap()],
        }
    }

    pub fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap()
    }

    /// Expects this status and exactly this body, except for placeholders:
    /// `<n>` is a number, `<second>` and `<microsecond>` a time, `<secret>` 32
    /// hexadecimal digits, `<text>` anything within quotes.
    #[track_caller]
    pub fn expect(&self, status: u16, body: &str) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        if let Err(at) = fits(&self.body, body) {
            panic!("expected {body}\n   found {}\nfrom here on: {at}", self.body);
        }
        self
    }

    /// Expects a complete, well-formed problem with this status and code.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, Some("application/problem+json")),
            "{}",
            self.body
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}", self.body);
        assert_eq!(problem["type"], format!("urn:stockade:error:{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["success"], false);
        assert_eq!(problem["message"], problem["detail"]);
        assert_eq!(problem["request_id"], self.header("x-request-id").unwrap());
        for name in ["title", "detail", "instance"] {
            assert!(
                problem[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name} in {}",
                self.body
            );
        }
        let may_be_repeated = matches!(status, 429 | 503);
        assert_eq!(self.header("retry-after").is_some(), may_be_repeated, "{:?}", self.headers);
        self
    }

    /// Expects a field of the problem.
    #[track_caller]
    pub fn saying(&self, name: &str, value: serde_json::Value) -> &Self {
        assert_eq!(self.json()[name], value, "{}", self.body);
        self
    }
}

/// Compares a body with a pattern; the error is the first difference.
fn fits<'a>(mut body: &'a str, pattern: &str) -> Result<(), &'a str> {
    let mut parts = pattern.split('<');
    let first = parts.next().unwrap_or_default();
    body = body.strip_prefix(first).ok_or(body)?;
    for part in parts {
        let (mark, literal) = part.split_once('>').expect("a mark ends");
        let length = mark_length(body, mark).ok_or(body)?;
        body = body[length..].strip_prefix(literal).ok_or(body)?;
    }
    if body.is_empty() { Ok(()) } else { Err(body) }
}

fn mark_length(text: &str, mark: &str) -> Option<usize> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match mark {
        "n" => {
            Some(text.bytes().take_while(u8::is_ascii_digit).count()).filter(|length| *length > 0)
        }
        "second" => looks_like(text, "0000-00-00T00:00:00Z"),
        "microsecond" => looks_like(text, "0000-00-00T00:00:00.000000Z"),
        "secret" => {
            (text.bytes().take(32).filter(|byte| is_hex(*byte)).count() == 32).then_some(32)
        }
        "text" => text.find('"'),
        _ => panic!("there is no mark <{mark}>"),
    }
}

fn looks_like(text: &str, sample: &str) -> Option<usize> {
    let same = |(one, other): (u8, u8)| {
        if other == b'0' { one.is_ascii_digit() } else { one == other }
    };
    (text.len() >= sample.len() && text.bytes().zip(sample.bytes()).all(same))
        .then_some(sample.len())
}
