//! The local backend: executes calls in this process.
//!
//! This module wires the parts together, opens and closes them;
//! [`operations`] takes each call through them.

mod commands;
mod create_product;
mod forked;
mod operations;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::Backend;
use crate::cache::ProductCache;
use crate::call::{Request, Response, Retry};
use crate::clock::{Clock, StoreClock, SystemClock};
use crate::combiner::{self, Combiner};
use crate::config::{Config, LatePayment, Migrate};
use crate::error::{Error, Result};
use crate::ledger::Policy;
use crate::lifecycle::Lifecycle;
use crate::lock::{self, Lock};
use crate::metrics::Metrics;
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::redis_connection::RedisConnection;
use crate::runtime::Runtime;
use crate::store::{Store, StoreError, StoreOptions, identity, open_store};
use crate::sweeper::Sweeper;
use crate::sweeper_waker::SweeperWaker;

/// An engine's parts, which execute its calls.
pub(crate) struct LocalBackend {
    config: Arc<Config>,
    store: Arc<dyn Store>,
    combiner: Arc<Combiner>,
    cache: Arc<ProductCache>,
    metrics: Arc<Metrics>,
    sweeper: Arc<Sweeper>,
    product_index: Arc<ProductIndex>,
    process_shared: Arc<ProcessShared>,
    redis: Option<RedisConnection>,
    /// Runs reads of the store, so that a caller's thread needs no runtime.
    runtime: Runtime,
    stop: CancellationToken,
    tasks: TaskTracker,
    lifecycle: Lifecycle,
}

/// The dependencies of a local backend.
pub(crate) struct Dependencies {
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

/// Applies the missing migrations of the configured store.
pub(crate) async fn migrate(config: &Config) -> Result<()> {
    // An explicit call migrates whatever the `migrate` setting says.
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

impl LocalBackend {
    /// Opens the store and Redis that `config` names, and starts the tasks.
    pub async fn open(
        config: Config,
        clock: Option<Arc<dyn Clock>>,
        make_lock: Option<fn() -> Arc<dyn Lock>>,
    ) -> Result<Arc<Self>> {
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
                let open = RedisConnection::open(&config, id, Arc::clone(&metrics));
                // Boxed: the compiler follows a future's type only so deep.
                Some(Box::pin(open).await?)
            }
        };
        let lock: Arc<dyn Lock> = match (make_lock, &redis) {
            (Some(make_lock), _) => make_lock(),
            (None, Some(redis)) => lock::redis::lock(redis.clone(), config.lock_ttl),
            (None, None) => Arc::clone(&process_shared.lock) as Arc<dyn Lock>,
        };
        let cache = Arc::new(ProductCache::new(
            config.cache_ttl,
            config.cache_products,
            redis.clone(),
            Arc::clone(&metrics),
        ));
        let runtime = Runtime::Tokio(Handle::current());
        let dependencies = Dependencies {
            config,
            clock,
            store,
            lock,
            cache,
            metrics,
            process_shared,
            redis,
            runtime,
        };
        Ok(Self::assemble(dependencies))
    }

    /// Wires the parts and starts their tasks.
    pub fn assemble(dependencies: Dependencies) -> Arc<Self> {
        let Dependencies {
            config,
            clock,
            store,
            lock,
            cache,
            metrics,
            process_shared,
            redis,
            runtime,
        } = dependencies;
        let sweeper_waker = Arc::new(SweeperWaker::new());
        let policy = Policy {
            hold_ttl_max: config.hold_ttl_max,
            payment_ttl: (!config.payment_ttl.is_zero()).then_some(config.payment_ttl),
            re_reserve: config.late_payment == LatePayment::ReReserve,
            require_hold_token: config.require_hold_token,
            max_per_customer: (config.max_per_customer > 0).then_some(config.max_per_customer),
        };
        let product_index = ProductIndex::new(&store, &runtime);
        let dependencies = combiner::Dependencies {
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
            lifecycle: Lifecycle::new(),
        })
    }
}

impl Backend for LocalBackend {
    fn call(&self, request: Request, retry: Option<Retry>) -> BoxFuture<'_, Result<Response>> {
        self.execute(request, retry)
    }

    fn respond_from_memory(&self, request: &Request) -> Option<Response> {
        let Request::Product { id } = request else { return None };
        let cached = self.cache.peek(*id, self.store.now())?;
        Some(Response::Product(cached.product.clone()))
    }

    fn check_serves_remotes(&self) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    #[cfg(feature = "testing")]
    fn redis_prefix(&self) -> Option<String> {
        Some(self.redis.as_ref()?.prefix().to_owned())
    }

    fn close(&self, bound: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !self.lifecycle.close() {
                return;
            }
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            if !self.combiner.close(bound).await {
                tracing::warn!("closing gave up on requests that are still in flight");
            }
            self.cache.close().await;
            if let Some(redis) = &self.redis {
                redis.close().await;
            }
            self.store.close().await;
        })
    }
}

impl Drop for LocalBackend {
    fn drop(&mut self) {
        // A backend that is dropped without being closed ends its tasks, too. A
        // forked child has none.
        if self.lifecycle.check_process().is_ok() {
            self.stop.cancel();
            self.combiner.abandon();
        }
    }
}
