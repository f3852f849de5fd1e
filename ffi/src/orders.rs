//! Orders and their lines.

use std::ffi::c_char;
use std::ptr;

use stockade::{Engine, Money, Order, OrderId, OrderLine, OrderStatus, PaymentDisposition};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::ffi_error::FfiError;
use crate::handle;
use crate::responses::entry;
use crate::text;
use crate::versioned_struct::{self, versioned_struct};

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
    /// It will not be paid; the units were returned to stock.
    Cancelled = 3,
    /// It was paid, and some of the money was given back.
    PartiallyRefunded = 4,
    /// It was paid, and all of the money was given back; of a free order, all units.
    Refunded = 5,
}

mod status {
    use super::*;

    enum_names!(OrderStatus => stockade_order_status {
        PendingPayment: c"pending_payment",
        Paid: c"paid",
        Cancelled: c"cancelled",
        PartiallyRefunded: c"partially_refunded",
        Refunded: c"refunded",
    });

    /// Returns the name of an order's status, such as "paid"; NULL for an
    /// unknown number. Static.
    #[unsafe(no_mangle)]
    pub extern "C" fn stockade_order_status_name(status: u32) -> *const c_char {
        stockade_order_status::name(status)
    }
}

/// What became of money that did not simply pay an order.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_payment_disposition {
    /// A value that this header does not list.
    Unknown = 0,
    /// There was no such money.
    None = 1,
    /// It was late, and the units were still available: reserved again, and the
    /// order is paid.
    ReReserved = 2,
    /// It was late or a second payment: refund it.
    NeedsRefund = 3,
    /// It is not the order's amount or currency; the order still waits.
    AmountMismatch = 4,
    /// It had to be refunded, and was.
    Refunded = 5,
}

mod disposition {
    use super::*;

