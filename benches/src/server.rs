//! Stockade's server, the real program, in a process of its own.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::results;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with these settings beside a port of its own.
    ///
    /// # Panics
    /// When it cannot be built or does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let flags = settings.iter().map(|(name, value)| {
            let name = name.replace('_', "-");
            format!("--{name}={value}")
        });
        // The kernel ends it with us.
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, built as benches are; cargo builds no program for the benches
/// of another package.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = results::target().expect("a folder that cargo builds in");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--release", "--locked", "--quiet"])
            .args(["--package", "stockade-server", "--bin", "stockade", "--target-dir"])
            .arg(&target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the server cannot be built");
        target.join("release/stockade")
    })
}
