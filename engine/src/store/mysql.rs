//! MySQL and MariaDB, in the SQL that both understand, at READ COMMITTED.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::BackoffBuilder;
use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};
use futures_util::future::BoxFuture;
use sqlx::migrate::MigrateError;
use sqlx::mysql::{MySqlConnectOptions, MySqlQueryResult};
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::StoreOptions;
use super::connection::{Broken, Connection, Database, Keep, Use, drain, timed_out};
use super::error::{Fault, StoreError, StoreResult};
use super::pool::{self, lend, while_fresh};
use super::retry::pauses;
use super::rows::Cells;

/// For how many seconds a process waits for another that migrates.
const MIGRATION_WAIT: i64 = 60;
/// How often migrations are tried again that met those of another process.
const MIGRATION_TRIES: u32 = 40;

/// Sorts errors by the server's numbers, those of MySQL and of MariaDB.
fn fault_of(error: &sqlx::Error) -> Option<Fault> {
    let database = error.as_database_error()?;
    let number = database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?.number();
    fault_by_number(number)
}

fn fault_by_number(number: u16) -> Option<Fault> {
    Some(match number {
        // Deadlock. Galera reports its conflicts so, at COMMIT; Group Replication
        // has a number of its own for them.
        1213 | 3101 => Fault::Deadlock,
        // Lock wait over; NOWAIT refused (MySQL).
        1205 | 3572 => Fault::LockWait,
        // Changed since read (MariaDB's snapshot isolation); write conflict (TiDB).
        1020 | 8002 | 8005 | 8022 | 8028 | 9007 => Fault::Conflict,
        // A column that must not be NULL: how a guard that was not met shows.
        1048 => Fault::Conflict,
        1062 => Fault::Duplicate,
        // CHECK (MariaDB, MySQL); number out of range.
        4025 | 3819 | 1264 | 1690 => Fault::Invariant,
        // No such database, or not for this user.
        1044 | 1045 | 1049 | 1698 => Fault::Lost,
        // Too many connections, shutting down, network, killed, read-only
        // after a fail-over, a node that is cut off from its cluster (Galera,
        // Group Replication), a cluster that does not answer (TiDB).
        1040
        | 1047
        | 1053
        | 1077
        | 1079
        | 1152
        | 1158..=1161
        | 1180
        | 1184
        | 1203
        | 1290
        | 1317
        | 1792
        | 1836
        | 1927
        | 2006
        | 2013
        | 3100
        | 9001..=9005 => Fault::Lost,
        _ => return None,
    })
}

fn store_error(error: sqlx::Error) -> StoreError {
    StoreError::from_sqlx(error, fault_of)
}

fn connect_options(url: &str) -> StoreResult<MySqlConnectOptions> {
    MySqlConnectOptions::from_str(url).map_err(store_error)
}

/// Has a node of a Galera cluster apply all that was committed before. After a
/// fail-over it may still have work queued, and rows that were answered for
/// would be missing.
const CATCH_UP: &str =
    "SET SESSION wsrep_sync_wait = 1; SELECT 1; SET SESSION wsrep_sync_wait = DEFAULT";

async fn is_galera(connection: &mut MySqlConnection) -> StoreResult<bool> {
    let sql = "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'";
    let row = connection.fetch_optional(sqlx::raw_sql(sql)).await.map_err(store_error)?;
    row.map_or(Ok(false), |row| row.try_get(1).map(|on: String| on == "ON")).map_err(store_error)
}

/// Makes connections.
#[derive(Clone)]
struct Maker {
    connect: MySqlConnectOptions,
    settings: String,
    /// Whether the last connection led to a node of a Galera cluster.
    is_galera: Arc<AtomicBool>,
}

impl Manager for Maker {
    type Type = MySqlConnection;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<MySqlConnection> {
        let mut connection =
            MySqlConnection::connect_with(&self.connect).await.map_err(store_error)?;
        let settings = sqlx::raw_sql(AssertSqlSafe(self.settings.clone()));
        connection.execute(settings).await.map_err(store_error)?;
        let is_galera = is_galera(&mut connection).await?;
        self.is_galera.store(is_galera, Ordering::Relaxed);
        if is_galera {
            connection.execute(CATCH_UP).await.map_err(store_error)?;
        }
        Ok(connection)
    }

