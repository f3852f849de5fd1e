//! Estimates the store's time between two observations of its clock.
//!
//! The estimate is the last observed time plus the monotonic time since. The host's
//! wall clock is never trusted, only compared with the monotonic clock: a drift
//! shows that the wall clock was set, or that the monotonic clock stopped while the
//! host was suspended.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
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
        let mut last = self.observation.lock();
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
        let observation = *self.observation.lock();
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
            .observation
            .lock()
            .filter(|observation| observation.is_prompt && observation.step(host) <= STEP)?;
        Some(self.clock.now(observation.now(host)))
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
pub(crate) mod tests;
