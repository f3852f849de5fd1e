//! Orders.

use std::ffi::c_char;

use stockade::{Order, OrderId, OrderRequest, OrderStatus, PaymentDisposition, Replayable};

use crate::code::stockade_code;
use crate::engine::stockade_engine;
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::handle;
use crate::responses::respond;
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// The status of an order.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_order_status {
    /// A value that this header does not list.
    Unknown = 0,
    /// No payment event was received yet.
    PendingPayment = 1,
    /// The payment succeeded and the units are sold.
    Paid = 2,
    /// The payment failed or timed out; the units were returned.
    Cancelled = 3,
}

mod status {
    use super::*;

    enum_names!(OrderStatus => stockade_order_status {
        PendingPayment: c"pending_payment",
        Paid: c"paid",
        Cancelled: c"cancelled",
    });

    /// Returns the name of an order's status, such as "paid"; NULL for an
    /// unknown number. Static.
    #[unsafe(no_mangle)]
    pub extern "C" fn stockade_order_status_name(status: u32) -> *const c_char {
        stockade_order_status::name(status)
    }
}

/// How a late payment, after the order was cancelled, was handled.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_payment_disposition {
    /// A value that this header does not list.
    Unknown = 0,
    /// No late payment was received.
    None = 1,
    /// The units were still available: reserved again, and the order is paid.
    ReReserved = 2,
    /// The units were gone, or a setting forbids reserving again: refund the
    /// payment.
    NeedsRefund = 3,
}

mod disposition {
    use super::*;

    enum_names!(PaymentDisposition => stockade_payment_disposition {
        None: c"none",
        ReReserved: c"re_reserved",
        NeedsRefund: c"needs_refund",
    });

    /// Returns the name of a disposition, such as "needs_refund"; NULL for an
    /// unknown number. Static.
    #[unsafe(no_mangle)]
    pub extern "C" fn stockade_payment_disposition_name(disposition: u32) -> *const c_char {
        stockade_payment_disposition::name(disposition)
    }
}

pub use disposition::stockade_payment_disposition_name;
pub use status::stockade_order_status_name;

/// An order, created from a hold.
#[repr(C)]
pub struct stockade_order {
    /// sizeof(stockade_order), set by the caller.
    pub struct_size: u32,
    /// Its status.
    pub status: stockade_order_status,
    /// Units ordered.
    pub quantity: u32,
    /// How a late payment was handled.
    pub payment_disposition: stockade_payment_disposition,
    /// The order's id.
    pub id: u64,
    /// The hold it was created from.
    pub hold_id: u64,
    /// The product.
    pub product_id: u64,
    /// When it was created, in microseconds since 1970 in UTC.
    pub created_at_us: i64,
    /// When it last changed, in microseconds since 1970 in UTC.
    pub updated_at_us: i64,
    /// The token by which the payment provider names this order,
    /// NUL-terminated.
    pub payment_token: [c_char; 64],
}
versioned_struct!(stockade_order, first 120, now 120);

impl From<&Order> for stockade_order {
    fn from(order: &Order) -> Self {
        Self {
            struct_size: 0,
            status: order.status.into(),
            quantity: order.quantity,
            payment_disposition: order.payment_disposition.into(),
            id: order.id.0,
            hold_id: order.hold_id.0,
            product_id: order.product_id.0,
            created_at_us: order.created_at.micros(),
            updated_at_us: order.updated_at.micros(),
            payment_token: text::inline(&order.payment_token.to_string()),
        }
    }
}

/// A request to turn a hold into an order.
#[repr(C)]
pub struct stockade_order_request {
    /// sizeof(stockade_order_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The hold to use.
    pub hold_id: u64,
    /// The product that the caller expects the hold to be for.
    pub product_id: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The hold's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
}
versioned_struct!(stockade_order_request, first 32, now 40);
request_struct!(stockade_order_request, reserved);

/// Turns an active hold into an order. Payment events that arrived before it
/// are applied immediately, so the order may already be paid or cancelled.
/// `replayed` may be NULL; it tells whether the response replays an earlier one
/// with the same idempotency key.
///
/// Errors: not_found, unauthorized for an invalid or missing token,
/// product_mismatch, hold_expired (also if it was released), hold_already_used
/// with the order that used it, idempotency_mismatch, contention, unavailable,
/// misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_order(
    engine: *const stockade_engine,
    request: *const stockade_order_request,
    order: *mut stockade_order,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, order, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = OrderRequest::new(given.hold_id, given.product_id);
            request.key = text::optional(given.key, "key")?.map(str::to_owned);
            request.token = text::token(given.token)?;
            let Replayable { value, replayed: again, .. } = engine.create_order(&request)?;
            handle::write_optional(replayed, again);
            Ok((&value).into())
        })
    }
}

/// Reads the current state of an order.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_order(
    engine: *const stockade_engine,
    id: u64,
    order: *mut stockade_order,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { respond(engine, order, error, |engine| Ok((&engine.order(OrderId(id))?).into())) }
}