    async fn recycle(
        &self,
        _: &mut MySqlConnection,
        metrics: &Metrics,
    ) -> RecycleResult<StoreError> {
        while_fresh(metrics)
    }
}

/// Pools of connections to a MySQL or MariaDB database.
pub(crate) struct MySqlDatabase {
    writers: Pool<Maker>,
    readers: Pool<Maker>,
    timeout: Duration,
}

impl MySqlDatabase {
    /// Prepares pools; connections are made when they are first needed.
    pub fn new(options: &StoreOptions) -> StoreResult<Self> {
        // InnoDB counts whole seconds.
        let lock_wait = options.lock_wait.as_secs().max(1);
        let settings = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET SESSION innodb_lock_wait_timeout = {lock_wait}"
        );
        let connect = connect_options(&options.url)?;
        let maker = Maker { connect, settings, is_galera: Arc::default() };
        let timeout = options.store_timeout;
        Ok(Self {
            writers: pool::pool(maker.clone(), options.connections, timeout)?,
            readers: pool::pool(maker, options.connections, timeout)?,
            timeout,
        })
    }
}

impl Database for MySqlDatabase {
    const SINGLE_WRITER: bool = false;
    const BEGIN: &'static str = "START TRANSACTION";
    const BEGIN_SNAPSHOT: &'static str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         START TRANSACTION WITH CONSISTENT SNAPSHOT";
    const LOCK: &'static str = " FOR UPDATE";
    // SYSDATE and not NOW: a statement that waited for a lock must not go by
    // the time at which it began to wait.
    const NOW: Option<&'static str> = Some("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)");
    const HITS: &'static str = "ROW_COUNT()";

    fn take(&self, used_for: Use) -> BoxFuture<'_, StoreResult<Box<dyn Connection>>> {
        Box::pin(async move {
            let pool = match used_for {
                Use::Write => &self.writers,
                Use::Read => &self.readers,
            };
            let lent: Box<dyn Connection> = Box::new(Lent {
                connection: Some(lend(pool).await?),
                one_by_one: pool.manager().is_galera.load(Ordering::Relaxed),
                timeout: self.timeout,
                is_busy: false,
            });
            Ok(lent)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            pool::close(&self.writers).await;
            pool::close(&self.readers).await;
        })
    }
}

struct Lent {
    /// `None` once it was given up.
    connection: Option<Object<Maker>>,
    /// Whether each statement is sent by itself. Where another node's write
    /// comes first, Galera rolls the transaction back; between two statements
    /// of one text that goes unseen, and the rest of the text would be done
    /// outside of any transaction.
    one_by_one: bool,
    timeout: Duration,
    /// Whether statements are under way.
    is_busy: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Whoever waited for the statements has gone; no one else shall.
        if self.is_busy {
            self.give_up();
        }
    }
}

impl Connection for Lent {
    fn run<'a>(&'a mut self, sql: String, keep: Keep<'a>) -> BoxFuture<'a, StoreResult<Vec<u64>>> {
        Box::pin(async move {
            let Some(connection) = &mut self.connection else {
                return Err(StoreError::new(Fault::Lost, "the connection was given up"));
            };
            self.is_busy = true;
            // No value in the text has a semicolon: they are numbers.
            let texts: Vec<String> = if self.one_by_one {
                sql.split("; ").map(str::to_owned).collect()
            } else {
                vec![sql]
            };
            let mut hits = Vec::new();
            let mut done = Ok(());
            for text in texts {
                let before = hits.len();
                let stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut **connection);
                let hit = |done: &MySqlQueryResult| done.rows_affected();
                let mut keep = |at: usize, row: Cells<'_>| keep(before + at, row);
                match drain(stream, hit, self.timeout, &mut keep).await {
                    Ok(more) => hits.extend(more),
                    Err(broken) => {
                        let statement = broken.statement.map(|at| before + at);
                        done = Err(Broken { statement, ..broken });
                        break;
                    }
                }
            }
            self.is_busy = false;
            done.map(|()| hits).map_err(|broken| {
                let error = broken.into_error(store_error);
                // A server that cannot serve may say so and stay connected; the
                // next connection may lead to the one that took over.
                if error.statement.is_none() || error.fault == Fault::Lost {
                    self.give_up();
                }
                error
            })
        })
    }

    fn give_up(&mut self) {
        // Dropped, it is closed, and with it goes what it had under way.
        drop(self.connection.take().map(Object::take));
    }
}

