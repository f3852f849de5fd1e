//! Webhooks of payment providers. `server/tests/providers` sends what the providers'
//! own libraries sign; here the signatures are made by the published algorithms.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::answer::Answer;
use crate::server::Server;

const APPLIED: &str = r#"{"message":"ok","success":true,"result":"applied"}"#;
const RECORDED: &str = r#"{"message":"ok","success":true,"result":"recorded"}"#;
const REPEATED: &str = r#"{"message":"ok","success":true,"result":"repeated"}"#;
const WAITING: &str = r#"{"message":"ok","success":true,"result":"waiting"}"#;
const IGNORED: &str = r#"{"message":"ok","success":true,"result":"ignored"}"#;

pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.try_into().unwrap()
}

pub fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub fn post(server: &Server, provider: &str, header: (&str, &str), body: &str) -> Answer {
    server.send("POST", &format!("/api/payments/webhook/{provider}"), &[header], body)
}

pub fn razorpay(server: &Server, secret: &str, body: &str) -> Answer {
    let signature = hex::encode(mac(secret.as_bytes(), body));
    post(server, "razorpay", ("X-Razorpay-Signature", &signature), body)
}

pub fn stripe(server: &Server, secret: &str, age: i64, body: &str) -> Answer {
    let time = now() - age;
    let signature = hex::encode(mac(secret.as_bytes(), &format!("{time}.{body}")));
    post(server, "stripe", ("Stripe-Signature", &format!("t={time},v1={signature}")), body)
}

pub fn payment_intent(event: &str, id: &str, metadata: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"event","type":"{event}","data":{{"object":{{"id":"pi_1","object":"payment_intent","amount":20000,"amount_received":20000,"currency":"eur","metadata":{metadata}}}}}}}"#
    )
}

pub fn for_order(order: u64) -> String {
    format!(r#"{{"stockade_order_id":"{order}"}}"#)
}

#[track_caller]
pub fn expect_status(server: &Server, order: u64, status: &str) {
    assert_eq!(server.get(&format!("/api/orders/{order}")).field("status"), status);
}

/// Provokes each documented answer of a server whose secret of Razorpay is `hush`.
pub fn every_answer(server: &Server) {
    razorpay(server, "hush", r#"{"event":"payout.created"}"#).expect(200, IGNORED);
    razorpay(server, "hush", "{}").expect_problem(422, "invalid_argument");
    razorpay(server, "guess", "{}").expect_problem(401, "unauthorized");
    razorpay(server, "hush", "{").expect_problem(400, "malformed_request");
    post(server, "elsewhere", ("x", "y"), "{}").expect_problem(404, "not_found");
}

#[test]
fn provider_without_its_secret_is_not_served() {
    let server = Server::sqlite(&[]);
    for (provider, variable) in [
        ("stripe", "STOCKADE_STRIPE_SECRET"),
        ("adyen", "STOCKADE_ADYEN_SECRET"),
        ("razorpay", "STOCKADE_RAZORPAY_SECRET"),
        ("paymob", "STOCKADE_PAYMOB_SECRET"),
        ("checkout", "STOCKADE_CHECKOUT_SECRET"),
        ("standard", "STOCKADE_STANDARD_WEBHOOKS_SECRET"),
        ("paypal", "STOCKADE_PAYPAL_CREDENTIALS"),
        ("mollie", "STOCKADE_MOLLIE_KEY"),
    ] {
        let answer = post(&server, provider, ("x", "y"), "{}");
        answer.expect_problem(404, "not_found");
        assert!(answer.body.contains(&format!("set {variable}\"")), "{}", answer.body);
    }
}

#[test]
fn unsigned_delivery_of_any_provider_is_rejected_and_changes_nothing() {
    let server = Server::sqlite(&[
        "--stripe-secret=hush",
        "--adyen-secret=00",
        "--razorpay-secret=hush",
        "--paymob-secret=hush",
        "--checkout-secret=hush",
        "--standard-webhooks-secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "--paypal-credentials=id:secret",
        "--paypal-webhook-id=1JE4291016473214C",
        "--paypal-url=http://127.0.0.1:1",
    ]);
    let order = server.order(1);
    let bodies = [
        ("stripe", payment_intent("payment_intent.succeeded", "evt_1", &for_order(order))),
        ("adyen", adyen_body(order, "", "AUTHORISATION")),
        (
            "razorpay",
            format!(
                r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{{"id":"pay_1","notes":{}}}}}}}}}"#,
                for_order(order)
            ),
        ),
        (
            "paymob",
            format!(
                r#"{{"type":"TRANSACTION","obj":{{"id":1,"success":true,"payment_key_claims":{{"extra":{}}}}}}}"#,
                for_order(order)
            ),
        ),
        (
            "checkout",
            format!(
                r#"{{"id":"evt_1","type":"payment_captured","data":{{"id":"pay_1","metadata":{}}}}}"#,
                for_order(order)
            ),
        ),
        ("standard", format!(r#"{{"type":"payment.succeeded","data":{{"order_id":{order}}}}}"#)),
        (
            "paypal",
            format!(
                r#"{{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{{"invoice_id":"{order}"}}}}"#
            ),
        ),
    ];
    for (provider, body) in &bodies {
        for header in [
            ("x-nothing", "y"),
            ("stripe-signature", "t=1,v1=00"),
            ("x-razorpay-signature", "00"),
            ("cko-signature", "00"),
            ("webhook-signature", "v1,AAAA"),
            ("paypal-transmission-sig", "AAAA"),
        ] {
            let answer = post(&server, provider, header, body);
            answer.expect_problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").is_some(), "{provider}");
        }
        let query = format!("/api/payments/webhook/{provider}?hmac=00");
        server.send("POST", &query, &[], body).expect_problem(401, "unauthorized");
    }
    expect_status(&server, order, "pending_payment");
    server.expect_units([3, 0, 1, 0]);
}

