//! A bench started again as a process of its own. What it is to be stands in
//! its environment; orders and answers are lines of JSON.

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Holds what a child is to be, as JSON.
const ENV: &str = "STOCKADE_BENCH_CHILD";

/// A child, seen from its parent. Dropped, it is told to end and waited for.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    /// The child ends when this is closed, so it never outlives its parent.
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program again with a task.
    ///
    /// # Panics
    /// When there is no process to be had.
    #[must_use]
    pub fn start(task: &impl Serialize) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .env(ENV, serde_json::to_string(task).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process can be had");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { orders: process.stdin.take(), process, answers }
    }

    /// Gives an order.
    ///
    /// # Panics
    /// When the child is gone.
    pub fn order(&mut self, order: &impl Serialize) {
        let mut line = serde_json::to_string(order).expect("JSON");
        line.push('\n');
        let orders = self.orders.as_mut().expect("not closed");
        orders.write_all(line.as_bytes()).expect("the child listens");
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    /// When the child is gone.
    pub fn answer<A: DeserializeOwned>(&mut self) -> A {
        let line = self.answers.next().expect("the child answers").expect("reads");
        serde_json::from_str(&line).expect("an answer")
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}

/// What this process is to be, if it is a child.
///
/// # Panics
/// When the task is of another kind.
#[must_use]
pub fn task<T: DeserializeOwned>() -> Option<T> {
    let task = std::env::var(ENV).ok()?;
    Some(serde_json::from_str(&task).expect("a task"))
}

/// The parent's orders, until it is done with this child or gone.
///
/// # Panics
/// When an order is of another kind.
pub fn orders<O: DeserializeOwned>() -> impl Iterator<Item = O> {
    let lines = io::stdin().lines().map_while(Result::ok);
    lines.map(|line| serde_json::from_str(&line).expect("an order"))
}

/// Answers the parent.
///
/// # Panics
/// When the parent is gone.
pub fn answer(answer: &impl Serialize) {
    let mut line = serde_json::to_string(answer).expect("JSON");
    line.push('\n');
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes()).expect("the parent listens");
    output.flush().expect("the parent listens");
}
