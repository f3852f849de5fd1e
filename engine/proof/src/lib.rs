//! Tests Stockade's guarantees under faults and writes a report of the findings.
//!
//! Each part has a short form, which the tests run, and a long form:
//! `stockade-proof all --long` runs every part and writes `RELIABILITY.md`.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a check reports by panicking: there is nothing to recover"
)]

pub mod clusters;
pub mod faults;
pub mod histories;
pub mod planted;
pub mod report;
pub mod results;
pub mod simulation;

use results::Row;

/// How many cases a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The long form, or the short one that CI runs.
    pub is_long: bool,
    /// The first seed; the others follow it. A failing run names its seed.
    pub seed: u64,
    /// Overrides each part's own number of seeds.
    pub seeds: Option<u64>,
    /// Whether the run ends at the first seed with a violation.
    pub until_broken: bool,
}

/// The short form.
impl Default for Extent {
    fn default() -> Self {
        Self { is_long: false, seed: 1, seeds: None, until_broken: false }
    }
}

impl Extent {
    /// Returns the number of seeds for a part with these defaults.
    #[must_use]
    pub fn seeds(&self, short: u64, long: u64) -> u64 {
        self.seeds.unwrap_or(if self.is_long { long } else { short })
    }

    /// Runs the cases in sequence; with `until_broken`, ends after the first with
    /// a violation.
    pub(crate) fn run_each<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        run: impl Fn(T) -> Row,
    ) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for one in all {
            rows.push(run(one));
            if self.until_broken && !rows.iter().all(Row::is_clean) {
                break;
            }
        }
        rows
    }

    /// Returns the command-line arguments that select this extent.
    pub(crate) fn args(&self) -> Vec<String> {
        let Self { is_long, seed, seeds, until_broken } = *self;
        let mut args = vec!["--seed".to_owned(), seed.to_string()];
        args.extend(seeds.iter().flat_map(|seeds| ["--seeds".to_owned(), seeds.to_string()]));
        args.extend(is_long.then(|| "--long".to_owned()));
        args.extend(until_broken.then(|| "--until-broken".to_owned()));
        args
    }
}
