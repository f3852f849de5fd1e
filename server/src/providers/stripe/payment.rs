//! Which payment a Stripe event is of, by Stripe's id of it.

use serde_json::Value;

use crate::providers::json;

/// Returns the id of the payment intent, or else of the charge or the source. None for an
/// invoice that does not tell what paid it: the payment has events of its own, and beside
/// them the invoice would count as another payment.
pub fn reference<'a>(kind: &str, object: &'a Value) -> Option<&'a str> {
    let told = json::id(object, "/payment_intent")
        .or_else(|| of_invoice(object))
        // An event of one of an invoice's payments.
        .or_else(|| json::id(object, "/payment/payment_intent"))
        // A dispute of a charge without an intent names the charge.
        .or_else(|| json::id(object, "/charge"));
    let is_invoice = kind.starts_with("invoice");
    // A session of a subscription is paid through the subscription's invoice.
    let is_of_invoice =
        kind.starts_with("checkout.session.") && json::id(object, "/invoice").is_some();
    told.or_else(|| json::text(object, "/id").filter(|_| !is_invoice && !is_of_invoice))
}

/// Returns what paid an invoice since API version 2025-03-31: `payments` has the attempts,
/// and is there only if it was expanded. None where it was paid in parts.
fn of_invoice(invoice: &Value) -> Option<&str> {
    let payments = invoice.pointer("/payments/data")?.as_array()?;
    let mut paid =
        payments.iter().filter(|payment| payment["status"] == "paid").filter_map(|one| {
            json::id(one, "/payment/payment_intent").or_else(|| json::id(one, "/payment/charge"))
        });
    let first = paid.next()?;
    paid.all(|other| other == first).then_some(first)
}
