//! Payment events: the contract's second table.

use stockade_testkit::wait_until;

use crate::answer::Answer;
use crate::on_every_backend;
use crate::server::{Backend, SOON, Server};

on_every_backend! {
    success_and_failure_of_a_pending_order
    every_status_synonym_is_accepted
    a_repeated_event_is_applied_once
    a_key_reused_for_another_event_is_rejected
    an_amount_is_compared_exactly_as_a_number_or_a_text
    an_event_without_a_key_gets_a_derived_one
    a_final_order_and_the_same_outcome
    failure_after_paid
    success_after_cancelled_takes_the_stock_again
    success_after_cancelled_without_stock_needs_a_refund
    late_payment_may_always_be_refunded
    an_event_before_its_order_is_applied_later
    impossible_order_ids_are_rejected
    an_unpaid_order_is_cancelled_and_pays_late
    a_token_of_another_order
}

const APPLIED: &str = r#"{"message":"ok","result":"applied"}"#;
const RECORDED: &str = r#"{"message":"ok","result":"recorded"}"#;
const WAITING: &str = r#"{"message":"ok","result":"waiting"}"#;
const REPEATED: &str = r#"{"message":"ok","result":"repeated"}"#;
/// Whatever the result.
const OK: &str = r#"{"message":"ok","result":"<text>"}"#;

fn event(server: &Server, order: u64, status: &str, key: &str) -> Answer {
    server.webhook(&format!(
        r#"{{"order_id":{order},"status":"{status}","idempotency_key":"{key}"}}"#
    ))
}

#[track_caller]
fn expect_order(server: &Server, order: u64, status: &str, disposition: &str) {
    let shown = server.get(&format!("/api/orders/{order}"));
    assert_eq!((shown.field("status"), shown.field("payment_disposition")), (status, disposition));
}

/// Counts the events of a kind.
fn told(server: &Server, kind: &str) -> usize {
    server.get("/api/admin/events?limit=1000").body.matches(&format!(r#""type":"{kind}""#)).count()
}

fn success_and_failure_of_a_pending_order(backend: Backend) {
    let server = Server::start(backend, &[]);
    let (paid, failed) = (server.order(1), server.order(2));
    event(&server, paid, "success", "a").expect(200, OK);
    event(&server, failed, "failed", "b").expect(200, OK);
    expect_order(&server, paid, "paid", "none");
    expect_order(&server, failed, "cancelled", "none");
    server.expect_units([3, 0, 0, 1]);
    server.expect_health();
}

fn every_status_synonym_is_accepted(backend: Backend) {
    let server = Server::start(backend, &[]);
    server.post_json("/api/admin/products/1/adjust", r#"{"delta":100,"reason":"delivery"}"#);
    let success = ["success", "succeeded", "paid", "completed", "captured", "PAID", "Success"];
    let failure = ["failed", "failure", "declined", "refused", "DECLINED"];
    let end = ["cancelled", "canceled", "expired", "voided", "Canceled"];
    let failure = [&failure[..], &end].concat();
    for (words, status) in [(&success[..], "paid"), (&failure[..], "cancelled")] {
        for word in words {
            let order = server.order(1);
            event(&server, order, word, word).expect(200, APPLIED);
            expect_order(&server, order, status, "none");
        }
    }
    let order = server.order(1);
    for word in ["pending", "Processing", "authorized", "REQUIRES_ACTION", "neutral"] {
        event(&server, order, word, word).expect(200, RECORDED);
        event(&server, order + 1, word, &format!("{word}-early")).expect(200, RECORDED);
    }
    for word in ["PAID!", "refunded", "", "success "] {
        event(&server, order, word, "other").expect_problem(422, "invalid_argument");
    }
    expect_order(&server, order, "pending_payment", "none");
}

fn a_repeated_event_is_applied_once(backend: Backend) {
    let server = Server::start(backend, &[]);
    let (paid, failed) = (server.order(1), server.order(2));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                event(&server, paid, "success", "p").expect(200, OK);
                event(&server, failed, "failed", "f").expect(200, OK);
            });
        }
    });
    // Later, and with the fields in another order.
    let again = server.webhook(&format!(
        r#"{{ "status" : "failed", "idempotency_key":"f", "order_id":{failed} }}"#
    ));
    again.expect(200, REPEATED);
    assert!(again.is_replayed());
    server.expect_units([3, 0, 0, 1]);
    server.expect_health();
}

