//! A throw-away MariaDB server.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::geteuid;

use crate::folder::Folder;
use crate::port::free_port;
use crate::process::Server;
use crate::tool;
use crate::unique::unique_name;

pub(crate) const STARTS_MAX: u32 = 5;
const GREETING_WITHIN: Duration = Duration::from_secs(2);

/// Owns a private MariaDB server: data folder, loopback port, unix socket and
/// process. Dropping it kills the server and removes the folder.
///
/// The server runs as the current user and lets `root` in without a password,
/// from this machine only. It writes its log at each commit, as a shop's would
/// (`innodb_flush_log_at_trx_commit=1`), so what it has committed survives
/// [`kill`](MariaDb::kill). Settings from `/etc/mysql` do not apply.
#[derive(Debug)]
pub struct MariaDb {
    port: u16,
    server: Server,
}

impl MariaDb {
    /// Starts a server and waits until it answers, about a second.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[must_use]
    pub fn start() -> MariaDb {
        MariaDb::start_with(&[])
    }

    /// Starts a server with further `mariadbd` flags. They come last, so they
    /// win over ours: `&["--innodb-buffer-pool-size=1G"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start).
    #[must_use]
    pub fn start_with(flags: &[&str]) -> MariaDb {
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            match MariaDb::try_start(free_port(), flags) {
                Ok(started) => return started,
                Err(cause) => failure = cause,
            }
            // Somebody was quicker to take the port. Anything else would fail
            // the same way again.
            if !failure.contains("Address already in use") {
                break;
            }
        }
        panic!("{failure}");
    }

    /// Returns the server that this test run shares: the one that
    /// [`ENV_MARIADB`](crate::ENV_MARIADB) names, or else one for this process,
    /// which is started at the first call and dies with the process.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start), and if the variable holds no port.
    #[must_use]
    pub fn shared() -> SharedMariaDb {
        static OWN: OnceLock<MariaDb> = OnceLock::new();
        let port = match env::var(crate::ENV_MARIADB) {
            Ok(port) => crate::port::parse(crate::ENV_MARIADB, &port),
            Err(_) => OWN.get_or_init(MariaDb::start).port,
        };
        SharedMariaDb { port }
    }

    fn try_start(port: u16, flags: &[&str]) -> Result<MariaDb, String> {
        let folder = Folder::new("stockade-mariadb-")
            .map_err(|cause| format!("failed to make a folder for MariaDB: {cause}"))?;
        install(folder.path())?;
        let arguments = arguments(folder.path(), port, flags);
        let server = Server::new("MariaDB", "mariadbd", arguments, folder, greets);
        server.launch()?;
        Ok(MariaDb { port, server })
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

    /// Returns the URL of one of its databases, as in
    /// `mysql://root@127.0.0.1:15306/shop`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Creates an empty database, in utf8mb4.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses, for example if it exists.
    #[track_caller]
    pub fn create_database(&self, name: &str) {
        create_database(self.port, name);
    }

    /// Creates an empty database with a name of its own and returns its URL.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses.
    #[must_use]
    #[track_caller]
    pub fn fresh_database(&self) -> String {
        fresh_database(self.port)
    }

    /// Runs SQL through the `mariadb` client and returns the rows, one a line,
    /// columns separated by tabs, without headings; NULL reads `NULL`.
    ///
    /// # Panics
    ///
    /// Panics with the server's complaint when a statement fails, or after 60
    /// seconds.
    #[track_caller]
    pub fn query(&self, sql: &str) -> String {
        query(self.port, sql)
    }

    /// Runs SQL as [`query`](MariaDb::query) does.
    ///
    /// # Errors
    ///
    /// Returns the server's complaint when a statement fails, or says that 60
    /// seconds were not enough.
    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        try_query(self.port, sql)
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

    /// Starts the server again on the same data and port, after killing it if
    /// it still runs, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start).
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

/// Names a MariaDB server that tests share; it cannot be killed or paused.
/// Tests keep apart by [`fresh_database`](SharedMariaDb::fresh_database).
#[derive(Clone, Copy, Debug)]
pub struct SharedMariaDb {
    port: u16,
}

impl SharedMariaDb {
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

    /// Returns the URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Creates an empty database with a name of its own and returns its URL. It
    /// goes when the server goes.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses.
    #[must_use]
    #[track_caller]
    pub fn fresh_database(&self) -> String {
        fresh_database(self.port)
    }

    /// Runs SQL as [`MariaDb::query`] does.
    ///
    /// # Panics
    ///
    /// As [`MariaDb::query`].
    #[track_caller]
    pub fn query(&self, sql: &str) -> String {
        query(self.port, sql)
    }

    /// Runs SQL as [`MariaDb::try_query`] does.
    ///
    /// # Errors
    ///
    /// As [`MariaDb::try_query`].
    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        try_query(self.port, sql)
    }
}

