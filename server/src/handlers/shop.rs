//! Endpoints of holds.

use serde::{Deserialize, Serialize};
use stockade::{
    CartId, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus, Metadata, OrderId, ProductId,
    ProductRef, ReleaseRequest, Timestamp, Token,
};

use crate::call::Call;
use crate::caller::Scope;
use crate::reply::{HandlerResult, Reply};

/// A hold, with its token where it was just made.
#[derive(Serialize)]
pub struct HoldView<'a> {
    id: HoldId,
    qty: u32,
    expires_at: String,
    product_id: ProductId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    status: HoldStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// Missing for a lone hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    cart_id: Option<CartId>,
    /// Only in the response that creates the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// Only in lists, which are for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// Only in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    /// Only for the caller that made it, and for the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> HoldView<'a> {
    /// Renders a hold for the caller that made it.
    pub fn made(hold: &'a Hold) -> Self {
        Self { token: hold.token, ..Self::of(hold, true) }
    }

    /// Renders a hold for an operator, without its token.
    pub fn listed(hold: &'a Hold) -> Self {
        let customer = hold.customer.as_deref();
        Self { created_at: Some(hold.created_at), customer, ..Self::of(hold, true) }
    }

    /// Renders a hold without its token, for the shop or for a buyer.
    pub fn of(hold: &'a Hold, is_shop: bool) -> Self {
        Self {
            id: hold.id,
            qty: hold.quantity,
            expires_at: hold.expires_at.to_seconds_text(),
            product_id: hold.product_id,
            sku: hold.sku.as_deref(),
            status: hold.status,
            order_id: hold.order_id,
            cart_id: hold.cart_id,
            token: None,
            created_at: None,
            customer: None,
            metadata: hold.metadata.as_ref().filter(|_| is_shop),
        }
    }
}

/// The envelope of a hold.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    success: bool,
    hold: HoldView<'a>,
}

impl<'a> Envelope<'a> {
    pub(super) fn hold(message: Option<&'static str>, hold: HoldView<'a>) -> Self {
        Self { message, success: true, hold }
    }
}

/// Optional fields in the body of a hold request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldOptions {
    ttl: Option<u64>,
    customer: Option<String>,
    at_most: Option<bool>,
    metadata: Option<Metadata>,
}

/// `POST /api/holds/{product_id}/{quantity}`
pub async fn create_hold(call: &Call<'_>) -> HandlerResult {
    let product: ProductRef = call.segment(0)?;
    let mut request = HoldRequest::new(product, call.quantity(1)?);
    let options: HoldOptions = call.optional()?;
    request.ttl = call.ttl(options.ttl)?;
    request.customer = call.customer(options.customer)?;
    request.at_most = options.at_most.unwrap_or_default();
    request.metadata = options.metadata;
    request.key = call.idempotency_key()?;
    let hold = call.engine.create_hold(&request).await?;
    let view = Envelope::hold(Some("Holded Successfully"), HoldView::made(&hold.value));
    Ok(Reply::json(&view)?.replayed(hold.replayed))
}

/// `GET /api/holds/{id}`
pub async fn hold(call: &Call<'_>) -> HandlerResult {
    let hold = call.engine.hold(call.segment(0)?).await?;
    Reply::json(&Envelope::hold(None, HoldView::of(&hold, call.caller.is_shop())))
}

/// `DELETE /api/holds/{id}`
pub async fn release_hold(call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let mut request = ReleaseRequest::new(hold_id);
    call.no_fields()?;
    request.token = call.hold_token(None)?;
    request.by_operator = call.caller.may(Scope::Operate);
    let hold = call.engine.release_hold(request).await?;
    Reply::json(&Envelope::hold(Some("hold released"), HoldView::of(&hold, call.caller.is_shop())))
}

/// Optional fields in the body of an extend request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendOptions {
    pub ttl: Option<u64>,
    pub token: Option<Token>,
}

/// `POST /api/holds/{id}/extend`
pub async fn extend_hold(call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let mut request = ExtendRequest::new(hold_id);
    let options: ExtendOptions = call.optional()?;
    request.ttl = call.ttl(options.ttl)?;
    request.token = call.hold_token(options.token)?;
    let hold = call.engine.extend_hold(&request).await?;
    Reply::json(&Envelope::hold(Some("hold extended"), HoldView::of(&hold, call.caller.is_shop())))
}
