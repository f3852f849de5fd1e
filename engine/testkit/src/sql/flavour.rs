//! Abstracts the differences between MariaDB and MySQL.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::geteuid;

use super::{Identity, SharedSqlServer, SqlServer, arguments, flag};
use crate::binaries::ServerBinaries;
use crate::{ENV_MARIADB, ENV_MARIADB_ROOT, ENV_MYSQL, port, tool};

/// The root into which `.ci/deps` unpacks MySQL.
const MYSQL_ROOT: &str = "mysql";

/// Tells MariaDB and MySQL apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MariaDB.
    MariaDb,
    /// MySQL.
    MySql,
}

/// Starts MariaDB servers.
#[derive(Debug)]
pub enum MariaDb {}

/// Starts MySQL servers: the installed `mysqld`, if that is a MySQL rather than
/// MariaDB's other name, or else the one that `.ci/deps` unpacks.
#[derive(Debug)]
pub enum MySql {}

impl MariaDb {
    /// Starts a server and waits until it answers, about a second.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[must_use]
    #[track_caller]
    pub fn start() -> SqlServer {
        MariaDb::start_with(&[])
    }

    /// Starts a server with further `mariadbd` flags. They come last, so they
    /// win over ours: `&["--innodb-buffer-pool-size=1G"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start).
    #[must_use]
    #[track_caller]
    pub fn start_with(flags: &[&str]) -> SqlServer {
        SqlServer::start_as(Flavour::MariaDb, flags)
    }

    /// Starts a server that offers TLS, with further flags:
    /// `&["--require-secure-transport=ON"]` makes it demand TLS.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start).
    #[must_use]
    #[track_caller]
    pub fn start_tls(identity: &Identity, flags: &[&str]) -> SqlServer {
        SqlServer::start_tls_as(Flavour::MariaDb, identity, flags)
    }

    /// Returns the server that this test run shares: the one that
    /// [`ENV_MARIADB`] names, or else one for this process, which is started at
    /// the first call and dies with the process.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start), and if the variable holds no port.
    #[must_use]
    #[track_caller]
    pub fn shared() -> SharedSqlServer {
        static OWN: OnceLock<SqlServer> = OnceLock::new();
        shared(Flavour::MariaDb, ENV_MARIADB, &OWN)
    }
}

impl MySql {
    /// Starts a server and waits until it answers, about two seconds.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[must_use]
    #[track_caller]
    pub fn start() -> SqlServer {
        MySql::start_with(&[])
    }

    /// Starts a server with further `mysqld` flags. They come last, so they win
    /// over ours: `&["--innodb-buffer-pool-size=1G"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](MySql::start).
    #[must_use]
    #[track_caller]
    pub fn start_with(flags: &[&str]) -> SqlServer {
        SqlServer::start_as(Flavour::MySql, flags)
    }

    /// Starts a server that offers TLS, with further flags:
    /// `&["--require-secure-transport=ON"]` makes it demand TLS.
    ///
    /// # Panics
    ///
    /// As [`start`](MySql::start).
    #[must_use]
    #[track_caller]
    pub fn start_tls(identity: &Identity, flags: &[&str]) -> SqlServer {
        SqlServer::start_tls_as(Flavour::MySql, identity, flags)
    }

    /// Returns the server that this test run shares: the one that
    /// [`ENV_MYSQL`] names, or else one for this process, which is started at
    /// the first call and dies with the process.
    ///
    /// # Panics
    ///
    /// As [`start`](MySql::start), and if the variable holds no port.
    #[must_use]
    #[track_caller]
    pub fn shared() -> SharedSqlServer {
        static OWN: OnceLock<SqlServer> = OnceLock::new();
        shared(Flavour::MySql, ENV_MYSQL, &OWN)
    }
}

#[track_caller]
fn shared(flavour: Flavour, variable: &str, own: &OnceLock<SqlServer>) -> SharedSqlServer {
    match env::var(variable) {
        Ok(value) => SharedSqlServer::new(flavour, port::parse(variable, &value)),
        Err(_) => **own.get_or_init(|| SqlServer::start_as(flavour, &[])),
    }
}

impl Flavour {
    /// Both of them.
    pub const ALL: [Flavour; 2] = [Flavour::MariaDb, Flavour::MySql];

