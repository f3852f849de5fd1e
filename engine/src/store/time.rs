//! Estimates the store's time between two observations of its clock.
//!
//! The estimate is the last observed time plus the monotonic time since. The host's
//! wall clock is never trusted, only compared with the monotonic clock: a drift
//! shows that the wall clock was set, or that the monotonic clock stopped while the
//! host was suspended.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

use crate::clock::{Clock, HostClock};
use crate::model::Timestamp;

/// The round trip up to which an observation is exact enough for speculation: its
/// error is at most the round trip.
const PROMPT: Duration = Duration::from_millis(100);
/// A drift between wall and monotonic clock beyond this is a step or a suspend:
/// NTP slews a clock by half a millisecond in a second.
const STEP: Duration = Duration::from_millis(100);
/// How far a wall clock may be set back before the time of a store without a clock
/// follows it; until then that time pauses. NTP corrects a fraction of a second; a
/// larger step corrects a wrong clock, for which expiry must not wait.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Keeps the time of one store: by the store's clock, or the host's if the store
/// has none.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    host: Arc<dyn HostClock>,
    /// The latest time of a store without a clock: its time never runs backwards.
    latest: AtomicI64,
    /// Guards the last observation of a store with a clock. A plain mutex: each
    /// critical section copies it and never awaits.
    observation: Mutex<Option<Observation>>,
    /// Counts steps of the host's wall clock.
    steps: Counter,
}

/// The store's clock, and the host's clocks when the response arrived.
#[derive(Debug, Clone, Copy)]
struct Observation {
    store: Timestamp,
    wall: Timestamp,
    at: Instant,
    is_prompt: bool,
}

impl Observation {
    fn elapsed(&self, host: &dyn HostClock) -> Duration {
        host.monotonic().saturating_duration_since(self.at)
    }

    fn now(&self, host: &dyn HostClock) -> Timestamp {
        self.store.after(self.elapsed(host))
    }

    /// The drift between the host's clocks since.
    fn step(&self, host: &dyn HostClock) -> Duration {
        let wall = host.wall();
        let expected = self.wall.after(self.elapsed(host));
        expected.until(wall).max(wall.until(expected))
    }
}

impl Timekeeper {
    pub fn new(clock: Arc<dyn Clock>, host: Arc<dyn HostClock>, steps: Counter) -> Self {
        let (latest, observation) = (AtomicI64::new(i64::MIN), Mutex::default());
        Self { clock, host, latest, observation, steps }
    }

    /// When a clock read starts, for [`Timekeeper::observe`].
    pub fn start_observation(&self) -> Instant {
        self.host.monotonic()
    }

    /// Records a read of the store's clock that started at `started`, and returns the
    /// time for decisions.
    pub fn observe(&self, store: Option<Timestamp>, started: Instant) -> Timestamp {
        let Some(store) = store else {
            return self.clock.now(self.process());
        };
        let at = self.host.monotonic();
        // A slow response bounds the time of the clock read only loosely.
        let is_prompt = at.saturating_duration_since(started) <= PROMPT;
        let observation = Observation { store, wall: self.host.wall(), at, is_prompt };
        let mut last = self.observation();
        let step = last.map_or(Duration::ZERO, |last| last.step(self.host.as_ref()));
        if is_prompt || last.is_none() || step > STEP {
            *last = Some(observation);
        }
        drop(last);
        if step > PAUSE_MAX {
            self.steps.inc();
            tracing::warn!(?step, "the host's clock was set, or the host was suspended");
        }
        self.clock.now(store)
    }

    /// Resumes the time of a store without a clock from its newest commit.
    pub fn resume(&self, newest: Timestamp) {
        let ahead = self.host.wall().until(newest);
        if ahead <= PAUSE_MAX {
            self.latest.fetch_max(newest.micros(), Ordering::Relaxed);
            return;
        }
        self.steps.inc();
        tracing::warn!(
            ?ahead,
            %newest,
            "the store's newest commit is ahead of the host's clock: check that clock"
        );
    }

    /// Estimates the store's time, exact enough for the age of a cached row.
    pub fn estimate(&self) -> Timestamp {
        let observation = *self.observation();
        self.clock.now(match observation {
            Some(observation) => observation.now(self.host.as_ref()),
            None => self.process(),
        })
    }

    /// Estimates the store's time, exact enough for speculation; `None` unless the
    /// last observation was prompt and the host's clocks have not drifted since.
    pub fn speculate(&self) -> Option<Timestamp> {
        let host = self.host.as_ref();
        let observation = self
            .observation()
            .filter(|observation| observation.is_prompt && observation.step(host) <= STEP)?;
        Some(self.clock.now(observation.now(host)))
    }