fn adyen_body(order: u64, signature: &str, code: &str) -> String {
    format!(
        r#"{{"live":"false","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"{signature}","metadata.stockade_order_id":"{order}"}},"amount":{{"currency":"EUR","value":20000}},"eventCode":"{code}","merchantAccountCode":"Shop","merchantReference":"A-1","pspReference":"P1","success":"true"}}}}]}}"#
    )
}

#[test]
fn adyen_receives_its_own_answer() {
    let server = Server::sqlite(&["--adyen-secret=686d6163"]);
    let order = server.order(1);
    let signed = BASE64_STANDARD.encode(mac(b"hmac", "P1::Shop:A-1:20000:EUR:AUTHORISATION:true"));
    for _ in 0..2 {
        let answer =
            post(&server, "adyen", ("x", "y"), &adyen_body(order, &signed, "AUTHORISATION"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "[accepted]"));
    }
    expect_status(&server, order, "paid");
}

#[test]
fn delivery_is_applied_once_however_often_it_comes() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &for_order(order));
    stripe(&server, "hush", 0, &paid).expect(200, APPLIED);
    for age in [0, 100, -100] {
        let again = stripe(&server, "hush", age, &paid);
        again.expect(200, REPEATED);
        assert!(again.is_replayed());
    }
    let failed = payment_intent("payment_intent.payment_failed", "evt_2", &for_order(order));
    stripe(&server, "hush", 0, &failed).expect(200, RECORDED);
    // The same id with another meaning.
    let other = payment_intent("payment_intent.canceled", "evt_1", &for_order(order));
    stripe(&server, "hush", 0, &other).expect_problem(422, "idempotency_mismatch");
    expect_status(&server, order, "paid");
    server.expect_units([3, 0, 0, 1]);
    server.expect_health();
}

#[test]
fn delivery_that_is_too_old_is_rejected() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &for_order(order));
    for age in [310, -310, 86_400] {
        stripe(&server, "hush", age, &paid).expect_problem(401, "unauthorized");
    }
    expect_status(&server, order, "pending_payment");
    stripe(&server, "hush", 290, &paid).expect(200, APPLIED);
}

#[test]
fn secret_is_changed_while_both_are_accepted() {
    let server = Server::sqlite(&["--stripe-secret=new, old"]);
    let orders = [server.order(1), server.order(1)];
    for (secret, order) in ["new", "old"].into_iter().zip(orders) {
        let id = format!("evt_{secret}");
        let paid = payment_intent("payment_intent.succeeded", &id, &for_order(order));
        stripe(&server, "new, old", 0, &paid).expect_problem(401, "unauthorized");
        stripe(&server, secret, 0, &paid).expect(200, APPLIED);
        expect_status(&server, order, "paid");
    }
}

