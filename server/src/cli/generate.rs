//! `stockade completions` and `stockade man`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::output::{print_line, required};
use crate::command_error::CommandError;

pub(super) fn completions_command() -> Command {
    Command::new("completions").about("Print a completion script for a shell").arg(
        Arg::new("shell")
            .value_name("SHELL")
            .value_parser(value_parser!(Shell))
            .required(true)
            .help("The shell"),
    )
}

pub(super) fn man_command() -> Command {
    Command::new("man").about("Write a man page for each command into a folder").arg(
        Arg::new("folder")
            .value_name("FOLDER")
            .value_parser(value_parser!(PathBuf))
            .required(true)
            .help("The folder, which is made if it is missing"),
    )
}

/// Prints the completions of this command line.
pub(super) fn completions(mut command: Command, matches: &ArgMatches) -> Result<(), CommandError> {
    let shell: Shell = required(matches, "shell")?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "stockade", &mut script);
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::system("cannot write to stdout", &error))
        }
        _ => Ok(()),
    }
}

/// Writes the man pages of this command line.
pub(super) fn man(command: Command, matches: &ArgMatches) -> Result<(), CommandError> {
    let folder: PathBuf = required(matches, "folder")?;
    let shown = folder.display();
    let failed = |error| CommandError::system(&format!("cannot write to {shown}"), &error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command, &folder).map_err(failed)?;
    let pages = std::fs::read_dir(&folder).map_err(failed)?.count();
    print_line(&format!("{pages} man pages in {shown}; read one by `man {shown}/stockade.1`"))
}
