//! A target with well-formed requests and simulated time.

use super::answers;
use super::shop::{Shop, visit};

/// The operators' key, sent with each request by default.
const KEY: &str = "sesame";

/// The most lines of a session, which bounds its duration.
const LINES_MAX: usize = 64;

/// A session, one request in each line, each well-formed as a whole:
///
/// ```text
/// POST /api/holds/1/2 idempotency-key:a {"ttl":60}
/// wait 60
/// POST /api/orders/1/1 hold-token:$hold
/// POST /api/payments/webhook {"payment_token":"$payment","status":"paid"}
/// POST /engine/v1 {"request":{"order":{"id":1}}}
/// ```
///
/// Method, path and headers contain no space; the rest of the line is the body.
/// `wait` advances the clock by so many seconds. `$hold` and `$payment` are the
/// latest tokens that were returned.
pub fn requests(session: &[u8]) {
    visit(&[("api_key", KEY)], async |shop: &Shop| {
        let (mut hold, mut payment) = (String::new(), String::new());
        for line in session.split(|byte| *byte == b'\n').take(LINES_MAX) {
            if let Some(seconds) = line.strip_prefix(b"wait ") {
                let seconds = str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
                shop.wait(seconds.unwrap_or(1));
                continue;
            }
            let line = replaced(&replaced(line, "$hold", &hold), "$payment", &payment);
            let Some(request) = request(&line) else { continue };
            let received = shop.exchange(&request).await;
            for answer in answers::read(&received) {
                let told = answer.json();
                // An engine's reply names its operation.
                let reply = told["Ok"].as_object().and_then(|reply| reply.values().next());
                let value = &reply.unwrap_or(&told)["value"];
                for made in [&told["hold"], &told["holds"][0], value] {
                    hold = made["token"].as_str().map_or(hold, str::to_owned);
                }
                for made in [&told["order"], value] {
                    payment = made["payment_token"].as_str().map_or(payment, str::to_owned);
                }
            }
        }
    });
}

/// Builds the bytes of a line's request.
fn request(line: &[u8]) -> Option<Vec<u8>> {
    let (method, rest) = word(line)?;
    let (path, mut rest) = word(rest)?;
    let mut headers = Vec::new();
    while let Some((header, behind)) = word(rest).filter(|(word, _)| is_header(word)) {
        headers.extend_from_slice(header);
        headers.extend_from_slice(b"\r\n");
        rest = behind;
    }
    if !headers.to_ascii_lowercase().starts_with(b"authorization:") {
        headers.extend_from_slice(format!("authorization: Bearer {KEY}\r\n").as_bytes());
    }
    let framing = format!("connection: close\r\ncontent-length: {}\r\n\r\n", rest.len());
    let head = [method, b" ", path, b" HTTP/1.1\r\nhost: shop\r\n"].concat();
    Some([&head, &headers, framing.as_bytes(), rest].concat())
}

/// Splits off the first word of a line.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.is_empty() {
        return None;
    }
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    Some((&line[..end], line.get(end + 1..).unwrap_or_default()))
}

/// Whether a word is a header rather than the start of a body.
fn is_header(word: &[u8]) -> bool {
    word.contains(&b':') && word[0].is_ascii_alphabetic()
}

/// Replaces every occurrence of `name`.
pub fn replaced(text: &[u8], name: &str, by: &str) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(name.as_bytes()) {
            made.extend_from_slice(by.as_bytes());
            rest = behind;
        } else {
            made.push(rest[0]);
            rest = &rest[1..];
        }
    }
    made
}
