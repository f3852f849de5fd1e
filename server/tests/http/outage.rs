//! The server with a slow or unreachable store.

use std::thread;

use stockade::{Engine, HoldRequest};
use stockade_testkit::{MariaDb, SqlServer, wait_until};
use tempfile::TempDir;

use crate::raw::Raw;
use crate::server::{SOON, Server};

fn start(database: &SqlServer, flags: &[&str]) -> Server {
    let mut all = vec![format!("--store={}", database.fresh_database())];
    all.extend(flags.iter().map(ToString::to_string));
    let server = Server::with_flags(TempDir::new().unwrap(), &all);
    server.post_json("/api/admin/products", r#"{"name":"Concert ticket","price":200,"stock":4}"#);
    server
}

#[test]
fn an_unreachable_store_is_unavailable_until_it_returns() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::start();
    let server = start(&database, &["--store-timeout=4s", "--queue-wait=2s"]);
    assert_eq!(server.get("/readyz").status, 200);
    database.kill();
    server.post("/api/holds/1/1").expect_problem(503, "unavailable");
    // Readiness results are cached briefly.
    wait_until("it is not ready", SOON, || server.get("/readyz").status == 503);
    server.get("/readyz").expect_problem(503, "unavailable");
    // Liveness is not affected.
    assert_eq!(server.get("/healthz").status, 200);
    database.restart();
    wait_until("the store is reached again", SOON, || server.get("/readyz").status == 200);
    wait_until("stock is held again", SOON, || server.post("/api/holds/1/1").status == 200);
    server.expect_health();
}

#[test]
fn beyond_the_requests_under_way_further_ones_are_refused_early() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::start();
    let server = start(&database, &["--in-flight-max=1"]);
    database.pause();
    thread::scope(|scope| {
        let stuck = scope.spawn(|| {
            let mut raw = Raw::connect(&server);
            raw.send("POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .answer()
        });
        wait_until("a request is in flight", SOON, || {
            server.get("/metrics").body.contains("\nstockade_http_in_flight 2\n")
        });
        server.post("/api/holds/1/1").expect_problem(503, "contention");
        // Probes and metrics still respond.
        assert_eq!(server.get("/healthz").status, 200);
        database.resume();
        let answer = stuck.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
    server.expect_units([3, 1, 0, 0]);
    server.expect_health();
}

#[test]
fn a_slow_store_times_out_as_unavailable() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::start();
    let server = start(&database, &["--request-timeout=1s"]);
    database.pause();
    server.post("/api/holds/1/1").expect_problem(503, "unavailable");
    database.resume();
    // It took effect in whole or not at all: every unit has exactly one state.
    wait_until("the books are open again", SOON, || server.get("/readyz").status == 200);
    server.expect_health();
}

#[test]
fn an_engines_audit_and_sweep_may_take_longer_than_a_request() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::start();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("stockade.sock");
    let server = start(&database, &["--request-timeout=1s", &format!("--unix={}", path.display())]);
    let engine = Engine::open(&format!("unix://{}", path.display())).unwrap();
    database.pause();
    thread::scope(|scope| {
        let audit = scope.spawn(|| engine.audit());
        let sweep = scope.spawn(|| engine.sweep());
        wait_until("both are in flight", SOON, || {
            server.get("/metrics").body.contains("\nstockade_http_in_flight 3\n")
        });
        // It was sent after them, and has timed out.
        let error = engine.create_hold(HoldRequest::new(1, 1)).unwrap_err();
        assert_eq!(error.code(), "unavailable", "{error:?}");
        database.resume();
        assert!(audit.join().unwrap().unwrap().consistent);
        sweep.join().unwrap().unwrap();
    });
    server.expect_health();
}
