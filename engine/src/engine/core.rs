//! What both engines are: the parts put together, and each call's way through
//! them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::life::Life;
use super::{EngineBuilder, create, forked, prepare};
use crate::audit::AuditReport;
use crate::cache::{CachedProduct, ProductCache};
use crate::clock::{Clock, StoreClock, SystemClock};
use crate::combiner::{Combiner, CommandResponse, Dependencies, LaneId};
use crate::config::{Config, LatePayment, Migrate};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command, Policy, Refusal};
use crate::lock::Lock;
use crate::lock::granting::GrantingLock;
use crate::lock::redis::RedisLock;
use crate::metrics::Metrics;
use crate::model::{
    CartRequest, Event, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus, NewProduct, Order,
    OrderId, OrderRequest, OrderStatus, PaymentAnswer, PaymentEvent, Product, ProductId,
    ProductPage, ReleaseRequest, Replayable, ShortLine, StockAdjustment,
};
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::redis_connection::{RedisConnection, RedisNames};
use crate::runtime::Runtime;
use crate::store::{Store, StoreError, StoreOptions, identity, open_store};
use crate::sweeper::{SweepReport, Sweeper};
use crate::sweeper_waker::SweeperWaker;
use crate::wire::Resend;

/// The most products on one page, and the most events in one answer.
const PAGE_MAX: u32 = 1_000;
const EVENTS_MAX: u32 = 10_000;

pub(crate) struct Core {
    config: Arc<Config>,
    store: Arc<dyn Store>,
    combiner: Arc<Combiner>,
    cache: Arc<ProductCache>,
    metrics: Arc<Metrics>,
    sweeper: Arc<Sweeper>,
    product_index: Arc<ProductIndex>,
    process_shared: Arc<ProcessShared>,
    redis: Option<RedisConnection>,
    /// Where reads of the store run, so that a caller's thread needs no runtime.
    runtime: Runtime,
    stop: CancellationToken,
    tasks: TaskTracker,
    life: Life,
}

/// What an engine is put together from.
pub(crate) struct Pieces {
    pub config: Arc<Config>,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub lock: Arc<dyn Lock>,
    pub cache: Arc<ProductCache>,
    pub metrics: Arc<Metrics>,
    pub process_shared: Arc<ProcessShared>,
    pub redis: Option<RedisConnection>,
    pub runtime: Runtime,
}

fn store_options(config: &Config, clock: Arc<dyn Clock>, metrics: &Metrics) -> StoreOptions {
    StoreOptions {
        url: config.store.clone(),
        connections: config.connections,
        store_timeout: config.store_timeout,
        lock_wait: config.lock_wait,
        retries: config.retries,
        migrate: config.migrate,
        clock,
        host: Arc::new(SystemClock),
        clock_steps: metrics.clock_steps.clone(),
    }
}

pub(super) async fn migrate(config: &Config) -> Result<()> {
    // Whoever asks for it by name wants it, whatever an engine is told.
    let config = Config { migrate: Migrate::Auto, ..config.clone() };
    let options = store_options(&config, Arc::new(StoreClock), &Metrics::new());
    let store = open_store(&options).await.map_err(opening)?;
    store.close().await;
    Ok(())
}

fn opening(error: StoreError) -> Error {
    let error = Error::from(error);
    Error::caused(error.kind(), format!("the store cannot be opened: {error}"), error)
}

impl Core {
    pub async fn open(builder: EngineBuilder) -> Result<Arc<Self>> {
        let EngineBuilder { config, clock, grants_every_lock } = builder;
        config.check()?;
        let config = Arc::new(config);
        let clock = clock.unwrap_or_else(|| Arc::new(StoreClock));
        let metrics = Arc::new(Metrics::new());
        let options = store_options(&config, Arc::clone(&clock), &metrics);
        let store = async { open_store(&options).await.map_err(opening) };
        let store = forked::guard(&config.store, store).await?;
        let process_shared = ProcessShared::of(identity(&config.store));
        let redis = match config.redis.as_str() {
            "" => None,
            _ => {
                let id = store.identity().await.map_err(opening)?;
                let names = RedisNames::new(&config.redis_prefix, id);
                let connect = RedisConnection::connect(&config, names, Arc::clone(&metrics));
                // Boxed: the compiler follows a future's type only so deep.
                Some(Box::pin(connect).await?)
            }
        };
        let lock: Arc<dyn Lock> = match &redis {
            _ if grants_every_lock => Arc::new(GrantingLock::default()),
            Some(link) => Arc::new(RedisLock::new(link.clone(), config.lock_ttl)),
            None => Arc::clone(&process_shared.lock) as Arc<dyn Lock>,
        };
        let cache = Arc::new(ProductCache::new(
            config.cache_ttl,
            config.cache_products,
            redis.clone(),
            Arc::clone(&metrics),
        ));
        let runtime = Runtime::Tokio(Handle::current());
        let pieces =
            Pieces { config, clock, store, lock, cache, metrics, process_shared, redis, runtime };
        Ok(Self::assemble(pieces))
    }

