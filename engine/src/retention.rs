//! Retention deletes history that has outlived its settings, in the background.
//!
//! Each step is a short transaction, followed by a pause longer than itself, so
//! that a buyer never waits for more than one. Nothing depends on it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::runtime;
use crate::services::Services;
use crate::store::{Purge, PurgeStep};

/// How often old history is deleted.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often all rows of holds are scanned. One process of a store does it.
const SCAN_INTERVAL: Duration = Duration::from_secs(24 * 3_600);
/// The pause after a step, as a multiple of its duration: a single writer is free
/// for other work three quarters of the time.
const PAUSE_FACTOR: u32 = 3;
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The most steps for each kind of history in one interval, so that no kind waits
/// long for another, and when a caller waits.
const STEPS_MAX: u32 = 1_000;
const STEPS_ON_DEMAND_MAX: u32 = 40;
/// Payment events and orders are kept for at least so long: providers repeat events
/// for days, and one that repeats finds what it is about.
const PAYMENTS_MIN: Duration = Duration::from_secs(7 * 86_400);

pub(crate) struct Retention {
    pub services: Arc<Services>,
}

impl Retention {
    /// Deletes old history until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(runtime::sleep(INTERVAL)).await.is_some() {
            for purge in self.purges() {
                match stop.run_until_cancelled(self.delete_all(purge)).await {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        let kind = purge.kind();
                        tracing::warn!(%error, kind, "failed to delete old rows; will be retried");
                    }
                }
            }
        }
    }

    /// What the settings say is deleted.
    fn purges(&self) -> impl Iterator<Item = Purge> + use<> {
        let config = &self.services.config;
        let keys = config.idempotency_ttl;
        let retention = (!config.retention.is_zero()).then_some(config.retention);
        let orders = (!config.order_retention.is_zero()).then_some(config.order_retention);
        let history = retention.map(|older_than| {
            [
                Purge::Payments { older_than: older_than.max(PAYMENTS_MIN) },
                Purge::Events { older_than, from: 0 },
                // An order is answered again by its key, if its hold's token is shown.
                Purge::Holds {
                    older_than: older_than.max(keys),
                    orders_older_than: orders.map(|orders| orders.max(PAYMENTS_MIN).max(keys)),
                },
            ]
        });
        [Purge::Keys { older_than: keys }].into_iter().chain(history.into_iter().flatten())
    }

    /// Deletes old rows of one kind. What is left after [`STEPS_MAX`] steps is left to
    /// the next interval, of whichever process.
    async fn delete_all(&self, purge: Purge) -> Result<()> {
        let store = &self.services.store;
        let is_scan = matches!(purge, Purge::Holds { .. });
        if is_scan && !store.claim_scan(INTERVAL, SCAN_INTERVAL).await? {
            return Ok(());
        }
        let mut next = Some(purge);
        for _ in 0..STEPS_MAX {
            let Some(purge) = next else { break };
            let since = runtime::now();
            next = self.step(purge).await?.next.map(|from| purge.from(from));
            runtime::sleep((runtime::elapsed(since) * PAUSE_FACTOR).max(PAUSE_MIN)).await;
        }
        if is_scan && next.is_none() {
            store.claim_scan(SCAN_INTERVAL, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Deletes a bounded number of old rows: a caller waits for it.
    pub async fn delete_some(&self) -> Result<()> {
        for purge in self.purges() {
            let mut next = Some(purge);
            for _ in 0..STEPS_ON_DEMAND_MAX {
                let Some(purge) = next else { break };
                next = self.step(purge).await?.next.map(|from| purge.from(from));
            }
        }
        Ok(())
    }

    async fn step(&self, purge: Purge) -> Result<PurgeStep> {
        let step = self.services.store.purge(purge).await?;
        self.services.metrics.purge(purge.kind(), step.rows);
        Ok(step)
    }
}
