//! `POST /api/payments/webhook/{provider}`.

use serde::Serialize;
use stockade::{
    AsyncEngine, Currency, ErrorKind, Money, Order, OrderId, Outcome, PaymentEvent, PaymentStatus,
    PaymentToken, RefundRequest, ReportedRefund,
};

use crate::call::Call;
use crate::problem::{Code, Rejection};
use crate::providers::{Delivery, Meaning, Provider, ProviderEvent};
use crate::reply::{HandlerResult, Reply};
use crate::state::ServerState;

/// The answer to a delivery that was accepted.
#[derive(Serialize)]
struct Accepted {
    message: &'static str,
    success: bool,
    /// The most that one of the delivery's events did.
    result: &'static str,
}

/// What an event did, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Ignored,
    Repeated,
    Recorded,
    Waiting,
    Applied,
}

impl Effect {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Repeated => "repeated",
            Self::Recorded => "recorded",
            Self::Waiting => "waiting",
            Self::Applied => "applied",
        }
    }
}

/// Verifies a provider's delivery and applies each of its events.
pub async fn provider_webhook(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let name = call.segments.get("provider").unwrap_or_default();
    let provider = Provider::parse(name).ok_or_else(unknown_provider)?;
    let delivery = Delivery { headers: call.headers, query: call.query, body: &call.body };
    let events = state.providers.receive(provider, &delivery).await?;
    // No API key's name has the separator.
    let engine = state.engine.acting_as(&format!("webhook/{}", provider.as_str()))?;
    let (mut effect, mut rejected) = (Effect::Ignored, None);
    if events.is_empty() {
        state.metrics.provider_event(provider.as_str(), Meaning::Ignored.as_str());
    }
    for event in &events {
        state.metrics.provider_event(provider.as_str(), event.meaning.as_str());
        // One that is rejected does not keep the others from their orders; the provider
        // sends all of them again.
        match apply(&engine, provider, event).await {
            Ok(done) => effect = effect.max(done),
            Err(rejection) => rejected = rejected.or(Some(rejection)),
        }
    }
    match rejected {
        Some(rejection) => Err(rejection),
        None => accepted(provider, effect),
    }
}

/// Passes an event to the engine.
async fn apply(
    engine: &AsyncEngine,
    provider: Provider,
    event: &ProviderEvent,
) -> Result<Effect, Rejection> {
    let outcome = match event.meaning {
        Meaning::Success => Outcome::Success,
        Meaning::AttemptFailed => Outcome::Failure,
        Meaning::Failed => Outcome::Cancelled,
        Meaning::Neutral => Outcome::Neutral,
        Meaning::Dispute => Outcome::Disputed,
        Meaning::Refund { is_full } => return refund(engine, provider, event, is_full).await,
        Meaning::Ignored => return Ok(Effect::Ignored),
    };
    // What would change nothing is not kept for an order that may come.
    let waits = !matches!(outcome, Outcome::Neutral | Outcome::Disputed);
    if !waits && find_order(engine, provider, event).await?.is_none() {
        return Ok(Effect::Ignored);
    }
    let Some(mut payment) = payment_event(provider, event, outcome)? else {
        return Ok(Effect::Ignored);
    };
    payment.key = Some(event.key.clone());
    if outcome == Outcome::Success {
        (payment.amount, payment.currency) = money(event)?;
    }
    let receipt = engine.record_payment(&payment).await?;
    Ok(match receipt.value.status {
        _ if receipt.replayed => Effect::Repeated,
        PaymentStatus::Applied => Effect::Applied,
        PaymentStatus::Waiting => Effect::Waiting,
        _ => Effect::Recorded,
    })
}

/// Translates an event, which names its order by our token or id, or else by references,
/// so that a repeated one is the same whether the order is there or not; `None` for one
/// that names no order.
fn payment_event(
    provider: Provider,
    event: &ProviderEvent,
    outcome: Outcome,
) -> Result<Option<PaymentEvent>, Rejection> {
    let (id, token) = own_names(event)?;
    let name = payment_name(provider, event);
    let payment = match PaymentEvent::for_either(id, token, outcome) {
        Some(payment) => Some(payment),
        None => match event.order.reference() {
            Some(reference) => Some(PaymentEvent::for_reference(reference, outcome)),
            None => name.as_ref().map(|name| PaymentEvent::for_payment(name, outcome)),
        },
    };
    Ok(payment.map(|mut payment| {
        payment.payment_reference = name;
        payment
    }))
}

