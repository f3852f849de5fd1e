//! The sweeper returns the stock of due holds and unpaid orders in the background.
//!
//! It is a garbage collector, and correctness does not depend on it: every request
//! treats what is due as ended. The sweeper only returns the stock of products that
//! get no requests. Its work goes through the combiner as commands of the ledger,
//! so several processes may sweep at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::combiner::Combiner;
use crate::error::Result;
use crate::ledger::{Answer, Command};
use crate::metrics::observe;
use crate::model::ProductId;
use crate::runtime;
use crate::services::Services;

/// Due products read by one query.
const DUE_PRODUCTS_MAX: u32 = 64;
/// Products swept concurrently, which share transactions of `sweep_batch` holds. Few,
/// since the sweeps of an expiry storm share the store with its buyers.
const CONCURRENT_SWEEPS: usize = 8;
/// The longest pause: holds of other processes cannot wake this sweeper.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The pause after a failed sweep; the store may be down.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// The least pause between two sweeps: under load something falls due at every
/// moment, and a sweep takes what has gathered.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// What a sweep returned to stock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// Holds that had expired.
    pub holds_expired: u64,
    /// Orders that were not paid in time.
    pub orders_cancelled: u64,
}

/// Returns due stock, product by product.
pub(crate) struct Sweeper {
    pub services: Arc<Services>,
    pub combiner: Arc<Combiner>,
}

impl Sweeper {
    /// Sweeps whenever something is due, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let pause = match self.sweep().await {
                Ok((_, next)) => next.max(PAUSE_MIN),
                Err(error) => {
                    tracing::warn!(%error, "a sweep failed and will be retried");
                    PAUSE_AFTER_ERROR
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = runtime::sleep(pause) => {}
                () = self.services.sweeper_waker.sooner() => {}
                () = self.services.clock.moved() => {}
            }
        }
    }

    /// Returns all stock that is due now, in bounded transactions, and the time
    /// until the next is due as far as this process knows.
    pub async fn sweep(&self) -> Result<(SweepReport, Duration)> {
        let mut report = SweepReport::default();
        // Before the query, so that no commit in between is missed.
        self.services.sweeper_waker.wake_for_any();
        loop {
            let due = self.services.store.due_products(DUE_PRODUCTS_MAX).await?;
            let oldest = due.products.first().map_or(Duration::ZERO, |(_, at)| at.until(due.now));
            self.services.metrics.oldest_due_seconds.set(oldest.as_secs_f64());
            if due.products.is_empty() {
                let pause = due.next.map_or(POLL_INTERVAL, |next| due.now.until(next));
                let pause = pause.min(POLL_INTERVAL);
                self.services.sweeper_waker.wake_before(due.now.after(pause));
                return Ok((report, pause));
            }
            let now = due.now;
            let swept: Vec<Result<SweepReport>> = stream::iter(due.products)
                .map(|(product, since)| self.sweep_product(product, since.until(now)))
                .buffer_unordered(CONCURRENT_SWEEPS)
                .collect()
                .await;
            for swept in swept {
                let swept = swept?;
                report.holds_expired += swept.holds_expired;
                report.orders_cancelled += swept.orders_cancelled;
            }
        }
    }

    async fn sweep_product(&self, product_id: ProductId, lag: Duration) -> Result<SweepReport> {
        observe(&self.services.metrics.sweep_lag_seconds, lag);
        let mut report = SweepReport::default();
        loop {
            let lane = self.combiner.lane(product_id);
            let done = self.combiner.submit(Command::Reclaim { product_id }, None, [lane]).await?;
            let Answer::Reclaimed { holds, orders, more } = done.answer else { return Ok(report) };
            report.holds_expired += u64::from(holds);
            report.orders_cancelled += u64::from(orders);
            if !more {
                return Ok(report);
            }
        }
    }
}
