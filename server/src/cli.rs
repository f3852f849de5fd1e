//! The command line of the program `stockade`.

mod backup;
mod doctor;
mod events;
mod generate;
mod import;
mod lists;
mod load;
mod maintenance;
mod output;
mod product_file;
mod products;
mod progress;
mod relay;
mod rows;
mod runtime;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use stockade::AsyncEngine;

use self::runtime::{forbid_store_creation, in_runtime, with_engine};
use crate::command_error::CommandError;
use crate::values::Uses;
use crate::{logs, serve, values};

const SETTINGS_HELP: &str = "\
A setting is read from its flag, else the environment, else the file, else its default.
In the environment a setting is STOCKADE_NAME, or STOCKADE_NAME_FILE with the path of a
file that holds the value. Durations read 90, 90s, 15m or 24h.

Exit codes: 0 success; 1 the audit found a fault, the doctor a problem or a sale a
finding, lines of an import were refused, or requests were cut off at shutdown; 2 wrong
arguments or settings; 3 the store, the server or the operating system failed.";

/// The exit codes of a command that has none of its own.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 2 wrong arguments or settings; 3 the store or the operating system
failed.";

fn command() -> Command {
    let engine = |command| with_settings(command, Uses::Engine(&[]));
    let few = |command, names| with_settings(command, Uses::Only(names));
    Command::new("stockade")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stock reservation over HTTP: hold, order, payment webhook and expiry, without overselling")
        .after_help("Without a command: serve. `--help` lists every setting, `-h` the common ones.")
        .after_long_help(SETTINGS_HELP)
        .args(values::flags())
        .subcommands([
            with_settings(serve::command(), Uses::All),
            engine(maintenance::migrate_command()),
            engine(maintenance::seed_command()),
            engine(products::command()),
            engine(products::import_command()),
            engine(products::export_command()),
            engine(lists::hold_command()),
            engine(lists::order_command()),
            engine(lists::payment_command()),
            engine(events::command()),
            with_settings(relay::command(), Uses::Engine(relay::SETTINGS)),
            engine(maintenance::customer_command()),
            engine(maintenance::audit_command()),
            engine(maintenance::sweep_command()),
            engine(backup::backup_command()),
            engine(backup::restore_command()),
            with_settings(doctor::command(), Uses::All),
            few(load::command(), load::SETTINGS),
            few(generate::completions_command(), &[]),
            few(generate::man_command(), &[]),
        ])
}

/// Adds the flags of settings to a command and those below it, after their own, and the
/// exit codes where they have none of their own.
fn with_settings(command: Command, uses: Uses) -> Command {
    let command = match command.get_after_help() {
        None => command.after_help(EXIT_CODES),
        Some(_) => command,
    };
    command.args(values::flags_for(uses)).mut_subcommands(|command| with_settings(command, uses))
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
    // These describe the program itself, whatever its settings are.
    match name {
        "completions" => {
            generate::completions(command(), matches)?;
            return Ok(ExitCode::SUCCESS);
        }
        "man" => {
            generate::man(command(), matches)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
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
        "doctor" => in_runtime(doctor::run(values, matches)),
        "backup" => in_runtime(backup::backup(values, matches)),
        "restore" => in_runtime(backup::restore(values, matches)),
        "migrate" => maintenance::migrate(values, matches),
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
        ("seed", _) => maintenance::seed(engine).await?,
        ("audit", _) => return maintenance::audit(engine, matches).await,
        ("sweep", _) => maintenance::sweep(engine, matches).await?,
        ("product", "import") | ("import", _) => return import::run(engine, matches).await,
        ("export", _) => products::export(engine, matches).await?,
        ("product", _) => products::run(engine, action, matches).await?,
        ("hold", _) => lists::holds(engine, matches).await?,
        ("order", _) => lists::orders(engine, matches).await?,
        ("payment", "remove") => lists::remove_payment(engine, matches).await?,
        ("events", _) => events::run(engine, matches).await?,
        ("relay", "status") => relay::status(engine).await?,
        ("relay", "dead-letters list") => relay::dead_letters(engine, matches).await?,
        ("relay", _) => return relay::resend(engine, matches).await,
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

    /// Yields every command with the path to it.
    fn all(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
            let path = format!("{path}{} ", one.get_name());
            found.push((path.trim_end().to_owned(), one.clone()));
            all(one, &path, found);
        }
    }

    #[test]
    fn every_command_tells_its_exit_codes_and_its_own_flags_first() {
        let mut commands = Vec::new();
        all(&command(), "", &mut commands);
        assert!(commands.len() > 20);
        for (name, mut command) in commands {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Exit codes:"), "{name}");
            let own = help.find("\nOptions:").unwrap_or(0);
            let settings = help.find(" settings:").unwrap_or(usize::MAX);
            assert!(own < settings, "{name}: {help}");
            let uses_store = !matches!(name.as_str(), "load" | "completions" | "man");
            assert_eq!(help.contains("--store <"), uses_store, "{name}");
            let serves = matches!(name.as_str(), "serve" | "doctor");
            assert_eq!(help.contains("--request-timeout <"), serves, "{name}");
            let delivers = serves || name.starts_with("relay");
            assert_eq!(help.contains("--drain-timeout <"), delivers, "{name}");
        }
    }
}
