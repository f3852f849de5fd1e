//! The word from those who commit to the one who sweeps.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

use crate::model::Timestamp;

/// Tells the sweeper that something falls due sooner than it knows.
pub(crate) struct SweeperWaker {
    /// When the sweeper means to wake.
    wakes_at: AtomicI64,
    sooner: Notify,
}

impl SweeperWaker {
    pub fn new() -> Self {
        Self { wakes_at: AtomicI64::new(i64::MIN), sooner: Notify::new() }
    }

    /// Something falls due at `at`.
    pub fn falls_due(&self, at: Timestamp) {
        if at.micros() < self.wakes_at.load(Ordering::Acquire) {
            self.sooner.notify_one();
        }
    }

    /// The sweeper is looking: whatever falls due from now on must wake it.
    pub fn wake_for_any(&self) {
        self.wakes_at.store(i64::MAX, Ordering::Release);
    }

    /// The sweeper sleeps until `at`; only what falls due before must wake it.
    pub fn wake_before(&self, at: Timestamp) {
        self.wakes_at.store(at.micros(), Ordering::Release);
    }

    /// Ends when something falls due sooner than the sweeper means to wake.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }
}
