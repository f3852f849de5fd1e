//! Limits and timeouts of requests and connections.

use std::thread;
use std::time::{Duration, Instant};

use stockade_testkit::wait_until;

use crate::raw::{Raw, exchange};
use crate::server::{SOON, Server};

#[test]
fn oversized_bodies_are_rejected() {
    let server = Server::sqlite(&["--body-max=1000"]);
    let fits = format!("{}{{}}", " ".repeat(998));
    server.post_json("/api/holds", &fits).expect_problem(422, "invalid_argument");
    for length in [1_001, 70_000, 10_000_000] {
        server
            .post_json("/api/holds", &" ".repeat(length))
            .expect_problem(413, "payload_too_large");
    }
    // Chunked, without a length that announces the size.
    let mut raw = Raw::connect(&server);
    raw.send("POST /api/holds HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    let piece = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    for _ in 0..160 {
        raw.send(&piece);
    }
    raw.send("0\r\n\r\n");
    assert!(raw.answer().starts_with("HTTP/1.1 413 "));
    // A client that sends `Expect` is rejected before it sends the body.
    let asking = "POST /api/holds HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 10000000\r\n\r\n";
    assert!(exchange(&server, asking).starts_with("HTTP/1.1 413 "));
    // A client that announces 10 GB is not read.
    let lying =
        "POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000000000\r\n\r\n";
    assert!(exchange(&server, lying).starts_with("HTTP/1.1 413 "));
    server.expect_health();
}

#[test]
fn slow_and_silent_clients_time_out() {
    let server = Server::sqlite(&["--header-timeout=1s"]);
    let started = Instant::now();
    let silent = Raw::connect(&server);
    let mut slow = Raw::connect(&server);
    slow.send("GET /api/products/1 HTTP/1.1\r\nhost: ");
    let idle = {
        let mut idle = Raw::connect(&server);
        idle.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").answer();
        idle
    };
    for mut raw in [silent, slow, idle] {
        let rest = raw.rest();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Sending a byte now and then does not extend the timeout.
    let mut drip = Raw::connect(&server);
    wait_until("the dripping client is cut", SOON, || {
        let sent = thread::scope(|scope| scope.spawn(|| drip.send("G")).join().is_ok());
        thread::sleep(Duration::from_millis(100));
        !sent
    });
    server.expect_health();
}

#[test]
fn an_incomplete_body_times_out() {
    let server = Server::sqlite(&["--request-timeout=1s"]);
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let answer = exchange(
            &server,
            format!("POST /api/holds HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n"),
        );
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"),
            "{answer}"
        );
    }
    server.expect_units([4, 0, 0, 0]);
}

#[test]
fn beyond_the_connection_limit_clients_are_told_to_come_back() {
    let server = Server::sqlite(&["--client-connections-max=3"]);
    // The test's own client keeps a connection open: that is the first.
    server.expect_health();
    let mut inside = [Raw::connect(&server), Raw::connect(&server)];
    for raw in &mut inside {
        raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").answer();
    }
    let get = "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for _ in 0..100 {
        let answer = exchange(&server, get);
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"),
            "{answer}"
        );
        assert!(answer.contains(r#""code":"contention""#), "{answer}");
    }
    // Open connections are served, and a released permit is reused.
    server.expect_health();
    let [first, second] = inside;
    drop(first);
    wait_until("there is room again", SOON, || exchange(&server, get).starts_with("HTTP/1.1 200 "));
    drop(second);
    assert!(server.get("/metrics").body.contains("\nstockade_http_turned_away_total 1"));
}

#[test]
fn slow_senders_occupy_no_request_slot() {
    let server = Server::sqlite(&["--in-flight-max=1"]);
    let mut slow: Vec<_> = (0..20).map(|_| Raw::connect(&server)).collect();
    for raw in &mut slow {
        raw.send("POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n");
    }
    assert_eq!(server.post("/api/holds/1/1").status, 200);
}

#[test]
fn a_disconnected_client_is_counted_as_499() {
    let server = Server::sqlite(&[]);
    let mut raw = Raw::connect(&server);
    raw.send("POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n");
    let line = r#"{method="POST",route="/api/holds",status="#;
    wait_until("the request is in flight", SOON, || {
        server.get("/metrics").body.contains("\nstockade_http_in_flight 2\n")
    });
    drop(raw);
    wait_until("it is not any more", SOON, || {
        let metrics = server.get("/metrics").body;
        metrics.contains("\nstockade_http_in_flight 1\n") && metrics.contains(line)
    });
    server.expect_health();
}
