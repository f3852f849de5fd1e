//! Request ids, logs and metrics.

use std::collections::HashSet;

use stockade_testkit::wait_until;

use crate::server::{SOON, Server};

#[test]
fn request_ids_are_returned_and_logged() {
    let server = Server::sqlite(&["--log-format=json"]);
    let own = server.send("GET", "/api/products/1", &[("X-Request-Id", "cart-77/a")], "");
    assert_eq!(own.header("x-request-id"), Some("cart-77/a"));
    let refused = server.send("POST", "/api/holds/1/9", &[("X-Request-Id", "cart-78")], "");
    refused.expect_problem(409, "insufficient_stock").saying("request_id", "cart-78".into());
    let long = "x".repeat(129);
    let made: HashSet<_> = ["two words", &long]
        .map(|insane| {
            let answer = server.send("GET", "/healthz", &[("X-Request-Id", insane)], "");
            answer.header("x-request-id").unwrap().to_owned()
        })
        .into();
    assert!(made.len() == 2 && !made.contains("two words") && !made.contains(&long), "{made:?}");

    wait_until("both are logged", SOON, || server.log().contains("cart-78"));
    let log = server.log();
    let line = |id: &str| {
        let line = log.lines().find(|line| line.contains(id)).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    let (good, bad) = (line("cart-77/a"), line("cart-78"));
    assert_eq!(good["request_id"], "cart-77/a");
    assert_eq!(good["method"], "GET");
    assert_eq!(good["route"], "/api/products/{id}");
    assert_eq!(good["status"], 200);
    assert!(good["duration_ms"].as_f64().is_some_and(|milliseconds| milliseconds > 0.0));
    assert_eq!((&bad["status"], &bad["code"]), (&409.into(), &"insufficient_stock".into()));
    assert!(
        log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
}

/// Returns the value of a metrics line.
fn value(metrics: &str, line: &str) -> Option<f64> {
    let rest = metrics.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
    rest.map(|number| number.parse().unwrap())
}

#[test]
fn metrics_are_well_formed_and_count_events() {
    let server = Server::sqlite(&[]);
    for _ in 0..3 {
        server.get("/api/products/1");
    }
    server.post("/api/holds/1/9");
    server.get("/no/such/path");
    server.get("/nor/this/one");
    server.send("OPTIONS", "/api/products/1", &[], "");
    let metrics = server.get("/metrics");
    assert_eq!(
        metrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = &metrics.body;
    for (line, expected) in [
        (
            r#"stockade_http_requests_total{method="GET",route="/api/products/{id}",status="200"}"#,
            3.0,
        ),
        (
            r#"stockade_http_requests_total{method="OPTIONS",route="/api/products/{id}",status="405"}"#,
            1.0,
        ),
        (
            r#"stockade_http_requests_total{method="POST",route="/api/holds/{product_id}/{quantity}",status="409"}"#,
            1.0,
        ),
        (r#"stockade_http_requests_total{method="GET",route="unmatched",status="404"}"#, 2.0),
        (r#"stockade_http_request_seconds_count{route="/api/products/{id}"}"#, 4.0),
        (r#"stockade_http_refusals_total{code="insufficient_stock"}"#, 1.0),
        (r#"stockade_http_refusals_total{code="not_found"}"#, 2.0),
        ("stockade_http_connections", 1.0),
        ("stockade_http_in_flight", 1.0),
        ("stockade_http_turned_away_total", 0.0),
        ("stockade_http_accept_errors_total", 0.0),
    ] {
        assert_eq!(value(text, line), Some(expected), "{line} in {text}");
    }
    assert!(!text.contains("/no/such/path"));
    expect_openmetrics(text);
}

/// Expects well-formed OpenMetrics: each family is described once, before its
/// samples, and no sample is repeated.
fn expect_openmetrics(text: &str) {
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    let (mut families, mut samples) = (HashSet::new(), HashSet::new());
    let mut family = "";
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            family = described.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} is described twice");
        } else if !line.starts_with('#') {
            let (name, number) = line.rsplit_once(' ').unwrap();
            assert!(number.parse::<f64>().is_ok(), "{line}");
            assert!(name.starts_with(family), "{line} under {family}");
            assert!(name.starts_with("stockade_"), "{line}");
            assert!(samples.insert(name), "{name} stands twice");
        }
    }
    assert!(
        families.iter().any(|family| !family.starts_with("stockade_http_")),
        "the engine's are missing"
    );
}
