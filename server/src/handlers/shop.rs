//! Endpoints of the shop: products, holds, orders.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stockade::{
    CartRequest, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus, Order, OrderId,
    OrderRequest, OrderStatus, PaymentDisposition, PaymentToken, Product, ProductId,
    ReleaseRequest, Timestamp, Token,
};

use crate::body;
use crate::call::Call;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Reply};
use crate::state::ServerState;

pub(super) const KEY: &[&str] = &["idempotency-key"];

/// A product as the contract defines it, followed by additional fields.
#[derive(Serialize)]
pub struct ProductView<'a> {
    id: ProductId,
    price: Box<RawValue>,
    stock: u64,
    name: &'a str,
    held: u64,
    pending: u64,
    sold: u64,
    version: u64,
}

impl<'a> ProductView<'a> {
    /// Renders a product; the price is a JSON number with exactly its digits.
    pub fn of(product: &'a Product) -> Result<Self, Rejection> {
        let price = RawValue::from_string(product.price.to_string()).map_err(|error| {
            Rejection::internal(format!("cannot render the price as a JSON number: {error}"))
        })?;
        Ok(Self {
            id: product.id,
            price,
            stock: product.stock,
            name: &product.name,
            held: product.held,
            pending: product.pending,
            sold: product.sold,
            version: product.version,
        })
    }
}

#[derive(Serialize)]
struct PageView<'a> {
    items: Vec<ProductView<'a>>,
    next: Option<ProductId>,
}

/// A hold, with its token where it was just made.
#[derive(Serialize)]
pub struct HoldView {
    id: HoldId,
    qty: u32,
    expires_at: String,
    product_id: ProductId,
    status: HoldStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// Only in the response that creates the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
}

impl HoldView {
    /// Renders a hold for the caller that made it.
    pub fn made(hold: &Hold) -> Self {
        Self { token: Some(hold.token), ..Self::of(hold) }
    }

    fn of(hold: &Hold) -> Self {
        Self {
            id: hold.id,
            qty: hold.quantity,
            expires_at: hold.expires_at.to_seconds_text(),
            product_id: hold.product_id,
            status: hold.status,
            order_id: hold.order_id,
            token: None,
        }
    }
}

#[derive(Serialize)]
struct OrderView {
    status: OrderStatus,
    hold_id: HoldId,
    updated_at: Timestamp,
    created_at: Timestamp,
    id: OrderId,
    product_id: ProductId,
    qty: u32,
    /// Only in the response that creates the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<PaymentToken>,
    payment_disposition: PaymentDisposition,
}

impl OrderView {
    fn made(order: &Order) -> Self {
        Self { payment_token: Some(order.payment_token), ..Self::of(order) }
    }

    fn of(order: &Order) -> Self {
        Self {
            status: order.status,
            hold_id: order.hold_id,
            updated_at: order.updated_at,
            created_at: order.created_at,
            id: order.id,
            product_id: order.product_id,
            qty: order.quantity,
            payment_token: None,
            payment_disposition: order.payment_disposition,
        }
    }
}

/// The envelope of a hold or an order; each response has exactly one of the
/// three.
#[derive(Serialize)]
struct Envelope {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<Vec<HoldView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderView>,
}

impl Envelope {
    const EMPTY: Self = Self { message: None, success: true, hold: None, holds: None, order: None };

    fn hold(message: Option<&'static str>, hold: HoldView) -> Self {
        Self { message, hold: Some(hold), ..Self::EMPTY }
    }

    fn order(message: Option<&'static str>, order: OrderView) -> Self {
        Self { message, order: Some(order), ..Self::EMPTY }
    }
}

/// `GET /api/products/{id}`
pub async fn product(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let product = state.engine.product(call.segment(0)?).await?;
    Reply::json(&ProductView::of(&product)?)
}

