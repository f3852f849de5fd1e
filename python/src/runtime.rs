//! The one tokio runtime of this process.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::failure::Failure;

/// As many threads as the engine takes for itself in Rust: they only carry
/// bytes, deciding is quick.
const THREADS: usize = 2;

/// The runtime and the process that has its threads.
///
/// The lock is held with the GIL only, and a fork from Python has the GIL,
/// too: so a child never finds it locked.
static RUNTIME: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

/// The runtime of this process, made at the first call and once more in a
/// forked child, where the parent's threads are not.
pub fn handle() -> Result<Handle, Failure> {
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
        .map_err(|error| Failure::Internal(format!("no threads could be had: {error}")))?;
    let handle = runtime.handle().clone();
    if let Some((_, parents)) = slot.replace((process, runtime)) {
        // Dropping it would wait for threads that are not in this process.
        std::mem::forget(parents);
    }
    Ok(handle)
}
