//! A server of a test's own, of either make, with an account that has a
//! password and no more rights than an engine needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stockade_testkit::MariaDb;

/// What may stand in a password: all that a URL gives a meaning to.
pub const PASSWORD: &str = "s3cret @:/?#%&+'\"ß";
/// The same as it stands in a URL.
pub const ENCODED: &str = "s3cret%20%40%3A%2F%3F%23%25%26%2B%27%22%C3%9F";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    MariaDb,
    MySql,
}

pub enum Server {
    MariaDb(MariaDb),
    MySql(Box<MySql>),
}

impl Server {
    pub fn start(make: Make, flags: &[&str]) -> Self {
        let server = match make {
            Make::MariaDb => Self::MariaDb(MariaDb::start_with(flags)),
            Make::MySql => Self::MySql(Box::new(MySql::start(flags))),
        };
        server.query("CREATE USER shop@'%'");
        server.set_password("shop@'%'");
        server.query(
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP \
             ON *.* TO shop@'%'",
        );
        server
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::MariaDb(server) => server.port(),
            Self::MySql(server) => server.port,
        }
    }

    pub fn set_password(&self, account: &str) {
        let password = PASSWORD.replace('\'', "''");
        self.query(&format!("ALTER USER {account} IDENTIFIED BY '{password}'"));
    }

    pub fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|why| panic!("{sql}: {why}"))
    }

    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        match self {
            Self::MariaDb(server) => server.try_query(sql),
            Self::MySql(server) => server.try_query(sql),
        }
    }

    /// Makes a database and returns its name.
    pub fn database(&self) -> String {
        let taken = self.query("SELECT COUNT(*) FROM information_schema.schemata");
        let name = format!("shop_{}", taken.trim());
        self.query(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        name
    }

    /// The URL of a database for the account `shop`.
    pub fn url(&self, database: &str, query: &str) -> String {
        format!("mysql://shop:{ENCODED}@127.0.0.1:{}/{database}{query}", self.port())
    }

    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.query("SELECT @@socket").trim())
    }

    /// Ends all connections of the account `shop`; says how many.
    pub fn end_connections(&self) -> usize {
        let ids = self.query("SELECT id FROM information_schema.processlist WHERE user = 'shop'");
        ids.lines().filter(|id| self.try_query(&format!("KILL {id}")).is_ok()).count()
    }
}

/// A MySQL server out of the unpacked package, or the one that is installed.
pub struct MySql {
    port: u16,
    folder: tempfile::TempDir,
    process: Child,
}

fn unpacked() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    home.join(".cache/stockade/servers/mysql")
}

fn mysqld(data: &Path) -> Command {
    let root = unpacked();
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(libraries.join("ld-linux-x86-64.so.2"));
    let private = root.join("usr/lib/mysql/private");
    command.arg("--library-path").arg(format!("{}:{}", libraries.display(), private.display()));
    command.arg(root.join("usr/sbin/mysqld")).args(["--no-defaults", "--user=root"]);
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    command.args([
        flag("basedir", &root.join("usr")),
        flag("lc-messages-dir", &root.join("usr/share/mysql")),
        flag("character-sets-dir", &root.join("usr/share/mysql/charsets")),
        flag("plugin-dir", &root.join("usr/lib/mysql/plugin")),
        flag("datadir", data),
    ]);
    command.args(["--secure-file-priv=", "--mysqlx=OFF"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl MySql {
    fn start(flags: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("stockade-mysql-").tempdir().expect("a folder");
        let data = folder.path().join("data");
        let made = mysqld(&data).arg("--initialize-insecure").status().expect("runs");
        assert!(made.success(), "MySQL did not make its data: {made}");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let socket = folder.path().join("server.sock");
        let log = fs::File::create(folder.path().join("server.log")).expect("a log");
        let process = mysqld(&data)
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", folder.path().join("server.pid").display()))
            .arg(format!("--port={port}"))
            .args(["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M"])
            .args(flags)
            .stderr(log)
            .spawn()
            .expect("starts");
        let server = Self { port, folder, process };
        let since = Instant::now();
        while server.try_query("SELECT 1").is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "MySQL does not answer: {}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    fn try_query(&self, sql: &str) -> Result<String, String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "-N", "-B", "-e", sql])
            .arg(format!("--socket={}", self.folder.path().join("server.sock").display()))
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
