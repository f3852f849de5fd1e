//! From waiting requests to batches: those that wait for the same product are
//! decided together, in one transaction, under one lock.
//!
//! There is no timer: a batch is what arrived while the one before it was
//! under way, so a caller who is alone never waits for company.

mod batch;
mod batch_sizer;
mod early_inserts;
mod ids;
mod lanes;
mod leases;
mod read_set;
mod replies;
mod speculation;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

pub(crate) use lanes::{LaneId, Request};

use crate::cache::ProductCache;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command, Policy};
use crate::lock::Lock;
use crate::metrics::{Metrics, observe};
use crate::model::ProductId;
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::runtime::{self, Runtime};
use crate::store::Store;
use crate::sweeper_waker::SweeperWaker;
use ids::Ids;
use lanes::{Admission, BatchLimits, Lanes, LeaseAction, ReadyBatch};
use speculation::Speculation;

/// How many products may share a transaction, and the number of requests from
/// which on it takes no further product.
const SHARED_LANES: usize = 512;
const SHARE_BELOW: usize = 256;

/// Batches of one product at once: one that writes ahead while the other is
/// under the row lock or sends its log to disk.
const BATCHES_IN_FLIGHT: usize = 2;

/// What a request is answered.
pub(crate) type Reply = Result<Done>;

/// A request that was done, now or by the call that first used its key.
#[derive(Debug)]
pub(crate) struct Done {
    pub answer: Answer,
    pub replayed: bool,
}

/// All that a worker works with.
pub(crate) struct Parts {
    pub config: Arc<Config>,
    pub policy: Policy,
    pub store: Arc<dyn Store>,
    pub lock: Arc<dyn Lock>,
    pub cache: Arc<ProductCache>,
    pub metrics: Arc<Metrics>,
    pub sweeper_waker: Arc<SweeperWaker>,
    pub product_index: Arc<ProductIndex>,
    pub process_shared: Arc<ProcessShared>,
}

/// A batch's turn in its lanes.
struct BatchSlot {
    lanes: Vec<LaneId>,
    requests: usize,
    number: u64,
}

/// The queue of an engine and the workers that serve it.
pub(crate) struct Combiner {
    parts: Parts,
    ids: Ids,
    speculation: Speculation,
    /// Guards the queues. Held for moments only and never across an await, so
    /// a plain mutex is right.
    lanes: Mutex<Lanes>,
    /// Whether the queues were full when they were last changed: a flood is
    /// turned away without a look at them.
    is_full: AtomicBool,
    /// Wakes one idle worker.
    wake: Notify,
    workers: TaskTracker,
}

impl Combiner {
    /// Starts the workers: where the store has one writer, one that writes and
    /// one that hands out answers meanwhile.
    pub fn start(parts: Parts, runtime: &Runtime) -> Arc<Self> {
        let workers = if parts.store.single_writer() { 2 } else { parts.config.connections.max(2) };
        let combiner = Arc::new(Self::new(parts));
        for _ in 0..workers {
            runtime.spawn_tracked(&combiner.workers, Arc::clone(&combiner).serve());
        }
        combiner.workers.close();
        combiner
    }

    /// Without workers yet.
    fn new(parts: Parts) -> Self {
        let limits = BatchLimits {
            requests: batch_sizer::first(parts.config.batch_max),
            most: parts.config.batch_max,
            // Small batches of several products share a transaction; a large
            // one is better off alone.
            lanes: SHARED_LANES,
            share_below: SHARE_BELOW,
            in_flight: if parts.store.single_writer() { 1 } else { BATCHES_IN_FLIGHT },
            lock_run: parts.config.lock_run,
        };
        Self {
            ids: Ids::new(Arc::clone(&parts.store)),
            speculation: Speculation::default(),
            lanes: Mutex::new(Lanes::new(parts.config.queue_limit, limits)),
            is_full: AtomicBool::new(false),
            wake: Notify::new(),
            workers: TaskTracker::new(),
            parts,
        }
    }

    /// The lane of a product; a store with one writer has one lane for all.
    pub fn lane(&self, product_id: ProductId) -> LaneId {
        if self.parts.store.single_writer() { LaneId(0) } else { LaneId(product_id.0) }
    }

