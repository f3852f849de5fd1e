//! Runs a command beside one MariaDB and one Redis that its tests share.
//!
//! `stockade-testkit run -- COMMAND ARGS...` starts both, tells the command of
//! them by `STOCKADE_TEST_MARIADB` and `STOCKADE_TEST_REDIS`, and ends with the
//! command's exit code, or 128 and the signal's number if a signal ended it.
//! The servers are gone when it ends, however it ends.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use stockade_testkit::{ENV_MARIADB, ENV_REDIS, MariaDb, Redis};

const USAGE: &str = "usage: stockade-testkit run -- COMMAND [ARGUMENT...]";
const EXIT_USAGE: u8 = 2;
const EXIT_NOT_RUN: u8 = 127;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [run, dashes, command @ ..] if run == "run" && dashes == "--" && !command.is_empty() => {
            run_beside_servers(command)
        }
        [help] if help == "--help" => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run_beside_servers(command: &[OsString]) -> ExitCode {
    let mariadb = MariaDb::start();
    let redis = Redis::start();
    eprintln!(
        "stockade-testkit: MariaDB on port {}, Redis on port {}",
        mariadb.port(),
        redis.port()
    );
    // The command is told to stop when we are killed: its servers go with us.
    // This is the main thread, which lives as long as the process.
    let status = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .args(command)
        .env(ENV_MARIADB, mariadb.port().to_string())
        .env(ENV_REDIS, redis.port().to_string())
        .status();
    drop((mariadb, redis));
    match status {
        Ok(status) => ExitCode::from(exit_code(status)),
        Err(cause) => {
            eprintln!("stockade-testkit: failed to run setpriv: {cause}");
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

// As a shell reports it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
