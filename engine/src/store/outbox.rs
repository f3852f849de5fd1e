//! Encodes the events of one transaction into one outbox row.
//!
//! Events that differ in consecutive hold and order ids alone are one entry with
//! their number (run-length encoding): those of a batch of holds, of their orders
//! and of their expiry.

use std::fmt::Write;

use serde::Deserialize;

use crate::ledger::{EventDetails, LedgerEvent};
use crate::model::Coded;
use crate::model::{Event, EventKind, HoldId, OrderId, ProductId, Timestamp};

/// An entry: a run of events, the first of which has these ids.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    /// Kind, product, hold or 0, order or 0, units, version.
    One(i64, u64, u64, u64, i64, u64),
    /// The same, and the number of events.
    Run(i64, u64, u64, u64, i64, u64, u64),
    /// The same, and the details of each, as hexadecimal digits of their JSON.
    Detailed(i64, u64, u64, u64, i64, u64, u64, String),
}

/// Encodes events as JSON of numbers and hexadecimal digits alone, which SQL text needs
/// no escapes for.
pub(super) fn pack(events: &[LedgerEvent]) -> String {
    let mut body = String::with_capacity(64);
    for run in events.chunk_by(follows) {
        let Some(event) = run.first() else { continue };
        body.push(if body.is_empty() { '[' } else { ',' });
        let hold = event.hold_id.map_or(0, |id| id.0);
        let order = event.order_id.map_or(0, |id| id.0);
        let (kind, product) = (event.kind.code(), event.product_id);
        let LedgerEvent { quantity, version, .. } = event;
        // Writing to a String cannot fail.
        let _ = write!(body, "[{kind},{product},{hold},{order},{quantity},{version}");
        let _ = match (run.len(), &event.details) {
            (1, None) => body.write_char(']'),
            (count, Some(details)) => write!(body, ",{count},\"{}\"]", encode(details)),
            (count, None) => write!(body, ",{count}]"),
        };
    }
    body.push_str(if events.is_empty() { "[]" } else { "]" });
    body
}

