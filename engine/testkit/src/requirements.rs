//! Skips tests whose programs are not installed.
//!
//! `cargo test` in a fresh clone then passes with SQLite alone and prints what it
//! left out. Under [`ENV_REQUIRE`] nothing is skipped, and the test kit reports the
//! missing program.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::thread;

use crate::{ENV_REQUIRE, Flavour, redis, tool};

/// A program that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// MariaDB's server.
    MariaDb,
    /// MySQL's server.
    MySql,
    /// Redis, or Valkey in its place: the server, its sentinel and its cluster.
    Redis,
    /// HAProxy.
    HaProxy,
}

impl Program {
    /// Returns its name, as in `MySQL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::MariaDb => Flavour::MariaDb.name(),
            Program::MySql => Flavour::MySql.name(),
            Program::Redis => "Redis",
            Program::HaProxy => "HAProxy",
        }
    }

    /// Returns whether the test kit can start it.
    #[must_use]
    pub fn is_installed(self) -> bool {
        // A suite asks for each of its thousand tests.
        static ANSWERS: [OnceLock<bool>; 4] = [const { OnceLock::new() }; 4];
        *ANSWERS[self as usize].get_or_init(|| self.look_up())
    }

    fn look_up(self) -> bool {
        let command_line = match self {
            Program::MariaDb => Flavour::MariaDb.daemon(),
            Program::MySql => Flavour::MySql.daemon(),
            Program::Redis => redis::server(),
            Program::HaProxy => Ok(vec![OsString::from("haproxy")]),
        };
        command_line.is_ok_and(|line| line.first().is_some_and(|name| tool::find(name).is_some()))
    }
}

/// Returns the first of these programs for want of which a test is skipped.
/// There is none under [`ENV_REQUIRE`]`=all`.
#[must_use]
pub fn missing_program(programs: &[Program]) -> Option<Program> {
    if env::var_os(ENV_REQUIRE).is_some_and(|value| value == "all") {
        return None;
    }
    programs.iter().copied().find(|program| !program.is_installed())
}

/// Returns whether the current test is skipped for want of one of these programs,
/// and prints so. Use [`skip_without`](crate::skip_without).
#[must_use]
pub fn is_skipped(programs: &[Program]) -> bool {
    let Some(program) = missing_program(programs) else { return false };
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the test harness, which hides what a passing test prints. Nobody reads
    // a closed stream.
    let _ = writeln!(io::stderr(), "skipped {test}: {} is not installed", program.name());
    true
}

/// Ends the current test, with a printed line, unless these [`Program`]s are
/// installed.
///
/// ```
/// # fn read_through_the_cache() {
/// stockade_testkit::skip_without!(Redis, MariaDb);
/// # }
/// ```
#[macro_export]
macro_rules! skip_without {
    ($($program:ident),+ $(,)?) => {
        if $crate::is_skipped(&[$($crate::Program::$program),+]) {
            return;
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{Program, tool};

    #[test]
    fn find_returns_programs_on_the_path_and_by_their_path() {
        let shell = tool::find("sh").expect("a shell");
        assert_eq!(tool::find(&shell), Some(shell));
        assert_eq!(tool::find("no-such-program"), None);
        assert_eq!(tool::find("/no/such/program"), None);
        assert_eq!(Program::HaProxy.is_installed(), tool::find("haproxy").is_some());
    }
}
