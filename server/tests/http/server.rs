//! The program under test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use stockade_testkit::{MariaDb, Redis, wait_until};
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Request;

use crate::answer::Answer;
use crate::document;

/// The timeout of anything that should be immediate.
pub const SOON: Duration = Duration::from_secs(30);

/// The store of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    MariaDbWithRedis,
}

impl Backend {
    /// Returns the flags for a fresh store in `folder`.
    pub fn flags(self, folder: &Path) -> Vec<String> {
        match self {
            Self::Sqlite => vec![format!("--store=sqlite:{}", folder.join("shop.db").display())],
            Self::MariaDbWithRedis => {
                let redis = Redis::shared();
                vec![
                    format!("--store={}", MariaDb::shared().fresh_database()),
                    format!("--redis={}", redis.url()),
                    format!("--redis-prefix={}", redis.fresh_prefix()),
                ]
            }
        }
    }
}

/// Returns a command line of the program, isolated from the tests' environment,
/// and killed when the test's thread ends.
pub fn program() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_stockade")]).env_clear();
    command
}

/// A running server. Its store has product 1 with 4 units at 200.
pub struct Server {
    child: Child,
    agent: Agent,
    log: Arc<Mutex<String>>,
    /// Host and port.
    pub address: String,
    folder: TempDir,
}

impl Server {
    /// Starts a server on a fresh store.
    pub fn start(backend: Backend, flags: &[&str]) -> Self {
        let server = Self::locked(backend, flags);
        server.stock_up();
        server
    }

    /// Starts the servers that share one fresh store: two on a database server,
    /// one on a file.
    pub fn pair(backend: Backend) -> Vec<Self> {
        let folder = TempDir::new().unwrap();
        let flags = backend.flags(folder.path());
        let mut servers = vec![Self::with_flags(folder, &flags)];
        servers[0].stock_up();
        if backend == Backend::MariaDbWithRedis {
            servers.push(Self::with_flags(TempDir::new().unwrap(), &flags));
        }
        servers
    }

    /// Starts a server on a fresh SQLite store.
    pub fn sqlite(flags: &[&str]) -> Self {
        Self::start(Backend::Sqlite, flags)
    }

    /// Starts a server on an empty SQLite store to which only the key's owner
    /// can add products.
    pub fn sqlite_locked(flags: &[&str]) -> Self {
        Self::locked(Backend::Sqlite, flags)
    }

    /// The same on any backend.
    pub fn locked(backend: Backend, flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut all = backend.flags(folder.path());
        all.extend(flags.iter().map(ToString::to_string));
        Self::with_flags(folder, &all)
    }

    /// Starts a server with exactly these flags beside those that all tests
    /// need.
    pub fn with_flags(folder: TempDir, flags: &[String]) -> Self {
        let mut command = program();
        command.arg("serve").args(flags).args(["--listen=127.0.0.1:0", "--no-seed"]);
        Self::from_command(command, folder)
    }

    /// Starts a server by a command line.
    pub fn from_command(mut command: Command, folder: TempDir) -> Self {
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let (send, first_line) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let Ok(line) = first_line.recv_timeout(SOON) else {
            panic!("the server did not start: {}", log.lock().unwrap());
        };
        let address = line.strip_prefix("listening on http://").unwrap().to_owned();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(SOON))
            .build()
            .into();
        Self { child, agent, log, address, folder }
    }

    /// Adds product 1 with 4 units at 200.
    fn stock_up(&self) {
        let created = self
            .post_json("/api/admin/products", r#"{"name":"Concert ticket","price":200,"stock":4}"#);
        assert_eq!((created.status, created.number("id")), (201, 1), "{}", created.body);
    }

    /// Returns the working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends any request; the document must describe its response.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], sent: &str) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if matches!(method, "POST" | "PUT" | "PATCH") {
            self.agent.run(request.body(sent.to_owned()).unwrap())
        } else {
            self.agent.run(request.body(()).unwrap())
        };
        let (head, mut body) =
            response.unwrap_or_else(|error| panic!("{method} {path}: {error}")).into_parts();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.read_to_string().unwrap(),
        };
        document::check(method, path, sent, &answer);
        answer
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "")
    }

    pub fn post(&self, path: &str) -> Answer {
        self.send("POST", path, &[], "")
    }

    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body)
    }

    pub fn post_with_key(&self, path: &str, key: &str, body: &str) -> Answer {
        self.send("POST", path, &[("Idempotency-Key", key)], body)
    }

    pub fn webhook(&self, body: &str) -> Answer {
        self.post_json("/api/payments/webhook", body)
    }

    /// Holds units of product 1 and returns the hold's id.
    #[track_caller]
    pub fn hold(&self, quantity: u32) -> u64 {
        let held = self.post(&format!("/api/holds/1/{quantity}"));
        assert_eq!(held.status, 200, "{}", held.body);
        held.number("id")
    }

    /// Orders units of product 1 and returns the order's id.
    #[track_caller]
    pub fn order(&self, quantity: u32) -> u64 {
        let ordered = self.post(&format!("/api/orders/{}/1", self.hold(quantity)));
        assert_eq!(ordered.status, 200, "{}", ordered.body);
        ordered.number("id")
    }

    /// Returns the units of product 1: stock, held, pending, sold.
    pub fn units(&self) -> [u64; 4] {
        let product = self.get("/api/products/1");
        ["stock", "held", "pending", "sold"].map(|place| product.number(place))
    }

    /// Expects these units of product 1, once the cache was invalidated.
    #[track_caller]
    pub fn expect_units(&self, units: [u64; 4]) {
        let mut found = self.units();
        let started = Instant::now();
        while found != units && started.elapsed() < Duration::from_secs(5) {
            thread::yield_now();
            found = self.units();
        }
        assert_eq!(found, units, "stock, held, pending, sold");
    }

    /// Expects that the server is alive and its stock is consistent.
    #[track_caller]
    pub fn expect_health(&self) {
        assert_eq!(self.get("/healthz").status, 200);
        let audit = self.get("/api/admin/audit");
        assert!(audit.body.starts_with(r#"{"consistent":true"#), "{}", audit.body);
    }

    /// Returns the peak memory so far, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Returns the value of a metric.
    #[track_caller]
    pub fn counted(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the program has exited.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has ended", SOON, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("the server's log ends:\n{}", last.join("\n"));
        }
    }
}

/// Writes a file in a directory and returns its path.
pub fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
