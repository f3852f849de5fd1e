//! Operator endpoints: sweeps, audits, events, and the erasure of a customer.

use serde::{Deserialize, Serialize};
use stockade::{Event, EventKind, HoldId, Metadata, OrderId, ProductId, Timestamp};

use crate::call::Call;
use crate::reply::{HandlerResult, Reply};

/// `POST /api/admin/sweep`
pub async fn sweep(call: &Call<'_>) -> HandlerResult {
    call.no_fields()?;
    Reply::json(&call.engine.sweep().await?)
}

/// `GET /api/admin/audit`
pub async fn audit(call: &Call<'_>) -> HandlerResult {
    Reply::json(&call.engine.audit().await?)
}

/// An event.
#[derive(Serialize)]
pub struct EventView<'a> {
    cursor: u64,
    #[serde(rename = "type")]
    kind: EventKind,
    /// Missing where the event is of no product.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<HoldId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    qty: i64,
    version: u64,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> EventView<'a> {
    /// Renders an event.
    pub fn of(event: &'a Event) -> Self {
        Self {
            cursor: event.cursor,
            kind: event.kind,
            product_id: Some(event.product_id).filter(|id| id.0 > 0),
            sku: event.sku.as_deref(),
            hold_id: event.hold_id,
            order_id: event.order_id,
            qty: event.quantity,
            version: event.version,
            at: event.at,
            reference: event.reference.as_deref(),
            customer: event.customer.as_deref(),
            actor: event.actor.as_deref(),
            reason: event.reason.as_deref(),
            metadata: event.metadata.as_ref(),
        }
    }

    /// Renders an event without the metadata of its hold or order.
    pub fn brief(event: &'a Event) -> Self {
        Self { metadata: None, ..Self::of(event) }
    }
}

#[derive(Serialize)]
struct EventsView<'a> {
    events: Vec<EventView<'a>>,
    next: u64,
}

/// `GET /api/admin/events?after=…&limit=…`
pub async fn events(call: &Call<'_>) -> HandlerResult {
    call.known_query(&["after", "limit"])?;
    let after = call.after()?.unwrap_or(0);
    let events = call.engine.events_after(after, call.limit()?).await?;
    // Without new events, the next request repeats the cursor.
    let next = events.last().map_or(after, |event| event.cursor);
    Reply::json(&EventsView { events: events.iter().map(EventView::of).collect(), next })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EraseBody {
    customer: String,
}

/// `POST /api/admin/customers/erase`
pub async fn erase_customer(call: &Call<'_>) -> HandlerResult {
    let EraseBody { customer } = call.object()?;
    Reply::json(&call.engine.erase_customer(customer).await?)
}
