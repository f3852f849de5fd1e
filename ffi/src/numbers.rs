//! Parsing of ids, quantities, prices and times from request text.

use std::ffi::c_char;
use std::str::FromStr;

use stockade::{Currency, Money, ProductId, Timestamp, parse_quantity};

use crate::boundary;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::ffi_error::null;
use crate::handle;
use crate::text::required;

/// Parses a number from text.
///
/// # Safety
/// `text` is null or NUL-terminated, `number` and `error` are null or writable.
unsafe fn read<T: Copy, E: Into<stockade::Error>>(
    text: *const c_char,
    number: *mut T,
    error: *mut *mut stockade_error,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> stockade_code {
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            if number.is_null() {
                return Err(null("the number"));
            }
            let parsed = parse(required(text, "text")?).map_err(Into::into)?;
            handle::write_optional(number, parsed);
            Ok(())
        })
    }
}

/// Parses the id of a product, hold or order: ASCII digits. An id that exceeds
/// 64 bits becomes UINT64_MAX, which no object has.
///
/// Errors: invalid_argument for any other text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_id_from_text(
    text: *const c_char,
    id: *mut u64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read(text, id, error, |text| ProductId::from_str(text).map(|id| id.0)) }
}

/// Parses a quantity: ASCII digits, from 1 to 4294967295.
///
/// Errors: invalid_argument for any other text, such as "0", "-1", "1.5" or
/// "2abc".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_quantity_from_text(
    text: *const c_char,
    quantity: *mut u32,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read(text, quantity, error, parse_quantity) }
}

/// Parses a price into hundredths, the minor units of most currencies, from a decimal
/// text with at most two decimal places: "19.99" is 1999, exactly. A price in a currency
/// with other decimals is passed as text.
///
/// Errors: invalid_argument for any other text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_price_from_text(
    text: *const c_char,
    minor: *mut i64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read(text, minor, error, |text| Money::from_str(text)?.to_minor(Currency::EUR)) }
}

/// Parses a time into microseconds since 1970 in UTC, from a text of RFC 3339 such as
/// "2026-11-27T08:00:00Z" or "2026-11-27T09:00:00+01:00".
///
/// Errors: invalid_argument for any other text, and for one before 1970.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_time_from_text(
    text: *const c_char,
    micros: *mut i64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { read(text, micros, error, |text| Timestamp::from_str(text).map(Timestamp::micros)) }
}
