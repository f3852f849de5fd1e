//! The engine's handles, [`Engine`] and [`AsyncEngine`]: every face calls one.
//!
//! Their methods come from the list in [`crate::call`], a line each; a
//! [`Backend`] executes them.

mod builder;
#[cfg(feature = "testing")]
mod testing;

use std::sync::Arc;
use std::time::Duration;

pub use builder::EngineBuilder;

use crate::audit::AuditReport;
use crate::backend::Backend;
use crate::call::{Request, Response, operations};
use crate::config::Config;
use crate::consumers::Consumers;
use crate::error::{Error, ErrorKind, Result};
use crate::features;
use crate::local;
use crate::model::{
    CancelRequest, Cart, CartId, CartRequest, ChangeQuantityRequest, Erased, Event,
    ExtendCartRequest, ExtendOrderRequest, ExtendRequest, Hold, HoldId, HoldPage, HoldQuery,
    HoldRequest, NewProduct, Order, OrderId, OrderPage, OrderQuery, OrderRequest, PaymentEvent,
    PaymentReceipt, PaymentReference, Product, ProductChange, ProductId, ProductPage, ProductRef,
    PutOutcome, PutProduct, RefundRequest, ReleaseCartRequest, ReleaseRequest, Replayable,
    RestockRequest, StockAdjustment, Timestamp, WaitingPayment, WaitingPaymentPage,
};
use crate::rpc::{self, RemoteCall};
use crate::sweeper::SweepReport;

/// How long closing waits for requests in flight: longer than a request waits
/// for its turn and its locks by default.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

