//! Single steps of a batch that a whole engine seldom shows, without workers, on
//! an in-memory store and with a lock that records its calls.

mod batches;
mod leases;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::completion::RequestOutcome;
use super::context::Context;
use super::leases::Leases;
use super::queue::BatchSlot;
use super::request::{CommandResponse, LaneId, PendingRequest};
use super::transaction;
use crate::cache::ProductCache;
use crate::clock::{HostClock, StoreClock, SystemClock};
use crate::config::Config;
use crate::error::Result;
use crate::ledger::{Answer, Command, NewHold};
use crate::lock::{Grant, Lease, Lock, LockName, Renewal};
use crate::metrics::Metrics;
use crate::model::{Hold, HoldId, ProductId, Token};
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::runtime::{self, Runtime};
use crate::services::{Services, policy};
use crate::sku_index::SkuIndex;
use crate::store::{Sequence, StoreOptions, batch_id, open_store};
use crate::sweeper_waker::SweeperWaker;
use crate::test_support::{adjustment, insert_product, lamp};

const LANE: LaneId = LaneId(7);
const PRODUCT: ProductId = ProductId(7);
const TTL: Duration = Duration::from_secs(60);

fn adjust() -> Command {
    adjustment(PRODUCT, 1, None, None)
}

/// A call to the lock, with its fencing token where it has one.
#[derive(Debug, PartialEq, Eq)]
enum LockCall {
    Acquire(u64, Duration),
    Keep(Option<u64>),
    Release(Option<u64>),
    Raise(u64, u64),
}

#[derive(Clone, Copy)]
enum LockBehavior {
    Grant,
    /// Grants, then hands over a lease that is to be kept.
    GrantThenHandOver,
    NotInTime,
    Down,
}

/// Records its calls and grants every lease with fencing token 10.
struct RecordingLock {
    behavior: LockBehavior,
    calls: Mutex<Vec<LockCall>>,
}

impl RecordingLock {
    fn record<T: Send + 'static>(&self, call: LockCall, result: T) -> BoxFuture<'static, T> {
        self.calls.lock().expect("no panic").push(call);
        Box::pin(std::future::ready(result))
    }

    fn take_calls(&self) -> Vec<LockCall> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }
}

impl Lock for RecordingLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        let grant = match self.behavior {
            LockBehavior::Grant | LockBehavior::GrantThenHandOver => {
                Grant::Granted(lease(10, Duration::ZERO))
            }
            LockBehavior::NotInTime => Grant::TimedOut,
            LockBehavior::Down => Grant::Down,
        };
        self.record(LockCall::Acquire(name.0, wait), grant)
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        let kept = match self.behavior {
            LockBehavior::GrantThenHandOver => Renewal::HandedOver,
            _ => Renewal::Renewed,
        };
        self.record(LockCall::Keep(lease.fence), kept)
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        self.record(LockCall::Release(lease.fence), ())
    }

    fn raise_fence(&self, name: LockName, row_fence: u64) -> BoxFuture<'_, ()> {
        self.record(LockCall::Raise(name.0, row_fence), ())
    }
}

fn lease(fence: u64, age: Duration) -> Lease {
    let granted_at = Instant::now().checked_sub(age).expect("the machine runs for longer");
    Lease { name: LockName(LANE.0), token: 1, fence: Some(fence), granted_at }
}

struct Harness {
    context: Context,
    lock: Arc<RecordingLock>,
}

impl Harness {
    async fn new(behavior: LockBehavior, change: impl FnOnce(&mut Config)) -> Self {
        Self::with_clock(Arc::new(SystemClock), behavior, change).await
    }

    async fn with_clock(
        host: Arc<dyn HostClock>,
        behavior: LockBehavior,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config { lock_ttl: TTL, queue_wait: TTL, ..Config::default() };
        "sqlite::memory:".clone_into(&mut config.store);
        change(&mut config);
        let options = StoreOptions { host, ..StoreOptions::at(&config.store) };
        let store = open_store(&options).await.expect("opens");
        let lock = Arc::new(RecordingLock { behavior, calls: Mutex::default() });
        let (metrics, runtime) = (Arc::new(Metrics::new()), Runtime::Tokio(Handle::current()));
        let process_shared = Arc::new(ProcessShared::new(9));
        let mirror = Arc::clone(&process_shared.mirror);
        let services = Services {
            policy: policy(&config),
            config: Arc::new(config),
            clock: Arc::new(StoreClock),
            lock: Arc::clone(&lock) as Arc<dyn Lock>,
            cache: Arc::new(ProductCache::new(mirror, TTL, None, Arc::clone(&metrics))),
            metrics,
            sweeper_waker: SweeperWaker::new(),
            product_index: ProductIndex::new(&store, &runtime),
            sku_index: SkuIndex::new(&store, &runtime, 9),
            store,
            redis: None,
            runtime,
            _process_shared: process_shared,
        };
        Self { context: Context::new(Arc::new(services)), lock }
    }

    /// Queues two requests for the product and takes one of them into a batch.
    fn begin(&self) -> BatchSlot {
        let mut lanes = self.context.queue.lanes();
        lanes.push(hold()).expect("room");
        let batch = lanes.take().expect("one is queued");
        lanes.push(hold()).expect("room");
        BatchSlot { lanes: batch.lanes, requests: 1 }
    }

    async fn acquire(&self, lanes: &[LaneId], requests: usize) -> (Leases, Result<()>) {
        let slot = BatchSlot { lanes: lanes.to_vec(), requests };
        let mut leases = Leases::default();
        let result = leases.acquire(&self.context, &slot).await;
        (leases, result)
    }

    /// Inserts the product and returns the id of that batch.
    async fn insert_product(&self) -> u64 {
        let batch_id =
            batch_id(self.context.ids.take(Sequence::Batch, 1).await.expect("allocated")[0]);
        let store = self.context.services.store.as_ref();
        insert_product(store, lamp(PRODUCT, 5), batch_id).await;
        batch_id
    }

    async fn execute(&self, requests: Vec<Box<PendingRequest>>) -> Vec<RequestOutcome> {
        let slot = BatchSlot { lanes: vec![LANE], requests: requests.len() };
        let mut leases = Leases::default();
        transaction::execute(&self.context, requests, &slot, &mut leases).await
    }

    fn kept_fence(&self) -> Option<u64> {
        self.context.queue.lanes().lease(LANE).and_then(|lease| lease.fence)
    }
}

/// A request for one unit.
fn hold() -> Box<PendingRequest> {
    let line = NewHold {
        id: HoldId(0),
        token: Token(1),
        product_id: PRODUCT,
        sku: None,
        quantity: 1,
        least: 1,
    };
    let command = Command::Hold { hold: line, ttl: TTL, customer: None, metadata: None, key: None };
    PendingRequest::new(command, vec![LANE], oneshot::channel().0, runtime::now())
}

/// Returns the created holds, in the order of their requests.
fn created(outcomes: &[RequestOutcome]) -> Vec<Hold> {
    let hold = |outcome: &RequestOutcome| match outcome {
        RequestOutcome::Respond(_, Ok(CommandResponse { answer: Answer::Hold(hold), .. })) => {
            Hold::clone(hold)
        }
        _ => panic!("one was not created"),
    };
    outcomes.iter().map(hold).collect()
}

fn fence(leases: &Leases) -> Option<u64> {
    leases.fences().get(&PRODUCT).copied()
}
