//! Delivers cache invalidations from one process's commits to the other
//! processes' caches.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::fault_schedule::{FaultKind, FaultSchedule};
use super::world::{Process, here};
use crate::cache::ProductCache;
use crate::model::ProductId;
use crate::runtime;

/// The subscribed caches.
#[derive(Default)]
pub(super) struct Invalidations {
    caches: Mutex<Vec<(Process, Weak<ProductCache>)>>,
}

impl Invalidations {
    pub fn add(&self, process: Process, cache: &Arc<ProductCache>) {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.push((process, Arc::downgrade(cache)));
    }

    /// Sends the invalidation to every other process, each with its own latency.
    pub fn send(&self, faults: &FaultSchedule, writer: Process, products: &[(ProductId, u64)]) {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, cache) in caches.iter().filter(|(process, _)| *process != writer) {
            for (id, version) in products.iter().copied() {
                let Some(cache) = cache.upgrade() else { continue };
                let is_lost = faults.strikes(FaultKind::InvalidationLost);
                let late = if faults.strikes(FaultKind::InvalidationLate) { 2_000 } else { 3 };
                let late = here().draw_time(Duration::ZERO..Duration::from_millis(late));
                drop(Process::SERVERS.spawn(async move {
                    runtime::sleep(late).await;
                    if is_lost {
                        cache.mirror.invalidate_all();
                    } else {
                        cache.mirror.invalidate(id, version);
                    }
                }));
            }
        }
    }
}