/// `GET /api/products?after=…&limit=…`
pub async fn products(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let after: Option<ProductId> = call.after_id()?;
    let page = state.engine.products(after, call.limit()?).await?;
    Reply::json(&PageView {
        items: page.items.iter().map(ProductView::of).collect::<Result<_, _>>()?,
        next: page.next,
    })
}

/// Optional fields in the body of a hold request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldOptions {
    ttl: Option<u64>,
    customer: Option<String>,
}

/// `POST /api/holds/{product_id}/{quantity}`
pub async fn create_hold(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let product_id: ProductId = call.segment(0)?;
    let mut request = HoldRequest::new(product_id, call.quantity(1)?);
    let options: HoldOptions = call.optional()?;
    request.ttl = call.ttl(options.ttl)?;
    request.customer = call.customer(options.customer)?;
    request.key = call.key(KEY)?;
    let hold = state.engine.create_hold(&request).await?;
    let view = Envelope::hold(Some("Holded Successfully"), HoldView::made(&hold.value));
    Ok(Reply::json(&view)?.replayed(hold.replayed))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cart<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    ttl: Option<u64>,
    customer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    product_id: ProductId,
    quantity: u32,
}

/// `POST /api/holds`
pub async fn create_holds(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let cart: Cart<'_> = body::object(body::text(&call.body)?)?;
    let mut items = Vec::with_capacity(cart.items.len());
    for (at, item) in cart.items.into_iter().enumerate() {
        let line: Line = body::object_at(&format!("items[{at}]"), item.get())?;
        items.push((line.product_id, line.quantity));
    }
    let mut request = CartRequest::new(items);
    request.ttl = cart.ttl.map(std::time::Duration::from_secs);
    request.customer = cart.customer;
    request.key = call.key(KEY)?;
    let holds = state.engine.create_holds(&request).await?;
    let view = Envelope {
        message: Some("Holded Successfully"),
        holds: Some(holds.value.iter().map(HoldView::made).collect()),
        ..Envelope::EMPTY
    };
    Ok(Reply::json(&view)?.replayed(holds.replayed))
}

/// `GET /api/holds/{id}`
pub async fn hold(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let hold = state.engine.hold(call.segment(0)?).await?;
    Reply::json(&Envelope::hold(None, HoldView::of(&hold)))
}

/// `DELETE /api/holds/{id}`
pub async fn release_hold(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let mut request = ReleaseRequest::new(hold_id);
    request.token = call.hold_token(None)?;
    let hold = state.engine.release_hold(request).await?;
    Reply::json(&Envelope::hold(Some("hold released"), HoldView::of(&hold)))
}

/// Optional fields in the body of an extend request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendOptions {
    ttl: Option<u64>,
    token: Option<Token>,
}

/// `POST /api/holds/{id}/extend`
pub async fn extend_hold(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let mut request = ExtendRequest::new(hold_id);
    let options: ExtendOptions = call.optional()?;
    request.ttl = call.ttl(options.ttl)?;
    request.token = call.hold_token(options.token)?;
    let hold = state.engine.extend_hold(&request).await?;
    Reply::json(&Envelope::hold(Some("hold extended"), HoldView::of(&hold)))
}

/// The body of an order request, which has no fields yet.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderOptions {}

/// `POST /api/orders/{hold_id}/{product_id}`
pub async fn create_order(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let hold_id: HoldId = call.segment(0)?;
    let product_id: ProductId = call.segment(1)?;
    let OrderOptions {} = call.optional()?;
    let mut request = OrderRequest::new(hold_id, product_id);
    request.key = call.key(KEY)?;
    request.token = call.hold_token(None)?;
    let order = state.engine.create_order(&request).await?;
    let view = Envelope::order(Some("order created successfully"), OrderView::made(&order.value));
    Ok(Reply::json(&view)?.replayed(order.replayed))
}

/// `GET /api/orders/{id}`
pub async fn order(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let order = state.engine.order(call.segment(0)?).await?;
    Reply::json(&Envelope::order(None, OrderView::of(&order)))
}
