//! Builds one checker from the copy and runs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use serde_json::Value;
use stockade_testkit::{ENV_MARIADB, ENV_MYSQL, ENV_REDIS, Flavour, Redis};

use super::list::Check;
use super::sources::Sources;
use crate::Extent;
use crate::faults::ENV_FAULT;
use crate::histories::ENV_DEPLOYMENT;
use crate::results::{self, PartResult, Row};
use crate::simulation;

/// A checker that runs longer is considered hung.
const ENDS_WITHIN: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How a checker ended.
pub enum Ended {
    /// No seed reported a violation. The row has the amount of work.
    Clean(Row),
    /// A seed reported a violation.
    Violation(Row),
    /// The build failed, the checker hung, or it ended without a result.
    CutShort(String),
}

/// Builds and runs checkers.
pub struct Stand<'a> {
    sources: &'a Sources,
    /// Cargo's target folder, reused for all bugs.
    target: PathBuf,
    logs: PathBuf,
    extent: Extent,
    /// Environment variables that name the database servers shared by all
    /// checkers.
    servers: [(&'static str, String); 3],
}

impl<'a> Stand<'a> {
    /// Creates a stand in this folder with shared servers.
    pub fn new(folder: &Path, sources: &'a Sources, extent: Extent) -> Self {
        let logs = folder.join("logs");
        fs::create_dir_all(&logs).expect("a folder");
        let servers = [
            (ENV_MARIADB, Flavour::MariaDb.shared().port()),
            (ENV_MYSQL, Flavour::MySql.shared().port()),
            (ENV_REDIS, Redis::shared().port()),
        ];
        let servers = servers.map(|(name, port)| (name, port.to_string()));
        Self { sources, target: folder.join("target"), logs, extent, servers }
    }

    /// Builds a checker and runs it until its first violation.
    pub fn run(&self, planted: &str, check: &Check) -> Ended {
        let log = self.logs.join(format!("{planted}, {check}.log"));
        match self.try_run(check, &log) {
            Ok(rows) => {
                let row = sum(&rows);
                if row.broken().is_empty() { Ended::Clean(row) } else { Ended::Violation(row) }
            }
            Err(why) => Ended::CutShort(format!("{why}; see {}", log.display())),
        }
    }

    fn try_run(&self, check: &Check, log: &Path) -> Result<Vec<Row>, String> {
        let log = &File::create(log).expect("a log");
        let seeds = Some(self.extent.seeds.unwrap_or(check.seeds()));
        let extent = Extent { seeds, until_broken: true, ..self.extent };
        let kept = results::below(&self.target);
        match check {
            Check::Simulation { .. } => {
                let program = self.build(&["test", "--package", "stockade", "--lib"], log)?;
                let file = kept.join("simulation.row.json");
                let mut command = self.command(&program, log);
                simulation::ask(&mut command, extent, &file);
                let read = || Ok(vec![simulation::read(&file)?]);
                finish(&mut command, &file, read)
            }
            Check::Histories { place, .. } => {
                self.run_part("histories", (ENV_DEPLOYMENT, place), extent, log)
            }
            Check::Faults { fault, .. } => self.run_part("faults", (ENV_FAULT, fault), extent, log),
        }
    }

    /// Runs the cases of a part that the environment variable selects.
    fn run_part(
        &self,
        part: &str,
        (name, value): (&str, &str),
        extent: Extent,
        log: &File,
    ) -> Result<Vec<Row>, String> {
        let program = self.build(&["build", "--package", "stockade-proof"], log)?;
        let kept = results::below(&self.target);
        let mut command = self.command(&program, log);
        command.arg(part).args(extent.args()).env(name, value);
        let read =
            || Ok(PartResult::load_from(&kept, part)?.map_or_else(Vec::new, |kept| kept.rows));
        finish(&mut command, &kept.join(format!("{part}.json")), read)
    }

    /// Runs cargo with these arguments and returns the path of the built program.
    fn build(&self, words: &[&str], log: &File) -> Result<PathBuf, String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(words).args(["--locked", "--message-format", "json-render-diagnostics"]);
        if words.first() == Some(&"test") {
            command.arg("--no-run");
        }
        command.current_dir(self.sources.folder()).env("CARGO_TARGET_DIR", &self.target);
        let built = command.stderr(log.try_clone().expect("a log")).output().expect("cargo");
        if !built.status.success() {
            return Err("the build failed".to_owned());
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut programs = messages
            .filter_map(|message: Value| message.get("executable")?.as_str().map(PathBuf::from));
        programs.next_back().ok_or_else(|| "cargo built no program".to_owned())
    }

    /// Creates a command whose process is killed when this process ends.
    fn command(&self, program: &Path, log: &File) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .current_dir(self.sources.folder())
            .env("CARGO_TARGET_DIR", &self.target)
            .envs(self.servers.clone())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log.try_clone().expect("a log"));
        command
    }
}

/// Runs a checker and reads the result that it saved in `file`.
fn finish(
    command: &mut Command,
    file: &Path,
    read: impl FnOnce() -> io::Result<Vec<Row>>,
) -> Result<Vec<Row>, String> {
    // Removes an earlier run's result, which must not be read as this one's.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let status =
        wait(command).ok_or_else(|| format!("the checker did not end within {ENDS_WITHIN:?}"))?;
    let rows = read().map_err(|error| format!("the checker ({status}) left no result: {error}"))?;
    let is_judged = !rows.is_empty() && rows.iter().all(|row| row.cut_short == 0);
    let is_clean = rows.iter().all(|row| row.broken().is_empty());
    if is_judged && status.success() == is_clean {
        return Ok(rows);
    }
    Err(format!("the checker ended with {status} before its checks did"))
}

/// Waits for the process, and kills it at the timeout.
fn wait(command: &mut Command) -> Option<ExitStatus> {
    let mut process = command.spawn().expect("setpriv can be run");
    let since = Instant::now();
    while since.elapsed() < ENDS_WITHIN {
        if let Some(status) = process.try_wait().expect("waited") {
            return Some(status);
        }
        thread::sleep(POLL_INTERVAL);
    }
    process.kill().expect("a child");
    process.wait().expect("waited");
    None
}

/// Adds up all rows.
fn sum(rows: &[Row]) -> Row {
    let mut sum = Row::default();
    rows.iter().for_each(|row| sum.add(row));
    sum
}
