//! Standard Webhooks, as Svix and others send them: `webhook-signature` is
//! `v1,<base64 HMAC-SHA256 of id.timestamp.body>`, several separated by spaces.
//!
//! The body is Stockade's own: `{"type":"payment.succeeded","data":{…}}`, where `data`
//! names the order and the money.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::Hmac;
use serde_json::Value;
use sha2::Sha256;
use stockade::{OrderId, PaymentToken};

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::{
    Delivery, EventTable, MoneyPointers, OrderName, ProviderEvent, REFUND, amount, json, mac,
    meaning, unsigned,
};
use crate::problem::Rejection;
use crate::settings::Secrets;
use crate::signature::is_recent;

const SCHEME: &str = "Webhook-Signature";

const MONEY: MoneyPointers<'_> =
    MoneyPointers { amount: "/data/amount", currency: "/data/currency" };

/// Some senders leave out base64's padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Payments, refunds and disputes.
pub const EVENTS: &EventTable = &[
    ("payment.succeeded", Success),
    ("payment.failed", AttemptFailed),
    ("payment.canceled", Failed),
    ("payment.cancelled", Failed),
    ("payment.expired", Failed),
    ("payment.voided", Failed),
    ("payment.pending", Neutral),
    ("payment.processing", Neutral),
    ("payment.authorized", Neutral),
    ("payment.requires_action", Neutral),
    ("refund.succeeded", REFUND),
    ("refund.pending", Neutral),
    ("refund.failed", Neutral),
    ("dispute.opened", Dispute),
    ("dispute.lost", Dispute),
    ("dispute.won", Neutral),
    ("dispute.closed", Neutral),
];

/// The least bytes of a secret, after the specification.
const SECRET_BYTES_MIN: usize = 24;

/// Decodes a secret.
pub fn key(secret: &str) -> Option<Vec<u8>> {
    let secret = secret.strip_prefix("whsec_").unwrap_or(secret);
    BASE64.decode(secret).ok().filter(|key| key.len() >= SECRET_BYTES_MIN)
}

/// Verifies the signature and its age.
pub fn verify(delivery: &Delivery<'_>, secrets: &Secrets, now: i64) -> Result<(), Rejection> {
    let reject = |why| Err(unsigned(SCHEME, why));
    let (Some(id), Some(time), Some(given)) =
        (id(delivery), header(delivery, "timestamp"), header(delivery, "signature"))
    else {
        return reject("webhook-id, webhook-timestamp or webhook-signature is missing");
    };
    let signatures: Vec<_> =
        given.split(' ').filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok()).collect();
    let parts = [id.as_bytes(), b".", time.as_bytes(), b".", delivery.body];
    let keys = secrets.iter().filter_map(key);
    if !mac::is_signed::<Hmac<Sha256>>(keys, &parts, &signatures) {
        return reject("the signature is invalid");
    }
    if is_recent(time, now) {
        return Ok(());
    }
    reject("webhook-timestamp differs by more than five minutes")
}

/// Translates a verified delivery.
pub fn events(delivery: &Delivery<'_>) -> Result<Vec<ProviderEvent>, Rejection> {
    let event = json::object(delivery.body)?;
    let kind = json::required(&event, "/type")?;
    let data = event.get("data").unwrap_or(&Value::Null);
    let meaning = meaning(EVENTS, kind).with_fullness(|| data["full"].as_bool());
    Ok(vec![ProviderEvent {
        // Signed with the body.
        key: format!("standard/{}", id(delivery).unwrap_or_default()),
        meaning,
        amount: amount::major(&event, meaning, MONEY)?,
        order: order_name(data)?,
    }])
}

fn order_name(data: &Value) -> Result<OrderName, Rejection> {
    let mut name = OrderName::from_metadata(data.get("metadata"))?;
    if let Some(token) = json::text(data, "/payment_token") {
        let _: PaymentToken = token.parse()?;
        name.payment_token = Some(token.to_owned());
    }
    if let Some(id) = json::plain(data, "/order_id") {
        let id: OrderId = id.parse()?;
        if !id.is_possible() {
            return Err(Rejection::invalid("data.order_id is out of range"));
        }
        name.order_id = Some(id.0);
    }
    name.reference = json::text(data, "/reference").map(str::to_owned);
    Ok(name.of_payment(json::text(data, "/payment_reference")))
}

fn id<'a>(delivery: &Delivery<'a>) -> Option<&'a str> {
    header(delivery, "id")
}

/// Returns a header of the standard, or Svix's own name of it.
fn header<'a>(delivery: &Delivery<'a>, name: &str) -> Option<&'a str> {
    let named = |prefix: &str| delivery.header(&format!("{prefix}-{name}"));
    named("webhook").or_else(|| named("svix"))
}
