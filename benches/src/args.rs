//! The arguments of a bench. Criterion parses the same words and decides which
//! are valid.

use std::env;

/// The mode of a bench target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `cargo bench`: measure.
    Measure,
    /// `cargo test` or a test runner that lists and runs: a smoke test.
    Test,
}

/// The arguments of a bench.
#[derive(Debug, Clone)]
pub struct Args {
    /// The mode.
    pub mode: Mode,
    /// Short runs and fewer callers, for CI.
    pub quick: bool,
    /// Runs only Criterion's part, for a profiler: no rounds, nothing saved.
    pub profiles: bool,
    /// Runs only groups whose name contains this.
    pub filter: Option<String>,
}

/// Criterion's options that take a value.
const WITH_VALUE: [&str; 16] = [
    "--color",
    "--save-baseline",
    "--baseline",
    "--baseline-lenient",
    "--load-baseline",
    "--format",
    "--profile-time",
    "--sample-size",
    "--warm-up-time",
    "--measurement-time",
    "--nresamples",
    "--noise-threshold",
    "--confidence-level",
    "--significance-level",
    "--plotting-backend",
    "--output-format",
];

impl Args {
    /// Parses the process's arguments.
    #[must_use]
    pub fn read() -> Self {
        Self::from_words(env::args().skip(1))
    }

    fn from_words(words: impl Iterator<Item = String>) -> Self {
        let words: Vec<String> = words.collect();
        let has = |word: &str| words.iter().any(|other| other == word);
        // Cargo passes --bench when it benches; Criterion uses the same rule.
        let measures = has("--bench") && !has("--test") && !has("--list");
        let mut filter = None;
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if WITH_VALUE.contains(&word.as_str()) {
                rest.next();
            } else if !word.starts_with('-') {
                filter = Some(word.clone());
            }
        }
        Self {
            mode: if measures { Mode::Measure } else { Mode::Test },
            quick: has("--quick"),
            profiles: words.iter().any(|word| word.starts_with("--profile-time")),
            filter,
        }
    }

    /// Whether the filter selects this group or one of its contenders.
    #[must_use]
    pub fn wants(&self, group: &str) -> bool {
        let wants = |filter: &String| group.contains(filter.as_str()) || filter.starts_with(group);
        self.filter.as_ref().is_none_or(wants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Args {
        Args::from_words(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_cargo_bench_measures() {
        assert_eq!(read("--bench --quick").mode, Mode::Measure);
        assert!(read("--bench --quick").quick);
        for words in ["", "--list --format terse", "--bench --test", "smoke --exact --nocapture"] {
            assert_eq!(read(words).mode, Mode::Test, "{words}");
        }
    }

    #[test]
    fn a_filter_chooses_groups() {
        let args = read("mariadb/512 --bench");
        assert!(args.wants("contention/mariadb/512") && !args.wants("contention/sqlite/512"));
        assert!(read("--bench").wants("anything"));
        let args = read("--profile-time 10 --bench contention/mariadb/512/stockade");
        assert!(args.profiles && args.wants("contention/mariadb/512"));
        assert!(!args.wants("contention/mariadb/8"));
    }
}
