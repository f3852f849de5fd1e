//! `stockade doctor`: checks store, Redis and machine, and says what to change.

mod facts;
mod host;
mod rules;

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use serde::Serialize;
use stockade::{AsyncEngine, Config, Migrate};

use super::output::{json, json_flag, print_line};
use super::progress;
use crate::command_error::CommandError;
use crate::settings::Settings;
use crate::values::Values;

const ABOUT: &str = "\
Checks the store, Redis and this machine: versions, isolation, durability, eviction,
clocks, rights, sizes and free disk. Each check prints what was found and, unless it is
fine, what to change. It changes nothing, and never prints a password.";

const EXIT_CODES: &str = "\
Exit codes: 0 no problem was found, though maybe warnings; 1 a problem was found;
2 wrong arguments or settings.";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, and should be changed.
    Warning,
    /// Does not work, or loses what was answered.
    Problem,
}

impl Verdict {
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Problem => "PROBLEM",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What is checked, such as `store.durability`.
    name: &'static str,
    verdict: Verdict,
    found: String,
    /// What to change; empty if it is fine.
    #[serde(skip_serializing_if = "String::is_empty")]
    change: String,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), change: String::new() }
    }

    fn warning(name: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, found: found.into(), change: change.into() }
    }

    fn problem(name: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, found: found.into(), change: change.into() }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    version: &'static str,
    checks: &'a [Check],
}

pub(super) fn command() -> Command {
    Command::new("doctor")
        .about("Check store, Redis and machine, and say what to change")
        .long_about(ABOUT)
        .after_help(EXIT_CODES)
        .arg(json_flag("Print the checks as JSON"))
}

/// Checks everything.
pub(super) async fn run(values: Values, matches: &ArgMatches) -> Result<ExitCode, CommandError> {
    let checks = progress::awaited("checking", checks(values.config, &values.settings)).await?;
    let worst = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    let healthy = worst < Verdict::Problem;
    if matches.get_flag("json") {
        let version = env!("CARGO_PKG_VERSION");
        print_line(&json(&Report { healthy, version, checks: &checks })?)?;
    } else {
        for check in &checks {
            print_line(&format!("{:<8} {:<18} {}", check.verdict.mark(), check.name, check.found))?;
            if !check.change.is_empty() {
                print_line(&format!("{:27} -> {}", "", check.change))?;
            }
        }
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        print_line(&format!(
            "{} ok, {} warnings, {} problems",
            count(Verdict::Ok),
            count(Verdict::Warning),
            count(Verdict::Problem)
        ))?;
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn checks(config: Config, settings: &Settings) -> Result<Vec<Check>, CommandError> {
    let mut checks = vec![Check::ok("version", concat!("stockade ", env!("CARGO_PKG_VERSION")))];
    let diagnosis = stockade::diagnose(&config).await?;
    match &diagnosis.store {
        Ok(facts) => checks.extend(rules::store(facts, &config)),
        Err(error) => checks.push(Check::problem(
            "store",
            CommandError::from(error.clone()).to_string(),
            "see above; all other checks of the store need it",
        )),
    }
    if diagnosis.store.is_ok() {
        checks.push(open(&config).await);
    }
    match &diagnosis.redis {
        None => checks.push(Check::ok("redis", "not used: the store alone decides and answers")),
        Some(Ok(facts)) => checks.extend(rules::redis(facts)),
        Some(Err(error)) => checks.push(Check::problem(
            "redis",
            CommandError::from(error.clone()).to_string(),
            "see above; until then the engine goes on without it, slower",
        )),
    }
    if let Ok(facts) = &diagnosis.store {
        checks.extend(host::checks(facts, settings));
    }
    Ok(checks)
}

/// Opens an engine as `serve` does, but changes nothing: sessions, rights, tables and what
/// Redis permits are checked by that.
async fn open(config: &Config) -> Check {
    let name = "store.tables";
    let mut config = config.clone();
    (config.migrate, config.sweeper) = (Migrate::Check, false);
    let engine = match AsyncEngine::with_config(config).await {
        Ok(engine) => engine,
        Err(error) => {
            let why = CommandError::from(error).to_string();
            return Check::problem(name, why, "run `stockade migrate`, or as the message says");
        }
    };
    let written = engine.ping().await;
    engine.close().await;
    match written {
        Ok(()) => Check::ok(name, "the tables are up to date, and may be written"),
        Err(error) => Check::problem(
            name,
            CommandError::from(error).to_string(),
            "grant SELECT, INSERT, UPDATE and DELETE, and let the store take writes",
        ),
    }
}
