//! Operator endpoints.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stockade::{
    Event, EventKind, HoldId, Money, NewProduct, OrderId, ProductId, StockAdjustment, Timestamp,
};

use super::shop::{KEY, ProductView};
use crate::body;
use crate::call::Call;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Reply};
use crate::state::ServerState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProductBody<'a> {
    name: String,
    // A number or a string, kept as text: a float would lose cents.
    #[serde(borrow)]
    price: &'a RawValue,
    stock: u64,
}

/// `POST /api/admin/products`
pub async fn create_product(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let body: NewProductBody<'_> = body::object(body::text(&call.body)?)?;
    let price = price(body.price.get())?;
    let mut request = NewProduct::new(body.name, price, body.stock);
    request.key = call.key(KEY)?;
    let product = state.engine.create_product(&request).await?;
    let reply = Reply::json(&ProductView::of(&product.value)?)?.status(StatusCode::CREATED);
    Ok(reply.replayed(product.replayed))
}

/// Parses a price, a JSON number or a string.
fn price(json: &str) -> Result<Money, Rejection> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).map_err(|error| body::rejection(&error))?;
        return Ok(text.parse()?);
    }
    Ok(json.parse()?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustBody {
    delta: i64,
    reason: String,
    version: Option<u64>,
}

/// `POST /api/admin/products/{id}/adjust`
pub async fn adjust_stock(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let id: ProductId = call.segment(0)?;
    let body: AdjustBody = body::object(body::text(&call.body)?)?;
    let mut request = StockAdjustment::new(id, body.delta, body.reason);
    request.version = body.version;
    request.key = call.key(KEY)?;
    let product = state.engine.adjust_stock(&request).await?;
    Ok(Reply::json(&ProductView::of(&product.value)?)?.replayed(product.replayed))
}

/// `POST /api/admin/sweep`
pub async fn sweep(state: &ServerState) -> HandlerResult {
    Reply::json(&state.engine.sweep().await?)
}

/// `GET /api/admin/audit`
pub async fn audit(state: &ServerState) -> HandlerResult {
    Reply::json(&state.engine.audit().await?)
}

#[derive(Serialize)]
struct EventView {
    cursor: u64,
    #[serde(rename = "type")]
    kind: EventKind,
    product_id: ProductId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<HoldId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    qty: i64,
    version: u64,
    at: Timestamp,
}

impl EventView {
    fn of(event: &Event) -> Self {
        Self {
            cursor: event.cursor,
            kind: event.kind,
            product_id: event.product_id,
            hold_id: event.hold_id,
            order_id: event.order_id,
            qty: event.quantity,
            version: event.version,
            at: event.at,
        }
    }
}

#[derive(Serialize)]
struct EventsView {
    events: Vec<EventView>,
    next: u64,
}

/// `GET /api/admin/events?after=…&limit=…`
pub async fn events(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let after = call.after()?.unwrap_or(0);
    let events = state.engine.events_after(after, call.limit()?).await?;
    // Without new events, the next request repeats the cursor.
    let next = events.last().map_or(after, |event| event.cursor);
    Reply::json(&EventsView { events: events.iter().map(EventView::of).collect(), next })
}
