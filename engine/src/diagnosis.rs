//! Facts about a store and about Redis, for an operator: what they are, not whether that
//! is good.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::{features, redis_connection, store};

/// What was found out about a store and about Redis.
#[derive(Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The store, or why it cannot be asked.
    pub store: Result<StoreFacts>,
    /// Redis, or why it cannot be asked; `None` if the settings name none.
    pub redis: Option<Result<RedisFacts>>,
}

/// Facts about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFacts {
    /// A SQLite file.
    Sqlite(SqliteFacts),
    /// A database of MySQL or MariaDB.
    MySql(MySqlFacts),
}

/// Facts about a SQLite file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteFacts {
    /// The version of SQLite.
    pub version: String,
    /// The file; `None` for a database in memory.
    pub file: Option<PathBuf>,
    /// The bytes of the file.
    pub file_bytes: u64,
    /// The bytes of the write-ahead log beside it.
    pub wal_bytes: u64,
    /// `PRAGMA journal_mode`.
    pub journal_mode: String,
    /// `PRAGMA synchronous` of the engine's connections: 2 is FULL.
    pub synchronous: i64,
}

/// Facts about a database of MySQL or MariaDB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MySqlFacts {
    /// Host and port, or the socket file.
    pub server: String,
    /// The server's own text.
    pub version: String,
    /// Whether it is MariaDB.
    pub is_mariadb: bool,
    /// The name of the database.
    pub database: String,
    /// Global variables that matter, as the server shows them, by their names in lower
    /// case. What a server does not have is missing.
    pub variables: BTreeMap<String, String>,
    /// The isolation level of the engine's sessions.
    pub session_isolation: String,
    /// Open connections, those of others included.
    pub connections: u64,
    /// Whether this connection is encrypted.
    pub is_encrypted: bool,
    /// Whether the server is on this machine.
    pub is_local: bool,
    /// Privileges on the database or on everything, in capitals, sorted. `None` if they
    /// depend on roles or cannot be read.
    pub privileges: Option<Vec<String>>,
    /// Stockade's tables with their size by the server's own estimate.
    pub tables: Vec<TableSize>,
    /// The server's clock less this machine's, in microseconds.
    pub clock_ahead_us: i64,
    /// How long a statement took there and back.
    pub round_trip: Duration,
}

/// The size of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Its rows, estimated.
    pub rows: u64,
    /// The bytes of its rows and indexes.
    pub bytes: u64,
}

/// Facts about Redis or Valkey. Of a cluster, those of one of its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisFacts {
    /// Host and port, without a password.
    pub server: String,
    /// `Redis` or `Valkey`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What it evicts when its memory is full; empty if it does not say.
    pub maxmemory_policy: String,
    /// The most memory that it takes; 0 for no limit.
    pub maxmemory: u64,
    /// The memory that it takes.
    pub used_memory: u64,
    /// Keys that were evicted since its start.
    pub evicted_keys: u64,
    /// `master` or `slave`.
    pub role: String,
    /// Its clock less this machine's, in microseconds.
    pub clock_ahead_us: i64,
    /// How long a command took there and back.
    pub round_trip: Duration,
}

/// Asks the store and Redis what they are like. Changes nothing.
///
/// # Errors
/// `invalid_argument` for the URL of a running engine, which is asked where it runs.
pub async fn diagnose(config: &Config) -> Result<Diagnosis> {
    if config.names_a_running_engine() {
        let why = "the store is a running engine: diagnose the store that it has opened";
        return Err(Error::invalid_argument(why));
    }
    features::check(config)?;
    config.check()?;
    let store = store::diagnose(config).await.map_err(Error::from);
    let redis = match config.redis.as_str() {
        "" => None,
        _ => Some(redis_connection::diagnose(config).await),
    };
    Ok(Diagnosis { store, redis })
}

/// A server's clock less this machine's: the server read its clock between the two
/// moments of this one.
#[cfg(any(feature = "mysql", feature = "redis"))]
pub(crate) fn clock_ahead_us(server_us: i64, before: i64, after: i64) -> i64 {
    server_us - (before + (after - before) / 2)
}

/// This machine's clock, in microseconds since 1970.
#[cfg(any(feature = "mysql", feature = "redis"))]
pub(crate) fn host_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
