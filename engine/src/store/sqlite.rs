//! SQLite, in a file (WAL, full durability) or in memory.
//!
//! SQLite has one writer at a time, so one connection writes.

mod address;
pub(crate) mod backup;
mod diagnose;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, RecycleResult};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Executor, Row, SqliteConnection};

use super::StoreOptions;
use super::connection::{OnRow, drain};
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::pool::{Driver, Pools, pool_error};
use super::retry::with_retries;
use super::rows::raw_cells;
use super::schema::{self, Applied};
use crate::config::Migrate;

use address::SqliteAddress;
pub(super) use diagnose::diagnose;

raw_cells!(sqlx::sqlite::SqliteRow);

fn fault_by_code(code: i32) -> Option<Fault> {
    Some(match code & 0xff {
        // Busy, and locked by another connection of this process.
        5 | 6 => Fault::LockWait,
        // Read-only, interrupted, I/O error, full, cannot open, protocol.
        8 | 9 | 10 | 13 | 14 | 15 => Fault::Lost,
        // Corrupt. After a disk failure, a new connection may read the file well.
        11 => Fault::Lost,
        19 if code == 275 => Fault::Invariant,
        // NOT NULL violated: how an unmet guard shows.
        19 if code == 1299 => Fault::Conflict,
        19 if code == 1555 || code == 2067 => Fault::Duplicate,
        _ => return None,
    })
}

fn store_error(error: sqlx::Error) -> StoreError {
    StoreError::from_sqlx(error, |error| {
        fault_by_code(error.as_database_error()?.code()?.parse().ok()?)
    })
}

#[derive(Clone)]
pub(super) struct SqliteDriver {
    connect: SqliteConnectOptions,
    /// Set when a database in memory, which dies with its connection, is left in
    /// mid-transaction. `None` for a database in a file.
    left_open: Option<Arc<AtomicBool>>,
}

impl Manager for SqliteDriver {
    type Type = SqliteConnection;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<SqliteConnection> {
        SqliteConnection::connect_with(&self.connect).await.map_err(store_error)
    }

    async fn recycle(&self, _: &mut SqliteConnection, _: &Metrics) -> RecycleResult<StoreError> {
        // It never ages, and a database in memory must outlive its idle times.
        Ok(())
    }
}

impl Driver for SqliteDriver {
    fn join(&self, statements: &[&str]) -> StoreResult<Vec<String>> {
        Ok(vec![statements.join("; ")])
    }

    async fn send(
        connection: &mut SqliteConnection,
        text: String,
        timeout: Duration,
        rows_affected: &mut Vec<u64>,
        on_row: OnRow<'_>,
    ) -> StoreResult<()> {
        let stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(connection);
        let count = |done: SqliteQueryResult| done.rows_affected();
        drain(stream, count, store_error, timeout, rows_affected, on_row).await
    }

    async fn close(connection: SqliteConnection) {
        // No caller uses it any more, whether or not closing succeeds.
        let _ = connection.close().await;
    }

    async fn prepare(&self, connection: &mut SqliteConnection) {
        if let Some(left_open) = &self.left_open
            && left_open.swap(false, Ordering::AcqRel)
        {
            // Fails only if no transaction is open, which is as good.
            let _ = connection.execute("ROLLBACK").await;
        }
    }

    fn discard(&self, connection: Object<Self>) {
        match &self.left_open {
            Some(left_open) => left_open.store(true, Ordering::Release),
            None => drop(Object::take(connection)),
        }
    }
}

pub(crate) struct SqliteDatabase(Pools<SqliteDriver>);

/// Identifies the store of this URL in this process.
pub(super) fn identity(url: &str) -> Option<String> {
    let path = SqliteAddress::parse(url).ok()?.identity()?;
    Some(format!("sqlite:{}", path.to_str()?))
}

impl SqliteDatabase {
    pub async fn open(options: &StoreOptions) -> StoreResult<Self> {
        let database = Self::new(options)?;
        let config = &options.config;
        if config.migrate == Migrate::Auto && SqliteAddress::parse(&config.store)?.is_private() {
            with_retries(config.retries, || database.create_tables()).await?;
            return Ok(database);
        }
        // Busy writers may keep the write lock beyond the busy timeout.
        with_retries(config.retries, || database.migrate(config.migrate)).await?;
        Ok(database)
    }

