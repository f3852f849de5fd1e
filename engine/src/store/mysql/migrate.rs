//! Brings the tables of a MySQL or MariaDB database up to date.

use backon::BackoffBuilder;
use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::errors::store_error;
use super::session::Sessions;
use crate::store::StoreOptions;
use crate::store::connection::timed_out;
use crate::store::error::{Fault, StoreError, StoreResult};
use crate::store::retry::pauses;

/// For how many seconds a process waits for another that migrates.
const MIGRATION_WAIT: i64 = 60;
/// How often migrations are tried again that met those of another process.
const MIGRATION_TRIES: u32 = 40;

/// Applies the migrations that are missing. Several processes may do so at
/// once: they take turns by a lock of the server's.
pub(crate) async fn migrate(options: &StoreOptions) -> StoreResult<()> {
    let sessions = Sessions::of(options)?;
    let connecting = sessions.connect();
    let (mut connection, _) = tokio::time::timeout(options.store_timeout, connecting)
        .await
        .map_err(|_| timed_out())??;
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
