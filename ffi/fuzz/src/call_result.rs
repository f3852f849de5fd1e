//! The result of a call: its code and its error object.

use std::ffi::{CStr, c_char};
use std::ptr;

use stockade_ffi::code::{stockade_code, stockade_code_name};
use stockade_ffi::error::{
    stockade_error, stockade_error_available, stockade_error_code, stockade_error_free,
    stockade_error_message, stockade_error_off_sale, stockade_error_order_id,
    stockade_error_product_id, stockade_error_replayed, stockade_error_retry_after_ms,
    stockade_error_short_count, stockade_error_short_line, stockade_short_line,
};

use super::line::Line;
use super::struct_memory::StructMemory;

/// Makes a call that may fail and checks its code and error; returns whether it
/// succeeded.
pub fn expect_result(
    line: &Line<'_>,
    call: impl FnOnce(*mut *mut stockade_error) -> stockade_code,
) -> bool {
    if line.is_null("error") {
        return is_ok(call(ptr::null_mut()));
    }
    // A call must overwrite any previous value.
    let mut error = ptr::dangling_mut();
    let code = call(&mut error);
    assert_eq!(error.is_null(), code == stockade_code::Ok, "{code:?}");
    check(code, error);
    // SAFETY: it came from the call, and is freed once.
    unsafe { stockade_error_free(error) };
    is_ok(code)
}

fn is_ok(code: stockade_code) -> bool {
    assert_ne!(code, stockade_code::Internal, "a fault of the library's own");
    // SAFETY: null or a literal.
    let name = unsafe { text(stockade_code_name(code as u32)) };
    assert!(!name.is_empty());
    code == stockade_code::Ok
}

/// Reads everything from the error, which may be NULL.
fn check(code: stockade_code, error: *const stockade_error) {
    let (mut units, mut order_id) = (0, 0);
    // SAFETY: the error is null or lives, and so do the numbers.
    unsafe {
        assert_eq!(stockade_error_code(error), code);
        let message = text(stockade_error_message(error));
        assert_eq!(message.is_empty(), code == stockade_code::Ok, "{code:?} {message}");
        assert_ne!(code, stockade_code::Internal, "{message}");
        let is_known = stockade_error_available(error, &mut units);
        assert_eq!(is_known, stockade_error_available(error, ptr::null_mut()));
        let names_order = stockade_error_order_id(error, &mut order_id);
        let may_name =
            matches!(code, stockade_code::HoldAlreadyUsed | stockade_code::AlreadyExists);
        assert!(!names_order || may_name, "{message}");
        assert!(names_order || code != stockade_code::HoldAlreadyUsed, "{message}");
        let is_off_sale = stockade_error_off_sale(error, ptr::null_mut(), ptr::null_mut());
        assert_eq!(is_off_sale, code == stockade_code::NotOnSale, "{message}");
        let names_product = stockade_error_product_id(error, &mut units);
        let may_name = matches!(code, stockade_code::NotOnSale | stockade_code::AlreadyExists);
        assert!(may_name || !names_product, "{message}");
        stockade_error_replayed(error);
        let may_try_again = stockade_error_retry_after_ms(error) > 0;
        let passes = matches!(code, stockade_code::Contention | stockade_code::Unavailable);
        assert_eq!(may_try_again, passes, "{message}");

        let count = stockade_error_short_count(error);
        assert_eq!(count > 0, code == stockade_code::InsufficientStock, "{message}");
        let line = StructMemory::right::<stockade_short_line>();
        for index in [0, count.saturating_sub(1), count, usize::MAX] {
            let found = stockade_error_short_line(error, index, line.pointer());
            assert_eq!(found, index < count);
        }
        assert!(!stockade_error_short_line(error, 0, ptr::null_mut()));
    }
}

/// Reads a text of the library.
///
/// # Safety
/// It is null, or NUL-terminated and live.
pub unsafe fn text<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: guaranteed by the caller.
    unsafe { CStr::from_ptr(text) }.to_str().expect("a text in UTF-8")
}