    pub fn new(options: &StoreOptions) -> StoreResult<Self> {
        let config = &options.config;
        let address = SqliteAddress::parse(&config.store)?;
        // Only a policy that creates tables creates the file.
        if let Some(file) = address.file().filter(|_| config.migrate != Migrate::Auto)
            && matches!(file.try_exists(), Ok(false))
        {
            let why = format!(
                "there is no store at {}: create it with `stockade migrate`",
                file.display()
            );
            return Err(StoreError::new(Fault::Unfit, why));
        }
        let left_open = address.in_memory.then(Arc::default);
        let readers = (!address.in_memory).then_some(config.connections);
        let connect = address
            .connect
            .create_if_missing(config.migrate == Migrate::Auto)
            .journal_mode(SqliteJournalMode::Wal)
            // With less, a power cut can take the last commits with it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(config.lock_wait);
        let driver = SqliteDriver { connect, left_open };
        Ok(Self(Pools::new(driver, 1, readers, config.store_timeout)?))
    }

    /// Creates the tables of a database in memory, which is new, by one text. To apply
    /// and note each migration takes over a hundred round trips to the connection's
    /// thread, most of the time in which a test's engine opens; nobody else could read
    /// the notes.
    async fn create_tables(&self) -> StoreResult<()> {
        let ours = stockade_migrations::sqlite();
        let statements: Vec<&str> = ours.iter().map(|migration| migration.sql.as_str()).collect();
        let sql = format!("BEGIN;\n{}\n;COMMIT", statements.join("\n;\n"));
        let mut connection = self.0.writers.get().await.map_err(pool_error)?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(store_error)?;
        Ok(())
    }

    /// Applies the missing migrations, or rejects a store that lacks some. The
    /// write lock serializes processes that migrate at once.
    pub async fn migrate(&self, policy: Migrate) -> StoreResult<()> {
        if policy == Migrate::Off {
            return Ok(());
        }
        let ours = stockade_migrations::sqlite();
        let mut connection = self.0.writers.get().await.map_err(pool_error)?;
        if !schema::must_migrate(policy, &ours, &read_applied(&mut connection).await?)? {
            return Ok(());
        }
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        if read_applied(&mut transaction).await?.is_empty() {
            reject_foreign_tables(&mut transaction).await?;
        }
        ours.run_direct(None, &mut *transaction, false)
            .await
            .map_err(|error| StoreError::new(Fault::Fatal, error))?;
        transaction.commit().await.map_err(store_error)
    }
}

async fn has_table(connection: &mut SqliteConnection, name: &str) -> StoreResult<bool> {
    let sql = format!("SELECT name FROM sqlite_master WHERE type = 'table' AND name = '{name}'");
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    Ok(connection.fetch_optional(sql).await.map_err(store_error)?.is_some())
}

async fn read_applied(connection: &mut SqliteConnection) -> StoreResult<Vec<Applied>> {
    if !has_table(connection, stockade_migrations::TABLE).await? {
        return Ok(Vec::new());
    }
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(schema::select_applied()))).await;
    let applied = |row: sqlx::sqlite::SqliteRow| {
        let (version, checksum, success) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Applied { version, checksum, success })
    };
    rows.and_then(|rows| rows.into_iter().map(applied).collect()).map_err(store_error)
}

/// Rejects a database whose tables have our names and are not Stockade's.
async fn reject_foreign_tables(connection: &mut SqliteConnection) -> StoreResult<()> {
    for (table, columns) in schema::TABLES.iter().copied() {
        if !has_table(connection, table).await? {
            continue;
        }
        let probe = sqlx::raw_sql(AssertSqlSafe(schema::probe((table, columns))));
        if let Err(error) = connection.execute(probe).await {
            return Err(schema::foreign(table, &error.to_string()));
        }
    }
    Ok(())
}

impl Database for SqliteDatabase {
    type Driver = SqliteDriver;
    const SINGLE_WRITER: bool = true;
    // Never deferred: a read that turns into a write fails at once with
    // BUSY_SNAPSHOT, whatever the busy timeout.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const BEGIN_SNAPSHOT: &'static [&'static str] = &["BEGIN DEFERRED"];
    const LOCK: &'static str = "";
    const NOW: Option<&'static str> = None;
    const ROWS_AFFECTED: &'static str = "changes()";
    const INSERT_NEW: &'static str = "INSERT OR IGNORE";
    const JSON_TABLE: bool = false;
    const JOIN_IN_ORDER: &'static str = "CROSS JOIN";
    // The row with the greatest cursor is the last of the index. Rows without
    // events have 0.
    const CURSOR: &'static str = "COALESCE((SELECT first_cursor + events FROM stockade_outbox \
         WHERE first_cursor > 0 ORDER BY first_cursor DESC LIMIT 1), 1)";

    fn pools(&self) -> &Pools<SqliteDriver> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
