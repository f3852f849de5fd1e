//! Runs callers in a child process: this program again, with its own engine on a
//! shared store.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdin, stdout};
use std::ops::Range;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::caller::{self, CallerContext, KnownIds};
use super::plan::Plan;
use super::record::{Record, Watch};

/// The subcommand that starts a child.
pub const CHILD: &str = "histories-child";

/// The settings of a child's engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub settings: Vec<(String, String)>,
}

/// A child's work item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The child's process number.
    pub process: u32,
    pub plan: Plan,
    pub products: Vec<u64>,
    pub known: KnownIds,
    /// The child's caller numbers.
    pub numbers: Range<u32>,
}

/// The parent's handle to a child. Dropping it ends the child.
pub struct Child {
    process: process::Child,
    /// The child ends when this pipe closes, so it never outlives its parent.
    tasks: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child, which opens its engine asynchronously.
    pub fn start(setup: &Setup) -> Self {
        let program = env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .arg(CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut child = Self { tasks: process.stdin.take(), process, lines };
        child.send(setup);
        child
    }

    /// Sends a value to the child as one line of JSON.
    pub fn send(&mut self, what: &impl Serialize) {
        let line = serde_json::to_string(what).expect("JSON");
        let tasks = self.tasks.as_mut().expect("not closed");
        writeln!(tasks, "{line}").expect("the child listens");
    }

    /// Receives the records of the child's callers.
    pub fn receive(&mut self) -> Vec<Record> {
        let line = self.lines.next().expect("the child lives").expect("reads");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.tasks = None;
        let _ = self.process.wait();
    }
}

/// Executes the parent's tasks until its pipe closes.
#[must_use]
pub fn run_child() -> ExitCode {
    let mut lines = stdin().lines().map_while(std::result::Result::ok);
    let Some(setup) = lines.next() else { return ExitCode::FAILURE };
    let setup: Setup = serde_json::from_str(&setup).expect("JSON");
    let builder = setup.builder().expect("settings");
    let engine = builder.open().expect("opens");
    for line in lines {
        let task: Task = serde_json::from_str(&line).expect("JSON");
        let Task { process, plan, products, known, numbers } = task;
        let (engine, watch) = (&engine, &Watch::Real);
        let context = CallerContext { engine, watch, process, plan: &plan, products: &products };
        let records = caller::run(&context, &Mutex::new(known), numbers);
        let line = serde_json::to_string(&records).expect("JSON");
        // One write, so that the parent reads a whole line.
        let mut output = stdout().lock();
        output.write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
        output.flush().expect("the parent listens");
    }
    engine.close().expect("closes");
    ExitCode::SUCCESS
}
