//! `POST /api/payments/webhook`.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use stockade::{OrderId, Outcome, PaymentEvent, PaymentStatus, PaymentToken};

use crate::body;
use crate::call::Call;
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
    let receipt = state.engine.record_payment(&event).await?;
    let status = match receipt.value.status {
        PaymentStatus::Waiting => StatusCode::ACCEPTED,
        // An event of any other status was accepted, too.
        _ => StatusCode::OK,
    };
    let result = if receipt.replayed { "repeated" } else { receipt.value.status.as_str() };
    let body = Accepted { message: "ok", result };
    Ok(Reply::json(&body)?.status(status).replayed(receipt.replayed))
}

fn read(call: &Call<'_>) -> Result<PaymentEvent, Rejection> {
    let value: Value =
        serde_json::from_str(body::text(&call.body)?).map_err(|error| body::rejection(&error))?;
    let Value::Object(fields) = value else {
        return Err(Rejection::invalid("expected a JSON object"));
    };
    let outcome: Outcome = match text(&fields, "status")? {
        Some(word) => word.parse()?,
        None => return Err(Rejection::invalid("status is missing")),
    };
    let token = match text(&fields, "payment_token")? {
        Some(token) => Some(token.parse::<PaymentToken>()?),
        None => None,
    };
    let mut event = PaymentEvent::for_either(order_id(&fields)?, token, outcome)
        .ok_or_else(|| Rejection::invalid("order_id or payment_token is missing"))?;
    event.key = match text(&fields, "idempotency_key")? {
        Some(key) => Some(key.to_owned()),
        None => call.key(&["idempotency-key", "idempotency_key"])?,
    };
    if event.key.is_some() {
        event = event.body(canonical(&Value::Object(fields)));
    }
    Ok(event)
}

/// Returns the canonical form of a body for comparing a reused idempotency key:
/// independent of white space and field order.
fn canonical(body: &Value) -> Vec<u8> {
    // serde_json's map is sorted by key; a test checks that it stays so.
    body.to_string().into_bytes()
}

/// Returns a string field; null counts as missing.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Rejection> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Rejection::invalid(format!("{name} must be a string"))),
    }
}

/// Parses the order id, which providers send as a number or as a string.
fn order_id(fields: &Map<String, Value>) -> Result<Option<OrderId>, Rejection> {
    let id = match fields.get("order_id") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse()?,
        Some(Value::Number(number)) if number.is_u64() => OrderId(number.as_u64().unwrap_or(0)),
        Some(_) => return Err(Rejection::invalid("order_id must be a whole number")),
    };
    if !id.is_possible() {
        return Err(Rejection::invalid("order_id is out of range"));
    }
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::HeaderMap;

    fn read_body(body: &str, headers: &HeaderMap) -> Result<PaymentEvent, Rejection> {
        read(&Call {
            segments: matchit::Params::new(),
            query: None,
            headers,
            body: Bytes::from(body.to_owned()),
        })
    }

    fn event(body: &str) -> Result<PaymentEvent, Rejection> {
        read_body(body, &HeaderMap::new())
    }

    #[test]
    fn white_space_and_the_order_of_names_do_not_matter() {
        let one = r#"{"order_id":1,"status":"paid","idempotency_key":"k","more":{"b":1,"a":[2]}}"#;
        let two = "{ \"more\": {\"a\":[2] ,\"b\":1},\n\"idempotency_key\":\"k\",\"status\":\"paid\",\"order_id\":1}";
        assert_eq!(event(one).unwrap(), event(two).unwrap());
        let other = one.replace("[2]", "[3]");
        assert_ne!(event(one).unwrap(), event(&other).unwrap());
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
        assert_eq!((none.key, none.body_digest), (None, None));
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
            "[]",
            "\"paid\"",
        ] {
            assert!(event(bad).is_err(), "{bad}");
        }
    }
}
