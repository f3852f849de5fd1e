//! Request smuggling, and header injection into responses.

use crate::frames::{END_HEADERS, END_STREAM, HEADERS, RST_STREAM, fields, frame, greeting, kinds};
use crate::raw::{Raw, exchange};
use crate::server::Server;

/// The smuggled request: a hold of everything.
const HIDDEN: &str = "POST /api/holds/1/4 HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Counts the responses in the received text.
fn answers(text: &str) -> usize {
    text.matches("HTTP/1.").count()
}

#[test]
fn ambiguous_lengths_smuggle_no_request() {
    let server = Server::sqlite(&[]);
    let chunked = "transfer-encoding: chunked";
    let length = HIDDEN.len();
    let as_chunk = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    for (name, head, rest) in [
        ("two lengths", "content-length: 0\r\ncontent-length: 5".to_owned(), HIDDEN.to_owned()),
        ("a list of lengths", "content-length: 0, 5".to_owned(), HIDDEN.to_owned()),
        ("a list of one length", format!("content-length: {length}, 0"), HIDDEN.to_owned()),
        ("a signed length", "content-length: +0".to_owned(), HIDDEN.to_owned()),
        ("a negative length", "content-length: -1".to_owned(), HIDDEN.to_owned()),
        ("a hexadecimal length", "content-length: 0x0".to_owned(), HIDDEN.to_owned()),
        ("an empty length", "content-length:".to_owned(), HIDDEN.to_owned()),
        ("a length with a dot", "content-length: 0.0".to_owned(), HIDDEN.to_owned()),
        (
            "a length over 64 bits",
            "content-length: 18446744073709551616".to_owned(),
            HIDDEN.to_owned(),
        ),
        ("a space before the colon", "content-length : 5".to_owned(), HIDDEN.to_owned()),
        ("a tab before the colon", "content-length\t: 5".to_owned(), HIDDEN.to_owned()),
        ("a folded length", format!("x-a: b\r\n content-length: {length}"), HIDDEN.to_owned()),
        ("a folded encoding", "transfer-encoding:\r\n chunked".to_owned(), as_chunk.clone()),
        (
            "length then encoding",
            format!("content-length: 4\r\n{chunked}"),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        (
            "encoding then length",
            format!("{chunked}\r\ncontent-length: 4"),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        (
            "an unknown encoding",
            "transfer-encoding: xchunked".to_owned(),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        (
            "chunked not last",
            "transfer-encoding: chunked, identity".to_owned(),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        ("identity", "transfer-encoding: identity".to_owned(), HIDDEN.to_owned()),
        (
            "chunked, then no more",
            format!("{chunked}\r\ntransfer-encoding: identity"),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        (
            "a vertical tab",
            "transfer-encoding:\x0bchunked".to_owned(),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        (
            "a quoted encoding",
            "transfer-encoding: \"chunked\"".to_owned(),
            format!("0\r\n\r\n{HIDDEN}"),
        ),
        ("a NUL in a header", "x-a: b\0c".to_owned(), HIDDEN.to_owned()),
        ("a bare CR in a header", format!("x-a: b\rcontent-length: {length}"), HIDDEN.to_owned()),
        ("a space in a name", "content length: 0".to_owned(), HIDDEN.to_owned()),
        ("a header without a name", ": b".to_owned(), HIDDEN.to_owned()),
        (
            "a chunk size beyond 64 bits",
            chunked.to_owned(),
            format!("10000000000000000\r\n{HIDDEN}"),
        ),
        ("a negative chunk size", chunked.to_owned(), format!("-1\r\n\r\n{HIDDEN}")),
        ("a chunk size with 0x", chunked.to_owned(), format!("0x0\r\n\r\n{HIDDEN}")),
        ("a chunk size with a bare LF", chunked.to_owned(), format!("0\n\r\n{HIDDEN}")),
        ("a bare LF in a chunk extension", chunked.to_owned(), format!("0;a\nb\r\n\r\n{HIDDEN}")),
        (
            "a chunk longer than its size",
            chunked.to_owned(),
            format!("1\r\nab\r\n0\r\n\r\n{HIDDEN}"),
        ),
        ("no CRLF after a chunk", chunked.to_owned(), format!("1\r\na0\r\n\r\n{HIDDEN}")),
    ] {
        let sent =
            format!("POST /api/admin/sweep HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{rest}");
        let mut raw = Raw::connect(&server);
        raw.send(sent);
        let back = raw.rest();
        assert!(answers(&back) <= 1, "{name} was answered twice: {back}");
        // RFC 9112 lets a server read the chunks if it then closes.
        if !matches!(name, "length then encoding" | "encoding then length") {
            assert!(back.is_empty() || back.starts_with("HTTP/1.1 400 "), "{name}: {back}");
        }
        server.expect_units([4, 0, 0, 0]);
    }
    server.expect_health();
}

#[test]
fn request_lines_in_a_body_are_not_executed() {
    let server = Server::sqlite(&[]);
    let length = HIDDEN.len();
    for sent in [
        format!(
            "POST /api/admin/sweep HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"
        ),
        format!(
            "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"
        ),
        format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{length:x};ext=a\r\n{HIDDEN}\r\n0\r\n\r\n"
        ),
        // A repeated identical length is one length.
        format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"
        ),
        // Nothing is read after `close`.
        format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n{HIDDEN}"),
        // HTTP/1.0 has neither chunks nor keep-alive.
        format!("POST /api/admin/sweep HTTP/1.0\r\ncontent-length: 0\r\n\r\n{HIDDEN}"),
    ] {
        let back = exchange(&server, &sent);
        assert!(answers(&back) == 1 && back.starts_with("HTTP/1."), "{sent} was answered {back}");
        server.expect_units([4, 0, 0, 0]);
    }
    let upgrade = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n{HIDDEN}"
    );
    let back = exchange(&server, upgrade);
    assert!(back.starts_with("HTTP/1.1 200 ") && answers(&back) == 1, "{back}");
    server.expect_units([4, 0, 0, 0]);
}

#[test]
fn header_injection_into_responses_is_impossible() {
    let server = Server::sqlite(&[]);
    for sent in [
        "GET /api/products/%0d%0aevil:%201 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /nope%0d%0aevil:%201?a=%0d%0aevil:1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: a%0d%0aevil:1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: a\revil: 1\r\n\r\n",
    ] {
        let back = exchange(&server, sent);
        let head = back.split("\r\n\r\n").next().unwrap();
        let is_own = |line: &str| line.starts_with("evil");
        assert!(answers(&back) == 1 && !head.split(['\r', '\n']).any(is_own), "{back}");
    }
    // HTTP/2 could carry the bytes themselves.
    let block = fields("GET", "/healthz", &[("x-request-id", "a\r\nevil: 1")]);
    let mut raw = Raw::connect(&server);
    raw.send(greeting()).send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    let back = raw.done().rest_bytes();
    assert!(!back.windows(4).any(|bytes| bytes == b"evil"), "{back:?}");
    assert!(kinds(&back).contains(&RST_STREAM) || kinds(&back).contains(&7), "{back:?}");
    server.expect_health();
}

#[test]
fn a_half_closed_client_gets_its_response() {
    let server = Server::sqlite(&[]);
    for _ in 0..20 {
        let mut raw = Raw::connect(&server);
        raw.send("POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\n\r\n").done();
        let back = raw.rest();
        assert!(back.starts_with("HTTP/1.1 200 ") || back.starts_with("HTTP/1.1 409 "), "{back:?}");
    }
    server.expect_units([0, 4, 0, 0]);
}

#[test]
fn a_client_that_ends_in_the_middle_is_ended_at_once() {
    // Otherwise no timeout would close it for an hour.
    let server = Server::sqlite(&["--header-timeout=1h", "--request-timeout=1h"]);
    for half in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /healthz HTTP/1.1\r\nhost:",
        "POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{\"ttl\":",
        "POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"ttl",
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(half).done();
        let back = raw.rest();
        assert!(back.is_empty() || back.starts_with("HTTP/1.1 400 "), "{half:?}: {back}");
    }
    server.expect_units([4, 0, 0, 0]);
}