fn encode(details: &EventDetails) -> String {
    // Plain data: serializing it cannot fail.
    let json = serde_json::to_vec(details).unwrap_or_default();
    json.iter().fold(String::with_capacity(json.len() * 2), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn decode(digits: &str) -> Option<EventDetails> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let json: Vec<u8> = pairs.map(byte).collect::<Option<_>>()?;
    serde_json::from_slice(&json).ok()
}

/// Whether `next` differs from the event before it in the next ids alone.
fn follows(event: &LedgerEvent, next: &LedgerEvent) -> bool {
    let id = |id: Option<HoldId>| id.map_or(0, |id| id.0);
    let order = |id: Option<OrderId>| id.map_or(0, |id| id.0);
    next.details == event.details
        && (next.kind, next.product_id) == (event.kind, event.product_id)
        && (next.quantity, next.version) == (event.quantity, event.version)
        && id(next.hold_id) == nth(id(event.hold_id), 1)
        && order(next.order_id) == nth(order(event.order_id), 1)
}

/// Returns the id of the event at a place in a run; 0 stays none.
fn nth(first: u64, at: u64) -> u64 {
    if first == 0 { 0 } else { first.saturating_add(at) }
}

/// Decodes those of the `count` events of one row that come after the cursor
/// `after`, at most `limit`; the first event of the row has `first_cursor`. `None` for
/// a body that has another number of events, or is none.
pub(super) fn unpack(
    first_cursor: u64,
    count: u64,
    at: Timestamp,
    body: &str,
    (after, limit): (u64, usize),
) -> Option<Vec<Event>> {
    let entries: Vec<Entry> = serde_json::from_str(body).ok()?;
    let mut events = Vec::new();
    let mut cursor = first_cursor;
    let end = first_cursor.checked_add(count)?;
    for entry in entries {
        let mut details = EventDetails::default();
        let (kind, product, hold, order, quantity, version, run) = match entry {
            Entry::One(kind, product, hold, order, quantity, version) => {
                (kind, product, hold, order, quantity, version, 1)
            }
            Entry::Run(kind, product, hold, order, quantity, version, run) => {
                (kind, product, hold, order, quantity, version, run)
            }
            Entry::Detailed(kind, product, hold, order, quantity, version, run, digits) => {
                details = decode(&digits)?;
                (kind, product, hold, order, quantity, version, run)
            }
        };
        // Bounds what a damaged number of events would allocate.
        if cursor.checked_add(run)? > end {
            return None;
        }
        let seen = after.saturating_add(1).saturating_sub(cursor).min(run);
        let wanted = u64::try_from(limit - events.len()).unwrap_or(u64::MAX);
        let end_of_wanted = run.min(seen.saturating_add(wanted));
        for place in seen..end_of_wanted {
            let (hold, order) = (nth(hold, place), nth(order, place));
            events.push(Event {
                cursor: cursor + place,
                kind: EventKind::from_code(kind)?,
                product_id: ProductId(product),
                sku: details.sku.clone(),
                hold_id: (hold != 0).then_some(HoldId(hold)),
                order_id: (order != 0).then_some(OrderId(order)),
                reference: None,
                customer: None,
                actor: details.actor.clone(),
                quantity,
                version,
                at,
                reason: details.reason.clone(),
                metadata: details.metadata.clone(),
            });
        }
        cursor += run;
    }
    (cursor == end).then_some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: (u64, usize) = (0, usize::MAX);
    const AT: Timestamp = Timestamp::from_micros(5);

    fn event(kind: EventKind, hold: u64, order: u64, quantity: i64) -> LedgerEvent {
        LedgerEvent {
            kind,
            product_id: ProductId(1),
            hold_id: (hold > 0).then_some(HoldId(hold)),
            order_id: (order > 0).then_some(OrderId(order)),
            quantity,
            version: 3,
            details: None,
        }
    }

    #[test]
    fn events_read_back_as_they_were_packed() {
        let (created, adjusted, ordered) =
            (EventKind::HoldCreated, EventKind::StockAdjusted, EventKind::OrderCreated);
        let events = [
            event(created, 7, 0, 2),
            event(created, 8, 0, 2),
            event(created, 9, 0, 1),
            event(created, 11, 0, 1),
            event(adjusted, 0, 0, -5),
            event(adjusted, 0, 0, -5),
            event(ordered, 7, 20, 2),
            event(ordered, 8, 21, 2),
            event(ordered, 9, 23, 2),
        ];
        let body = pack(&events);
        assert_eq!(
            body,
            "[[0,1,7,0,2,3,2],[0,1,9,0,1,3],[0,1,11,0,1,3],[9,1,0,0,-5,3,2],\
             [4,1,7,20,2,3,2],[4,1,9,23,2,3]]"
        );
        let read = unpack(41, 9, AT, &body, ALL).expect("reads");
        assert!(read.iter().map(|event| event.cursor).eq(41..50));
        for (read, event) in read.iter().zip(&events) {
            assert_eq!((read.kind, read.quantity), (event.kind, event.quantity));
            assert_eq!((read.hold_id, read.order_id), (event.hold_id, event.order_id));
        }
        // Any part of them.
        for after in 0..55 {
            for limit in 1..12 {
                let part = unpack(41, 9, AT, &body, (after, limit)).expect("reads");
                let wanted = read.iter().filter(|event| event.cursor > after).take(limit);
                assert!(part.iter().eq(wanted), "{limit} after {after}");
            }
        }
        assert_eq!(unpack(1, 0, AT, &pack(&[]), ALL), Some(vec![]));
    }

    #[test]
    fn details_read_back_as_they_were_packed() {
        let detailed = |reason: &str| {
            let (reason, sku) = (Some(reason.to_owned()), Some("a'\\".to_owned()));
            let metadata = Some(r#"{"a": 1.10}"#.parse().expect("an object"));
            let actor = Some("clerk".to_owned());
            let details = Some(Box::new(EventDetails { sku, actor, reason, metadata }));
            LedgerEvent { details, ..event(EventKind::StockAdjusted, 0, 0, -5) }
        };
        let plain = event(EventKind::StockAdjusted, 0, 0, -5);
        let events = [plain.clone(), detailed("O'Hara \u{e4}"), detailed("two"), plain];
        let body = pack(&events);
        assert!(body.is_ascii() && !body.contains(['\'', '\\']), "{body}");
        let read = unpack(7, 4, AT, &body, ALL).expect("reads");
        for (read, event) in read.iter().zip(&events) {
            let details = event.details.as_deref().cloned().unwrap_or_default();
            let EventDetails { sku, actor, reason, metadata } = details;
            assert_eq!((&read.sku, &read.reason, &read.metadata), (&sku, &reason, &metadata));
            assert_eq!(read.actor, actor);
        }
        assert_eq!(unpack(7, 4, AT, &body, (8, 1)).expect("reads"), read[2..3]);
        for damaged in ["7b", "zz", "", "7", "\u{e4}\u{e4}"] {
            let body = format!(r#"[[9,1,0,0,1,3,1,"{damaged}"]]"#);
            assert_eq!(unpack(1, 1, AT, &body, ALL), None, "{damaged}");
        }
    }

    #[test]
    fn a_body_with_another_number_of_events_is_none() {
        let body = pack(&[event(EventKind::HoldCreated, 7, 0, 2)]);
        assert_eq!(unpack(1, 2, AT, &body, ALL), None);
        assert_eq!(unpack(1, 1, AT, "[[0,1,7,0,2,3,2]]", ALL), None);
        assert_eq!(unpack(1, 9, AT, "[[0,1,7,0,2,3,18446744073709551615]]", ALL), None);
        assert_eq!(unpack(1, 1, AT, "[[0,1,7,0,2]]", ALL), None);
    }
}
