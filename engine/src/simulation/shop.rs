//! Owns a history's processes, which share one database and one Redis, and
//! injects process faults.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::fault_schedule::{FaultKind, FaultSchedule};
use super::invalidations::Invalidations;
use super::log::Log;
use super::redis::{Redis, SimulatedLock};
use super::store::SimulatedStore;
use super::world::{Process, here};
use crate::cache::ProductCache;
use crate::clock::StoreClock;
use crate::config::{Config, LatePayment};
use crate::ledger::ProductRow;
use crate::local::LocalBackend;
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::model::{Product, ProductId};
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::runtime::{self, Runtime};
use crate::services::{Services, policy};
use crate::sku_index::SkuIndex;
use crate::store::Store;
use crate::sweeper_waker::SweeperWaker;
use crate::test_support::lamp;

/// Every response must arrive within this time, whatever the faults.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// Which locks the engines use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Locks {
    Redis,
    /// Redis locks that every caller acquires.
    Always,
    /// Locks within the process.
    Local,
}

/// An engine and the process that runs it.
#[derive(Clone)]
pub(super) struct ProcessHandle {
    pub backend: Arc<LocalBackend>,
    pub process: Process,
    pub killed: CancellationToken,
}

pub(super) struct Shop {
    pub database: Arc<Database>,
    pub faults: Arc<FaultSchedule>,
    pub products: Vec<ProductId>,
    pub log: Log,
    redis: Arc<Redis>,
    invalidations: Arc<Invalidations>,
    config: Arc<Config>,
    locks: Locks,
    handles: Mutex<Vec<ProcessHandle>>,
    next_process: AtomicU64,
}

fn drawn_config(locks: Locks) -> Config {
    let world = here();
    Config {
        retries: world.pick(&[2, 5]),
        store_timeout: Duration::from_secs(2),
        lock_wait: Duration::from_secs(1),
        lock_ttl: Duration::from_millis(world.pick(&[150, 500, 2_000])),
        lock_run: Duration::from_millis(world.pick(&[1, 20])),
        hold_ttl: Duration::from_secs(5),
        payment_ttl: Duration::from_secs(world.pick(&[3, 30])),
        failed_payment_grace: Duration::from_secs(world.pick(&[0, 0, 1])),
        late_payment: world.pick(&[LatePayment::ReReserve, LatePayment::Refund]),
        sweep_batch: world.pick(&[2, 250]),
        cache_ttl: Duration::from_millis(world.pick(&[50, 1_000, 20_000])),
        batch_max: world.pick(&[4, 4_096]),
        queue_limit: world.pick(&[30, 65_536, 65_536]),
        connections: world.pick(&[2, 4]),
        strict: locks == Locks::Redis && world.happens(0.1),
        ..Config::default()
    }
}

impl Shop {
    pub fn drawn() -> Arc<Self> {
        let world = here();
        let locks = world.pick(&[Locks::Redis, Locks::Redis, Locks::Always, Locks::Local]);
        let database = Arc::new(Database::default());
        let products: Vec<ProductId> = (1..=world.draw(1..5)).map(ProductId).collect();
        for id in &products {
            let stock = world.pick(&[0, 3, 12, 500, 500]);
            let product = Product { name: format!("product {id}"), ..lamp(*id, stock) };
            database.add_product(ProductRow { product, received: stock, fence: 0, next_due: None });
        }
        Arc::new(Self {
            faults: Arc::new(FaultSchedule::drawn()),
            log: Log::of(&database),
            database,
            products,
            redis: Arc::default(),
            invalidations: Arc::default(),
            config: Arc::new(drawn_config(locks)),
            locks,
            handles: Mutex::default(),
            next_process: AtomicU64::new(Process::SERVERS.0 + 1),
        })
    }

    pub fn handles(&self) -> MutexGuard<'_, Vec<ProcessHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an engine in a new process.
    pub fn open(&self) -> ProcessHandle {
        let process = Process(self.next_process.fetch_add(1, Ordering::Relaxed));
        let config = Arc::clone(&self.config);
        let metrics = Arc::new(Metrics::new());
        let process_shared = Arc::new(ProcessShared::new(1_000));
        let mirror = Arc::clone(&process_shared.mirror);
        let cache = ProductCache::new(mirror, config.cache_ttl, None, Arc::clone(&metrics));
        let cache = Arc::new(cache);
        self.invalidations.add(process, &cache);
        let lock: Arc<dyn Lock> = match self.locks {
            Locks::Local => Arc::clone(&process_shared.lock) as Arc<dyn Lock>,
            locks => Arc::new(SimulatedLock {
                redis: Arc::clone(&self.redis),
                faults: Arc::clone(&self.faults),
                ttl: config.lock_ttl,
                grants_always: locks == Locks::Always,
            }),
        };
        let skew = i64::try_from(here().draw(0..160_000)).unwrap_or(0) - 80_000;
        let store = SimulatedStore {
            database: Arc::clone(&self.database),
            faults: Arc::clone(&self.faults),
            invalidations: Arc::clone(&self.invalidations),
            process,
            connections: Arc::new(Semaphore::new(config.connections as usize)),
            timeout: config.store_timeout,
            lock_wait: config.lock_wait,
            retries: config.retries,
            skew,
        };
        let store: Arc<dyn Store> = Arc::new(store);
        let runtime = Runtime::Simulated(process);
        let backend = LocalBackend::assemble(Services {
            policy: policy(&config),
            config,
            clock: Arc::new(StoreClock),
            product_index: ProductIndex::new(&store, &runtime),
            sku_index: SkuIndex::new(&store, &runtime, 100),
            store,
            lock,
            cache,
            metrics,
            sweeper_waker: SweeperWaker::new(),
            redis: None,
            runtime,
            _process_shared: process_shared,
        });
        ProcessHandle { backend, process, killed: CancellationToken::new() }
    }

    /// Pauses and kills processes until `stop` is cancelled.
    pub async fn inject_process_faults(self: Arc<Self>, stop: CancellationToken) {
        let world = here();
        while !stop.is_cancelled() {
            let pause = world.draw_time(Duration::from_millis(1)..Duration::from_millis(200));
            runtime::sleep(pause).await;
            let count = self.handles().len() as u64;
            let at = usize::try_from(world.draw(0..count)).unwrap_or(0);
            let handle = self.handles()[at].clone();
            if self.faults.strikes(FaultKind::Paused) {
                let time = world.draw_time(Duration::from_millis(1)..Duration::from_millis(3_000));
                world.pause(handle.process, time);
            }
            if self.faults.strikes(FaultKind::Killed) {
                handle.killed.cancel();
                world.kill(handle.process);
                let next = self.open();
                self.handles()[at] = next;
            }
        }
    }
}
