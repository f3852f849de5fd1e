//! Batch calls: many requests by one call, each on its own.

use stockade::Engine;

use crate::ffi_error::FfiError;
use crate::versioned_struct::{self, RequestStruct};

/// Reads the requests of a batch. The bound prevents reading beyond the array when the
/// count is corrupt. A request that cannot be read is an error in its place.
///
/// # Safety
/// `requests` is null or an array of `count` structs of the size that the first one
/// declares, which `read` may read.
pub(crate) unsafe fn read<T: RequestStruct, R>(
    requests: *const T,
    count: u64,
    most: u64,
    read: impl Fn(*const T) -> Result<R, FfiError>,
) -> Result<Vec<Result<R, FfiError>>, FfiError> {
    if count > most {
        let why = format!("a batch has at most {most} requests, got {count}");
        return Err(FfiError::invalid_argument(why));
    }
    // SAFETY: guaranteed by the caller.
    let requests = unsafe { versioned_struct::elements(requests, count as usize) }?;
    Ok(requests.map(read).collect())
}

/// Makes the call with the requests that could be read, and returns a result for each
/// of all.
pub(crate) fn ask<R, A>(
    engine: &Engine,
    requests: Vec<Result<R, FfiError>>,
    call: impl FnOnce(&Engine, Vec<R>) -> stockade::Result<Vec<stockade::Result<A>>>,
) -> Result<Vec<Result<A, FfiError>>, FfiError> {
    let mut readable = Vec::with_capacity(requests.len());
    let rejected: Vec<Option<FfiError>> = requests
        .into_iter()
        .map(|request| request.map(|request| readable.push(request)).err())
        .collect();
    let mut results = call(engine, readable)?.into_iter();
    let result = |rejected: Option<FfiError>| match rejected {
        Some(error) => Err(error),
        None => match results.next() {
            Some(result) => result.map_err(FfiError::from),
            None => Err(FfiError::internal("the engine returned no result for this request")),
        },
    };
    Ok(rejected.into_iter().map(result).collect())
}
