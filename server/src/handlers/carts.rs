//! Endpoints of carts, and of the quantity of a hold.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stockade::{
    Cart, CartId, CartLine, CartRequest, ChangeQuantityRequest, ExtendCartRequest, Hold, HoldId,
    Metadata, ProductId, ReleaseCartRequest, Token,
};

use super::shop::{Envelope, ExtendOptions, HoldView};
use crate::body;
use crate::call::Call;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Reply};

/// A cart, with its tokens where it was just made.
#[derive(Serialize)]
struct CartView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    success: bool,
    cart_id: CartId,
    holds: Vec<HoldView<'a>>,
    /// Only in the response that creates the cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
}

impl<'a> CartView<'a> {
    fn of(
        message: Option<&'static str>,
        cart: &'a Cart,
        view: impl Fn(&'a Hold) -> HoldView<'a>,
    ) -> Self {
        let holds = cart.holds.iter().map(view).collect();
        Self { message, success: true, cart_id: cart.id, holds, token: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CartBody<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    ttl: Option<u64>,
    customer: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    product_id: Option<ProductId>,
    sku: Option<String>,
    quantity: u32,
    at_most: Option<bool>,
}

/// `POST /api/holds`
pub async fn create_holds(call: &Call<'_>) -> HandlerResult {
    let cart: CartBody<'_> = call.object()?;
    let line = |(at, Line { product_id, sku, quantity, at_most }): (usize, Line)| {
        let product = body::product(&format!("items[{at}]"), product_id, sku)?;
        let line = CartLine::new(product, quantity);
        Ok(if at_most == Some(true) { line.at_most() } else { line })
    };
    let lines = body::list_at("items", cart.items)?.into_iter().enumerate().map(line);
    let mut request = CartRequest::new(lines.collect::<Result<Vec<_>, Rejection>>()?);
    request.ttl = cart.ttl.map(std::time::Duration::from_secs);
    request.customer = cart.customer;
    request.metadata = cart.metadata;
    request.key = call.idempotency_key()?;
    let cart = call.engine.create_holds(&request).await?;
    let view = CartView::of(Some("Holded Successfully"), &cart.value, HoldView::made);
    let view = CartView { token: cart.value.token, ..view };
    Ok(Reply::json(&view)?.replayed(cart.replayed))
}

/// `GET /api/carts/{id}`
pub async fn cart(call: &Call<'_>) -> HandlerResult {
    let is_shop = call.caller.is_shop();
    let cart = call.engine.cart(call.segment(0)?).await?;
    Reply::json(&CartView::of(None, &cart, |hold| HoldView::of(hold, is_shop)))
}

/// `DELETE /api/carts/{id}`
pub async fn release_cart(call: &Call<'_>) -> HandlerResult {
    let is_shop = call.caller.is_shop();
    let cart_id: CartId = call.segment(0)?;
    let mut request = ReleaseCartRequest::new(cart_id);
    call.no_fields()?;
    request.token = call.hold_token(None)?;
    let cart = call.engine.release_cart(request).await?;
    Reply::json(&CartView::of(Some("cart released"), &cart, |hold| HoldView::of(hold, is_shop)))
}

/// `POST /api/carts/{id}/extend`
pub async fn extend_cart(call: &Call<'_>) -> HandlerResult {
    let is_shop = call.caller.is_shop();
    let cart_id: CartId = call.segment(0)?;
    let mut request = ExtendCartRequest::new(cart_id);
    let options: ExtendOptions = call.optional()?;
    request.ttl = call.ttl(options.ttl)?;
    request.token = call.hold_token(options.token)?;
    let cart = call.engine.extend_cart(request).await?;
    Reply::json(&CartView::of(Some("cart extended"), &cart, |hold| HoldView::of(hold, is_shop)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuantityBody {
    quantity: u32,
    token: Option<Token>,
}

/// `POST /api/holds/{id}/quantity`
pub async fn change_quantity(call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let body: QuantityBody = call.object()?;
    let mut request = ChangeQuantityRequest::new(hold_id, body.quantity);
    request.token = call.hold_token(body.token)?;
    request.key = call.idempotency_key()?;
    let hold = call.engine.change_quantity(request).await?;
    let view =
        Envelope::hold(Some("quantity changed"), HoldView::of(&hold.value, call.caller.is_shop()));
    Ok(Reply::json(&view)?.replayed(hold.replayed))
}
