//! The panic boundary of the C ABI: only codes and plain data cross it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::ffi_error::FfiError;

/// Runs a call: clears the caller's error, catches panics, and reports the
/// error.
///
/// # Safety
/// `error` is null or writable.
pub(crate) unsafe fn call(
    error: *mut *mut stockade_error,
    body: impl FnOnce() -> Result<(), FfiError>,
) -> stockade_code {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(FfiError::panicked()),
    };
    let code = failure.as_ref().map_or(stockade_code::Ok, FfiError::code);
    if !error.is_null() {
        let object = failure.map_or(std::ptr::null_mut(), stockade_error::of);
        // SAFETY: not null, and writable as the caller guaranteed.
        unsafe { error.write(object) };
    }
    code
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::{stockade_error_code, stockade_error_free, stockade_error_message};

    #[test]
    fn panics_do_not_cross_the_boundary() {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` is writable and freed once.
        unsafe {
            let code = call(&mut error, || panic!("on purpose"));
            assert_eq!(code, stockade_code::Internal);
            assert_eq!(stockade_error_code(error), stockade_code::Internal);
            assert!(!CStr::from_ptr(stockade_error_message(error)).is_empty());
            stockade_error_free(error);
        }
    }
}
