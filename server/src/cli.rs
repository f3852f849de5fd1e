//! The command line of the program `stockade`.

mod import;
mod lists;
mod load;
mod maintenance;
mod output;
mod product_file;
mod products;
mod runtime;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use stockade::AsyncEngine;

use self::runtime::{forbid_store_creation, in_runtime, with_engine};
use crate::command_error::CommandError;
use crate::{logs, serve, values};

const EXIT_CODES: &str = "\
A setting is read from its flag, else the environment, else the file, else its default.
In the environment a setting is STOCKADE_NAME, or STOCKADE_NAME_FILE with the path of a
file that holds the value. Durations read 90, 90s, 15m or 24h.

Exit codes: 0 success; 1 the audit found a fault, lines of an import were refused, or
requests were cut off at shutdown; 2 wrong arguments or settings; 3 the store or the
operating system failed.";

fn command() -> Command {
    Command::new("stockade")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stock reservation over HTTP: hold, order, payment webhook and expiry, without overselling")
        .after_help("Without a command: serve. `--help` lists every setting, `-h` the common ones.")
        .after_long_help(EXIT_CODES)
        .args(values::flags())
        .subcommands([
            Command::new("serve").about("Serve HTTP (the default command)"),
            maintenance::migrate_command(),
            maintenance::seed_command(),
            products::command(),
            lists::hold_command(),
            lists::order_command(),
            lists::payment_command(),
            maintenance::customer_command(),
            maintenance::audit_command(),
            maintenance::sweep_command(),
            load::command(),
        ])
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Clap reports help and version as errors with exit code 0.
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

fn run(matches: &ArgMatches) -> Result<ExitCode, CommandError> {
    // Settings are global flags: clap passes them down to the subcommand.
    let (name, matches) = matches.subcommand().unwrap_or(("serve", matches));
    // `hold list`: the flags are those of the innermost command.
    let (action, matches) = matches.subcommand().unwrap_or(("", matches));
    let mut values = values::read(matches)?;
    logs::start(&values.settings)?;
    for warning in values.warnings.drain(..) {
        tracing::warn!("{warning}");
    }
    // Only these create a store: a misspelt name is an error to all others.
    if !matches!(name, "serve" | "migrate" | "seed") {
        forbid_store_creation(&mut values);
    }
    match name {
        "load" => in_runtime(load::run(&values.settings, matches)),
        "migrate" => maintenance::migrate(values, matches),
        "serve" => in_runtime(serve::run(values.config, values.settings)),
        _ => in_runtime(with_engine(values, async |engine| {
            execute(engine, name, action, matches).await
        })),
    }
}

/// Executes a command that uses an open engine.
async fn execute(
    engine: &AsyncEngine,
    name: &str,
    action: &str,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    match (name, action) {
        ("seed", _) => maintenance::seed(engine).await?,
        ("audit", _) => return maintenance::audit(engine, matches).await,
        ("sweep", _) => maintenance::sweep(engine, matches).await?,
        ("product", "import") => return import::run(engine, matches).await,
        ("product", _) => products::run(engine, action, matches).await?,
        ("hold", _) => lists::holds(engine, matches).await?,
        ("order", _) => lists::orders(engine, matches).await?,
        ("payment", "remove") => lists::remove_payment(engine, matches).await?,
        ("payment", _) => lists::waiting_payments(engine, matches).await?,
        ("customer", _) => maintenance::erase(engine, matches).await?,
        _ => return Err(CommandError::Setup(format!("unknown command {name} {action}"))),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        command().debug_assert();
    }
}
