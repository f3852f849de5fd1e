//! Adyen: each item of a body has `additionalData.hmacSignature`, the base64
//! HMAC-SHA256 of eight of its fields, which do not include its metadata.

mod signature;

use serde_json::Value;

pub use signature::{key, verify};

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::{
    EventTable, Meaning, MoneyPointers, OrderName, ProviderEvent, REFUND, amount, json, meaning,
};
use crate::problem::Rejection;
use signature::{check_forms, field};

/// Payments, refunds and disputes whose `success` is true.
pub const EVENTS: &EventTable = &[
    ("AUTHORISATION", Success),
    ("ORDER_CLOSED", Success),
    ("ORDER_OPENED", Neutral),
    ("PENDING", Neutral),
    ("AUTHENTICATION", Neutral),
    ("AUTHORISATION_ADJUSTMENT", Neutral),
    ("AUTORESCUE", Neutral),
    ("CANCEL_AUTORESCUE", Neutral),
    ("MANUAL_REVIEW_ACCEPT", Neutral),
    ("MANUAL_REVIEW_REJECT", Neutral),
    ("HANDLED_EXTERNALLY", Neutral),
    ("CAPTURE", Neutral),
    ("CAPTURE_FAILED", Failed),
    ("CANCELLATION", Failed),
    ("TECHNICAL_CANCEL", Failed),
    ("CANCEL_OR_REFUND", Failed),
    ("EXPIRE", Failed),
    ("OFFER_CLOSED", Failed),
    ("REFUND", REFUND),
    ("REFUND_WITH_DATA", Neutral),
    ("REFUND_FAILED", Neutral),
    ("REFUNDED_REVERSED", Neutral),
    ("POSTPONED_REFUND", Neutral),
    ("VOID_PENDING_REFUND", Neutral),
    ("REQUEST_FOR_INFORMATION", Dispute),
    ("NOTIFICATION_OF_CHARGEBACK", Dispute),
    ("CHARGEBACK", Dispute),
    ("SECOND_CHARGEBACK", Dispute),
    ("PREARBITRATION_OPEN", Dispute),
    ("PREARBITRATION_LOST", Dispute),
    ("SCHEME_ARBITRATION_LOST", Dispute),
    ("PREARBITRATION_WON", Neutral),
    ("SCHEME_ARBITRATION_WON", Neutral),
    ("CHARGEBACK_REVERSED", Neutral),
    ("INFORMATION_SUPPLIED", Neutral),
    ("ISSUER_COMMENTS", Neutral),
    ("DISPUTE_DEFENSE_PERIOD_ENDED", Neutral),
    ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", Neutral),
    ("NOTIFICATION_OF_FRAUD", Neutral),
];

/// Translates a verified body.
pub fn events(body: &Value) -> Result<Vec<ProviderEvent>, Rejection> {
    items(body)?.into_iter().map(event).collect()
}

fn event(item: &Value) -> Result<ProviderEvent, Rejection> {
    check_forms(item)?;
    let code = json::required(item, "/eventCode")?;
    let id = json::required(item, "/pspReference")?;
    let success = field(item, "/success");
    let original = json::text(item, "/originalReference");
    let order = OrderName::from_fields(item.get("additionalData"), "metadata.")?
        .or_own(json::text(item, "/merchantReference"))
        .of_payment(original.or(Some(id)));
    let meaning = refined(code, success == "true", item);
    let place = MoneyPointers { amount: "/amount/value", currency: "/amount/currency" };
    let amount = amount::minor(item, meaning, place, decimals)?;
    Ok(ProviderEvent { key: format!("adyen/{id}/{code}/{success}"), meaning, amount, order })
}

/// The meaning by the table, or that of a request which did not succeed.
fn refined(code: &str, success: bool, item: &Value) -> Meaning {
    let listed = meaning(EVENTS, code);
    let action = json::text(item, "/additionalData/modification.action");
    match code {
        "CANCEL_OR_REFUND" if success && action == Some("refund") => {
            Meaning::Refund { is_full: Some(true) }
        }
        _ if success => listed,
        "AUTHORISATION" => AttemptFailed,
        "CAPTURE" | "ORDER_CLOSED" | "CAPTURE_FAILED" | "EXPIRE" | "OFFER_CLOSED" => Failed,
        // A request to change a payment was refused: the payment is as it was.
        _ if listed == Meaning::Ignored => listed,
        _ => Neutral,
    }
}

fn items(body: &Value) -> Result<Vec<&Value>, Rejection> {
    let missing = || Rejection::invalid("notificationItems is missing, empty or not an array");
    let items = body["notificationItems"].as_array().filter(|items| !items.is_empty());
    Ok(items.ok_or_else(missing)?.iter().map(|item| &item["NotificationRequestItem"]).collect())
}

/// The decimals of Adyen's amounts: its page of currency codes.
pub fn decimals(code: &str) -> u32 {
    match code {
        "CLP" | "ISK" => 2,
        "CVE" | "IDR" => 0,
        _ => amount::iso_decimals(code),
    }
}
