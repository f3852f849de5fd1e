//! What one run of a driver counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::contender::Answer;
use crate::fairness;

/// A minute and a half in nanoseconds: no run is longer.
const LONGEST: u64 = 90_000_000_000;
/// Latencies that a caller keeps before it hands them in, so that callers do
/// not meet at the histogram's lock.
const HANDED_IN_AT: usize = 64;

/// An empty histogram of nanoseconds with three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds make sense")
}

/// What one run of a driver counted.
#[derive(Debug)]
pub struct Run {
    /// How long was counted.
    pub elapsed: Duration,
    /// Units done.
    pub done: u64,
    /// Units refused.
    pub refused: u64,
    /// Requests that failed, by cause.
    pub failed: BTreeMap<&'static str, u64>,
    /// Answered requests of each caller, in no order.
    pub per_caller: Vec<u64>,
    /// Nanoseconds that answered requests took.
    pub latency: Histogram<u64>,
    /// The longest that a caller waited, also one whose answer had not come
    /// when the run was over.
    pub longest: Duration,
}

impl Run {
    /// Units answered in a second, done or refused.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.done + self.refused) as f64 / self.elapsed.as_secs_f64()
    }

    /// Jain's index among callers.
    #[must_use]
    pub fn jain(&self) -> f64 {
        fairness::jain(&self.per_caller)
    }
}

/// What one caller counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: u64,
    refused: u64,
    failed: BTreeMap<&'static str, u64>,
    latencies: Vec<u64>,
    longest: Duration,
}

impl Tally {
    /// Counts an answer that took `took`.
    pub fn count(&mut self, answer: Answer, took: Duration, sink: &Sink) {
        match answer {
            Answer::Done => self.done += 1,
            Answer::Refused => self.refused += 1,
            Answer::Failed(cause) => *self.failed.entry(cause).or_default() += 1,
        }
        self.waited(took);
        self.latencies.push(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
        if self.latencies.len() == HANDED_IN_AT {
            sink.take(&mut self.latencies);
        }
    }

    /// Notes a wait whose answer is not counted.
    pub fn waited(&mut self, took: Duration) {
        self.longest = self.longest.max(took);
    }
}

/// Where callers hand in their latencies.
#[derive(Debug)]
pub(crate) struct Sink(Mutex<Histogram<u64>>);

impl Sink {
    pub fn new() -> Self {
        Self(Mutex::new(histogram()))
    }

    fn take(&self, latencies: &mut Vec<u64>) {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for latency in latencies.drain(..) {
            histogram.saturating_record(latency);
        }
    }

    /// Adds up what all callers counted; each request carried `units`.
    pub fn sum(&self, tallies: Vec<Tally>, units: u64, elapsed: Duration) -> Run {
        let mut failed = BTreeMap::<_, u64>::new();
        let (mut done, mut refused, mut longest) = (0, 0, Duration::ZERO);
        let mut per_caller = Vec::with_capacity(tallies.len());
        for mut tally in tallies {
            self.take(&mut tally.latencies);
            for (cause, count) in tally.failed {
                *failed.entry(cause).or_default() += count;
            }
            per_caller.push(tally.done + tally.refused);
            done += tally.done * units;
            refused += tally.refused * units;
            longest = longest.max(tally.longest);
        }
        let latency = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Run { elapsed, done, refused, failed, per_caller, latency, longest }
    }
}
