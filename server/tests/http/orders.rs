//! Orders over HTTP: bodies, responses and what only HTTP has. The cases of all faces
//! are in `cases.json`.

use serde_json::json;

use crate::answer::Answer;
use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    an_order_of_several_holds_shows_its_lines
    unusable_holds_are_all_named
    the_short_form_takes_the_terms
    bodies_are_rejected_by_field
    an_order_is_changed_and_says_so
    no_later_response_shows_a_token
    a_key_makes_a_refund_once
    a_cart_becomes_one_order
    a_buyer_does_not_say_what_an_order_costs
}

fn order(server: &Server, body: &str) -> Answer {
    server.post_json("/api/orders", body)
}

fn act(server: &Server, order: u64, action: &str, body: &str) -> Answer {
    server.post_json(&format!("/api/orders/{order}/{action}"), body)
}

fn paid(server: &Server, quantity: u32) -> u64 {
    let order = server.order(quantity);
    server.webhook(&format!(r#"{{"order_id":{order},"status":"paid"}}"#));
    order
}

fn an_order_of_several_holds_shows_its_lines(backend: Backend) {
    let server = Server::start(backend, &[]);
    server.post_json("/api/admin/products", r#"{"name":"Mug","price":19.99,"stock":7}"#);
    let mug = server.post("/api/holds/2/1");
    let (id, token) = (mug.number("id"), mug.field("token"));
    let ticket = server.hold(2);
    let body = format!(
        r#"{{"holds":[{{"id":{id},"token":"{token}"}},{{"id":{ticket}}}],
            "amount":424.90,"currency":"EUR","reference":"2026-1004","payment_ttl":600}}"#
    );
    let made = order(&server, &body);
    let lines = r#""lines":[{"line":1,"hold_id":<n>,"product_id":2,"qty":1,"price":19.99,"refunded":0,"returned":0},{"line":2,"hold_id":<n>,"product_id":1,"qty":2,"price":200,"refunded":0,"returned":0}],"amount":424.9,"currency":"EUR","refunded_amount":0,"pay_until":"<microsecond>","reference":"2026-1004""#;
    let head = r#""updated_at":"<microsecond>","created_at":"<microsecond>","id":<n>"#;
    made.expect(
        200,
        &format!(
            r#"{{"message":"order created successfully","success":true,"order":{{"status":"pending_payment",{head},"payment_token":"pt_<n>_<secret>","payment_disposition":"none",{lines}}}}}"#
        ),
    );
    server.get(&format!("/api/orders/{}", made.number("id"))).expect(
        200,
        &format!(
            r#"{{"success":true,"order":{{"status":"pending_payment",{head},"payment_disposition":"none",{lines}}}}}"#
        ),
    );
    server.expect_units([2, 0, 2, 0]);
    server.expect_health();
}

fn unusable_holds_are_all_named(backend: Backend) {
    let server = Server::start(backend, &[]);
    let used = server.hold(1);
    let first = server.post(&format!("/api/orders/{used}/1")).number("id");
    let (released, good) = (server.hold(1), server.hold(1));
    server.delete(&format!("/api/holds/{released}"));
    let body = format!(r#"{{"holds":[{{"id":{good}}},{{"id":{released}}},{{"id":{used}}}]}}"#);
    let named = json!([
        {"hold_id": released, "code": "hold_expired"},
        {"hold_id": used, "code": "hold_already_used", "order_id": first},
    ]);
    order(&server, &body).expect_problem(422, "hold_expired").saying("holds", named);
    assert_eq!(server.get(&format!("/api/holds/{good}")).field("status"), "active");
    server.expect_health();
}

fn the_short_form_takes_the_terms(backend: Backend) {
    let server = Server::start(backend, &[]);
    let held = server.post("/api/holds/1/2");
    let path = format!("/api/orders/{}/1", held.number("id"));
    let body = |token: &str| {
        format!(r#"{{"amount":"380","reference":"A-1","payment_ttl":60,"token":"{token}"}}"#)
    };
    let both = [("hold-token", held.field("token"))];
    server
        .send("POST", &path, &both, &body(held.field("token")))
        .expect_problem(422, "invalid_argument");
    let wrong = "00000000000000000000000000000000";
    server.post_json(&path, &body(wrong)).expect_problem(401, "unauthorized");
    let made = server.post_json(&path, &body(held.field("token")));
    assert_eq!((made.status, made.field("amount")), (200, "380"), "{}", made.body);
    assert_eq!((made.field("reference"), made.number("qty")), ("A-1", 2));
    let other = format!("/api/orders/{}/1", server.hold(1));
    server
        .post_json(&other, r#"{"reference":"A-1"}"#)
        .expect_problem(409, "already_exists")
        .saying("order_id", json!(made.number("id")));
}

fn bodies_are_rejected_by_field(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order_id = paid(&server, 1);
    for (path, body, named) in [
        ("/api/orders", r#"{"holds":[{"id":1,"qty":2}]}"#, "holds[0].qty"),
        ("/api/orders", r#"{"holds":[{"token":null}]}"#, "holds[0].id"),
        ("/api/orders", r#"{"holds":[[1]]}"#, "holds[0]"),
        ("/api/orders", r#"{"holds":[{"id":1}],"amount":true}"#, "amount"),
        ("/api/orders", r#"{"holds":[{"id":1}],"amount":1e2}"#, "amount"),
        ("/api/orders", r#"{"holds":[{"id":1}],"currency":"EURO"}"#, "currency"),
        ("/api/orders", r#"{"holds":[{"id":1}],"referense":"A"}"#, "referense"),
        ("/api/orders", r#"{"reference":"A"}"#, "holds"),
        ("/api/orders/1/1", r#"{"holds":[]}"#, "holds"),
        ("/api/orders/1/refund", r#"{"lines":[{"line":1}]}"#, "lines[0].quantity"),
        ("/api/orders/1/refund", r#"{"lines":[{"line":1,"qty":1}]}"#, "lines[0].qty"),
        ("/api/orders/1/refund", r#"{"lines":[]}"#, "lines"),
        ("/api/orders/1/refund", r#"{"restock":1}"#, "restock"),
        ("/api/orders/1/refund", r#"{"amount":-5}"#, "amount"),
        ("/api/orders/1/restock", r#"{"amount":5}"#, "amount"),
        ("/api/orders/1/extend", r#"{"ttl":"60"}"#, "ttl"),
        ("/api/orders/1/cancel", r#"{"reason":7}"#, "reason"),
        ("/api/orders/1/payment-reference", r#"{"provider":"stripe"}"#, "reference"),
    ] {
        let rejected = server.post_json(path, body);
        let detail = rejected.expect_problem(422, "invalid_argument").json();
        let detail = detail["detail"].as_str().unwrap();
        assert!(detail.starts_with(named), "{path} {body}: {detail}");
    }
    let shown = server.get(&format!("/api/orders/{order_id}"));
    assert_eq!((shown.field("status"), shown.field("refunded_amount")), ("paid", "0"));
}

fn an_order_is_changed_and_says_so(backend: Backend) {
    let server = Server::start(backend, &[]);
    let expect = |answer: Answer, message: &str, status: &str| {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        assert_eq!((&body["message"], &body["success"]), (&json!(message), &json!(true)));
        assert_eq!(body["order"]["status"], status, "{}", answer.body);
    };
    let order = server.order(2);
    let before = server.get(&format!("/api/orders/{order}")).field("pay_until").to_owned();
    let extended = server.post(&format!("/api/orders/{order}/extend?ttl=3600"));
    assert!(extended.field("pay_until") > before.as_str(), "{}", extended.body);
    expect(extended, "order extended", "pending_payment");
    let reference = r#"{"provider":"stripe","reference":"pi_3N"}"#;
    let tied = act(&server, order, "payment-reference", reference);
    expect(tied, "payment reference set", "pending_payment");
    expect(act(&server, order, "cancel", r#"{"reason":"rang"}"#), "order cancelled", "cancelled");
    expect(act(&server, order, "cancel", ""), "order cancelled", "cancelled");
    let order = paid(&server, 3);
    let body = r#"{"lines":[{"line":1,"quantity":2}],"reason":"torn"}"#;
    let refunded = act(&server, order, "refund", body);
    assert_eq!(refunded.json()["order"]["refunded_amount"], 400);
    expect(refunded, "order refunded", "partially_refunded");
    assert_eq!(server.get("/api/products/1").number("returned"), 2);
    let restocked = act(&server, order, "restock", "");
    expect(restocked, "order restocked", "partially_refunded");
    assert_eq!(server.get("/api/products/1").number("returned"), 0);
    server.expect_units([3, 0, 0, 1]);
    server.expect_health();
}

fn no_later_response_shows_a_token(backend: Backend) {
    let server = Server::start(backend, &[]);
    let pending = server.order(1);
    let order = paid(&server, 1);
    let reference = r#"{"provider":"stripe","reference":"pi_3N"}"#;
    for answer in [
        act(&server, pending, "extend", ""),
        act(&server, pending, "payment-reference", reference),
        act(&server, pending, "cancel", ""),
        act(&server, order, "refund", ""),
        act(&server, order, "restock", ""),
        server.get(&format!("/api/orders/{order}")),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains("token"), "{}", answer.body);
        assert!(!answer.body.contains("pt_"), "{}", answer.body);
    }
}

fn a_key_makes_a_refund_once(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = paid(&server, 2);
    let path = format!("/api/orders/{order}/refund");
    let body = r#"{"lines":[{"line":1,"quantity":1}]}"#;
    let first = server.post_with_key(&path, "r", body);
    let again = server.post_with_key(&path, "r", body);
    assert_eq!((first.is_replayed(), again.is_replayed()), (false, true));
    assert_eq!(first.body, again.body);
    server.post_with_key(&path, "r", "{}").expect_problem(422, "idempotency_mismatch");
    let too_much = r#"{"lines":[{"line":1,"quantity":9}]}"#;
    for replayed in [false, true] {
        let refused = server.post_with_key(&path, "s", too_much);
        refused.expect_problem(409, "refund_too_large");
        assert_eq!(refused.is_replayed(), replayed);
    }
    assert_eq!(server.get("/api/products/1").number("returned"), 1);
    server.expect_health();
}

fn a_cart_becomes_one_order(backend: Backend) {
    let server = Server::start(backend, &["--require-hold-token"]);
    server.post_json("/api/admin/products", r#"{"name":"Mug","price":19.99,"stock":7}"#);
    let items = r#"{"items":[{"product_id":1,"quantity":1},{"product_id":2,"quantity":2}]}"#;
    let cart = server.post_json("/api/holds", items).json();
    let (id, token) = (&cart["cart_id"], cart["token"].as_str().unwrap());
    let of = |more: &str| format!(r#"{{"cart_id":{id}{more}}}"#);
    order(&server, &of("")).expect_problem(401, "unauthorized");
    order(&server, &of(r#","holds":[]"#)).expect_problem(422, "invalid_argument");
    order(&server, r#"{"holds":[{"id":1}],"token":"00000000000000000000000000000000"}"#)
        .expect_problem(422, "invalid_argument");
    let made = order(&server, &of(&format!(r#","token":"{token}""#))).json();
    let lines = made["order"]["lines"].as_array().unwrap();
    assert_eq!((lines.len(), &made["order"]["amount"]), (2, &json!(239.98)));
    let again = server.send("POST", "/api/orders", &[("hold-token", token)], &of(""));
    again.expect_problem(409, "hold_already_used").saying("order_id", made["order"]["id"].clone());
    server.expect_health();
}

fn a_buyer_does_not_say_what_an_order_costs(backend: Backend) {
    let keys = "--api-keys=shop:sell:sesame-sesame-sesame,boss:operate:secret-of-the-boss-x";
    let server = Server::locked(backend, &[keys]);
    let product = r#"{"name":"Concert ticket","price":200,"stock":4}"#;
    let boss = [("authorization", "Bearer secret-of-the-boss-x")];
    assert_eq!(server.send("POST", "/api/admin/products", &boss, product).status, 201);
    let (one, two) = (server.hold(1), server.hold(1));
    let body = format!(r#"{{"holds":[{{"id":{one}}}],"amount":0}}"#);
    order(&server, &body).expect_problem(403, "forbidden");
    let short = format!("/api/orders/{two}/1");
    server.post_json(&short, r#"{"amount":"0"}"#).expect_problem(403, "forbidden");
    let key = [("authorization", "Bearer sesame-sesame-sesame")];
    assert_eq!(server.send("POST", "/api/orders", &key, &body).field("amount"), "0");
    assert_eq!(server.post(&short).field("amount"), "200");
}
