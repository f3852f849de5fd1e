//! `migrate`, `seed`, `audit`, `sweep` and `customer erase`.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use stockade::{AsyncEngine, Migrate};

use super::output::{self, json, print_line, print_report};
use super::progress;
use super::runtime::{in_runtime, with_engine};
use crate::command_error::CommandError;
use crate::demo;
use crate::values::Values;

const AUDIT_EXIT_CODES: &str = "\
Exit codes: 0 consistent; 1 a fault was found; 2 wrong arguments or settings; 3 the store or
the operating system failed.";

pub(super) fn migrate_command() -> Command {
    Command::new("migrate").about("Create the store's tables, or migrate them to this version").arg(
        Arg::new("check")
            .long("check")
            .action(ArgAction::SetTrue)
            .help("Change nothing, and fail if a migration is pending"),
    )
}

pub(super) fn seed_command() -> Command {
    Command::new("seed").about("Add demo products to a store without products")
}

pub(super) fn audit_command() -> Command {
    Command::new("audit")
        .about("Recount every product and check the stock accounting")
        .after_help(AUDIT_EXIT_CODES)
        .arg(output::json_flag("Print the report as JSON"))
}

pub(super) fn sweep_command() -> Command {
    Command::new("sweep")
        .about("Expire due holds and unpaid orders now")
        .arg(output::json_flag("Print the report as JSON"))
}

pub(super) fn customer_command() -> Command {
    Command::new("customer").about("Erase customers").subcommand_required(true).subcommand(
        Command::new("erase")
            .about("Replace a customer's name in holds, orders, events and kept answers")
            .arg(Arg::new("customer").value_name("NAME").required(true)),
    )
}

pub(super) fn migrate(mut values: Values, matches: &ArgMatches) -> Result<ExitCode, CommandError> {
    if matches.get_flag("check") {
        // Opening an engine in this mode succeeds only if no migration is pending.
        values.config.migrate = Migrate::Check;
        in_runtime(with_engine(values, async |_| Ok(())))?;
    } else {
        let work = stockade::migrate(&values.config);
        in_runtime(async { Ok(progress::awaited("migrating", work).await?) })?;
    }
    print_line("the tables are up to date")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn seed(engine: &AsyncEngine) -> Result<(), CommandError> {
    match demo::seed(engine).await? {
        0 => print_line("the store already has products: added nothing"),
        added => print_line(&format!("added {added} demo products")),
    }
}

pub(super) async fn audit(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let report = progress::awaited("auditing", engine.audit()).await?;
    let verdict =
        if report.consistent { "the stock is consistent" } else { "the stock is INCONSISTENT" };
    print_report(&report, verdict, matches)?;
    Ok(if report.consistent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn erase(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let customer: String = output::required(matches, "customer")?;
    let erased = progress::awaited("erasing", engine.erase_customer(customer)).await?;
    print_line(&json(&erased)?)
}

pub(super) async fn sweep(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let report = progress::awaited("sweeping", engine.sweep()).await?;
    print_report(&report, "sweep finished", matches)
}
