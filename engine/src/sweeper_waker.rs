//! Wakes the sweeper when a commit brings the next expiry forward.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

use crate::model::Timestamp;

/// Compares each new expiry with the sweeper's next wake-up.
pub(crate) struct SweeperWaker {
    /// When the sweeper will wake by itself, in microseconds.
    wakes_at: AtomicI64,
    sooner: Notify,
}

impl SweeperWaker {
    pub fn new() -> Self {
        Self { wakes_at: AtomicI64::new(i64::MIN), sooner: Notify::new() }
    }

    /// Wakes the sweeper if it would sleep past `at`.
    pub fn falls_due(&self, at: Timestamp) {
        if at.micros() < self.wakes_at.load(Ordering::Acquire) {
            self.sooner.notify_one();
        }
    }

    /// Makes every later expiry wake the sweeper, which is about to query.
    pub fn wake_for_any(&self) {
        self.wakes_at.store(i64::MAX, Ordering::Release);
    }

    /// Makes only an expiry before `at` wake the sweeper, which sleeps until then.
    pub fn wake_before(&self, at: Timestamp) {
        self.wakes_at.store(at.micros(), Ordering::Release);
    }

    /// Waits for an expiry before the sweeper's wake-up.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }
}
