//! Encodes the events of one transaction into one outbox row.

use std::fmt::Write;

use crate::ledger::LedgerEvent;
use crate::model::Coded;
use crate::model::{Event, EventKind, HoldId, OrderId, ProductId, Timestamp};

/// Kind, product, hold or 0, order or 0, units, version.
type Packed = (i64, u64, u64, u64, i64, u64);

/// Encodes events as JSON of numbers alone, which SQL text needs no escapes for.
pub(super) fn pack(events: &[LedgerEvent]) -> String {
    let mut body = String::with_capacity(2 + events.len() * 40);
    for event in events {
        body.push(if body.is_empty() { '[' } else { ',' });
        let hold = event.hold_id.map_or(0, |id| id.0);
        let order = event.order_id.map_or(0, |id| id.0);
        let (kind, product) = (event.kind.code(), event.product_id);
        // Writing to a String cannot fail.
        let _ =
            write!(body, "[{kind},{product},{hold},{order},{},{}]", event.quantity, event.version);
    }
    body.push_str(if events.is_empty() { "[]" } else { "]" });
    body
}

/// Decodes the events of one row, the first of which has `first_cursor`.
pub(super) fn unpack(first_cursor: u64, at: Timestamp, body: &str) -> Option<Vec<Event>> {
    let packed: Vec<Packed> = serde_json::from_str(body).ok()?;
    let event = |(cursor, (kind, product, hold, order, quantity, version)): (u64, Packed)| {
        Some(Event {
            cursor,
            kind: EventKind::from_code(kind)?,
            product_id: ProductId(product),
            hold_id: (hold != 0).then_some(HoldId(hold)),
            order_id: (order != 0).then_some(OrderId(order)),
            quantity,
            version,
            at,
        })
    };
    (first_cursor..).zip(packed).map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_they_were_packed() {
        let event = |kind, order: u64, quantity| LedgerEvent {
            kind,
            product_id: ProductId(1),
            hold_id: Some(HoldId(7)),
            order_id: (order > 0).then_some(OrderId(order)),
            quantity,
            version: 3,
        };
        let events = [event(EventKind::HoldCreated, 0, 2), event(EventKind::StockAdjusted, 9, -5)];
        let read = unpack(41, Timestamp::from_micros(5), &pack(&events)).expect("reads");
        assert_eq!(read.iter().map(|event| event.cursor).collect::<Vec<_>>(), [41, 42]);
        assert_eq!((read[0].kind, read[0].order_id), (EventKind::HoldCreated, None));
        assert_eq!((read[1].quantity, read[1].order_id), (-5, Some(OrderId(9))));
        assert_eq!(unpack(1, Timestamp::from_micros(5), &pack(&[])), Some(vec![]));
    }
}
