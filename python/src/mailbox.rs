//! Completion queues: one per event loop delivers the results of awaited calls.
//!
//! A task of the engine pushes its result and, if the queue was empty, writes
//! one byte to a socket that the event loop watches. The loop then drains the
//! queue. So many calls that complete together cost one wake-up, and no engine
//! thread waits for the GIL.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

/// Converts a result to a Python value or exception, on the event loop's
/// thread.
pub type Completion = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// The engine's side of a mailbox.
pub struct CompletionSender {
    completed: Mutex<Vec<(u64, Completion)>>,
    notifier: UnixStream,
}

impl CompletionSender {
    /// Delivers the result of the call with this number.
    pub fn deliver(&self, call: u64, completion: Completion) {
        let mut completed = lock(&self.completed);
        completed.push((call, completion));
        if completed.len() == 1 {
            // Fails only if the event loop is closed, and its calls with it.
            let _ = (&self.notifier).write(&[1]);
        }
    }
}

/// The event loop's side of a mailbox.
#[pyclass(frozen, module = "stockade._native")]
pub struct Mailbox {
    slot: Arc<CompletionSender>,
    receiver: UnixStream,
    pending: Mutex<PendingFutures>,
}

/// The pending futures, by call number.
#[derive(Default)]
struct PendingFutures {
    last: u64,
    futures: HashMap<u64, Py<PyAny>>,
}

/// The mailboxes of this process, one per event loop that awaited a call. The
/// mutex guards the list for a lookup or an exchange and is never held while
/// Python code runs.
static MAILBOXES: Mutex<Vec<(Py<PyWeakrefReference>, Py<Mailbox>)>> = Mutex::new(Vec::new());

impl Mailbox {
    /// Returns the mailbox of this event loop; the first call creates it.
    pub fn of_loop(event_loop: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        let known = lock(&MAILBOXES).iter().find_map(|(owner, mailbox)| {
            let is_owner = owner.bind(py).upgrade().is_some_and(|owner| owner.is(event_loop));
            is_owner.then(|| mailbox.clone_ref(py))
        });
        match known {
            Some(mailbox) => Ok(mailbox),
            None => Self::open(event_loop),
        }
    }

    fn open(event_loop: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        Self::forget_closed_loops(py);
        let (receiver, notifier) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        notifier.set_nonblocking(true)?;
        let watched = receiver.as_raw_fd();
        let slot = Arc::new(CompletionSender { completed: Mutex::default(), notifier });
        let mailbox = Py::new(py, Self { slot, receiver, pending: Mutex::default() })?;
        let take = mailbox.getattr(py, intern!(py, "take"))?;
        event_loop.call_method1(intern!(py, "add_reader"), (watched, take))?;
        let owner = PyWeakrefReference::new(event_loop)?.unbind();
        lock(&MAILBOXES).push((owner, mailbox.clone_ref(py)));
        Ok(mailbox)
    }

    /// Drops the mailboxes of event loops that were closed or collected.
    fn forget_closed_loops(py: Python<'_>) {
        let is_over = |owner: &Py<PyWeakrefReference>| {
            let Some(owner) = owner.bind(py).upgrade() else { return true };
            let closed = owner.call_method0(intern!(py, "is_closed"));
            closed.and_then(|closed| closed.is_truthy()).unwrap_or(true)
        };
        // Dropping a Python object can run arbitrary code, so never under the
        // lock.
        let mailboxes = std::mem::take(&mut *lock(&MAILBOXES));
        let (over, open): (Vec<_>, Vec<_>) =
            mailboxes.into_iter().partition(|(owner, _)| is_over(owner));
        lock(&MAILBOXES).extend(open);
        for (_, mailbox) in over {
            // A future that never completes keeps its task alive. The lock is
            // released by the end of the first statement.
            let pending = std::mem::take(&mut *lock(&mailbox.get().pending));
            drop(pending);
        }
    }

    /// Registers a pending future and returns its call number.
    pub fn expect(&self, future: Py<PyAny>) -> u64 {
        let mut pending = lock(&self.pending);
        pending.last += 1;
        let call = pending.last;
        pending.futures.insert(call, future);
        call
    }

    /// Drops the future of a cancelled call.
    pub fn forget(&self, call: u64) {
        let future = lock(&self.pending).futures.remove(&call);
        drop(future);
    }

    /// Returns the side that the engine delivers to.
    pub fn slot(&self) -> Arc<CompletionSender> {
        Arc::clone(&self.slot)
    }

    fn complete(&self, py: Python<'_>, call: u64, completion: Completion) -> PyResult<()> {
        let Some(future) = lock(&self.pending).futures.remove(&call) else { return Ok(()) };
        let future = future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match completion(py) {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }
}

#[pymethods]
impl Mailbox {
    /// Completes the futures whose results have arrived. Called by the event
    /// loop.
    fn take(&self, py: Python<'_>) {
        let mut bytes = [0; 16];
        // There is one byte, or none after a spurious wake-up.
        let _ = (&self.receiver).read(&mut bytes);
        let completed = std::mem::take(&mut *lock(&self.slot.completed));
        for (call, completion) in completed {
            // An error must not keep the other futures from completing.
            if let Err(error) = self.complete(py, call, completion) {
                error.write_unraisable(py, None);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
