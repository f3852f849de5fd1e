//! A server of a test's own, of either make, with an account that has a
//! password and no more rights than an engine needs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stockade_testkit::{MariaDb, MySql, SqlServer, wait_until};

/// What may stand in a password: all that a URL gives a meaning to.
pub const PASSWORD: &str = "s3cret @:/?#%&+'\"ß";
/// The same as it stands in a URL.
pub const ENCODED: &str = "s3cret%20%40%3A%2F%3F%23%25%26%2B%27%22%C3%9F";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    MariaDb,
    MySql,
}

pub struct Server {
    server: SqlServer,
}

impl Server {
    pub fn start(make: Make, flags: &[&str]) -> Self {
        let server = match make {
            Make::MariaDb => MariaDb::start_with(flags),
            // As MySQL is unless it is told otherwise: with TLS, by
            // certificates that it makes for itself.
            Make::MySql => {
                let mut own = vec!["--tls-version=TLSv1.2,TLSv1.3", "--performance-schema=ON"];
                own.extend(flags);
                MySql::start_with(&own)
            }
        };
        let server = Self { server };
        server.query("CREATE USER shop@'%'");
        server.set_password("shop@'%'");
        server.query(
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP \
             ON *.* TO shop@'%'",
        );
        server
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Returns how many connections the account `shop` has.
    pub fn connections(&self) -> usize {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'shop'";
        self.query(sql).trim().parse().expect("a number")
    }

    /// Waits until the account `shop` has no connection.
    pub fn wait_for_no_connections(&self) {
        wait_until("all connections have ended", Duration::from_secs(20), || {
            self.connections() == 0
        });
    }

    pub fn set_password(&self, account: &str) {
        let password = PASSWORD.replace('\'', "''");
        self.query(&format!("ALTER USER {account} IDENTIFIED BY '{password}'"));
    }

    pub fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|why| panic!("{sql}: {why}"))
    }

    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        self.server.try_query(sql)
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
