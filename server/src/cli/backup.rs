//! `stockade backup` and `stockade restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use stockade::{BackupReport, Config, ErrorKind};

use super::output::{json, json_flag, print_line, required};
use super::progress;
use crate::command_error::CommandError;
use crate::values::Values;

const ABOUT_BACKUP: &str = "\
Copy a SQLite store into one file while a server uses it: the copy is that of one moment,
blocks nobody, and is audited before it gets its name. It has the customers' names and the
payment tokens of the store: only its owner can read it. For MySQL and MariaDB, the command
of their own tool is printed, and nothing is done.";

const ABOUT_RESTORE: &str = "\
Replace a SQLite store by a backup. The backup is copied beside the store, migrated to this
version and audited first; unless the audit is clean the store stays as it is. Stop the
server before: a store that is in use is refused. For MySQL and MariaDB, the command of
their own tool is printed, and nothing is done.";

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the audit found a fault, and nothing was replaced; 2 wrong arguments,
a file that is there already, or a store that has a tool of its own; 3 the copy failed, or
the store is in use.";

pub(super) fn backup_command() -> Command {
    file_command(
        "backup",
        "Copy a SQLite store into a file while it is in use",
        "The backup to make",
    )
    .long_about(ABOUT_BACKUP)
    .arg(force("Replace FILE if it is there"))
}

pub(super) fn restore_command() -> Command {
    file_command(
        "restore",
        "Replace a SQLite store by a backup that passes the audit",
        "The backup",
    )
    .long_about(ABOUT_RESTORE)
    .arg(force("Replace the store if it is there"))
}

fn file_command(name: &'static str, about: &'static str, help: &'static str) -> Command {
    Command::new(name).about(about).after_help(EXIT_CODES).args([
        Arg::new("file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .required(true)
            .help(help),
        json_flag("Print the result as JSON"),
    ])
}

fn force(help: &'static str) -> Arg {
    Arg::new("force").long("force").action(ArgAction::SetTrue).help(help)
}

#[derive(Serialize)]
struct ResultView<'a> {
    done: bool,
    file: String,
    bytes: u64,
    audit: &'a stockade::AuditReport,
}

pub(super) async fn backup(values: Values, matches: &ArgMatches) -> Result<ExitCode, CommandError> {
    let file: PathBuf = required(matches, "file")?;
    let config = values.config;
    refuse_sql_server(&config, "backup", &file)?;
    let work = stockade::backup(&config, &file, matches.get_flag("force"));
    let report = with_progress(part_of(&file, ".part"), work).await;
    print_result(&report.map_err(|error| explain(error, "--force"))?, "backed up to", matches)
}

pub(super) async fn restore(
    values: Values,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let file: PathBuf = required(matches, "file")?;
    let config = values.config;
    refuse_sql_server(&config, "restore", &file)?;
    let store = PathBuf::from(config.store.trim_start_matches("sqlite:"));
    let work = stockade::restore(&config, &file, matches.get_flag("force"));
    let report = with_progress(part_of(&store, ".restoring"), work).await;
    print_result(&report.map_err(|error| explain(error, "--force"))?, "restored to", matches)
}

/// Names the flag with which a file is replaced.
fn explain(error: stockade::Error, flag: &str) -> CommandError {
    let is_taken =
        error.kind() == ErrorKind::InvalidArgument && error.message().contains("overwrite");
    match CommandError::from(error) {
        CommandError::Setup(why) if is_taken => CommandError::Setup(format!("{why} ({flag})")),
        other => other,
    }
}

fn print_result(
    report: &BackupReport,
    done: &str,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let is_good = report.audit.consistent;
    let file = report.file.display();
    print_line(&if matches.get_flag("json") {
        let BackupReport { bytes, audit, .. } = report;
        json(&ResultView { done: is_good, file: file.to_string(), bytes: *bytes, audit })?
    } else if is_good {
        let (products, bytes) = (report.audit.products, report.bytes);
        format!("{done} {file}: {bytes} bytes, {products} products, the audit is clean")
    } else {
        let findings = json(&report.audit.findings)?;
        format!("replaced nothing: the audit of the copy is NOT CLEAN: {findings}")
    })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn part_of(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Shows on a terminal how many bytes of the copy are there.
async fn with_progress<T>(part: PathBuf, work: impl Future<Output = T>) -> T {
    progress::watched("{spinner} {bytes} {msg} in {elapsed}", "copied", work, |bar| {
        bar.set_position(part.metadata().map_or(0, |metadata| metadata.len()));
    })
    .await
}

/// Refuses a store of MySQL or MariaDB with the command of its own tool: it makes one
/// snapshot, knows the server's version and its TLS, and gets its password by its own
/// means.
fn refuse_sql_server(config: &Config, what: &str, file: &Path) -> Result<(), CommandError> {
    let Ok(url) = config.store.parse::<hyper::Uri>() else { return Ok(()) };
    if !matches!(url.scheme_str(), Some("mysql" | "mariadb")) {
        return Ok(());
    }
    let host = url.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(3306);
    let login = url.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
    let user = login.map_or("USER", |(login, _)| login.split(':').next().unwrap_or(login));
    let database = url.path().trim_start_matches('/');
    let connect = format!("--host={host} --port={port} --user={user} --password");
    let file = file.display();
    let tool = match what {
        "backup" => format!(
            "mysqldump {connect} --single-transaction --skip-lock-tables --no-tablespaces \
             --hex-blob --result-file={file} {database}"
        ),
        _ => format!("mysql {connect} {database} < {file}"),
    };
    Err(CommandError::Setup(format!(
        "a store of MySQL or MariaDB has a tool of its own (mariadb-dump and mariadb on MariaDB): \
         {tool}\nthen check the restored database by `stockade audit`; give it another \
         redis_prefix if the old one is still in use"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_mysql_names_no_password() {
        let mut config = Config::default();
        let file = Path::new("shop.sql");
        assert!(refuse_sql_server(&config, "backup", file).is_ok());
        config.set("store", "mysql://shop:s3cret@db:3307/my_shop?ssl-mode=REQUIRED").unwrap();
        for what in ["backup", "restore"] {
            let said = refuse_sql_server(&config, what, file).unwrap_err().to_string();
            assert!(!said.contains("s3cret"), "{said}");
            for part in ["--host=db", "--port=3307", "--user=shop", "my_shop", "shop.sql"] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
    }
}
