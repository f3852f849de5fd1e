//! Runs a throw-away MariaDB or MySQL server.

mod data;
mod flavour;
mod recycled;

use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::certificates::Identity;
use crate::owned::{Launch, Owned, on_a_free_port};
use crate::tool;
use crate::unique::unique_name;

pub use self::flavour::{Flavour, MariaDb, MySql};

pub(crate) use self::data::flag;
pub(crate) use self::flavour::user;

const GREETING_WITHIN: Duration = Duration::from_secs(2);

/// Owns a private MariaDB or MySQL server; see [`Owned`] for its lifetime.
///
/// The server runs as the current user and lets `root` in without a password,
/// from this machine only, and without TLS unless it is asked for. It writes
/// its log at each commit, as a shop's would
/// (`innodb_flush_log_at_trx_commit=1`), so what it has committed survives
/// [`kill`](Owned::kill). MySQL writes its binary log too, at each commit, as
/// it does unless told otherwise. Settings from `/etc/mysql` do not apply.
pub type SqlServer = Owned<SharedSqlServer>;

/// How often MySQL's process list is read again, and the error for which it is.
const PROCESS_LIST_READS: u32 = 20;
const NOT_UTF8: &str = "ERROR 3854";

/// A handle to a MariaDB or MySQL server shared by tests; it cannot be killed or
/// paused. Tests isolate themselves by
/// [`fresh_database`](SharedSqlServer::fresh_database).
#[derive(Clone, Copy, Debug)]
pub struct SharedSqlServer {
    flavour: Flavour,
    port: u16,
}

impl SqlServer {
    fn start_as(flavour: Flavour, flags: &[&str]) -> SqlServer {
        on_a_free_port(|port| {
            let server = SqlServer::prepare(flavour, port, flags, |_| Ok(Vec::new()))?;
            server.server.launch()?;
            Ok(server)
        })
    }

    fn start_tls_as(flavour: Flavour, identity: &Identity, flags: &[&str]) -> SqlServer {
        let files = identity.sql_flags();
        let mut all = vec![flavour.tls_flag()];
        all.extend(files.iter().map(String::as_str));
        all.extend(flags);
        SqlServer::start_as(flavour, &all)
    }

    /// Prepares a server on this port without starting it. `before` fills its
    /// folder and returns what stands before the program on the command line.
    pub(crate) fn prepare(
        flavour: Flavour,
        port: u16,
        flags: &[&str],
        before: impl Fn(&Path) -> Result<Vec<OsString>, String>,
    ) -> Result<SqlServer, String> {
        Owned::new(flavour.prefix(), SharedSqlServer { flavour, port }, |folder| {
            data::make(flavour, folder)?;
            let mut command = before(folder)?;
            command.extend(flavour.command(folder, port, flags)?);
            Ok(Launch { name: flavour.name(), command, answers: greets })
        })
    }
}

impl SharedSqlServer {
    pub(crate) fn new(flavour: Flavour, port: u16) -> SharedSqlServer {
        SharedSqlServer { flavour, port }
    }

    /// Returns whether it is a MariaDB or a MySQL.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Returns what the server calls itself, as in `MySQL 9.7.4-2`.
    ///
    /// # Panics
    ///
    /// Panics when the server does not answer.
    #[must_use]
    #[track_caller]
    pub fn version(&self) -> String {
        format!("{} {}", self.flavour.name(), self.query("SELECT VERSION()"))
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
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database, in utf8mb4.
    ///
    /// # Panics
    ///
    /// Panics when the server refuses, for example if it exists.
    #[track_caller]
    pub fn create_database(&self, name: &str) {
        // MariaDB's default would be what the server was compiled with, latin1.
        // Debian's own settings, which a shop would have, say utf8mb4.
        let name = name.replace('`', "``");
        self.query(&format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"));
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
        let name = unique_name();
        self.create_database(&name);
        self.url(&name)
    }

    /// Lists the ids of the connections to a database.
    ///
    /// # Panics
    ///
    /// As [`query`](SharedSqlServer::query).
    #[must_use]
    #[track_caller]
    pub fn connections_to(&self, database: &str) -> Vec<u64> {
        let sql = format!("SELECT id FROM information_schema.processlist WHERE db = '{database}'");
        let mut listed = self.try_query(&sql);
        // MySQL reads the texts of all statements for it, and fails for one that is not
        // UTF-8, such as bytes of a login, which is over the next moment.
        for _ in 0..PROCESS_LIST_READS {
            match listed {
                Err(cause) if cause.contains(NOT_UTF8) => listed = self.try_query(&sql),
                _ => break,
            }
        }
        let ids = listed.unwrap_or_else(|cause| panic!("failed to run {sql:?}: {cause}"));
        ids.lines().filter_map(|id| id.trim().parse().ok()).collect()
    }

    /// Runs SQL through the server's own client program and returns the rows,
    /// one a line, columns separated by tabs, without headings; NULL reads
    /// `NULL`.
    ///
    /// # Panics
    ///
    /// Panics with the server's complaint when a statement fails, or after 60
    /// seconds.
    #[track_caller]
    pub fn query(&self, sql: &str) -> String {
        match self.try_query(sql) {
            Ok(rows) => rows,
            Err(cause) => panic!("failed to run {sql:?} on port {}: {cause}", self.port),
        }
    }

    /// Runs SQL as [`query`](SharedSqlServer::query) does.
    ///
    /// # Errors
    ///
    /// Returns the server's complaint when a statement fails, or says that 60
    /// seconds were not enough.
    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        let mut command = tool::command_line(&self.flavour.client()?);
        command
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"])
            .arg(format!("--port={}", self.port))
            .args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            // A reconnecting client would run the remaining statements outside
            // their transaction.
            .args(["--skip-reconnect", "--connect-timeout=30"])
            .args(self.flavour.client_flags());
        tool::run(command, sql)
    }
}

/// Arguments that do the same in both.
fn arguments(folder: &Path, port: u16) -> Vec<OsString> {
    let mut arguments = vec![
        flag("--datadir=", &folder.join("data")),
        // A starting server removes temporary tables of other servers in the same
        // folder, so no two may share /tmp.
        flag("--tmpdir=", folder),
        flag("--socket=", &folder.join("server.sock")),
        flag("--pid-file=", &folder.join("server.pid")),
        OsString::from(format!("--port={port}")),
    ];
    let fixed = [
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=1",
        "--max-connections=300",
    ];
    arguments.extend(fixed.map(OsString::from));
    arguments
}

// A packet's header takes four bytes; the greeting then begins with the
// protocol's version, 10, and a refusal with 255.
fn greets(socket: &Path) -> bool {
    let mut head = [0_u8; 5];
    let read = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(GREETING_WITHIN))?;
        stream.read_exact(&mut head)
    });
    read.is_ok() && head[4] == 10
}
