//! Clocks that are slow, set, or ahead of the newest commit.

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
        let mut clocks = self.0.lock();
        *clocks = (clocks.0.after(time), clocks.1 + time);
    }

    /// Sets the wall clock alone.
    pub fn set(&self, wall: Timestamp) {
        self.0.lock().0 = wall;
    }

    /// Sets the wall clock ahead.
    pub fn step(&self, by: Duration) {
        self.set(self.wall().after(by));
    }
}

impl HostClock for SetClock {
    fn wall(&self) -> Timestamp {
        self.0.lock().0
    }

    fn monotonic(&self) -> Instant {
        self.0.lock().1
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
        let late =
            time.start_observation().checked_sub(PROMPT * 2).expect("the machine runs for longer");
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
