//! Mollie: a webhook names a payment, which is fetched with the API key. It is not
//! signed: anyone can make the server ask, and only Mollie's answer counts.

use hyper::StatusCode;
use serde_json::Value;

use super::Meaning::{AttemptFailed, Dispute, Failed, Neutral, Success};
use super::ask::{self, HttpClient, unavailable};
use super::{
    EventTable, MoneyPointers, OrderName, ProviderEvent, REFUND, amount, form_value, json, meaning,
};
use crate::problem::Rejection;
use crate::settings::Secrets;

const NAME: &str = "Mollie";

/// The most characters of an id: Mollie's have about thirty.
const ID_MAX: usize = 64;

/// The states of a payment, and those of its refunds and chargebacks.
pub const EVENTS: &EventTable = &[
    ("paid", Success),
    ("failed", AttemptFailed),
    ("canceled", Failed),
    ("expired", Failed),
    ("open", Neutral),
    ("pending", Neutral),
    ("authorized", Neutral),
    ("refund.refunded", REFUND),
    ("refund.queued", Neutral),
    ("refund.pending", Neutral),
    ("refund.processing", Neutral),
    ("refund.failed", Neutral),
    ("refund.canceled", Neutral),
    ("chargeback", Dispute),
    ("chargeback.reversed", Neutral),
];

/// Fetches the payment that a webhook names: none if the id is of something else, or
/// of no payment of these keys.
pub async fn fetch(
    client: &HttpClient,
    url: &str,
    keys: &Secrets,
    body: &[u8],
) -> Result<Option<Value>, Rejection> {
    let missing = || Rejection::invalid("id is missing in the form");
    let id = form_value(body, "id").ok_or_else(missing)?;
    let is_payment = id.starts_with("tr_") && id.len() <= ID_MAX;
    // Nothing that could lead to another path.
    if !is_payment || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(None);
    }
    let url = format!("{url}/v2/payments/{id}?embed=refunds,chargebacks");
    let mut refused = false;
    for key in keys.iter() {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str())];
        let answer = client.ask(NAME, ask::request("GET", &url, &headers, "")?).await?;
        match answer.status {
            StatusCode::OK if json::text(&answer.body, "/id") == Some(&id) => {
                return Ok(Some(answer.body));
            }
            StatusCode::NOT_FOUND => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused = true,
            status => return Err(unavailable(NAME, &format!("the answer is {status}"))),
        }
    }
    if refused {
        return Err(unavailable(NAME, "it refuses a key of mollie_key"));
    }
    Ok(None)
}

/// Translates a payment with its refunds and chargebacks. Each fetch returns all of
/// them; by their keys, only what is new has an effect.
pub fn events(payment: &Value) -> Result<Vec<ProviderEvent>, Rejection> {
    let id = json::required(payment, "/id")?;
    let status = json::required(payment, "/status")?;
    let order = order_name(payment, id)?;
    let event = |name: &str, key: String, of: &Value| {
        let is_full = || Some(of["amount"] == payment["amount"]);
        let meaning = meaning(EVENTS, name).with_fullness(is_full);
        let place = MoneyPointers { amount: "/amount/value", currency: "/amount/currency" };
        let amount = amount::major(of, meaning, place)?;
        Ok::<_, Rejection>(ProviderEvent { key, meaning, amount, order: order.clone() })
    };
    let mut events = vec![event(status, format!("mollie/{id}/{status}"), payment)?];
    let parts = |name: &str| {
        let parts = payment.pointer(&format!("/_embedded/{name}")).and_then(Value::as_array);
        parts.map_or(&[][..], Vec::as_slice)
    };
    for refund in parts("refunds") {
        let (id, status) = (json::required(refund, "/id")?, json::required(refund, "/status")?);
        events.push(event(&format!("refund.{status}"), format!("mollie/{id}/{status}"), refund)?);
    }
    for chargeback in parts("chargebacks") {
        let id = json::required(chargeback, "/id")?;
        let is_reversed = json::text(chargeback, "/reversedAt").is_some();
        let name = if is_reversed { "chargeback.reversed" } else { "chargeback" };
        events.push(event(name, format!("mollie/{id}/{name}"), chargeback)?);
    }
    Ok(events)
}

/// Mollie keeps any JSON as metadata: an object, a text that holds one, or our token.
fn order_name(payment: &Value, id: &str) -> Result<OrderName, Rejection> {
    let metadata = &payment["metadata"];
    let name = match metadata.as_str() {
        None => OrderName::from_metadata(Some(metadata))?,
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => OrderName::from_metadata(Some(&fields.into()))?,
            _ => OrderName::default().or_own(Some(text)),
        },
    };
    Ok(name.of_payment(Some(id)))
}