#[test]
fn order_is_named_by_its_token_before_and_after_it_exists() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let ordered = server.post(&format!("/api/orders/{}/1", server.hold(1)));
    let (order, token) = (ordered.number("id"), ordered.field("payment_token"));
    let metadata = format!(r#"{{"stockade_payment_token":"{token}"}}"#);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &metadata);
    stripe(&server, "hush", 0, &paid).expect(200, APPLIED);
    expect_status(&server, order, "paid");
    let early = payment_intent("payment_intent.succeeded", "evt_2", &for_order(order + 1));
    stripe(&server, "hush", 0, &early).expect(200, WAITING);
    assert_eq!(server.order(1), order + 1);
    expect_status(&server, order + 1, "paid");
    for bad in ["\"nonsense\"", "7", &format!("\"pt_{order}_00000000000000000000000000000000\"")] {
        let metadata = format!(r#"{{"stockade_payment_token":{bad}}}"#);
        let paid = payment_intent("payment_intent.succeeded", "evt_3", &metadata);
        stripe(&server, "hush", 0, &paid).expect_problem(422, "invalid_argument");
    }
}

#[test]
fn event_without_an_order_or_a_meaning_is_counted_and_ignored() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = for_order(server.order(1));
    for (event, metadata) in [
        ("payment_intent.processing", "{}"),
        ("charge.dispute.created", "{}"),
        ("customer.created", &order),
        ("charge.refunded", &order),
    ] {
        let body = payment_intent(event, "evt_1", metadata);
        stripe(&server, "hush", 0, &body).expect(200, IGNORED);
    }
    for meaning in ["neutral", "ignored", "refund", "dispute"] {
        let name =
            format!(r#"stockade_provider_events_total{{provider="stripe",meaning="{meaning}"}}"#);
        assert_eq!(server.counted(&name), 1, "{meaning}");
    }
    server.expect_units([3, 0, 1, 0]);
}

/// The `result` of a delivery that was accepted.
#[track_caller]
pub fn expect_result(answer: &Answer, result: &str) {
    let expected = format!(r#"{{"message":"ok","success":true,"result":"{result}"}}"#);
    answer.expect(200, &expected);
}

#[test]
fn payment_that_names_no_order_waits_until_it_is_tied_to_one() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let body = payment_intent("payment_intent.succeeded", "evt_1", "{}");
    expect_result(&stripe(&server, "hush", 0, &body), "waiting");
    let waiting = server.get("/api/admin/payments/waiting");
    let waiting = &waiting.json()["items"][0];
    assert_eq!(waiting["payment_reference"], "stripe/pi_1", "{waiting}");
    assert!(waiting.get("order_id").is_none(), "{waiting}");
    let order = server.order(1);
    expect_status(&server, order, "pending_payment");
    let path = format!("/api/orders/{order}/payment-reference");
    let tied = server.post_json(&path, r#"{"provider":"stripe","reference":"pi_1"}"#);
    assert_eq!(tied.field("status"), "paid", "{}", tied.body);
    expect_result(&stripe(&server, "hush", 0, &body), "repeated");
    server.expect_units([3, 0, 0, 1]);
    let events = server.get("/api/admin/events");
    let events = events.json();
    let paid = events["events"].as_array().unwrap().last().unwrap();
    assert_eq!(paid["type"], "order.paid");
}

#[test]
fn dispute_is_an_event_that_names_the_provider() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    for (event, result) in [
        ("payment_intent.succeeded", "applied"),
        ("charge.dispute.created", "recorded"),
        ("charge.dispute.created", "repeated"),
    ] {
        let body = payment_intent(event, event, &for_order(order));
        expect_result(&stripe(&server, "hush", 0, &body), result);
    }
    expect_status(&server, order, "paid");
    let events = server.get("/api/admin/events");
    let events = events.json();
    let events = events["events"].as_array().unwrap().iter().rev().take(2);
    let told: Vec<_> = events.map(|event| (&event["type"], &event["actor"])).collect();
    let by = json!("webhook/stripe");
    assert_eq!(told, [(&json!("payment.disputed"), &by), (&json!("order.paid"), &by)]);
    server.expect_units([3, 0, 0, 1]);
}

/// A charge of which `refunded` minor units were given back, `before` of them earlier.
fn refunded_charge(id: &str, metadata: &str, refunded: u32, before: u32) -> String {
    format!(
        r#"{{"id":"{id}","object":"event","type":"charge.refunded","data":{{"object":{{"id":"ch_1","object":"charge","payment_intent":"pi_1","amount":20000,"amount_refunded":{refunded},"currency":"eur","metadata":{metadata}}},"previous_attributes":{{"amount_refunded":{before}}}}}}}"#
    )
}

#[test]
fn payment_of_another_amount_does_not_pay() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &for_order(order));
    for (id, was, is) in [("evt_2", "20000", "19999"), ("evt_3", "eur", "usd")] {
        let other = paid.replace("evt_1", id).replace(was, is);
        stripe(&server, "hush", 0, &other).expect(200, RECORDED);
        let shown = server.get(&format!("/api/orders/{order}"));
        assert_eq!(shown.field("payment_disposition"), "amount_mismatch");
        expect_status(&server, order, "pending_payment");
    }
    stripe(&server, "hush", 0, &paid).expect(200, APPLIED);
    expect_status(&server, order, "paid");
    // Another payment of the same order.
    let second = paid.replace("evt_1", "evt_4").replace("pi_1", "pi_2");
    stripe(&server, "hush", 0, &second).expect(200, RECORDED);
    let shown = server.get(&format!("/api/orders/{order}"));
    assert_eq!(shown.field("payment_disposition"), "needs_refund");
    server.expect_units([3, 0, 0, 1]);
}

