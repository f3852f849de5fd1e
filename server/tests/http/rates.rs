//! Rate limits. Their rates are so low that no test takes until the next request
//! is let in: what passes is the burst.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::callers::{send, with_keys};
use crate::server::{SOON, Server};

/// Expects a rejection that names the time until the next request.
#[track_caller]
fn expect_limited(answer: &Answer) {
    answer.expect_problem(429, "rate_limited");
    // Three requests a minute: one each 20 seconds.
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
}

/// Returns how many of some requests are let in.
fn served(count: usize, mut request: impl FnMut() -> Answer) -> usize {
    let limited = (0..count).map(|_| request()).filter(|answer| {
        let is_limited = answer.status == 429;
        if is_limited {
            expect_limited(answer);
        }
        is_limited
    });
    count - limited.count()
}

#[test]
fn an_address_has_its_burst_and_probes_are_free() {
    let server = Server::sqlite_locked(&["--rate-limit-address=3/m"]);
    server.get("/api/products").expect(200, r#"{"items":[],"next":null}"#);
    // What leads nowhere counts, too.
    server.get("/nowhere").expect_problem(404, "not_found");
    server.send("DELETE", "/api/products", &[], "").expect_problem(405, "method_not_allowed");
    for (method, path) in [
        ("GET", "/api/products"),
        ("GET", "/nowhere"),
        ("POST", "/api/holds/1/1"),
        ("POST", "/api/holds/batch"),
        ("POST", "/api/payments/webhook"),
        ("POST", "/api/admin/sweep"),
        ("GET", "/openapi.json"),
    ] {
        // The rate is checked before anything of the request.
        let sent = if path == "/nowhere" { continue } else { "{" };
        expect_limited(&server.send(method, path, &[], sent));
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let counted = r#"stockade_http_refusals_total{code="rate_limited"}"#;
    assert_eq!(server.counted(counted), 6);
}

#[test]
fn wrong_keys_count_for_the_address() {
    let server = Server::sqlite_locked(&["--api-key=sesame", "--rate-limit-address=3/m"]);
    let guess = [("authorization", "Bearer guess")];
    for path in ["/api/products", "/api/admin/audit"] {
        server.send("GET", path, &guess, "").expect_problem(401, "unauthorized");
    }
    server.send("POST", "/engine/v1", &guess, "{}").expect_problem(401, "unauthorized");
    expect_limited(&server.send("POST", "/engine/v1", &guess, "{}"));
    // An engine with the key carries the calls of a whole process.
    let key = [("authorization", "Bearer sesame")];
    for _ in 0..9 {
        let ping = r#"{"request":{"ping":{}}}"#;
        assert_eq!(server.send("POST", "/engine/v1", &key, ping).status, 200);
    }
}

#[test]
fn each_key_has_a_rate_of_its_own() {
    let server = with_keys(&["--rate-limit-key=3/m"]);
    let read = |name| send(&server, name, "GET", "/api/products/1", &[], "");
    assert_eq!(served(5, || read("shop")), 3);
    assert_eq!(served(5, || read("other")), 3);
    // It made the product.
    assert_eq!(served(5, || read("boss")), 2);
    // What the scope forbids counts, too.
    for _ in 0..3 {
        send(&server, "feed", "POST", "/api/holds/1/1", &[], "").expect_problem(403, "forbidden");
    }
    expect_limited(&read("feed"));
    assert_eq!(served(20, || read("")), 20);
    read("guess").expect_problem(401, "unauthorized");
}

#[test]
fn a_key_counts_for_the_address_as_well() {
    let server = with_keys(&["--rate-limit-key=9/m", "--rate-limit-address=3/m"]);
    let read = |name| send(&server, name, "GET", "/api/products/1", &[], "");
    assert_eq!(served(5, || read("shop")), 2);
    assert_eq!(served(5, || read("other")), 0);
}

#[test]
fn behind_a_trusted_proxy_the_last_untrusted_address_counts() {
    let flags =
        ["--insecure", "--rate-limit-address=3/m", "--trusted-proxies=127.0.0.1,10.0.0.0/8"];
    let server = Server::sqlite_locked(&flags);
    let from =
        |address: &str| server.send("GET", "/api/products", &[("x-forwarded-for", address)], "");
    assert_eq!(served(5, || from("7.7.7.7")), 3);
    // What a client writes itself stands before what the proxy appends.
    for spoofed in ["1.2.3.4, 7.7.7.7", "1.2.3.4, 7.7.7.7, 10.0.0.9", "::ffff:7.7.7.7"] {
        expect_limited(&from(spoofed));
    }
    let twice = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "7.7.7.7")];
    expect_limited(&server.send("GET", "/api/products", &twice, ""));
    assert_eq!(served(2, || from("8.8.8.8, 10.0.0.9")), 2);
    // A network of one customer.
    let mut host = 0;
    let network = || {
        host += 1;
        from(&format!("2001:db8:1:2::{host}"))
    };
    assert_eq!(served(5, network), 3);
    assert_eq!(served(1, || from("2001:db8:1:3::1")), 1);
    // The proxy itself, such as its own checks.
    assert_eq!(served(5, || server.get("/api/products")), 3);
}

#[test]
fn nobody_else_names_the_client() {
    let flags = ["--insecure", "--rate-limit-address=3/m", "--trusted-proxies=10.0.0.0/8,unix"];
    let server = Server::sqlite_locked(&flags);
    let mut host = 0;
    let other = || {
        host += 1;
        let address = format!("7.7.7.{host}");
        server.send("GET", "/api/products", &[("x-forwarded-for", &address)], "")
    };
    assert_eq!(served(5, other), 3);
}

/// Sends a GET that a proxy forwarded to the socket; returns the status line.
fn over_socket(path: &Path, address: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = format!(
        "GET /api/products HTTP/1.1\r\nhost: shop\r\nx-forwarded-for: {address}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn the_proxy_of_a_socket_is_trusted_if_the_setting_says_so() {
    for (trusted, others) in [("unix", "HTTP/1.1 200 OK"), ("", "HTTP/1.1 429 Too Many Requests")] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("http.sock");
        let _server = Server::sqlite_locked(&[
            "--insecure",
            "--rate-limit-address=1/m",
            &format!("--unix-http={}", path.display()),
            &format!("--trusted-proxies={trusted}"),
        ]);
        assert_eq!(over_socket(&path, "7.7.7.7"), "HTTP/1.1 200 OK");
        assert_eq!(over_socket(&path, "7.7.7.7"), "HTTP/1.1 429 Too Many Requests");
        assert_eq!(over_socket(&path, "8.8.8.8"), others, "trusting {trusted:?}");
    }
}

#[test]
fn each_line_of_a_batch_counts() {
    let server = with_keys(&["--rate-limit-key=3/m"]);
    let line = "{\"product_id\":1,\"quantity\":1}\n";
    let batch = send(&server, "shop", "POST", "/api/holds/batch", &[], &line.repeat(5));
    let answers: Vec<Value> =
        batch.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<_> =
        answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(answers[4]["code"], "rate_limited");
    assert!(answers[4]["retry_after"].as_u64().is_some_and(|seconds| (1..=20).contains(&seconds)));
    server.expect_units([1, 3, 0, 0]);
}
