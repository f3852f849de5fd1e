//! The engine: the calls that every face makes.

mod answering;
mod builder;
mod core;
mod create;
mod forked;
pub(crate) mod life;
mod prepare;
mod seat;

use std::sync::Arc;
use std::time::Duration;

pub use builder::EngineBuilder;
pub(crate) use core::Core;
#[cfg(test)]
pub(crate) use core::Pieces;

use crate::audit::AuditReport;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    CartRequest, Event, ExtendRequest, Hold, HoldId, HoldRequest, NewProduct, Order, OrderId,
    OrderRequest, PaymentAnswer, PaymentEvent, Product, ProductId, ProductPage, ReleaseRequest,
    Replayable, StockAdjustment,
};
use crate::sweeper::SweepReport;
use seat::{Seat, at_seat};

/// How long closing waits for requests that are under way.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Engine {
            $($(#[$doc])* pub fn $name(&self, $($arg: $kind),*) -> Result<$answer> {
                self.seat.life().check_usable()?;
                at_seat!(&self.seat, part => wait_for(part.$name($($arg),*)))
            })*
        }

        impl AsyncEngine {
            $($(#[$doc])* pub async fn $name(&self, $($arg: $kind),*) -> Result<$answer> {
                self.seat.life().check_usable()?;
                at_seat!(&self.seat, part => part.$name($($arg),*).await)
            })*
        }
    };
}

/// The engine for threads: every call waits for its answer.
///
/// It has threads of its own, so it may also be called from inside a tokio
/// runtime, where it blocks the thread that calls as any blocking call does;
/// there [`AsyncEngine`] is the better choice.
///
/// Cloning is cheap and gives another handle to the same engine. An engine
/// that was opened before a fork answers `misuse` in the child.
///
/// ```
/// use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent};
///
/// let engine = Engine::open("sqlite::memory:")?;
/// let lamp = engine.create_product(&NewProduct::new("Lamp", "19.99".parse()?, 5))?;
/// let hold = engine.hold(&HoldRequest::new(lamp.id, 2))?;
/// let order = engine.order(&OrderRequest::new(hold.id, lamp.id))?;
/// engine.payment(&PaymentEvent::for_order(order.id, Outcome::Success).key("evt-1"))?;
/// assert_eq!(engine.product(lamp.id)?.sold, 2);
/// engine.close()?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    seat: Seat,
    runtime: Arc<OwnRuntime>,
}

/// The engine for tokio: the same calls as [`Engine`], as futures.
///
/// Dropping a call's future leaves nothing half done: the request is done
/// whole or was never taken up, and a hold made for a caller who has gone is
/// returned when it expires.
#[derive(Clone)]
pub struct AsyncEngine {
    seat: Seat,
}

