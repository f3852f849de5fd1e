//! The locks of a batch's lanes. They stand in the lanes, are kept for a run of
//! batches, and go round when another process waits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lanes::LeaseAction;
use super::{BatchSlot, Combiner, LaneId};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Grant, LockName, Renewal};
use crate::metrics::observe;
use crate::model::ProductId;
use crate::runtime;

/// Requests for one product that are worth asking for its lock.
const CROWD: usize = 8;

/// A lock is waited for so many leases: long enough for one that a dead holder
/// left to run out, and for another that its process was still to be given.
const LEASES_WAITED: u32 = 2;

/// Two processes may each hold what the other asks for next, if they kept it
/// from an earlier batch; so a batch of several lanes waits but briefly.
const WAIT_AMONG_SEVERAL: Duration = Duration::from_millis(100);

/// The locks a batch works under. A lane without one goes on with the row lock
/// alone.
#[derive(Default)]
pub(super) struct Leases {
    fences: BTreeMap<ProductId, u64>,
    /// Lanes that were asked for, whether or not they were had.
    asked: Vec<LaneId>,
}

impl Leases {
    /// Takes the locks of these lanes, as far as they can be had in time.
    ///
    /// A lock is for products on which requests crowd. Where few wait, or
    /// several products share a transaction, there is no crowd, and asking
    /// would cost more than the row locks do; so that happens in strict mode
    /// only.
    ///
    /// # Errors
    /// In strict mode: `unavailable` when the lock service is gone and
    /// `contention` when a lock was not had in time.
    pub async fn acquire(&mut self, combiner: &Combiner, slot: &BatchSlot) -> Result<()> {
        let parts = &combiner.parts;
        let ttl = parts.config.lock_ttl;
        let is_alone = slot.lanes.len() == 1;
        let is_crowd = is_alone && slot.requests >= CROWD;
        for lane in &slot.lanes {
            if self.asked.contains(lane) {
                continue;
            }
            self.asked.push(*lane);
            if self.reuse_kept(combiner, *lane).await || !(is_crowd || parts.config.strict) {
                continue;
            }
            let wait =
                if is_alone { ttl.saturating_mul(LEASES_WAITED) } else { WAIT_AMONG_SEVERAL };
            let since = runtime::now();
            let grant = parts.lock.acquire(LockName(lane.0), wait).await;
            observe(&parts.metrics.lock_wait_seconds, runtime::elapsed(since));
            match grant {
                Grant::Granted(lease) => {
                    self.add_fence(*lane, lease.fence);
                    combiner.lanes().keep_lease(*lane, lease);
                }
                Grant::TimedOut => {
                    parts.metrics.lock_acquire_timeouts.inc();
                    if parts.config.strict {
                        let why = "the product's lock was not had in time";
                        return Err(Error::new(ErrorKind::Contention, why));
                    }
                }
                Grant::Down if parts.config.strict => {
                    let why = "the lock service cannot be reached and strict mode is on";
                    return Err(Error::new(ErrorKind::Unavailable, why));
                }
                Grant::Down => {}
            }
        }
        Ok(())
    }

    /// Uses the lock that the lane has from an earlier batch. One about to run
    /// out is no better than none.
    async fn reuse_kept(&mut self, combiner: &Combiner, lane: LaneId) -> bool {
        let ttl = combiner.parts.config.lock_ttl;
        let old = {
            let mut lanes = combiner.lanes();
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
            combiner.parts.lock.release(old).await;
        }
        false
    }

    fn add_fence(&mut self, lane: LaneId, fence: Option<u64>) {
        self.fences.extend(fence.map(|fence| (ProductId(lane.0), fence)));
    }

    /// The fencing tokens under which products are written.
    pub fn fences(&self) -> &BTreeMap<ProductId, u64> {
        &self.fences
    }

    /// Drops a lock that a newer holder has overtaken. If told so, the next
    /// attempt asks anew, for one newer than the row has `seen`.
    pub async fn drop_stale(
        &mut self,
        combiner: &Combiner,
        product: ProductId,
        seen: u64,
        ask_anew: bool,
    ) {
        let lane = LaneId(product.0);
        let parts = &combiner.parts;
        parts.metrics.lock_stale.inc();
        parts.lock.raise_fence(LockName(lane.0), seen).await;
        let ours = self.fences.remove(&product);
        let stale = {
            let mut lanes = combiner.lanes();
            let is_stale = lanes.lease(lane).is_some_and(|lease| lease.fence == ours);
            is_stale.then(|| lanes.take_lease(lane)).flatten()
        };
        if let Some(lease) = stale {
            parts.lock.release(lease).await;
        }
        if ask_anew {
            self.asked.retain(|asked| *asked != lane);
        }
    }
}

/// Gives locks back, or lets them go round and opens their lanes again.
pub(super) async fn part(combiner: &Combiner, lease_actions: Vec<LeaseAction>) {
    for action in lease_actions {
        match action {
            LeaseAction::Release(lease) => combiner.parts.lock.release(lease).await,
            LeaseAction::Ask(lane, mut lease) => {
                let kept = combiner.parts.lock.renew(&lease).await == Renewal::Renewed;
                lease.granted_at = runtime::now();
                combiner.change(|lanes| lanes.settle(lane, kept.then_some(lease)));
            }
        }
    }
}
