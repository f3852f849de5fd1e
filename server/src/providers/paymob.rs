//! Paymob: `hmac` in the query is the hexadecimal HMAC-SHA512 of some of the body's
//! fields, joined without separators.
//!
//! The order's names are not among them, and a customer's browser carries the same
//! signature. So the key is made of what is signed and has one reading: a transaction pays
//! one order, whatever order a copy of its event names.

mod transaction;

use hmac::Hmac;
use serde_json::Value;
use sha2::Sha512;

use super::Meaning::{AttemptFailed, Failed, Ignored, Neutral, Success};
use super::{Delivery, EventTable, MoneyPointers, OrderName, ProviderEvent, REFUND};
use super::{amount, is_same_amount, json, mac, meaning, unsigned};
use crate::problem::Rejection;
use crate::settings::{Ids, Secrets};
use transaction::Transaction;

const SCHEME: &str = "Paymob-HMAC";

/// The signed fields of a transaction, in their order.
const TRANSACTION: &[&str] = &[
    "/amount_cents",
    "/created_at",
    "/currency",
    "/error_occured",
    "/has_parent_transaction",
    "/id",
    "/integration_id",
    "/is_3d_secure",
    "/is_auth",
    "/is_capture",
    "/is_refunded",
    "/is_standalone_payment",
    "/is_voided",
    "/order/id",
    "/owner",
    "/pending",
    "/source_data/pan",
    "/source_data/sub_type",
    "/source_data/type",
    "/success",
];

/// The signed fields of a saved card, in their order.
const TOKEN: &[&str] = &[
    "/card_subtype",
    "/created_at",
    "/email",
    "/id",
    "/masked_pan",
    "/merchant_id",
    "/order_id",
    "/token",
];

/// The states of a transaction.
pub const EVENTS: &EventTable = &[
    ("success", Success),
    ("captured", Success),
    ("failed", AttemptFailed),
    ("pending", Neutral),
    ("authorized", Neutral),
    ("void", Failed),
    ("refund", REFUND),
    ("voided", Neutral),
    ("refunded", Neutral),
    ("change_failed", Neutral),
];

/// Verifies the signature.
pub fn verify(delivery: &Delivery<'_>, body: &Value, secrets: &Secrets) -> Result<(), Rejection> {
    let given = delivery.query_value("hmac");
    let given = given.ok_or_else(|| unsigned(SCHEME, "the query has no hmac"))?;
    let signature =
        hex::decode(given).map_err(|_| unsigned(SCHEME, "the hmac is not hexadecimal"))?;
    let fields = if body["type"] == "TOKEN" { TOKEN } else { TRANSACTION };
    let text: String = fields.iter().map(|pointer| field(&body["obj"], pointer)).collect();
    if mac::is_signed::<Hmac<Sha512>>(secrets.iter(), &[text.as_bytes()], &[signature]) {
        return Ok(());
    }
    Err(unsigned(SCHEME, "the hmac is invalid"))
}

/// Translates a verified body; `integrations` are those whose transactions are taken, all
/// if it is empty.
pub fn events(body: &Value, integrations: &Ids) -> Result<Vec<ProviderEvent>, Rejection> {
    let object = &body["obj"];
    if body["type"] == "TOKEN" {
        let id = json::plain(object, "/id").unwrap_or_default();
        let (key, order) = (format!("paymob/other/{id}"), OrderName::default());
        return Ok(vec![ProviderEvent { key, meaning: Ignored, amount: None, order }]);
    }
    let transaction = Transaction::read(object)?;
    let integration = transaction.integration_id;
    if !integrations.is_empty() && !integrations.contains(integration) {
        let why = format!("{integration} is not among paymob_integration_ids");
        return Err(json::unreadable("/obj/integration_id", &why));
    }
    let state = state(&transaction);
    let order = OrderName::from_metadata(object.pointer("/payment_key_claims/extra"))?
        .or_own(json::text(object, "/order/merchant_order_id"))
        .of_payment(Some(&transaction.order_id.to_string()));
    let (part, all) = (object.get("amount_cents"), object.pointer("/order/amount_cents"));
    // One flag that is not signed separates a void from a refund.
    let name = if state == "refund" && transaction.is("is_void") { "void" } else { state };
    let meaning = meaning(EVENTS, name).with_fullness(|| is_same_amount(part, all));
    let place = MoneyPointers { amount: "/obj/amount_cents", currency: "/obj/currency" };
    let amount = amount::minor(body, meaning, place, amount::iso_decimals)?;
    let key = format!("paymob/{}/{state}", transaction.joined_ids());
    Ok(vec![ProviderEvent { key, meaning, amount, order }])
}

/// The state of a transaction by its signed flags.
fn state(transaction: &Transaction<'_>) -> &'static str {
    let is = |flag| transaction.is(flag);
    let is_change = is("has_parent_transaction") && !is("is_capture");
    match (is("pending"), is("success")) {
        (true, _) => "pending",
        (false, false) if is_change => "change_failed",
        (false, false) => "failed",
        _ if is_change => "refund",
        // A payment that is sent again after its change, which has its own event.
        _ if is("is_voided") => "voided",
        _ if is("is_refunded") => "refunded",
        _ if is("is_capture") => "captured",
        _ if is("is_auth") => "authorized",
        _ => "success",
    }
}

/// A field as it is signed.
fn field(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        Some(Value::Bool(yes)) => yes.to_string(),
        _ => json::plain(object, pointer).unwrap_or_default(),
    }
}
