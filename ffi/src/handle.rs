//! What callers hold: handles, and places for answers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::{Failure, null};

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