#[test]
fn refund_at_the_provider_is_booked_once() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    // Of a payment that is tied to no order.
    stripe(&server, "hush", 0, &refunded_charge("evt_0", "{}", 500, 0)).expect(200, IGNORED);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &for_order(order));
    stripe(&server, "hush", 0, &paid).expect(200, APPLIED);
    let partial = refunded_charge("evt_2", &for_order(order), 500, 0);
    stripe(&server, "hush", 0, &partial).expect(200, APPLIED);
    stripe(&server, "hush", 0, &partial).expect(200, REPEATED);
    let shown = server.get(&format!("/api/orders/{order}"));
    assert!(shown.body.contains(r#""refunded_amount":5,"#), "{}", shown.body);
    assert_eq!(shown.field("status"), "partially_refunded");
    stripe(&server, "hush", 0, &refunded_charge("evt_3", &for_order(order), 20_000, 500))
        .expect(200, APPLIED);
    expect_status(&server, order, "refunded");
    // More than was paid is the provider's business.
    stripe(&server, "hush", 0, &refunded_charge("evt_4", &for_order(order), 20_001, 20_000))
        .expect(200, IGNORED);
    server.expect_health();
}

#[test]
fn full_refund_at_the_provider_returns_the_units() {
    let server = Server::sqlite(&["--stripe-secret=hush"]);
    let order = server.order(1);
    let paid = payment_intent("payment_intent.succeeded", "evt_1", &for_order(order));
    stripe(&server, "hush", 0, &paid).expect(200, APPLIED);
    stripe(&server, "hush", 0, &refunded_charge("evt_2", &for_order(order), 20_000, 0))
        .expect(200, APPLIED);
    expect_status(&server, order, "refunded");
    server.expect_units([3, 0, 0, 0]);
    let product = server.get("/api/products/1");
    assert!(product.body.contains(r#""returned":1"#), "{}", product.body);
}

#[test]
fn provider_that_cannot_be_asked_is_told_to_send_again() {
    let server = Server::sqlite(&[
        "--mollie-key=test_key",
        "--mollie-url=http://127.0.0.1:1",
        "--paypal-credentials=id:secret",
        "--paypal-webhook-id=1JE4291016473214C",
        "--paypal-url=http://127.0.0.1:1",
    ]);
    let mollie = |body: &str| post(&server, "mollie", ("x", "y"), body);
    mollie("id=tr_7UhSN1zuXS").expect_problem(503, "unavailable");
    // Ids that no payment can have are not asked for.
    for id in ["ord_1", "tr_..%2F..%2Fv2", "tr_1%3Fa", "", "%FF", &format!("tr_{}", "1".repeat(99))]
    {
        mollie(&format!("id={id}")).expect(200, IGNORED);
    }
    mollie("payment=tr_1").expect_problem(422, "invalid_argument");
    let headers: Vec<_> = ["auth-algo", "cert-url", "transmission-id", "transmission-sig"]
        .into_iter()
        .chain(["transmission-time"])
        .map(|name| (format!("paypal-{name}"), "x"))
        .collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let path = "/api/payments/webhook/paypal";
    server.send("POST", path, &headers, "{}").expect_problem(503, "unavailable");
    server.send("POST", path, &headers[1..], "{}").expect_problem(401, "unauthorized");
    server.send("POST", path, &headers, "{").expect_problem(400, "malformed_request");
}
