//! What a bench saves: `target/stockade-benches/<bench>.json`.
//!
//! [`Report`] is the file's schema. Rates are units in a second, latencies are
//! nanoseconds; a unit is what the bench's `unit` says. A field is never given
//! another meaning without a new [`SCHEMA`]; a reader skips fields it does not
//! know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The schema's number.
pub const SCHEMA: u32 = 1;

/// One run of one bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The bench's name.
    pub bench: String,
    /// Whether runs were short (`--quick`).
    pub quick: bool,
    /// When it ended, in seconds since 1970.
    pub at: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Contenders against each other, in the order in which they ran.
    pub groups: Vec<Group>,
}

/// Where a bench ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that the bench could use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// What it takes to append 4 KiB to a file and `fdatasync` it, where the
    /// bench's data is.
    pub fsync: Latency,
    /// MariaDB's version; empty where the bench does without.
    pub mariadb: String,
    /// MySQL's version; empty where the bench does without.
    #[serde(default)]
    pub mysql: String,
    /// Redis's version; empty where the bench does without.
    pub redis: String,
    /// SQLite's version.
    pub sqlite: String,
    /// The compiler's version.
    pub rustc: String,
}

/// Contenders measured against each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// `<bench>/<where>/<callers>`, with `/open` behind it for an open loop.
    pub name: String,
    /// What is counted, such as `holds`.
    pub unit: String,
    /// Where the rows are: `mariadb`, `mysql`, `sqlite` or `memory`.
    pub place: String,
    /// Callers, or the most requests under way in an open loop.
    pub callers: usize,
    /// How requests were made.
    pub load: Load,
    /// One for each contender and, in an open loop, rate.
    pub rows: Vec<Row>,
    /// Contenders compared, round by round.
    pub ratios: Vec<Ratio>,
    /// Other figures of the group.
    pub figures: Vec<Figure>,
}

/// How requests were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Each caller waits for its answer. Latencies are those of a machine at
    /// its limit and hide what callers would have asked meanwhile.
    Closed,
    /// A fixed rate; latencies count from the moment at which a request
    /// should have been sent.
    Open,
}

/// One contender in one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The contender's name.
    pub contender: String,
    /// Units answered in a second.
    pub rate: Spread,
    /// The rate of each round.
    pub rounds: Vec<f64>,
    /// Requests in a second that were to be sent, in an open loop.
    pub intended: Option<f64>,
    /// Units done, over all rounds.
    pub done: u64,
    /// Units refused, over all rounds.
    pub refused: u64,
    /// Requests that failed, by cause, over all rounds.
    pub failed: BTreeMap<String, u64>,
    /// What requests took, over all rounds; none where there are no callers.
    pub latency: Option<Latency>,
    /// Jain's index among callers, the median of rounds.
    pub jain: Option<f64>,
    /// The longest wait of all rounds over the median wait.
    pub longest_over_median: Option<f64>,
}

/// One contender over another, round by round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ratio {
    /// The contender above the line.
    pub of: String,
    /// The contender below it.
    pub to: String,
    /// What is compared.
    pub what: Measure,
    /// Over all rounds.
    pub ratio: Spread,
    /// The ratio of each round.
    pub rounds: Vec<f64>,
    /// What is wanted, if anything is.
    pub wanted: Option<Wanted>,
}

/// A figure that is no ratio of contenders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// The figure, over all rounds where it was taken in each.
    pub value: Spread,
    /// What is wanted, if anything is.
    pub wanted: Option<Wanted>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Units in a second.
    Rate,
    /// The median latency.
    MedianLatency,
}

/// A bound that a figure should keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Wanted {
    /// Whether a figure keeps the bound.
    #[must_use]
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

/// The median of rounds, the least and the greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of one number.
    #[must_use]
    pub fn alone(number: f64) -> Self {
        Self { median: number, min: number, max: number }
    }

    /// Of these numbers; zeros where there are none.
    #[must_use]
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Self::default();
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Self { median, min: *min, max: *max }
    }
}

/// Quantiles of a latency, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half are below.
    pub p50: u64,
    /// 99% are below.
    pub p99: u64,
    /// 99.9% are below.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Latency {
    /// Of what was recorded.
    #[must_use]
    pub fn of(recorded: &Histogram<u64>) -> Self {
        Self {
            p50: recorded.value_at_quantile(0.5),
            p99: recorded.value_at_quantile(0.99),
            p999: recorded.value_at_quantile(0.999),
            max: recorded.max(),
        }
    }
}

impl Report {
    /// Writes the file and returns where it is.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self) -> io::Result<PathBuf> {
        let folder = folder()?;
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}.json", self.bench));
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Reads the file of a bench that ran before.
    ///
    /// # Errors
    /// When there is none or it has another schema.
    pub fn load(bench: &str) -> io::Result<Self> {
        let report: Self =
            serde_json::from_slice(&fs::read(folder()?.join(format!("{bench}.json")))?)?;
        if report.schema != SCHEMA {
            return Err(io::Error::other(format!("schema {}, expected {SCHEMA}", report.schema)));
        }
        Ok(report)
    }
}

/// Where results are kept.
fn folder() -> io::Result<PathBuf> {
    Ok(target()?.join("stockade-benches"))
}

/// The folder that cargo builds in, which it marks.
pub(crate) fn target() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let target = target.ok_or_else(|| io::Error::other("not in a folder that cargo builds in"))?;
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_median_of_odd_and_even_counts() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert!((Spread::of(&[4.0, 1.0, 2.0, 3.0]).median - 2.5).abs() < 1e-9);
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn a_bound_is_kept_or_not() {
        assert!(Wanted::AtLeast(0.7).is_met(0.7) && !Wanted::AtLeast(0.7).is_met(0.69));
        assert!(Wanted::AtMost(1.25).is_met(1.2) && !Wanted::AtMost(1.25).is_met(1.3));
    }
}
