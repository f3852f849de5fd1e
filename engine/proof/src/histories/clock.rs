//! A manual clock that callers advance.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use stockade::{Clock, Timestamp};
use tokio::sync::Notify;

/// The start: 2026-01-01 in UTC.
const START: i64 = 1_767_225_600_000_000;

/// Stands still until a caller advances it.
pub struct SteppedClock {
    micros: AtomicI64,
    moved: Notify,
}

impl Default for SteppedClock {
    fn default() -> Self {
        Self { micros: AtomicI64::new(START), moved: Notify::new() }
    }
}

impl SteppedClock {
    /// Microseconds since 1970.
    pub fn time(&self) -> i64 {
        self.micros.load(Ordering::SeqCst)
    }

    pub fn advance(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
        // Wakes current waiters and the next one.
        self.moved.notify_waiters();
        self.moved.notify_one();
    }
}

impl Clock for SteppedClock {
    fn now(&self, _store: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.time())
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.moved.notified())
    }
}
