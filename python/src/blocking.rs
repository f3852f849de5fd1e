//! Blocking calls: waits on the calling thread, without the GIL.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pyo3::prelude::*;
use tokio::runtime::Handle;

use crate::call_error::CallError;

/// How often a blocked call checks for Ctrl-C.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `work` to completion and converts a panic to an error.
pub async fn guarded<T>(work: impl Future<Output = stockade::Result<T>>) -> Result<T, CallError> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(answer) => answer.map_err(CallError::Engine),
        Err(panic) => Err(CallError::panicked(panic.as_ref())),
    }
}

/// Blocks on `work` with the GIL released. A signal handler that raises cancels
/// the call: the request then takes effect in whole or not at all.
pub fn wait<T: Send>(
    py: Python<'_>,
    handle: &Handle,
    work: impl Future<Output = stockade::Result<T>> + Send,
) -> PyResult<T> {
    let answer: PyResult<Result<T, CallError>> = py.detach(|| {
        let _context = handle.enter();
        let mut work = pin!(guarded(work));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut signals_seen = Instant::now();
        loop {
            if let Poll::Ready(answer) = work.as_mut().poll(&mut context) {
                return Ok(answer);
            }
            thread::park_timeout(SIGNALS_EVERY);
            if signals_seen.elapsed() >= SIGNALS_EVERY {
                Python::attach(|py| py.check_signals())?;
                signals_seen = Instant::now();
            }
        }
    });
    answer?.map_err(|failure| failure.raise(py))
}
