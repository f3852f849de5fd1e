//! The locks of a batch's lanes, kept for a run of batches and handed over
//! when another process waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Combiner, LaneId};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Grant, Kept, Lease, LockName};
use crate::metrics::observe;
use crate::model::ProductId;

/// A batch of several lanes asks for their locks in order, but may hold some
/// from an earlier batch out of order; so it waits for each but briefly.
const WAIT_AMONG_SEVERAL: Duration = Duration::from_millis(100);

/// The leases a batch works under. A lane without one goes on with the row
/// lock alone.
#[derive(Default)]
pub(super) struct Leases {
    held: BTreeMap<LaneId, Lease>,
    /// Lanes that were asked for, whether or not they were had.
    asked: Vec<LaneId>,
}

impl Leases {
    /// Takes the locks of these lanes, as far as they can be had in time.
    ///
    /// # Errors
    /// In strict mode: `unavailable` when the lock service is gone and
    /// `contention` when a lock was not had in time.
    pub async fn acquire(&mut self, combiner: &Combiner, lanes: &[LaneId]) -> Result<()> {
        let parts = &combiner.parts;
        let ttl = parts.config.lock_ttl;
        let wait = if lanes.len() == 1 { ttl } else { WAIT_AMONG_SEVERAL };
        for lane in lanes {
            if self.asked.contains(lane) {
                continue;
            }
            self.asked.push(*lane);
            let kept = combiner.lanes().take_lease(*lane);
            if let Some(lease) = kept {
                // A lease about to run out is no better than none.
                if lease.granted_at.elapsed() < ttl / 2 {
                    self.held.insert(*lane, lease);
                    continue;
                }
                parts.lock.release(lease).await;
            }
            let since = Instant::now();
            let grant = parts.lock.acquire(LockName(lane.0), wait).await;
            observe(&parts.metrics.lock_wait_seconds, since.elapsed());
            match grant {
                Grant::Granted(lease) => {
                    self.held.insert(*lane, lease);
                }
                Grant::NotInTime => {
                    parts.metrics.lock_not_had.inc();
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

    /// Takes over what the lanes kept for a batch that turned out empty or
    /// failed before it asked, so that it is given back.
    pub fn take_over(&mut self, combiner: &Combiner, lanes: &[LaneId]) {
        let mut all = combiner.lanes();
        for lane in lanes {
            if let Some(lease) = all.take_lease(*lane) {
                self.held.insert(*lane, lease);
            }
        }
    }

    /// The fencing tokens under which products are written.
    pub fn fences(&self) -> BTreeMap<ProductId, u64> {
        let fence = |(lane, lease): (&LaneId, &Lease)| Some((ProductId(lane.0), lease.fence?));
        self.held.iter().filter_map(fence).collect()
    }

    /// Drops a lease that a newer holder has overtaken. If told so, the next
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
        if let Some(lease) = self.held.remove(&lane) {
            parts.lock.release(lease).await;
        }
        if ask_anew {
            self.asked.retain(|asked| *asked != lane);
        }
    }

    /// Keeps what the lanes' next batches need. Says whether nothing is left
    /// to be given back.
    pub fn keep_for_next(&mut self, combiner: &Combiner) -> bool {
        let run = combiner.parts.config.lock_run;
        let mut lanes = combiner.lanes();
        for (lane, lease) in std::mem::take(&mut self.held) {
            if lanes.is_wanted(lane) && lease.granted_at.elapsed() < run {
                lanes.keep_lease(lane, lease);
            } else {
                self.held.insert(lane, lease);
            }
        }
        self.held.is_empty()
    }

    /// Gives back what is left: to another process that waits, or else to the
    /// lane's own next batch.
    pub async fn settle(self, combiner: &Combiner) {
        for (lane, mut lease) in self.held {
            if !combiner.lanes().is_wanted(lane) {
                combiner.parts.lock.release(lease).await;
            } else if combiner.parts.lock.keep(&lease).await == Kept::Renewed {
                lease.granted_at = Instant::now();
                combiner.lanes().keep_lease(lane, lease);
            }
        }
    }
}
