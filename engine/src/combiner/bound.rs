//! How much one transaction takes: as much as it can do in good time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const FIRST: usize = 256;
const LEAST: usize = 16;
/// A full batch that is done within the first lets the next be larger; one that
/// takes longer than the second makes it smaller.
const QUICK: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(50);

/// The most requests that the next batch takes.
pub(super) struct BatchBound {
    now: AtomicUsize,
    most: usize,
}

impl BatchBound {
    pub fn new(most: usize) -> Self {
        Self { now: AtomicUsize::new(FIRST.min(most)), most }
    }

    pub fn get(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Learns from a transaction of so many requests. Says what the bound
    /// becomes, if it changes.
    pub fn learn(&self, requests: usize, took: Duration) -> Option<usize> {
        let now = self.get();
        let next = if took > SLOW && requests * 2 > now {
            (now / 2).max(LEAST.min(self.most))
        } else if took < QUICK && requests >= now {
            (now * 2).min(self.most)
        } else {
            now
        };
        self.now.store(next, Ordering::Relaxed);
        (next != now).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_follows_the_time_that_full_batches_take() {
        let (quick, good, slow) =
            (Duration::from_millis(3), Duration::from_millis(30), Duration::from_millis(80));
        let bound = BatchBound::new(1_000);
        assert_eq!(bound.get(), 256);
        assert_eq!(bound.learn(255, quick), None, "no one wanted more");
        assert_eq!(bound.learn(256, quick), Some(512));
        assert_eq!(bound.learn(512, quick), Some(1_000), "never beyond the setting");
        assert_eq!(bound.learn(1_000, quick), None);
        assert_eq!(bound.learn(1_000, good), None);
        assert_eq!(bound.learn(20, slow), None, "its size was not the reason");
        assert_eq!(bound.learn(1_000, slow), Some(500));
        for _ in 0..9 {
            bound.learn(bound.get(), slow);
        }
        assert_eq!(bound.get(), 16);
        assert_eq!(BatchBound::new(1).get(), 1);
        assert_eq!(BatchBound::new(1).learn(1, slow), None);
    }
}