    enum_names!(PaymentDisposition => stockade_payment_disposition {
        None: c"none",
        ReReserved: c"re_reserved",
        NeedsRefund: c"needs_refund",
        AmountMismatch: c"amount_mismatch",
        Refunded: c"refunded",
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

/// An order: holds with one payment.
#[repr(C)]
pub struct stockade_order {
    /// sizeof(stockade_order), set by the caller.
    pub struct_size: u32,
    /// Its status.
    pub status: stockade_order_status,
    /// Units of an order of one line, else 0.
    pub quantity: u32,
    /// What became of money that did not simply pay it.
    pub payment_disposition: stockade_payment_disposition,
    /// The order's id.
    pub id: u64,
    /// The hold of an order of one line, else 0.
    pub hold_id: u64,
    /// The product of an order of one line, else 0.
    pub product_id: u64,
    /// When it was created, in microseconds since 1970 in UTC.
    pub created_at_us: i64,
    /// When it last changed, in microseconds since 1970 in UTC.
    pub updated_at_us: i64,
    /// The token by which the payment provider names this order,
    /// NUL-terminated. Only the call that makes the order shows it: elsewhere
    /// it is empty.
    pub payment_token: [c_char; 64],
    /// The amount to pay in minor units of the currency, frozen when the order
    /// was created.
    pub amount_minor: i64,
    /// How much of the amount was refunded, in minor units.
    pub refunded_minor: i64,
    /// When it is cancelled if it is not paid before, in microseconds since 1970
    /// in UTC; 0 for never.
    pub pay_until_us: i64,
    /// The number of its lines.
    pub line_count: u64,
    /// The currency, such as "EUR", NUL-terminated.
    pub currency: [c_char; 8],
    /// The amount as a decimal, such as "59.97", NUL-terminated.
    pub amount: [c_char; 32],
    /// The refunded amount as a decimal, NUL-terminated.
    pub refunded_amount: [c_char; 32],
    /// The shop's own number of the order, NUL-terminated; "" for none.
    pub reference: [c_char; 520],
    /// The customer of its holds, NUL-terminated; "" for none.
    pub customer: [c_char; 256],
    /// What the shop keeps with it: the text of a JSON object as it came,
    /// NUL-terminated; "" for none.
    pub metadata: [c_char; 4104],
    /// Who made it: the name of stockade_engine_acting_as, over HTTP that of the API
    /// key, NUL-terminated; "" for nobody that is named.
    pub created_by: [c_char; 256],
}
versioned_struct!(stockade_order, first 120, now 5360);

/// Returns an amount in minor units of its order's currency.
fn minor(order: &Order, amount: Money) -> i64 {
    // The column that it was read from has this type.
    amount.to_minor(order.currency).unwrap_or(i64::MAX)
}

impl From<&Order> for stockade_order {
    fn from(order: &Order) -> Self {
        let only = order.lines.only();
        Self {
            struct_size: 0,
            status: order.status.into(),
            quantity: only.map_or(0, |line| line.quantity),
            payment_disposition: order.payment_disposition.into(),
            id: order.id.0,
            hold_id: only.map_or(0, |line| line.hold_id.0),
            product_id: only.map_or(0, |line| line.product_id.0),
            created_at_us: order.created_at.micros(),
            updated_at_us: order.updated_at.micros(),
            payment_token: text::secret(order.payment_token),
            amount_minor: minor(order, order.amount),
            refunded_minor: minor(order, order.refunded_amount),
            pay_until_us: order.pay_until.map_or(0, |at| at.micros()),
            line_count: order.lines.count() as u64,
            currency: text::inline(order.currency.code()),
            amount: text::inline(&order.amount.to_string()),
            refunded_amount: text::inline(&order.refunded_amount.to_string()),
            reference: text::inline(order.reference.as_deref().unwrap_or_default()),
            customer: text::inline(order.customer.as_deref().unwrap_or_default()),
            metadata: text::inline(order.metadata.as_ref().map_or("", |json| json.as_str())),
            created_by: text::inline(order.created_by.as_deref().unwrap_or_default()),
        }
    }
}

/// One line of an order: a hold that became part of it.
#[repr(C)]
pub struct stockade_order_line {
    /// sizeof(stockade_order_line), set by the caller.
    pub struct_size: u32,
    /// The number within the order, from 1.
    pub line: u32,
    /// Units ordered.
    pub quantity: u32,
    /// Units refunded, returned and restocked ones included.
    pub refunded: u32,
    /// Units refunded and not for sale again.
    pub returned: u32,
    /// Always 0.
    pub reserved: u32,
    /// The hold it was made from.
    pub hold_id: u64,
    /// The product.
    pub product_id: u64,
    /// The price of one unit when the order was created, in minor units of the
    /// order's currency.
    pub price_minor: i64,
    /// The price as a decimal, such as "19.99", NUL-terminated.
    pub price: [c_char; 32],
    /// The product's SKU, NUL-terminated; "" for none.
    pub sku: [c_char; 520],
}
versioned_struct!(stockade_order_line, first 600, now 600);

/// A line with its price in minor units.
struct LineEntry {
    line: OrderLine,
    price_minor: i64,
}

impl From<&LineEntry> for stockade_order_line {
    fn from(LineEntry { line, price_minor }: &LineEntry) -> Self {
        Self {
            struct_size: 0,
            line: line.line,
            quantity: line.quantity,
            refunded: line.refunded,
            returned: line.returned,
            reserved: 0,
            hold_id: line.hold_id.0,
            product_id: line.product_id.0,
            price_minor: *price_minor,
            price: text::inline(&line.price.to_string()),
            sku: text::inline(line.sku.as_deref().unwrap_or_default()),
        }
    }
}

/// The lines of an order as one call returned it. Owned by the caller, who frees
/// it with stockade_order_lines_free.
pub struct stockade_order_lines {
    lines: Vec<LineEntry>,
}

impl From<&Order> for stockade_order_lines {
    fn from(order: &Order) -> Self {
        let entry = |line: &OrderLine| LineEntry {
            price_minor: minor(order, line.price),
            line: line.clone(),
        };
        Self { lines: order.lines.iter().map(entry).collect() }
    }
}

/// Runs a call that returns an order, and writes the order and its lines. An invalid
/// out-pointer is rejected before the engine is called.
///
/// # Safety
/// `handle` is null or an engine, `order` null or a struct that begins with its size,
/// `lines` and `error` null or writable; `ask` may read what it captures.
pub(crate) unsafe fn respond_order(
    handle: *const stockade_engine,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
    ask: impl FnOnce(&Engine) -> Result<Order, FfiError>,
) -> stockade_code {
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            // Freeing them after an error is then harmless.
            handle::write_optional(lines, ptr::null_mut());
            let engine = engine(handle)?;
            versioned_struct::check(order)?;
            let made = ask(engine)?;
            versioned_struct::write(order, (&made).into())?;
            if lines.is_null() {
                return Ok(());
            }
            handle::write_new(lines, "lines", || Ok((&made).into()))
        })
    }
}

/// Reads the current state of an order. `lines` may be NULL; it gets the order's
/// lines, which the caller frees.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_order(
    engine: *const stockade_engine,
    id: u64,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { respond_order(engine, order, lines, error, |engine| Ok(engine.order(OrderId(id))?)) }
}

/// Finds the order with the shop's own number. `lines` may be NULL.
///
/// Errors: invalid_argument, not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_order_by_reference(
    engine: *const stockade_engine,
    reference: *const c_char,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let reference = text::required(reference, "reference")?;
            Ok(engine.order_by_reference(reference.to_owned())?)
        })
    }
}

/// Finds the order to which a provider's name of a payment is tied. `lines` may
/// be NULL.
///
/// Errors: invalid_argument, not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_order_by_payment(
    engine: *const stockade_engine,
    provider: *const c_char,
    reference: *const c_char,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let provider = text::required(provider, "provider")?;
            let reference = text::required(reference, "reference")?;
            Ok(engine.order_by_payment(provider.to_owned(), reference.to_owned())?)
        })
    }
}

/// Returns the number of lines; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_lines_count(lines: *const stockade_order_lines) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { lines.as_ref() }.map_or(0, |lines| lines.lines.len())
}

/// Reads a line of the list, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_lines_get(
    lines: *const stockade_order_lines,
    index: usize,
    line: *mut stockade_order_line,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(lines, |list| list.lines.as_slice(), index, line, error) }
}

/// Frees the list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_lines_free(lines: *mut stockade_order_lines) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(lines) }
}
