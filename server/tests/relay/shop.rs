//! A store with events, and relays of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use stockade::{Engine, HoldRequest, NewProduct, ProductId};
use stockade_testkit::{MariaDb, wait_until};
use tempfile::TempDir;

use crate::receiver::SOON;

#[derive(Debug, Clone, Copy)]
pub enum Backend {
    Sqlite,
    MariaDb,
}

pub struct Shop {
    folder: TempDir,
    pub store: String,
    pub engine: Engine,
    pub products: Vec<ProductId>,
    relays: AtomicUsize,
}

impl Shop {
    /// A shop on SQLite with so many products. Each has two events from the start.
    pub fn new(products: usize) -> Self {
        Self::on(Backend::Sqlite, products)
    }

    pub fn on(backend: Backend, products: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let store = match backend {
            Backend::Sqlite => format!("sqlite:{}", folder.path().join("shop.db").display()),
            Backend::MariaDb => MariaDb::shared().fresh_database(),
        };
        let engine = Engine::builder().store(&store).set("sweeper", "false").unwrap();
        let engine = engine.set("hold_ttl", "24h").unwrap().open().unwrap();
        let price = "5".parse().unwrap();
        let made = (0..products).map(|number| {
            let product = NewProduct::new(format!("Lamp {number}"), price, 1_000_000);
            engine.create_product(product.sku(format!("LAMP-{number}"))).unwrap().value.id
        });
        let products = made.collect();
        Self { folder, store, engine, products, relays: AtomicUsize::new(0) }
    }

    /// Makes this many holds of each product in turn, an event each.
    pub fn hold(&self, times: usize) {
        for chunk in (0..times).collect::<Vec<_>>().chunks(50) {
            let of_all = |_: &usize| self.products.iter().map(|id| HoldRequest::new(*id, 1));
            let requests: Vec<_> = chunk.iter().flat_map(of_all).collect();
            for result in self.engine.create_hold_batch(requests).unwrap() {
                result.unwrap();
            }
        }
    }

    /// The cursors of all events.
    pub fn cursors(&self) -> Vec<u64> {
        let mut cursors = Vec::new();
        loop {
            let after = cursors.last().copied().unwrap_or(0);
            let page = self.engine.events_after(after, 10_000).unwrap();
            if page.is_empty() {
                return cursors;
            }
            cursors.extend(page.iter().map(|event| event.cursor));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_stockade")]).env_clear();
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command on the store and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let store = format!("--store={}", self.store);
        let output = self.command().args(arguments).arg(store).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, printed, said) = self.run(arguments);
        assert_eq!(code, 0, "{said}");
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a relay with this file.
    pub fn relay(&self, plan: &str) -> Relay {
        self.relay_with(plan, &[])
    }

    pub fn relay_with(&self, plan: &str, flags: &[&str]) -> Relay {
        // A file of its own: another relay may still be reading the one before.
        let number = self.relays.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.path().join(format!("relay-{number}.toml"));
        fs::write(&file, format!("lease = \"2s\"\n{plan}")).unwrap();
        let mut command = self.command();
        command.args(["relay", "--store", &self.store, "--relay"]).arg(file).args(flags);
        Relay::start(command)
    }
}

/// A running relay, which is killed when it is dropped.
pub struct Relay {
    pub child: Child,
    log: Arc<Mutex<String>>,
}

impl Relay {
    fn start(mut command: Command) -> Self {
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, log }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the relay as an operator does, and waits for its end.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        let mut code = None;
        wait_until("the relay has ended", SOON, || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert!(code.unwrap().success(), "{}", self.log());
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn wait_to_say(&self, words: &str) {
        wait_until(words, SOON, || self.log().contains(words));
    }

    /// The processor time that it has used, in ticks of 10 ms.
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after_name = stat.rsplit(") ").next().unwrap();
        let fields: Vec<&str> = after_name.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("the relay's log:\n{}", self.log());
        }
    }
}
