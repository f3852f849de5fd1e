//! The protocol between an engine and the clients that send it their calls.
//!
//! A client posts a [`Call`] as JSON; the engine answers `{"Ok":…}` with the
//! response or `{"Err":…}` with the whole error. [`crate::remote`] is the
//! client, [`serve`] the server's side.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::call::{Request, Response, Retry};
use crate::error::{Details, Error, ErrorKind, Result};
use crate::model::{OffSale, OrderId, ProductId, ShortLine, UnusableHold};

/// The name of who sends requests is at most so long.
const ACTOR_BYTES_MAX: usize = 255;

#[cfg(feature = "remote")]
pub(crate) const PATH: &str = "/engine/v1";

/// A call as it is sent; `R` is a [`Request`], or its JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call<R> {
    /// Comes with a request that must not be executed twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Who sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    pub request: R,
}

/// A call's result as it is sent.
pub(crate) type Reply = Result<Response>;

/// An error as it is sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct RpcError {
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    short: Vec<ShortLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<UnusableHold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_id: Option<ProductId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    off_sale: Option<OffSale>,
    #[serde(default)]
    replayed: bool,
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let Details { short, order_id, holds, product_id, off_sale } = error.details().clone();
        Self {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            short,
            order_id,
            holds,
            product_id,
            off_sale,
            replayed: error.replayed(),
        }
    }
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Self {
        let RpcError { code, message, short, order_id, holds, product_id, off_sale, replayed } =
            error;
        // A code of a later version is handled as a fault of the server.
        let kind = ErrorKind::of_code(&code).unwrap_or(ErrorKind::Internal);
        let details = Details { short, order_id, holds, product_id, off_sale };
        Self::with_details(kind, message, details, replayed)
    }
}

/// A call that a remote engine has sent, parsed.
///
/// A malformed one is a call, too: its reply is the error.
#[derive(Debug)]
pub struct RemoteCall(Result<Call<Request>>);

impl RemoteCall {
    /// Parses the body of a request.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self(serde_json::from_slice(body).map_err(|error| {
            let why = format!("cannot parse the call (is the client of this version?): {error}");
            Error::invalid_argument(why)
        }))
    }

    /// Whether the call's duration grows with the store or with the request: an audit, a
    /// sweep, or an import.
    /// Its client bounds it by `remote_timeout`, and cancels it by closing the
    /// stream; a server's request timeout should not.
    #[must_use]
    pub fn is_maintenance(&self) -> bool {
        let request = self.0.as_ref().map(|call| &call.request);
        let is_long = |request: &Request| {
            matches!(
                request,
                Request::Audit {}
                    | Request::Sweep {}
                    | Request::EraseCustomer { .. }
                    | Request::PutProducts { .. }
            )
        };
        request.is_ok_and(is_long)
    }
}

pub(crate) async fn serve(backend: &dyn Backend, call: RemoteCall) -> Vec<u8> {
    let reply: Reply = execute(backend, call).await.map_err(closed_here);
    // Texts and numbers only: nothing in it can fail to serialize.
    serde_json::to_vec(&reply).unwrap_or_default()
}

async fn execute(backend: &dyn Backend, call: RemoteCall) -> Result<Response> {
    backend.lifecycle().check_usable()?;
    backend.check_serves_remotes()?;
    let Call { request, actor, retry } = call.0?;
    match actor {
        Some(actor) => backend.acting_as(checked_actor(&actor)?).call(request, retry).await,
        None => backend.call(request, retry).await,
    }
}

/// Checks the name of who sends requests.
///
/// # Errors
/// `invalid_argument` for a name that no events can keep.
pub(crate) fn checked_actor(name: &str) -> Result<Arc<str>> {
    if !(1..=ACTOR_BYTES_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(Error::invalid_argument(format!(
            "an actor's name has 1 to {ACTOR_BYTES_MAX} bytes and no control characters"
        )));
    }
    Ok(name.into())
}

/// Turns `misuse` of this engine into `unavailable`: the caller, in another
/// process, did nothing wrong.
fn closed_here(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Misuse => {
            let why = format!("the running engine does not serve calls: {error}");
            Error::caused(ErrorKind::Unavailable, why, error)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, PaymentEvent, Timestamp, Token};

    #[test]
    fn error_keeps_its_details() {
        for kind in ErrorKind::ALL {
            let line = ShortLine {
                product_id: ProductId(7),
                sku: Some("a".to_owned()),
                requested: u64::MAX,
                available: 1,
            };
            let details = Details {
                short: vec![line],
                order_id: Some(OrderId(u64::MAX)),
                product_id: Some(ProductId(9)),
                off_sale: Some(OffSale::Before(Timestamp::from_micros(1))),
                ..Details::default()
            };
            let sent = Error::with_details(*kind, "it said \"no\"", details, true);
            let json = serde_json::to_string(&RpcError::from(sent.clone())).expect("JSON");
            let received: RpcError = serde_json::from_str(&json).expect("reads");
            let received = Error::from(received);
            assert_eq!((received.kind(), received.message()), (*kind, sent.message()));
            assert_eq!(received.details(), sent.details());
            assert!(received.replayed());
        }
    }

    #[test]
    fn call_carries_its_retry_key_and_a_payment_event_what_it_says() {
        let event =
            PaymentEvent::for_order(7, Outcome::Failure).key("k").payment_reference("stripe/pi_1");
        let retry = Some(Retry { key: Token(1), is_retry: true });
        let actor = Some("clerk".to_owned());
        let call = Call { retry, actor, request: Request::RecordPayment(event.clone()) };
        let json = serde_json::to_string(&call).expect("JSON");
        let received: Call<Request> = serde_json::from_str(&json).expect("reads");
        assert_eq!((received.retry, received.actor.as_deref()), (retry, Some("clerk")));
        let Request::RecordPayment(received) = received.request else { panic!("another request") };
        assert_eq!(received, event);
    }
}
