//! Defines the results of a part and saves them for the report.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

/// Which guarantee was violated; a [`Row`] counts each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// More units were sold than received.
    Oversold,
    /// No row accounts for some units.
    Leaked,
    /// An acknowledged write is missing.
    Lost,
    /// An operation was executed twice.
    Doubled,
    /// The history is not linearizable, or a response contradicts the rows.
    Unexplained,
}

/// One fault with its result: a row of the report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// The injected fault.
    pub fault: String,
    /// The store, lock and cache.
    #[serde(rename = "place")]
    pub deployment: String,
    /// Number of seeds, if the part uses seeds.
    #[serde(default)]
    pub seeds: u64,
    /// Number of injections.
    pub injected: u64,
    /// Operations that callers requested meanwhile.
    pub operations: u64,
    /// Units sold beyond the received stock.
    pub oversold: u64,
    /// Units that no row accounts for.
    pub leaked: u64,
    /// Acknowledged holds, orders or payments that are missing.
    pub lost: u64,
    /// Holds, orders or payments executed twice.
    pub doubled: u64,
    /// Histories that are not linearizable.
    pub unexplained: u64,
    /// Cases that ended before their checks did.
    #[serde(default)]
    pub cut_short: u64,
    /// The longest time until the service recovered from an outage.
    pub recovery: Option<Duration>,
    /// Further counts and remarks.
    pub note: String,
    /// Whether the row is informative only: the configuration carries no
    /// guarantee.
    #[serde(default)]
    pub is_informative: bool,
}

impl Row {
    /// Whether every guarantee held, if the configuration carries one.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_informative || (self.broken().is_empty() && self.cut_short == 0)
    }

    /// Adds `times` violations of this kind.
    pub fn blame(&mut self, broken: Violation, times: u64) {
        let count = match broken {
            Violation::Oversold => &mut self.oversold,
            Violation::Leaked => &mut self.leaked,
            Violation::Lost => &mut self.lost,
            Violation::Doubled => &mut self.doubled,
            Violation::Unexplained => &mut self.unexplained,
        };
        *count += times;
    }

    /// Adds another row's counts and keeps the longer recovery.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.injected += other.injected;
        self.operations += other.operations;
        self.cut_short += other.cut_short;
        for (broken, times) in other.broken() {
            self.blame(broken, times);
        }
        self.recovery = self.recovery.max(other.recovery);
    }

    /// Returns the kinds of violations with their counts.
    #[must_use]
    pub fn broken(&self) -> Vec<(Violation, u64)> {
        let all = [
            (Violation::Oversold, self.oversold),
            (Violation::Leaked, self.leaked),
            (Violation::Lost, self.lost),
            (Violation::Doubled, self.doubled),
            (Violation::Unexplained, self.unexplained),
        ];
        all.into_iter().filter(|(_, times)| *times > 0).collect()
    }
}

/// The result of one part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartResult {
    /// The part's name as given on the command line.
    pub part: String,
    /// Whether the long form ran.
    pub is_long: bool,
    /// The first seed.
    pub seed: u64,
    /// When the part ended, in seconds since 1970.
    pub at: u64,
    /// One row per fault.
    pub rows: Vec<Row>,
}

impl PartResult {
    /// Saves the result for the report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> io::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{}.json", self.part)), serde_json::to_vec_pretty(self)?)
    }

    /// Loads a part's saved result, if there is one.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(part: &str) -> io::Result<Option<Self>> {
        Self::load_from(&folder(), part)
    }

    /// Loads a part's result from this folder, if there is one.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load_from(folder: &Path, part: &str) -> io::Result<Option<Self>> {
        match fs::read(folder.join(format!("{part}.json"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        }
    }
}

/// Returns the folder of this run's results.
pub(crate) fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    below(&target)
}

/// Returns the folder of results below a cargo target folder.
pub(crate) fn below(target: &Path) -> PathBuf {
    target.join("stockade-proof")
}
