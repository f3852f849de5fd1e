//! This test program started again as a process of its own, with an engine of
//! its own on a store that others use.

use std::io::{BufRead, BufReader, Write};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade::{Engine, EngineBuilder, ProductId};
use stockade_testkit::wait_until;

use crate::crowd::{Dice, at_once, metric};
use crate::traffic::{Log, buy_once, sell_out};
use crate::world::{Backend, World, product};

/// Holds what a child is to do, as JSON.
const ENV: &str = "STOCKADE_TEST_CHILD";
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Role {
    /// Opens the store at the same moment as others, and buys one unit of a
    /// product of its own.
    Open,
    /// Buys until the product is sold out.
    SellOut,
    /// Buys until it is told to end, and says which holds it had.
    Shop,
    /// Sweeps until it is told to end.
    Sweep,
}

/// What a child is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    pub role: Role,
    pub settings: Vec<(String, String)>,
    pub products: Vec<ProductId>,
    pub threads: usize,
    /// Tells its dice from those of others.
    pub number: usize,
    pub grants_every_lock: bool,
}

impl Orders {
    pub fn new(role: Role, world: &World, products: &[ProductId], threads: usize) -> Self {
        let mut settings = vec![("store".to_owned(), world.url.clone())];
        if let Some((url, prefix)) = &world.redis {
            settings.push(("redis".to_owned(), url.clone()));
            settings.push(("redis_prefix".to_owned(), prefix.clone()));
        }
        let grants_every_lock = world.backend == Backend::Granting;
        Self { role, settings, products: products.to_vec(), threads, number: 0, grants_every_lock }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the child use an engine with these settings that this process
    /// serves, if the world's are served.
    pub fn through(mut self, world: &World) -> Self {
        let set = |builder: EngineBuilder, (name, value): &(String, String)| {
            builder.set(name, value).expect("a setting")
        };
        if let Some(url) = world.serve(self.settings.iter().fold(Engine::builder(), set)) {
            self.settings = vec![("store".to_owned(), url)];
        }
        self
    }

    pub fn number(mut self, number: usize) -> Self {
        self.number = number;
        self
    }
}

/// What a child did.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub log: Log,
    pub product: Option<ProductId>,
    pub holds_expired: f64,
}

/// A child, seen from its parent. Dropped, it is killed.
pub struct Child {
    process: process::Child,
    /// The child ends when this is closed, so it never outlives its parent.
    orders: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Child {
    pub fn start(orders: &Orders) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
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
                heard.lock().expect("no panic").push(line);
            }
        });
        Self { orders: process.stdin.take(), process, lines, reader: Some(reader) }
    }

    /// Starts so many and lets them begin together.
    pub fn start_all(count: usize, orders: &Orders) -> Vec<Self> {
        let start = |number| Self::start(&orders.clone().number(number));
        let mut children: Vec<Self> = (0..count).map(start).collect();
        children.iter().for_each(|child| child.wait_for("ready", 1));
        children.iter_mut().for_each(Self::go);
        children
    }

    pub fn go(&mut self) {
        writeln!(self.orders.as_mut().expect("not closed"), "go").expect("the child listens");
    }

    /// Lines that begin with this word, without it.
    pub fn said(&self, word: &str) -> Vec<String> {
        let lines = self.lines.lock().expect("no panic");
        let rest = lines.iter().filter_map(|line| line.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).collect()
    }

    pub fn wait_for(&self, word: &str, times: usize) {
        wait_until(&format!("the child says {word}"), PATIENCE, || self.said(word).len() >= times);
    }

    /// Kills the child with SIGKILL; it may have been in the middle of
    /// anything.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.end();
    }

    /// Tells the child to end and waits for its report.
    pub fn finish(&mut self) -> Report {
        self.orders = None;
        let status = self.end();
        assert!(status.success(), "a child ended with {status}");
        let report = self.said("report").pop().expect("a report");
        serde_json::from_str(&report).expect("JSON")
    }

    fn end(&mut self) -> process::ExitStatus {
        let status = self.process.wait().expect("waited");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does what a parent ordered, if there is one, and ends.
pub fn run_if_told() {
    let Ok(orders) = std::env::var(ENV) else { return };
    let orders: Orders = serde_json::from_str(&orders).expect("JSON");
    say("ready");
    let told = Arc::new(AtomicBool::new(false));
    wait_for_line(&told);
    let report = run(&orders, &told);
    say(&format!("report {}", serde_json::to_string(&report).expect("JSON")));
    process::exit(0);
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // One write, so that lines of several threads are never mixed.
    output.write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
    output.flush().expect("the parent listens");
}

/// Waits for the word to begin, then sets `end` when the parent is done with
/// us or gone.
fn wait_for_line(end: &Arc<AtomicBool>) {
    let word = std::io::stdin().lines().next();
    word.expect("a word to begin").expect("reads");
    let end = Arc::clone(end);
    thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        end.store(true, Ordering::Relaxed);
    });
}

fn run(orders: &Orders, end: &AtomicBool) -> Report {
    let mut builder = Engine::builder();
    for (name, value) in &orders.settings {
        builder = builder.set(name, value).expect("a setting");
    }
    if orders.grants_every_lock {
        builder = builder.grant_every_lock();
    }
    let engine = builder.open().expect("opens");
    let (mut log, mut made) = (Log::default(), None);
    match orders.role {
        Role::Open => {
            let id = product(&engine, 10);
            buy_once(&engine, id, &mut Dice::new(orders.number), &mut log);
            made = Some(id);
        }
        Role::SellOut => {
            log = Log::of(at_once(orders.threads, |at| {
                let mut dice = Dice::new(orders.number * orders.threads + at);
                sell_out(&engine, orders.products[0], &mut dice)
            }));
        }
        Role::Shop => log = Log::of(at_once(orders.threads, |at| shop(&engine, orders, at, end))),
        Role::Sweep => {
            say("sweeping");
            while !end.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    let holds_expired = metric(&engine, "stockade_holds_expired_total");
    engine.close().expect("closes");
    Report { log, product: made, holds_expired }
}

fn shop(engine: &Engine, orders: &Orders, at: usize, end: &AtomicBool) -> Log {
    let mut dice = Dice::new(orders.number * orders.threads + at);
    let mut log = Log::default();
    while !end.load(Ordering::Relaxed) {
        let known = log.bought.len();
        buy_once(engine, dice.one_of(&orders.products), &mut dice, &mut log);
        for bought in &log.bought[known..] {
            say(&format!("hold {}", bought.hold));
        }
    }
    log
}
