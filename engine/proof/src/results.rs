//! What a part of the proof found, and where it is kept for the report.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

/// Which promise was broken; a [`Row`] counts each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Units were sold beyond what there was.
    Oversold,
    /// Units are accounted for by no row.
    Leaked,
    /// What was answered is not there.
    Lost,
    /// Something was done twice.
    Doubled,
    /// No order of the operations explains their answers.
    Unexplained,
}

/// One fault and what came of it: a line of the report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// What was done to the engine.
    pub fault: String,
    /// On which store, lock and cache.
    #[serde(rename = "place")]
    pub deployment: String,
    /// Seeds that were tried, where the part has seeds.
    #[serde(default)]
    pub seeds: u64,
    /// How often it was done.
    pub injected: u64,
    /// Operations that callers asked for meanwhile.
    pub operations: u64,
    /// Units sold beyond what there was.
    pub oversold: u64,
    /// Units that no row accounts for.
    pub leaked: u64,
    /// Answered holds, orders or payments that are not there.
    pub lost: u64,
    /// Holds, orders or payments done twice.
    pub doubled: u64,
    /// Histories that no order of their operations explains.
    pub unexplained: u64,
    /// Cases that ended before it was known whether they broke a promise.
    #[serde(default)]
    pub cut_short: u64,
    /// The longest time until the service was back, where it was gone.
    pub recovery: Option<Duration>,
    /// What else a reader should know.
    pub note: String,
    /// Whether it is only told as found: nothing is promised there.
    #[serde(default)]
    pub is_informative: bool,
}

impl Row {
    /// Whether every promise was kept, if one was made.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_informative || (self.broken().is_empty() && self.cut_short == 0)
    }

    /// Counts a promise as broken so many times.
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

    /// Adds what another row has counted; of two recoveries the longer stays.
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

    /// Which promises were broken, and how often.
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

/// What one part found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartResult {
    /// The part's name, a word of the command line.
    pub part: String,
    /// Whether it was the long form.
    pub is_long: bool,
    /// The first seed.
    pub seed: u64,
    /// Seconds since 1970 when it ended.
    pub at: u64,
    /// A line for each fault.
    pub rows: Vec<Row>,
}

impl PartResult {
    /// Keeps it for the report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> io::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{}.json", self.part)), serde_json::to_vec_pretty(self)?)
    }

    /// What was kept of a part, if anything.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(part: &str) -> io::Result<Option<Self>> {
        Self::load_from(&folder(), part)
    }

    /// What was kept of a part in this folder, if anything.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load_from(folder: &Path, part: &str) -> io::Result<Option<Self>> {
        match fs::read(folder.join(format!("{part}.json"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        }
    }
}

/// Where this run keeps things.
pub(crate) fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    below(&target)
}

/// Where things are kept in this target folder of cargo's.
pub(crate) fn below(target: &Path) -> PathBuf {
    target.join("stockade-proof")
}
