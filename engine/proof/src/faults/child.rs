//! Runs shoppers in a child process: this program again. The child kills or stops
//! itself at a failpoint, or ends on request.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stockade::Engine;
use stockade::failpoints::{self, Failpoint};
use stockade_testkit::load::Load;
use stockade_testkit::wait_until;

use super::journal::{Entry, Journal, JournalLine, print_line};
use super::load::{Shopper, stock_up};

/// The environment variable with a child's task as JSON.
const ENV: &str = "STOCKADE_PROOF_CHILD";
/// Set by the parent's `arm`; failpoint passes count from then on.
static ARMED: AtomicBool = AtomicBool::new(false);
/// Whether the child may leave the failpoint at which it stopped itself.
static RESUMED: AtomicBool = AtomicBool::new(false);
const CHILD_TIMEOUT: Duration = Duration::from_secs(60);
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What a child does to itself at the failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultAction {
    Kill,
    Stop,
}

/// A child's task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChildTask {
    pub settings: Vec<(String, String)>,
    /// Empty when the child creates the products.
    pub products: Vec<u64>,
    pub seed: u64,
    /// The first caller's number.
    pub first: u64,
    pub shoppers: u64,
    /// The failpoint's name, the pass that triggers, and the action.
    pub at: Option<(String, u64, FaultAction)>,
    /// A shell line that starts the program; it ends in `exec "$0"`.
    pub shell: Option<String>,
}

/// The parent's handle to a child. Dropping it kills the child.
pub struct Child {
    process: process::Child,
    /// The child ends when this pipe closes.
    stdin: Option<ChildStdin>,
    output: Arc<Mutex<Output>>,
}

/// A child's output so far.
struct Output {
    pipe: ChildStdout,
    is_over: bool,
    /// The partial last line.
    rest: Vec<u8>,
    lines: Vec<String>,
}

impl Output {
    /// Reads all available output.
    fn drain(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while !self.is_over {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.rest.extend(&buffer[..count]),
                Err(_) => break,
            }
        }
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
    }
}

impl Child {
    pub fn start(task: &ChildTask) -> Self {
        let program = std::env::current_exe().expect("this program");
        // The parent-death signal follows the spawning thread, which outlives the
        // child.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        match &task.shell {
            Some(line) => command.args(["sh", "-c", line]).arg(program),
            None => command.arg(program),
        };
        let mut process = command
            .env(ENV, serde_json::to_string(task).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let pipe = process.stdout.take().expect("piped");
        // Non-blocking: a drain reads what is available.
        rustix::io::ioctl_fionbio(&pipe, true).expect("a pipe");
        let output = Output { pipe, is_over: false, rest: Vec::new(), lines: Vec::new() };
        let output = Arc::new(Mutex::new(output));
        let draining = Arc::downgrade(&output);
        // A full pipe would stop the child.
        thread::spawn(move || {
            while let Some(output) = draining.upgrade() {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output.drain();
                if output.is_over {
                    break;
                }
                drop(output);
                thread::sleep(DRAIN_INTERVAL);
            }
        });
        Self { stdin: process.stdin.take(), process, output }
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.drain();
        output
    }

    /// Returns the lines that begin with this word, without it.
    pub fn lines_after(&self, word: &str) -> Vec<String> {
        let output = self.output();
        let rest = output.lines.iter().filter_map(|line| line.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).collect()
    }

    /// Counts the journal lines that contain this text.
    pub fn count_calls(&self, text: &str) -> usize {
        let output = self.output();
        output.lines.iter().filter(|line| line.starts_with("call ") && line.contains(text)).count()
    }

    pub fn wait_for(&self, word: &str) {
        let has_said = || self.output().lines.iter().any(|line| line.starts_with(word));
        wait_until(&format!("the child says {word}"), CHILD_TIMEOUT, has_said);
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is there");
    }

