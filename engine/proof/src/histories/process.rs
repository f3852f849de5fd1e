//! Callers in a process of their own: this program started again, with an
//! engine of its own on a store that others use.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdin, stdout};
use std::ops::Range;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::caller::{self, CallerContext, KnownIds};
use super::plan::Plan;
use super::record::{Record, Watch};

/// The subcommand by which a child is told from its parent.
pub const CHILD: &str = "histories-child";

/// What a child's engine is set to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub settings: Vec<(String, String)>,
}

/// What a child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The number of the child's process.
    pub process: u32,
    pub plan: Plan,
    pub products: Vec<u64>,
    pub known: KnownIds,
    /// Those of the child's callers.
    pub numbers: Range<u32>,
}

/// A child, seen from its parent. Dropped, it ends.
pub struct Child {
    process: process::Child,
    /// The child ends when this is closed, so it never outlives its parent.
    tasks: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child; it opens its engine on its own.
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

    /// Tells the child something, as a line of JSON.
    pub fn send(&mut self, what: &impl Serialize) {
        let line = serde_json::to_string(what).expect("JSON");
        let tasks = self.tasks.as_mut().expect("not closed");
        writeln!(tasks, "{line}").expect("the child listens");
    }

    /// What the child's callers saw.
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

/// Does what the parent asks for until it asks for nothing more.
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
        let records = caller::run(&context, known, numbers);
        let line = serde_json::to_string(&records).expect("JSON");
        // One write, so that the parent reads it whole.
        let mut output = stdout().lock();
        output.write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
        output.flush().expect("the parent listens");
    }
    engine.close().expect("closes");
    ExitCode::SUCCESS
}
