//! The classes `Engine` and `AsyncEngine`: the same calls, blocking and
//! awaitable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stockade::{
    AsyncEngine as Core, CartRequest, Config, HoldId, HoldRequest, Money, NewProduct, OrderId,
    Outcome, PaymentToken, ProductId, StockAdjustment, Token,
};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::arguments::{
    Arg, Body, Cursor, Delta, HoldRef, Limit, Lines, Quantity, Requests, Stock, Version, order_of,
    payment_of, read,
};
use crate::blocking::wait;
use crate::call::{Call, HoldCall, mark_ordered};
use crate::call_error::CallError;
use crate::open::{self, OpenEngine};
use crate::responses::{HoldResults, Response};
use crate::{runtime, settings};

/// The default page size.
const PAGE: u32 = 100;

/// The native base class of `stockade.Engine`, for threads.
#[pyclass(frozen, subclass, module = "stockade._native")]
pub struct Engine {
    open: OpenEngine,
    config: Config,
    closed: AtomicBool,
}

/// The native base class of `stockade.AsyncEngine`, for asyncio.
#[pyclass(frozen, subclass, module = "stockade._native")]
pub struct AsyncEngine {
    open: Arc<OnceCell<OpenEngine>>,
    config: Config,
    closed: Arc<AtomicBool>,
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
        if let Some(hold) = ordered {
            mark_ordered(hold)?;
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
        Ok(Call::new(open.handle().clone(), ordered.map(|hold| hold.clone().unbind()), work))
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

            /// Reads a product, from the cache if the entry is fresh.
            fn product<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.product(product_id.0).await })
            }

            /// Reads one page of products by ascending id.
            #[pyo3(
                signature = (after=None, limit=Arg(Limit(PAGE))),
                text_signature = "($self, after=None, limit=100)"
            )]
            fn products<'py>(
                slf: &Bound<'py, Self>,
                after: Option<Arg<ProductId>>,
                limit: Arg<Limit>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let after = read(after);
                Self::run(slf, None, |core| async move { core.products(after, limit.0.0).await })
            }

            /// Creates a product.
            #[pyo3(
                signature = (name, price, stock=Arg(Stock(0)), *, key=None),
                text_signature = "($self, name, price, stock=0, *, key=None)"
            )]
            fn create_product<'py>(
                slf: &Bound<'py, Self>,
                name: String,
                price: Arg<Money>,
                stock: Arg<Stock>,
                key: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = NewProduct::new(name, price.0, stock.0.0);
                request.key = key;
                Self::run(slf, None, |core| async move {
                    Ok(core.create_product(&request).await?.value)
                })
            }

            /// Adjusts stock: receives goods, or writes them off if `delta` is
            /// negative.
            #[pyo3(
                signature = (product_id, delta, reason=String::new(), *, key=None, version=None),
                text_signature =
                    "($self, product_id, delta, reason='', *, key=None, version=None)"
            )]
            fn adjust_stock<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductId>,
                delta: Arg<Delta>,
                reason: String,
                key: Option<String>,
                version: Option<Arg<Version>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = StockAdjustment::new(product_id.0, delta.0.0, reason);
                (request.key, request.version) = (key, version.map(|version| version.0.0));
                Self::run(slf, None, |core| async move {
                    Ok(core.adjust_stock(&request).await?.value)
                })
            }

            /// Holds units of one product for a limited time.
            #[pyo3(signature = (product_id, quantity, *, ttl=None, key=None, customer=None))]
            fn create_hold<'py>(
                slf: &Bound<'py, Self>,
                product_id: Arg<ProductId>,
                quantity: Arg<Quantity>,
                ttl: Option<Arg<Duration>>,
                key: Option<String>,
                customer: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = HoldRequest::new(product_id.0, quantity.0.0);
                (request.ttl, request.key) = (read(ttl), key);
                request.customer = customer;
                Self::run_hold(slf, |core| async move { core.create_hold(&request).await })
            }

            /// Holds several products atomically: all or none.
            #[pyo3(signature = (items, *, ttl=None, key=None, customer=None))]
            fn create_holds<'py>(
                slf: &Bound<'py, Self>,
                items: Arg<Lines>,
                ttl: Option<Arg<Duration>>,
                key: Option<String>,
                customer: Option<String>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut request = CartRequest::new(items.0.0);
                (request.ttl, request.key) = (read(ttl), key);
                request.customer = customer;
                Self::run_hold(slf, |core| async move { core.create_holds(&request).await })
            }

            /// Creates many holds by one call, each on its own.
            fn create_hold_batch<'py>(
                slf: &Bound<'py, Self>,
                requests: Arg<Requests>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (requests, rejected) = requests.0.split();
                Self::run(slf, None, |core| async move {
                    let results = core.create_hold_batch(requests).await?;
                    Ok(HoldResults::merge(rejected, results))
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

            /// Reads the current state of a hold.
            fn hold<'py>(
                slf: &Bound<'py, Self>,
                hold_id: Arg<HoldId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.hold(hold_id.0).await })
            }

            /// Turns an active hold into an order.
            #[pyo3(signature = (hold, product_id=None, *, key=None, token=None))]
            fn create_order<'py>(
                slf: &Bound<'py, Self>,
                hold: &Bound<'py, PyAny>,
                product_id: Option<Arg<ProductId>>,
                key: Option<String>,
                token: Option<Arg<Token>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let (mut request, hold) = order_of(hold, read(product_id))?;
                (request.key, request.token) = (key, read(token).or(request.token));
                Self::run(slf, hold, |core| async move { core.create_order(&request).await })
            }

            /// Reads the current state of an order.
            fn order<'py>(
                slf: &Bound<'py, Self>,
                order_id: Arg<OrderId>,
            ) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, None, |core| async move { core.order(order_id.0).await })
            }

            /// Applies a payment provider's event to its order.
            #[pyo3(signature = (outcome, *, order_id=None, payment_token=None, key=None, body=None))]
            fn record_payment<'py>(
                slf: &Bound<'py, Self>,
                outcome: Arg<Outcome>,
                order_id: Option<Arg<OrderId>>,
                payment_token: Option<Arg<PaymentToken>>,
                key: Option<String>,
                body: Option<Arg<Body>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let mut event = payment_of(outcome.0, read(order_id), read(payment_token))?;
                event.key = key;
                if let Some(body) = read(body) {
                    event = event.body(body.0);
                }
                Self::run(slf, None, |core| async move { core.record_payment(&event).await })
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

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                let name = slf.get_type().qualname()?;
                let state = if slf.get().closed() { ", closed" } else { "" };
                Ok(format!("<{name} {:?}{state}>", slf.get().config))
            }
        }
    };
}

face!(Engine {
    #[new]
    #[pyo3(signature = (store, **settings))]
    fn new(py: Python<'_>, store: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let config = settings::config(store, settings)?;
        let handle = runtime::handle()?;
        let open = wait(py, &handle, on_runtime(&handle, OpenEngine::new(config.clone())))?;
        Ok(Self { open, config, closed: AtomicBool::new(false) })
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

face!(AsyncEngine {
    #[new]
    #[pyo3(signature = (store, **settings))]
    fn new(store: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let config = settings::config(store, settings)?;
        Ok(Self { open: Arc::default(), config, closed: Arc::default() })
    }

    /// Opens the engine; does nothing if it is open.
    #[pyo3(name = "_open")]
    fn open(&self) -> PyResult<Call> {
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
