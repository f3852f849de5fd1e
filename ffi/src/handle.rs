//! Handles that callers own, and out-pointers that calls write to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ffi_error::{FfiError, null};

/// Runs a closure and returns `otherwise` if it panics.
pub(crate) fn catch_panic<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Dereferences a handle.
///
/// # Safety
/// `handle` is null, or came from this library and is not freed during use.
pub(crate) unsafe fn borrow<'a, T>(handle: *const T, what: &str) -> Result<&'a T, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe { handle.as_ref() }.ok_or_else(|| null(what))
}

/// Writes a new handle to an out-pointer.
///
/// # Safety
/// `out` is null or writable.
pub(crate) unsafe fn write_new<T>(
    out: *mut *mut T,
    what: &str,
    make: impl FnOnce() -> Result<T, FfiError>,
) -> Result<(), FfiError> {
    if out.is_null() {
        return Err(null(what));
    }
    // Freeing the handle after an error is then harmless.
    // SAFETY: not null, and writable as the caller guaranteed.
    unsafe { out.write(std::ptr::null_mut()) };
    let made = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { out.write(made) };
    Ok(())
}

/// Frees a handle; null is allowed.
///
/// # Safety
/// `handle` is null, or came from [`write_new`] and was not freed.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    catch_panic((), || {
        // SAFETY: from `Box::into_raw` and freed once, as the caller
        // guaranteed.
        drop(unsafe { Box::from_raw(handle) });
    });
}

/// Writes a value to an optional out-pointer.
///
/// # Safety
/// `out` is null or writable.
pub(crate) unsafe fn write_optional<T: Copy>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not null, and writable as the caller guaranteed.
        unsafe { out.write(value) };
    }
}
