//! The way in: nothing of Rust's leaves through it but codes and plain data.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Failure, stockade_code, stockade_error};

/// Runs a call: clears the caller's error, catches panics, and reports.
///
/// # Safety
/// `error` is null or may be written to.
pub(crate) unsafe fn call(
    error: *mut *mut stockade_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> stockade_code {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(Failure::panicked()),
    };
    let code = failure.as_ref().map_or(stockade_code::Ok, Failure::code);
    if !error.is_null() {
        let object = failure.map_or(std::ptr::null_mut(), Failure::into_raw);
        // SAFETY: it is not null, and the caller promised that it may be written to.
        unsafe { error.write(object) };
    }
    code
}

/// Runs something that cannot fail and answers `otherwise` if it panics.
pub(crate) fn answer<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// A handle that the caller gave.
///
/// # Safety
/// `handle` is null or came from this library and is not freed while in use.
pub(crate) unsafe fn given<'a, T>(handle: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promised.
    unsafe { handle.as_ref() }.ok_or_else(|| null(what))
}

/// Gives a new handle to the caller.
///
/// # Safety
/// `place` is null or may be written to.
pub(crate) unsafe fn give<T>(
    place: *mut *mut T,
    what: &str,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<(), Failure> {
    if place.is_null() {
        return Err(null(what));
    }
    // A caller who frees it after a failure frees nothing.
    // SAFETY: it is not null, and the caller promised that it may be written to.
    unsafe { place.write(std::ptr::null_mut()) };
    let made = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { place.write(made) };
    Ok(())
}

/// Frees a handle; null is fine.
///
/// # Safety
/// `handle` is null or came from [`give`] and was not freed.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    answer((), || {
        // SAFETY: it came from `Box::into_raw` and is freed once, as the caller promised.
        drop(unsafe { Box::from_raw(handle) });
    });
}

/// Writes a number or a truth that the caller may not have asked for.
///
/// # Safety
/// `place` is null or may be written to.
pub(crate) unsafe fn tell<T: Copy>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: it is not null, and the caller promised that it may be written to.
        unsafe { place.write(value) };
    }
}

pub(crate) fn null(what: &str) -> Failure {
    Failure::invalid_argument(format!("{what} must not be NULL"))
}

/// There is nothing at this place of a list.
pub(crate) fn beyond(index: usize, count: usize) -> Failure {
    Failure::invalid_argument(format!("there are {count} entries, none at {index}"))
}
