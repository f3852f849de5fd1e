//! Returning the stock of due holds and unpaid orders without being asked.
//!
//! The sweeper is a janitor, not the judge: what is due is dead at once for
//! every request that meets it. The sweeper only sees to it that stock is also
//! returned where no one asks. Its work goes through the combiner as commands
//! of the ledger, so several processes may sweep at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::combiner::Combiner;
use crate::error::Result;
use crate::ledger::{Answer, Command};
use crate::metrics::{Metrics, observe};
use crate::model::ProductId;
use crate::runtime;
use crate::store::Store;
use crate::sweeper_waker::SweeperWaker;

/// Products looked up at once, and swept at once.
const PRODUCTS_AT_ONCE: u32 = 64;
const SWEEPS_AT_ONCE: usize = 3;
/// Other processes make holds, too, and cannot wake this sweeper; so it looks
/// at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// After a failed sweep; the store may be down.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Under load something falls due at every moment: sweeps gather for so long.
const PAUSE_BETWEEN: Duration = Duration::from_millis(10);
/// Idempotency keys forgotten in one statement, and how often they are looked for.
const KEYS_AT_ONCE: u32 = 500;
/// The most keys that a sweep on demand forgets.
const KEYS_OF_A_SWEEP: u32 = 10_000;
const KEYS_EVERY: Duration = Duration::from_secs(60);

/// What a sweep gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// Holds whose time was over.
    pub holds_expired: u64,
    /// Orders that were never paid.
    pub orders_cancelled: u64,
}

/// Takes back what is due, product by product.
pub(crate) struct Sweeper {
    pub store: Arc<dyn Store>,
    pub combiner: Arc<Combiner>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    pub sweeper_waker: Arc<SweeperWaker>,
    pub idempotency_ttl: Duration,
}

impl Sweeper {
    /// Sweeps whenever something is due and forgets old keys, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Side by side, so that no sweep waits until old keys are forgotten.
        join(self.keep_sweeping(&stop), self.keep_forgetting(&stop)).await;
    }

    async fn keep_sweeping(&self, stop: &CancellationToken) {
        loop {
            let pause = match self.sweep().await {
                Ok((_, next)) => next.max(PAUSE_BETWEEN),
                Err(error) => {
                    tracing::warn!(%error, "a sweep failed; it is tried again");
                    PAUSE_AFTER_ERROR
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = runtime::sleep(pause) => {}
                () = self.sweeper_waker.sooner() => {}
                () = self.clock.moved() => {}
            }
        }
    }

    /// Forgets old keys in small steps, with pauses as long as the steps, so
    /// that a single writer is free for sweeps and requests half of the time.
    async fn keep_forgetting(&self, stop: &CancellationToken) {
        let mut pause = KEYS_EVERY;
        while stop.run_until_cancelled(runtime::sleep(pause)).await.is_some() {
            let since = runtime::now();
            pause = match stop.run_until_cancelled(self.forget_some_keys()).await {
                None => return,
                Some(Ok(true)) => runtime::elapsed(since).max(PAUSE_BETWEEN),
                Some(Ok(false)) => KEYS_EVERY,
                Some(Err(error)) => {
                    tracing::debug!(%error, "old idempotency keys could not be forgotten");
                    KEYS_EVERY
                }
            };
        }
    }

    /// Forgets the answers kept under idempotency keys whose time is over, at
    /// most [`KEYS_OF_A_SWEEP`] of them: who asks for a sweep waits for it.
    pub async fn forget_keys(&self) -> Result<()> {
        for _ in 0..KEYS_OF_A_SWEEP / KEYS_AT_ONCE {
            if !self.forget_some_keys().await? {
                break;
            }
        }
        Ok(())
    }

    /// Forgets keys in one short statement; says whether there may be more.
    async fn forget_some_keys(&self) -> Result<bool> {
        let gone = self.store.forget_keys(self.idempotency_ttl, KEYS_AT_ONCE).await?;
        Ok(gone >= u64::from(KEYS_AT_ONCE))
    }

    /// Takes back all that is due now, in bounded transactions. Also says how
    /// long nothing will be due as far as is known.
    pub async fn sweep(&self) -> Result<(SweepReport, Duration)> {
        let mut report = SweepReport::default();
        // Whatever falls due from now on must wake us.
        self.sweeper_waker.wake_for_any();
        loop {
            let due = self.store.due_products(PRODUCTS_AT_ONCE).await?;
            let oldest = due.products.first().map_or(Duration::ZERO, |(_, at)| at.until(due.now));
            self.metrics.oldest_due_seconds.set(oldest.as_secs_f64());
            if due.products.is_empty() {
                let pause = due.next.map_or(LONGEST_SLEEP, |next| due.now.until(next));
                let pause = pause.min(LONGEST_SLEEP);
                self.sweeper_waker.wake_before(due.now.after(pause));
                return Ok((report, pause));
            }
            let now = due.now;
            let swept: Vec<Result<SweepReport>> = stream::iter(due.products)
                .map(|(product, since)| self.sweep_product(product, since.until(now)))
                .buffer_unordered(SWEEPS_AT_ONCE)
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
        observe(&self.metrics.sweep_lag_seconds, lag);
        let mut report = SweepReport::default();
        loop {
            let lane = self.combiner.lane(product_id);
            let done = self.combiner.submit(Command::Reclaim { product_id }, &[lane]).await?;
            let Answer::Reclaimed { holds, orders, more } = done.answer else { return Ok(report) };
            report.holds_expired += u64::from(holds);
            report.orders_cancelled += u64::from(orders);
            if !more {
                return Ok(report);
            }
        }
    }
}
