//! The operators' endpoints.

use serde_json::json;
use stockade_testkit::wait_until;

use crate::on_every_backend;
use crate::server::{Backend, SOON, Server};

on_every_backend! {
    prices_are_exact
    invalid_products_are_rejected
    receiving_and_writing_off
    sweeping_and_auditing
    events_in_order
}

fn prices_are_exact(backend: Backend) {
    let server = Server::start(backend, &[]);
    for (id, given, shown) in [
        (2, "19.99", "19.99"),
        (3, "0.1", "0.1"),
        (4, "200.00", "200"),
        (5, "0", "0"),
        (6, "92233720368547758.07", "92233720368547758.07"),
        (7, "1.10", "1.1"),
        (8, r#""19.99""#, "19.99"),
        (9, r#""200""#, "200"),
    ] {
        let body = format!(r#"{{"name":"Mug","price":{given},"stock":0}}"#);
        assert_eq!(server.post_json("/api/admin/products", &body).field("price"), shown);
        assert_eq!(server.get(&format!("/api/products/{id}")).field("price"), shown);
    }
}

fn invalid_products_are_rejected(backend: Backend) {
    let server = Server::start(backend, &[]);
    let long = "x".repeat(256);
    for body in [
        r#"{"name":"Mug","price":"19.999","stock":1}"#,
        r#"{"name":"Mug","price":" 19.99","stock":1}"#,
        r#"{"name":"Mug","price":"","stock":1}"#,
        r#"{"name":"Mug","price":19.999,"stock":1}"#,
        r#"{"name":"Mug","price":-1,"stock":1}"#,
        r#"{"name":"Mug","price":1e2,"stock":1}"#,
        r#"{"name":"Mug","price":null,"stock":1}"#,
        r#"{"name":"Mug","price":92233720368547758.08,"stock":1}"#,
        r#"{"name":"Mug","price":1,"stock":-1}"#,
        r#"{"name":"Mug","price":1,"stock":1.5}"#,
        r#"{"name":"Mug","price":1,"stock":18446744073709551615}"#,
        r#"{"name":"Mug","price":1}"#,
        r#"{"name":7,"price":1,"stock":1}"#,
        r#"{"price":1,"stock":1}"#,
        r#"["Mug",1,1]"#,
        &format!(r#"{{"name":"{long}","price":1,"stock":1}}"#),
    ] {
        server.post_json("/api/admin/products", body).expect_problem(422, "invalid_argument");
    }
    assert!(server.get("/api/products").body.ends_with(r#"}],"next":null}"#));
    server.get("/api/products/2").expect_problem(404, "not_found");
}

fn receiving_and_writing_off(backend: Backend) {
    let server = Server::start(backend, &[]);
    let adjust = |body: &str| server.post_json("/api/admin/products/1/adjust", body);
    server.hold(1);
    adjust(r#"{"delta":7,"reason":"delivery"}"#).expect(
        200,
        r#"{"id":1,"price":200,"stock":10,"name":"Concert ticket","held":1,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":10,"safety_stock":0,"archived":false}"#,
    );
    assert_eq!(adjust(r#"{"delta":-4,"reason":"broken"}"#).number("stock"), 6);
    adjust(r#"{"delta":-7,"reason":"broken"}"#)
        .expect_problem(409, "insufficient_stock")
        .saying("available", json!(6));
    for body in [
        r#"{"delta":0,"reason":"nothing"}"#,
        r#"{"delta":1.5,"reason":"x"}"#,
        r#"{"delta":"1","reason":"x"}"#,
        r#"{"delta":99999999999999999999,"reason":"x"}"#,
        r#"{"delta":9223372036854775807,"reason":"x"}"#,
        r#"{"reason":"x"}"#,
        r#"{"delta":1}"#,
    ] {
        adjust(body).expect_problem(422, "invalid_argument");
    }
    server.expect_units([6, 1, 0, 0]);
    server.expect_health();
}

fn sweeping_and_auditing(backend: Backend) {
    let server = Server::start(backend, &["--sweeper=false", "--payment-ttl=1s"]);
    server.post("/api/admin/sweep").expect(200, r#"{"holds_expired":0,"orders_cancelled":0}"#);
    server.order(1);
    server.post("/api/holds/1/2?ttl=1");
    server.expect_units([1, 2, 1, 0]);
    let (mut holds, mut orders) = (0, 0);
    wait_until("all is swept", SOON, || {
        let swept = server.post("/api/admin/sweep");
        holds += swept.number("holds_expired");
        orders += swept.number("orders_cancelled");
        (holds, orders) == (1, 1)
    });
    server.expect_units([4, 0, 0, 0]);
    server.expect_health();
}

fn events_in_order(backend: Backend) {
    let server = Server::start(backend, &[]);
    let start = server.get("/api/admin/events");
    let order = server.order(1);
    server.webhook(&format!(r#"{{"order_id":{order},"status":"paid"}}"#));
    let path = format!("/api/admin/events?after={}", start.number("next"));
    let mut events = server.get(&path);
    wait_until("the events are told", SOON, || {
        events = server.get(&path);
        events.body.contains("order.paid")
    });
    let told: serde_json::Value = serde_json::from_str(&events.body).unwrap();
    let told = told["events"].as_array().unwrap();
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["hold.created", "order.created", "order.paid"]);
    let cursors: Vec<_> = told.iter().map(|event| event["cursor"].as_u64().unwrap()).collect();
    assert!(cursors.windows(2).all(|pair| pair[0] < pair[1]), "{cursors:?}");
    assert_eq!(Some(&json!(order)), told[2].get("order_id"));
    let end = format!(r#"],"next":{}}}"#, cursors[2]);
    assert!(events.body.ends_with(&end), "{}", events.body);
    server
        .get(&format!("/api/admin/events?after={}", cursors[2]))
        .expect(200, &format!(r#"{{"events":[],"next":{}}}"#, cursors[2]));
    let one = server.get(&format!("{path}&limit=1"));
    assert!(one.body.ends_with(&format!(r#"],"next":{}}}"#, cursors[0])), "{}", one.body);
    for bad in [
        "limit=0",
        "limit=x",
        "limit=99999999999999999999",
        "after=-1",
        "after=1.5",
        "after=99999999999999999999",
    ] {
        server.get(&format!("/api/admin/events?{bad}")).expect_problem(422, "invalid_argument");
    }
}

/// Provokes the responses of what operators do with products, lists, waiting payments
/// and customers.
pub fn every_answer(server: &Server) {
    let put = |product: &str, version: &str, body: &str| {
        let headers = [("if-match", version)];
        let headers = if version.is_empty() { &[][..] } else { &headers };
        server.send("PUT", &format!("/api/admin/products/{product}"), headers, body)
    };
    let lamp = r#"{"name":"Lamp","price":1}"#;
    assert_eq!(put("sku:LAMP%2F1", "", lamp).status, 201);
    let made = put("sku:LAMP%2F1", "", r#"{"name":"Lamp","price":"1","stock":2}"#);
    assert_eq!((made.status, made.field("sku")), (200, "LAMP/1"));
    let id = made.number("id").to_string();
    put("1", "", r#"{"name":"Mug","price":1,"sku":"LAMP/1"}"#)
        .expect_problem(409, "already_exists");
    put(&id, "\"99\"", lamp).expect_problem(412, "version_mismatch");
    put("x", "", lamp).expect_problem(422, "invalid_argument");
    let new = r#"{"name":"Mug","price":1,"stock":1,"sku":"LAMP/1"}"#;
    server.post_json("/api/admin/products", new).expect_problem(409, "already_exists");
    let path = format!("/api/admin/products/{id}");
    let old = [("if-match", "\"99\"")];
    for (method, body) in [("PATCH", "{}"), ("DELETE", "")] {
        assert_eq!(server.send(method, &path, &[], body).status, 200);
        server.send(method, &path, &old, body).expect_problem(412, "version_mismatch");
        let unknown = "/api/admin/products/77";
        server.send(method, unknown, &[], body).expect_problem(404, "not_found");
        let bad = "/api/admin/products/x";
        server.send(method, bad, &[], body).expect_problem(422, "invalid_argument");
    }
    let taken = server.send("PATCH", "/api/admin/products/1", &[], r#"{"sku":"LAMP/1"}"#);
    taken.expect_problem(409, "already_exists");
    server.post(&format!("/api/holds/{id}/1")).expect_problem(409, "not_on_sale");
    for list in ["holds", "orders", "payments/waiting"] {
        assert_eq!(server.get(&format!("/api/admin/{list}")).status, 200);
        let bad = server.get(&format!("/api/admin/{list}?colour=red"));
        bad.expect_problem(422, "invalid_argument");
    }
    let early = r#"{"status":"paid","order_id":7777,"idempotency_key":"early/1"}"#;
    assert_eq!(server.webhook(early).status, 202);
    let waiting = "/api/admin/payments/waiting/early%2F1";
    assert_eq!(server.delete(waiting).status, 200);
    server.delete(waiting).expect_problem(404, "not_found");
    server.delete("/api/admin/payments/waiting/%ff").expect_problem(422, "invalid_argument");
    let erase = |body: &str| server.post_json("/api/admin/customers/erase", body);
    assert_eq!(erase(r#"{"customer":"ada"}"#).status, 200);
    erase(r#"{"customer":""}"#).expect_problem(422, "invalid_argument");
}
