//! Writing what the engine answers into structs that the caller owns.

use stockade::Engine;

use crate::border;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::failure::{Failure, beyond};
use crate::handle;
use crate::plain::{self, Plain};

/// Asks the engine and writes what it answers. A place that cannot be written
/// to is refused before anything is done.
///
/// # Safety
/// `handle` is null or an engine, `place` null or a struct that begins with its
/// size, `error` null or may be written to; `ask` may read what it captures.
pub(crate) unsafe fn answer<T: Plain>(
    handle: *const stockade_engine,
    place: *mut T,
    error: *mut *mut stockade_error,
    ask: impl FnOnce(&Engine) -> Result<T, Failure>,
) -> stockade_code {
    // SAFETY: as the caller promised.
    unsafe {
        border::call(error, || {
            let engine = engine(handle)?;
            plain::check(place)?;
            plain::write(place, ask(engine)?)
        })
    }
}

/// Writes one entry of a list, counted from 0.
///
/// # Safety
/// `list` is null or a handle of this library, `place` and `error` as above.
pub(crate) unsafe fn entry<L, I, T>(
    list: *const L,
    entries: impl FnOnce(&L) -> &[I],
    index: usize,
    place: *mut T,
    error: *mut *mut stockade_error,
) -> stockade_code
where
    T: Plain + for<'a> From<&'a I>,
{
    // SAFETY: as the caller promised.
    unsafe {
        border::call(error, || {
            let entries = entries(handle::given(list, "the list")?);
            let found = entries.get(index).ok_or_else(|| beyond(index, entries.len()))?;
            plain::write(place, found.into())
        })
    }
}
