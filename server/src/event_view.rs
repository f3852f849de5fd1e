//! An event as JSON: the same for HTTP, webhooks, streams and the command line. The
//! schema of each kind is in `server/events`.

use serde::Serialize;
use stockade::{Event, EventKind, HoldId, Metadata, OrderId, ProductId, Timestamp};

/// An event, as every face shows it.
#[derive(Debug, Serialize)]
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
    /// Shows an event.
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

    /// Shows an event without the metadata of its hold or order.
    pub fn brief(event: &'a Event) -> Self {
        Self { metadata: None, ..Self::of(event) }
    }
}

#[cfg(test)]
mod tests;
