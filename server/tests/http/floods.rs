//! Resource exhaustion by clients: memory, connections and time.

use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_testkit::wait_until;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, fields, frame, greeting,
};
use crate::raw::{Raw, exchange};
use crate::server::{SOON, Server};

/// The bound on memory growth during a flood, in KiB.
const MEMORY_MORE: u64 = 64 << 10;

#[test]
fn a_body_that_drips_is_ended_in_time_while_others_are_served() {
    let server = Server::sqlite(&["--request-timeout=2s"]);
    let mut drips: Vec<_> = (0..50).map(|_| Raw::connect(&server)).collect();
    for raw in &mut drips {
        raw.send("POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n");
    }
    // One byte at a time, as long as the server accepts it.
    wait_until("all who drip are cut", SOON, || {
        let open: usize = drips.iter_mut().map(|raw| usize::from(raw.try_send(" "))).sum();
        assert_eq!(server.get("/api/products/1").status, 200);
        open == 0
    });
    for mut raw in drips {
        let back = raw.rest();
        // Writing on may discard what the server has written.
        assert!(back.is_empty() || back.starts_with("HTTP/1.1 408 "), "{back}");
    }
    assert_eq!(server.counted("stockade_http_refusals_total{code=\"request_timeout\"}"), 50);
    server.expect_units([4, 0, 0, 0]);
    server.expect_health();
}

#[test]
fn header_floods_are_rejected_within_bounded_memory() {
    let server = Server::sqlite(&[]);
    server.expect_health();
    let before = server.memory_kib();
    // More of each than the memory bound, if it were kept.
    let (text, lines) = ("y".repeat(8 << 20), "a: b\r\n".repeat(1 << 20));
    let long = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\na: {text}");
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{lines}");
    let target = format!("GET /{text} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let name = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{text}: b\r\n\r\n");
    let chunked =
        "POST /api/holds HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let trailers = format!("{chunked}0\r\n{lines}");
    let extensions = format!("{chunked}1;{text}");
    thread::scope(|scope| {
        for flood in [&long, &many, &target, &name, &trailers, &extensions] {
            for _ in 0..10 {
                let server = &server;
                scope.spawn(move || {
                    let mut raw = Raw::connect(server);
                    raw.try_send(flood);
                    let back = raw.rest();
                    let refused = ["400", "414", "431"]
                        .iter()
                        .any(|status| back.starts_with(&format!("HTTP/1.1 {status} ")));
                    assert!(back.is_empty() || refused, "{back}");
                });
            }
        }
    });
    let more = server.memory_kib().saturating_sub(before);
    assert!(more < MEMORY_MORE, "{more} KiB more");
    server.expect_health();
}

/// Sends pieces until the server closes; fails if it accepts all of them.
#[track_caller]
fn expect_an_end(server: &Server, name: &str, start: &[u8], piece: &[u8], times: usize) {
    let mut raw = Raw::connect(server);
    raw.send(greeting()).send(start);
    let many = piece.repeat(1_000);
    let closed = (0..times / 1_000).any(|_| !raw.try_send(&many));
    assert!(closed, "{name} went on for {times} frames");
}