macro_rules! define_methods {
    ($($(#[$doc:meta])* fn $name:ident $([$request:ty])? $(($($arg:ident: $kind:ty),*))?
        -> $answer:ty = $Variant:ident;)*) => {
        impl Engine {
            $($(#[$doc])*
            pub fn $name(
                &self $(, request: impl Into<$request>)? $($(, $arg: $kind)*)?
            ) -> Result<$answer> {
                block_on(self.engine.$name(
                    $(Into::<$request>::into(request))? $($($arg),*)?
                ))
            })*
        }

        impl AsyncEngine {
            $($(#[$doc])*
            pub async fn $name(
                &self $(, request: impl Into<$request>)? $($(, $arg: $kind)*)?
            ) -> Result<$answer> {
                let request = Request::$Variant
                    $((Into::<$request>::into(request)))? $({ $($arg),* })?;
                match self.call(request).await? {
                    Response::$Variant(answer) => Ok(answer),
                    other => Err(other.mismatch(stringify!($name))),
                }
            })*
        }
    };
}
operations!(define_methods);

/// The blocking engine: every call blocks its thread until the response is
/// there.
///
/// It runs a small runtime of its own, so a tokio task may call it, too, and
/// blocks its worker thread as with any blocking call; [`AsyncEngine`] is made
/// for that.
///
/// A clone is another handle to the same engine. An engine that was opened
/// before a fork returns `misuse` in the child.
///
/// ```
/// use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};
///
/// let engine = Engine::open("sqlite::memory:")?;
/// let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
/// let hold = engine.create_hold(HoldRequest::new(lamp.id, 2))?.value;
/// let order = engine.create_order(OrderRequest::new(hold.id, lamp.id))?.value;
/// engine.record_payment(PaymentEvent::for_order(order.id, Outcome::Success).key("evt-1"))?;
/// assert_eq!(engine.product(lamp.id)?.sold, 2);
/// engine.close()?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    engine: AsyncEngine,
    runtime: Arc<OwnRuntime>,
}

/// The async engine for tokio: the methods of [`Engine`], as futures.
///
/// # Cancel safety
/// A dropped future leaves nothing half done: the request is executed whole or
/// not at all. A hold that was made for a dropped future expires.
#[derive(Clone)]
pub struct AsyncEngine {
    backend: Arc<dyn Backend>,
}

impl Engine {
    /// Opens an engine on this store, with default settings, and brings its
    /// tables up to date. With the URL of a running engine, calls are sent to
    /// that one; see [the crate's text](crate#one-engine-for-many-processes).
    ///
    /// # Errors
    /// `invalid_argument` for a URL of no known store, `unavailable`.
    pub fn open(store: &str) -> Result<Self> {
        Self::builder().store(store).open()
    }

    /// Returns a builder with default settings.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    pub(crate) fn start(builder: EngineBuilder) -> Result<Self> {
        // A client has one connection, which one thread serves, and there are
        // many client processes.
        let threads = if builder.config.names_a_running_engine() { 1 } else { 2 };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("stockade")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::caused(ErrorKind::Internal, "failed to start the Tokio runtime", error)
            })?;
        let opening = runtime.spawn(AsyncEngine::start(builder));
        let runtime = OwnRuntime { runtime: Some(runtime), process: std::process::id() };
        let engine = block_on(opening)
            .map_err(|error| Error::caused(ErrorKind::Internal, "opening panicked", error))??;
        Ok(Self { engine, runtime: Arc::new(runtime) })
    }

    /// Returns a handle to the same engine for one of its users, such as a clerk or an
    /// API key: the events of what is asked for through it name `actor`, and orders
    /// that are made through it have it as [`Order::created_by`].
    ///
    /// # Errors
    /// `invalid_argument` for a name that is empty, longer than 255 bytes, or has
    /// control characters.
    ///
    /// ```
    /// # use stockade::{Engine, NewProduct, StockAdjustment};
    /// # let engine = Engine::open("sqlite::memory:")?;
    /// # let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
    /// let clerk = engine.acting_as("warehouse")?;
    /// clerk.adjust_stock(StockAdjustment::new(lamp.id, -1, "broken"))?;
    /// let events = engine.events_after(0, 10)?;
    /// assert_eq!(events.last().and_then(|event| event.actor.as_deref()), Some("warehouse"));
    /// # Ok::<(), stockade::Error>(())
    /// ```
    pub fn acting_as(&self, actor: &str) -> Result<Self> {
        Ok(Self { engine: self.engine.acting_as(actor)?, runtime: Arc::clone(&self.runtime) })
    }

    /// Moves the clock of a test's engine, which was opened with the setting `clock` at
    /// `manual`, and returns its new time. What is due by then is in stock again when the
    /// call returns, with its events, as after [`Engine::sweep`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use stockade::{Engine, HoldRequest, HoldStatus, NewProduct};
    ///
    /// let engine = Engine::builder().store("sqlite::memory:").set("clock", "manual")?.open()?;
    /// let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
    /// let hold = engine.create_hold(HoldRequest::new(lamp.id, 5))?.value;
    /// let now = engine.advance_clock(Duration::from_secs(120))?;
    /// assert_eq!(now, hold.expires_at);
    /// assert_eq!(engine.product(lamp.id)?.stock, 5);
    /// assert_eq!(engine.hold(hold.id)?.status, HoldStatus::Expired);
    /// # Ok::<(), stockade::Error>(())
    /// ```
    ///
    /// # Errors
    /// `misuse` for an engine with another clock, and for the client of a running engine;
    /// `invalid_argument` for more than ten years, which move nothing. `contention` and
    /// `unavailable` leave the clock moved: the next call returns what is due.
    pub fn advance_clock(&self, by: Duration) -> Result<Timestamp> {
        block_on(self.engine.advance_clock(by))
    }

    /// Returns the engine's metrics as OpenMetrics text, without the closing
    /// `# EOF`. An engine that sends its calls to another one returns the
    /// metrics of its connection.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.engine.metrics_text()
    }

    /// Drains queued requests, rejects new ones, then closes the store. A second
    /// call does nothing.
    ///
    /// # Errors
    /// `misuse` after a fork.
    pub fn close(&self) -> Result<()> {
        self.engine.backend.lifecycle().check_process()?;
        let engine = self.engine.clone();
        let Some(runtime) = &self.runtime.runtime else { return Ok(()) };
        let closing = runtime.spawn(async move { engine.close().await });
        let _ = block_on(closing);
        Ok(())
    }
}

impl AsyncEngine {
    /// Opens an engine on this store, with default settings, and brings its
    /// tables up to date. Its tasks run on the current tokio runtime, which
    /// must live as long as the engine is used. With the URL of a running
    /// engine, calls are sent to that one.
    ///
    /// # Errors
    /// `invalid_argument` for a URL of no known store, `unavailable`.
    pub async fn open(store: &str) -> Result<Self> {
        Engine::builder().store(store).open_async().await
    }

