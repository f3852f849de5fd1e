//! Paymob's callbacks, whose `hmac` covers fields that are joined without separators: a
//! copy whose fields are cut elsewhere carries the same `hmac`, and must do nothing.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;

use crate::answer::Answer;
use crate::providers::expect_status;
use crate::server::Server;

/// The signed fields in the order of Paymob's page.
const SIGNED: &str = "amount_cents created_at currency error_occured has_parent_transaction id \
                      integration_id is_3d_secure is_auth is_capture is_refunded \
                      is_standalone_payment is_voided order/id owner pending source_data/pan \
                      source_data/sub_type source_data/type success";

/// A payment of `cents` for an order, signed or not.
fn transaction(order: u64, id: u64, cents: u64) -> Value {
    json!({
        "id": id, "amount_cents": cents, "created_at": "2026-12-01T11:33:44.592345",
        "currency": "EUR", "error_occured": false, "has_parent_transaction": false,
        "integration_id": 4_097_558, "is_3d_secure": true, "is_auth": false, "is_capture": false,
        "is_refunded": false, "is_standalone_payment": true, "is_voided": false,
        "order": {"id": 217_503_754, "amount_cents": cents}, "owner": 302_852, "pending": false,
        "source_data": {"pan": "2346", "sub_type": "MasterCard", "type": "card"}, "success": true,
        "payment_key_claims": {"extra": {"stockade_order_id": order}},
    })
}

/// The text that Paymob signs.
fn text(transaction: &Value) -> String {
    let field = |name: &str| match transaction.pointer(&format!("/{name}")) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    SIGNED.split_whitespace().map(field).collect()
}

fn hmac(text: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(b"hush").unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn send(server: &Server, transaction: &Value, hmac: &str) -> Answer {
    let body = json!({"type": "TRANSACTION", "obj": transaction}).to_string();
    server.send("POST", &format!("/api/payments/webhook/paymob?hmac={hmac}"), &[], &body)
}

fn with(transaction: &Value, fields: &[(&str, Value)]) -> Value {
    let mut copy = transaction.clone();
    for (pointer, value) in fields {
        match pointer.rsplit_once('/') {
            Some((parent, name)) => copy[parent][name] = value.clone(),
            None => copy[*pointer] = value.clone(),
        }
    }
    copy
}

#[test]
fn a_copy_whose_fields_are_cut_elsewhere_is_refused_by_its_field() {
    let server = Server::sqlite(&["--paymob-secret=hush"]);
    let order = server.order(1);
    let paid = transaction(order, 192_036_465, 199);
    let signed = hmac(&text(&paid));
    let at = "2026-12-01T11:33:44.592345";
    for (fields, named) in [
        (vec![("amount_cents", json!(19920)), ("created_at", json!(&at[2..]))], "created_at"),
        (vec![("amount_cents", json!(1)), ("created_at", json!(format!("99{at}")))], "created_at"),
        (vec![("amount_cents", json!("199"))], "amount_cents"),
        (
            vec![("amount_cents", Value::Null), ("created_at", json!(format!("199{at}")))],
            "amount_cents",
        ),
        (vec![("currency", Value::Null), ("created_at", json!(format!("{at}EUR")))], "created_at"),
        (vec![("currency", json!("EURf")), ("error_occured", json!("alse"))], "currency"),
        (vec![("id", json!("192036465"))], "id"),
        (vec![("id", json!("19203646")), ("integration_id", json!("54097558"))], "id"),
        (vec![("integration_id", json!("4097558"))], "integration_id"),
        (vec![("is_auth", json!("false"))], "is_auth"),
        (vec![("is_3d_secure", json!("truefalse")), ("is_auth", Value::Null)], "is_3d_secure"),
        (vec![("pending", json!("false"))], "pending"),
        (vec![("owner", json!("302852false")), ("pending", Value::Null)], "owner"),
        (vec![("source_data/pan", json!(2346))], "source_data.pan"),
        (vec![("source_data/type", json!("cardtrue")), ("success", Value::Null)], "success"),
        (vec![("success", json!("true"))], "success"),
    ] {
        let copy = with(&paid, &fields);
        assert_eq!(text(&copy), text(&paid), "{fields:?}");
        let refused = send(&server, &copy, &signed);
        refused.expect_problem(422, "invalid_argument");
        let message = refused.field("message").to_owned();
        assert!(message.starts_with(&format!("obj.{named}: ")), "{fields:?}: {message}");
        send(&server, &copy, "00").expect_problem(401, "unauthorized");
    }
    expect_status(&server, order, "pending_payment");
    server.expect_units([3, 0, 1, 0]);
}

#[test]
fn an_authorization_stays_one_whatever_a_copy_says() {
    let server = Server::sqlite(&["--paymob-secret=hush"]);
    let order = server.order(1);
    let authorized = with(&transaction(order, 7, 20_000), &[("is_auth", json!(true))]);
    let signed = hmac(&text(&authorized));
    let copy = with(&authorized, &[("is_auth", json!("true"))]);
    send(&server, &copy, &signed).expect_problem(422, "invalid_argument");
    assert_eq!(send(&server, &authorized, &signed).field("result"), "recorded");
    expect_status(&server, order, "pending_payment");
}

#[test]
fn a_transaction_pays_one_order_however_its_ids_are_cut() {
    let server = Server::sqlite(&["--paymob-secret=hush"]);
    let orders = [server.order(1), server.order(1)];
    let paid = transaction(orders[0], 192_036_465, 20_000);
    let signed = hmac(&text(&paid));
    assert_eq!(send(&server, &paid, &signed).field("result"), "applied");
    let other = json!({"extra": {"stockade_order_id": orders[1]}});
    for (id, integration) in [(192_036_465, 4_097_558), (19_203_646, 54_097_558), (1, 0)] {
        let integration = if id == 1 { json!(920_364_654_097_558_u64) } else { json!(integration) };
        let fields = [
            ("id", json!(id)),
            ("integration_id", integration),
            ("payment_key_claims", other.clone()),
        ];
        let copy = with(&paid, &fields);
        assert_eq!(text(&copy), text(&paid));
        send(&server, &copy, &signed).expect_problem(422, "idempotency_mismatch");
    }
    // The paid order's own callback, cut elsewhere, is the same event.
    let copy = with(&paid, &[("id", json!(19_203_646)), ("integration_id", json!(54_097_558))]);
    assert_eq!(send(&server, &copy, &signed).field("result"), "repeated");
    expect_status(&server, orders[0], "paid");
    expect_status(&server, orders[1], "pending_payment");
    server.expect_units([2, 0, 1, 1]);
}

#[test]
fn only_the_integrations_of_the_setting_are_taken() {
    let server =
        Server::sqlite(&["--paymob-secret=hush", "--paymob-integration-ids=16105, 4097558"]);
    let order = server.order(1);
    let paid = transaction(order, 192_036_465, 20_000);
    let signed = hmac(&text(&paid));
    let copy = with(&paid, &[("id", json!(19_203_646)), ("integration_id", json!(54_097_558))]);
    let refused = send(&server, &copy, &signed);
    refused.expect_problem(422, "invalid_argument");
    assert!(refused.field("message").contains("paymob_integration_ids"), "{}", refused.body);
    assert_eq!(send(&server, &paid, &signed).field("result"), "applied");
    expect_status(&server, order, "paid");
}
