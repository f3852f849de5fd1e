//! Time that moves when a test says so.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stockade::{Clock, Timestamp};
use tokio::sync::Notify;

/// A clock that stands still until it is moved.
pub struct TestClock {
    micros: AtomicI64,
    moved: Notify,
}

impl TestClock {
    /// Stands at the real time of its making.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let micros = i64::try_from(since.as_micros()).expect("before 294247");
        Self { micros: AtomicI64::new(micros), moved: Notify::new() }
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a short time");
        self.micros.fetch_add(by, Ordering::SeqCst);
        self.tell();
    }

    /// Moves to exactly this moment.
    pub fn set(&self, to: Timestamp) {
        self.micros.store(to.micros(), Ordering::SeqCst);
        self.tell();
    }

    /// Wakes the waiter, or the next one.
    fn tell(&self) {
        self.moved.notify_waiters();
        self.moved.notify_one();
    }

    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self, _store: Timestamp) -> Timestamp {
        self.time()
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.moved.notified())
    }
}