fn a_key_reused_for_another_event_is_rejected(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(1);
    event(&server, order, "success", "k").expect(200, OK);
    event(&server, order, "failed", "k").expect_problem(422, "idempotency_mismatch");
    let other = server.order(1);
    event(&server, other, "success", "k").expect_problem(422, "idempotency_mismatch");
    let with = |field: &str| {
        server.webhook(&format!(
            r#"{{"order_id":{order},"status":"paid",{field},"idempotency_key":"k"}}"#
        ))
    };
    with(r#""amount":200"#).expect_problem(422, "idempotency_mismatch");
    // What the provider says besides is no part of the event.
    with(r#""attempt":2"#).expect(200, REPEATED);
    expect_order(&server, other, "pending_payment", "none");
    expect_order(&server, order, "paid", "none");
    server.expect_units([2, 0, 1, 1]);
}

fn an_amount_is_compared_exactly_as_a_number_or_a_text(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(2);
    let paid = |amount: &str, key: &str| {
        server.webhook(&format!(
            r#"{{"order_id":{order},"status":"paid","amount":{amount},"idempotency_key":"{key}"}}"#
        ))
    };
    paid("399.9999", "a").expect(200, RECORDED);
    paid(r#""399.99""#, "b").expect(200, RECORDED);
    expect_order(&server, order, "pending_payment", "amount_mismatch");
    assert_eq!(told(&server, "payment.amount_mismatch"), 2);
    for bad in ["-1", "4e2", "true", r#""400,00""#, "400.00001"] {
        paid(bad, "c").expect_problem(422, "invalid_argument");
    }
    paid("400.00", "d").expect(200, APPLIED);
    paid(r#""400""#, "d").expect(200, REPEATED);
    expect_order(&server, order, "paid", "none");
    server.expect_units([2, 0, 0, 2]);
    server.expect_health();
}

fn an_event_without_a_key_gets_a_derived_one(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(1);
    for _ in 0..3 {
        server.webhook(&format!(r#"{{"order_id":{order},"status":"failed"}}"#)).expect(200, OK);
    }
    server.expect_units([4, 0, 0, 0]);
    // Both headers carry the same key.
    let order = server.order(1);
    for name in ["Idempotency-Key", "idempotency_key"] {
        let body = format!(r#"{{"order_id":"{order}","status":"paid"}}"#);
        server
            .send("POST", "/api/payments/webhook", &[(name, "header-key")], &body)
            .expect(200, OK);
        let other = format!(r#"{{"order_id":{order},"status":"failed"}}"#);
        server
            .send("POST", "/api/payments/webhook", &[(name, "header-key")], &other)
            .expect_problem(422, "idempotency_mismatch");
    }
    expect_order(&server, order, "paid", "none");
}

fn a_final_order_and_the_same_outcome(backend: Backend) {
    let server = Server::start(backend, &[]);
    let (paid, failed) = (server.order(1), server.order(1));
    for key in ["1", "2"] {
        event(&server, paid, "success", &format!("p{key}")).expect(200, OK);
        event(&server, failed, "failed", &format!("f{key}")).expect(200, OK);
    }
    server.expect_units([3, 0, 0, 1]);
    assert_eq!((told(&server, "order.paid"), told(&server, "order.cancelled")), (1, 1));
}

fn failure_after_paid(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(1);
    event(&server, order, "success", "1").expect(200, APPLIED);
    event(&server, order, "failed", "2").expect(200, RECORDED);
    event(&server, order, "cancelled", "3").expect(200, RECORDED);
    expect_order(&server, order, "paid", "none");
    server.expect_units([3, 0, 0, 1]);
    assert_eq!(told(&server, "payment.conflict"), 2);
}

fn success_after_cancelled_takes_the_stock_again(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(3);
    event(&server, order, "failed", "1").expect(200, OK);
    event(&server, order, "success", "2").expect(200, OK);
    expect_order(&server, order, "paid", "re_reserved");
    server.expect_units([1, 0, 0, 3]);
    server.expect_health();
}

fn success_after_cancelled_without_stock_needs_a_refund(backend: Backend) {
    let server = Server::start(backend, &[]);
    let order = server.order(3);
    event(&server, order, "failed", "1").expect(200, OK);
    server.hold(2);
    event(&server, order, "success", "2").expect(200, OK);
    expect_order(&server, order, "cancelled", "needs_refund");
    server.expect_units([2, 2, 0, 0]);
    assert_eq!(told(&server, "payment.needs_refund"), 1);
    server.expect_health();
}

fn late_payment_may_always_be_refunded(backend: Backend) {
    let server = Server::start(backend, &["--late-payment=refund"]);
    let order = server.order(3);
    event(&server, order, "failed", "1").expect(200, OK);
    event(&server, order, "success", "2").expect(200, OK);
    expect_order(&server, order, "cancelled", "needs_refund");
    server.expect_units([4, 0, 0, 0]);
}

fn an_event_before_its_order_is_applied_later(backend: Backend) {
    let server = Server::start(backend, &[]);
    let next = server.order(1) + 1;
    event(&server, next, "success", "early").expect(202, WAITING);
    event(&server, next, "success", "early").expect(202, REPEATED);
    let order = server.post(&format!("/api/orders/{}/1", server.hold(2)));
    assert_eq!(order.number("id"), next, "ids grow by one: {}", order.body);
    expect_order(&server, next, "paid", "none");
    server.expect_units([1, 0, 1, 2]);
    // The first response is replayed although the order exists now.
    event(&server, next, "success", "early").expect(202, REPEATED);
    server.expect_health();
}

fn impossible_order_ids_are_rejected(backend: Backend) {
    let server = Server::start(backend, &[]);
    for id in
        ["0", "-1", "1.5", "\"x\"", "\"\"", "true", "99999999999999999999", "9223372036854775808"]
    {
        server
            .webhook(&format!(r#"{{"order_id":{id},"status":"paid"}}"#))
            .expect_problem(422, "invalid_argument");
    }
    for token in ["nonsense", "pt_0_00000000000000000000000000000000", ""] {
        server
            .webhook(&format!(r#"{{"payment_token":"{token}","status":"paid"}}"#))
            .expect_problem(422, "invalid_argument");
    }
    server.webhook(r#"{"status":"paid"}"#).expect_problem(422, "invalid_argument");
    server.webhook(r#"{"order_id":1}"#).expect_problem(422, "invalid_argument");
}

fn an_unpaid_order_is_cancelled_and_pays_late(backend: Backend) {
    let server = Server::start(backend, &["--payment-ttl=1s"]);
    let order = server.order(4);
    wait_until("the order is cancelled", SOON, || {
        server.get(&format!("/api/orders/{order}")).field("status") == "cancelled"
    });
    server.expect_units([4, 0, 0, 0]);
    // The payment is late, and not lost.
    event(&server, order, "paid", "late").expect(200, OK);
    expect_order(&server, order, "paid", "re_reserved");
    server.expect_health();
}

fn a_token_of_another_order(backend: Backend) {
    let server = Server::start(backend, &[]);
    let ordered = server.post(&format!("/api/orders/{}/1", server.hold(1)));
    let (id, token) = (ordered.number("id"), ordered.field("payment_token"));
    let other = server.order(1);
    let wrong = format!("pt_{id}_00000000000000000000000000000000");
    server
        .webhook(&format!(r#"{{"payment_token":"{wrong}","status":"paid"}}"#))
        .expect_problem(422, "invalid_argument");
    server
        .webhook(&format!(r#"{{"order_id":{other},"payment_token":"{token}","status":"paid"}}"#))
        .expect_problem(422, "invalid_argument");
    server.expect_units([2, 0, 2, 0]);
    server.webhook(&format!(r#"{{"payment_token":"{token}","status":"paid"}}"#)).expect(200, OK);
    expect_order(&server, id, "paid", "none");
    expect_order(&server, other, "pending_payment", "none");
}
