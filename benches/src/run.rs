//! The counts of one run of a load driver.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::contender::Answer;
use crate::fairness;

/// 90 seconds in nanoseconds: no run is longer.
const LONGEST: u64 = 90_000_000_000;
/// Latencies that a caller buffers before recording them, so that callers do
/// not contend for the histogram's mutex.
const LATENCY_BUFFER_LEN: usize = 64;

/// Creates an empty histogram of nanoseconds with three significant digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds make sense")
}

/// The counts of one run of a load driver.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// The counted duration.
    pub elapsed: Duration,
    /// Units done.
    pub done: u64,
    /// Units rejected.
    pub refused: u64,
    /// Failed requests by cause.
    pub failed: BTreeMap<String, u64>,
    /// Answered requests of each caller, in no order.
    pub per_caller: Vec<u64>,
    /// Latencies of answered requests, in nanoseconds.
    #[serde(with = "as_counts")]
    pub latency: Histogram<u64>,
    /// The longest wait of a caller, including one still unanswered at the end.
    pub longest: Duration,
}

impl Run {
    /// Units answered per second, done or rejected.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.done + self.refused) as f64 / self.elapsed.as_secs_f64()
    }

    /// Merges concurrent runs of several processes. Callers of one process stay
    /// contiguous.
    #[must_use]
    pub fn together(runs: Vec<Self>) -> Self {
        let mut all = Self {
            elapsed: Duration::ZERO,
            done: 0,
            refused: 0,
            failed: BTreeMap::new(),
            per_caller: Vec::new(),
            latency: histogram(),
            longest: Duration::ZERO,
        };
        for run in runs {
            all.elapsed = all.elapsed.max(run.elapsed);
            all.done += run.done;
            all.refused += run.refused;
            for (cause, count) in run.failed {
                *all.failed.entry(cause).or_default() += count;
            }
            all.per_caller.extend(run.per_caller);
            all.latency.add(&run.latency).expect("histograms of one kind add up");
            all.longest = all.longest.max(run.longest);
        }
        all
    }

    /// Jain's index among callers.
    #[must_use]
    pub fn jain(&self) -> f64 {
        fairness::jain(&self.per_caller)
    }
}

/// Serializes a histogram as pairs of value and count.
mod as_counts {
    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(all: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Histogram<u64>, D::Error> {
        let mut all = super::histogram();
        for (value, count) in Vec::<(u64, u64)>::deserialize(from)? {
            all.saturating_record_n(value, count);
        }
        Ok(all)
    }
}

/// The counts of one caller.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: u64,
    refused: u64,
    failed: BTreeMap<&'static str, u64>,
    latencies: Vec<u64>,
    longest: Duration,
}

impl Tally {
    /// Counts an answer with its latency.
    pub fn count(&mut self, answer: Answer, took: Duration, sink: &Sink) {
        match answer {
            Answer::Done => self.done += 1,
            Answer::Refused => self.refused += 1,
            Answer::Failed(cause) => *self.failed.entry(cause).or_default() += 1,
        }
        self.waited(took);
        self.latencies.push(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
        if self.latencies.len() == LATENCY_BUFFER_LEN {
            sink.take(&mut self.latencies);
        }
    }

    /// Records a wait whose answer is not counted.
    pub fn waited(&mut self, took: Duration) {
        self.longest = self.longest.max(took);
    }
}

/// Collects the latencies of all callers. A mutex suffices: callers buffer.
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

    /// Sums the counts of all callers; each request carried `units`.
    pub fn sum(&self, tallies: Vec<Tally>, units: u64, elapsed: Duration) -> Run {
        let mut failed = BTreeMap::<String, u64>::new();
        let (mut done, mut refused, mut longest) = (0, 0, Duration::ZERO);
        let mut per_caller = Vec::with_capacity(tallies.len());
        for mut tally in tallies {
            self.take(&mut tally.latencies);
            for (cause, count) in tally.failed {
                *failed.entry(cause.to_owned()).or_default() += count;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_from_process_to_process_and_adds_up() {
        let mut latency = histogram();
        latency.saturating_record_n(1_000_000, 3);
        let run = Run {
            elapsed: Duration::from_secs(2),
            done: 3,
            refused: 0,
            failed: BTreeMap::from([("contention".to_owned(), 1)]),
            per_caller: vec![2, 1],
            latency,
            longest: Duration::from_millis(1),
        };
        let text = serde_json::to_string(&run).unwrap_or_default();
        let copies = [&text, &text].map(|text| serde_json::from_str(text).expect("a run"));
        let both = Run::together(copies.into());
        assert_eq!((both.done, both.failed["contention"], both.latency.len()), (6, 2, 6));
        assert_eq!(both.per_caller, [2, 1, 2, 1]);
        assert_eq!(both.latency.value_at_quantile(0.5), run.latency.value_at_quantile(0.5));
    }
}
