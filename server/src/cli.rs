//! The command line of the program `stockade`.

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use stockade::{
    AsyncEngine, Hold, HoldId, HoldQuery, HoldStatus, Migrate, OrderId, ProductId, Timestamp,
};

use crate::command_error::CommandError;
use crate::values::{self, Values};
use crate::{demo, logs, serve};

const EXIT_CODES: &str = "\
A setting is read from its flag, else the environment, else the file, else its default.
In the environment a setting is STOCKADE_NAME, or STOCKADE_NAME_FILE with the path of a
file that holds the value. Durations read 90, 90s, 15m or 24h.

Exit codes: 0 success; 1 the audit found a fault, or requests were cut off at shutdown;
2 wrong arguments or settings; 3 the store or the operating system failed.";

/// The most holds that `hold list` reads at once.
const HOLDS_PER_PAGE: u32 = 1_000;

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
            Command::new("hold").about("Look at holds").subcommand_required(true).subcommand(
                Command::new("list")
                    .about("Print holds one by one, as JSON Lines by ascending id")
                    .args(hold_filters()),
            ),
            Command::new("audit")
                .about("Recount every product and check the stock accounting")
                .arg(json()),
            Command::new("sweep")
                .about("Expire due holds and unpaid orders now")
                .arg(json()),
        ])
}

fn hold_filters() -> [Arg; 4] {
    let number = |name: &'static str| {
        Arg::new(name).long(name).value_name("ID").value_parser(value_parser!(u64))
    };
    let statuses = HoldStatus::ALL.iter().map(|status| status.as_str());
    [
        number("product").help("Only holds of this product"),
        Arg::new("status")
            .long("status")
            .value_parser(statuses.collect::<Vec<_>>())
            .help("Only holds with this status"),
        number("after").help("Only holds with ids above this one"),
        number("count").value_name("N").help("The most holds to print; default: all"),
    ]
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
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let mut values = values::read(matches)?;
    logs::start(&values.settings)?;
    for warning in values.warnings.drain(..) {
        tracing::warn!("{warning}");
    }
    match name {
        "migrate" => {
            if matches.get_flag("check") {
                // Opening an engine in this mode succeeds only if no migration
                // is pending.
                values.config.migrate = Migrate::Check;
                in_runtime(with_engine(values, async |_| Ok(())))?;
            } else {
                in_runtime(async { Ok(stockade::migrate(&values.config).await?) })?;
            }
            print_line("the tables are up to date")?;
        }
        "seed" => in_runtime(with_engine(values, seed))?,
        // `hold`, `audit` and `sweep` must not create a store from a misspelt name.
        "hold" => {
            forbid_store_creation(&mut values);
            in_runtime(with_engine(values, async |engine| list_holds(engine, matches).await))?;
        }
        "audit" => {
            forbid_store_creation(&mut values);
            return in_runtime(with_engine(values, async |engine| audit(engine, matches).await));
        }
        "sweep" => {
            forbid_store_creation(&mut values);
            in_runtime(with_engine(values, async |engine| sweep(engine, matches).await))?;
        }
        _ => return in_runtime(serve::run(values.config, values.settings)),
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

/// Forbids creating a store: only `serve`, `seed` and `migrate` do, so that a
/// misspelt name is an error.
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

/// A hold as it is printed: without its token, which would authorize its use.
#[derive(Serialize)]
struct HoldLine {
    hold_id: HoldId,
    product_id: ProductId,
    qty: u32,
    status: HoldStatus,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
}

impl From<&Hold> for HoldLine {
    fn from(hold: &Hold) -> Self {
        Self {
            hold_id: hold.id,
            product_id: hold.product_id,
            qty: hold.quantity,
            status: hold.status,
            created_at: hold.created_at,
            expires_at: hold.expires_at,
            order_id: hold.order_id,
        }
    }
}

async fn list_holds(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    let mut left = number("count").unwrap_or(u64::MAX);
    let mut query = HoldQuery::new(HOLDS_PER_PAGE);
    query.product_id = number("product").map(ProductId);
    let status = matches.get_one::<String>("status");
    query.status =
        HoldStatus::ALL.iter().copied().find(|one| status.is_some_and(|name| name == one.as_str()));
    query.after = number("after").map(HoldId);
    while left > 0 {
        query.limit = u32::try_from(left).map_or(HOLDS_PER_PAGE, |left| left.min(HOLDS_PER_PAGE));
        let page = engine.holds(query.clone()).await?;
        left = left.saturating_sub(page.items.len() as u64);
        for hold in &page.items {
            if !try_print_line(&json(&HoldLine::from(hold))?)? {
                return Ok(());
            }
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    Ok(())
}

async fn sweep(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    print_report(&engine.sweep().await?, "sweep finished", matches)
}

/// Prints a report as one line of JSON, or indented for people.
fn print_report(
    report: &impl Serialize,
    title: &str,
    matches: &ArgMatches,
) -> Result<(), CommandError> {
    if matches.get_flag("json") {
        return print_line(&json(report)?);
    }
    let report = serde_json::to_string_pretty(report).map_err(|error| unwritable(&error))?;
    print_line(&format!("{title}\n{report}"))
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(value).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> CommandError {
    CommandError::Runtime(format!("cannot write the report: {error}"))
}

/// Prints a line. A closed pipe is not an error.
fn print_line(line: &str) -> Result<(), CommandError> {
    try_print_line(line).map(drop)
}

/// Prints a line, and returns whether there is still a reader.
fn try_print_line(line: &str) -> Result<bool, CommandError> {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::system("cannot write to stdout", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        command().debug_assert();
    }
}
