//! Leases a target's consumer, and saves its changes while the lease lasts.

use std::time::Duration;

use stockade::{Acquired, ConsumerChanges, Lease};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::plan::Target;

/// The pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait for a lease that another relay has: it may return it earlier.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What a lease has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Saved {
    /// The changes are written; what is undelivered may have been changed by others.
    Written { is_revised: bool },
    /// Another relay has the lease. Nothing was written.
    Lost,
    /// The store failed: they may be written or not.
    Failed,
}

/// The lease of one target.
pub struct Held {
    pub lease: Lease,
    ttl: Duration,
    renewed: Instant,
}

impl Held {
    /// Waits for the lease; `None` when the relay stops.
    pub async fn acquire(shared: &Shared, target: &Target) -> Option<Self> {
        let name = &target.name;
        let mut is_told = false;
        loop {
            let acquiring = shared.consumers.acquire(name, target.start, shared.lease);
            let pause = match shared.stop.run_until_cancelled(acquiring).await? {
                Ok(Acquired::Leased(lease)) => {
                    tracing::info!(endpoint = name, position = lease.position, "relay: leased");
                    let (ttl, renewed) = (shared.lease, Instant::now());
                    return Some(Self { lease, ttl, renewed });
                }
                Ok(Acquired::Held(left)) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::info!(endpoint = name, "relay: another one delivers to it");
                    }
                    left.min(WAIT_MAX).max(Duration::from_millis(50))
                }
                Err(error) => {
                    tracing::warn!(%error, endpoint = name, "relay: cannot lease; will be retried");
                    PAUSE
                }
            };
            shared.stop.run_until_cancelled(sleep(pause)).await?;
        }
    }

    /// When the lease must be prolonged, whether or not there is something to save.
    pub fn renew_at(&self) -> Instant {
        self.renewed + self.ttl / 3
    }

    /// Saves changes and prolongs the lease.
    pub async fn save(&mut self, shared: &Shared, changes: &ConsumerChanges) -> Saved {
        self.save_for(shared, changes, self.ttl).await
    }

    /// Saves changes and returns the lease.
    pub async fn give_back(mut self, shared: &Shared, changes: &ConsumerChanges) {
        self.save_for(shared, changes, Duration::ZERO).await;
    }

    async fn save_for(
        &mut self,
        shared: &Shared,
        changes: &ConsumerChanges,
        ttl: Duration,
    ) -> Saved {
        let name = &self.lease.name;
        let now = Instant::now();
        match shared.consumers.save(&self.lease, changes, ttl).await {
            Ok(Some(revision)) => {
                self.renewed = now;
                let before = std::mem::replace(&mut self.lease.revision, revision);
                Saved::Written { is_revised: before != revision }
            }
            Ok(None) => {
                tracing::warn!(endpoint = name, "relay: another one has taken over");
                Saved::Lost
            }
            Err(error) => {
                tracing::warn!(%error, endpoint = name, "relay: cannot save; will be retried");
                // Not at once again.
                self.renewed = now.checked_sub(self.ttl / 3).unwrap_or(now) + PAUSE;
                Saved::Failed
            }
        }
    }
}