    fn observation(&self) -> MutexGuard<'_, Option<Observation>> {
        // It is replaced as a whole.
        self.observation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host's time. It pauses instead of running backwards, unless the clock was
    /// set back by more than [`PAUSE_MAX`].
    fn process(&self) -> Timestamp {
        let now = self.host.wall();
        let before = self.latest.fetch_max(now.micros(), Ordering::Relaxed);
        let back = now.until(Timestamp::from_micros(before));
        if back <= PAUSE_MAX {
            return now.max(Timestamp::from_micros(before));
        }
        let order = Ordering::Relaxed;
        if self.latest.compare_exchange(before, now.micros(), order, order).is_ok() {
            self.steps.inc();
            tracing::warn!(?back, "the host's clock was set back; the store's time follows it");
        }
        now
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::StoreClock;

    const HOUR: Duration = Duration::from_secs(3_600);
    const SECOND: Duration = Duration::from_secs(1);

    /// Clocks that stand still until a test moves them.
    pub(crate) struct SetClock(Mutex<(Timestamp, Instant)>);

    impl SetClock {
        pub fn new() -> Arc<Self> {
            Arc::new(Self(Mutex::new((chrono::Utc::now().into(), Instant::now()))))
        }

        /// Lets time pass on both clocks.
        pub fn pass(&self, time: Duration) {
            let mut clocks = self.0.lock().expect("no panic");
            *clocks = (clocks.0.after(time), clocks.1 + time);
        }

        /// Sets the wall clock alone.
        pub fn set(&self, wall: Timestamp) {
            self.0.lock().expect("no panic").0 = wall;
        }

        /// Sets the wall clock ahead.
        pub fn step(&self, by: Duration) {
            self.set(self.wall().after(by));
        }
    }

    impl HostClock for SetClock {
        fn wall(&self) -> Timestamp {
            self.0.lock().expect("no panic").0
        }

        fn monotonic(&self) -> Instant {
            self.0.lock().expect("no panic").1
        }
    }

    fn keeper(host: &Arc<SetClock>) -> Timekeeper {
        Timekeeper::new(Arc::new(StoreClock), Arc::clone(host) as _, Counter::default())
    }

    #[test]
    fn a_slow_clock_read_does_not_move_the_estimate() {
        let host = SetClock::new();
        let time = keeper(&host);
        let now = host.wall();
        let late =
            time.start_observation().checked_sub(PROMPT * 2).expect("the machine runs for longer");
        assert_eq!(time.estimate(), now, "nothing was observed");
        assert_eq!(time.speculate(), None);
        time.observe(Some(now.after(HOUR)), late);
        assert_eq!(time.estimate(), now.after(HOUR), "better than nothing");
        assert_eq!(time.speculate(), None, "but not good enough");
        time.observe(Some(now), late);
        assert_eq!(time.estimate(), now.after(HOUR), "worse than what is known");
        time.observe(Some(now), time.start_observation());
        assert_eq!((time.estimate(), time.speculate()), (now, Some(now)));
        host.pass(SECOND);
        assert_eq!(time.speculate(), Some(now.after(SECOND)));
    }

    #[test]
    fn a_step_of_the_wall_clock_ends_speculation_until_the_next_observation() {
        let host = SetClock::new();
        let time = keeper(&host);
        let store = Timestamp::from_micros(1_000_000_000);
        let back = host.wall();
        for (at, wall) in [(0, back.after(HOUR)), (1, back)] {
            let now = store.after(SECOND * at);
            time.observe(Some(now), time.start_observation());
            host.pass(SECOND);
            assert_eq!(time.speculate(), Some(now.after(SECOND)));
            host.set(wall);
            assert_eq!(time.speculate(), None);
            assert_eq!(time.estimate(), now.after(SECOND));
            let late = time
                .start_observation()
                .checked_sub(PROMPT * 2)
                .expect("the machine runs for longer");
            time.observe(Some(now.after(SECOND)), late);
            assert_eq!(time.speculate(), None, "a late answer is not enough");
        }
        assert_eq!(time.steps.get(), 2);
        time.observe(Some(store), time.start_observation());
        assert_eq!(time.speculate(), Some(store));
        host.step(STEP);
        assert_eq!(time.speculate(), Some(store), "so far NTP may move it");
    }

    #[test]
    fn without_a_store_s_clock_time_pauses_for_a_small_step_back_and_follows_a_large_one() {
        let host = SetClock::new();
        let time = keeper(&host);
        let real = host.wall();
        let observe = || time.observe(None, time.start_observation());
        assert_eq!(observe(), real);
        host.set(real.after(PAUSE_MAX));
        assert_eq!(observe(), real.after(PAUSE_MAX));
        host.set(real);
        assert_eq!(observe(), real.after(PAUSE_MAX), "it does not run backwards");
        assert_eq!(time.steps.get(), 0);
        host.set(real.after(HOUR));
        assert_eq!(observe(), real.after(HOUR));
        host.set(real);
        assert_eq!((observe(), time.estimate()), (real, real), "the clock was wrong");
        assert_eq!(time.steps.get(), 1, "noticed once");
        host.pass(SECOND);
        assert_eq!(observe(), real.after(SECOND));
    }

    #[test]
    fn time_resumes_from_a_near_commit_only() {
        let host = SetClock::new();
        let real = host.wall();
        for (ahead, expected, steps) in
            [(SECOND, real.after(SECOND), 0), (PAUSE_MAX * 2, real, 1), (HOUR, real, 1)]
        {
            let time = keeper(&host);
            time.resume(real.after(ahead));
            assert_eq!(time.observe(None, time.start_observation()), expected, "{ahead:?}");
            assert_eq!(time.steps.get(), steps, "{ahead:?}");
        }
    }
}
