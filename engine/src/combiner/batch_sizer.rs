//! How much one transaction takes: as much as it can do in good time.

use std::time::Duration;

const FIRST: usize = 256;
const LEAST: usize = 16;
/// A full batch that is done within the first lets the next be larger; one that
/// takes longer than the second makes it smaller.
const QUICK: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(50);

/// The most requests that the first batch takes.
pub(super) fn first(most: usize) -> usize {
    FIRST.min(most)
}

/// What becomes of the bound `now`, given how long a transaction of so many
/// requests took.
pub(super) fn next(now: usize, most: usize, requests: usize, took: Duration) -> usize {
    if took > SLOW && requests * 2 > now {
        (now / 2).max(LEAST.min(most))
    } else if took < QUICK && requests >= now {
        (now * 2).min(most)
    } else {
        now
    }
}

/// What becomes of the bound `now` when so many requests were more than the
/// store takes at once.
pub(super) fn shrunk(now: usize, most: usize, requests: usize) -> usize {
    now.min(requests / 2).max(LEAST.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_follows_the_time_that_full_batches_take() {
        let (quick, good, slow) =
            (Duration::from_millis(3), Duration::from_millis(30), Duration::from_millis(80));
        let after = |now, requests, took| next(now, 1_000, requests, took);
        assert_eq!(first(1_000), 256);
        assert_eq!(after(256, 255, quick), 256, "no one wanted more");
        assert_eq!(after(256, 256, quick), 512);
        assert_eq!(after(512, 512, quick), 1_000, "never beyond the setting");
        assert_eq!(after(1_000, 1_000, quick), 1_000);
        assert_eq!(after(1_000, 1_000, good), 1_000);
        assert_eq!(after(1_000, 20, slow), 1_000, "its size was not the reason");
        assert_eq!(after(1_000, 500, slow), 1_000, "it was but half full");
        assert_eq!(after(1_000, 501, slow), 500);
        assert_eq!(after(1_000, 1_000, slow), 500);
        assert_eq!(after(1_000, 1_000, SLOW), 1_000);
        assert_eq!(after(256, 256, QUICK), 256);
        let least = (0..9).fold(500, |now, _| after(now, now, slow));
        assert_eq!(least, 16);
        assert_eq!(first(1), 1);
        assert_eq!(shrunk(512, 512, 300), 150, "half of what was too much");
        assert_eq!(shrunk(64, 512, 300), 64, "it is smaller by now");
        assert_eq!(shrunk(64, 512, 3), 16);
        assert_eq!(next(1, 1, 1, slow), 1);
    }
}
