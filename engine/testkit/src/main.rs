//! Runs a command with one MariaDB, one MySQL and one Redis server shared by its
//! tests.
//!
//! `stockade-testkit run -- COMMAND ARGS...` starts them side by side, tells
//! the command their ports by `STOCKADE_TEST_MARIADB`, `STOCKADE_TEST_MYSQL`
//! and `STOCKADE_TEST_REDIS`, forbids its tests to skip what is not installed by
//! `STOCKADE_TEST_REQUIRE=all`, lets them hand on databases through the folder
//! `STOCKADE_TEST_DATABASES`, and ends with the command's exit code, or 128 and
//! the signal's number if a signal ended it. The servers are gone when it ends,
//! however it ends.
//!
//! `STOCKADE_TEST_MARIADB_ROOT=mariadb` and `STOCKADE_TEST_REDIS_ROOT=redis` or
//! `=valkey` choose what `.ci/deps long` unpacked instead of what is installed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;

use stockade_testkit::{
    ENV_DATABASES, ENV_MARIADB, ENV_MYSQL, ENV_REDIS, ENV_REQUIRE, MariaDb, MySql, Redis, SqlServer,
};

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
    let (mariadb, mysql, redis) = start_servers();
    for (version, port) in [
        (mariadb.version(), mariadb.port()),
        (mysql.version(), mysql.port()),
        (redis.version(), redis.port()),
    ] {
        eprintln!("stockade-testkit: {version} on port {port}");
    }
    // In the folder of a server, which is removed however this process ends.
    let databases = mariadb.socket().with_file_name("databases");
    if let Err(cause) = fs::create_dir(&databases) {
        eprintln!("stockade-testkit: failed to make a folder for locks: {cause}");
        return ExitCode::from(EXIT_NOT_RUN);
    }
    // The parent-death signal ends the command when this process is killed, as it
    // ends the servers. It follows this thread, the main one, which lives as long
    // as the process.
    let mut to_run = Command::new("setpriv");
    for name in names_of_a_package(env::vars_os().map(|(name, _)| name)) {
        to_run.env_remove(name);
    }
    let status = to_run
        .args(["--pdeathsig", "TERM", "--"])
        .args(command)
        .env(ENV_MARIADB, mariadb.port().to_string())
        .env(ENV_MYSQL, mysql.port().to_string())
        .env(ENV_REDIS, redis.port().to_string())
        .env(ENV_DATABASES, &databases)
        .env(ENV_REQUIRE, "all")
        .status();
    drop((mariadb, mysql, redis));
    match status {
        Ok(status) => ExitCode::from(exit_code(status)),
        Err(cause) => {
            eprintln!("stockade-testkit: failed to run setpriv: {cause}");
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

/// Selects the variables that `cargo run` sets for its package. The command must
/// not inherit them: build scripts that depend on them (such as `ring`'s) would
/// rerun, and every dependent crate would recompile.
fn names_of_a_package(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    const BEGINNINGS: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
    names.filter(|name| {
        let name = name.to_string_lossy();
        BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    })
}

fn start_servers() -> (SqlServer, SqlServer, Redis) {
    thread::scope(|scope| {
        let (mariadb, mysql) = (scope.spawn(MariaDb::start), scope.spawn(MySql::start));
        let redis = Redis::start();
        // A failed start has printed its reason.
        let joined = |sql: thread::ScopedJoinHandle<'_, _>| {
            sql.join().unwrap_or_else(|why| resume_unwind(why))
        };
        (joined(mariadb), joined(mysql), redis)
    })
}

// As a shell reports it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