    /// Opens an engine with these settings.
    ///
    /// # Errors
    /// `invalid_argument` for settings that contradict each other,
    /// `unavailable`.
    pub async fn with_config(config: Config) -> Result<Self> {
        Engine::builder().config(config).open_async().await
    }

    /// Opens the backend that the store's URL names.
    pub(crate) async fn start(builder: EngineBuilder) -> Result<Self> {
        let EngineBuilder { config, clock, make_lock } = builder;
        features::check(&config)?;
        #[cfg(feature = "remote")]
        if config.names_a_running_engine() {
            let backend = crate::remote::RemoteBackend::open(config, clock.as_deref()).await?;
            return Ok(Self { backend });
        }
        let backend = local::LocalBackend::open(config, clock, make_lock).await?;
        Ok(Self { backend })
    }

    async fn call(&self, request: Request) -> Result<Response> {
        self.backend.lifecycle().check_usable()?;
        match self.backend.respond_from_memory(&request) {
            Some(response) => Ok(response),
            None => self.backend.call(request, None).await,
        }
    }

    /// Returns a handle for one of the engine's users, as [`Engine::acting_as`] does.
    ///
    /// # Errors
    /// `invalid_argument` for another name.
    pub fn acting_as(&self, actor: &str) -> Result<Self> {
        let actor = rpc::checked_actor(actor)?;
        Ok(Self { backend: self.backend.acting_as(actor) })
    }

    /// Moves the clock of a test's engine, as [`Engine::advance_clock`] does.
    ///
    /// # Errors
    /// As [`Engine::advance_clock`].
    pub async fn advance_clock(&self, by: Duration) -> Result<Timestamp> {
        self.backend.lifecycle().check_usable()?;
        self.backend.advance_clock(by).await
    }

    /// Returns the settings that the engine was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.backend.config()
    }

    /// Returns the metrics, as [`Engine::metrics_text`] does.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.backend.metrics_text()
    }

    /// Executes a call that a remote engine has sent, for a server that carries
    /// such calls, and returns its reply: JSON with the whole result or the whole
    /// error.
    ///
    /// A client that may send calls can do everything that this engine does.
    pub async fn serve_call(&self, call: RemoteCall) -> Vec<u8> {
        rpc::serve(&*self.backend, call).await
    }

    /// Returns the consumers of the store's events, which remember their position: for
    /// a relay. Reading events alone needs [`AsyncEngine::events_after`].
    ///
    /// # Errors
    /// `misuse` for the client of a running engine, and after [`AsyncEngine::close`].
    pub fn consumers(&self) -> Result<Consumers> {
        self.backend.lifecycle().check_usable()?;
        self.backend.consumers()
    }

    /// Drains queued requests and closes the store, as [`Engine::close`] does.
    pub async fn close(&self) {
        self.backend.close(CLOSE_WAIT).await;
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", self.engine.backend.config())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AsyncEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncEngine").field("config", self.backend.config()).finish_non_exhaustive()
    }
}

/// Blocks on a call. Inside a tokio task it runs outside the task's cooperative
/// budget: once that is spent every resource is pending until the task yields,
/// which a blocked task never does.
fn block_on<T>(call: impl Future<Output = T>) -> T {
    pollster::block_on(tokio::task::coop::unconstrained(call))
}

/// Applies the missing migrations, and nothing else.
///
/// # Errors
/// `invalid_argument` for a URL of no known store, or of a running engine,
/// which migrates its store itself; `unavailable`.
pub async fn migrate(config: &Config) -> Result<()> {
    if config.names_a_running_engine() {
        return Err(Error::invalid_argument("a running engine migrates its store itself"));
    }
    features::check(config)?;
    local::migrate(config).await
}

struct OwnRuntime {
    runtime: Option<tokio::runtime::Runtime>,
    /// The process that runs the threads; a forked child does not.
    process: u32,
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process == std::process::id() {
            // Does not block, so that a drop inside another runtime is allowed.
            runtime.shutdown_background();
        } else {
            // The threads run in the parent only.
            std::mem::forget(runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_send_sync_and_clone() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<Engine>();
        shared::<AsyncEngine>();
        shared::<Error>();
    }
}
