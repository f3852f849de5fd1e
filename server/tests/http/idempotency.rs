//! The same key twice.

use serde_json::json;

use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    the_first_answer_comes_again
    a_product_is_created_once
    a_refusal_comes_again_too
    another_request_with_the_key_is_refused
    keys_that_cannot_be
}

fn the_first_answer_comes_again(backend: Backend) {
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

fn a_refusal_comes_again_too(backend: Backend) {
    let server = Server::start(backend, &[]);
    let first = server.post_with_key("/api/holds/1/5", "greedy", "");
    first.expect_problem(409, "insufficient_stock").saying("available", json!(4));
    server.post_json("/api/admin/products/1/adjust", r#"{"delta":10,"reason":"delivery"}"#);
    let again = server.post_with_key("/api/holds/1/5", "greedy", "");
    again.expect_problem(409, "insufficient_stock").saying("available", json!(4));
    assert!(!first.is_replayed() && again.is_replayed());
    assert_eq!(server.post_with_key("/api/holds/1/5", "modest", "").status, 200);
}

fn another_request_with_the_key_is_refused(backend: Backend) {
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

fn keys_that_cannot_be(backend: Backend) {
    let server = Server::start(backend, &[]);
    for key in ["", &"k".repeat(300)] {
        server.post_with_key("/api/holds/1/1", key, "").expect_problem(422, "invalid_argument");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    server.send("POST", "/api/holds/1/1", &twice, "").expect_problem(422, "invalid_argument");
    server.expect_units([4, 0, 0, 0]);
}
