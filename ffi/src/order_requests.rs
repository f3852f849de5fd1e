//! What makes and changes orders: creating, extending, cancelling, refunding and
//! restocking them.

use std::ffi::c_char;

use stockade::{
    CancelRequest, ExtendOrderRequest, LineUnits, OrderRequest, OrderedHold, PaymentReference,
    RefundRequest, RestockRequest,
};

use crate::code::stockade_code;
use crate::engine::stockade_engine;
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, null};
use crate::holds::{flag, ttl};
use crate::orders::{respond_order, stockade_order, stockade_order_lines};
use crate::product_ref;
use crate::responses::answered;
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// The most holds of an order, and the most lines of a refund, that are read. The
/// engine's own limit is lower.
pub const STOCKADE_ORDER_LINES_MAX: u64 = 65_536;

/// A hold that is to become a line of an order. Its layout is fixed: orders of
/// several holds have arrays of it.
#[repr(C)]
pub struct stockade_ordered_hold {
    /// The hold.
    pub hold_id: u64,
    /// The product that the caller expects the hold to be for, or 0 for any.
    pub product_id: u64,
    /// The hold's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
    /// The SKU of the expected product, instead of product_id; or NULL.
    pub sku: *const c_char,
}

/// A request to turn holds into one order, all or none: one hold by its own
/// fields, or several by an array.
#[repr(C)]
pub struct stockade_order_request {
    /// sizeof(stockade_order_request), set by the caller.
    pub struct_size: u32,
    /// 1 to use payment_ttl_us, 0 to use the "payment_ttl" setting.
    pub has_payment_ttl: u32,
    /// The hold to use; 0 with an array.
    pub hold_id: u64,
    /// The product that the caller expects the hold to be for; 0 with an array.
    pub product_id: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The hold's token, or NULL, which is rejected under the
    /// "require_hold_token" setting; NULL with an array.
    pub token: *const c_char,
    /// The holds, or NULL for the one above. They become the lines in this order.
    pub holds: *const stockade_ordered_hold,
    /// The number of holds, at most STOCKADE_ORDER_LINES_MAX.
    pub hold_count: u64,
    /// The amount to pay, a decimal such as "44.90", with shipping and coupons for
    /// example; NULL for the sum of the lines.
    pub amount: *const c_char,
    /// The currency that the products must have, such as "EUR"; NULL for any, the
    /// same for all.
    pub currency: *const c_char,
    /// The shop's own number of the order, of 1 to 128 characters, or NULL. No two
    /// orders have the same.
    pub reference: *const c_char,
    /// How long it may stay unpaid, in microseconds, up to the "payment_ttl_max"
    /// setting; used only with has_payment_ttl.
    pub payment_ttl_us: u64,
    /// A cart instead of holds, all of whose holds that were not released become
    /// the lines; token is then the cart's. 0 for none.
    pub cart_id: u64,
    /// The SKU of the product that the caller expects the hold to be for, instead of
    /// product_id; or NULL. NULL with an array.
    pub sku: *const c_char,
    /// What the shop keeps with the order: the text of a JSON object of at most 4096
    /// bytes; or NULL.
    pub metadata: *const c_char,
}
versioned_struct!(stockade_order_request, first 32, now 112);
request_struct!(stockade_order_request);

/// A request to let a pending order be paid until later.
#[repr(C)]
pub struct stockade_order_extension {
    /// sizeof(stockade_order_extension), set by the caller.
    pub struct_size: u32,
    /// 1 to use ttl_us, 0 to use the "payment_ttl" setting.
    pub has_ttl: u32,
    /// The order.
    pub order_id: u64,
    /// The time from now on, in microseconds; used only with has_ttl. The time is
    /// never shortened, and never ends later than the "payment_ttl_max" setting
    /// after the order was created.
    pub ttl_us: u64,
}
versioned_struct!(stockade_order_extension, first 24, now 24);
request_struct!(stockade_order_extension);

/// Units of one line of an order. Its layout is fixed: refunds have arrays of it.
#[repr(C)]
pub struct stockade_line_units {
    /// The line's number, from 1.
    pub line: u32,
    /// Units, at least 1.
    pub quantity: u32,
}