    /// Returns its name, as in `MySQL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Flavour::MariaDb => "MariaDB",
            Flavour::MySql => "MySQL",
        }
    }

    /// Starts a server as [`MariaDb::start_with`] and [`MySql::start_with`] do.
    ///
    /// # Panics
    ///
    /// As those.
    #[must_use]
    #[track_caller]
    pub fn start_with(self, flags: &[&str]) -> SqlServer {
        SqlServer::start_as(self, flags)
    }

    /// Returns the server that this test run shares, as [`MariaDb::shared`] and
    /// [`MySql::shared`] do.
    ///
    /// # Panics
    ///
    /// As those.
    #[must_use]
    #[track_caller]
    pub fn shared(self) -> SharedSqlServer {
        match self {
            Flavour::MariaDb => MariaDb::shared(),
            Flavour::MySql => MySql::shared(),
        }
    }

    pub(super) fn prefix(self) -> &'static str {
        match self {
            Flavour::MariaDb => "stockade-mariadb-",
            Flavour::MySql => "stockade-mysql-",
        }
    }

    pub(super) fn binaries(self) -> Result<ServerBinaries, String> {
        static MARIADB: OnceLock<Result<ServerBinaries, String>> = OnceLock::new();
        static MYSQL: OnceLock<Result<ServerBinaries, String>> = OnceLock::new();
        let binaries = match self {
            Flavour::MariaDb => MARIADB.get_or_init(|| ServerBinaries::chosen_by(ENV_MARIADB_ROOT)),
            Flavour::MySql => MYSQL.get_or_init(|| {
                // MariaDB's package installs its server under this name too.
                let version = version(&["mysqld".into()]).unwrap_or_else(|_| "MariaDB".to_owned());
                match version.contains("MariaDB") {
                    true => ServerBinaries::unpacked(MYSQL_ROOT),
                    false => Ok(ServerBinaries::Installed),
                }
            }),
        };
        binaries.clone()
    }

    pub(crate) fn daemon(self) -> Result<Vec<OsString>, String> {
        let name = match self {
            Flavour::MariaDb => "mariadbd",
            Flavour::MySql => "mysqld",
        };
        self.binaries()?.program(&[name])
    }

    pub(super) fn client(self) -> Result<Vec<OsString>, String> {
        let name = match self {
            Flavour::MariaDb => "mariadb",
            Flavour::MySql => "mysql",
        };
        self.binaries()?.program(&[name])
    }

    /// The client's TLS flags.
    pub(super) fn client_flags(self) -> &'static [&'static str] {
        match self {
            Flavour::MariaDb => &["--ssl", "--disable-ssl-verify-server-cert"],
            Flavour::MySql => &[],
        }
    }

    /// The flag that lets a server speak TLS, against [`command`](Self::command).
    pub(super) fn tls_flag(self) -> &'static str {
        match self {
            Flavour::MariaDb => "--ssl",
            Flavour::MySql => "--tls-version=TLSv1.2,TLSv1.3",
        }
    }

    /// Flags that say where a server's own files are, before all others.
    pub(super) fn base(self) -> Result<Vec<OsString>, String> {
        let mut flags = vec![OsString::from("--no-defaults")];
        flags.extend(user().map(OsString::from));
        if let ServerBinaries::Unpacked(root) = self.binaries()? {
            flags.push(flag("--basedir=", &root.join("usr")));
            flags.extend(match self {
                Flavour::MariaDb => vec![
                    flag("--lc-messages-dir=", &root.join("usr/share/mariadb")),
                    flag("--character-sets-dir=", &root.join("usr/share/mariadb/charsets")),
                    flag("--plugin-dir=", &root.join("usr/lib/mysql/plugin")),
                ],
                Flavour::MySql => vec![
                    flag("--lc-messages-dir=", &root.join("usr/share/mysql")),
                    flag("--character-sets-dir=", &root.join("usr/share/mysql/charsets")),
                    flag("--plugin-dir=", &root.join("usr/lib/mysql/plugin")),
                ],
            });
        }
        if self == Flavour::MySql {
            // The compiled-in folder for files need not exist; the second
            // protocol would want a port of its own.
            flags.extend(["--secure-file-priv=", "--mysqlx=OFF"].map(OsString::from));
        }
        Ok(flags)
    }

    /// A server's command line.
    pub(super) fn command(
        self,
        folder: &Path,
        port: u16,
        flags: &[&str],
    ) -> Result<Vec<OsString>, String> {
        let mut command = self.daemon()?;
        command.extend(self.base()?);
        command.extend(arguments(folder, port));
        let own: &[&str] = match self {
            // Both make certificates by themselves, in their later versions; a
            // proxy that looks for a statement must be able to read it.
            Flavour::MariaDb => &["--skip-ssl"],
            Flavour::MySql => &["--tls-version=", "--performance-schema=OFF"],
        };
        command.extend(own.iter().chain(flags).map(OsString::from));
        Ok(command)
    }
}

/// Returns a program's `--version` output.
pub(super) fn version(program: &[OsString]) -> Result<String, String> {
    let mut command = tool::command_line(program);
    command.args(["--no-defaults", "--version"]);
    tool::run(command, "")
}

pub(crate) fn user() -> Option<&'static str> {
    // Without this flag neither server agrees to run as root.
    geteuid().is_root().then_some("--user=root")
}
