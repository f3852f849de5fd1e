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
use crate::store::Purge;

/// How often old history is deleted.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often all rows of holds are scanned. One process of a store does it.
const SCAN_INTERVAL: Duration = Duration::from_secs(24 * 3_600);
/// How many steps are taken for one kind of history, and the pause after each, as a
/// multiple of its duration.
struct Pace {
    steps_max: u32,
    pause_factor: u32,
    pause_min: Duration,
}
/// A single writer is free for other work three quarters of the time, and no kind
/// waits long for another.
const IN_BACKGROUND: Pace =
    Pace { steps_max: 1_000, pause_factor: 3, pause_min: Duration::from_millis(10) };
/// A caller waits.
const ON_DEMAND: Pace = Pace { steps_max: 40, pause_factor: 0, pause_min: Duration::ZERO };
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
                match stop.run_until_cancelled(self.delete_in_background(purge)).await {
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
                Purge::EventRows { older_than },
                Purge::DeadLetters { older_than },
                // An order is answered again by its key, if its hold's token is shown.
                Purge::Holds {
                    older_than: older_than.max(keys),
                    orders_older_than: orders.map(|orders| orders.max(PAYMENTS_MIN).max(keys)),
                },
            ]
        });
        let (by_id, by_token) = self.services.policy.waiting_times();
        let waiting = Purge::Waiting { by_id, by_token };
        [waiting, Purge::Keys { older_than: keys }].into_iter().chain(history.into_iter().flatten())
    }

    /// Deletes old rows of one kind. What is left after the steps of its pace is left
    /// to the next interval, of whichever process.
    async fn delete_in_background(&self, purge: Purge) -> Result<()> {
        let store = &self.services.store;
        let is_scan = matches!(purge, Purge::Holds { .. });
        if is_scan && !store.claim_scan(INTERVAL, SCAN_INTERVAL).await? {
            return Ok(());
        }
        let is_done = self.delete(purge, IN_BACKGROUND).await?;
        if is_scan && is_done {
            store.claim_scan(SCAN_INTERVAL, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Deletes a bounded number of old rows: a caller waits for it.
    pub async fn delete_some(&self) -> Result<()> {
        for purge in self.purges() {
            self.delete(purge, ON_DEMAND).await?;
        }
        Ok(())
    }

    /// Takes steps at this pace. Returns whether no old rows are left.
    async fn delete(&self, purge: Purge, pace: Pace) -> Result<bool> {
        let mut next = Some(purge);
        for _ in 0..pace.steps_max {
            let Some(purge) = next else { break };
            let since = runtime::now();
            let step = self.services.store.purge(purge).await?;
            self.services.metrics.purge(purge.kind(), step.rows);
            next = step.next;
            let pause = (runtime::elapsed(since) * pace.pause_factor).max(pace.pause_min);
            if !pause.is_zero() {
                runtime::sleep(pause).await;
            }
        }
        Ok(next.is_none())
    }
}
