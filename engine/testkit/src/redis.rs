//! Runs a throw-away Redis server.

use std::env;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use crate::binaries::ServerBinaries;
use crate::certificates::Identity;
use crate::owned::{Launch, Owned, on_a_free_port};
use crate::port::{self, free_port};
use crate::tool;
use crate::unique::unique_name;
use crate::{ENV_REDIS, ENV_REDIS_ROOT};

const PONG_WITHIN: Duration = Duration::from_secs(2);

/// Owns a private Redis server; see [`Owned`] for its lifetime.
///
/// It does not persist, so [`kill`](Owned::kill) loses all keys, and it never
/// evicts a key.
pub type Redis = Owned<SharedRedis>;

/// A handle to a Redis server shared by tests; it cannot be killed, paused or
/// flushed. Tests isolate themselves by
/// [`fresh_prefix`](SharedRedis::fresh_prefix).
#[derive(Clone, Copy, Debug)]
pub struct SharedRedis {
    port: u16,
    // The TLS port, if enabled.
    tls_port: Option<u16>,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[must_use]
    #[track_caller]
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// Starts a server with further `redis-server` flags. They come last, so
    /// they win over ours: `&["--maxmemory", "1mb"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start).
    #[must_use]
    #[track_caller]
    pub fn start_with(flags: &[&str]) -> Redis {
        on_a_free_port(|port| Redis::try_start(SharedRedis { port, tls_port: None }, flags))
    }

    /// Starts a server that offers TLS on a second port, with further flags. It
    /// asks no certificate of its clients unless `--tls-auth-clients yes` says
    /// so.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start).
    #[must_use]
    #[track_caller]
    pub fn start_tls(identity: &Identity, flags: &[&str]) -> Redis {
        let files = identity.redis_flags();
        on_a_free_port(|port| {
            let tls_port = free_port();
            let listen = tls_port.to_string();
            let mut all = vec!["--tls-port", &listen, "--tls-auth-clients", "no"];
            all.extend(files.iter().map(String::as_str));
            all.extend(flags);
            Redis::try_start(SharedRedis { port, tls_port: Some(tls_port) }, &all)
        })
    }

    fn try_start(handle: SharedRedis, flags: &[&str]) -> Result<Redis, String> {
        let redis = Owned::new("stockade-redis-", handle, |folder| {
            let mut command = server()?;
            command.extend(arguments(folder, handle.port));
            command.extend(flags.iter().map(OsString::from));
            Ok(Launch { name: "Redis", command, answers: pongs })
        })?;
        redis.server.launch()?;
        Ok(redis)
    }

    /// Returns the server that this test run shares: the one that
    /// [`ENV_REDIS`](crate::ENV_REDIS) names, or else one for this process,
    /// which is started at the first call and dies with the process.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start), and if the variable holds no port.
    #[must_use]
    #[track_caller]
    pub fn shared() -> SharedRedis {
        static OWN: OnceLock<Redis> = OnceLock::new();
        match env::var(ENV_REDIS) {
            Ok(value) => SharedRedis { port: port::parse(ENV_REDIS, &value), tls_port: None },
            Err(_) => **OWN.get_or_init(Redis::start),
        }
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
}

impl SharedRedis {
    /// Returns what the server calls itself, as in `Redis 7.0.15`.
    ///
    /// # Panics
    ///
    /// Panics when the server does not answer.
    #[must_use]
    #[track_caller]
    pub fn version(&self) -> String {
        let info = self.command(&["INFO", "server"]);
        let field = |name| info.lines().find_map(|line| line.trim().strip_prefix(name));
        // Valkey also says with which version of Redis it is compatible.
        match (field("valkey_version:"), field("redis_version:")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, version) => format!("Redis {}", version.unwrap_or_default()),
        }
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
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Returns the URL of the port that speaks TLS, as in
    /// `rediss://localhost:16380/`.
    ///
    /// # Panics
    ///
    /// Panics when the server was started without TLS.
    #[must_use]
    #[track_caller]
    pub fn tls_url(&self) -> String {
        match self.tls_port {
            Some(port) => format!("rediss://localhost:{port}/"),
            None => panic!("the Redis on port {} was started without TLS", self.port),
        }
    }

    /// The port announced to other servers: the TLS port if there is one.
    pub(crate) fn announced_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// Returns a key prefix that no other test uses, ending with a colon.
    #[must_use]
    pub fn fresh_prefix(&self) -> String {
        format!("{}:", unique_name())
    }

    /// Runs one command through the server's own client program and returns the
    /// raw reply, one element a line; nil reads as the empty string.
    ///
    /// # Panics
    ///
    /// Panics when the reply is an error, or after 60 seconds.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        command(self.port, words)
    }
}

fn binaries() -> Result<ServerBinaries, String> {
    ServerBinaries::chosen_by(ENV_REDIS_ROOT)
}

/// The command prefix of Redis, or of Valkey in its place.
pub(crate) fn server() -> Result<Vec<OsString>, String> {
    binaries()?.program(&["redis-server", "valkey-server"])
}

fn client() -> Result<Vec<OsString>, String> {
    binaries()?.program(&["redis-cli", "valkey-cli"])
}

fn arguments(folder: &Path, port: u16) -> Vec<OsString> {
    let fixed = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
    let mut arguments: Vec<OsString> = fixed.map(OsString::from).into();
    arguments.extend(["--maxmemory-policy", "noeviction", "--port"].map(OsString::from));
    arguments.push(port.to_string().into());
    arguments.extend(["--dir".into(), folder.into()]);
    arguments.extend(["--unixsocket".into(), folder.join("server.sock").into()]);
    arguments
}

// Redis opens its TCP port before its unix socket, so a reply here means that
// both are open. A demand for a password is a reply, too.
pub(crate) fn pongs(socket: &Path) -> bool {
    let mut reply = [0_u8; 5];
    let read = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(PONG_WITHIN))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut reply)
    });
    read.is_ok() && (reply == *b"+PONG" || reply == *b"-NOAU")
}

#[track_caller]
pub(crate) fn command(port: u16, words: &[&str]) -> String {
    let reply = client().and_then(|client| {
        let mut command = tool::command_line(&client);
        // -e: an error reply becomes the exit code.
        command.args(["-e", "-h", "127.0.0.1", "-p"]).arg(port.to_string()).args(words);
        tool::run(command, "")
    });
    match reply {
        Ok(reply) => reply,
        Err(cause) => panic!("failed to run {words:?} on port {port}: {cause}"),
    }
}
