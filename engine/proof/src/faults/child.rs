//! This program started again as a process of its own, which shops until it
//! kills or stops itself at a failpoint, or is told to end.

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
use stockade_testkit::wait_until;

use super::journal::{Entry, Journal, Told, say};
use super::load::{Shopper, stock_up};

/// Holds what a child is to do, as JSON.
const ENV: &str = "STOCKADE_PROOF_CHILD";
/// Whether the parent has said so; failpoints count from then on.
static ARMED: AtomicBool = AtomicBool::new(false);
/// Whether it may leave the failpoint at which it stopped itself.
static GOES_ON: AtomicBool = AtomicBool::new(false);
const PATIENCE: Duration = Duration::from_secs(60);
const DRAIN_EVERY: Duration = Duration::from_millis(1);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a child does to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    Kill,
    Stop,
}

/// What a child is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    pub settings: Vec<(String, String)>,
    /// Empty where it is to make them.
    pub products: Vec<u64>,
    pub seed: u64,
    /// The number of its first caller.
    pub first: u64,
    pub shoppers: u64,
    /// The failpoint by name, at which pass of it, and what to do then.
    pub at: Option<(String, u64, Act)>,
    /// What the program is started by: a shell line that ends in `exec "$0"`.
    pub shell: Option<String>,
}

/// A child, seen from its parent. Dropped, it is killed.
pub struct Child {
    process: process::Child,
    /// The child ends when this is closed.
    orders: Option<ChildStdin>,
    output: Arc<Mutex<Output>>,
}

/// What a child has said.
struct Output {
    pipe: ChildStdout,
    is_over: bool,
    /// The beginning of a line.
    rest: Vec<u8>,
    lines: Vec<String>,
}