/// The order's id and token in an event's metadata.
fn own_names(event: &ProviderEvent) -> Result<(Option<OrderId>, Option<PaymentToken>), Rejection> {
    let token = event.order.payment_token.as_deref().map(str::parse::<PaymentToken>);
    let token = token.transpose()?;
    Ok((event.order.order_id.map(OrderId).or(token.map(|token| token.order_id())), token))
}

/// The order of an event.
struct ReportedOrder {
    id: OrderId,
    token: Option<PaymentToken>,
}

impl From<Order> for ReportedOrder {
    fn from(order: Order) -> Self {
        Self { id: order.id, token: None }
    }
}

/// Finds the order of an event: by our token or id in its metadata, else by the
/// provider's name of the payment, else by the shop's number.
async fn find_order(
    engine: &AsyncEngine,
    provider: Provider,
    event: &ProviderEvent,
) -> Result<Option<ReportedOrder>, Rejection> {
    let (id, token) = own_names(event)?;
    if let Some(id) = id {
        return Ok(Some(ReportedOrder { id, token }));
    }
    if let Some(name) = event.order.payment() {
        let provider = provider.as_str().to_owned();
        let found = engine.order_by_payment(provider, name.to_owned()).await;
        if let Some(order) = there(found)? {
            return Ok(Some(order.into()));
        }
    }
    let Some(reference) = event.order.reference() else { return Ok(None) };
    let found = there(engine.order_by_reference(reference.to_owned()).await)?;
    Ok(found.map(ReportedOrder::from))
}

/// Turns "not found" into none.
fn there(found: stockade::Result<Order>) -> Result<Option<Order>, Rejection> {
    match found {
        Ok(order) => Ok(Some(order)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes a refund over from its provider. The engine decides what it is of, so that a
/// repeated one is the same request.
async fn refund(
    engine: &AsyncEngine,
    provider: Provider,
    event: &ProviderEvent,
    is_full: Option<bool>,
) -> Result<Effect, Rejection> {
    let Some(ReportedOrder { id, token }) = find_order(engine, provider, event).await? else {
        return Ok(Effect::Ignored);
    };
    let mut reported = ReportedRefund::default();
    (reported.amount, reported.currency) = money(event)?;
    reported.payment = payment_name(provider, event);
    reported.is_full = is_full;
    let mut request = RefundRequest::reported(id, reported);
    request.reason = Some("refunded by the payment provider".to_owned());
    request.key = Some(event.key.clone());
    request.payment_token = token;
    match engine.refund_order(&request).await {
        Ok(refunded) if refunded.replayed => Ok(Effect::Repeated),
        Ok(_) => Ok(Effect::Applied),
        // The shop has booked it before, or the order was never paid here.
        Err(error) if is_nothing_to_refund(error.kind()) => Ok(Effect::Ignored),
        Err(error) => Err(error.into()),
    }
}

fn is_nothing_to_refund(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::RefundTooLarge | ErrorKind::NotPaid | ErrorKind::NotFound)
}

/// The amount and the currency that an event tells.
fn money(event: &ProviderEvent) -> Result<(Option<Money>, Option<Currency>), Rejection> {
    match &event.amount {
        Some((amount, currency)) => Ok((Some(amount.parse()?), Some(currency.parse()?))),
        None => Ok((None, None)),
    }
}

/// The provider's name of the payment, as orders keep it.
fn payment_name(provider: Provider, event: &ProviderEvent) -> Option<String> {
    let name = event.order.payment()?;
    Some(format!("{}/{name}", provider.as_str()))
}

/// The answer that the provider wants.
fn accepted(provider: Provider, effect: Effect) -> HandlerResult {
    if provider == Provider::Adyen {
        return Ok(Reply::text("text/plain; charset=utf-8", "[accepted]"));
    }
    let body = Accepted { message: "ok", success: true, result: effect.as_str() };
    Ok(Reply::json(&body)?.replayed(effect == Effect::Repeated))
}

fn unknown_provider() -> Rejection {
    let names = Provider::ALL.map(Provider::as_str).join(", ");
    Rejection::Server(Code::NotFound, format!("no such provider; known are {names}").into())
}
