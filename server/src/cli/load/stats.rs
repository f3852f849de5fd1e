//! Counts and latencies of the requests of a sale.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest latency that is told apart, in microseconds: ten minutes.
const LATENCY_MAX_US: u64 = 600_000_000;

/// Two digits of a latency are exact.
const DIGITS: u8 = 2;

/// The seconds of a sale that are told apart; later ones count for the last.
const SECONDS_MAX: usize = 86_400;

/// A step of a buyer, or of its payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Hold,
    Cart,
    Release,
    Order,
    Payment,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Hold, Self::Cart, Self::Release, Self::Order, Self::Payment];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Cart => "cart",
            Self::Release => "release",
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Done,
    /// Not enough stock: how a sale ends for most, and no error.
    SoldOut,
    /// Refused for another reason, with its code.
    Refused(String),
    /// Not answered, or not as it should be.
    Failed,
}

/// The requests of one step.
#[derive(Debug, Clone)]
pub struct StepStats {
    pub done: u64,
    pub sold_out: u64,
    pub refused: BTreeMap<String, u64>,
    pub failed: u64,
    /// Microseconds from the moment at which the request should have been sent to its
    /// answer.
    pub latency: Histogram<u64>,
}

impl StepStats {
    fn new() -> Option<Self> {
        let latency = Histogram::new_with_max(LATENCY_MAX_US, DIGITS).ok()?;
        Some(Self { done: 0, sold_out: 0, refused: BTreeMap::new(), failed: 0, latency })
    }

    /// How many requests have ended.
    pub fn all(&self) -> u64 {
        self.done + self.sold_out + self.refused() + self.failed
    }

    /// How many were refused, but for want of stock.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// The answers to holds and carts within one second of the sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    pub held: u64,
    pub sold_out: u64,
}

/// All requests so far.
#[derive(Debug, Clone)]
pub struct Counts {
    pub steps: BTreeMap<Step, StepStats>,
    pub seconds: Vec<Second>,
}

/// Collects the requests of all buyers.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    /// Guards the counts, each time for one of them: a plain mutex, since nothing waits
    /// while it is held.
    counts: Mutex<Counts>,
}

impl Stats {
    /// Starts the clock; `None` if there is no such histogram, which its constants rule
    /// out.
    pub fn start() -> Option<Self> {
        let steps = Step::ALL.into_iter().map(|step| Some((step, StepStats::new()?)));
        let counts = Counts { steps: steps.collect::<Option<_>>()?, seconds: Vec::new() };
        Some(Self { started: Instant::now(), counts: Mutex::new(counts) })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request that should have been sent at `due` and is answered now.
    pub fn record(&self, step: Step, due: Instant, reply: &Reply) {
        let latency = due.elapsed().as_micros().try_into().unwrap_or(LATENCY_MAX_US);
        let second = self.started.elapsed().as_secs();
        let mut counts = self.lock();
        if let Some(stats) = counts.steps.get_mut(&step) {
            stats.latency.saturating_record(latency);
            match reply {
                Reply::Done => stats.done += 1,
                Reply::SoldOut => stats.sold_out += 1,
                Reply::Refused(code) => *stats.refused.entry(code.clone()).or_default() += 1,
                Reply::Failed => stats.failed += 1,
            }
        }
        if matches!(step, Step::Hold | Step::Cart) {
            let at = usize::try_from(second).unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
            if counts.seconds.len() <= at {
                counts.seconds.resize(at + 1, Second::default());
            }
            match reply {
                Reply::Done => counts.seconds[at].held += 1,
                Reply::SoldOut => counts.seconds[at].sold_out += 1,
                Reply::Refused(_) | Reply::Failed => {}
            }
        }
    }

    /// Returns the counts so far.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// How long the sale lasts.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Bounds of the bars of a histogram of latencies, in milliseconds; the last has none.
pub const BARS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Returns how many latencies are within each bound, and beyond the one before.
pub fn bars(latency: &Histogram<u64>) -> [u64; BARS_MS.len() + 1] {
    let mut bars = [0; BARS_MS.len() + 1];
    for value in latency.iter_recorded() {
        let us = value.value_iterated_to();
        let at = BARS_MS.iter().position(|ms| us <= ms * 1_000).unwrap_or(BARS_MS.len());
        bars[at] += value.count_at_value();
    }
    bars
}

/// Microseconds as milliseconds.
pub fn ms(us: u64) -> f64 {
    // Latencies are far below 2^53.
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_counts_from_the_moment_at_which_the_request_was_due() {
        let stats = Stats::start().unwrap();
        let due = Instant::now().checked_sub(Duration::from_millis(300)).unwrap();
        stats.record(Step::Hold, due, &Reply::Done);
        stats.record(Step::Hold, Instant::now(), &Reply::SoldOut);
        stats.record(Step::Order, due, &Reply::Refused("hold_expired".to_owned()));
        let counts = stats.counts();
        let hold = &counts.steps[&Step::Hold];
        assert_eq!((hold.done, hold.sold_out, hold.all()), (1, 1, 2));
        assert!(hold.latency.max() >= 298_000, "{}", hold.latency.max());
        let bars = bars(&hold.latency);
        assert_eq!((bars.iter().sum::<u64>(), bars[8]), (2, 1), "{bars:?}");
        assert_eq!(counts.seconds, [Second { held: 1, sold_out: 1 }]);
        assert_eq!(counts.steps[&Step::Order].refused["hold_expired"], 1);
    }
}