/// Applies the migrations that are missing. Several processes may do so at
/// once: they take turns by a lock of the server's.
pub(crate) async fn migrate(options: &StoreOptions) -> StoreResult<()> {
    let connect = connect_options(&options.url)?;
    let connecting = MySqlConnection::connect_with(&connect);
    let mut connection = tokio::time::timeout(options.store_timeout, connecting)
        .await
        .map_err(|_| timed_out())?
        .map_err(store_error)?;
    let done = match refuse_sysdate_is_now(&mut connection).await {
        Ok(()) => migrate_locked(&mut connection).await,
        refused => refused,
    };
    // Closing gives the lock back whatever happened.
    let _ = connection.close().await;
    done
}

/// A decision's time is read as its rows are locked; that option would make it
/// the time at which they were asked for.
async fn refuse_sysdate_is_now(connection: &mut MySqlConnection) -> StoreResult<()> {
    let is_now: Option<f64> = sqlx::query("SELECT SLEEP(0.002) + (SYSDATE(6) = NOW(6)) + 0e0")
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(store_error)?;
    if is_now != Some(0.0) {
        let why = "the server was started with sysdate-is-now, which hides how long locks took";
        return Err(StoreError::new(Fault::Unknown, why));
    }
    Ok(())
}

async fn migrate_locked(connection: &mut MySqlConnection) -> StoreResult<()> {
    let database: Option<String> = sqlx::query("SELECT DATABASE()")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(store_error)?;
    let Some(database) = database else {
        return Err(StoreError::new(
            Fault::Unknown,
            "the URL names no database: mysql://USER@HOST/DATABASE",
        ));
    };
    // MySQL takes names of 64 characters at most; MySQL 9.6 and later keep MD5
    // and SHA1 in an optional component.
    let had: Option<i64> =
        sqlx::query("SELECT GET_LOCK(CONCAT('stockade:', LEFT(SHA2(?, 256), 48)), ?)")
            .bind(database)
            .bind(MIGRATION_WAIT)
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(store_error)?;
    if had != Some(1) {
        return Err(StoreError::new(Fault::Lost, "another process has been migrating for long"));
    }
    // On a cluster that takes writes at every node, the lock is one node's, so
    // another process may be at it there. One of two that note the same
    // migration fails, and goes by what the other has done.
    let mut pauses = pauses(MIGRATION_TRIES).build();
    loop {
        let error = match migrate_once(connection).await {
            Err(error) if error.fault.is_passing() => error,
            done => return done,
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tracing::debug!(%error, "the migrations are tried again");
        tokio::time::sleep(pause).await;
    }
}

async fn migrate_once(connection: &mut MySqlConnection) -> StoreResult<()> {
    // A half-done migration is one statement that can be run again. The first
    // time the table is not there yet, which is no fault.
    let half_done = format!("DELETE FROM {} WHERE success = FALSE", stockade_migrations::TABLE);
    let _ = connection.execute(AssertSqlSafe(half_done)).await;
    let done = stockade_migrations::mysql().run_direct(None, &mut *connection, false).await;
    done.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(error)
        }
        MigrateError::Dirty(_) => StoreError::new(Fault::Conflict, error),
        error => StoreError::new(Fault::Fatal, error),
    })
}

#[cfg(test)]
mod tests;
