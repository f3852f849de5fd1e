//! Lists of holds and of orders, for operators.

use std::ffi::c_char;
use std::ptr;

use stockade::{HoldId, HoldPage, HoldQuery, OrderId, OrderPage, OrderQuery, Timestamp};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::asked;
use crate::error::stockade_error;
use crate::ffi_error::out_of_range;
use crate::handle;
use crate::holds::{stockade_hold, stockade_hold_status};
use crate::orders::{
    stockade_order, stockade_order_lines, stockade_order_status, stockade_payment_disposition,
};
use crate::product_ref;
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// Which holds to list: those that meet all conditions that are set.
#[repr(C)]
pub struct stockade_hold_query {
    /// sizeof(stockade_hold_query), set by the caller.
    pub struct_size: u32,
    /// The most holds of a page, from 1 to 1000.
    pub limit: u32,
    /// Only holds with ids above this one: what stockade_hold_page_next returned
    /// for the page before, 0 for the first.
    pub after: u64,
    /// Only holds of this product; 0 for any.
    pub product_id: u64,
    /// Only holds of the product with this SKU, instead of product_id; or NULL.
    pub sku: *const c_char,
    /// Only holds of this customer; or NULL.
    pub customer: *const c_char,
    /// Only holds created at this time or after it, in microseconds since 1970 in
    /// UTC; 0 for any.
    pub created_after_us: i64,
    /// Only holds created before this time; 0 for any.
    pub created_before_us: i64,
    /// Only holds with this stockade_hold_status, 0 for any. One that is due counts
    /// as expired.
    pub status: u32,
    /// Must be 0.
    pub reserved: u32,
}
versioned_struct!(stockade_hold_query, first 64, now 64);
request_struct!(stockade_hold_query, reserved);

/// Which orders to list: those that meet all conditions that are set.
#[repr(C)]
pub struct stockade_order_query {
    /// sizeof(stockade_order_query), set by the caller.
    pub struct_size: u32,
    /// The most orders of a page, from 1 to 1000.
    pub limit: u32,
    /// Only orders with ids above this one: what stockade_order_page_next returned
    /// for the page before, 0 for the first.
    pub after: u64,
    /// Only orders with a line of this product; 0 for any.
    pub product_id: u64,
    /// Only orders with a line of the product with this SKU, instead of product_id;
    /// or NULL.
    pub sku: *const c_char,
    /// Only orders of this customer; or NULL.
    pub customer: *const c_char,
    /// Only orders created at this time or after it, in microseconds since 1970 in
    /// UTC; 0 for any.
    pub created_after_us: i64,
    /// Only orders created before this time; 0 for any.
    pub created_before_us: i64,
    /// Only orders with this stockade_order_status, 0 for any. One that is due counts
    /// as cancelled.
    pub status: u32,
    /// Only orders with this stockade_payment_disposition, 0 for any.
    pub disposition: u32,
    /// Only the order with this number of the shop; or NULL.
    pub reference: *const c_char,
    /// Only the order to which this provider's name of a payment is tied, such as
    /// "stripe/pi_3N"; or NULL.
    pub payment_reference: *const c_char,
}
versioned_struct!(stockade_order_query, first 80, now 80);
request_struct!(stockade_order_query);

/// A page of holds, by ascending id. Owned by the caller, who frees it with
/// stockade_hold_page_free.
pub struct stockade_hold_page {
    page: HoldPage,
}

/// A page of orders, by ascending id. Owned by the caller, who frees it with
/// stockade_order_page_free.
pub struct stockade_order_page {
    page: OrderPage,
}

/// Returns a time that a query asks for; None for 0.
fn time(micros: i64) -> Option<Timestamp> {
    (micros != 0).then_some(Timestamp::from_micros(micros))
}

