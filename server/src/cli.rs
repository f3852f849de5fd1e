//! The command line.

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;
use stockade::{AsyncEngine, Migrate};

use crate::failure::Failure;
use crate::values::{self, Values};
use crate::{demo, logs, serve};

const EXIT_CODES: &str = "\
Settings come from flags, else the environment, else the file, else their default.
In the environment a setting is STOCKADE_NAME, or STOCKADE_NAME_FILE with the path of a
file that holds the value. Durations read 90, 90s, 15m or 24h.

Exit codes: 0 done; 1 the audit found a fault, or requests were cut on the way down;
2 wrong arguments or settings; 3 the store or the system refused.";

fn command() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer in JSON");
    Command::new("stockade")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stock reservation over HTTP: hold, order, payment webhook and expiry, without overselling")
        .after_help("Without a command: serve. `--help` lists every setting, `-h` the usual ones.")
        .after_long_help(EXIT_CODES)
        .args(values::flags())
        .subcommands([
            Command::new("serve").about("Serve HTTP (the default command)"),
            Command::new("migrate").about("Make the store, or bring its tables up to date").arg(
                Arg::new("check")
                    .long("check")
                    .action(ArgAction::SetTrue)
                    .help("Change nothing, and fail if a migration is missing"),
            ),
            Command::new("seed").about("Fill a store that has no products with demo products"),
            Command::new("audit")
                .about("Recount every product and say whether the books agree")
                .arg(json()),
            Command::new("sweep")
                .about("Return the stock of due holds and unpaid orders now")
                .arg(json()),
        ])
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are errors as well, with code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&matches) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "stockade: {failure}");
            failure.code()
        }
    }
}

fn run(matches: &ArgMatches) -> Result<ExitCode, Failure> {
    // Settings are global flags: clap hands them down to the command.
    let (name, matches) = matches.subcommand().unwrap_or(("serve", matches));
    let mut values = values::read(matches)?;
    logs::start(&values.settings)?;
    for warning in values.warnings.drain(..) {
        tracing::warn!("{warning}");
    }
    match name {
        "migrate" => {
            if matches.get_flag("check") {
                // An engine that opens so has found nothing missing.
                values.config.migrate = Migrate::Check;
                in_runtime(with_engine(values, async |_| Ok(())))?;
            } else {
                in_runtime(async { Ok(stockade::migrate(&values.config).await?) })?;
            }
            say("the tables are as this version needs them")?;
        }
        "seed" => in_runtime(with_engine(values, seed))?,
        // These look at a store and make none: its name may be misspelt.
        "audit" => {
            make_no_store(&mut values);
            return in_runtime(with_engine(values, async |engine| audit(engine, matches).await));
        }
        "sweep" => {
            make_no_store(&mut values);
            in_runtime(with_engine(values, async |engine| sweep(engine, matches).await))?;
        }
        _ => return in_runtime(serve::run(values.config, values.settings)),
    }
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::system("cannot start the runtime", &error))?;
    let done = runtime.block_on(work);
    // What still runs was cut by the drain timeout: it is not waited for again.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

/// Only `serve`, `seed` and `migrate` make a store: a mistyped one has no books.
fn make_no_store(values: &mut Values) {
    let is_remote = values.config.names_a_running_engine();
    if !is_remote && values.config.migrate == Migrate::Auto {
        values.config.migrate = Migrate::Check;
    }
}

/// Does one piece of work on an engine that leaves the sweeping to the server.
async fn with_engine<T>(
    mut values: Values,
    work: impl AsyncFnOnce(&AsyncEngine) -> Result<T, Failure>,
) -> Result<T, Failure> {
    values.config.set("sweeper", "false")?;
    let engine = AsyncEngine::with_config(values.config).await?;
    let done = work(&engine).await;
    engine.close().await;
    done
}

async fn seed(engine: &AsyncEngine) -> Result<(), Failure> {
    match demo::seed(engine).await? {
        0 => say("the store has products already: nothing was added"),
        added => say(&format!("{added} demo products were added")),
    }
}

async fn audit(engine: &AsyncEngine, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    let report = engine.audit().await?;
    let verdict = if report.consistent { "the books agree" } else { "the books do NOT agree" };
    show(&report, verdict, matches)?;
    Ok(if report.consistent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn sweep(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), Failure> {
    show(&engine.sweep().await?, "the sweep is done", matches)
}

/// Prints a report as one line of JSON, or for a person.
fn show(report: &impl Serialize, title: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let written = if matches.get_flag("json") {
        serde_json::to_string(report)
    } else {
        serde_json::to_string_pretty(report).map(|report| format!("{title}\n{report}"))
    };
    say(&written.map_err(|error| Failure::Work(format!("cannot write the report: {error}")))?)
}

/// Prints a line. A reader who has gone away has read enough.
fn say(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::system("cannot print", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_agree_with_each_other() {
        command().debug_assert();
    }
}
