//! SQLite, in a file (WAL, full durability) or in memory.
//!
//! SQLite has one writer at a time, so there is one connection that writes.

mod address;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};
use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Executor, Row, SqliteConnection};

use super::StoreOptions;
use super::connection::{Connection, Database, OnRow, Use, drain};
use super::error::{Fault, StoreError, StoreResult};
use super::pool::{self, Acquired, LastSuccess, checkout};
use super::retry::with_retries;
use super::rows::raw_cells;
use super::schema::{self, Applied};
use crate::config::Migrate;

use address::SqliteAddress;

raw_cells!(sqlx::sqlite::SqliteRow);

/// Sorts errors by SQLite's primary result code.
fn fault_of(error: &sqlx::Error) -> Option<Fault> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    fault_by_code(code)
}

fn fault_by_code(code: i32) -> Option<Fault> {
    Some(match code & 0xff {
        // Busy, and locked by another connection of this process.
        5 | 6 => Fault::LockWait,
        // Read-only, interrupted, I/O error, full, cannot open, protocol.
        8 | 9 | 10 | 13 | 14 | 15 => Fault::Lost,
        // What a connection takes for corrupt after its disk has failed, another
        // one reads anew.
        11 => Fault::Lost,
        19 if code == 275 => Fault::Invariant,
        // A column that must not be NULL: how a guard that was not met shows.
        19 if code == 1299 => Fault::Conflict,
        19 if code == 1555 || code == 2067 => Fault::Duplicate,
        _ => return None,
    })
}

fn store_error(error: sqlx::Error) -> StoreError {
    StoreError::from_sqlx(error, fault_of)
}

fn connect_options(address: &SqliteAddress, options: &StoreOptions) -> SqliteConnectOptions {
    address
        .connect()
        .create_if_missing(options.migrate == Migrate::Auto)
        .journal_mode(SqliteJournalMode::Wal)
        // With less, a power cut can take the last commits with it.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.lock_wait)
}

/// Opens connections for the pool.
#[derive(Clone)]
struct ConnectionFactory(SqliteConnectOptions);

impl Manager for ConnectionFactory {
    type Type = SqliteConnection;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<SqliteConnection> {
        SqliteConnection::connect_with(&self.0).await.map_err(store_error)
    }

    async fn recycle(&self, _: &mut SqliteConnection, _: &Metrics) -> RecycleResult<StoreError> {
        // It never ages, and a database in memory must outlive its idle times.
        Ok(())
    }
}

/// The connections to a SQLite database.
pub(crate) struct SqliteDatabase {
    writer: Pool<ConnectionFactory>,
    /// The writer itself when the database lives in memory.
    readers: Pool<ConnectionFactory>,
    timeout: Duration,
    /// Set where a database in memory, which dies with its connection, was
    /// left in mid-transaction. `None` for a database in a file.
    left_open: Option<Arc<AtomicBool>>,
    /// When a commit last succeeded.
    commits: Arc<LastSuccess>,
}

/// What names the store of this URL in this process.
pub(super) fn identity(url: &str) -> Option<String> {
    let path = SqliteAddress::parse(url).ok()?.identity()?;
    Some(format!("sqlite:{}", path.to_str()?))
}

impl SqliteDatabase {
    /// Prepares pools and brings the tables up to date.
    pub async fn open(options: &StoreOptions) -> StoreResult<Self> {
        let database = Self::new(options)?;
        // Those who write already may leave a newcomer no turn.
        with_retries(options.retries, || database.migrate(options.migrate)).await?;
        Ok(database)
    }

    /// Prepares pools; connections are made when they are first needed.
    pub fn new(options: &StoreOptions) -> StoreResult<Self> {
        let address = SqliteAddress::parse(&options.url)?;
        // Who makes no tables makes no file either.
        if let Some(file) = address.file().filter(|_| options.migrate != Migrate::Auto)
            && matches!(file.try_exists(), Ok(false))
        {
            let why =
                format!("there is no store at {}: `stockade migrate` makes one", file.display());
            return Err(StoreError::new(Fault::Unfit, why));
        }
        let maker = ConnectionFactory(connect_options(&address, options));
        let writer = pool::pool(maker.clone(), 1, options.store_timeout)?;
        let in_memory = address.in_memory;
        let readers = if in_memory {
            writer.clone()
        } else {
            pool::pool(maker, options.connections, options.store_timeout)?
        };
        Ok(Self {
            writer,
            readers,
            timeout: options.store_timeout,
            left_open: in_memory.then(Arc::default),
            commits: Arc::default(),
        })
    }

