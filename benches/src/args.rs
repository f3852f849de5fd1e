//! What a bench was asked to do. Criterion reads the same words and has the
//! last one on which are allowed.

use std::env;

/// What a bench target was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `cargo bench`: measure.
    Measure,
    /// `cargo test` or a test runner that lists and runs: a smoke test.
    Test,
}

/// What a bench was asked to do.
#[derive(Debug, Clone)]
pub struct Args {
    /// What the target was started for.
    pub mode: Mode,
    /// Short runs and fewer callers, for CI.
    pub quick: bool,
    /// Only groups with this in their name.
    pub filter: Option<String>,
}

impl Args {
    /// Reads the process's arguments.
    #[must_use]
    pub fn read() -> Self {
        Self::from_words(env::args().skip(1))
    }

    fn from_words(words: impl Iterator<Item = String>) -> Self {
        let words: Vec<String> = words.collect();
        let has = |word: &str| words.iter().any(|other| other == word);
        // Cargo passes --bench when it benches; Criterion goes by it as well.
        let measures = has("--bench") && !has("--test") && !has("--list");
        Self {
            mode: if measures { Mode::Measure } else { Mode::Test },
            quick: has("--quick"),
            filter: words.into_iter().find(|word| !word.starts_with('-')),
        }
    }

    /// Whether a group of this name is wanted.
    #[must_use]
    pub fn wants(&self, group: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| group.contains(filter.as_str()))
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
    }
}
