//! The batch call: many holds by one call, each on its own.

use stockade::{Hold, Replayable};

use crate::batch;
use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, out_of_range};
use crate::handle;
use crate::holds::{hold_request, stockade_hold, stockade_hold_request};
use crate::versioned_struct;

/// The most requests that stockade_engine_create_hold_batch accepts.
pub const STOCKADE_HOLD_BATCH_MAX: u64 = 65_536;

/// The results of a batch call, in the order of its requests. Owned by the
/// caller, who frees it with stockade_hold_results_free.
pub struct stockade_hold_results {
    results: Vec<Result<Replayable<Hold>, FfiError>>,
}

/// Creates many holds by one call: each request on its own, as
/// stockade_engine_create_hold does; those for one product are decided in the
/// order of the array. Waits once for all of them. `results` gets one result for
/// each request, in the same order; a request that fails, or that cannot be
/// read, costs only itself.
///
/// `requests` is an array of `count` structs, at most STOCKADE_HOLD_BATCH_MAX,
/// all with the same struct_size; may be NULL if `count` is 0.
///
/// Errors of the call as a whole: invalid_argument for another count, an array
/// that is NULL or not aligned, or structs without their size or of different
/// sizes; misuse; unavailable, after which each request took effect in whole or
/// not at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_hold_batch(
    engine: *const stockade_engine,
    requests: *const stockade_hold_request,
    count: u64,
    results: *mut *mut stockade_hold_results,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(results, "results", || {
                let engine = self::engine(engine)?;
                let read = |request| hold_request(request);
                let requests = batch::read(requests, count, STOCKADE_HOLD_BATCH_MAX, read)?;
                let results =
                    batch::ask(engine, requests, |engine, all| engine.create_hold_batch(all))?;
                Ok(stockade_hold_results { results })
            })
        })
    }
}

/// Returns the number of results; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_results_count(
    results: *const stockade_hold_results,
) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { results.as_ref() }.map_or(0, |results| results.results.len())
}

/// Reads a result of the list, counted from 0: writes the hold, or returns the
/// error of that request as stockade_engine_create_hold would have. `replayed`
/// may be NULL; it is written with the hold, and tells whether the result
/// replays an earlier one with the same idempotency key.
///
/// Errors: those of stockade_engine_create_hold; invalid_argument also if the
/// index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_results_get(
    results: *const stockade_hold_results,
    index: usize,
    hold: *mut stockade_hold,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let results = &handle::borrow(results, "the list")?.results;
            versioned_struct::check(hold)?;
            let result = results.get(index).ok_or_else(|| out_of_range(index, results.len()))?;
            let Replayable { value, replayed: again, .. } =
                result.as_ref().map_err(Clone::clone)?;
            versioned_struct::write(hold, value.into())?;
            handle::write_optional(replayed, *again);
            Ok(())
        })
    }
}

/// Frees the list; does not release the holds. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_hold_results_free(results: *mut stockade_hold_results) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(results) }
}