/// A request to refund a paid order: money, units, or both.
#[repr(C)]
pub struct stockade_refund_request {
    /// sizeof(stockade_refund_request), set by the caller.
    pub struct_size: u32,
    /// 1 to put the units back into stock; 0 to count them as returned.
    pub restock: u32,
    /// 1 to settle money that must be refunded, and nothing else; else 0.
    pub owed: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The order.
    pub order_id: u64,
    /// The units to give back, each line once, and their price unless there is an
    /// amount; or NULL. With neither: all that is left of both.
    pub lines: *const stockade_line_units,
    /// The number of lines, at most STOCKADE_ORDER_LINES_MAX; at least 1 with an
    /// array.
    pub line_count: u64,
    /// The money to give back, a decimal such as "5.00"; or NULL. Without lines it
    /// moves no unit.
    pub amount: *const c_char,
    /// The reason, which the event keeps, at most 255 characters; or NULL.
    pub reason: *const c_char,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
}
versioned_struct!(stockade_refund_request, first 64, now 64);
request_struct!(stockade_refund_request, reserved);

/// A request to sell returned units of a refunded order again.
#[repr(C)]
pub struct stockade_restock_request {
    /// sizeof(stockade_restock_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The order.
    pub order_id: u64,
    /// The units, each line once; NULL for all that are returned.
    pub lines: *const stockade_line_units,
    /// The number of lines, at most STOCKADE_ORDER_LINES_MAX; at least 1 with an
    /// array.
    pub line_count: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
}
versioned_struct!(stockade_restock_request, first 40, now 40);
request_struct!(stockade_restock_request, reserved);

/// Borrows an array of the caller, None for NULL. The engine enforces its limits;
/// the bound only prevents reading beyond the array when the count is corrupt.
///
/// # Safety
/// `array` is null or points to `count` elements.
unsafe fn array<'a, T>(
    array: *const T,
    count: u64,
    what: &str,
) -> Result<Option<&'a [T]>, FfiError> {
    if count > STOCKADE_ORDER_LINES_MAX {
        let why = format!("{what} has at most {STOCKADE_ORDER_LINES_MAX} elements, got {count}");
        return Err(FfiError::invalid_argument(why));
    }
    match (array.is_null(), count) {
        (true, 0) => return Ok(None),
        (true, _) => return Err(null(what)),
        (false, _) => {}
    }
    if !array.is_aligned() {
        return Err(FfiError::invalid_argument(format!("{what} must be aligned")));
    }
    // SAFETY: not null, aligned, and as long as the caller says.
    Ok(Some(unsafe { std::slice::from_raw_parts(array, count as usize) }))
}

/// Reads the units of lines. An empty array is rejected: no array means all that is
/// left, which an array that happens to be empty hardly means.
///
/// # Safety
/// As [`array`].
unsafe fn units(lines: *const stockade_line_units, count: u64) -> Result<Vec<LineUnits>, FfiError> {
    // SAFETY: guaranteed by the caller.
    let Some(lines) = (unsafe { array(lines, count, "lines") })? else { return Ok(Vec::new()) };
    if lines.is_empty() {
        let why = "line_count is 0; set lines to NULL for all that is left";
        return Err(FfiError::invalid_argument(why));
    }
    Ok(lines.iter().map(|units| LineUnits::new(units.line, units.quantity)).collect())
}

/// Reads what an order is made of: a hold, several, or a cart.
///
/// # Safety
/// As of the request's struct.
unsafe fn ordered(given: &stockade_order_request) -> Result<OrderRequest, FfiError> {
    // SAFETY: guaranteed by the caller.
    let holds = unsafe { array(given.holds, given.hold_count, "holds") }?;
    if given.cart_id != 0 {
        let names_one = given.hold_id != 0 || given.product_id != 0 || !given.sku.is_null();
        if holds.is_some() || names_one {
            let why = "cart_id is set beside holds; an order is of one or the other";
            return Err(FfiError::invalid_argument(why));
        }
        let mut request = OrderRequest::of_cart(given.cart_id);
        // SAFETY: guaranteed by the caller.
        request.cart_token = unsafe { text::token(given.token) }?;
        return Ok(request);
    }
    let Some(holds) = holds else {
        // SAFETY: guaranteed by the caller.
        let product = unsafe { product_ref::required(given.product_id, given.sku) }?;
        let mut hold = OrderedHold::new(given.hold_id).product(product);
        // SAFETY: guaranteed by the caller.
        hold.token = unsafe { text::token(given.token) }?;
        return Ok(OrderRequest::of([hold]));
    };
    let names_one = given.hold_id != 0 || given.product_id != 0 || !given.sku.is_null();
    if names_one || !given.token.is_null() {
        let why = "hold_id, product_id, sku and token must be 0 and NULL where holds is an array";
        return Err(FfiError::invalid_argument(why));
    }
    let hold = |hold: &stockade_ordered_hold| {
        let mut ordered = OrderedHold::new(hold.hold_id);
        // SAFETY: guaranteed by the caller.
        ordered.product = unsafe { product_ref::optional(hold.product_id, hold.sku) }?;
        // SAFETY: guaranteed by the caller.
        ordered.token = unsafe { text::token(hold.token) }?;
        Ok(ordered)
    };
    Ok(OrderRequest::of(holds.iter().map(hold).collect::<Result<Vec<_>, FfiError>>()?))
}

