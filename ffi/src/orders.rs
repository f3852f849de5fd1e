//! Orders.

use std::ffi::c_char;

use stockade::{Order, OrderId, OrderRequest, OrderStatus, PaymentDisposition, Replayable};

use crate::answers::answer;
use crate::code::stockade_code;
use crate::engine::stockade_engine;
use crate::error::stockade_error;
use crate::handle;
use crate::names::names;
use crate::plain::{self, incoming, plain};
use crate::text;

/// Where an order stands.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_order_status {
    /// The payment provider has not spoken yet.
    PendingPayment = 1,
    /// The payment was made and the units are sold.
    Paid = 2,
    /// The payment failed or was never made; the units went back.
    Cancelled = 3,
}

mod status {
    use super::*;

    names!(OrderStatus => stockade_order_status {
        PendingPayment: c"pending_payment",
        Paid: c"paid",
        Cancelled: c"cancelled",
    });

    /// The word for a status of an order, such as "paid". Lives as long as the
    /// program; NULL for a number that is none.
    #[unsafe(no_mangle)]
    pub extern "C" fn stockade_order_status_name(status: u32) -> *const c_char {
        stockade_order_status::word(status)
    }
}

/// What became of money that arrived after its order was cancelled.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_payment_disposition {
    /// No such money arrived.
    None = 1,
    /// The units were still there: taken again, and the order is paid.
    ReReserved = 2,
    /// The units were gone, or the shop's setting says so: give the money back.
    NeedsRefund = 3,
}

mod disposition {
    use super::*;

    names!(PaymentDisposition => stockade_payment_disposition {
        None: c"none",
        ReReserved: c"re_reserved",
        NeedsRefund: c"needs_refund",
    });

    /// The word for a disposition, such as "needs_refund". Lives as long as the
    /// program; NULL for a number that is none.
    #[unsafe(no_mangle)]
    pub extern "C" fn stockade_payment_disposition_name(disposition: u32) -> *const c_char {
        stockade_payment_disposition::word(disposition)
    }
}

pub use disposition::stockade_payment_disposition_name;
pub use status::stockade_order_status_name;

/// A hold that became an order.
#[repr(C)]
pub struct stockade_order {
    /// sizeof(stockade_order), set by the caller.
    pub struct_size: u32,
    /// Where it stands.
    pub status: stockade_order_status,
    /// Units ordered.
    pub qty: u32,
    /// What became of late money.
    pub payment_disposition: stockade_payment_disposition,
    /// The order's id.
    pub id: u64,
    /// The hold it was made from.
    pub hold_id: u64,
    /// The product ordered.
    pub product_id: u64,
    /// When it was made, in microseconds since 1970 in UTC.
    pub created_at_us: i64,
    /// When it last changed, in microseconds since 1970 in UTC.
    pub updated_at_us: i64,
    /// What the payment provider sends back to name this order, with a NUL.
    pub payment_token: [c_char; 64],
}
plain!(stockade_order, first 120, now 120);

impl From<&Order> for stockade_order {
    fn from(order: &Order) -> Self {
        Self {
            struct_size: 0,
            status: order.status.into(),
            qty: order.qty,
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

/// Asks to turn a hold into an order.
#[repr(C)]
pub struct stockade_order_request {
    /// sizeof(stockade_order_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The hold to use up.
    pub hold_id: u64,
    /// The product that the caller believes it holds.
    pub product_id: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The hold's token, to show whose it is, or NULL, which is refused under
    /// the "require_hold_token" setting.
    pub token: *const c_char,
}
plain!(stockade_order_request, first 32, now 40);
incoming!(stockade_order_request, reserved);

/// Turns an active hold into an order. Payment events that came before it are
/// applied at once, so the order may be paid or cancelled already. `replayed`
/// may be NULL; it tells whether the answer was remembered under the
/// idempotency key.
///
/// Errors: not_found, unauthorized for a token that is wrong or missing,
/// product_mismatch, hold_expired (also when it was released),
/// hold_already_used with the order that used it, idempotency_mismatch,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_order(
    engine: *const stockade_engine,
    request: *const stockade_order_request,
    order: *mut stockade_order,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        answer(engine, order, error, |engine| {
            let given = plain::read(request)?;
            let mut request = OrderRequest::new(given.hold_id, given.product_id);
            request.key = text::given(given.key, "key")?.map(str::to_owned);
            request.token = text::token(given.token)?;
            let Replayable { value, replayed: again } = engine.order(&request)?;
            handle::tell(replayed, again);
            Ok((&value).into())
        })
    }
}

/// Reads an order as it stands now.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_get_order(
    engine: *const stockade_engine,
    id: u64,
    order: *mut stockade_order,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { answer(engine, order, error, |engine| Ok((&engine.get_order(OrderId(id))?).into())) }
}
