//! What the commands read of their arguments and print.

use std::io::{self, Write};

use clap::{Arg, ArgAction, ArgMatches};
use serde::Serialize;

use crate::command_error::CommandError;
use crate::problem::Rejection;

/// Returns an argument that clap requires.
pub(super) fn required<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    name: &str,
) -> Result<T, CommandError> {
    let missing = || CommandError::Setup(format!("{name} is missing"));
    matches.get_one(name).cloned().ok_or_else(missing)
}

/// The flag `--json`.
pub(super) fn json_flag(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

/// Prints a report as one line of JSON, or indented for people.
pub(super) fn print_report(
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

pub(super) fn json(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(value).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> CommandError {
    CommandError::Runtime(format!("cannot write the report: {error}"))
}

/// What cannot be shown as HTTP shows it.
pub(super) fn unshown(rejection: &Rejection) -> CommandError {
    CommandError::Runtime(rejection.detail().into_owned())
}

/// Prints a line. A closed pipe is not an error.
pub(super) fn print_line(line: &str) -> Result<(), CommandError> {
    try_print_line(line).map(drop)
}

/// Prints a line, and returns whether there is still a reader.
pub(super) fn try_print_line(line: &str) -> Result<bool, CommandError> {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::system("cannot write to stdout", &error)),
    }
}
