//! The classes `Engine` and `AsyncEngine`: the same calls, blocking and
//! awaitable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stockade::{
    AsyncEngine as Core, CancelRequest, CartId, CartRequest, Config, Currency, ExtendOrderRequest,
    HoldId, HoldQuery, HoldRequest, HoldStatus, Metadata, Money, NewProduct, OrderId, OrderQuery,
    OrderStatus, Outcome, PaymentDisposition, PaymentReference, PaymentToken, ProductChange,
    ProductId, ProductRef, PutProduct, RefundRequest, RestockRequest, StockAdjustment, Token,
};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::acting::{Source, acting_as};
use crate::arguments::{
    Advance, Arg, Cursor, Delta, Limit, Lines, Quantity, Requests, Stock, Version, read,
};
use crate::blocking::wait;
use crate::call::{Call, HoldCall, mark_ordered};
use crate::call_error::CallError;
use crate::hold_arguments::{CartRef, HoldRef};
use crate::list_calls::with_list_calls;
use crate::open::{self, OpenEngine};
use crate::order_arguments::{Amount, PaymentTtl, Units, order_of, payment_of};
use crate::order_calls::with_order_calls;
use crate::product_arguments::{
    Counted, CreatedAfter, CreatedBefore, Given, NewId, OnSaleFrom, OnSaleUntil, Puts, SafetyStock,
    Sku,
};
use crate::product_calls::with_product_calls;
use crate::responses::{Response, Results};
use crate::{log, runtime, settings};

/// The default page size.
const PAGE: u32 = 100;

/// The native base class of `stockade.Engine`, for threads.
#[pyclass(frozen, subclass, module = "stockade._native")]
pub struct Engine {
    open: OpenEngine,
    config: Config,
    /// Shared by all handles to the engine.
    closed: Arc<AtomicBool>,
    /// Whether this object opened the engine; other handles did not.
    is_opener: bool,
}

/// The native base class of `stockade.AsyncEngine`, for asyncio.
#[pyclass(frozen, subclass, module = "stockade._native")]
pub struct AsyncEngine {
    open: Arc<OnceCell<OpenEngine>>,
    config: Config,
    /// Shared by all handles to the engine.
    closed: Arc<AtomicBool>,
    /// Whether this object opens the engine; other handles do not.
    is_opener: bool,
}

impl Engine {
    /// Runs a call and blocks until its response.
    fn run<'py, A: Response, W: Future<Output = stockade::Result<A>> + Send>(
        slf: &Bound<'py, Self>,
        ordered: Option<&Bound<'py, PyAny>>,
        call: impl FnOnce(Core) -> W,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let open = &slf.get().open;
        let answer = wait(py, open.handle(), call(open.engine()?.clone()))?;
        if let Some(holds) = ordered {
            mark_ordered(holds)?;
        }
        answer.to_python(py, Some(slf.as_any()))
    }

    /// As [`Self::run`], for calls that make holds; a hold is a context manager
    /// itself.
    fn run_hold<'py, A: Response, W: Future<Output = stockade::Result<A>> + Send>(
        slf: &Bound<'py, Self>,
        call: impl FnOnce(Core) -> W,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::run(slf, None, call)
    }

    fn opened(&self) -> Result<&Core, CallError> {
        self.open.engine()
    }
}

impl AsyncEngine {
    /// Creates an awaitable call.
    fn run<'py, A: Response, W: Future<Output = stockade::Result<A>> + Send + 'static>(
        slf: &Bound<'py, Self>,
        ordered: Option<&Bound<'py, PyAny>>,
        call: impl FnOnce(Core) -> W,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = Self::call(slf, ordered, call)?;
        Ok(Bound::new(slf.py(), made)?.into_any())
    }

    /// Creates a call that can be awaited, or entered by `async with`.
    fn run_hold<'py, A: Response, W: Future<Output = stockade::Result<A>> + Send + 'static>(
        slf: &Bound<'py, Self>,
        call: impl FnOnce(Core) -> W,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = Self::call(slf, None, call)?;
        let engine = slf.clone().into_any().unbind();
        Ok(Bound::new(slf.py(), HoldCall::init(engine, made))?.into_any())
    }

    fn call<'py, A: Response, W: Future<Output = stockade::Result<A>> + Send + 'static>(
        slf: &Bound<'py, Self>,
        ordered: Option<&Bound<'py, PyAny>>,
        call: impl FnOnce(Core) -> W,
    ) -> PyResult<Call> {
        let open = open::require(slf.get().open.get())?;
        let work = call(open.engine()?.clone());
        Ok(Call::new(open.handle().clone(), ordered.map(|holds| holds.clone().unbind()), work))
    }

    fn opened(&self) -> Result<&Core, CallError> {
        open::require(self.open.get())?.engine()
    }
}

