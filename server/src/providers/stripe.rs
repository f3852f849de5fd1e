//! Stripe: `Stripe-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of t.body>`.

mod payment;

use hmac::Hmac;
use serde_json::Value;
use sha2::Sha256;

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::{
    Amount, Delivery, EventTable, Meaning, MoneyPointers, OrderName, ProviderEvent, REFUND, amount,
    is_same_amount, json, mac, meaning, unsigned,
};
use crate::problem::Rejection;
use crate::settings::Secrets;
use crate::signature::{is_recent, parse};

const SCHEME: &str = "Stripe-Signature";

/// Payments, refunds and disputes. A charge of a payment intent is neutral: the
/// intent has its own event.
pub const EVENTS: &EventTable = &[
    ("payment_intent.succeeded", Success),
    ("payment_intent.payment_failed", AttemptFailed),
    ("payment_intent.canceled", Failed),
    ("payment_intent.created", Neutral),
    ("payment_intent.processing", Neutral),
    ("payment_intent.requires_action", Neutral),
    ("payment_intent.amount_capturable_updated", Neutral),
    ("payment_intent.partially_funded", Neutral),
    ("checkout.session.completed", Success),
    ("checkout.session.async_payment_succeeded", Success),
    ("checkout.session.async_payment_failed", AttemptFailed),
    ("checkout.session.expired", Failed),
    ("charge.succeeded", Success),
    ("charge.captured", Success),
    ("charge.failed", AttemptFailed),
    ("charge.expired", Failed),
    ("charge.pending", Neutral),
    ("charge.updated", Neutral),
    ("charge.refunded", REFUND),
    ("charge.refund.updated", Neutral),
    ("refund.created", Neutral),
    ("refund.updated", Neutral),
    ("refund.failed", Neutral),
    ("charge.dispute.created", Dispute),
    ("charge.dispute.funds_withdrawn", Dispute),
    ("charge.dispute.updated", Neutral),
    ("charge.dispute.closed", Neutral),
    ("charge.dispute.funds_reinstated", Neutral),
    ("radar.early_fraud_warning.created", Neutral),
    ("radar.early_fraud_warning.updated", Neutral),
    ("review.opened", Neutral),
    ("review.closed", Neutral),
    ("invoice.paid", Success),
    ("invoice.payment_failed", AttemptFailed),
    ("invoice.marked_uncollectible", Failed),
    ("invoice.voided", Failed),
    ("invoice.payment_succeeded", Neutral),
    ("invoice.payment_action_required", Neutral),
    ("invoice.payment_attempt_required", Neutral),
    ("invoice.overpaid", Neutral),
    ("invoice_payment.paid", Neutral),
    ("source.chargeable", Neutral),
    ("source.failed", AttemptFailed),
    ("source.canceled", Failed),
];

/// Verifies the signature and its age.
pub fn verify(delivery: &Delivery<'_>, secrets: &Secrets, now: i64) -> Result<(), Rejection> {
    let reject = |why| Err(unsigned(SCHEME, why));
    let Some(header) = delivery.header("stripe-signature") else {
        return reject("the Stripe-Signature header is missing");
    };
    let Some((time, signatures)) = parse(header) else {
        return reject("the Stripe-Signature header must read t=<unix seconds>,v1=<hex>");
    };
    let parts = [time.as_bytes(), b".", delivery.body];
    if !mac::is_signed::<Hmac<Sha256>>(secrets.iter(), &parts, &signatures) {
        return reject("the signature is invalid");
    }
    if is_recent(time, now) {
        return Ok(());
    }
    reject("the signature's time differs by more than five minutes")
}

/// Translates a verified body.
pub fn events(body: &[u8]) -> Result<Vec<ProviderEvent>, Rejection> {
    let event = json::object(body)?;
    let id = json::required(&event, "/id")?;
    let kind = json::required(&event, "/type")?;
    let object = event.pointer("/data/object").unwrap_or(&Value::Null);
    let order = OrderName::from_metadata(object.get("metadata"))?
        .or_own(json::text(object, "/client_reference_id"))
        .of_payment(payment::reference(kind, object));
    let before = event.pointer("/data/previous_attributes/amount_refunded");
    let before = before.and_then(Value::as_u64).unwrap_or(0);
    let meaning = refined(kind, object).with_fullness(|| is_full(object, before));
    let amount = amount_of(kind, meaning, &event, before)?;
    Ok(vec![ProviderEvent { key: format!("stripe/{id}"), meaning, amount, order }])
}

/// The meaning by the table, and by the state of the object.
fn refined(kind: &str, object: &Value) -> Meaning {
    let listed = meaning(EVENTS, kind);
    let is_charge = json::text(object, "/object") == Some("charge");
    let is_refund = matches!(listed, Meaning::Refund { .. });
    let is_of_intent = is_charge && !is_refund && json::id(object, "/payment_intent").is_some();
    let is_authorization = kind == "charge.succeeded" && !json::flag(object, "/captured");
    let is_unpaid = kind == "checkout.session.completed"
        && json::text(object, "/payment_status") == Some("unpaid");
    if is_of_intent || is_authorization || is_unpaid { Neutral } else { listed }
}

/// Whether a refund is of the whole charge, of which `before` was refunded earlier.
fn is_full(charge: &Value, before: u64) -> Option<bool> {
    if before > 0 {
        return Some(false);
    }
    is_same_amount(charge.get("amount_refunded"), charge.get("amount"))
}

fn amount_of(
    kind: &str,
    meaning: Meaning,
    event: &Value,
    before: u64,
) -> Result<Option<Amount>, Rejection> {
    let (field, before) = match kind {
        // A charge shows what was refunded in all.
        "charge.refunded" => ("amount_refunded", before),
        "payment_intent.succeeded" => ("amount_received", 0),
        "charge.captured" => ("amount_captured", 0),
        "invoice.paid" => ("amount_paid", 0),
        _ if kind.starts_with("checkout.session.") => ("amount_total", 0),
        _ if kind.starts_with("invoice.") => ("amount_due", 0),
        _ => ("amount", 0),
    };
    let amount = format!("/data/object/{field}");
    let place = MoneyPointers { amount: &amount, currency: "/data/object/currency" };
    amount::minor_since(event, meaning, place, before, decimals)
}

/// The decimals of Stripe's amounts: <https://docs.stripe.com/currencies>.
pub fn decimals(code: &str) -> u32 {
    match code {
        "ISK" | "UGX" => 2,
        "MGA" => 0,
        _ => amount::iso_decimals(code),
    }
}
