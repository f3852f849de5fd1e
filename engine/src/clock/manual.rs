//! A clock that a test moves.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::{Clock, HostClock, SystemClock};
use crate::error::{Error, Result};
use crate::model::Timestamp;

/// The longest single move: the settings allow no longer time either.
const MOVE_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The latest time, 9989-01-01 in UTC: what ends within ten years of it still has four
/// digits in its year, as RFC 3339 demands.
const LATEST: i64 = 253_055_232_000_000_000;

/// Stands still until a test moves it, whatever the store's clock shows.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stockade::{Engine, HoldRequest, HoldStatus, ManualClock, NewProduct};
///
/// let clock = Arc::new(ManualClock::new());
/// let builder = Engine::builder().store("sqlite::memory:").hold_ttl(Duration::from_secs(60));
/// let engine = builder.clock(clock.clone()).open()?;
/// let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
/// let hold = engine.create_hold(HoldRequest::new(lamp.id, 5))?.value;
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(engine.hold(hold.id)?.status, HoldStatus::Expired);
/// # }
/// # Ok::<(), stockade::Error>(())
/// ```
pub struct ManualClock {
    micros: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// Returns a clock that stands at the host's present time.
    #[must_use]
    pub fn new() -> Self {
        Self::at(SystemClock.wall())
    }

    /// Returns a clock that stands at this time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self { micros: AtomicI64::new(within_limits(time)), moved: Notify::new() }
    }

    /// Returns the time at which it stands.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    /// Moves forward by the whole of `by`, or stays where it is.
    ///
    /// # Errors
    /// `invalid_argument` for more than ten years, and beyond the last time.
    pub(crate) fn advance_exactly(&self, by: Duration) -> Result<Timestamp> {
        if by > MOVE_MAX {
            let why = format!("a clock is moved by at most ten years at once, got {by:?}");
            return Err(Error::invalid_argument(why));
        }
        let later = |now: i64| {
            let later = now.checked_add(i64::try_from(by.as_micros()).ok()?)?;
            (later <= LATEST).then_some(later)
        };
        let moved = self.micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        let (Ok(before) | Err(before)) = moved;
        let before = Timestamp::from_micros(before);
        if moved.is_err() {
            let why = format!("a clock is moved no further than 9989-01-01; it stands at {before}");
            return Err(Error::invalid_argument(why));
        }
        self.announce();
        Ok(before.after(by))
    }

    /// Wakes the sweeper that waits, or the next one that will.
    fn announce(&self) {
        self.moved.notify_waiters();
        self.moved.notify_one();
    }
}

#[cfg(any(feature = "testing", test))]
impl ManualClock {
    /// Moves forward, and returns the new time. The year 9989 is the last that it
    /// reaches; microseconds are the shortest that it moves by.
    pub fn advance(&self, by: Duration) -> Timestamp {
        let later = |now| Some(within_limits(Timestamp::from_micros(now).after(by)));
        // The closure always returns a time, so that both cases hold the one before.
        let (Ok(before) | Err(before)) =
            self.micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        self.announce();
        Timestamp::from_micros(within_limits(Timestamp::from_micros(before).after(by)))
    }

    /// Moves to exactly this time, also back. The times that it reaches begin with
    /// 1970 and end with the year 9989.
    pub fn set(&self, to: Timestamp) {
        self.micros.store(within_limits(to), Ordering::SeqCst);
        self.announce();
    }
}

fn within_limits(time: Timestamp) -> i64 {
    time.micros().clamp(0, LATEST)
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("time", &self.time()).finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now(&self, _store: Timestamp) -> Timestamp {
        self.time()
    }

    fn moved(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.moved.notified())
    }

    fn as_manual(&self) -> Option<&ManualClock> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_735_732_800_000_000);

    #[test]
    fn clock_moves_by_the_given_time_and_stands_still_otherwise() {
        let clock = ManualClock::at(NOW);
        assert_eq!(clock.now(Timestamp::from_micros(1)), NOW);
        assert_eq!(clock.advance(Duration::ZERO), NOW);
        let later = NOW.after(Duration::from_micros(1_500_000));
        assert_eq!(clock.advance(Duration::from_nanos(1_500_000_999)), later);
        assert_eq!(clock.advance_exactly(Duration::from_secs(1)).expect("moves"), clock.time());
        assert_eq!(clock.time(), later.after(Duration::from_secs(1)));
        clock.set(NOW);
        assert_eq!(clock.time(), NOW);
    }

    #[test]
    fn exact_move_is_refused_when_it_is_too_long_or_ends_too_late() {
        let clock = ManualClock::at(NOW);
        for by in [MOVE_MAX + Duration::from_nanos(1), Duration::MAX] {
            let refused = clock.advance_exactly(by).expect_err("refused");
            assert_eq!(refused.code(), "invalid_argument");
        }
        assert_eq!(clock.time(), NOW);
        clock.set("9988-12-31T23:59:59Z".parse().expect("a time"));
        assert!(clock.advance_exactly(Duration::from_micros(1_000_001)).is_err());
        let last = clock.advance_exactly(Duration::from_secs(1)).expect("moves");
        assert_eq!(last.to_string(), "9989-01-01T00:00:00.000000Z");
        assert!(last.after(MOVE_MAX).to_string().starts_with("9999-01-"));
    }

    #[test]
    fn clock_stops_at_the_ends_of_time() {
        let clock = ManualClock::at(Timestamp::from_micros(i64::MIN));
        assert_eq!(clock.time(), Timestamp::from_micros(0));
        assert_eq!(clock.advance(Duration::MAX), Timestamp::from_micros(LATEST));
        clock.set(Timestamp::from_micros(i64::MAX));
        assert_eq!(clock.time(), Timestamp::from_micros(LATEST));
    }
}
