//! The command line of the program `stockade`.

mod events;
mod import;
mod lists;
mod output;
mod product_file;
mod products;
mod relay;

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use stockade::{AsyncEngine, Migrate};

use self::output::{json, print_line, print_report};
use crate::command_error::CommandError;
use crate::values::{self, Values};
use crate::{demo, logs, serve};

const EXIT_CODES: &str = "\
A setting is read from its flag, else the environment, else the file, else its default.
In the environment a setting is STOCKADE_NAME, or STOCKADE_NAME_FILE with the path of a
file that holds the value. Durations read 90, 90s, 15m or 24h.

Exit codes: 0 success; 1 the audit found a fault, lines of an import were refused, or
requests were cut off at shutdown; 2 wrong arguments or settings; 3 the store or the
operating system failed.";

fn command() -> Command {
    let json = || {
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the report as JSON")
    };
    Command::new("stockade")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stock reservation over HTTP: hold, order, payment webhook and expiry, without overselling")
        .after_help("Without a command: serve. `--help` lists every setting, `-h` the common ones.")
        .after_long_help(EXIT_CODES)
        .args(values::flags())
        .subcommands([
            Command::new("serve").about("Serve HTTP (the default command)"),
            Command::new("migrate").about("Create the store's tables, or migrate them to this version").arg(
                Arg::new("check")
                    .long("check")
                    .action(ArgAction::SetTrue)
                    .help("Change nothing, and fail if a migration is pending"),
            ),
            Command::new("seed").about("Add demo products to a store without products"),
            products::command(),
            lists::hold_command(),
            lists::order_command(),
            lists::payment_command(),
            events::command(),
            relay::command(),
            Command::new("customer").about("Erase customers").subcommand_required(true).subcommand(
                Command::new("erase")
                    .about("Replace a customer's name in holds, orders, events and kept answers")
                    .arg(Arg::new("customer").value_name("NAME").required(true)),
            ),
            Command::new("audit")
                .about("Recount every product and check the stock accounting")
                .arg(json()),
            Command::new("sweep")
                .about("Expire due holds and unpaid orders now")
                .arg(json()),
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
    let (name, mut matches) = matches.subcommand().unwrap_or(("serve", matches));
    // `hold list`: the flags are those of the innermost command.
    let mut actions = Vec::new();
    while let Some((action, inner)) = matches.subcommand() {
        actions.push(action);
        matches = inner;
    }
    let action = actions.join(" ");
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
        "migrate" => {
            if matches.get_flag("check") {
                // Opening an engine in this mode succeeds only if no migration
                // is pending.
                values.config.migrate = Migrate::Check;
                in_runtime(with_engine(values, async |_| Ok(ExitCode::SUCCESS)))?;
            } else {
                in_runtime(async { Ok(stockade::migrate(&values.config).await?) })?;
            }
            print_line("the tables are up to date")?;
            Ok(ExitCode::SUCCESS)
        }
        "serve" => in_runtime(serve::run(values.config, values.settings)),
        "relay" if action.is_empty() => {
            let settings = values.settings.clone();
            in_runtime(with_engine(values, async |engine| {
                relay::deliver(engine, &settings).await.map(|()| ExitCode::SUCCESS)
            }))
        }
        _ => in_runtime(with_engine(values, async |engine| {
            execute(engine, name, &action, matches).await
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
        ("seed", _) => seed(engine).await?,
        ("audit", _) => return audit(engine, matches).await,
        ("sweep", _) => sweep(engine, matches).await?,
        ("product", "import") => return import::run(engine, matches).await,
        ("product", _) => products::run(engine, action, matches).await?,
        ("hold", _) => lists::holds(engine, matches).await?,
        ("order", _) => lists::orders(engine, matches).await?,
        ("payment", "remove") => lists::remove_payment(engine, matches).await?,
        ("events", _) => events::run(engine, matches).await?,
        ("relay", "status") => relay::status(engine).await?,
        ("relay", "dead-letters list") => relay::dead_letters(engine, matches).await?,
        ("relay", _) => return relay::resend(engine, matches).await,
        ("payment", _) => lists::waiting_payments(engine, matches).await?,
        ("customer", _) => erase(engine, matches).await?,
        _ => return Err(CommandError::Setup(format!("unknown command {name} {action}"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::system("failed to start the Tokio runtime", &error))?;
    let done = runtime.block_on(work);
    // Tasks that outlived the drain timeout are not waited for again.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

/// Forbids creating a store, so that a misspelt name is an error.
fn forbid_store_creation(values: &mut Values) {
    let is_remote = values.config.names_a_running_engine();
    if !is_remote && values.config.migrate == Migrate::Auto {
        values.config.migrate = Migrate::Check;
    }
}

/// Opens an engine without a sweeper, runs one operation on it, and closes it.
async fn with_engine<T>(
    mut values: Values,
    work: impl AsyncFnOnce(&AsyncEngine) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    values.config.set("sweeper", "false")?;
    let engine = AsyncEngine::with_config(values.config).await?;
    let done = work(&engine).await;
    engine.close().await;
    done
}

async fn seed(engine: &AsyncEngine) -> Result<(), CommandError> {
    match demo::seed(engine).await? {
        0 => print_line("the store already has products: added nothing"),
        added => print_line(&format!("added {added} demo products")),
    }
}

async fn audit(engine: &AsyncEngine, matches: &ArgMatches) -> Result<ExitCode, CommandError> {
    let report = engine.audit().await?;
    let verdict =
        if report.consistent { "the stock is consistent" } else { "the stock is INCONSISTENT" };
    print_report(&report, verdict, matches)?;
    Ok(if report.consistent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn erase(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let customer: String = output::required(matches, "customer")?;
    print_line(&json(&engine.erase_customer(customer).await?)?)
}

async fn sweep(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    print_report(&engine.sweep().await?, "sweep finished", matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        command().debug_assert();
    }
}
