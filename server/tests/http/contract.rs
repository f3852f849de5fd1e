//! The contract's responses and table of cases, except the lifecycle of a hold.

use serde_json::json;

use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    contract_responses_match
    each_answer_beyond
    invalid_arguments_are_rejected
    quantities_above_the_hold_limit_are_rejected
    unknown_ids_are_not_found
    order_rejects_a_hold_for_another_product
    hold_rejects_more_units_than_available
    a_cart_is_all_or_nothing
    products_are_paginated
}

const HOLD: &str = r#"{"id":<n>,"qty":2,"expires_at":"<second>","product_id":1,"status":"active","token":"<secret>"}"#;
/// Tokens are returned only when the hold or order is created.
const HOLD_LATER: &str =
    r#"{"id":<n>,"qty":2,"expires_at":"<second>","product_id":1,"status":"active"}"#;
const ORDER_LATER: &str = r#"{"status":"pending_payment","hold_id":<n>,"updated_at":"<microsecond>","created_at":"<microsecond>","id":<n>,"product_id":1,"qty":2,"payment_disposition":"none","lines":[{"line":1,"hold_id":<n>,"product_id":1,"qty":2,"price":200,"refunded":0,"returned":0}],"amount":400,"currency":"EUR","refunded_amount":0,"pay_until":"<microsecond>"}"#;
const ORDER: &str = r#"{"status":"pending_payment","hold_id":<n>,"updated_at":"<microsecond>","created_at":"<microsecond>","id":<n>,"product_id":1,"qty":2,"payment_token":"pt_<n>_<secret>","payment_disposition":"none","lines":[{"line":1,"hold_id":<n>,"product_id":1,"qty":2,"price":200,"refunded":0,"returned":0}],"amount":400,"currency":"EUR","refunded_amount":0,"pay_until":"<microsecond>"}"#;

