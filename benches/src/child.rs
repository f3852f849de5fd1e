//! Child processes of a bench: the same program, with its task in the
//! environment; orders and answers are lines of JSON.

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The variable with the child's task, as JSON.
const ENV: &str = "STOCKADE_BENCH_CHILD";

/// A child process. Dropping it tells it to exit and waits.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    /// The child exits when this pipe closes, so it never outlives its parent.
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program again with a task.
    ///
    /// # Panics
    /// When the process cannot be started.
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

    /// Sends an order.
    ///
    /// # Panics
    /// When the child has exited.
    pub fn order(&mut self, order: &impl Serialize) {
        let mut line = serde_json::to_string(order).expect("JSON");
        line.push('\n');
        let orders = self.orders.as_mut().expect("not closed");
        orders.write_all(line.as_bytes()).expect("the child listens");
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    /// When the child has exited.
    pub fn answer<A: DeserializeOwned>(&mut self) -> A {
        let line = self.answers.next().expect("the child answers").expect("reads");
        serde_json::from_str(&line).expect("an answer")
    }

    /// Returns the process's id.
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

/// Returns the task of this process if it is a child.
///
/// # Panics
/// When the task has another type.
#[must_use]
pub fn task<T: DeserializeOwned>() -> Option<T> {
    let task = std::env::var(ENV).ok()?;
    Some(serde_json::from_str(&task).expect("a task"))
}

/// Iterates over the parent's orders until it closes the pipe.
///
/// # Panics
/// When an order has another type.
pub fn orders<O: DeserializeOwned>() -> impl Iterator<Item = O> {
    let lines = io::stdin().lines().map_while(Result::ok);
    lines.map(|line| serde_json::from_str(&line).expect("an order"))
}

/// Sends an answer to the parent.
///
/// # Panics
/// When the parent has exited.
pub fn answer(answer: &impl Serialize) {
    let mut line = serde_json::to_string(answer).expect("JSON");
    line.push('\n');
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes()).expect("the parent listens");
    output.flush().expect("the parent listens");
}
