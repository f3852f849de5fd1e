//! The results that a bench saves: `target/stockade-benches/<bench>.json`.
//!
//! [`Report`] is the file's schema. Rates are units per second, latencies are
//! nanoseconds; the unit is the group's `unit`. A field never changes its
//! meaning without a new [`SCHEMA`]; readers skip unknown fields.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The schema version.
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
    /// The machine it ran on.
    pub machine: Machine,
    /// The groups, in the order in which they ran.
    pub groups: Vec<Group>,
}

/// The machine of a bench.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processors available to the bench.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The latency of appending 4 KiB to a file and `fdatasync`, in the
    /// directory of the bench's data.
    pub fsync: Latency,
    /// MariaDB's version; empty if unused.
    pub mariadb: String,
    /// MySQL's version; empty if unused.
    #[serde(default)]
    pub mysql: String,
    /// Redis's version; empty if unused.
    pub redis: String,
    /// SQLite's version.
    pub sqlite: String,
    /// The compiler's version.
    pub rustc: String,
}

/// Contenders measured against each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// `<bench>/<backend>/<callers>`, followed by `/open` for an open loop.
    pub name: String,
    /// The unit that is counted, such as `holds`.
    pub unit: String,
    /// The backend: `mariadb`, `mysql`, `sqlite` or `memory`.
    pub place: String,
    /// Callers, or the most requests in flight in an open loop.
    pub callers: usize,
    /// How load was generated.
    pub load: Load,
    /// One per contender and, in an open loop, per rate.
    pub rows: Vec<Row>,
    /// Ratios of contenders, round by round.
    pub ratios: Vec<Ratio>,
    /// Further figures.
    pub figures: Vec<Figure>,
}

impl Group {
    /// A group without contenders.
    #[must_use]
    pub fn of_figures(
        name: String,
        unit: &str,
        place: &str,
        callers: usize,
        figures: Vec<Figure>,
    ) -> Self {
        Self {
            name,
            unit: unit.to_owned(),
            place: place.to_owned(),
            callers,
            load: Load::Closed,
            rows: Vec::new(),
            ratios: Vec::new(),
            figures,
        }
    }
}

/// How load was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Each caller waits for its answer. Latencies are those at saturation, and
    /// subject to coordinated omission.
    Closed,
    /// A fixed rate; latencies count from the time at which a request was
    /// scheduled.
    Open,
}

/// One contender in one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The contender's name.
    pub contender: String,
    /// Units answered per second.
    pub rate: Spread,
    /// The rate of each round.
    pub rounds: Vec<f64>,
    /// The scheduled requests per second of an open loop.
    pub intended: Option<f64>,
    /// Units done, over all rounds.
    pub done: u64,
    /// Units rejected, over all rounds.
    pub refused: u64,
    /// Failed requests by cause, over all rounds.
    pub failed: BTreeMap<String, u64>,
    /// Latencies over all rounds; none without callers.
    pub latency: Option<Latency>,
    /// Jain's index among callers, the median of rounds.
    pub jain: Option<f64>,
    /// The longest wait of all rounds over the median wait.
    pub longest_over_median: Option<f64>,
}

/// One contender over another, round by round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ratio {
    /// The numerator.
    pub of: String,
    /// The denominator.
    pub to: String,
    /// The measure that is compared.
    pub what: Measure,
    /// The ratio over all rounds.
    pub ratio: Spread,
    /// The ratio of each round.
    pub rounds: Vec<f64>,
    /// The target, if any.
    pub wanted: Option<Target>,
}

/// A figure that is not a ratio of contenders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// The figure, over all rounds if taken in each.
    pub value: Spread,
    /// The target, if any.
    pub wanted: Option<Target>,
}

impl Figure {
    /// A figure that is taken once.
    #[must_use]
    pub fn alone(name: impl Into<String>, number: f64, wanted: Option<Target>) -> Self {
        Self { name: name.into(), value: Spread::alone(number), wanted }
    }
}

/// The measure that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Units per second.
    Rate,
    /// The median latency.
    MedianLatency,
}

/// The target of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Target {
    /// Whether a figure meets the target.
    #[must_use]
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

/// The median, minimum and maximum of rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The minimum.
    pub min: f64,
    /// The maximum.
    pub max: f64,
}

impl Spread {
    /// The spread of a single number.
    #[must_use]
    pub fn alone(number: f64) -> Self {
        Self { median: number, min: number, max: number }
    }

    /// The spread of these numbers; zeros if empty.
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

/// The quartiles of rounds, which a single disturbed round does not move.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quartiles {
    /// The lower quartile.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
}

impl Quartiles {
    /// The quartiles of these numbers; zeros if empty. They are numbers among
    /// these, except the median of an even count.
    #[must_use]
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let Spread { median, .. } = Spread::of(&sorted);
        Self { lower: sorted[last / 4], median, upper: sorted[last - last / 4] }
    }
}

/// Quantiles of a latency, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The maximum.
    pub max: u64,
}

impl Latency {
    /// Computes the quantiles of a histogram.
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
    /// Writes the file and returns its path.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub fn save(&self) -> io::Result<PathBuf> {
        let folder = folder()?;
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}.json", self.bench));
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Reads the results of an earlier run.
    ///
    /// # Errors
    /// When there are none, or of another schema.
    pub fn load(bench: &str) -> io::Result<Self> {
        let report: Self =
            serde_json::from_slice(&fs::read(folder()?.join(format!("{bench}.json")))?)?;
        if report.schema != SCHEMA {
            return Err(io::Error::other(format!("schema {}, expected {SCHEMA}", report.schema)));
        }
        Ok(report)
    }
}

/// The directory of results.
fn folder() -> io::Result<PathBuf> {
    Ok(target()?.join("stockade-benches"))
}

/// Cargo's target directory, found by its marker file.
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
    fn quartiles_leave_out_a_quarter_on_each_side() {
        let rounds = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0];
        let quartiles = Quartiles { lower: 2.0, median: 4.0, upper: 6.0 };
        assert_eq!(Quartiles::of(&rounds), quartiles);
        assert_eq!(Quartiles::of(&[3.0]), Quartiles { lower: 3.0, median: 3.0, upper: 3.0 });
        assert_eq!(Quartiles::of(&[]), Quartiles::default());
    }

    #[test]
    fn a_bound_is_kept_or_not() {
        assert!(Target::AtLeast(0.7).is_met(0.7) && !Target::AtLeast(0.7).is_met(0.69));
        assert!(Target::AtMost(1.25).is_met(1.2) && !Target::AtMost(1.25).is_met(1.3));
    }
}
