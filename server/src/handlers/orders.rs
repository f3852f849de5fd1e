//! Endpoints of orders: making, reading, extending, cancelling, refunding and
//! restocking them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use stockade::{
    CancelRequest, CartId, Currency, ExtendOrderRequest, HoldId, LineUnits, Metadata, Order,
    OrderId, OrderRequest, OrderedHold, PaymentReference, ProductRef, RefundRequest, Replayable,
    RestockRequest, Token,
};

use super::order_view::{OrderEnvelope, OrderView};
use crate::body;
use crate::call::Call;
use crate::caller::Scope;
use crate::money;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Reply};

/// The terms of an order, as both requests for one have them.
struct Terms<'a> {
    amount: Option<&'a RawValue>,
    currency: Option<Currency>,
    reference: Option<String>,
    payment_ttl: Option<u64>,
    metadata: Option<Metadata>,
}

impl Terms<'_> {
    fn apply(self, request: &mut OrderRequest) -> Result<(), Rejection> {
        request.amount = money::read("amount", self.amount)?;
        request.currency = self.currency;
        request.reference = self.reference;
        request.payment_ttl = self.payment_ttl.map(Duration::from_secs);
        request.metadata = self.metadata;
        Ok(())
    }
}

/// Optional fields in the body of an order of one hold.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderOptions<'a> {
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    currency: Option<Currency>,
    reference: Option<String>,
    payment_ttl: Option<u64>,
    metadata: Option<Metadata>,
    token: Option<Token>,
}

/// `POST /api/orders/{hold_id}/{product_id}`
pub async fn create_order(call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let product: ProductRef = call.segment(1)?;
    let options: OrderOptions<'_> = call.optional()?;
    let OrderOptions { amount, currency, reference, payment_ttl, metadata, token } = options;
    let mut hold = OrderedHold::new(hold_id).product(product);
    hold.token = call.hold_token(token)?;
    let mut request = OrderRequest::of([hold]);
    Terms { amount, currency, reference, payment_ttl, metadata }.apply(&mut request)?;
    place(call, request).await
}

/// The body of an order of several holds, or of a cart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody<'a> {
    #[serde(borrow)]
    holds: Option<Vec<&'a RawValue>>,
    cart_id: Option<CartId>,
    token: Option<Token>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    currency: Option<Currency>,
    reference: Option<String>,
    payment_ttl: Option<u64>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    id: HoldId,
    token: Option<Token>,
}

/// `POST /api/orders`
pub async fn create_order_of_holds(call: &Call<'_>) -> HandlerResult {
    let body: OrderBody<'_> = call.object()?;
    let OrderBody { holds, cart_id, token, amount, currency, reference, .. } = body;
    let (payment_ttl, metadata) = (body.payment_ttl, body.metadata);
    let token = call.hold_token(token)?;
    let mut request = match (holds, cart_id, token) {
        (Some(holds), None, None) => OrderRequest::of(ordered_holds(holds)?),
        (None, Some(cart_id), token) => {
            let mut request = OrderRequest::of_cart(cart_id);
            request.cart_token = token;
            request
        }
        (Some(_), None, Some(_)) => {
            return Err(Rejection::invalid("token is a cart's; each of holds has its own"));
        }
        (None, None, _) => return Err(Rejection::invalid("holds is missing, or cart_id")),
        (Some(_), Some(_), _) => {
            return Err(Rejection::invalid("holds and cart_id are both given"));
        }
    };
    Terms { amount, currency, reference, payment_ttl, metadata }.apply(&mut request)?;
    place(call, request).await
}

fn ordered_holds(holds: Vec<&RawValue>) -> Result<Vec<OrderedHold>, Rejection> {
    let ordered = |HoldBody { id, token }| {
        let mut hold = OrderedHold::new(id);
        hold.token = token;
        hold
    };
    Ok(body::list_at("holds", holds)?.into_iter().map(ordered).collect())
}

async fn place(call: &Call<'_>, mut request: OrderRequest) -> HandlerResult {
    if request.amount.is_some() && !call.caller.is_shop() {
        return Err(Rejection::forbidden("only a caller with an API key may set the amount"));
    }
    request.key = call.idempotency_key()?;
    let order = call.engine.create_order(&request).await?;
    let view = OrderView::made(&order.value)?;
    let body = OrderEnvelope::new(Some("order created successfully"), view);
    Ok(Reply::json(&body)?.replayed(order.replayed))
}

