//! Tries to break what Stockade promises, and writes down what it found.
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
pub mod outcome;
pub mod report;
pub mod simulation;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The long form, or the short one that CI runs.
    pub is_long: bool,
    /// The first seed; the others follow it. A failing run names its seed.
    pub seed: u64,
    /// How many seeds, where a part's own number is not wanted.
    pub seeds: Option<u64>,
}

impl Extent {
    /// How many seeds a part tries that has these numbers of its own.
    #[must_use]
    pub fn seeds(&self, short: u64, long: u64) -> u64 {
        self.seeds.unwrap_or(if self.is_long { long } else { short })
    }
}
