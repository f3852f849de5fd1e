//! The outbox.

use std::ffi::c_char;

use stockade::{Event, EventKind};

use crate::answers::entry;
use crate::border;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::handle;
use crate::names::names;
use crate::plain::plain;

/// What kind of transition an event tells of.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_event_kind {
    /// A hold took stock.
    HoldCreated = 1,
    /// A hold was given back by its caller.
    HoldReleased = 2,
    /// A hold ran out and its stock went back.
    HoldExpired = 3,
    /// A hold lives longer.
    HoldExtended = 4,
    /// A hold became an order.
    OrderCreated = 5,
    /// An order was paid.
    OrderPaid = 6,
    /// An order was cancelled and its stock went back.
    OrderCancelled = 7,
    /// The provider's word contradicts what was final; a person should look.
    PaymentConflict = 8,
    /// Money came for units that are gone.
    PaymentNeedsRefund = 9,
    /// An operator received or wrote off goods.
    StockAdjusted = 10,
}

names!(EventKind => stockade_event_kind {
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

/// One transition.
#[repr(C)]
pub struct stockade_event {
    /// sizeof(stockade_event), set by the caller.
    pub struct_size: u32,
    /// What happened.
    pub kind: stockade_event_kind,
    /// Grows from event to event; pass it on to read on.
    pub cursor: u64,
    /// The product it happened to.
    pub product_id: u64,
    /// The hold concerned, 0 for none.
    pub hold_id: u64,
    /// The order concerned, 0 for none.
    pub order_id: u64,
    /// Units concerned; negative where an operator wrote goods off.
    pub qty: i64,
    /// The product's version after the commit that made the transition.
    pub version: u64,
    /// When it happened, in microseconds since 1970 in UTC.
    pub at_us: i64,
}
plain!(stockade_event, first 64, now 64);

impl From<&Event> for stockade_event {
    fn from(event: &Event) -> Self {
        Self {
            struct_size: 0,
            kind: event.kind.into(),
            cursor: event.cursor,
            product_id: event.product_id.0,
            hold_id: event.hold_id.map_or(0, |id| id.0),
            order_id: event.order_id.map_or(0, |id| id.0),
            qty: event.qty,
            version: event.version,
            at_us: event.at.micros(),
        }
    }
}

/// Events, in order. Owned by the caller, who frees them with
/// stockade_events_free.
pub struct stockade_events {
    events: Vec<Event>,
}

/// Reads up to `limit` (1 to 10000) events after `cursor`, 0 for the first.
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
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            handle::give(events, "events", || {
                Ok(stockade_events { events: self::engine(engine)?.events_after(cursor, limit)? })
            })
        })
    }
}

/// How many events there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_count(events: *const stockade_events) -> usize {
    // SAFETY: as the header asks of the caller.
    unsafe { events.as_ref() }.map_or(0, |events| events.events.len())
}

/// Reads one of the events, counted from 0.
///
/// Errors: invalid_argument when there is none so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_get(
    events: *const stockade_events,
    index: usize,
    event: *mut stockade_event,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { entry(events, |list| list.events.as_slice(), index, event, error) }
}

/// Frees the list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_events_free(events: *mut stockade_events) {
    // SAFETY: as the header asks of the caller.
    unsafe { handle::free(events) }
}

/// The word for a kind of event, such as "order.paid". Lives as long as the
/// program; NULL for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_event_kind_name(kind: u32) -> *const c_char {
    stockade_event_kind::word(kind)
}