/// Turns active holds into one order, all or none. Payment events that arrived
/// before it are applied immediately, so the order may already be paid or
/// cancelled. `lines` may be NULL; it gets the order's lines, which the caller
/// frees. `replayed` may be NULL; it tells whether the response replays an
/// earlier one with the same idempotency key.
///
/// Errors: invalid_argument (also for products of several currencies),
/// not_found, unauthorized for an invalid or missing token, product_mismatch,
/// hold_expired (also if it was released), hold_already_used with the order that
/// used it, already_exists with the order that has the reference,
/// idempotency_mismatch, contention, unavailable, misuse. Of several holds the
/// first that cannot be used decides; the error lists all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_order(
    engine: *const stockade_engine,
    request: *const stockade_order_request,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ordered(&given)?;
            request.payment_ttl = ttl("payment_ttl", given.has_payment_ttl, given.payment_ttl_us)?;
            request.amount = text::parsed(given.amount, "amount")?;
            request.currency = text::parsed(given.currency, "currency")?;
            request.reference = text::copied(given.reference, "reference")?;
            request.metadata = text::parsed(given.metadata, "metadata")?;
            request.key = text::copied(given.key, "key")?;
            Ok(answered(engine.create_order(&request)?, replayed))
        })
    }
}

/// Lets a pending order be paid until later, and returns it. `lines` may be NULL.
///
/// Errors: invalid_argument, not_found, already_paid, order_cancelled,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_extend_order(
    engine: *const stockade_engine,
    request: *const stockade_order_extension,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ExtendOrderRequest::new(given.order_id);
            request.ttl = ttl("ttl", given.has_ttl, given.ttl_us)?;
            Ok(engine.extend_order(request)?)
        })
    }
}

/// Cancels a pending order for good, returns its units to stock, and returns it.
/// Money that comes later must be refunded. An order that is cancelled already is
/// not changed. `reason`, which the event keeps, and `lines` may be NULL.
///
/// Errors: invalid_argument, not_found, already_paid, contention, unavailable,
/// misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_cancel_order(
    engine: *const stockade_engine,
    id: u64,
    reason: *const c_char,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let mut request = CancelRequest::new(id);
            request.reason = text::copied(reason, "reason")?;
            Ok(engine.cancel_order(request)?)
        })
    }
}

/// Refunds a paid order, and returns it: money, units, or both; or settles money
/// that must be refunded. `lines` and `replayed` may be NULL.
///
/// Errors: invalid_argument, not_found, not_paid, refund_too_large,
/// idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_refund_order(
    engine: *const stockade_engine,
    request: *const stockade_refund_request,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = RefundRequest::new(given.order_id);
            request.lines = units(given.lines, given.line_count)?;
            request.amount = text::parsed(given.amount, "amount")?;
            request.restock = flag("restock", given.restock.into())?;
            request.owed = flag("owed", given.owed.into())?;
            request.reason = text::copied(given.reason, "reason")?;
            request.key = text::copied(given.key, "key")?;
            Ok(answered(engine.refund_order(request)?, replayed))
        })
    }
}

/// Sells returned units of a refunded order again, and returns the order. `lines`
/// and `replayed` may be NULL.
///
/// Errors: invalid_argument, not_found, nothing_returned, idempotency_mismatch,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_restock_order(
    engine: *const stockade_engine,
    request: *const stockade_restock_request,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_order(engine, order, lines, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = RestockRequest::new(given.order_id);
            request.lines = units(given.lines, given.line_count)?;
            request.key = text::copied(given.key, "key")?;
            Ok(answered(engine.restock_order(request)?, replayed))
        })
    }
}

/// Ties a provider's own name of a payment, such as "pi_3N", to an order, and
/// returns the order. `lines` may be NULL.
///
/// Errors: invalid_argument, not_found, already_exists with the order that has the
/// name, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_set_payment_reference(
    engine: *const stockade_engine,
    id: u64,
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
            let request = PaymentReference::new(id, provider, reference);
            Ok(engine.set_payment_reference(request)?)
        })
    }
}
