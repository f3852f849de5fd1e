//! The transactional outbox.

use std::ffi::c_char;

use stockade::{Event, EventKind};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::handle;
use crate::responses::entry;
use crate::versioned_struct::versioned_struct;

/// The kind of an event.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_event_kind {
    /// A value that this header does not list.
    Unknown = 0,
    /// A hold reserved stock.
    HoldCreated = 1,
    /// The caller released a hold.
    HoldReleased = 2,
    /// A hold expired and its stock was returned.
    HoldExpired = 3,
    /// A hold was extended.
    HoldExtended = 4,
    /// A hold became an order.
    OrderCreated = 5,
    /// An order was paid.
    OrderPaid = 6,
    /// An order was cancelled and its stock was returned.
    OrderCancelled = 7,
    /// A payment event contradicts a final state; an operator should look.
    PaymentConflict = 8,
    /// A late payment must be refunded.
    PaymentNeedsRefund = 9,
    /// An operator received or wrote off stock.
    StockAdjusted = 10,
}

enum_names!(EventKind => stockade_event_kind {
    HoldCreated: c"hold.created",
    HoldReleased: c"hold.released",
    HoldExpired: c"hold.expired",
    HoldExtended: c"hold.extended",
    OrderCreated: c"order.created",
    OrderPaid: c"order.paid",
    OrderCancelled: c"order.cancelled",
    PaymentConflict: c"payment.conflict",
    PaymentNeedsRefund: c"payment.needs_refund",
    StockAdjusted: c"stock.adjusted",
});

/// One event: a committed state transition.
#[repr(C)]
pub struct stockade_event {
    /// sizeof(stockade_event), set by the caller.
    pub struct_size: u32,
    /// The kind of the event.
    pub kind: stockade_event_kind,
    /// The event's position, strictly increasing; pass the last one to read on.
    pub cursor: u64,
    /// The product.
    pub product_id: u64,
    /// The hold, 0 for none.
    pub hold_id: u64,
    /// The order, 0 for none.
    pub order_id: u64,
    /// Units; negative for a write-off.
    pub quantity: i64,
    /// The product's version after the transaction of the event.
    pub version: u64,
    /// When it was committed, in microseconds since 1970 in UTC.
    pub at_us: i64,
}
versioned_struct!(stockade_event, first 64, now 64);

impl From<&Event> for stockade_event {
    fn from(event: &Event) -> Self {
        Self {
            struct_size: 0,
            kind: event.kind.into(),
            cursor: event.cursor,
            product_id: event.product_id.0,
            hold_id: event.hold_id.map_or(0, |id| id.0),
            order_id: event.order_id.map_or(0, |id| id.0),
            quantity: event.quantity,
            version: event.version,
            at_us: event.at.micros(),
        }
    }
}

/// A list of events in commit order. Owned by the caller, who frees it with
/// stockade_events_free.
pub struct stockade_events {
    events: Vec<Event>,
}

/// Reads up to `limit` (1 to 10000) events after `cursor`, 0 for the beginning.
///
/// Errors: invalid_argument for another limit, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_events_after(
    engine: *const stockade_engine,
    cursor: u64,
    limit: u32,
    events: *mut *mut stockade_events,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(events, "events", || {
                Ok(stockade_events { events: self::engine(engine)?.events_after(cursor, limit)? })
            })
        })
    }
}

/// Returns the number of events; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_count(events: *const stockade_events) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { events.as_ref() }.map_or(0, |events| events.events.len())
}

/// Reads an event of the list, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_get(
    events: *const stockade_events,
    index: usize,
    event: *mut stockade_event,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(events, |list| list.events.as_slice(), index, event, error) }
}

/// Frees the list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_free(events: *mut stockade_events) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(events) }
}

/// Returns the name of an event kind, such as "order.paid"; NULL for an unknown
/// number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_event_kind_name(kind: u32) -> *const c_char {
    stockade_event_kind::name(kind)
}
