//! The error object.

use std::ffi::{CString, c_char};
use std::time::Duration;

use crate::code::stockade_code;
use crate::failure::Failure;
use crate::handle::{self, answer};
use crate::plain::{self, plain};
use crate::text::ended;

/// Why a call did not do what was asked. Owned by the caller, who frees it
/// with stockade_error_free.
pub struct stockade_error {
    failure: Failure,
    message: CString,
}

impl stockade_error {
    /// An error of the caller's own.
    pub(crate) fn of(failure: Failure) -> *mut Self {
        let message = ended(failure.message().to_owned());
        Box::into_raw(Box::new(Self { failure, message }))
    }
}

/// One line of a request for which there is not enough stock.
#[repr(C)]
pub struct stockade_short_line {
    /// sizeof(stockade_short_line), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The product.
    pub product_id: u64,
    /// Units asked for, summed over the request.
    pub requested: u64,
    /// Units that could have been held.
    pub available: u64,
}
plain!(stockade_short_line, first 32, now 32);

/// Reads the engine's part of an error.
///
/// # Safety
/// `error` is null or came from this library and is not freed meanwhile.
unsafe fn look<T>(
    error: *const stockade_error,
    otherwise: T,
    read: impl FnOnce(&stockade::Error) -> T,
) -> T {
    // SAFETY: as the caller promised.
    let engine = unsafe { error.as_ref() }.and_then(|error| error.failure.engine());
    match engine {
        Some(engine) => answer(otherwise, || read(engine)),
        None => otherwise,
    }
}

/// The error's code; STOCKADE_CODE_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_code(error: *const stockade_error) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { error.as_ref() }.map_or(stockade_code::Ok, |error| error.failure.code())
}

/// One line for a person, in UTF-8. Lives as long as the error; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_message(error: *const stockade_error) -> *const c_char {
    // SAFETY: as the header asks of the caller.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// Whether exactly one line is short, and then the units of it that could have
/// been held. `available` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_available(
    error: *const stockade_error,
    available: *mut u64,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let Some(units) = look(error, None, stockade::Error::available) else { return false };
        handle::tell(available, units);
    }
    true
}

/// How many lines of the request are short: 0 unless the code is
/// insufficient_stock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_count(error: *const stockade_error) -> usize {
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, 0, |error| error.short().len()) }
}

/// Reads a short line, counted from 0, by ascending product. False when there
/// is none so far, or `line` is NULL or has no size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_line(
    error: *const stockade_error,
    index: usize,
    line: *mut stockade_short_line,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let found = look(error, None, |error| error.short().get(index).copied());
        let Some(short) = found else { return false };
        let stockade::ShortLine { product_id, requested, available, .. } = short;
        let product_id = product_id.0;
        let value =
            stockade_short_line { struct_size: 0, reserved: 0, product_id, requested, available };
        plain::write(line, value).is_ok()
    }
}

/// Whether the error names an order, as hold_already_used does, and which.
/// `order_id` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_order_id(
    error: *const stockade_error,
    order_id: *mut u64,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let Some(id) = look(error, None, stockade::Error::order_id) else { return false };
        handle::tell(order_id, id.0);
    }
    true
}

/// Whether this refusal repeats the answer of an earlier call with the same
/// idempotency key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_replayed(error: *const stockade_error) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, false, stockade::Error::replayed) }
}

/// Milliseconds after which trying again makes sense; 0 when it never does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_retry_after_ms(error: *const stockade_error) -> u64 {
    let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, 0, |error| error.retry_after().map_or(0, millis)) }
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_free(error: *mut stockade_error) {
    // SAFETY: as the header asks of the caller.
    unsafe { handle::free(error) }
}
