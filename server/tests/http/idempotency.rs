//! Repeated idempotency keys.

use serde_json::json;

use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    a_repeated_key_replays_the_first_response
    a_product_is_created_once
    a_repeated_key_replays_an_error
    a_key_reused_with_another_request_is_rejected
    invalid_keys_are_rejected
}

fn a_repeated_key_replays_the_first_response(backend: Backend) {
    let server = Server::start(backend, &[]);
    let cart = r#"{"items":[{"product_id":1,"quantity":1}]}"#;
    let hold = server.post_with_key("/api/holds/1/1", "order-page", "");
    let order = format!("/api/orders/{}/1", hold.number("id"));
    for (path, key, body) in
        [("/api/holds/1/1", "hold", ""), ("/api/holds", "cart", cart), (&order, "order", "")]
    {
        let first = server.post_with_key(path, key, body);
        assert_eq!((first.status, first.is_replayed()), (200, false), "{}", first.body);
        for _ in 0..2 {
            let again = server.post_with_key(path, key, body);
            assert_eq!((again.status, again.is_replayed()), (200, true));
            assert_eq!(again.body, first.body);
        }
    }
    server.expect_units([1, 2, 1, 0]);
    server.expect_health();
}

fn a_product_is_created_once(backend: Backend) {
    let server = Server::start(backend, &[]);
    let path = "/api/admin/products";
    let first = server.post_with_key(path, "import-7", r#"{"name":"Lamp","price":1,"stock":1}"#);
    assert_eq!((first.status, first.is_replayed()), (201, false), "{}", first.body);
    let again = server.post_with_key(path, "import-7", r#"{"name":"Lamp","price":1.00,"stock":1}"#);
    assert_eq!((again.status, again.is_replayed(), &again.body), (201, true, &first.body));
    let other = server.post_with_key(path, "import-7", r#"{"name":"Lamp","price":2,"stock":1}"#);
    other.expect_problem(422, "idempotency_mismatch");
}

fn a_repeated_key_replays_an_error(backend: Backend) {
    let server = Server::start(backend, &[]);
    let first = server.post_with_key("/api/holds/1/5", "greedy", "");
    first.expect_problem(409, "insufficient_stock").saying("available", json!(4));
    server.post_json("/api/admin/products/1/adjust", r#"{"delta":10,"reason":"delivery"}"#);
    let again = server.post_with_key("/api/holds/1/5", "greedy", "");
    again.expect_problem(409, "insufficient_stock").saying("available", json!(4));
    assert!(!first.is_replayed() && again.is_replayed());
    assert_eq!(server.post_with_key("/api/holds/1/5", "modest", "").status, 200);
}

fn a_key_reused_with_another_request_is_rejected(backend: Backend) {
    let server = Server::start(backend, &[]);
    let hold = server.post_with_key("/api/holds/1/1", "k", "").number("id");
    let order = format!("/api/orders/{hold}/1");
    for (path, body) in [
        ("/api/holds/1/2", ""),
        ("/api/holds/1/1?ttl=60", ""),
        ("/api/holds/1/1", r#"{"ttl":61}"#),
        ("/api/holds", r#"{"items":[{"product_id":1,"quantity":2}]}"#),
        (&order, ""),
    ] {
        server.post_with_key(path, "k", body).expect_problem(422, "idempotency_mismatch");
    }
    server.expect_units([3, 1, 0, 0]);
}

fn invalid_keys_are_rejected(backend: Backend) {
    let server = Server::start(backend, &[]);
    for key in ["", &"k".repeat(300)] {
        server.post_with_key("/api/holds/1/1", key, "").expect_problem(422, "invalid_argument");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    server.send("POST", "/api/holds/1/1", &twice, "").expect_problem(422, "invalid_argument");
    server.expect_units([4, 0, 0, 0]);
}