calls! {
    /// Reads a product, from the cache where that is fresh.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    fn product(id: ProductId) -> Product;

    /// Reads up to `limit` (1 to 1,000) products with ids above `after`.
    ///
    /// # Errors
    /// `invalid_argument` for another limit, `unavailable`.
    fn products(after: Option<ProductId>, limit: u32) -> ProductPage;

    /// Creates a product. A second request with the same idempotency key
    /// answers the product as the first one created it.
    ///
    /// # Errors
    /// `invalid_argument`, `idempotency_mismatch`, `unavailable`.
    fn create_product(product: &NewProduct) -> Replayable<Product>;

    /// Receives goods or writes them off, and answers the product after it.
    ///
    /// # Errors
    /// `invalid_argument`, `not_found`, `insufficient_stock` when stock would
    /// go below zero, `version_mismatch`, `idempotency_mismatch`,
    /// `contention`, `unavailable`.
    fn adjust_stock(adjustment: &StockAdjustment) -> Replayable<Product>;

    /// Holds units of one product for a short time.
    ///
    /// # Errors
    /// `invalid_argument`, `quantity_limit`, `not_found`,
    /// `insufficient_stock`, `idempotency_mismatch`, `contention`,
    /// `unavailable`.
    fn hold(request: &HoldRequest) -> Replayable<Hold>;

    /// Holds several products, all or none, and answers one hold for each
    /// product by ascending product id.
    ///
    /// # Errors
    /// As [`Engine::hold`]; `insufficient_stock` names every short line.
    fn hold_many(request: &CartRequest) -> Replayable<Vec<Hold>>;

    /// Gives a hold back, by its id or by a [`ReleaseRequest`], which can show
    /// its token. One that is over already stays as it is.
    ///
    /// # Errors
    /// `not_found`, `unauthorized` for a token that is wrong or missing,
    /// `hold_already_used` when it became an order, `contention`,
    /// `unavailable`.
    fn release(request: impl Into<ReleaseRequest>) -> Hold;

    /// Makes an active hold live longer, up to the `hold_ttl_max` setting.
    ///
    /// # Errors
    /// `invalid_argument`, `not_found`, `unauthorized` for a token that is
    /// wrong or missing, `hold_expired` (also when it was released),
    /// `hold_already_used`, `contention`, `unavailable`.
    fn extend(request: &ExtendRequest) -> Hold;

    /// Reads a hold as it stands now.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    fn get_hold(id: HoldId) -> Hold;

    /// Turns an active hold into an order. Payment events that came before it
    /// are applied at once, so the order may be paid or cancelled already.
    ///
    /// # Errors
    /// `not_found`, `unauthorized` for a token that is wrong or missing,
    /// `product_mismatch`, `hold_expired` (also when it was released),
    /// `hold_already_used` with the order that used it,
    /// `idempotency_mismatch`, `contention`, `unavailable`.
    fn order(request: &OrderRequest) -> Replayable<Order>;

    /// Reads an order as it stands now.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    fn get_order(id: OrderId) -> Order;

    /// Takes the payment provider's word on an order, once for each key
    /// however often it comes, and also before the order is there.
    ///
    /// # Errors
    /// `invalid_argument` (also for a token that is not the order's),
    /// `idempotency_mismatch`, `contention`, `unavailable`.
    fn payment(event: &PaymentEvent) -> Replayable<PaymentAnswer>;

    /// Takes back all that is due now, without waiting for the sweeper.
    ///
    /// # Errors
    /// `contention`, `unavailable`.
    fn sweep() -> SweepReport;

    /// Compares all of the store's numbers with each other, in one snapshot.
    ///
    /// # Errors
    /// `unavailable`.
    fn audit() -> AuditReport;

    /// Reads up to `limit` (1 to 10,000) events after `cursor`, 0 for the first.
    ///
    /// # Errors
    /// `invalid_argument` for another limit, `unavailable`.
    fn events_after(cursor: u64, limit: u32) -> Vec<Event>;

    /// Reaches for the store.
    ///
    /// # Errors
    /// `unavailable`.
    fn ping() -> ();
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

    /// Begins to describe an engine.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    pub(crate) fn start(builder: EngineBuilder) -> Result<Self> {
        // One has enough to do with one connection, in each of many processes.
        let threads = if builder.config.names_a_running_engine() { 1 } else { 2 };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("stockade")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::caused(ErrorKind::Internal, "no threads could be had", error)
            })?;
        let runtime = OwnRuntime { runtime: Some(runtime), process: std::process::id() };
        let Some(handle) = runtime.handle() else {
            return Err(Error::new(ErrorKind::Internal, "the runtime is gone"));
        };
        let opening = handle.spawn(Seat::open(builder));
        let seat = wait_for(opening)
            .map_err(|error| Error::caused(ErrorKind::Internal, "opening panicked", error))??;
        Ok(Self { seat, runtime: Arc::new(runtime) })
    }

    /// The engine's counters as OpenMetrics text, without the closing `# EOF`;
    /// of a remote engine those of its connection only, since the engine that
    /// does the calls shows its own.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.seat.metrics_text()
    }

    /// What the names of this store's keys in Redis begin with; `None` without
    /// Redis and of a remote engine.
    #[doc(hidden)]
    #[must_use]
    pub fn redis_prefix(&self) -> Option<String> {
        self.seat.redis_prefix()
    }

    /// Serves what waits, refuses what comes, and lets go of the store. Calling
    /// it again does nothing.
    ///
    /// # Errors
    /// `misuse` after a fork.
    pub fn close(&self) -> Result<()> {
        self.seat.life().check_process()?;
        let seat = self.seat.clone();
        let Some(handle) = self.runtime.handle() else { return Ok(()) };
        let closing = handle.spawn(async move { seat.close(CLOSE_WAIT).await });
        let _ = wait_for(closing);
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

    pub(crate) async fn start(builder: EngineBuilder) -> Result<Self> {
        Ok(Self { seat: Seat::open(builder).await? })
    }

    /// The engine's counters as OpenMetrics text, without the closing `# EOF`;
    /// of a remote engine those of its connection only, since the engine that
    /// does the calls shows its own.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.seat.metrics_text()
    }

    /// What the names of this store's keys in Redis begin with; `None` without
    /// Redis and of a remote engine.
    #[doc(hidden)]
    #[must_use]
    pub fn redis_prefix(&self) -> Option<String> {
        self.seat.redis_prefix()
    }

    /// Serves what waits, refuses what comes, and lets go of the store. Calling
    /// it again does nothing.
    pub async fn close(&self) {
        self.seat.close(CLOSE_WAIT).await;
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", self.seat.config()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AsyncEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncEngine").field("config", self.seat.config()).finish_non_exhaustive()
    }
}

/// Waits for a call on the thread that makes it. Inside a tokio task the
/// task's budget must not count: once it is spent everything is pending until
/// the task yields, which a blocked one never does.
fn wait_for<T>(call: impl Future<Output = T>) -> T {
    pollster::block_on(tokio::task::coop::unconstrained(call))
}

/// Applies the migrations that are missing, and nothing else.
///
/// # Errors
/// `invalid_argument` for a URL of no known store, or of a running engine,
/// which sees to its tables itself; `unavailable`.
pub async fn migrate(config: &Config) -> Result<()> {
    if config.names_a_running_engine() {
        return Err(Error::invalid_argument("a running engine sees to its tables itself"));
    }
    core::migrate(config).await
}

/// The threads of a blocking engine.
struct OwnRuntime {
    runtime: Option<tokio::runtime::Runtime>,
    /// The process that has these threads; a fork does not.
    process: u32,
}

impl OwnRuntime {
    fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.runtime.as_ref().map(tokio::runtime::Runtime::handle)
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process == std::process::id() {
            // Never waits, so it may be dropped inside another runtime.
            runtime.shutdown_background();
        } else {
            // The threads are the parent's: there is nothing to end.
            std::mem::forget(runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<Engine>();
        shared::<AsyncEngine>();
        shared::<Error>();
    }
}
