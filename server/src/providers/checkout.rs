//! Checkout.com: `Cko-Signature` is the hexadecimal HMAC-SHA256 of the body.

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
    ("payment_captured", Success),
    ("payment_declined", AttemptFailed),
    ("payment_authentication_failed", AttemptFailed),
    ("payment_capture_declined", AttemptFailed),
    ("payment_canceled", Failed),
    ("payment_expired", Failed),
    ("payment_voided", Failed),
    ("payment_pending", Neutral),
    ("payment_approved", Neutral),
    ("payment_authorized", Neutral),
    ("payment_authorization_incremented", Neutral),
    ("payment_authorization_increment_declined", Neutral),
    ("payment_capture_pending", Neutral),
    ("payment_compliance_review", Neutral),
    ("payment_optimized", Neutral),
    ("payment_retry_scheduled", Neutral),
    ("payment_void_declined", Neutral),
    ("payment_refunded", REFUND),
    ("payment_refund_pending", Neutral),
    ("payment_refund_declined", Neutral),
    ("payment_returned", Dispute),
    ("dispute_received", Dispute),
    ("dispute_evidence_required", Dispute),
    ("dispute_lost", Dispute),
    ("dispute_arbitration_lost", Dispute),
    ("request_for_information_received", Dispute),
    ("dispute_accepted", Neutral),
    ("dispute_arbitration_evidence_submitted", Neutral),
    ("dispute_arbitration_sent_to_scheme", Neutral),
    ("dispute_arbitration_won", Neutral),
    ("dispute_canceled", Neutral),
    ("dispute_evidence_acknowledged_by_scheme", Neutral),
    ("dispute_evidence_submitted", Neutral),
    ("dispute_expired", Neutral),
    ("dispute_resolved", Neutral),
    ("dispute_won", Neutral),
];

/// Verifies the signature.
pub fn verify(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<(), Rejection> {
    mac::check_hex_of_body(delivery, "cko-signature", "Cko-Signature", secrets)
}

/// Translates a verified body.
pub fn events(body: &[u8]) -> Result<Vec<ProviderEvent>, Rejection> {
    let event = json::object(body)?;
    let id = json::required(&event, "/id")?;
    let kind = json::required(&event, "/type")?;
    let data = event.get("data").unwrap_or(&Value::Null);
    // A dispute names its payment; every other event is about the payment itself.
    let payment = json::text(data, "/payment_id").or_else(|| json::text(data, "/id"));
    let order = OrderName::from_metadata(data.get("metadata"))?
        .or_own(json::text(data, "/reference"))
        .or_own(json::text(data, "/payment_reference"))
        .of_payment(payment);
    let meaning = refined(kind, data);
    let place = MoneyPointers { amount: "/data/amount", currency: "/data/currency" };
    let amount = amount::minor(&event, meaning, place, decimals)?;
    Ok(vec![ProviderEvent { key: format!("checkout/{id}"), meaning, amount, order }])
}

fn refined(kind: &str, data: &Value) -> Meaning {
    let captured = data.pointer("/balances/total_captured");
    meaning(EVENTS, kind).with_fullness(|| is_same_amount(data.get("amount"), captured))
}

/// The decimals of Checkout.com's amounts:
/// <https://www.checkout.com/docs/payments/accept-payments/format-the-amount-value>.
pub fn decimals(code: &str) -> u32 {
    match code {
        "BIF" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VUV"
        | "VND" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        // Among them CLP, whose last two digits are always 00.
        _ => 2,
    }
}
