//! `POST /api/payments/webhook`.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stockade::{Currency, OrderId, Outcome, PaymentEvent, PaymentStatus, PaymentToken};

use crate::call::Call;
use crate::money;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Reply};
use crate::state::ServerState;

/// The answer to an event that was accepted.
#[derive(Serialize)]
struct Accepted {
    message: &'static str,
    /// What the event did: `applied`, `recorded`, `waiting` or `repeated`.
    result: &'static str,
}

/// Applies a payment provider's event to its order.
pub async fn webhook(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    state.verifier.check(call.headers, &call.body)?;
    let event = read(call)?;
    let receipt = call.engine.record_payment(&event).await?;
    let status = match receipt.value.status {
        PaymentStatus::Waiting => StatusCode::ACCEPTED,
        // An event of any other status was accepted, too.
        _ => StatusCode::OK,
    };
    let result = if receipt.replayed { "repeated" } else { receipt.value.status.as_str() };
    let body = Accepted { message: "ok", result };
    Ok(Reply::json(&body)?.status(status).replayed(receipt.replayed))
}

/// The fields of an event that are read; others are the provider's own.
#[derive(Deserialize)]
struct EventBody<'a> {
    status: String,
    idempotency_key: Option<String>,
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    payment_token: Option<PaymentToken>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    currency: Option<Currency>,
    payment_reference: Option<String>,
}

fn read(call: &Call<'_>) -> Result<PaymentEvent, Rejection> {
    let body: EventBody<'_> = call.object()?;
    let outcome: Outcome = body.status.parse()?;
    let order_id = body.order_id.map(|id| order_id(id.get())).transpose()?;
    let mut event = PaymentEvent::for_either(order_id, body.payment_token, outcome)
        .ok_or_else(|| Rejection::invalid("order_id or payment_token is missing"))?;
    event.amount = money::read("amount", body.amount)?;
    event.currency = body.currency;
    event.payment_reference = body.payment_reference;
    event.key = match body.idempotency_key {
        Some(key) => Some(key),
        None => call.event_key(&["idempotency-key", "idempotency_key"])?,
    };
    Ok(event)
}

/// Parses the order id, which providers send as a number or as a string.
fn order_id(json: &str) -> Result<OrderId, Rejection> {
    let id: OrderId = match serde_json::from_str::<String>(json) {
        Ok(text) => text.parse()?,
        Err(_) => json.parse()?,
    };
    if !id.is_possible() {
        return Err(Rejection::invalid("order_id is out of range"));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use std::sync::LazyLock;

    use bytes::Bytes;
    use hyper::HeaderMap;
    use stockade::AsyncEngine;
    use tokio::runtime::Runtime;

    /// Reading needs none, but each call has one.
    static ENGINE: LazyLock<(Runtime, AsyncEngine)> = LazyLock::new(|| {
        let runtime = Runtime::new().unwrap();
        let engine = runtime.block_on(AsyncEngine::open("sqlite::memory:")).unwrap();
        (runtime, engine)
    });

    fn read_body(body: &str, headers: &HeaderMap) -> Result<PaymentEvent, Rejection> {
        read(&Call {
            segments: matchit::Params::new(),
            query: None,
            headers,
            body: Bytes::from(body.to_owned()),
            caller: Caller::keyless(true),
            engine: ENGINE.1.clone(),
        })
    }

    fn event(body: &str) -> Result<PaymentEvent, Rejection> {
        read_body(body, &HeaderMap::new())
    }

    #[test]
    fn an_event_is_its_fields_and_nothing_that_the_provider_adds() {
        let one = r#"{"order_id":1,"status":"paid","idempotency_key":"k","amount":19.99,"currency":"EUR"}"#;
        let two = r#"{ "more": {"a":[2]}, "currency":"EUR",
            "amount":"19.990","idempotency_key":"k","status":"paid","order_id":"1"}"#;
        assert_eq!(event(one).unwrap(), event(two).unwrap());
        for (field, other) in [("19.99", "19.98"), ("EUR", "USD"), ("paid", "failed")] {
            assert_ne!(event(one).unwrap(), event(&one.replace(field, other)).unwrap());
        }
        let named = event(r#"{"order_id":1,"status":"paid","payment_reference":"stripe/pi_1"}"#);
        assert_eq!(named.unwrap().payment_reference.as_deref(), Some("stripe/pi_1"));
    }

    #[test]
    fn the_key_comes_from_the_body_or_else_from_a_header() {
        for name in ["idempotency-key", "idempotency_key"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, "from-header".parse().unwrap());
            let without_prefix = read_body(r#"{"order_id":1,"status":"paid"}"#, &headers).unwrap();
            assert_eq!(without_prefix.key.as_deref(), Some("from-header"));
            let own = r#"{"order_id":1,"status":"paid","idempotency_key":"own"}"#;
            let own = read_body(own, &headers).unwrap();
            assert_eq!(own.key.as_deref(), Some("own"));
        }
        let none = event(r#"{"order_id":1,"status":"paid"}"#).unwrap();
        assert_eq!(none.key, None);
    }

    #[test]
    fn an_order_is_named_by_a_number_a_text_or_its_token() {
        let token = "pt_19_00000000000000000000000000000007";
        for good in [
            r#"{"order_id":19,"status":"paid"}"#.to_owned(),
            r#"{"order_id":"19","status":"paid"}"#.to_owned(),
            format!(r#"{{"order_id":null,"payment_token":"{token}","status":"paid"}}"#),
        ] {
            assert!(event(&good).is_ok(), "{good}");
        }
        for id in [
            "0",
            "-1",
            "1.5",
            "1e3",
            "true",
            "[]",
            "\"\"",
            "\"1.5\"",
            "\"0\"",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            let body = format!(r#"{{"order_id":{id},"status":"paid"}}"#);
            assert!(event(&body).is_err(), "{id}");
        }
        for bad in [
            r#"{"status":"paid"}"#,
            r#"{"order_id":1}"#,
            r#"{"order_id":1,"status":"refunded"}"#,
            r#"{"order_id":1,"status":"PAID!"}"#,
            r#"{"order_id":1,"status":1}"#,
            r#"{"order_id":1,"status":"paid","idempotency_key":7}"#,
            r#"{"payment_token":"nonsense","status":"paid"}"#,
            r#"{"payment_token":7,"order_id":1,"status":"paid"}"#,
            r#"{"order_id":1,"status":"paid","amount":-1}"#,
            r#"{"order_id":1,"status":"paid","amount":true}"#,
            r#"{"order_id":1,"status":"paid","amount":1,"currency":"EURO"}"#,
            r#"{"order_id":1,"status":"paid","payment_reference":7}"#,
            r#"{"order_id":1,"order_id":2,"status":"paid"}"#,
            "[]",
            "\"paid\"",
        ] {
            assert!(event(bad).is_err(), "{bad}");
        }
    }
}
