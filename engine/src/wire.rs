//! A call of the engine as it goes over a connection, and its answer.
//!
//! A call is a name and a JSON object with its arguments as an array; its
//! answer is `{"Ok":…}` or `{"Err":…}` with the whole result or the whole
//! error. [`crate::remote`] speaks the one end, [`crate::AsyncEngine::answer`]
//! the other.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Details, Error, ErrorKind};
use crate::model::{
    HoldId, OrderId, Outcome, PaymentEvent, PaymentToken, ReleaseRequest, ShortLine, Token,
};

/// What a client sends with a call that must not be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resend {
    /// Drawn by the client before the call is sent first; the idempotency key
    /// of a call for which its caller gave none.
    pub key: Token,
    /// Whether the call may have arrived before.
    pub again: bool,
}

/// A call.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sent<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend: Option<Resend>,
    #[serde(borrow)]
    pub args: &'a RawValue,
}

/// A release: the hold alone where no token is shown, as it always was sent.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SentRelease {
    Hold(HoldId),
    Request(ReleaseRequest),
}

impl From<ReleaseRequest> for SentRelease {
    fn from(request: ReleaseRequest) -> Self {
        match request.token {
            None => Self::Hold(request.hold_id),
            Some(_) => Self::Request(request),
        }
    }
}

impl From<SentRelease> for ReleaseRequest {
    fn from(sent: SentRelease) -> Self {
        match sent {
            SentRelease::Hold(hold_id) => hold_id.into(),
            SentRelease::Request(request) => request,
        }
    }
}

/// A payment event. Of its body only the digest is needed to tell it from
/// another, so that only this goes along, however long the body is.
#[derive(Serialize, Deserialize)]
pub(crate) struct SentPayment {
    order_id: Option<OrderId>,
    payment_token: Option<PaymentToken>,
    outcome: Outcome,
    key: Option<String>,
    pub digest: Option<[u8; 32]>,
}

impl From<&PaymentEvent> for SentPayment {
    fn from(event: &PaymentEvent) -> Self {
        Self {
            order_id: event.order_id,
            payment_token: event.payment_token,
            outcome: event.outcome,
            key: event.key.clone(),
            digest: event.body_digest(),
        }
    }
}

impl From<SentPayment> for PaymentEvent {
    fn from(sent: SentPayment) -> Self {
        let SentPayment { order_id, payment_token, outcome, key, digest: _ } = sent;
        Self { order_id, payment_token, outcome, key, body: None }
    }
}

/// An answer.
pub(crate) type Told<T> = Result<T, ToldError>;

/// An error with all that a caller can ask of it.
#[derive(Serialize, Deserialize)]
pub(crate) struct ToldError {
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    short: Vec<ShortLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(default)]
    replayed: bool,
}

impl From<Error> for ToldError {
    fn from(error: Error) -> Self {
        let Details { short, order_id } = error.details().clone();
        Self {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            short,
            order_id,
            replayed: error.replayed(),
        }
    }
}

impl From<ToldError> for Error {
    fn from(told: ToldError) -> Self {
        let ToldError { code, message, short, order_id, replayed } = told;
        // A code of a later version is no worse than a fault.
        let kind = ErrorKind::of_code(&code).unwrap_or(ErrorKind::Internal);
        Self::with_details(kind, message, Details { short, order_id }, replayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProductId;

    #[test]
    fn an_error_arrives_whole() {
        for kind in ErrorKind::ALL {
            let line = ShortLine { product_id: ProductId(7), requested: u64::MAX, available: 1 };
            let details = Details { short: vec![line], order_id: Some(OrderId(u64::MAX)) };
            let sent = Error::with_details(*kind, "it said \"no\"", details, true);
            let json = serde_json::to_string(&ToldError::from(sent.clone())).expect("JSON");
            let told: ToldError = serde_json::from_str(&json).expect("reads");
            let told = Error::from(told);
            assert_eq!((told.kind(), told.message()), (*kind, sent.message()));
            assert_eq!(told.details(), sent.details());
            assert!(told.replayed());
        }
    }

    #[test]
    fn a_release_arrives_with_its_token_or_as_the_hold_alone() {
        let plain = ReleaseRequest::new(7);
        for (request, sent) in [
            (plain, "7"),
            (plain.token(Token(1)), r#"{"hold_id":7,"token":"00000000000000000000000000000001"}"#),
        ] {
            let json = serde_json::to_string(&SentRelease::from(request)).expect("JSON");
            assert_eq!(json, sent);
            let told: SentRelease = serde_json::from_str(&json).expect("reads");
            assert_eq!(ReleaseRequest::from(told), request);
        }
    }

    #[test]
    fn an_event_arrives_with_what_tells_it_from_another() {
        let event = PaymentEvent::for_order(7, Outcome::Failure).key("k").body(*b"{}");
        let json = serde_json::to_string(&SentPayment::from(&event)).expect("JSON");
        let sent: SentPayment = serde_json::from_str(&json).expect("reads");
        assert_eq!(sent.digest, event.body_digest());
        assert_eq!(PaymentEvent::from(sent), PaymentEvent { body: None, ..event });
    }
}
