//! The store's time, as last heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Clock;
use crate::model::Timestamp;

/// Keeps the time of one store: its own where it has a clock, the process's
/// where it has none.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    /// The latest time of this process, so that it never runs backwards.
    latest: AtomicI64,
    /// How far the store's clock is ahead of the process's.
    ahead: AtomicI64,
}

impl Timekeeper {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: AtomicI64::new(i64::MIN), ahead: AtomicI64::new(0) }
    }

    /// The time to go by, given what the store's clock just showed.
    pub fn hear(&self, store: Option<Timestamp>) -> Timestamp {
        let process = self.process();
        let Some(store) = store else {
            return self.clock.now(Timestamp::from_micros(process));
        };
        self.ahead.store(store.micros().saturating_sub(process), Ordering::Relaxed);
        self.clock.now(store)
    }

    /// The store's time without asking it: good enough to know how old a
    /// cached row is, not to decide anything.
    pub fn estimate(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.clock.now(Timestamp::from_micros(self.process().saturating_add(ahead)))
    }

    fn process(&self) -> i64 {
        let now = Timestamp::from(chrono::Utc::now()).micros();
        let before = self.latest.fetch_max(now, Ordering::Relaxed);
        now.max(before)
    }
}
