//! The database servers that Stockade runs on, of which every part of the proof
//! tries each.

use stockade_testkit::{MariaDb, MySql, SharedSqlServer, SqlServer};

/// A database server's kind. What is tried on one is tried on all: they speak
/// the same SQL and differ in locks, error numbers and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    MariaDb,
    MySql,
}

impl Database {
    pub const ALL: [Self; 2] = [Self::MariaDb, Self::MySql];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        }
    }

    /// Its name as a word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }

    /// The server that the run shares.
    pub fn shared(self) -> SharedSqlServer {
        match self {
            Self::MariaDb => MariaDb::shared(),
            Self::MySql => MySql::shared(),
        }
    }

    /// A server of the caller's own, which it may kill.
    pub fn start(self) -> SqlServer {
        match self {
            Self::MariaDb => MariaDb::start(),
            Self::MySql => MySql::start(),
        }
    }
}