#[test]
fn frame_floods_close_the_connection() {
    let server = Server::sqlite(&["--header-timeout=1s", "--request-timeout=2s"]);
    server.expect_health();
    let before = server.memory_kib();
    let get = fields("GET", "/healthz", &[]);
    let padding: Vec<_> = (0..8).map(|_| ("x-padding", "y")).collect();
    let open = frame(HEADERS, END_STREAM, 1, &fields("GET", "/healthz", &padding));
    let long = fields("", "", &[("x-padding", "y")]).repeat(40);
    expect_an_end(&server, "CONTINUATION", &open, &frame(CONTINUATION, 0, 1, &long), 1_000_000);
    expect_an_end(
        &server,
        "empty CONTINUATION",
        &open,
        &frame(CONTINUATION, 0, 1, &[]),
        10_000_000,
    );

    // Rapid reset: requests that are cancelled immediately.
    let mut resets = Vec::new();
    for number in 0..100_000 {
        let stream = 2 * number + 1;
        resets.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get));
        resets.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    let mut raw = Raw::connect(&server);
    raw.send(greeting()).try_send(&resets);
    raw.rest_bytes();
    let metrics = server.get("/metrics").body;
    let line = "stockade_http_requests_total{method=\"GET\",route=\"/healthz\"";
    let lines = metrics.lines().filter(|at| at.starts_with(line));
    let taken_up: u64 =
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert!(taken_up < 1_000, "{taken_up} requests were taken up");
    // Frames that are invalid in their position.
    let huge = [0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1];
    for (name, frames) in [
        ("data without a stream", frame(DATA, 0, 1, b"x")),
        ("data on stream 0", frame(DATA, 0, 0, b"x")),
        ("headers on stream 0", frame(HEADERS, END_HEADERS, 0, &get)),
        ("headers on an even stream", frame(HEADERS, END_HEADERS, 2, &get)),
        ("a frame over the size", huge.to_vec()),
        ("a ping of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("settings of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("a window of 0", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window over the size", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        ("fields that are none", frame(HEADERS, END_HEADERS, 1, &[0xff; 40])),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &get)),
        (
            "another frame in between",
            [frame(HEADERS, 0, 1, &get), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(greeting()).try_send(frames);
        // The server closes by itself: the client does not half-close.
        let back = raw.rest_bytes();
        assert!(!back.windows(5).any(|bytes| bytes == b"\"ok\"}"), "{name} was answered");
    }
    let more = server.memory_kib().saturating_sub(before);
    assert!(more < MEMORY_MORE, "{more} KiB more");
    server.expect_health();
}

#[test]
fn unread_responses_are_bounded() {
    let server = Server::sqlite(&["--request-timeout=2s"]);
    server.expect_health();
    let before = server.memory_kib();
    // Each requests far more than it ever reads.
    let get = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200);
    let mut greedy: Vec<_> = (0..50).map(|_| Raw::connect(&server)).collect();
    for raw in &mut greedy {
        raw.try_send(&get);
    }
    // Those and the test's own.
    wait_until("they are cut", SOON, || server.counted("stockade_http_connections") == 1);
    let more = server.memory_kib().saturating_sub(before);
    assert!(more < MEMORY_MORE, "{more} KiB more");
    server.expect_health();
}

/// The number of idle connections, and the memory bound per connection in KiB.
const IDLE: usize = 10_000;
const IDLE_KIB: u64 = 32;

#[test]
fn ten_thousand_idle_connections_leave_room_for_others() {
    let files = u64::try_from(IDLE).unwrap() + 1_000;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        let maximum = limit.maximum.map(|maximum| maximum.max(files));
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })
            .expect("this test needs 11,000 open files: raise `ulimit -Hn`");
    }
    // The server inherits the limit.
    let max = format!("--client-connections-max={}", IDLE + 10);
    let server = Server::sqlite(&[&max, "--header-timeout=1h"]);
    server.expect_health();
    let before = server.memory_kib();
    // Some never sent a byte, some were served before.
    let idle: Vec<_> = (0..IDLE)
        .map(|number| {
            let mut raw = Raw::connect(&server);
            if number % 10 == 0 {
                raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").answer();
            }
            raw
        })
        .collect();
    wait_until("all are in", SOON, || {
        server.counted("stockade_http_connections") == u64::try_from(IDLE).unwrap() + 1
    });
    let more = server.memory_kib().saturating_sub(before);
    assert!(more < IDLE as u64 * IDLE_KIB, "{more} KiB for {IDLE} connections");
    assert_eq!(server.counted("stockade_http_turned_away_total"), 0);
    let get = "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for _ in 0..100 {
        assert!(exchange(&server, get).starts_with("HTTP/1.1 200 "));
    }
    server.hold(4);
    // Above the limit a connection is rejected with 503.
    let _last: Vec<_> = (0..9).map(|_| Raw::connect(&server)).collect();
    wait_until("it is full", SOON, || exchange(&server, get).starts_with("HTTP/1.1 503 "));
    drop(idle);
    wait_until("all are gone", SOON, || server.counted("stockade_http_connections") == 10);
    server.expect_health();
}

#[test]
fn idle_connections_time_out() {
    let server = Server::sqlite(&["--header-timeout=2s"]);
    let mut second = Raw::connect(&server);
    second.send(greeting());
    // Every other one is served once, then stays silent.
    let idle: Vec<_> = (0..100)
        .map(|number| {
            let mut raw = Raw::connect(&server);
            if number % 2 == 0 {
                raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").answer();
            }
            raw
        })
        .collect();
    for mut raw in idle {
        let rest = raw.rest();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
    }
    // An HTTP/2 connection that does not respond to a ping.
    second.rest_bytes();
    server.expect_health();
}
