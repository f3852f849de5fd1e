//! The product locks that a batch works under. A lane keeps its lease for a run
//! of batches and hands it over when another process waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::lanes::LeaseAction;
use super::queue::BatchSlot;
use super::request::LaneId;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Grant, LockName, Renewal};
use crate::mechanisms::Mechanism;
use crate::metrics::observe;
use crate::model::ProductId;
use crate::runtime;

/// The fewest requests in a batch for one product that make its lock worth a
/// round trip to the lock service.
const CONTENDED_BATCH_MIN: usize = 8;

/// The wait for a lock, in lease times: one for the lease of a dead holder to
/// run out, and one for a lease that the service granted to it meanwhile.
const LOCK_WAIT_LEASES: u32 = 2;

/// The wait for each lock of a batch of several lanes. Short, because of a
/// possible deadlock: two processes may each keep, from an earlier batch, the
/// lock that the other requests next.
const MULTI_LANE_LOCK_WAIT: Duration = Duration::from_millis(100);

/// The leases a batch works under. A lane without one relies on the row lock
/// alone.
#[derive(Default)]
pub(super) struct Leases {
    fences: BTreeMap<ProductId, u64>,
    /// Lanes whose lock was requested, with or without success.
    requested: Vec<LaneId>,
}

impl Leases {
    /// Acquires the locks of a batch's lanes, as far as that succeeds in time.
    ///
    /// A lock pays off for a contended product. With few requests, or several
    /// products in one transaction, a round trip to the lock service costs more
    /// than waiting for row locks, so only strict mode makes it.
    ///
    /// # Errors
    /// In strict mode: `unavailable` if the lock service is unreachable,
    /// `contention` if a lock was not acquired in time.
    pub async fn acquire(&mut self, context: &Context, slot: &BatchSlot) -> Result<()> {
        let services = &context.services;
        let ttl = services.config.lock_ttl;
        let is_single_lane = slot.lanes.len() == 1;
        let is_contended = is_single_lane && slot.requests >= CONTENDED_BATCH_MIN;
        for lane in &slot.lanes {
            if self.requested.contains(lane) {
                continue;
            }
            self.requested.push(*lane);
            if self.reuse_kept(context, *lane).await || !(is_contended || services.config.strict) {
                continue;
            }
            let wait = if is_single_lane {
                ttl.saturating_mul(LOCK_WAIT_LEASES)
            } else {
                MULTI_LANE_LOCK_WAIT
            };
            let since = runtime::now();
            let grant = services.lock.acquire(LockName(lane.0), wait).await;
            observe(&services.metrics.lock_wait_seconds, runtime::elapsed(since));
            match grant {
                Grant::Granted(lease) => {
                    self.add_fence(*lane, lease.fence);
                    context.queue.lanes().keep_lease(*lane, lease);
                }
                Grant::TimedOut => {
                    services.metrics.lock_acquire_timeouts.inc();
                    if services.config.strict {
                        let why =
                            "strict mode: the product's lock was not acquired in time; try again";
                        return Err(Error::new(ErrorKind::Contention, why));
                    }
                }
                Grant::Down if services.config.strict => {
                    let why = "strict mode: the lock service is unreachable";
                    return Err(Error::new(ErrorKind::Unavailable, why));
                }
                Grant::Down => {}
            }
        }
        Ok(())
    }

    /// Reuses the lease that the lane keeps from an earlier batch. Releases one
    /// past half of its time: it might run out under the transaction.
    async fn reuse_kept(&mut self, context: &Context, lane: LaneId) -> bool {
        let ttl = context.services.config.lock_ttl;
        let old = {
            let mut lanes = context.queue.lanes();
            match lanes.lease(lane) {
                None => return false,
                Some(lease) if runtime::elapsed(lease.granted_at) < ttl / 2 => {
                    self.add_fence(lane, lease.fence);
                    return true;
                }
                Some(_) => lanes.take_lease(lane),
            }
        };
        if let Some(old) = old {
            context.services.lock.release(old).await;
        }
        false
    }

    fn add_fence(&mut self, lane: LaneId, fence: Option<u64>) {
        self.fences.extend(fence.map(|fence| (ProductId(lane.0), fence)));
    }

    pub fn fences(&self) -> &BTreeMap<ProductId, u64> {
        &self.fences
    }

    /// Drops a lease whose fencing token is older than `row_fence`, the one in
    /// the product's row. If `reacquire`, the next attempt requests a lease with
    /// a newer one.
    pub async fn drop_stale(
        &mut self,
        context: &Context,
        product: ProductId,
        row_fence: u64,
        reacquire: bool,
    ) {
        let lane = LaneId(product.0);
        let services = &context.services;
        services.metrics.lock_stale.inc();
        services.lock.raise_fence(LockName(lane.0), row_fence).await;
        self.fences.remove(&product);
        let stale = context.queue.lanes().take_lease(lane);
        if let Some(lease) = stale {
            services.lock.release(lease).await;
        }
        if reacquire {
            self.requested.retain(|requested| *requested != lane);
        }
    }
}

/// Releases leases, or offers them to other processes and reopens their lanes.
pub(super) async fn apply(context: &Context, lease_actions: Vec<LeaseAction>) {
    for action in lease_actions {
        match action {
            LeaseAction::Release(lease) => context.services.lock.release(lease).await,
            LeaseAction::Offer(lane, lease) if !context.services.is_on(Mechanism::KeptLeases) => {
                context.services.lock.release(lease).await;
                context.queue.reopen(lane, None);
            }
            LeaseAction::Offer(lane, mut lease) => {
                let is_renewed = context.services.lock.renew(&lease).await == Renewal::Renewed;
                lease.granted_at = runtime::now();
                context.queue.reopen(lane, is_renewed.then_some(lease));
            }
        }
    }
}
