//! Collects the findings of fault cases.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::results::{Row, Violation};

/// The recovery time objective after a kill.
const RECOVERY_MAX: Duration = Duration::from_secs(5);
/// Bounds the messages kept per row.
const MESSAGES_MAX: usize = 10;

/// The findings of one case or of many.
#[derive(Debug, Default)]
pub struct Findings {
    pub injected: u64,
    pub operations: u64,
    pub recovery: Option<Duration>,
    /// Further counters.
    pub counts: BTreeMap<&'static str, u64>,
    /// The longest of each measured duration, with its limit.
    longest: BTreeMap<&'static str, (Duration, Option<Duration>)>,
    broken: Vec<(Violation, u64)>,
    /// Cases that ended by a panic.
    cut_short: u64,
    /// Descriptions of the violations.
    pub messages: Vec<String>,
}

impl Findings {
    pub fn blame(&mut self, broken: Violation, times: u64, why: impl FnOnce() -> String) {
        self.broken.push((broken, times));
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(format!("{broken:?}: {}", why()));
        }
    }

    /// Records that a panic ended the case.
    pub fn cut_short(&mut self, why: String) {
        self.cut_short += 1;
        self.count("cases cut short", 1);
        self.messages.push(why);
    }

    pub fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.cut_short == 0
    }

    pub fn recovered(&mut self, after: Duration) {
        self.recovery = self.recovery.max(Some(after));
    }

    pub fn count(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    pub fn measure(&mut self, what: &'static str, took: Duration) {
        self.keep_longest(what, (took, None));
    }

    /// Records a duration with its limit.
    pub fn measure_within(&mut self, limit: Duration, what: &'static str, took: Duration) {
        self.keep_longest(what, (took, Some(limit)));
    }

    fn keep_longest(&mut self, what: &'static str, (took, limit): (Duration, Option<Duration>)) {
        let longest = self.longest.entry(what).or_insert((took, limit));
        longest.0 = took.max(longest.0);
    }

    pub fn absorb(&mut self, other: Self) {
        self.injected += other.injected;
        self.operations += other.operations;
        self.recovery = self.recovery.max(other.recovery);
        other.counts.into_iter().for_each(|(what, times)| self.count(what, times));
        other.longest.into_iter().for_each(|(what, took)| self.keep_longest(what, took));
        self.broken.extend(other.broken);
        self.cut_short += other.cut_short;
        self.messages.extend(other.messages);
        self.messages.truncate(MESSAGES_MAX);
    }

    /// Formats the report row.
    pub fn row(&self, fault: &str, deployment: &str) -> Row {
        let counts = self.counts.iter().map(|(what, times)| format!("{what}: {times}"));
        let longest = |(what, (took, limit)): (_, &(Duration, Option<Duration>))| {
            let kept = limit.map_or_else(String::new, |limit| kept(*took, limit));
            format!("{what}: {:.2} s{kept}", took.as_secs_f64())
        };
        let recovery = self.recovery.map(|took| format!("recovery{}", kept(took, RECOVERY_MAX)));
        let notes = recovery.into_iter().chain(counts).chain(self.longest.iter().map(longest));
        let mut row = Row {
            fault: fault.to_owned(),
            deployment: deployment.to_owned(),
            injected: self.injected,
            operations: self.operations,
            cut_short: self.cut_short,
            recovery: self.recovery,
            note: notes.collect::<Vec<_>>().join(", "),
            ..Row::default()
        };
        self.broken.iter().for_each(|(broken, times)| row.blame(*broken, *times));
        row
    }
}

/// Formats whether a limit was kept.
fn kept(took: Duration, limit: Duration) -> String {
    let kept = if took > limit { "not kept" } else { "kept" };
    format!(" (limit {} s: {kept})", limit.as_secs())
}