    /// Waits until the child has stopped itself.
    pub fn wait_until_stopped(&self) {
        let tasks = format!("/proc/{}/task", self.process.id());
        // Checks every thread: one may still be in a write.
        let stands = |task: std::io::Result<fs::DirEntry>| {
            let stat = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
            let stat = stat.unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        wait_until("the child stands still", CHILD_TIMEOUT, || {
            fs::read_dir(&tasks).is_ok_and(|mut tasks| tasks.all(stands))
        });
    }

    /// Waits until the child is dead and returns the time.
    pub fn wait_until_dead(&mut self) -> Instant {
        let mut gone = None;
        wait_until("the child is dead", CHILD_TIMEOUT, || {
            gone = self.process.try_wait().expect("waited");
            gone.is_some()
        });
        Instant::now()
    }

    fn send(&mut self, word: &str) {
        let stdin = self.stdin.as_mut().expect("not closed");
        writeln!(stdin, "{word}").expect("the child listens");
    }

    /// Makes the child count passes of its failpoint.
    pub fn arm(&mut self) {
        self.send("arm");
    }

    /// Lets the child leave the failpoint at which it stopped itself.
    pub fn resume(&mut self) {
        self.send("resume");
        self.signal(Signal::CONT);
    }

    /// Stops the child's shoppers but keeps the process.
    pub fn stop_shopping(&mut self) {
        self.send("stop");
        self.wait_for("stopped");
    }

    /// Ends the child and waits for its exit.
    pub fn finish(&mut self) {
        self.stdin = None;
        self.wait_until_dead();
        assert!(!self.lines_after("done").is_empty(), "the child ended too soon");
    }

    /// Reads the journal of the child's callers from its output.
    pub fn journal(&self) -> Journal {
        let mut journal = Journal::default();
        let mut calls: HashMap<(u64, usize), usize> = HashMap::new();
        for line in self.lines_after("call ") {
            match serde_json::from_str(&line).expect("JSON") {
                JournalLine::Invoked { call, intent, request } => {
                    calls.insert(call, journal.entries.len());
                    journal.entries.push(Entry { intent, request, response: None });
                }
                JournalLine::Returned { call, response } => {
                    journal.entries[calls[&call]].response = Some(response)
                }
            }
        }
        journal
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the parent's task and exits, if this process is a child.
pub fn run_child_if_requested() {
    let Ok(task) = std::env::var(ENV) else { return };
    let task: ChildTask = serde_json::from_str(&task).expect("JSON");
    let load = Arc::new(Load::default());
    let stop_requested = Arc::clone(&load);
    let (over, end) = mpsc::channel();
    thread::spawn(move || {
        for word in std::io::stdin().lines().map_while(Result::ok) {
            match word.as_str() {
                "arm" => ARMED.store(true, Ordering::SeqCst),
                "resume" => RESUMED.store(true, Ordering::SeqCst),
                _ => stop_requested.stop(),
            }
        }
        stop_requested.stop();
        let _ = over.send(());
    });
    shop(&task, &load, &end);
    print_line("done");
    process::exit(0);
}

fn shop(task: &ChildTask, load: &Load, end: &mpsc::Receiver<()>) {
    let mut builder = Engine::builder();
    for (name, value) in &task.settings {
        builder = builder.set(name, value).expect("a setting");
    }
    let engine = builder.open().expect("opens");
    let products = match task.products.as_slice() {
        [] => stock_up(&engine),
        products => products.to_vec(),
    };
    if let Some((point, pass, act)) = task.at.clone() {
        arm(&point, pass, act);
    }
    thread::scope(|scope| {
        for caller in 0..task.shoppers {
            let (engine, products) = (&engine, &products);
            scope.spawn(move || {
                let number = task.first + caller;
                let who = (task.seed, number);
                let mut shopper = Shopper::new(engine, products, who, load);
                shopper.journal = Journal::reporting(number);
                let mut is_first = caller == 0;
                while !load.is_stopped() {
                    if shopper.buy() && is_first {
                        is_first = false;
                        print_line("served");
                    }
                }
            });
        }
    });
    for line in engine.metrics_text().lines().filter(|line| !line.starts_with('#')) {
        print_line(&format!("metric {line}"));
    }
    print_line("stopped");
    let _ = end.recv();
    engine.close().expect("closes");
}

/// Kills or stops this process at the given pass of a failpoint.
fn arm(point: &str, pass: u64, act: FaultAction) {
    let mut all = Failpoint::ALL.iter().copied();
    let point = all.find(|at| at.as_str() == point).expect("a failpoint");
    let splits = matches!(point, Failpoint::AfterWrite | Failpoint::BeforeCommit);
    let passed = AtomicU64::new(0);
    failpoints::install(splits, move |at| {
        let counts = at == point && ARMED.load(Ordering::SeqCst);
        if counts && passed.fetch_add(1, Ordering::SeqCst) + 1 == pass {
            match act {
                FaultAction::Kill => kill_process(getpid(), Signal::KILL).expect("our own process"),
                FaultAction::Stop => {
                    kill_process(getpid(), Signal::STOP).expect("our own process");
                    // Another thread may receive the signal; without this loop
                    // this one could leave the failpoint before all threads stop.
                    while !RESUMED.load(Ordering::SeqCst) {
                        thread::sleep(POLL_INTERVAL);
                    }
                }
            }
        }
    });
}
