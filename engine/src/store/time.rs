//! The store's time, as last heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::model::Timestamp;

/// An answer that came within this time tells how the clocks stand to each other.
const PROMPT: Duration = Duration::from_millis(100);
const UNHEARD: i64 = i64::MIN;

/// Keeps the time of one store: its own where it has a clock, the process's
/// where it has none.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    /// The latest time of this process, so that it never runs backwards.
    latest: AtomicI64,
    /// How far the store's clock is ahead of the process's, once heard.
    ahead: AtomicI64,
}

impl Timekeeper {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: AtomicI64::new(i64::MIN), ahead: AtomicI64::new(UNHEARD) }
    }

    /// The time to go by, given what the store's clock just showed to a question
    /// that was asked at `asked`.
    pub fn hear(&self, store: Option<Timestamp>, asked: Instant) -> Timestamp {
        let process = self.process();
        let Some(store) = store else {
            return self.clock.now(Timestamp::from_micros(process));
        };
        // An answer that was long under way tells little of the time it is now.
        let ahead = store.micros().saturating_sub(process);
        if asked.elapsed() <= PROMPT || self.ahead.load(Ordering::Relaxed) == UNHEARD {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        self.clock.now(store)
    }

    /// The store's time without asking it: good enough to know how old a
    /// cached row is, not to decide anything.
    pub fn estimate(&self) -> Timestamp {
        let ahead = match self.ahead.load(Ordering::Relaxed) {
            UNHEARD => 0,
            heard => heard,
        };
        self.clock.now(Timestamp::from_micros(self.process().saturating_add(ahead)))
    }

    fn process(&self) -> i64 {
        let now = Timestamp::from(chrono::Utc::now()).micros();
        let before = self.latest.fetch_max(now, Ordering::Relaxed);
        now.max(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::StoreClock;

    #[test]
    fn an_answer_that_was_long_under_way_does_not_set_the_clock() {
        let time = Timekeeper::new(Arc::new(StoreClock));
        let now = || Timestamp::from(chrono::Utc::now());
        let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
        let late = Instant::now().checked_sub(PROMPT * 2).expect("the machine runs for longer");
        let is_about = |at: Timestamp| {
            let found = time.estimate();
            found.until(at).max(at.until(found)) < minute
        };
        assert!(is_about(now()), "nothing was heard");
        time.hear(Some(now().after(hour)), late);
        assert!(is_about(now().after(hour)), "better than nothing");
        time.hear(Some(now()), late);
        assert!(is_about(now().after(hour)), "worse than what is known");
        time.hear(Some(now()), Instant::now());
        assert!(is_about(now()));
    }
}
