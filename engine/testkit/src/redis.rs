//! A throw-away Redis server.

use std::env;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use crate::folder::Folder;
use crate::port::free_port;
use crate::process::Server;
use crate::tool;
use crate::unique::unique_name;

const STARTS_MAX: u32 = 5;
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// Owns a private Redis server: loopback port and process. Dropping it kills
/// the server.
///
/// It writes nothing to the disk, so [`kill`](Redis::kill) forgets all keys,
/// and it never evicts a key.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    server: Server,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[must_use]
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// Starts a server with further `redis-server` flags.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start).
    #[must_use]
    pub fn start_with(flags: &[&str]) -> Redis {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        start_on_a_free_port(|port| Redis::try_start(port, &flags))
    }

    /// Returns the server that this test run shares: the one that
    /// [`ENV_REDIS`](crate::ENV_REDIS) names, or else one for this process,
    /// which is started at the first call and dies with the process.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start), and if the variable holds no port.
    #[must_use]
    pub fn shared() -> SharedRedis {
        static OWN: OnceLock<Redis> = OnceLock::new();
        let port = match env::var(crate::ENV_REDIS) {
            Ok(port) => crate::port::parse(crate::ENV_REDIS, &port),
            Err(_) => OWN.get_or_init(Redis::start).port,
        };
        SharedRedis { port }
    }

    /// Starts a server that copies the one on port `master`.
    pub(crate) fn start_replica(master: u16) -> Redis {
        let replicaof = ["--replicaof".to_owned(), format!("127.0.0.1 {master}")];
        start_on_a_free_port(|port| Redis::try_start(port, &replicaof))
    }

    fn try_start(port: u16, further: &[String]) -> Result<Redis, String> {
        let folder = Folder::new("stockade-redis-")
            .map_err(|cause| format!("failed to make a folder for Redis: {cause}"))?;
        let mut arguments: Vec<OsString> = [
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
            "--maxmemory-policy",
            "noeviction",
            "--port",
        ]
        .map(OsString::from)
        .into();
        arguments.push(port.to_string().into());
        arguments.extend(["--dir".into(), folder.path().into()]);
        arguments.extend(["--unixsocket".into(), folder.path().join("server.sock").into()]);
        arguments.extend(further.iter().map(OsString::from));
        let server = Server::new("Redis", "redis-server", arguments, folder, pongs);
        server.launch()?;
        Ok(Redis { port, server })
    }

    /// Returns the TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCP address, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Returns the URL, as in `redis://127.0.0.1:16379/`.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Runs one command through `redis-cli` and returns the raw reply, one
    /// element a line; nil reads as the empty string.
    ///
    /// # Panics
    ///
    /// Panics when the reply is an error, or after 60 seconds.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        command(self.port, words)
    }

    /// Removes every key.
    ///
    /// # Panics
    ///
    /// Panics when the server does not answer.
    #[track_caller]
    pub fn flush(&self) {
        self.command(&["FLUSHALL"]);
    }

    /// Returns the process id.
    ///
    /// # Panics
    ///
    /// Panics when the server was killed and not restarted.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Kills the server with SIGKILL and waits until it is gone. A second call
    /// does nothing.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts the server again on the same port, empty, after killing it if it
    /// still runs, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start).
    #[track_caller]
    pub fn restart(&self) {
        if let Err(cause) = self.server.launch() {
            panic!("{cause}");
        }
    }

    /// Stops the server with SIGSTOP: connections stay open and nobody answers.
    ///
    /// # Panics
    ///
    /// Panics when the server is not running.
    #[track_caller]
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets a paused server go on, with SIGCONT.
    ///
    /// # Panics
    ///
    /// Panics when the server is not running.
    #[track_caller]
    pub fn resume(&self) {
        self.server.resume();
    }
}

/// Names a Redis server that tests share; it cannot be killed, paused or
/// flushed. Tests keep apart by [`fresh_prefix`](SharedRedis::fresh_prefix).
#[derive(Clone, Copy, Debug)]
pub struct SharedRedis {
    port: u16,
}

impl SharedRedis {
    /// Returns the TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCP address, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Returns a key prefix that no other test uses, ending with a colon.
    #[must_use]
    pub fn fresh_prefix(&self) -> String {
        format!("{}:", unique_name())
    }

    /// Runs one command as [`Redis::command`] does.
    ///
    /// # Panics
    ///
    /// As [`Redis::command`].
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        command(self.port, words)
    }
}

// Only a lost race for the port is worth another try.
pub(crate) fn start_on_a_free_port<T>(start: impl Fn(u16) -> Result<T, String>) -> T {
    let mut failure = String::new();
    for _ in 0..STARTS_MAX {
        match start(free_port()) {
            Ok(started) => return started,
            Err(cause) => failure = cause,
        }
        if !failure.contains("Address already in use") {
            break;
        }
    }
    panic!("{failure}");
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}

// Redis opens its TCP port before its unix socket, so an answer here means that
// both are there.
pub(crate) fn pongs(socket: &Path) -> bool {
    let mut reply = [0_u8; 5];
    let read = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(PONG_WITHIN))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut reply)
    });
    read.is_ok() && reply == *b"+PONG"
}

#[track_caller]
pub(crate) fn command(port: u16, words: &[&str]) -> String {
    let mut command = tool::command("redis-cli");
    // -e: an error reply becomes the exit code.
    command.args(["-e", "-h", "127.0.0.1", "-p"]).arg(port.to_string()).args(words);
    match tool::run(command, "") {
        Ok(reply) => reply,
        Err(cause) => panic!("failed to run {words:?} on port {port}: {cause}"),
    }
}
