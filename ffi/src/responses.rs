//! Writes responses of the engine into structs that the caller owns.

use stockade::{Engine, Replayable};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, out_of_range};
use crate::handle;
use crate::versioned_struct::{self, VersionedStruct};

/// Runs a call and writes its response. An invalid out-pointer is rejected
/// before the engine is called.
///
/// # Safety
/// `handle` is null or an engine, `out` null or a struct that begins with its
/// size, `error` null or writable; `ask` may read what it captures.
pub(crate) unsafe fn respond<T: VersionedStruct>(
    handle: *const stockade_engine,
    out: *mut T,
    error: *mut *mut stockade_error,
    ask: impl FnOnce(&Engine) -> Result<T, FfiError>,
) -> stockade_code {
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            let engine = engine(handle)?;
            versioned_struct::check(out)?;
            versioned_struct::write(out, ask(engine)?)
        })
    }
}

/// Returns the value of a response, and writes whether it replays an earlier one.
///
/// # Safety
/// `out` is null or writable.
pub(crate) unsafe fn answered<T>(response: Replayable<T>, out: *mut bool) -> T {
    // SAFETY: guaranteed by the caller.
    unsafe { handle::write_optional(out, response.replayed) };
    response.value
}

/// Writes one entry of a list, counted from 0.
///
/// # Safety
/// `list` is null or a handle of this library, `out` and `error` as in
/// [`respond`].
pub(crate) unsafe fn entry<L, I, T>(
    list: *const L,
    entries: impl FnOnce(&L) -> &[I],
    index: usize,
    out: *mut T,
    error: *mut *mut stockade_error,
) -> stockade_code
where
    T: VersionedStruct + for<'a> From<&'a I>,
{
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            let entries = entries(handle::borrow(list, "the list")?);
            let found = entries.get(index).ok_or_else(|| out_of_range(index, entries.len()))?;
            versioned_struct::write(out, found.into())
        })
    }
}
