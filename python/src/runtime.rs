//! The process's single Tokio runtime.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::call_error::CallError;

/// As many threads as the Rust engine's own runtime: they mostly do I/O, and
/// decisions take microseconds.
const THREADS: usize = 2;

/// The runtime and the process whose threads it has.
///
/// The mutex is only locked with the GIL held, and a fork from Python also
/// holds the GIL: a child never finds it locked.
static RUNTIME: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

/// Returns the process's runtime. Created on first use, and again in a forked
/// child, where the parent's threads do not exist.
pub fn handle() -> Result<Handle, CallError> {
    let process = std::process::id();
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, runtime)) = &*slot
        && *owner == process
    {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("stockade")
        .enable_all()
        .build()
        .map_err(|error| {
            CallError::Internal(format!("failed to start the Tokio runtime: {error}"))
        })?;
    let handle = runtime.handle().clone();
    if let Some((_, parents)) = slot.replace((process, runtime)) {
        // Dropping it would join threads that do not exist in this process.
        std::mem::forget(parents);
    }
    Ok(handle)
}