/// Runs `work` as a task, so that a cancelled caller does not cancel it.
fn on_runtime<T: Send + 'static>(
    handle: &Handle,
    work: impl Future<Output = stockade::Result<T>> + Send + 'static,
) -> impl Future<Output = stockade::Result<T>> + Send + 'static {
    let handle = handle.clone();
    async move {
        match handle.spawn(work).await {
            Ok(done) => done,
            // The runtime never shuts down: the task panicked; propagate the
            // panic.
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}

macro_rules! face {
    ($class:ident { $($own:tt)* }) => {
        #[pymethods]
        impl $class {
            $($own)*

            /// Holds units of one product for a limited time.
            #[pyo3(signature = (
                product_id, quantity, *, ttl=None, key=None, customer=None, at_most=false,
                metadata=None
            ))]
            #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
            fn create_hold<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductRef>,
                quantity: Arg<Quantity>,
                ttl: Option<Arg<Duration>>,
                key: Option<String>,
                customer: Option<String>,
                at_most: bool,
                metadata: Option<Arg<Metadata>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = HoldRequest::new(product_id.0, quantity.0.0);
                (request.ttl, request.key) = (read(ttl), key);
                (request.customer, request.at_most) = (customer, at_most);
                request.metadata = read(metadata);
                Self::run_hold(slf, |core| async move { core.create_hold(&request).await })
            }

            /// Holds several products atomically: all or none.
            #[pyo3(signature = (
                items, *, ttl=None, key=None, customer=None, metadata=None
            ))]
            fn create_holds<'py>(
                slf: &Bound<'py, Self>,
                items: Arg<Lines>,
                ttl: Option<Arg<Duration>>,
                key: Option<String>,
                customer: Option<String>,
                metadata: Option<Arg<Metadata>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = CartRequest::new(items.0.0);
                (request.ttl, request.key) = (read(ttl), key);
                (request.customer, request.metadata) = (customer, read(metadata));
                Self::run_hold(slf, |core| async move { core.create_holds(&request).await })
            }

            /// Creates many holds by one call, each on its own.
            fn create_hold_batch<'py>(
                slf: &Bound<'py, Self>,
                requests: Arg<Requests<HoldRequest>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (requests, rejected) = requests.0.split();
                Self::run(slf, None, |core| async move {
                    let results = core.create_hold_batch(requests).await?;
                    Ok(Results::merge(rejected, results))
                })
            }

            /// Releases a hold; one that is released or expired already is not
            /// changed.
            #[pyo3(signature = (hold, *, token=None))]
            fn release_hold<'py>(
                slf: &Bound<'py, Self>,
                hold: Arg<HoldRef>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = hold.0.release(read(token));
                Self::run(slf, None, |core| async move { core.release_hold(request).await })
            }

            /// Extends an active hold.
            #[pyo3(signature = (hold, ttl=None, *, token=None))]
            fn extend_hold<'py>(
                slf: &Bound<'py, Self>,
                hold: Arg<HoldRef>,
                ttl: Option<Arg<Duration>>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = hold.0.extend(read(token));
                request.ttl = read(ttl);
                Self::run(slf, None, |core| async move { core.extend_hold(&request).await })
            }

            /// Gives an active hold another quantity.
            #[pyo3(signature = (hold, quantity, *, key=None, token=None))]
            fn change_quantity<'py>(
                slf: &Bound<'py, Self>,
                hold: Arg<HoldRef>,
                quantity: Arg<Quantity>,
                key: Option<String>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = hold.0.change(quantity.0.0, read(token));
                request.key = key;
                Self::run(slf, None, |core| async move { core.change_quantity(request).await })
            }

            /// Reads the current state of a cart's holds.
            fn cart<'py>(
                slf: &Bound<'py, Self>,
                cart_id: Arg<CartId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.cart(cart_id.0).await })
            }

            /// Releases the active holds of a cart.
            #[pyo3(signature = (cart, *, token=None))]
            fn release_cart<'py>(
                slf: &Bound<'py, Self>,
                cart: Arg<CartRef>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = cart.0.release(read(token));
                Self::run(slf, None, |core| async move { core.release_cart(request).await })
            }

            /// Extends all holds of a cart, or none.
            #[pyo3(signature = (cart, ttl=None, *, token=None))]
            fn extend_cart<'py>(
                slf: &Bound<'py, Self>,
                cart: Arg<CartRef>,
                ttl: Option<Arg<Duration>>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = cart.0.extend(read(token));
                request.ttl = read(ttl);
                Self::run(slf, None, |core| async move { core.extend_cart(request).await })
            }

            /// Reads the current state of a hold.
            fn hold<'py>(
                slf: &Bound<'py, Self>,
                hold_id: Arg<HoldId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.hold(hold_id.0).await })
            }

            /// Expires all due holds and unpaid orders now.
            fn sweep<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.sweep().await })
            }

            /// Checks the consistency of all stock.
            fn audit<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.audit().await })
            }

            /// Reads up to `limit` events after `cursor`, 0 for the beginning.
            #[pyo3(
                signature = (cursor=Arg(Cursor(0)), limit=Arg(Limit(PAGE))),
                text_signature = "($self, cursor=0, limit=100)"
            )]
            fn events_after<'py>(
                slf: &Bound<'py, Self>,
                cursor: Arg<Cursor>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (cursor, limit) = (cursor.0.0, limit.0.0);
                Self::run(slf, None, |core| async move { core.events_after(cursor, limit).await })
            }

            /// Moves the engine's manual clock, and returns its new time.
            fn _advance_clock<'py>(
                slf: &Bound<'py, Self>,
                by: Arg<Advance>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.advance_clock(by.0.0).await })
            }

            /// Checks that the store is reachable.
            fn ping<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.ping().await })
            }

            /// Does nothing, to measure the overhead of a call.
            #[cfg(feature = "bench")]
            fn _noop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move {
                    drop(core);
                    Ok(())
                })
            }

            /// Returns another handle to the same engine, for one of its users.
            fn acting_as<'py>(
                slf: &Bound<'py, Self>,
                actor: String,
            ) -> PyResult<Bound<'py, PyAny>> {
                acting_as(slf, actor)
            }

            /// Returns the engine's metrics as OpenMetrics text, without the
            /// final `# EOF`.
            fn metrics_text(&self) -> PyResult<String> {
                Ok(self.opened()?.metrics_text())
            }

            /// Whether `close` was called.
            #[getter]
            fn closed(&self) -> bool {
                self.closed.load(Ordering::Relaxed)
            }

            /// Whether this object, and not another handle, opens the engine.
            #[getter]
            fn _is_opener(&self) -> bool {
                self.is_opener
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                let name = slf.get_type().qualname()?;
                let state = if slf.get().closed() { ", closed" } else { "" };
                Ok(format!("<{name} {:?}{state}>", slf.get().config))
            }
        }
    };
}

