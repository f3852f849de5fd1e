//! Interleaved rounds: contenders take turns, so that drift of the machine
//! affects all of them alike. Criterion measures one function to its end before
//! the next, so ratios are taken here.

use std::time::Duration;

use crate::closed::ClosedPlan;
use crate::erased::ErasedContender;
use crate::fairness::{jain, longest_over_median};
use crate::results::{Latency, Measure, Ratio, Row, Spread, Target};
use crate::run::{Run, histogram};

/// How long each contender runs before the first round.
const SETTLING: Duration = Duration::from_millis(100);

/// Two contenders to compare.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// The numerator.
    pub of: &'static str,
    /// The denominator.
    pub to: &'static str,
    /// The measure that is compared.
    pub what: Measure,
    /// The target, if any.
    pub wanted: Option<Target>,
}

impl Comparison {
    /// Compares rates.
    #[must_use]
    pub fn rate(of: &'static str, to: &'static str) -> Self {
        Self { of, to, what: Measure::Rate, wanted: None }
    }

    /// Compares median latencies.
    #[must_use]
    pub fn latency(of: &'static str, to: &'static str) -> Self {
        Self { of, to, what: Measure::MedianLatency, wanted: None }
    }

    /// Sets the target.
    #[must_use]
    pub fn wanted(mut self, wanted: Target) -> Self {
        self.wanted = Some(wanted);
        self
    }
}

/// All runs of one contender, in the order of rounds.
#[derive(Debug)]
pub struct Series {
    /// The contender's name.
    pub contender: String,
    has_callers: bool,
    runs: Vec<Run>,
}

/// Runs every contender once per round. The order rotates each round and is
/// reversed every other one, so that no contender always follows the same one.
pub async fn interleave(
    contenders: &[&dyn ErasedContender],
    plan: ClosedPlan,
    rounds: usize,
) -> Vec<Series> {
    let mut all: Vec<Series> = contenders
        .iter()
        .map(|contender| Series {
            contender: contender.name().to_owned(),
            has_callers: contender.has_callers(),
            runs: Vec::with_capacity(rounds),
        })
        .collect();
    for contender in contenders {
        // Not counted: id blocks and caches grow to the load.
        contender.closed(ClosedPlan { measured: SETTLING, ..plan }).await;
    }
    for round in 0..rounds {
        for place in order(contenders.len(), round) {
            let run = contenders[place].closed(plan).await;
            all[place].runs.push(run);
        }
    }
    all
}

fn order(contenders: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contenders).collect();
    order.rotate_left(round % contenders.max(1));
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Series {
    /// The runs of one contender without interleaving.
    #[must_use]
    pub fn of(contender: &dyn ErasedContender, runs: Vec<Run>) -> Self {
        Self { contender: contender.name().to_owned(), has_callers: contender.has_callers(), runs }
    }

    /// Returns the median rate.
    #[must_use]
    pub fn rate(&self) -> f64 {
        Spread::of(&self.rates()).median
    }

    fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(Run::rate).collect()
    }

    /// Summarizes the series for tables and files.
    #[must_use]
    pub fn row(&self) -> Row {
        let mut latency = histogram();
        let mut failed = std::collections::BTreeMap::new();
        let mut longest = 0;
        for run in &self.runs {
            // Both histograms have the same bounds.
            latency.add(&run.latency).expect("histograms of one kind add up");
            longest = longest.max(u64::try_from(run.longest.as_nanos()).unwrap_or(u64::MAX));
            for (cause, count) in &run.failed {
                *failed.entry(cause.clone()).or_default() += count;
            }
        }
        let quantiles = Latency::of(&latency);
        Row {
            contender: self.contender.clone(),
            rate: Spread::of(&self.rates()),
            rounds: self.rates(),
            intended: None,
            done: self.runs.iter().map(|run| run.done).sum(),
            refused: self.runs.iter().map(|run| run.refused).sum(),
            failed,
            latency: self.has_callers.then_some(quantiles),
            jain: self.has_callers.then(|| self.jain().median),
            longest_over_median: self
                .has_callers
                .then(|| longest_over_median(longest, quantiles.p50)),
        }
    }

    /// Jain's index of each round.
    #[must_use]
    pub fn jain(&self) -> Spread {
        Spread::of(&self.runs.iter().map(Run::jain).collect::<Vec<_>>())
    }

    /// Jain's index of each round among groups of callers, such as processes:
    /// contiguous and of equal size.
    #[must_use]
    pub fn jain_among(&self, groups: usize) -> Spread {
        let of_run = |run: &Run| {
            let size = (run.per_caller.len() / groups.max(1)).max(1);
            let shares: Vec<u64> =
                run.per_caller.chunks(size).map(|group| group.iter().sum()).collect();
            jain(&shares)
        };
        Spread::of(&self.runs.iter().map(of_run).collect::<Vec<_>>())
    }

    /// The longest wait over the median wait of each round.
    #[must_use]
    pub fn longest_over_median(&self) -> Spread {
        let of_run = |run: &Run| {
            let longest = u64::try_from(run.longest.as_nanos()).unwrap_or(u64::MAX);
            longest_over_median(longest, run.latency.value_at_quantile(0.5))
        };
        Spread::of(&self.runs.iter().map(of_run).collect::<Vec<_>>())
    }

    /// Failed requests over all rounds.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.runs.iter().flat_map(|run| run.failed.values()).sum()
    }

    /// Rejected units per second, of each round.
    #[must_use]
    pub fn refusals(&self) -> Spread {
        let of_run = |run: &Run| run.refused as f64 / run.elapsed.as_secs_f64();
        Spread::of(&self.runs.iter().map(of_run).collect::<Vec<_>>())
    }

    fn figures(&self, what: Measure) -> Vec<f64> {
        match what {
            Measure::Rate => self.rates(),
            Measure::MedianLatency => {
                self.runs.iter().map(|run| run.latency.value_at_quantile(0.5) as f64).collect()
            }
        }
    }
}

/// Computes the ratio of two series, round by round; nothing if one is missing.
#[must_use]
pub fn compare(all: &[Series], comparison: Comparison) -> Option<Ratio> {
    let find = |name: &str| all.iter().find(|series| series.contender == name);
    let (of, to) = (find(comparison.of)?, find(comparison.to)?);
    let (above, below) = (of.figures(comparison.what), to.figures(comparison.what));
    // A round without answers has no ratio.
    let rounds: Vec<f64> = above
        .iter()
        .zip(&below)
        .filter(|(_, below)| **below > 0.0)
        .map(|(above, below)| above / below)
        .collect();
    Some(Ratio {
        of: of.contender.clone(),
        to: to.contender.clone(),
        what: comparison.what,
        ratio: Spread::of(&rounds),
        rounds,
        wanted: comparison.wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_runs_once_a_round_and_the_order_turns() {
        assert_eq!(order(3, 0), [0, 1, 2]);
        assert_eq!(order(3, 1), [0, 2, 1]);
        assert_eq!(order(3, 2), [2, 0, 1]);
        assert!(order(0, 4).is_empty());
    }
}