    async fn pooled(&self, mut connection: Object<ConnectionFactory>) -> Box<dyn Connection> {
        if let Some(left_open) = &self.left_open
            && left_open.swap(false, Ordering::AcqRel)
        {
            // It fails only where nothing was open, which is as good.
            let _ = connection.execute("ROLLBACK").await;
        }
        Box::new(PooledConnection {
            connection: Some(connection),
            timeout: self.timeout,
            left_open: self.left_open.clone(),
            commits: Arc::clone(&self.commits),
            is_busy: false,
        })
    }

    /// Applies the migrations that are missing, or refuses a store that lacks
    /// some. Several processes may migrate at once: they take turns by the
    /// write lock.
    pub async fn migrate(&self, policy: Migrate) -> StoreResult<()> {
        if policy == Migrate::Off {
            return Ok(());
        }
        let ours = stockade_migrations::sqlite();
        let mut connection = checkout(&self.writer).await?;
        let applied = read_applied(&mut connection).await?;
        let missing = schema::missing(&ours, &applied)?;
        if missing.is_empty() {
            return Ok(());
        }
        if policy == Migrate::Check {
            return Err(schema::behind(&missing, &applied));
        }
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        if read_applied(&mut transaction).await?.is_empty() {
            refuse_foreign_tables(&mut transaction).await?;
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

/// Refuses a database that has tables of our names and never was a store.
async fn refuse_foreign_tables(connection: &mut SqliteConnection) -> StoreResult<()> {
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
    const SINGLE_WRITER: bool = true;
    // Never deferred: a read that turns into a write fails at once with
    // BUSY_SNAPSHOT, whatever the busy timeout.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const BEGIN_SNAPSHOT: &'static [&'static str] = &["BEGIN DEFERRED"];
    const LOCK: &'static str = "";
    const NOW: Option<&'static str> = None;
    const ROWS_AFFECTED: &'static str = "changes()";
    // The row with the greatest cursor stands at the end of the index. Rows
    // without events have 0.
    const CURSOR: &'static str = "COALESCE((SELECT first_cursor + events FROM stockade_outbox \
         WHERE first_cursor > 0 ORDER BY first_cursor DESC LIMIT 1), 1)";

    fn acquire(&self, used_for: Use) -> BoxFuture<'_, StoreResult<Box<dyn Connection>>> {
        Box::pin(async move {
            let pool = match used_for {
                Use::Write => &self.writer,
                Use::Read => &self.readers,
            };
            Ok(self.pooled(checkout(pool).await?).await)
        })
    }

    fn probe(&self) -> BoxFuture<'_, StoreResult<Option<Box<dyn Connection>>>> {
        Box::pin(async move {
            match pool::checkout_unless_busy(&self.writer, &self.commits).await? {
                Acquired::Connection(connection) => Ok(Some(self.pooled(connection).await)),
                Acquired::BusyAtWork => Ok(None),
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for pool in [&self.readers, &self.writer] {
                for connection in pool::close(pool) {
                    // It is of no use any more, whatever came of that.
                    let _ = connection.close().await;
                }
            }
        })
    }
}

struct PooledConnection {
    /// `None` once it was discarded.
    connection: Option<Object<ConnectionFactory>>,
    timeout: Duration,
    left_open: Option<Arc<AtomicBool>>,
    commits: Arc<LastSuccess>,
    /// Whether statements are in flight.
    is_busy: bool,
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        // The caller was cancelled: the rest of the response must not reach the
        // next one.
        if self.is_busy {
            self.discard();
        }
    }
}

impl Connection for PooledConnection {
    fn run<'a>(
        &'a mut self,
        statements: &'a [&'a str],
        on_row: OnRow<'a>,
    ) -> BoxFuture<'a, StoreResult<Vec<u64>>> {
        Box::pin(async move {
            let Some(connection) = &mut self.connection else {
                return Err(StoreError::new(Fault::Lost, "the connection was discarded"));
            };
            let commits = statements.last() == Some(&"COMMIT");
            let sql = statements.join("; ");
            self.is_busy = true;
            let stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(&mut **connection);
            let done = drain(stream, |done| done.rows_affected(), self.timeout, on_row).await;
            self.is_busy = false;
            if commits && done.is_ok() {
                self.commits.now();
            }
            done.map_err(|broken| {
                if broken.statement.is_none() {
                    self.discard();
                }
                broken.into_error(store_error)
            })
        })
    }

    fn discard(&mut self) {
        if let Some(connection) = self.connection.take() {
            match &self.left_open {
                Some(left_open) => left_open.store(true, Ordering::Release),
                None => drop(Object::take(connection)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
