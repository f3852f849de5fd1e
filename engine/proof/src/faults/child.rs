//! This program started again as a process of its own, which shops until it
//! kills or stops itself at a failpoint, or is told to end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stockade::Engine;
use stockade::failpoints::{self, Failpoint};
use stockade_testkit::wait_until;

use super::journal::{Entry, Journal, Told, say};
use super::load::Shopper;

/// Holds what a child is to do, as JSON.
const ENV: &str = "STOCKADE_PROOF_CHILD";
/// Whether a caller was answered; failpoints count from then on.
static SERVED: AtomicBool = AtomicBool::new(false);
const PATIENCE: Duration = Duration::from_secs(60);

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
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
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
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let heard = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let orders = process.stdin.take();
        Self { process, orders, lines, reader: Some(reader) }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines that begin with this word, without it.
    pub fn said(&self, word: &str) -> Vec<String> {
        let lines = self.lines();
        let rest = lines.iter().filter_map(|line| line.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).collect()
    }

    pub fn wait_for(&self, word: &str) {
        wait_until(&format!("the child says {word}"), PATIENCE, || !self.said(word).is_empty());
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is there");
    }

    /// Waits until it has stopped itself.
    pub fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.process.id());
        wait_until("the child stands still", PATIENCE, || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        });
    }

    /// Waits until it is gone, and answers when that was.
    pub fn wait_until_dead(&mut self) -> Instant {
        let mut gone = None;
        wait_until("the child is dead", PATIENCE, || {
            gone = self.process.try_wait().expect("waited");
            gone.is_some()
        });
        let at = Instant::now();
        self.end_reading();
        at
    }

    /// Tells it to end and waits for that.
    pub fn finish(&mut self) {
        self.orders = None;
        self.wait_until_dead();
        assert!(!self.said("done").is_empty(), "the child ended too soon");
    }

    fn end_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
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
    thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        told.store(true, Ordering::Relaxed);
    });
    shop(&orders, &stop);
    say("done");
    process::exit(0);
}

fn shop(orders: &Orders, stop: &AtomicBool) {
    let mut builder = Engine::builder();
    for (name, value) in &orders.settings {
        builder = builder.set(name, value).expect("a setting");
    }
    let engine = builder.open().expect("opens");
    if let Some((point, pass, act)) = orders.at.clone() {
        arm(&point, pass, act);
    }
    thread::scope(|scope| {
        for caller in 0..orders.shoppers {
            let engine = &engine;
            scope.spawn(move || {
                let number = orders.first + caller;
                let who = (orders.seed, number);
                let mut shopper = Shopper::new(engine, &orders.products, who, stop);
                shopper.journal = Journal::telling(number);
                let mut is_first = caller == 0;
                while !stop.load(Ordering::Relaxed) {
                    if shopper.buy() && is_first {
                        is_first = false;
                        say("served");
                        SERVED.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    for line in engine.metrics_text().lines().filter(|line| !line.starts_with('#')) {
        say(&format!("metric {line}"));
    }
    engine.close().expect("closes");
}

/// Kills or stops this process at a pass of a failpoint.
fn arm(point: &str, pass: u64, act: Act) {
    let all = Failpoint::ALL.into_iter();
    let point = all.clone().find(|at| at.name() == point).expect("a failpoint");
    let splits = matches!(point, Failpoint::AfterWrite | Failpoint::BeforeCommit);
    let passed = AtomicU64::new(0);
    failpoints::install(splits, move |at| {
        let counts = at == point && SERVED.load(Ordering::SeqCst);
        if counts && passed.fetch_add(1, Ordering::SeqCst) + 1 == pass {
            let signal = match act {
                Act::Kill => Signal::KILL,
                Act::Stop => Signal::STOP,
            };
            kill_process(getpid(), signal).expect("our own process");
        }
    });
}