fn contract_responses_match(backend: Backend) {
    let server = Server::start(backend, &[]);
    server.get("/api/products/1").expect(
        200,
        r#"{"id":1,"price":200,"stock":4,"name":"Concert ticket","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":4,"safety_stock":0,"archived":false}"#,
    );
    let held = server.post("/api/holds/1/2");
    held.expect(
        200,
        &format!(r#"{{"message":"Holded Successfully","success":true,"hold":{HOLD}}}"#),
    );
    server.expect_units([2, 2, 0, 0]);

    let ordered = server.post(&format!("/api/orders/{}/1", held.number("id")));
    ordered.expect(
        200,
        &format!(r#"{{"message":"order created successfully","success":true,"order":{ORDER}}}"#),
    );
    assert_eq!(ordered.number("hold_id"), held.number("id"));
    assert_eq!(ordered.field("created_at"), ordered.field("updated_at"));
    server.expect_units([2, 0, 2, 0]);

    let id = ordered.number("id");
    server
        .webhook(&format!(r#"{{"order_id":{id},"status":"success","idempotency_key":"e-1"}}"#))
        .expect(200, r#"{"message":"ok","result":"applied"}"#);
    server.expect_units([2, 0, 0, 2]);
    server.expect_health();
}

fn each_answer_beyond(backend: Backend) {
    let server = Server::start(backend, &[]);
    let price =
        server.post_json("/api/admin/products", r#"{"name":"Mug","price":19.99,"stock":7}"#);
    let mug = r#"{"id":2,"price":19.99,"stock":7,"name":"Mug","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":7,"safety_stock":0,"archived":false}"#;
    price.expect(201, mug);
    server.get("/api/products/2").expect(200, mug);

    let id = server.hold(2);
    server
        .get(&format!("/api/holds/{id}"))
        .expect(200, &format!(r#"{{"success":true,"hold":{HOLD_LATER}}}"#));
    server.post(&format!("/api/holds/{id}/extend")).expect(
        200,
        &format!(r#"{{"message":"hold extended","success":true,"hold":{HOLD_LATER}}}"#),
    );
    let order = server.post(&format!("/api/orders/{id}/1")).number("id");
    server
        .get(&format!("/api/orders/{order}"))
        .expect(200, &format!(r#"{{"success":true,"order":{ORDER_LATER}}}"#));
    let converted = HOLD_LATER.replace("\"active\"", "\"converted\",\"order_id\":<n>");
    server
        .get(&format!("/api/holds/{id}"))
        .expect(200, &format!(r#"{{"success":true,"hold":{converted}}}"#));

    let id = server.hold(2);
    let released = HOLD_LATER.replace("active", "released");
    server
        .delete(&format!("/api/holds/{id}"))
        .expect(200, &format!(r#"{{"message":"hold released","success":true,"hold":{released}}}"#));

    let line = HOLD.replace(r#""qty":2"#, r#""qty":1"#);
    let line = line.replace(r#""token""#, r#""cart_id":<n>,"token""#);
    let other = line.replace(r#""product_id":1"#, r#""product_id":2"#);
    server
        .post_json(
            "/api/holds",
            r#"{"items":[{"product_id":2,"quantity":1},{"product_id":1,"quantity":1}],"ttl":60}"#,
        )
        .expect(
            200,
            &format!(
                r#"{{"message":"Holded Successfully","success":true,"cart_id":<n>,"holds":[{line},{other}],"token":"<secret>"}}"#
            ),
        );
    server.expect_health();
}

fn invalid_arguments_are_rejected(backend: Backend) {
    let server = Server::start(backend, &["--hold-ttl-max=1h"]);
    for quantity in [
        "0",
        "-1",
        "+1",
        "2abc",
        "1.5",
        "1e1",
        "%20",
        "0x1",
        "4294967296",
        "99999999999999999999",
        "%D9%A1",
    ] {
        server.post(&format!("/api/holds/1/{quantity}")).expect_problem(422, "invalid_argument");
    }
    for id in ["abc", "-1", "1.5", "1abc", "%31x", "%00", "%F0%9F%92%A9"] {
        for (method, path) in [
            ("GET", format!("/api/products/{id}")),
            ("POST", format!("/api/holds/{id}/1")),
            ("GET", format!("/api/holds/{id}")),
            ("DELETE", format!("/api/holds/{id}")),
            ("POST", format!("/api/holds/{id}/extend")),
            ("POST", format!("/api/orders/{id}/1")),
            ("POST", format!("/api/orders/1/{id}")),
            ("GET", format!("/api/orders/{id}")),
            ("POST", format!("/api/admin/products/{id}/adjust")),
        ] {
            let answer = server.send(method, &path, &[], r#"{"delta":1,"reason":"x"}"#);
            answer.expect_problem(422, "invalid_argument").saying("instance", json!(path));
        }
    }
    let hold = server.hold(1);
    for ttl in [
        "0",
        "-1",
        "1.5",
        "\"60\"",
        "3601",
        "99999999999999999999",
        "18446744073709551615",
        "1e2",
        "[60]",
        "true",
    ] {
        let body = format!(r#"{{"ttl":{ttl}}}"#);
        server.post_json("/api/holds/1/1", &body).expect_problem(422, "invalid_argument");
        server
            .post_json(&format!("/api/holds/{hold}/extend"), &body)
            .expect_problem(422, "invalid_argument");
        let cart = format!(r#"{{"items":[{{"product_id":1,"quantity":1}}],"ttl":{ttl}}}"#);
        server.post_json("/api/holds", &cart).expect_problem(422, "invalid_argument");
    }
    for ttl in ["0", "-1", "1.5", "abc", "", "3601", "99999999999999999999", "60&ttl=60"] {
        server.post(&format!("/api/holds/1/1?ttl={ttl}")).expect_problem(422, "invalid_argument");
    }
    server
        .post_json("/api/holds/1/1?ttl=60", r#"{"ttl":60}"#)
        .expect_problem(422, "invalid_argument");
    for quantity in ["0", "-1", "1.5", "\"1\"", "4294967296", "null"] {
        let cart = format!(r#"{{"items":[{{"product_id":1,"quantity":{quantity}}}]}}"#);
        server.post_json("/api/holds", &cart).expect_problem(422, "invalid_argument");
    }
    server.expect_units([3, 1, 0, 0]);
    // Percent-encoded digits are digits.
    assert_eq!(server.post("/api/holds/%31/%31?ttl=%36%30").status, 200);
    server.expect_health();
}

fn quantities_above_the_hold_limit_are_rejected(backend: Backend) {
    let server = Server::start(backend, &["--max-per-hold=3"]);
    assert_eq!(server.post("/api/holds/1/3").status, 200);
    server.post("/api/holds/1/4").expect_problem(422, "quantity_limit");
    server
        .post_json("/api/holds", r#"{"items":[{"product_id":1,"quantity":4}]}"#)
        .expect_problem(422, "quantity_limit");
    server.expect_units([1, 3, 0, 0]);
}

fn unknown_ids_are_not_found(backend: Backend) {
    let server = Server::start(backend, &[]);
    for (method, path) in [
        ("GET", "/api/products/77"),
        ("GET", "/api/products/0"),
        ("GET", "/api/products/99999999999999999999"),
        ("POST", "/api/holds/77/1"),
        ("GET", "/api/holds/77"),
        ("DELETE", "/api/holds/77"),
        ("POST", "/api/holds/77/extend"),
        ("POST", "/api/orders/77/1"),
        ("GET", "/api/orders/77"),
        ("GET", "/api/orders/99999999999999999999"),
        ("POST", "/api/admin/products/77/adjust"),
    ] {
        let body = if path.ends_with("adjust") { r#"{"delta":1,"reason":"x"}"# } else { "" };
        server.send(method, path, &[], body).expect_problem(404, "not_found");
    }
    server
        .post_json(
            "/api/holds",
            r#"{"items":[{"product_id":1,"quantity":1},{"product_id":77,"quantity":1}]}"#,
        )
        .expect_problem(404, "not_found");
    server.expect_units([4, 0, 0, 0]);
}

fn order_rejects_a_hold_for_another_product(backend: Backend) {
    let server = Server::start(backend, &[]);
    let created = server.post_json("/api/admin/products", r#"{"name":"Mug","price":5,"stock":1}"#);
    assert_eq!(created.number("id"), 2);
    let hold = server.hold(2);
    for other in [2, 77] {
        server.post(&format!("/api/orders/{hold}/{other}")).expect_problem(404, "product_mismatch");
    }
    server.expect_units([2, 2, 0, 0]);
    assert_eq!(server.post(&format!("/api/orders/{hold}/1")).status, 200);
}

fn hold_rejects_more_units_than_available(backend: Backend) {
    let server = Server::start(backend, &[]);
    server.hold(1);
    server
        .post("/api/holds/1/4")
        .expect_problem(409, "insufficient_stock")
        .saying("available", json!(3));
    server.expect_units([3, 1, 0, 0]);
    server.hold(3);
    server
        .post("/api/holds/1/1")
        .expect_problem(409, "insufficient_stock")
        .saying("available", json!(0));
    server.expect_units([0, 4, 0, 0]);
    server.expect_health();
}

fn a_cart_is_all_or_nothing(backend: Backend) {
    let server = Server::start(backend, &["--cart-lines-max=3"]);
    server.post_json("/api/admin/products", r#"{"name":"Mug","price":5,"stock":1}"#);
    let cart = |lines: &[(u32, u32)]| {
        let lines: Vec<_> = lines
            .iter()
            .map(|(id, quantity)| json!({"product_id": id, "quantity": quantity}))
            .collect();
        server.post_json("/api/holds", &json!({ "items": lines }).to_string())
    };
    cart(&[(2, 2), (1, 3), (1, 2)]).expect_problem(409, "insufficient_stock").saying(
        "short",
        json!([{"product_id": 1, "requested": 5, "available": 4}, {"product_id": 2, "requested": 2, "available": 1}]),
    );
    server.expect_units([4, 0, 0, 0]);
    cart(&[]).expect_problem(422, "invalid_argument");
    cart(&[(1, 1), (1, 1), (2, 1), (1, 1)]).expect_problem(422, "invalid_argument");
    // Lines of one product become one hold.
    let held = cart(&[(1, 1), (2, 1), (1, 2)]);
    assert_eq!((held.status, held.body.matches("\"qty\"").count()), (200, 2), "{}", held.body);
    server.expect_units([1, 3, 0, 0]);
    server.expect_health();
}

fn products_are_paginated(backend: Backend) {
    let server = Server::start(backend, &[]);
    for name in ["two", "three"] {
        server.post_json(
            "/api/admin/products",
            &format!(r#"{{"name":"{name}","price":0.5,"stock":0}}"#),
        );
    }
    let first = server.get("/api/products?limit=2");
    assert!(
        first.body.starts_with(r#"{"items":[{"id":1,"price":200,"stock":4,"#),
        "{}",
        first.body
    );
    assert!(first.body.ends_with(r#"],"next":2}"#), "{}", first.body);
    server.get("/api/products?after=2&limit=2").expect(
        200,
        r#"{"items":[{"id":3,"price":0.5,"stock":0,"name":"three","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":0,"safety_stock":0,"archived":false}],"next":null}"#,
    );
    server
        .get("/api/products?after=99999999999999999999")
        .expect(200, r#"{"items":[],"next":null}"#);
    assert!(server.get("/api/products").body.ends_with(r#""next":null}"#));
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=4294967297",
        "limit=all",
        "limit=",
        "after=x",
        "after=-1",
        "limit=1&limit=2",
        "after=%ff",
    ] {
        server.get(&format!("/api/products?{bad}")).expect_problem(422, "invalid_argument");
    }
}
