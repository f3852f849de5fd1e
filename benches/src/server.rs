//! Stockade's server program in a child process.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running server. Killed on drop.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with these settings on a free port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let flags = settings.iter().map(|(name, value)| {
            let name = name.replace('_', "-");
            format!("--{name}={value}")
        });
        // The kernel kills it when this process dies.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program())
            .args(["serve", "--listen=127.0.0.1:0", "--no-seed"])
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = process.stdout.take().expect("piped");
        let line = BufReader::new(stdout).lines().next().expect("it says where it listens");
        let line = line.expect("reads");
        let address = line.strip_prefix("listening on http://").expect("an address");
        Self { process, address: address.parse().expect("an address") }
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if the process has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program `bench-server`, which cargo builds with the benches, beside the
/// folder of theirs.
fn program() -> PathBuf {
    let bench = env::current_exe().expect("this program");
    bench.ancestors().nth(2).expect("a folder that cargo builds in").join("bench-server")
}