with_list_calls!(Engine {
    #[new]
    #[pyo3(signature = (store, **settings))]
    fn new(
        py: Python<'_>,
        store: Source<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let store = match &store {
            Source::Store(url) => url,
            Source::Engine(acting) => {
                let (engine, actor) = acting.get().of::<Self>(py)?;
                let Self { open, config, closed, .. } = engine.get();
                let (open, closed) = (open.acting_as(actor)?, Arc::clone(closed));
                return Ok(Self { open, config: config.clone(), closed, is_opener: false });
            }
        };
        let config = settings::config(store, settings)?;
        log::start(py)?;
        let handle = runtime::handle()?;
        let open = wait(py, &handle, on_runtime(&handle, OpenEngine::new(config.clone())))?;
        Ok(Self { open, config, closed: Arc::default(), is_opener: true })
    }

    /// Drains queued requests, rejects new ones, then closes the store.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.opened()?.clone();
        self.closed.store(true, Ordering::Relaxed);
        let handle = self.open.handle();
        wait(py, handle, on_runtime(handle, async move {
            core.close().await;
            Ok(())
        }))
    }
});

with_list_calls!(AsyncEngine {
    #[new]
    #[pyo3(signature = (store, **settings))]
    fn new(
        py: Python<'_>,
        store: Source<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let store = match &store {
            Source::Store(url) => url,
            Source::Engine(acting) => {
                let (engine, actor) = acting.get().of::<Self>(py)?;
                let Self { open, config, closed, .. } = engine.get();
                let open = open::require(open.get())?.acting_as(actor)?;
                let (open, closed) = (Arc::new(OnceCell::from(open)), Arc::clone(closed));
                return Ok(Self { open, config: config.clone(), closed, is_opener: false });
            }
        };
        let config = settings::config(store, settings)?;
        Ok(Self { open: Arc::default(), config, closed: Arc::default(), is_opener: true })
    }

    /// Opens the engine; does nothing if it is open.
    #[pyo3(name = "_open")]
    fn open(&self, py: Python<'_>) -> PyResult<Call> {
        log::start(py)?;
        let handle = runtime::handle()?;
        let (open, config) = (Arc::clone(&self.open), self.config.clone());
        let opening = on_runtime(&handle, async move {
            open.get_or_try_init(|| OpenEngine::new(config)).await.map(|_| ())
        });
        Ok(Call::new(handle.clone(), None, opening))
    }

    /// Drains queued requests, rejects new ones, then closes the store.
    fn close(&self) -> PyResult<Call> {
        let Some(open) = self.open.get() else {
            self.closed.store(true, Ordering::Relaxed);
            return Ok(Call::new(runtime::handle()?, None, async { Ok(()) }));
        };
        let (core, closed) = (open.engine()?.clone(), Arc::clone(&self.closed));
        let handle = open.handle();
        let closing = on_runtime(handle, async move {
            closed.store(true, Ordering::Relaxed);
            core.close().await;
            Ok(())
        });
        Ok(Call::new(handle.clone(), None, closing))
    }
});