impl Output {
    /// Takes everything that was said up to now.
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
    pub fn start(orders: &Orders) -> Self {
        let program = std::env::current_exe().expect("this program");
        // The signal comes when the thread that started the child ends, which
        // outlives the child.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        match &orders.shell {
            Some(line) => command.args(["sh", "-c", line]).arg(program),
            None => command.arg(program),
        };
        let mut process = command
            .env(ENV, serde_json::to_string(orders).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let pipe = process.stdout.take().expect("piped");
        // Whoever drains it takes what is there and does not wait for more.
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
                thread::sleep(DRAIN_EVERY);
            }
        });
        Self { orders: process.stdin.take(), process, output }
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.drain();
        output
    }

    /// Lines that begin with this word, without it.
    pub fn said(&self, word: &str) -> Vec<String> {
        let output = self.output();
        let rest = output.lines.iter().filter_map(|line| line.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).collect()
    }

    /// How many of its callers' calls and answers have this in them.
    pub fn told(&self, text: &str) -> usize {
        let output = self.output();
        output.lines.iter().filter(|line| line.starts_with("told ") && line.contains(text)).count()
    }

    pub fn wait_for(&self, word: &str) {
        let has_said = || self.output().lines.iter().any(|line| line.starts_with(word));
        wait_until(&format!("the child says {word}"), PATIENCE, has_said);
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is there");
    }

    /// Waits until it has stopped itself.
    pub fn wait_until_stopped(&self) {
        let tasks = format!("/proc/{}/task", self.process.id());
        // Each thread by itself: one may still be in the middle of a write.
        let stands = |task: std::io::Result<fs::DirEntry>| {
            let stat = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
            let stat = stat.unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        wait_until("the child stands still", PATIENCE, || {
            fs::read_dir(&tasks).is_ok_and(|mut tasks| tasks.all(stands))
        });
    }

    /// Waits until it is gone, and answers when that was.
    pub fn wait_until_dead(&mut self) -> Instant {
        let mut gone = None;
        wait_until("the child is dead", PATIENCE, || {
            gone = self.process.try_wait().expect("waited");
            gone.is_some()
        });
        Instant::now()
    }

    fn order(&mut self, word: &str) {
        let orders = self.orders.as_mut().expect("not closed");
        writeln!(orders, "{word}").expect("the child listens");
    }

    /// Lets it count the passes of its failpoint from now on.
    pub fn arm(&mut self) {
        self.order("arm");
    }

    /// Lets it leave the failpoint at which it stopped itself.
    pub fn go_on(&mut self) {
        self.order("go on");
        self.signal(Signal::CONT);
    }

    /// Ends its shopping and leaves it there.
    pub fn stop_shopping(&mut self) {
        self.order("stop");
        self.wait_for("stopped");
    }

    /// Tells it to end and waits for that.
    pub fn finish(&mut self) {
        self.orders = None;
        self.wait_until_dead();
        assert!(!self.said("done").is_empty(), "the child ended too soon");
    }

    /// What its callers asked and were answered, as far as it told.
    pub fn journal(&self) -> Journal {
        let mut journal = Journal::default();
        let mut calls: HashMap<(u64, usize), usize> = HashMap::new();
        for line in self.said("told ") {
            match serde_json::from_str(&line).expect("JSON") {
                Told::Asked { call, intent, ask } => {
                    calls.insert(call, journal.entries.len());
                    journal.entries.push(Entry { intent, ask, said: None });
                }
                Told::Said { call, said } => journal.entries[calls[&call]].said = Some(said),
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

/// Does what a parent ordered, if there is one, and ends the process.
pub fn run_if_told() {
    let Ok(orders) = std::env::var(ENV) else { return };
    let orders: Orders = serde_json::from_str(&orders).expect("JSON");
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let (over, end) = mpsc::channel();
    thread::spawn(move || {
        for word in std::io::stdin().lines().map_while(Result::ok) {
            match word.as_str() {
                "arm" => ARMED.store(true, Ordering::SeqCst),
                "go on" => GOES_ON.store(true, Ordering::SeqCst),
                _ => told.store(true, Ordering::Relaxed),
            }
        }
        told.store(true, Ordering::Relaxed);
        let _ = over.send(());
    });
    shop(&orders, &stop, &end);
    say("done");
    process::exit(0);
}

fn shop(orders: &Orders, stop: &AtomicBool, end: &mpsc::Receiver<()>) {
    let mut builder = Engine::builder();
    for (name, value) in &orders.settings {
        builder = builder.set(name, value).expect("a setting");
    }
    let engine = builder.open().expect("opens");
    let products = match orders.products.as_slice() {
        [] => stock_up(&engine),
        products => products.to_vec(),
    };
    if let Some((point, pass, act)) = orders.at.clone() {
        arm(&point, pass, act);
    }
    thread::scope(|scope| {
        for caller in 0..orders.shoppers {
            let (engine, products) = (&engine, &products);
            scope.spawn(move || {
                let number = orders.first + caller;
                let who = (orders.seed, number);
                let mut shopper = Shopper::new(engine, products, who, stop);
                shopper.journal = Journal::telling(number);
                let mut is_first = caller == 0;
                while !stop.load(Ordering::Relaxed) {
                    if shopper.buy() && is_first {
                        is_first = false;
                        say("served");
                    }
                }
            });
        }
    });
    for line in engine.metrics_text().lines().filter(|line| !line.starts_with('#')) {
        say(&format!("metric {line}"));
    }
    say("stopped");
    let _ = end.recv();
    engine.close().expect("closes");
}

/// Kills or stops this process at a pass of a failpoint.
fn arm(point: &str, pass: u64, act: Act) {
    let all = Failpoint::ALL.into_iter();
    let point = all.clone().find(|at| at.name() == point).expect("a failpoint");
    let splits = matches!(point, Failpoint::AfterWrite | Failpoint::BeforeCommit);
    let passed = AtomicU64::new(0);
    failpoints::install(splits, move |at| {
        let counts = at == point && ARMED.load(Ordering::SeqCst);
        if counts && passed.fetch_add(1, Ordering::SeqCst) + 1 == pass {
            match act {
                Act::Kill => kill_process(getpid(), Signal::KILL).expect("our own process"),
                Act::Stop => {
                    kill_process(getpid(), Signal::STOP).expect("our own process");
                    // Another thread takes the signal, and this one may be
                    // somewhere else before all of them stand still.
                    while !GOES_ON.load(Ordering::SeqCst) {
                        thread::sleep(LOOK_EVERY);
                    }
                }
            }
        }
    });
}