/// Reads a page of holds as they stand now, by ascending id. A page may have fewer
/// than the limit, or none, and not be the last: stockade_hold_page_next says so.
///
/// Errors: invalid_argument, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_holds(
    engine: *const stockade_engine,
    query: *const stockade_hold_query,
    page: *mut *mut stockade_hold_page,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(page, "page", || {
                let engine = self::engine(engine)?;
                let given = versioned_struct::read(query)?;
                let mut query = HoldQuery::new(given.limit);
                query.after = (given.after != 0).then_some(HoldId(given.after));
                query.product = product_ref::optional(given.product_id, given.sku)?;
                query.customer = text::copied(given.customer, "customer")?;
                query.status = asked::<stockade_hold_status>("status", given.status)?;
                query.created_after = time(given.created_after_us);
                query.created_before = time(given.created_before_us);
                Ok(stockade_hold_page { page: engine.holds(query)? })
            })
        })
    }
}

/// Returns the number of holds on the page; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_page_count(page: *const stockade_hold_page) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { page.as_ref() }.map_or(0, |page| page.page.items.len())
}

/// Reads a hold of the page, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_page_get(
    page: *const stockade_hold_page,
    index: usize,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let items = &handle::borrow(page, "the page")?.page.items;
            let found = items.get(index).ok_or_else(|| out_of_range(index, items.len()))?;
            versioned_struct::write(hold, found.into())
        })
    }
}

/// Returns `after` for the next page; 0 on the last page and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_page_next(page: *const stockade_hold_page) -> u64 {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { page.as_ref() }.and_then(|page| page.page.next).map_or(0, |id| id.0)
}

/// Frees a page. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_page_free(page: *mut stockade_hold_page) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(page) }
}

/// Reads a page of orders as they stand now, by ascending id. A page may have fewer
/// than the limit, or none, and not be the last: stockade_order_page_next says so.
///
/// Errors: invalid_argument, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_orders(
    engine: *const stockade_engine,
    query: *const stockade_order_query,
    page: *mut *mut stockade_order_page,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(page, "page", || {
                let engine = self::engine(engine)?;
                let given = versioned_struct::read(query)?;
                let mut query = OrderQuery::new(given.limit);
                query.after = (given.after != 0).then_some(OrderId(given.after));
                query.product = product_ref::optional(given.product_id, given.sku)?;
                query.customer = text::copied(given.customer, "customer")?;
                query.status = asked::<stockade_order_status>("status", given.status)?;
                query.disposition =
                    asked::<stockade_payment_disposition>("disposition", given.disposition)?;
                query.reference = text::copied(given.reference, "reference")?;
                query.payment_reference =
                    text::copied(given.payment_reference, "payment_reference")?;
                query.created_after = time(given.created_after_us);
                query.created_before = time(given.created_before_us);
                Ok(stockade_order_page { page: engine.orders(query)? })
            })
        })
    }
}

/// Returns the number of orders on the page; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_page_count(page: *const stockade_order_page) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { page.as_ref() }.map_or(0, |page| page.page.items.len())
}

/// Reads an order of the page, counted from 0. `lines` may be NULL; it gets the
/// order's lines, which the caller frees.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_page_get(
    page: *const stockade_order_page,
    index: usize,
    order: *mut stockade_order,
    lines: *mut *mut stockade_order_lines,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            // Freeing them after an error is then harmless.
            handle::write_optional(lines, ptr::null_mut());
            let items = &handle::borrow(page, "the page")?.page.items;
            let found = items.get(index).ok_or_else(|| out_of_range(index, items.len()))?;
            versioned_struct::write(order, found.into())?;
            if lines.is_null() {
                return Ok(());
            }
            handle::write_new(lines, "lines", || Ok(found.into()))
        })
    }
}

/// Returns `after` for the next page; 0 on the last page and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_page_next(page: *const stockade_order_page) -> u64 {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { page.as_ref() }.and_then(|page| page.page.next).map_or(0, |id| id.0)
}

/// Frees a page. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_order_page_free(page: *mut stockade_order_page) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(page) }
}
