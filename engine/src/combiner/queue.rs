//! The queue that callers and workers share: [`Lanes`] behind a mutex, with
//! wake-ups, admission control and the depth metric.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::lanes::{self, BatchLimits, Lanes, LeaseAction, ReadyBatch};
use super::request::{LaneId, PendingRequest};
use crate::error::Result;
use crate::lock::Lease;
use crate::metrics::Metrics;

/// A batch in flight, as its lanes know it.
pub(super) struct BatchSlot {
    pub lanes: Vec<LaneId>,
    pub requests: usize,
}

pub(super) struct Queue {
    /// Guards the lanes. A plain mutex: critical sections are short and never
    /// await.
    lanes: Mutex<Lanes>,
    /// Whether the queue was full after its last change. Load shedding reads
    /// this flag, so that a flood of requests does not contend for the mutex.
    is_full: AtomicBool,
    /// Wakes one idle worker, which wakes the next if work is left.
    wake: Notify,
    metrics: Arc<Metrics>,
}

impl Queue {
    pub fn new(queue_limit: usize, limits: BatchLimits, metrics: Arc<Metrics>) -> Self {
        Self {
            lanes: Mutex::new(Lanes::new(queue_limit, limits)),
            is_full: AtomicBool::new(false),
            wake: Notify::new(),
            metrics,
        }
    }

    pub fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock()
    }

    /// Sheds load without locking.
    ///
    /// # Errors
    /// `contention` if the queue is full.
    pub fn check_capacity(&self) -> Result<()> {
        if self.is_full.load(Ordering::Relaxed) { Err(lanes::queue_full()) } else { Ok(()) }
    }

    /// Queues a request and wakes a worker.
    ///
    /// # Errors
    /// `contention` if the queue is full, `misuse` if it is closed.
    pub fn enqueue(&self, request: Box<PendingRequest>) -> Result<()> {
        {
            let mut lanes = self.lanes();
            lanes.push(request)?;
            self.publish_depth(&lanes);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Queues requests under one lock and wakes a worker once. Responds to those
    /// that the queue rejects.
    pub fn enqueue_all(&self, requests: Vec<Box<PendingRequest>>) {
        let mut rejected = Vec::new();
        {
            let mut lanes = self.lanes();
            for request in requests {
                match lanes.admit() {
                    Ok(()) => lanes.insert(request, false),
                    Err(error) => rejected.push((request, error)),
                }
            }
            self.publish_depth(&lanes);
        }
        self.wake.notify_one();
        for (request, error) in rejected {
            self.metrics.refusal(error.code());
            request.response.send(Err(error));
        }
    }

    /// Waits for the next batch; `None` once the queue is closed and empty.
    pub async fn next_batch(&self) -> Option<ReadyBatch> {
        loop {
            let (batch, has_more, is_drained) = {
                let mut lanes = self.lanes();
                let batch = lanes.take();
                self.publish_depth(&lanes);
                (batch, lanes.has_ready(), lanes.is_drained())
            };
            match batch {
                Some(batch) => {
                    if has_more {
                        self.wake.notify_one();
                    }
                    return Some(batch);
                }
                None if is_drained => {
                    // Each worker that stops wakes the next.
                    self.wake.notify_one();
                    return None;
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Rejects new requests; queued ones are still served.
    pub fn close(&self) {
        self.lanes().close();
        self.wake.notify_one();
    }

    /// Frees the lanes of a batch and puts `requeued` requests at their front.
    /// Returns what to do with the leases that the lanes no longer keep.
    pub fn finish(&self, slot: &BatchSlot, requeued: Vec<Box<PendingRequest>>) -> Vec<LeaseAction> {
        self.update(|lanes| {
            lanes.push_front(requeued);
            lanes.finish(&slot.lanes)
        })
    }

    /// Reopens a lane whose lease was offered to other processes; `renewed` if
    /// none wanted it.
    pub fn reopen(&self, lane: LaneId, renewed: Option<Lease>) {
        self.update(|lanes| lanes.reopen(lane, renewed));
    }

    /// Changes the lanes and wakes a worker if that made work.
    fn update<T>(&self, change: impl FnOnce(&mut Lanes) -> T) -> T {
        let (changed, has_work) = {
            let mut lanes = self.lanes();
            let changed = change(&mut lanes);
            self.publish_depth(&lanes);
            (changed, lanes.has_ready() || lanes.is_drained())
        };
        if has_work {
            self.wake.notify_one();
        }
        changed
    }

    /// Publishes the depth under the mutex, so that the last value published is
    /// the latest.
    fn publish_depth(&self, lanes: &Lanes) {
        self.is_full.store(lanes.is_full(), Ordering::Relaxed);
        self.metrics.queue_depth.set(i64::try_from(lanes.depth()).unwrap_or(i64::MAX));
    }
}
