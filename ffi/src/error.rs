//! The error object.

use std::ffi::{CString, c_char};
use std::time::Duration;

use stockade::OffSale;

use crate::code::stockade_code;
use crate::ffi_error::FfiError;
use crate::handle::{self, catch_panic};
use crate::text::{self, to_c_string};
use crate::versioned_struct::{self, versioned_struct};

/// Why a call failed. Owned by the caller, who frees it with
/// stockade_error_free.
pub struct stockade_error {
    failure: FfiError,
    message: CString,
}

impl stockade_error {
    /// Allocates an error object for the caller.
    pub(crate) fn of(failure: FfiError) -> *mut Self {
        let message = to_c_string(failure.message().to_owned());
        Box::into_raw(Box::new(Self { failure, message }))
    }
}

/// One line of a request that exceeds the available stock.
#[repr(C)]
pub struct stockade_short_line {
    /// sizeof(stockade_short_line), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The product.
    pub product_id: u64,
    /// Units requested, summed over the request.
    pub requested: u64,
    /// Units available to hold.
    pub available: u64,
    /// The product's SKU, NUL-terminated; "" for none.
    pub sku: [c_char; 520],
}
versioned_struct!(stockade_short_line, first 32, now 552);

/// One hold of a request that cannot be used.
#[repr(C)]
pub struct stockade_unusable_hold {
    /// sizeof(stockade_unusable_hold), set by the caller.
    pub struct_size: u32,
    /// The reason.
    pub code: stockade_code,
    /// The hold.
    pub hold_id: u64,
    /// The order that used the hold, 0 for none.
    pub order_id: u64,
}
versioned_struct!(stockade_unusable_hold, first 24, now 24);

/// Why a product is not for sale.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_off_sale {
    /// A value that this header does not list.
    Unknown = 0,
    /// It is not sold before the moment.
    Before = 1,
    /// It is not sold from the moment on.
    Since = 2,
    /// It is archived.
    Archived = 3,
}

impl From<OffSale> for stockade_off_sale {
    fn from(why: OffSale) -> Self {
        match why {
            OffSale::Before(_) => Self::Before,
            OffSale::Since(_) => Self::Since,
            OffSale::Archived => Self::Archived,
            _ => Self::Unknown,
        }
    }
}

/// Reads the engine's error in an error object.
///
/// # Safety
/// `error` is null, or came from this library and is not freed during use.
unsafe fn read_engine_error<T>(
    error: *const stockade_error,
    otherwise: T,
    read: impl FnOnce(&stockade::Error) -> T,
) -> T {
    // SAFETY: guaranteed by the caller.
    let engine = unsafe { error.as_ref() }.and_then(|error| error.failure.engine());
    match engine {
        Some(engine) => catch_panic(otherwise, || read(engine)),
        None => otherwise,
    }
}

/// Returns the error's code; STOCKADE_CODE_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_code(error: *const stockade_error) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { error.as_ref() }.map_or(stockade_code::Ok, |error| error.failure.code())
}

/// Returns a one-line message in UTF-8. Lives as long as the error; "" for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_message(error: *const stockade_error) -> *const c_char {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// Returns true if exactly one line is short, and sets `available` to its
/// available units. `available` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_available(
    error: *const stockade_error,
    available: *mut u64,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let Some(units) = read_engine_error(error, None, stockade::Error::available) else {
            return false;
        };
        handle::write_optional(available, units);
    }
    true
}

/// Returns the number of short lines: 0 unless the code is insufficient_stock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_count(error: *const stockade_error) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read_engine_error(error, 0, |error| error.short().len()) }
}

/// Reads a short line, counted from 0, by ascending product. Returns false if
/// the index is out of range, or if `line` is NULL or has no size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_line(
    error: *const stockade_error,
    index: usize,
    line: *mut stockade_short_line,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let found = read_engine_error(error, None, |error| {
            error.short().get(index).map(|short| stockade_short_line {
                struct_size: 0,
                reserved: 0,
                product_id: short.product_id.0,
                requested: short.requested,
                available: short.available,
                sku: text::inline(short.sku.as_deref().unwrap_or_default()),
            })
        });
        found.is_some_and(|value| versioned_struct::write(line, value).is_ok())
    }
}

/// Returns the number of holds that cannot be used, of a request that names
/// several; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_hold_count(error: *const stockade_error) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read_engine_error(error, 0, |error| error.holds().len()) }
}

/// Reads a hold that cannot be used, counted from 0, in the request's order.
/// Returns false if the index is out of range, or if `hold` is NULL or has no
/// size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_hold(
    error: *const stockade_error,
    index: usize,
    hold: *mut stockade_unusable_hold,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let found = read_engine_error(error, None, |error| {
            error.holds().get(index).map(|hold| stockade_unusable_hold {
                struct_size: 0,
                code: stockade_code::of_name(&hold.code),
                hold_id: hold.hold_id.0,
                order_id: hold.order_id.map_or(0, |id| id.0),
            })
        });
        found.is_some_and(|value| versioned_struct::write(hold, value).is_ok())
    }
}

/// Returns true if the error names an order, as hold_already_used does, and
/// sets `order_id`, which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_order_id(
    error: *const stockade_error,
    order_id: *mut u64,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let Some(id) = read_engine_error(error, None, stockade::Error::order_id) else {
            return false;
        };
        handle::write_optional(order_id, id.0);
    }
    true
}

/// Returns true if the error names a product, as already_exists and not_on_sale may,
/// and sets `product_id`, which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_product_id(
    error: *const stockade_error,
    product_id: *mut u64,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let Some(id) = read_engine_error(error, None, stockade::Error::product_id) else {
            return false;
        };
        handle::write_optional(product_id, id.0);
    }
    true
}

/// Returns true if a product is not for sale, as not_on_sale says, and sets `why` and
/// `moment_us`, which may be NULL: the moment of `why` in microseconds since 1970 in
/// UTC, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_off_sale(
    error: *const stockade_error,
    why: *mut stockade_off_sale,
    moment_us: *mut i64,
) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        let Some(found) = read_engine_error(error, None, stockade::Error::off_sale) else {
            return false;
        };
        handle::write_optional(why, found.into());
        handle::write_optional(moment_us, found.moment().map_or(0, |at| at.micros()));
    }
    true
}

/// Returns true if this error replays the result of an earlier call with the
/// same idempotency key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_replayed(error: *const stockade_error) -> bool {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read_engine_error(error, false, stockade::Error::replayed) }
}

/// Returns the milliseconds to wait before a retry; 0 if a retry is pointless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_retry_after_ms(error: *const stockade_error) -> u64 {
    let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read_engine_error(error, 0, |error| error.retry_after().map_or(0, millis)) }
}

/// Frees an error. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_free(error: *mut stockade_error) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(error) }
}