    /// Has a command done and waits for its answer. Dropping the future leaves
    /// nothing half done: the command is done whole or was never taken up.
    pub async fn submit(&self, command: Command, products: &[LaneId]) -> Reply {
        if self.is_full.load(Ordering::Relaxed) {
            let full = lanes::full();
            self.parts.metrics.refusal(full.code());
            return Err(full);
        }
        let since = runtime::now();
        let (reply, answer) = oneshot::channel();
        let request = Request::new(command, products.to_vec(), reply, since);
        self.enqueue(request)?;
        let reply = answer.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the request was dropped by a fault of the engine"))
        });
        observe(&self.parts.metrics.request_seconds, runtime::elapsed(since));
        if let Err(error) = &reply {
            self.parts.metrics.refusal(error.code());
        }
        reply
    }

    fn enqueue(&self, request: Request) -> Result<()> {
        {
            let mut lanes = self.lanes();
            lanes.push(request)?;
            self.record_depth(&lanes);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Refuses new requests, serves those that wait, and ends; gives up after
    /// `bound`. Says whether all were served.
    pub async fn close(&self, bound: Duration) -> bool {
        // Each worker that wakes wakes the next.
        self.abandon();
        runtime::timeout(bound, self.workers.wait()).await.is_some()
    }

    /// Refuses new requests and lets the workers end when all are served.
    pub fn abandon(&self) {
        self.lanes().close();
        self.wake.notify_one();
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // The queues are whole between any two statements that could panic.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told while the queues are held, so that what is told last is the latest.
    fn record_depth(&self, lanes: &Lanes) {
        self.is_full.store(lanes.is_full(), Ordering::Relaxed);
        self.parts.metrics.queue_depth.set(i64::try_from(lanes.depth()).unwrap_or(i64::MAX));
    }

    /// A worker: takes what waits, until closed and empty.
    async fn serve(self: Arc<Self>) {
        loop {
            let (taken, more, closed) = {
                let mut lanes = self.lanes();
                let taken = lanes.take();
                self.record_depth(&lanes);
                (taken, lanes.has_ready(), lanes.is_done())
            };
            match taken {
                Some(taken) => {
                    if more {
                        self.wake.notify_one();
                    }
                    self.serve_batch(taken).await;
                }
                None if closed => {
                    self.wake.notify_one();
                    return;
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Serves one batch and frees its lanes, whatever happens on the way.
    async fn serve_batch(&self, taken: ReadyBatch) {
        let requests = taken.requests.len();
        let slot = BatchSlot { lanes: taken.lanes, requests, number: taken.number };
        let work = worker::serve(self, taken.requests, &slot);
        let served = std::panic::AssertUnwindSafe(work).catch_unwind().await;
        if served.is_err() {
            tracing::error!("a batch panicked; its callers were told of an internal error");
            let lease_actions = self.finish(&slot, Vec::new());
            leases::part(self, lease_actions).await;
        }
    }

    /// Lets others of the batch's lanes follow it.
    fn open(&self, slot: &BatchSlot, admission: Admission) {
        self.change(|lanes| lanes.open(&slot.lanes, slot.number, admission));
    }

    /// Frees the lanes of a batch; requests to be asked again go first. Returns
    /// the locks that are not to be kept.
    fn finish(&self, slot: &BatchSlot, again: Vec<Request>) -> Vec<LeaseAction> {
        self.change(|lanes| {
            lanes.push_front(again);
            lanes.finish(&slot.lanes, slot.number, slot.requests)
        })
    }

    /// Changes the queues and wakes a worker if that made work.
    fn change<T>(&self, change: impl FnOnce(&mut Lanes) -> T) -> T {
        let (changed, ready) = {
            let mut lanes = self.lanes();
            let changed = change(&mut lanes);
            self.record_depth(&lanes);
            (changed, lanes.has_ready() || lanes.is_done())
        };
        if ready {
            self.wake.notify_one();
        }
        changed
    }
}

#[cfg(test)]
mod tests;