    /// Puts an engine together and starts its tasks.
    pub fn assemble(pieces: Pieces) -> Arc<Self> {
        let Pieces { config, clock, store, lock, cache, metrics, process_shared, redis, runtime } =
            pieces;
        let sweeper_waker = Arc::new(SweeperWaker::new());
        let policy = Policy {
            hold_ttl_max: config.hold_ttl_max,
            payment_ttl: (!config.payment_ttl.is_zero()).then_some(config.payment_ttl),
            re_reserve: config.late_payment == LatePayment::ReReserve,
            require_hold_token: config.require_hold_token,
            max_per_customer: (config.max_per_customer > 0).then_some(config.max_per_customer),
        };
        let product_index = ProductIndex::new(&store, &runtime);
        let dependencies = Dependencies {
            config: Arc::clone(&config),
            policy,
            store: Arc::clone(&store),
            lock,
            cache: Arc::clone(&cache),
            metrics: Arc::clone(&metrics),
            sweeper_waker: Arc::clone(&sweeper_waker),
            product_index: Arc::clone(&product_index),
            process_shared: Arc::clone(&process_shared),
        };
        let combiner = Combiner::start(dependencies, &runtime);
        let sweeper = Arc::new(Sweeper {
            store: Arc::clone(&store),
            combiner: Arc::clone(&combiner),
            metrics: Arc::clone(&metrics),
            clock,
            sweeper_waker,
            idempotency_ttl: config.idempotency_ttl,
        });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        if config.sweeper {
            runtime.spawn_tracked(&tasks, Arc::clone(&sweeper).run(stop.clone()));
        }
        Arc::new(Self {
            config,
            store,
            combiner,
            cache,
            metrics,
            sweeper,
            product_index,
            process_shared,
            redis,
            runtime,
            stop,
            tasks,
            life: Life::new(),
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// What the names of this store's Redis keys begin with.
    pub fn redis_prefix(&self) -> Option<String> {
        Some(self.redis.as_ref()?.names().prefix().to_owned())
    }

    pub fn life(&self) -> &Life {
        &self.life
    }

    pub async fn close(&self, bound: Duration) {
        if !self.life.end() {
            return;
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if !self.combiner.close(bound).await {
            tracing::warn!("closing gave up on requests that are still under way");
        }
        self.cache.close().await;
        if let Some(redis) = &self.redis {
            redis.close().await;
        }
        self.store.close().await;
    }

    /// Runs a read on the engine's runtime, where its connections live.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.runtime.spawn(work).await.ok_or_else(runtime_is_gone)?
    }

    async fn submit(&self, command: Command, mut lanes: Vec<LaneId>) -> Result<CommandResponse> {
        lanes.sort_unstable();
        lanes.dedup();
        self.combiner.submit(command, &lanes).await
    }

    pub async fn product(&self, id: ProductId) -> Result<Product> {
        prepare::exists_ever("product", id.0, id.is_possible())?;
        let load = || {
            let store = Arc::clone(&self.store);
            let reading = self.runtime.spawn(async move { store.product(id).await });
            async { Ok(reading.await.ok_or_else(runtime_is_gone)??.map(|(product, _)| product)) }
        };
        let cached = self.cache.get_or_load(id, self.store.now(), load).await?;
        let found: Option<CachedProduct> = cached;
        found.map(|cached| cached.product).ok_or_else(|| no_such("product", id.0))
    }

    pub async fn products(&self, after: Option<ProductId>, limit: u32) -> Result<ProductPage> {
        if !(1..=PAGE_MAX).contains(&limit) {
            let why = format!("limit must be from 1 to {PAGE_MAX}, got {limit}");
            return Err(Error::invalid_argument(why));
        }
        // Beyond what a store can keep there is nothing to find.
        let after = after.map_or(0, |id| id.0).min(i64::MAX.unsigned_abs());
        let store = Arc::clone(&self.store);
        self.on_runtime(async move {
            // One more than asked for shows whether there is a next page.
            let mut found = store.products(after, limit + 1).await?;
            let is_last = found.len() <= usize::try_from(limit).unwrap_or(usize::MAX);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let items: Vec<Product> = found.into_iter().map(|cached| cached.product).collect();
            let next = items.last().map(|product| product.id).filter(|_| !is_last);
            Ok(ProductPage { items, next })
        })
        .await
    }

    pub async fn create_product(&self, new: &NewProduct) -> Result<Replayable<Product>> {
        self.create_product_sent(new, None).await
    }

    /// Creates a product for a client that may send the request again.
    pub async fn create_product_sent(
        &self,
        new: &NewProduct,
        resend: Option<Resend>,
    ) -> Result<Replayable<Product>> {
        let keyed = prepare::new_product(new, resend)?;
        let (store, new, retries) = (Arc::clone(&self.store), new.clone(), self.config.retries);
        let created = self
            .on_runtime(async move {
                create::insert_product(store.as_ref(), &new, keyed.as_ref(), retries).await
            })
            .await?;
        // The id may have been read, and cached as missing, before it was there.
        if !created.replayed {
            let product = created.value.clone();
            self.cache.committed(vec![CachedProduct { product, next_due: None }]);
        }
        Ok(created)
    }

    pub async fn adjust_stock(&self, adjustment: &StockAdjustment) -> Result<Replayable<Product>> {
        self.adjust_stock_sent(adjustment, None).await
    }

    /// Adjusts stock for a client that may send the request again.
    pub async fn adjust_stock_sent(
        &self,
        adjustment: &StockAdjustment,
        resend: Option<Resend>,
    ) -> Result<Replayable<Product>> {
        let command = prepare::adjustment(adjustment, resend)?;
        let lanes = vec![self.combiner.lane(adjustment.product_id)];
        let done = self.submit(command, lanes).await?;
        let StockAdjustment { product_id, delta, reason, .. } = adjustment;
        let replayed = done.replayed;
        tracing::info!(product_id = product_id.0, delta, reason, replayed, "stock was adjusted");
        match done.answer {
            Answer::Product(value) => Ok(Replayable { value, replayed }),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn hold(&self, request: &HoldRequest) -> Result<Replayable<Hold>> {
        self.hold_sent(request, None).await
    }

    /// Holds for a client that may send the request again.
    pub async fn hold_sent(
        &self,
        request: &HoldRequest,
        resend: Option<Resend>,
    ) -> Result<Replayable<Hold>> {
        let command = prepare::hold(&self.config, request, resend)?;
        // What was sent before may have been done: that only its key can tell.
        if request.key.is_none() && !resend.is_some_and(|resend| resend.again) {
            self.refuse_sold_out(request)?;
        }
        let done = self.submit(command, vec![self.combiner.lane(request.product_id)]).await?;
        match done.answer {
            Answer::Hold(value) => Ok(Replayable { value, replayed: done.replayed }),
            other => Err(unexpected(&other)),
        }
    }

    /// Refuses at once what is known to be gone. What has a caller's key is not
    /// refused so, since its answer must be remembered.
    fn refuse_sold_out(&self, request: &HoldRequest) -> Result<()> {
        let HoldRequest { product_id, quantity, .. } = *request;
        let known = self.process_shared.sold_out.available(product_id, quantity, self.store.now());
        let Some(available) = known else { return Ok(()) };
        let requested = quantity.into();
        let short = ShortLine { product_id, requested, available };
        let error = Error::refused(Refusal::Insufficient(vec![short]), false);
        self.metrics.refused_at_once.inc();
        self.metrics.refusal(error.code());
        Err(error)
    }

    pub async fn hold_many(&self, request: &CartRequest) -> Result<Replayable<Vec<Hold>>> {
        self.hold_many_sent(request, None).await
    }

    pub async fn hold_many_sent(
        &self,
        request: &CartRequest,
        resend: Option<Resend>,
    ) -> Result<Replayable<Vec<Hold>>> {
        let command = prepare::cart(&self.config, request, resend)?;
        let lanes =
            request.items.iter().map(|(product_id, _)| self.combiner.lane(*product_id)).collect();
        let done = self.submit(command, lanes).await?;
        match done.answer {
            Answer::Cart(value) => Ok(Replayable { value, replayed: done.replayed }),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn release(&self, request: impl Into<ReleaseRequest>) -> Result<Hold> {
        let request = request.into();
        let command = prepare::release(&request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        hold_of(self.submit(command, vec![lane]).await?)
    }

    pub async fn extend(&self, request: &ExtendRequest) -> Result<Hold> {
        let command = prepare::extend(&self.config, request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        hold_of(self.submit(command, vec![lane]).await?)
    }

    /// The lane of a hold's product, which never changes.
    async fn lane_of_hold(&self, id: HoldId) -> Result<LaneId> {
        if self.store.single_writer() {
            return Ok(LaneId(0));
        }
        let found = self.product_index.of_hold(id).await?;
        Ok(self.combiner.lane(found.ok_or_else(|| no_such("hold", id.0))?))
    }

    pub async fn get_hold(&self, id: HoldId) -> Result<Hold> {
        prepare::possible_hold(id)?;
        let store = Arc::clone(&self.store);
        let found = self.on_runtime(async move { Ok(store.hold(id).await?) }).await?;
        let (mut hold, now) = found.ok_or_else(|| no_such("hold", id.0))?;
        // Dead at its end, whether or not a sweep has been by.
        if hold.status == HoldStatus::Active && hold.expires_at <= now {
            hold.status = HoldStatus::Expired;
        }
        Ok(hold)
    }

    pub async fn order(&self, request: &OrderRequest) -> Result<Replayable<Order>> {
        self.order_sent(request, None).await
    }

    pub async fn order_sent(
        &self,
        request: &OrderRequest,
        resend: Option<Resend>,
    ) -> Result<Replayable<Order>> {
        let command = prepare::order(request, resend)?;
        let done = self.submit(command, vec![self.combiner.lane(request.product_id)]).await?;
        match done.answer {
            Answer::Order(value) => Ok(Replayable { value, replayed: done.replayed }),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn get_order(&self, id: OrderId) -> Result<Order> {
        prepare::exists_ever("order", id.0, id.is_possible())?;
        let store = Arc::clone(&self.store);
        let found = self.on_runtime(async move { Ok(store.order(id).await?) }).await?;
        let (row, now) = found.ok_or_else(|| no_such("order", id.0))?;
        let mut order = row.order;
        if order.status == OrderStatus::PendingPayment && row.due_at.is_some_and(|at| at <= now) {
            order.status = OrderStatus::Cancelled;
        }
        Ok(order)
    }

    pub async fn payment(&self, event: &PaymentEvent) -> Result<Replayable<PaymentAnswer>> {
        self.payment_sent(event, event.body_digest()).await
    }

    /// Takes an event of whose body only the digest was sent.
    pub async fn payment_sent(
        &self,
        event: &PaymentEvent,
        digest: Option<[u8; 32]>,
    ) -> Result<Replayable<PaymentAnswer>> {
        let command = prepare::payment(event, digest)?;
        let lane = match &command {
            Command::Payment { order_id, .. } if !self.store.single_writer() => {
                // An order that is not there has no product yet.
                self.product_index
                    .of_order(*order_id)
                    .await?
                    .map_or(LaneId(0), |id| self.combiner.lane(id))
            }
            _ => LaneId(0),
        };
        let done = self.submit(command, vec![lane]).await?;
        match done.answer {
            Answer::Payment(value) => Ok(Replayable { value, replayed: done.replayed }),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn sweep(&self) -> Result<SweepReport> {
        let sweeper = Arc::clone(&self.sweeper);
        self.on_runtime(async move {
            let (report, _) = sweeper.sweep().await?;
            sweeper.forget_keys().await?;
            Ok(report)
        })
        .await
    }

    pub async fn audit(&self) -> Result<AuditReport> {
        let (store, cache) = (Arc::clone(&self.store), Arc::clone(&self.cache));
        self.on_runtime(async move {
            let facts = store.audit().await?;
            let mut drift = Vec::new();
            for cached in cache.sample() {
                let id = cached.product.id;
                if let Some((stored, _)) = store.product(id).await? {
                    drift.extend(drift_between(&cached, &stored).map(|detail| (id, detail)));
                }
            }
            Ok(facts.report(drift))
        })
        .await
    }

    pub async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<Event>> {
        if !(1..=EVENTS_MAX).contains(&limit) {
            let why = format!("limit must be from 1 to {EVENTS_MAX}, got {limit}");
            return Err(Error::invalid_argument(why));
        }
        let cursor = cursor.min(i64::MAX.unsigned_abs() - 1);
        let store = Arc::clone(&self.store);
        self.on_runtime(async move { Ok(store.events_after(cursor, limit).await?) }).await
    }

    pub async fn ping(&self) -> Result<()> {
        let store = Arc::clone(&self.store);
        self.on_runtime(async move { Ok(store.ping().await?) }).await
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // An engine that was dropped without being closed ends its tasks, too.
        // In a forked child there are none.
        if self.life.check_process().is_ok() {
            self.stop.cancel();
            self.combiner.abandon();
        }
    }
}

/// A cached row of the stored version must have the stored numbers. What fell
/// due since it was cached is counted differently and is no drift.
fn drift_between(cached: &CachedProduct, stored: &CachedProduct) -> Option<String> {
    let same_row =
        cached.product.version == stored.product.version && cached.next_due == stored.next_due;
    (same_row && cached.product != stored.product)
        .then(|| format!("cached {:?}, stored {:?}", cached.product, stored.product))
}

fn hold_of(done: CommandResponse) -> Result<Hold> {
    match done.answer {
        Answer::Hold(hold) => Ok(hold),
        other => Err(unexpected(&other)),
    }
}

fn runtime_is_gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the engine's runtime is gone")
}

fn no_such(what: &str, id: u64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} {id}"))
}

fn unexpected(answer: &Answer) -> Error {
    Error::new(ErrorKind::Internal, format!("the ledger answered with {answer:?}"))
}
