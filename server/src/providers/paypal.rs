//! PayPal: a delivery is verified by asking PayPal.

mod verification;

use serde_json::Value;

pub use verification::PayPal;

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::{
    Amount, EventTable, Meaning, MoneyPointers, OrderName, ProviderEvent, REFUND, amount, json,
    meaning,
};
use crate::problem::Rejection;

/// Payments, refunds and disputes. An order's own events are neutral: its capture has
/// one, with the money that was moved.
pub const EVENTS: &EventTable = &[
    ("PAYMENT.CAPTURE.COMPLETED", Success),
    ("PAYMENT.CAPTURE.DECLINED", AttemptFailed),
    ("PAYMENT.CAPTURE.DENIED", AttemptFailed),
    ("PAYMENT.CAPTURE.PENDING", Neutral),
    ("PAYMENT.CAPTURE.REFUNDED", REFUND),
    ("PAYMENT.CAPTURE.REVERSED", Dispute),
    ("PAYMENT.AUTHORIZATION.CREATED", Neutral),
    ("PAYMENT.AUTHORIZATION.VOIDED", Failed),
    ("PAYMENT.ORDER.CREATED", Neutral),
    ("PAYMENT.ORDER.CANCELLED", Failed),
    ("PAYMENT.REFUND.PENDING", Neutral),
    ("PAYMENT.REFUND.FAILED", Neutral),
    ("PAYMENT.SALE.COMPLETED", Success),
    ("PAYMENT.SALE.DENIED", AttemptFailed),
    ("PAYMENT.SALE.PENDING", Neutral),
    ("PAYMENT.SALE.REFUNDED", REFUND),
    ("PAYMENT.SALE.REVERSED", Dispute),
    ("PAYMENTS.PAYMENT.CREATED", Neutral),
    ("CHECKOUT.CHECKOUT.BUYER-APPROVED", Neutral),
    ("CHECKOUT.ORDER.APPROVED", Neutral),
    ("CHECKOUT.ORDER.COMPLETED", Neutral),
    ("CHECKOUT.ORDER.PROCESSED", Neutral),
    ("CHECKOUT.ORDER.SAVED", Neutral),
    ("CHECKOUT.ORDER.DECLINED", AttemptFailed),
    ("CHECKOUT.ORDER.VOIDED", Failed),
    ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", Failed),
    ("INVOICING.INVOICE.PAID", Neutral),
    ("INVOICING.INVOICE.REFUNDED", Neutral),
    ("INVOICING.INVOICE.CANCELLED", Neutral),
    ("CUSTOMER.DISPUTE.CREATED", Dispute),
    ("RISK.DISPUTE.CREATED", Dispute),
    ("CUSTOMER.DISPUTE.UPDATED", Neutral),
    ("CUSTOMER.DISPUTE.RESOLVED", Neutral),
];

/// Translates a verified body.
pub fn events(body: &[u8]) -> Result<Vec<ProviderEvent>, Rejection> {
    let event = json::object(body)?;
    let id = json::required(&event, "/id")?;
    let kind = json::required(&event, "/event_type")?;
    let resource = event.get("resource").unwrap_or(&Value::Null);
    let meaning = meaning(EVENTS, kind);
    let amount = amount_of(&event, meaning)?;
    let key = format!("paypal/{id}");
    Ok(vec![ProviderEvent { key, meaning, amount, order: order_name(resource) }])
}

/// The amount in the form of version 2, of a dispute, of an order, or of version 1.
fn amount_of(event: &Value, meaning: Meaning) -> Result<Option<Amount>, Rejection> {
    for place in ["amount", "dispute_amount", "purchase_units/0/amount"] {
        for (value, currency) in [("value", "currency_code"), ("total", "currency")] {
            let [amount, currency] =
                [value, currency].map(|name| format!("/resource/{place}/{name}"));
            let place = MoneyPointers { amount: &amount, currency: &currency };
            if let Some(amount) = amount::major(event, meaning, place)? {
                return Ok(Some(amount));
            }
        }
    }
    Ok(None)
}

/// The names that the shop gave to the payment, wherever its resource shows them.
fn order_name(resource: &Value) -> OrderName {
    let mut name = OrderName::default();
    for pointer in [
        "/custom_id",
        "/custom",
        "/purchase_units/0/custom_id",
        "/disputed_transactions/0/custom",
        "/invoice_id",
        "/invoice_number",
        "/purchase_units/0/invoice_id",
        "/disputed_transactions/0/invoice_number",
    ] {
        name = name.or_own(json::text(resource, pointer));
    }
    let payment = capture_of_refund(resource)
        .or_else(|| json::text(resource, "/sale_id"))
        .or_else(|| json::text(resource, "/disputed_transactions/0/seller_transaction_id"))
        .or_else(|| json::text(resource, "/id"));
    name.of_payment(payment)
}

/// The capture that a refund is of: the last segment of its link upwards.
fn capture_of_refund(resource: &Value) -> Option<&str> {
    let links = resource["links"].as_array()?;
    let up = links.iter().find(|link| link["rel"] == "up")?["href"].as_str()?;
    up.split_once("/captures/").map(|(_, capture)| capture).filter(|id| !id.is_empty())
}
