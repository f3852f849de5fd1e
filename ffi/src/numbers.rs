//! Numbers from text, as requests have them.

use std::ffi::c_char;
use std::str::FromStr;

use stockade::{Money, ProductId, parse_quantity};

use crate::border;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::failure::null;
use crate::handle;
use crate::text::needed;

/// Reads a number from text as a request has it.
///
/// # Safety
/// `text` is null or ends with a NUL, `number` and `error` are null or may be
/// written to.
unsafe fn read<T: Copy, E: Into<stockade::Error>>(
    text: *const c_char,
    number: *mut T,
    error: *mut *mut stockade_error,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> stockade_code {
    // SAFETY: as the caller promised.
    unsafe {
        border::call(error, || {
            if number.is_null() {
                return Err(null("the number"));
            }
            let parsed = parse(needed(text, "text")?).map_err(Into::into)?;
            handle::tell(number, parsed);
            Ok(())
        })
    }
}

/// Reads an id of a product, hold or order from text: ASCII digits. One too
/// large for 64 bits becomes UINT64_MAX, which nothing has.
///
/// Errors: invalid_argument for any other text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_id_from_text(
    text: *const c_char,
    id: *mut u64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { read(text, id, error, |text| ProductId::from_str(text).map(|id| id.0)) }
}

/// Reads a quantity from text: ASCII digits, from 1 to 4294967295.
///
/// Errors: invalid_argument for any other text, such as "0", "-1", "1.5" or
/// "2abc".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_quantity_from_text(
    text: *const c_char,
    quantity: *mut u32,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { read(text, quantity, error, parse_quantity) }
}

/// Reads a price in minor units (hundredths) from a decimal text with at most
/// two places: "19.99" is 1999, exactly.
///
/// Errors: invalid_argument for any other text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_price_from_text(
    text: *const c_char,
    minor: *mut i64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { read(text, minor, error, |text| Money::from_str(text).map(Money::minor)) }
}
