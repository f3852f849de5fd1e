//! Startup and graceful shutdown.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use stockade_testkit::wait_until;
use tempfile::TempDir;

use crate::raw::Raw;
use crate::server::{SOON, Server, program};

const SLOW: &str = "POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 43\r\n\r\n";
const REST: &str = r#"{"items":[{"product_id":1,"quantity":1}]}  "#;

fn listens(server: &Server) -> bool {
    TcpStream::connect(&server.address).is_ok()
}

/// Opens a connection with a request whose body is incomplete.
fn under_way(server: &Server) -> Raw {
    let mut raw = Raw::connect(server);
    raw.send(SLOW);
    wait_until("the request is in flight", SOON, || {
        server.get("/metrics").body.contains("\nstockade_http_in_flight 2\n")
    });
    raw
}

#[test]
fn server_without_flags_is_seeded_and_ready() {
    let mut command = program();
    command.env("STOCKADE_LISTEN", "127.0.0.1:0");
    let mut server = Server::from_command(command, TempDir::new().unwrap());
    assert!(server.folder().join("shop.db").exists());
    server.get("/api/products/1").expect(
        200,
        r#"{"id":1,"price":200,"stock":4,"name":"<text>","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":4,"safety_stock":0,"archived":false}"#,
    );
    assert!(server.get("/api/products").body.contains(r#""price":19.99,"#));
    server.get("/readyz").expect(200, r#"{"status":"ready"}"#);
    server.get("/healthz").expect(200, r#"{"status":"ok"}"#);
    server.hold(1);
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn holds_survive_a_restart_without_reseeding() {
    let folder = TempDir::new().unwrap();
    let store = format!("--store=sqlite:{}", folder.path().join("kept.db").display());
    let start = || {
        let mut command = program();
        command.args([&store, "--listen=127.0.0.1:0", "--demo"]);
        Server::from_command(command, TempDir::new().unwrap())
    };
    let mut server = start();
    let products = server.get("/api/products").body.matches("\"id\"").count();
    let hold = server.hold(3);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let server = start();
    assert_eq!(server.get("/api/products").body.matches("\"id\"").count(), products);
    server.expect_units([1, 3, 0, 0]);
    assert_eq!(server.post(&format!("/api/orders/{hold}/1")).status, 200);
}

#[test]
fn sigterm_stops_accepting_and_finishes_requests_in_flight() {
    let mut server = Server::sqlite(&[]);
    let mut idle = Raw::connect(&server);
    idle.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").answer();
    let mut raw = under_way(&server);
    server.signal("TERM");
    wait_until("the listener is closed", SOON, || !listens(&server));
    // A connection without a request is closed immediately.
    assert_eq!(idle.rest(), "");
    raw.send(REST);
    let answer = raw.rest();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn sighup_drains_like_sigterm() {
    let mut server = Server::sqlite(&[]);
    let mut raw = under_way(&server);
    server.signal("HUP");
    wait_until("the listener is closed", SOON, || !listens(&server));
    let answer = raw.send(REST).rest();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(server.ended().code(), Some(0));
    assert!(server.log().contains("SIGHUP: stopping"), "{}", server.log());
}

#[test]
fn server_survives_its_terminal_under_nohup() {
    let inner = program();
    let mut command = std::process::Command::new("sh");
    command
        .env_clear()
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .arg("--listen=127.0.0.1:0");
    let mut server = Server::from_command(command, TempDir::new().unwrap());
    server.signal("HUP");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let log = server.log();
    assert!(log.contains("SIGTERM: stopping") && !log.contains("SIGHUP"), "{log}");
}

#[test]
fn drain_timeout_closes_unfinished_connections() {
    let mut server = Server::sqlite(&["--drain-timeout=1s"]);
    let mut raw = under_way(&server);
    let started = Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(1));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(raw.rest(), "");
    assert!(server.log().contains("did not finish"), "{}", server.log());
}

#[test]
fn readiness_fails_before_the_listener_closes() {
    let mut server = Server::sqlite(&["--drain-delay=1h", "--drain-timeout=1h"]);
    assert_eq!(server.get("/readyz").status, 200);
    server.signal("TERM");
    wait_until("it is not ready", SOON, || server.get("/readyz").status == 503);
    server.get("/readyz").expect_problem(503, "unavailable");
    // Otherwise it would keep accepting for an hour.
    assert!(listens(&server));
    assert_eq!(server.post("/api/holds/1/1").status, 200);
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(1));
}

#[test]
fn a_second_signal_exits_immediately() {
    let mut server = Server::sqlite(&["--drain-timeout=1h"]);
    let raw = under_way(&server);
    server.signal("TERM");
    wait_until("the listener is closed", SOON, || !listens(&server));
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(1));
    drop(raw);
}