/// `GET /api/orders/{id}`
pub async fn order(call: &Call<'_>) -> HandlerResult {
    let order = call.engine.order(call.segment(0)?).await?;
    Reply::json(&OrderEnvelope::new(None, OrderView::of(&order, call.caller.is_shop())?))
}

/// Reads the order's id, and rejects an order that was made with another API key, which
/// needs `operate`.
async fn own_order(call: &Call<'_>) -> Result<OrderId, Rejection> {
    let id: OrderId = call.segment(0)?;
    let Some(name) = call.caller.name() else { return Ok(id) };
    if call.caller.may(Scope::Operate) {
        return Ok(id);
    }
    let order = call.engine.order(id).await?;
    if order.created_by.as_deref() == Some(&**name) {
        return Ok(id);
    }
    let why = "the order was not made with this API key: one with the scope operate may change it";
    Err(Rejection::forbidden(why))
}

/// Says what was done to an order.
fn changed(message: &'static str, order: &Order) -> HandlerResult {
    // Only the shop changes orders.
    Reply::json(&OrderEnvelope::new(Some(message), OrderView::of(order, true)?))
}

fn changed_once(message: &'static str, order: &Replayable<Order>) -> HandlerResult {
    Ok(changed(message, &order.value)?.replayed(order.replayed))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendBody {
    ttl: Option<u64>,
}

/// `POST /api/orders/{id}/extend`
pub async fn extend_order(call: &Call<'_>) -> HandlerResult {
    let mut request = ExtendOrderRequest::new(own_order(call).await?);
    let ExtendBody { ttl } = call.optional()?;
    request.ttl = call.ttl(ttl)?;
    changed("order extended", &call.engine.extend_order(request).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    reason: Option<String>,
}

/// `POST /api/orders/{id}/cancel`
pub async fn cancel_order(call: &Call<'_>) -> HandlerResult {
    let mut request = CancelRequest::new(own_order(call).await?);
    let CancelBody { reason } = call.optional()?;
    request.reason = reason;
    changed("order cancelled", &call.engine.cancel_order(request).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody<'a> {
    #[serde(borrow)]
    lines: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    restock: Option<bool>,
    owed: Option<bool>,
    reason: Option<String>,
}

/// Parses the units of lines. An empty list is rejected: missing lines mean all that is
/// left, which a list that happens to be empty hardly means.
fn units(lines: Option<Vec<&RawValue>>) -> Result<Vec<LineUnits>, Rejection> {
    let Some(lines) = lines else { return Ok(Vec::new()) };
    if lines.is_empty() {
        return Err(Rejection::invalid("lines is empty; leave it out for all that is left"));
    }
    body::list_at("lines", lines)
}

/// `POST /api/orders/{id}/refund`
pub async fn refund_order(call: &Call<'_>) -> HandlerResult {
    let mut request = RefundRequest::new(call.segment::<OrderId>(0)?);
    let RefundBody { lines, amount, restock, owed, reason } = call.optional()?;
    request.lines = units(lines)?;
    request.amount = money::read("amount", amount)?;
    request.restock = restock.unwrap_or_default();
    request.owed = owed.unwrap_or_default();
    request.reason = reason;
    request.key = call.idempotency_key()?;
    changed_once("order refunded", &call.engine.refund_order(request).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestockBody<'a> {
    #[serde(borrow)]
    lines: Option<Vec<&'a RawValue>>,
}

/// `POST /api/orders/{id}/restock`
pub async fn restock_order(call: &Call<'_>) -> HandlerResult {
    let mut request = RestockRequest::new(call.segment::<OrderId>(0)?);
    let RestockBody { lines } = call.optional()?;
    request.lines = units(lines)?;
    request.key = call.idempotency_key()?;
    changed_once("order restocked", &call.engine.restock_order(request).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceBody {
    provider: String,
    reference: String,
}

/// `POST /api/orders/{id}/payment-reference`
pub async fn set_payment_reference(call: &Call<'_>) -> HandlerResult {
    let order_id = own_order(call).await?;
    let ReferenceBody { provider, reference } = call.object()?;
    let request = PaymentReference::new(order_id, provider, reference);
    changed("payment reference set", &call.engine.set_payment_reference(request).await?)
}
