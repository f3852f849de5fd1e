//! Awaitable calls: a coroutine that wraps a future of the engine.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTraverseError, PyVisit, intern};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::blocking::guarded;
use crate::imports;
use crate::mailbox::{Completion, Mailbox};
use crate::responses::Response;

type Work = Pin<Box<dyn Future<Output = Completion> + Send>>;

/// A call of an `AsyncEngine`. Starts when first awaited. Cancelling it drops
/// the engine's future: the request then takes effect in whole or not at all.
#[pyclass(frozen, subclass, generic, module = "stockade._native")]
pub struct Call {
    state: Mutex<State>,
    handle: Handle,
    /// A tuple of the holds to mark as ordered when the call succeeds.
    ordered: Option<Py<PyAny>>,
    /// The response, kept so that a `HoldCall` can release its holds.
    answer: Mutex<Option<Py<PyAny>>>,
}

enum State {
    NotStarted(Work),
    InFlight(InFlight),
    Finished,
}

/// A call in flight.
struct InFlight {
    /// Iterates the asyncio future that the event loop waits on.
    steps: Py<PyAny>,
    mailbox: Py<Mailbox>,
    number: u64,
    task: AbortHandle,
}

impl Drop for InFlight {
    /// Cancels the call unless it has completed.
    fn drop(&mut self) {
        self.task.abort();
        Python::attach(|_| self.mailbox.get().forget(self.number));
    }
}

impl Call {
    /// Creates a call that will run `work` on this runtime.
    pub fn new<A: Response>(
        handle: Handle,
        ordered: Option<Py<PyAny>>,
        work: impl Future<Output = stockade::Result<A>> + Send + 'static,
    ) -> Self {
        let work = async move {
            let answer = guarded(work).await;
            let outcome: Completion = Box::new(move |py| match answer {
                Ok(answer) => Ok(answer.to_python(py, None)?.unbind()),
                Err(failure) => Err(failure.raise(py)),
            });
            outcome
        };
        Self {
            state: Mutex::new(State::NotStarted(Box::pin(work))),
            handle,
            ordered,
            answer: Mutex::default(),
        }
    }

    /// Takes the state and leaves `Finished`, because code called meanwhile may
    /// re-enter.
    fn take_state(&self) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state, State::Finished)
    }

    fn put_state(&self, waiting: InFlight) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::InFlight(waiting);
    }

    /// Starts the work. Polls it once first, so that an immediate result does
    /// not go through the event loop.
    fn begin(&self, py: Python<'_>, mut work: Work) -> PyResult<Py<PyAny>> {
        let event_loop = imports::get(py)?.running_loop.bind(py).call0()?;
        let mailbox = Mailbox::of_loop(&event_loop)?;
        let first = py.detach(|| {
            let _context = self.handle.enter();
            work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        if let Poll::Ready(outcome) = first {
            let answer = outcome(py)?;
            self.note_answer(py, answer.bind(py))?;
            return Err(PyStopIteration::new_err((answer,)));
        }
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let steps = future.call_method0(intern!(py, "__await__"))?;
        let number = mailbox.get().expect(future.unbind());
        let slot = mailbox.get().slot();
        let task = self.handle.spawn(async move { slot.deliver(number, work.await) });
        let waiting =
            InFlight { steps: steps.unbind(), mailbox, number, task: task.abort_handle() };
        self.step(py, waiting)
    }

    /// Steps the future: it completes or is still pending.
    fn step(&self, py: Python<'_>, waiting: InFlight) -> PyResult<Py<PyAny>> {
        match waiting.steps.call_method0(py, intern!(py, "__next__")) {
            Ok(waited_on) => {
                self.put_state(waiting);
                Ok(waited_on)
            }
            Err(end) => {
                if end.is_instance_of::<PyStopIteration>(py) {
                    self.note_answer(py, &end.value(py).getattr(intern!(py, "value"))?)?;
                }
                Err(end)
            }
        }
    }

    fn note_answer(&self, py: Python<'_>, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(holds) = &self.ordered {
            mark_ordered(holds.bind(py))?;
        }
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone().unbind());
        Ok(())
    }
}

/// Marks holds as ordered, so that their `with` blocks do not release them.
pub fn mark_ordered(holds: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = holds.py();
    for hold in holds.try_iter()? {
        imports::get(py)?.set_attribute.bind(py).call1((hold?, "_ordered", true))?;
    }
    Ok(())
}

#[pymethods]
impl Call {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.take_state() {
            State::NotStarted(work) => self.begin(py, work),
            State::InFlight(waiting) => self.step(py, waiting),
            State::Finished => {
                Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"))
            }
        }
    }

    /// Resumes the coroutine (PEP 342); `value` is ignored.
    fn send(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ = value;
        self.__next__(py)
    }

    /// Cancels the call and raises the exception, which is how asyncio cancels.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw(
        &self,
        typ: &Bound<'_, PyAny>,
        val: Option<&Bound<'_, PyAny>>,
        tb: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        drop(self.take_state());
        let error = match (val, typ.cast::<PyType>()) {
            (Some(val), Ok(class)) if !val.is_instance(class)? => class.call1((val,))?,
            (Some(val), _) => val.clone(),
            (None, Ok(class)) => class.call0()?,
            (None, Err(_)) => typ.clone(),
        };
        if let Some(tb) = tb {
            error.call_method1(intern!(typ.py(), "with_traceback"), (tb,))?;
        }
        Err(PyErr::from_value(error))
    }

    /// Cancels the call.
    fn close(&self) {
        drop(self.take_state());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(state) = self.state.try_lock()
            && let State::InFlight(waiting) = &*state
        {
            visit.call(&waiting.steps)?;
        }
        if let Ok(answer) = self.answer.try_lock() {
            visit.call(&*answer)?;
        }
        visit.call(&self.ordered)
    }

    fn __clear__(&self) {
        drop(self.take_state());
    }
}

/// A call that creates holds. Awaitable, or entered by `async with`, which
/// releases what was not ordered.
#[pyclass(frozen, extends = Call, module = "stockade._native")]
pub struct HoldCall {
    engine: Py<PyAny>,
}

impl HoldCall {
    /// Creates a call that makes holds in `engine`.
    pub fn init(engine: Py<PyAny>, call: Call) -> PyClassInitializer<Self> {
        PyClassInitializer::from(call).add_subclass(Self { engine })
    }
}

#[pymethods]
impl HoldCall {
    fn __aenter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Releases the holds that were not ordered.
    #[pyo3(signature = (kind, error, trace, /))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        kind: &Bound<'py, PyAny>,
        error: &Bound<'py, PyAny>,
        trace: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (kind, trace);
        let py = slf.py();
        let call = slf.as_super().get();
        let held = call.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let leave = imports::get(py)?.leave_scope.bind(py);
        leave.call1((&slf.get().engine, held, error))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }
}
