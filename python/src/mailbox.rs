//! Where answers arrive for the calls that one event loop awaits.
//!
//! A task of the engine puts its answer into the mailbox and, if the mailbox
//! was empty, writes one byte that the loop watches for. The loop then takes
//! all that is there. So however many calls end at once, the loop is woken
//! once, and no thread of the engine waits for the GIL.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

/// Turns an answer into a Python value or an exception, on the loop's thread.
pub type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// The engine's side of a mailbox.
pub struct Slot {
    arrived: Mutex<Vec<(u64, Outcome)>>,
    bell: UnixStream,
}

impl Slot {
    /// Delivers the answer to the call with this number.
    pub fn deliver(&self, call: u64, outcome: Outcome) {
        let mut arrived = lock(&self.arrived);
        arrived.push((call, outcome));
        if arrived.len() == 1 {
            // It fails only when the loop is gone, and its calls with it.
            let _ = (&self.bell).write(&[1]);
        }
    }
}

/// The loop's side of a mailbox.
#[pyclass(frozen, module = "stockade._native")]
pub struct Mailbox {
    slot: Arc<Slot>,
    ear: UnixStream,
    awaited: Mutex<Awaited>,
}

/// The futures that calls wait on, by the number of the call.
#[derive(Default)]
struct Awaited {
    last: u64,
    futures: HashMap<u64, Py<PyAny>>,
}

/// The mailboxes of this process: one for each loop that awaited a call.
static MAILBOXES: Mutex<Vec<(Py<PyWeakrefReference>, Py<Mailbox>)>> = Mutex::new(Vec::new());

impl Mailbox {
    /// The mailbox of this loop, made at its first call.
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
        let (ear, bell) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let watched = ear.as_raw_fd();
        let slot = Arc::new(Slot { arrived: Mutex::default(), bell });
        let mailbox = Py::new(py, Self { slot, ear, awaited: Mutex::default() })?;
        let take = mailbox.getattr(py, intern!(py, "take"))?;
        event_loop.call_method1(intern!(py, "add_reader"), (watched, take))?;
        let owner = PyWeakrefReference::new(event_loop)?.unbind();
        lock(&MAILBOXES).push((owner, mailbox.clone_ref(py)));
        Ok(mailbox)
    }

    /// Forgets the mailboxes of loops that are gone or closed.
    fn forget_closed_loops(py: Python<'_>) {
        let is_over = |owner: &Py<PyWeakrefReference>| {
            let Some(owner) = owner.bind(py).upgrade() else { return true };
            let closed = owner.call_method0(intern!(py, "is_closed"));
            closed.and_then(|closed| closed.is_truthy()).unwrap_or(true)
        };
        // Nothing of Python is dropped under the lock: that may run any code.
        let mailboxes = std::mem::take(&mut *lock(&MAILBOXES));
        let (over, open): (Vec<_>, Vec<_>) =
            mailboxes.into_iter().partition(|(owner, _)| is_over(owner));
        lock(&MAILBOXES).extend(open);
        for (_, mailbox) in over {
            // A future that no one completes any more keeps its task. The lock
            // ends with the first statement.
            let awaited = std::mem::take(&mut *lock(&mailbox.get().awaited));
            drop(awaited);
        }
    }

    /// Notes a future that is to be completed, and gives its call a number.
    pub fn expect(&self, future: Py<PyAny>) -> u64 {
        let mut awaited = lock(&self.awaited);
        awaited.last += 1;
        let call = awaited.last;
        awaited.futures.insert(call, future);
        call
    }

    /// Drops the future of a call that was given up.
    pub fn forget(&self, call: u64) {
        let future = lock(&self.awaited).futures.remove(&call);
        drop(future);
    }

    /// The side that the engine delivers to.
    pub fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    fn complete(&self, py: Python<'_>, call: u64, outcome: Outcome) -> PyResult<()> {
        let Some(future) = lock(&self.awaited).futures.remove(&call) else { return Ok(()) };
        let future = future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match outcome(py) {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }
}

#[pymethods]
impl Mailbox {
    /// Completes the futures whose answers have arrived. The loop calls it.
    fn take(&self, py: Python<'_>) {
        let mut bytes = [0; 16];
        // There is one byte, or none after a wake-up for nothing.
        let _ = (&self.ear).read(&mut bytes);
        let arrived = std::mem::take(&mut *lock(&self.slot.arrived));
        for (call, outcome) in arrived {
            // The others are to have their answers all the same.
            if let Err(error) = self.complete(py, call, outcome) {
                error.write_unraisable(py, None);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
