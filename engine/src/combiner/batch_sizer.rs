//! Adaptive batch sizing: the size doubles while full batches are fast and is
//! halved when large ones are slow (multiplicative increase and decrease).
//! Large batches share the cost of a commit; the bound on their time bounds the
//! tail latency of the requests in them.

use std::time::Duration;

const INITIAL: usize = 256;
const MIN: usize = 16;
/// The size grows after a full batch that took less than `FAST`, and shrinks
/// after a batch that took more than `SLOW` and was more than half full; a
/// smaller one is not slow because of its size.
const FAST: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(50);

/// Returns the size of the first batch, at most `max`.
pub(super) fn initial(max: usize) -> usize {
    INITIAL.min(max)
}

/// Returns the next size after a transaction of so many requests took so long.
pub(super) fn next(current: usize, max: usize, requests: usize, took: Duration) -> usize {
    if took > SLOW && requests * 2 > current {
        (current / 2).max(MIN.min(max))
    } else if took < FAST && requests >= current {
        (current * 2).min(max)
    } else {
        current
    }
}

/// Returns the next size after the store rejected so many requests in one
/// transaction as too large.
pub(super) fn after_overflow(current: usize, max: usize, requests: usize) -> usize {
    current.min(requests / 2).max(MIN.min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_follows_the_duration_of_full_batches() {
        let (fast, good, slow) =
            (Duration::from_millis(3), Duration::from_millis(30), Duration::from_millis(80));
        let after = |size, requests, took| next(size, 1_000, requests, took);
        assert_eq!(initial(1_000), 256);
        assert_eq!(after(256, 255, fast), 256, "it was not full");
        assert_eq!(after(256, 256, fast), 512);
        assert_eq!(after(512, 512, fast), 1_000, "never above the setting");
        assert_eq!(after(1_000, 1_000, fast), 1_000);
        assert_eq!(after(1_000, 1_000, good), 1_000);
        assert_eq!(after(1_000, 20, slow), 1_000, "its size was not the reason");
        assert_eq!(after(1_000, 500, slow), 1_000, "it was only half full");
        assert_eq!(after(1_000, 501, slow), 500);
        assert_eq!(after(1_000, 1_000, slow), 500);
        assert_eq!(after(1_000, 1_000, SLOW), 1_000);
        assert_eq!(after(256, 256, FAST), 256);
        let least = (0..9).fold(500, |size, _| after(size, size, slow));
        assert_eq!(least, 16);
        assert_eq!(initial(1), 1);
        assert_eq!(after_overflow(512, 512, 300), 150, "half of what was too large");
        assert_eq!(after_overflow(64, 512, 300), 64, "it is already smaller");
        assert_eq!(after_overflow(64, 512, 3), 16);
        assert_eq!(next(1, 1, 1, slow), 1);
    }
}