pub(crate) fn user() -> Option<&'static str> {
    // Without this flag mariadbd refuses to run as root.
    geteuid().is_root().then_some("--user=root")
}

pub(crate) fn install(folder: &Path) -> Result<(), String> {
    let mut command = tool::command("mariadb-install-db");
    command
        .arg("--no-defaults")
        // No look-up of the host's name, and no change to the access rights of
        // the installed authentication plug-in, which is not ours.
        .args(["--force", "--rpm"])
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(user())
        .arg(flag("--datadir=", &folder.join("data")))
        // A server that starts removes the temporary tables of whoever else
        // works in the same folder, so no two may share /tmp.
        .arg(flag("--tmpdir=", folder))
        // Not one of these files need survive a power cut before the server has
        // even started, and syncing them takes most of the time.
        .args(["--innodb-flush-method=nosync", "--sync-frm=0"]);
    tool::run(command, "").map(drop)
}

pub(crate) fn arguments(folder: &Path, port: u16, flags: &[&str]) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("--no-defaults")];
    arguments.extend(user().map(OsString::from));
    arguments.extend([
        flag("--datadir=", &folder.join("data")),
        flag("--tmpdir=", folder),
        flag("--socket=", &folder.join("server.sock")),
        flag("--pid-file=", &folder.join("server.pid")),
        OsString::from(format!("--port={port}")),
    ]);
    let fixed = [
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=1",
        "--max-connections=300",
    ];
    arguments.extend(fixed.iter().chain(flags).map(OsString::from));
    arguments
}

pub(crate) fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

// A packet's header takes four bytes; the greeting then begins with the
// protocol's version, 10, and a refusal with 255.
pub(crate) fn greets(socket: &Path) -> bool {
    let mut head = [0_u8; 5];
    let read = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(GREETING_WITHIN))?;
        stream.read_exact(&mut head)
    });
    read.is_ok() && head[4] == 10
}

pub(crate) fn url(port: u16, database: &str) -> String {
    format!("mysql://root@127.0.0.1:{port}/{database}")
}

// The client's default would be what the server was compiled with, latin1.
// Debian's own settings, which a shop would have, say utf8mb4.
#[track_caller]
pub(crate) fn create_database(port: u16, name: &str) {
    query(port, &format!("CREATE DATABASE `{}` CHARACTER SET utf8mb4", name.replace('`', "``")));
}

#[track_caller]
pub(crate) fn fresh_database(port: u16) -> String {
    let name = unique_name();
    create_database(port, &name);
    url(port, &name)
}

#[track_caller]
pub(crate) fn query(port: u16, sql: &str) -> String {
    match try_query(port, sql) {
        Ok(rows) => rows,
        Err(cause) => panic!("failed to run {sql:?} on port {port}: {cause}"),
    }
}

pub(crate) fn try_query(port: u16, sql: &str) -> Result<String, String> {
    let mut command = tool::command("mariadb");
    command
        .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"])
        .arg(format!("--port={port}"))
        .args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
        // A client that reconnects would run the rest of the statements outside
        // their transaction.
        .args(["--skip-reconnect", "--connect-timeout=30"]);
    tool::run(command, sql)
}
