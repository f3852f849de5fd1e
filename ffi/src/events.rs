//! The transactional outbox.

use std::ffi::{CString, c_char};
use std::ptr;

use stockade::{Event, EventKind};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::handle;
use crate::responses::entry;
use crate::text::to_c_string;
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
    /// The quantity of an active hold was changed.
    HoldChanged = 11,
    /// A pending order may be paid until later.
    OrderExtended = 12,
    /// Money of a paid order was given back, and the units named, if any.
    OrderRefunded = 13,
    /// Returned units of a refunded order are for sale again.
    OrderRestocked = 14,
    /// An attempt to pay a pending order failed; another may follow.
    PaymentAttemptFailed = 15,
    /// A payment of another amount or currency than the order's arrived.
    PaymentAmountMismatch = 16,
    /// A second payment of a paid order arrived; it must be refunded.
    PaymentDuplicate = 17,
    /// A product was made.
    ProductCreated = 18,
    /// A product was changed, or is sold again after it was archived.
    ProductChanged = 19,
    /// A product was archived: it is no longer sold.
    ProductArchived = 20,
    /// A customer's name was erased.
    CustomerErased = 21,
    /// The customer disputes a payment; an operator should look after it.
    PaymentDisputed = 22,
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
    HoldChanged: c"hold.changed",
    OrderExtended: c"order.extended",
    OrderRefunded: c"order.refunded",
    OrderRestocked: c"order.restocked",
    PaymentAttemptFailed: c"payment.attempt_failed",
    PaymentAmountMismatch: c"payment.amount_mismatch",
    PaymentDuplicate: c"payment.duplicate",
    ProductCreated: c"product.created",
    ProductChanged: c"product.changed",
    ProductArchived: c"product.archived",
    CustomerErased: c"customer.erased",
    PaymentDisputed: c"payment.disputed",
});

/// One event: a committed state transition. Its texts live as long as the list that it
/// was read from.
#[repr(C)]
pub struct stockade_event {
    /// sizeof(stockade_event), set by the caller.
    pub struct_size: u32,
    /// The kind of the event.
    pub kind: stockade_event_kind,
    /// The event's position, strictly increasing; pass the last one to read on.
    pub cursor: u64,
    /// The product, 0 for none.
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
    /// The SKU that the product has when the event is read, or NULL.
    pub sku: *const c_char,
    /// The customer of the hold or the order, or NULL. After an erasure it is the name
    /// that replaced theirs.
    pub customer: *const c_char,
    /// The reason that was given for an adjustment of stock, a cancelled order or a
    /// refund; or NULL.
    pub reason: *const c_char,
    /// The metadata of what the event is about, the text of a JSON object: after an
    /// event about the product itself the product's, else the order's or the hold's
    /// when the event is read; or NULL.
    pub metadata: *const c_char,
    /// Who asked for the transition: the name of stockade_engine_acting_as, over HTTP
    /// that of the API key. NULL for what nobody asked for, such as an expiry.
    pub actor: *const c_char,
    /// The shop's own number of the order, or NULL.
    pub reference: *const c_char,
}
versioned_struct!(stockade_event, first 64, now 112);

/// An event with NUL-terminated texts.
struct EventEntry {
    event: Event,
    sku: Option<CString>,
    customer: Option<CString>,
    reason: Option<CString>,
    metadata: Option<CString>,
    actor: Option<CString>,
    reference: Option<CString>,
}

impl From<Event> for EventEntry {
    fn from(mut event: Event) -> Self {
        let metadata = event.metadata.take().map(|json| json.as_str().to_owned());
        Self {
            sku: event.sku.take().map(to_c_string),
            customer: event.customer.take().map(to_c_string),
            reason: event.reason.take().map(to_c_string),
            metadata: metadata.map(to_c_string),
            actor: event.actor.take().map(to_c_string),
            reference: event.reference.take().map(to_c_string),
            event,
        }
    }
}

impl From<&EventEntry> for stockade_event {
    fn from(entry: &EventEntry) -> Self {
        let EventEntry { event, sku, customer, reason, metadata, actor, reference } = entry;
        let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |t| t.as_ptr());
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
            sku: pointer(sku),
            customer: pointer(customer),
            reason: pointer(reason),
            metadata: pointer(metadata),
            actor: pointer(actor),
            reference: pointer(reference),
        }
    }
}

/// A list of events in commit order. Owned by the caller, who frees it with
/// stockade_events_free.
pub struct stockade_events {
    events: Vec<EventEntry>,
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
                let events = self::engine(engine)?.events_after(cursor, limit)?;
                Ok(stockade_events { events: events.into_iter().map(Into::into).collect() })
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
