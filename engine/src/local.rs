//! The local backend: executes calls in this process.
//!
//! This module wires the parts together, opens and closes them;
//! [`operations`] takes each call through them.

mod carts;
mod commands;
mod forked;
mod lists;
mod operations;
mod order_commands;
mod order_operations;
pub(crate) mod product_commands;
mod products;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, no_manual_clock};
use crate::cache::ProductCache;
use crate::call::{Request, Response, Retry};
use crate::clock::{Clock, ManualClock, StoreClock, SystemClock};
use crate::combiner::{Combiner, CommandResponse, LaneId};
use crate::config::{ClockSource, Config, Migrate};
use crate::consumers::Consumers;
use crate::error::{Error, Result};
use crate::ledger::Command;
use crate::lifecycle::Lifecycle;
use crate::lock::{self, Lock};
use crate::metrics::Metrics;
use crate::model::{ProductRef, Timestamp};
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::redis_connection::RedisConnection;
use crate::retention::Retention;
use crate::runtime::Runtime;
use crate::services::{Services, policy};
use crate::sku_index::SkuIndex;
use crate::store::{StoreError, StoreOptions, identity, open_store};
use crate::sweeper::Sweeper;
use crate::sweeper_waker::SweeperWaker;

/// A clone is another handle to the same engine.
#[derive(Clone)]
pub(crate) struct LocalBackend {
    services: Arc<Services>,
    combiner: Arc<Combiner>,
    sweeper: Arc<Sweeper>,
    retention: Arc<Retention>,
    tasks: Arc<Tasks>,
    /// Who sends the commands of this handle.
    actor: Option<Arc<str>>,
}

/// The tasks of an engine, which end with the last of its handles.
struct Tasks {
    stop: CancellationToken,
    running: TaskTracker,
    combiner: Arc<Combiner>,
    lifecycle: Lifecycle,
}

fn store_options(config: &Config, clock: Arc<dyn Clock>, metrics: &Metrics) -> StoreOptions {
    let (config, clock_steps) = (config.clone(), metrics.clock_steps.clone());
    StoreOptions { config, clock, host: Arc::new(SystemClock), clock_steps }
}

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
        let clock = clock.unwrap_or_else(|| match config.clock {
            ClockSource::Store => Arc::new(StoreClock),
            ClockSource::Manual => Arc::new(ManualClock::new()),
        });
        let metrics = Arc::new(Metrics::new());
        let options = store_options(&config, Arc::clone(&clock), &metrics);
        let store = async { open_store(&options).await.map_err(opening) };
        let store = forked::guard(&config.store, store).await?;
        let process_shared = ProcessShared::of(identity(&config.store), config.cache_products);
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
            Arc::clone(&process_shared.mirror),
            config.cache_ttl,
            redis.clone(),
            Arc::clone(&metrics),
        ));
        let runtime = Runtime::Tokio(Handle::current());
        let sku_index = SkuIndex::new(&store, &runtime, config.cache_products);
        Ok(Self::assemble(Services {
            policy: policy(&config),
            config,
            clock,
            product_index: ProductIndex::new(&store, &runtime),
            sku_index,
            store,
            lock,
            cache,
            metrics,
            sweeper_waker: SweeperWaker::new(),
            redis,
            runtime,
            _process_shared: process_shared,
        }))
    }

    pub fn assemble(services: Services) -> Arc<Self> {
        let services = Arc::new(services);
        let combiner = Combiner::start(Arc::clone(&services));
        let sweeper = Sweeper { services: Arc::clone(&services), combiner: Arc::clone(&combiner) };
        let sweeper = Arc::new(sweeper);
        let retention = Arc::new(Retention { services: Arc::clone(&services) });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        if services.config.sweeper {
            services.runtime.spawn_tracked(&tasks, Arc::clone(&sweeper).run(stop.clone()));
            services.runtime.spawn_tracked(&tasks, Arc::clone(&retention).run(stop.clone()));
        }
        let (lifecycle, combining) = (Lifecycle::new(), Arc::clone(&combiner));
        let tasks = Arc::new(Tasks { stop, running: tasks, combiner: combining, lifecycle });
        Arc::new(Self { services, combiner, sweeper, retention, tasks, actor: None })
    }

    /// Executes a command of this handle's actor.
    async fn submit(
        &self,
        command: Command,
        lanes: impl IntoIterator<Item = LaneId>,
    ) -> Result<CommandResponse> {
        self.combiner.submit(command, self.actor.clone(), lanes).await
    }
}

impl Backend for LocalBackend {
    fn call(&self, request: Request, retry: Option<Retry>) -> BoxFuture<'_, Result<Response>> {
        self.execute(request, retry)
    }

    fn respond_from_memory(&self, request: &Request) -> Option<Response> {
        let Request::Product(named) = request else { return None };
        let id = match named {
            ProductRef::Id(id) => *id,
            ProductRef::Sku(sku) => self.services.sku_index.peek(sku)?,
        };
        let cached = self.services.cache.peek(id, self.services.store.now())?;
        products::is_named(&cached.product, named)
            .then(|| Response::Product(cached.product.clone()))
    }

    fn check_serves_remotes(&self) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> &Config {
        &self.services.config
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.tasks.lifecycle
    }

    fn acting_as(&self, actor: Arc<str>) -> Arc<dyn Backend> {
        Arc::new(Self { actor: Some(actor), ..self.clone() })
    }

    fn metrics_text(&self) -> String {
        let metrics = &self.services.metrics;
        let usage = self.services.store.connection_usage();
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.store_connections.set(number(usage.open));
        metrics.store_connections_in_use.set(number(usage.in_use));
        metrics.store_connections_waited_for.set(number(usage.waiting));
        metrics.text()
    }

    fn advance_clock(&self, by: Duration) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(async move {
            let clock = self.services.clock.as_manual().ok_or_else(no_manual_clock)?;
            let now = clock.advance_exactly(by)?;
            self.sweep().await?;
            Ok(now)
        })
    }

    fn consumers(&self) -> Result<Consumers> {
        Ok(Consumers::new(Arc::clone(&self.services.store)))
    }

    #[cfg(feature = "testing")]
    fn redis_prefix(&self) -> Option<String> {
        Some(self.services.redis.as_ref()?.prefix().to_owned())
    }

    fn close(&self, bound: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Tasks { stop, running, lifecycle, .. } = &*self.tasks;
            if !lifecycle.close() {
                return;
            }
            stop.cancel();
            running.close();
            running.wait().await;
            if !self.combiner.close(bound).await {
                tracing::warn!("closing gave up on requests that are still in flight");
            }
            self.services.cache.close().await;
            if let Some(redis) = &self.services.redis {
                redis.close().await;
            }
            self.services.store.close().await;
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // An engine that is dropped without being closed ends its tasks, too. A
        // forked child has none.
        if self.lifecycle.check_process().is_ok() {
            self.stop.cancel();
            self.combiner.abandon();
        }
    }
}
