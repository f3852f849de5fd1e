//! Razorpay: `X-Razorpay-Signature` is the hexadecimal HMAC-SHA256 of the body.

use serde_json::Value;

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::{
    Delivery, EventTable, Meaning, MoneyPointers, OrderName, ProviderEvent, REFUND, amount,
    is_same_amount, json, mac, meaning,
};
use crate::problem::Rejection;
use crate::settings::Secrets;

/// Payments, refunds and disputes.
pub const EVENTS: &EventTable = &[
    ("payment.captured", Success),
    ("payment.failed", AttemptFailed),
    ("payment.authorized", Neutral),
    ("payment.pending", Neutral),
    ("order.paid", Success),
    ("order.notification.delivered", Neutral),
    ("order.notification.failed", Neutral),
    ("payment_link.paid", Success),
    ("payment_link.partially_paid", Neutral),
    ("payment_link.cancelled", Failed),
    ("payment_link.expired", Failed),
    ("invoice.paid", Success),
    ("invoice.partially_paid", Neutral),
    ("invoice.expired", Failed),
    ("qr_code.credited", Neutral),
    ("virtual_account.credited", Neutral),
    ("refund.processed", REFUND),
    ("refund.created", Neutral),
    ("refund.failed", Neutral),
    ("refund.speed_changed", Neutral),
    ("refund.arn_updated", Neutral),
    ("payment.dispute.created", Dispute),
    ("payment.dispute.lost", Dispute),
    ("payment.dispute.won", Neutral),
    ("payment.dispute.closed", Neutral),
    ("payment.dispute.under_review", Neutral),
    ("payment.dispute.action_required", Neutral),
];

/// Verifies the signature.
pub fn verify(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<(), Rejection> {
    mac::check_hex_of_body(delivery, "x-razorpay-signature", "X-Razorpay-Signature", secrets)
}

/// Translates a verified body.
pub fn events(body: &[u8]) -> Result<Vec<ProviderEvent>, Rejection> {
    let event = json::object(body)?;
    let kind = json::required(&event, "/event")?;
    let payload = event.get("payload").unwrap_or(&Value::Null);
    let entity = |name: &str| payload.get(name).map_or(&Value::Null, |one| &one["entity"]);
    let (payment, order, link) = (entity("payment"), entity("order"), entity("payment_link"));
    // The object that the event is about names it: a link that is paid in parts has a
    // payment for each part.
    let name = match kind.split('.').next().unwrap_or_default() {
        _ if kind.starts_with("payment.dispute.") => "dispute",
        "payment_link" if kind == "payment_link.partially_paid" => "payment",
        name @ ("refund" | "order" | "payment_link" | "invoice") => name,
        _ => "payment",
    };
    let subject = entity(name);
    let id = json::text(subject, "/id").or_else(|| json::text(payment, "/id"));
    let Some(id) = id.filter(|_| meaning(EVENTS, kind) != Meaning::Ignored) else {
        let key = format!("razorpay/{kind}/{}", event["created_at"]);
        let (meaning, order) = (Meaning::Ignored, OrderName::default());
        return Ok(vec![ProviderEvent { key, meaning, amount: None, order }]);
    };
    let meaning = refined(kind, subject, payment);
    let name = if subject["amount"].is_null() { "payment" } else { name };
    let [amount, currency] =
        ["amount", "currency"].map(|field| format!("/payload/{name}/entity/{field}"));
    let place = MoneyPointers { amount: &amount, currency: &currency };
    Ok(vec![ProviderEvent {
        key: format!("razorpay/{kind}/{id}"),
        meaning,
        amount: amount::minor(&event, meaning, place, amount::iso_decimals)?,
        order: order_name(&[payment, order, link, entity("invoice"), entity("refund")])?,
    }])
}

fn refined(kind: &str, refund: &Value, payment: &Value) -> Meaning {
    let (part, all) = (refund.get("amount"), payment.get("amount"));
    meaning(EVENTS, kind).with_fullness(|| is_same_amount(part, all))
}

/// The first entity that names the order counts. Razorpay's order is the payment's
/// reference, since a shop knows it before there is a payment.
fn order_name(entities: &[&Value]) -> Result<OrderName, Rejection> {
    let mut name = OrderName::default();
    for entity in entities {
        let found = OrderName::from_metadata(entity.get("notes"))?;
        name.payment_token = name.payment_token.or(found.payment_token);
        name.order_id = name.order_id.or(found.order_id);
        name = name
            .or_own(json::text(entity, "/reference_id"))
            .or_own(json::text(entity, "/receipt").filter(|_| entity["entity"] != "refund"));
    }
    let first = |pointer| entities.iter().find_map(|entity| json::text(entity, pointer));
    let payment = first("/order_id").or_else(|| first("/payment_id")).or_else(|| first("/id"));
    Ok(name.of_payment(payment))
}
