//! Brings the tables of a MySQL or MariaDB database up to date.

use backon::BackoffBuilder;
use sqlx::migrate::MigrateError;
use sqlx::mysql::{MySqlDatabaseError, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::errors::{number_of, store_error};
use super::session::SessionFactory;
use super::text;
use crate::config::Migrate;
use crate::store::StoreOptions;
use crate::store::connection::timed_out;
use crate::store::error::{Fault, StoreError, StoreResult};
use crate::store::retry::pauses;
use crate::store::schema::{self, Applied};

/// For how many seconds a process waits for another that migrates.
const MIGRATION_WAIT: i64 = 60;
/// How often migrations are tried again that met those of another process.
const MIGRATION_TRIES: u32 = 40;

/// Applies the migrations that are missing, or refuses a store that lacks some.
/// Several processes may migrate at once: they take turns by a lock of the
/// server's. Where nothing is missing, no right to change tables is needed.
pub(crate) async fn migrate(options: &StoreOptions) -> StoreResult<()> {
    let sessions = SessionFactory::of(options)?;
    let connecting = sessions.connect();
    let (mut connection, _) = tokio::time::timeout(options.store_timeout, connecting)
        .await
        .map_err(|_| timed_out())??;
    let done = match refuse_sysdate_is_now(&mut connection).await {
        Ok(()) => migrate_by(options.migrate, &mut connection).await,
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

async fn migrate_by(policy: Migrate, connection: &mut MySqlConnection) -> StoreResult<()> {
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
    bring_up_to_date(policy, connection, &database).await?;
    check_rights(connection).await
}

/// Refuses an account that cannot write, before a buyer meets it. The check of
/// the tables that follows reports one that is missing.
async fn check_rights(connection: &mut MySqlConnection) -> StoreResult<()> {
    let sql = schema::WRITE_NOTHING.join(text::SEPARATOR);
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
        Err(error) if !is_no_such_table(&error) => Err(store_error(error)),
        _ => Ok(()),
    }
}

async fn bring_up_to_date(
    policy: Migrate,
    connection: &mut MySqlConnection,
    database: &str,
) -> StoreResult<()> {
    if policy == Migrate::Off {
        return Ok(());
    }
    let applied = read_applied(connection).await?;
    let missing = schema::missing(&stockade_migrations::mysql(), &applied)?;
    match policy {
        _ if missing.is_empty() => Ok(()),
        Migrate::Check => Err(schema::behind(&missing, &applied)),
        _ => migrate_locked(connection, database).await,
    }
}

/// Reads which migrations were applied: none where that was never noted.
async fn read_applied(connection: &mut MySqlConnection) -> StoreResult<Vec<Applied>> {
    let sql = sqlx::raw_sql(AssertSqlSafe(schema::select_applied()));
    let rows = match connection.fetch_all(sql).await {
        Err(error) if is_no_such_table(&error) => return Ok(Vec::new()),
        rows => rows.map_err(store_error)?,
    };
    let applied = |row: MySqlRow| {
        let (version, checksum, success) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Applied { version, checksum, success })
    };
    rows.into_iter().map(applied).collect::<sqlx::Result<_>>().map_err(store_error)
}

fn is_no_such_table(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    let database = database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    database.is_some_and(|error| error.number() == 1146)
}

/// Refuses a database that has tables of our names and never was a store.
async fn refuse_foreign_tables(connection: &mut MySqlConnection) -> StoreResult<()> {
    for (table, columns) in schema::TABLES.iter().copied() {
        let probe = sqlx::raw_sql(AssertSqlSafe(schema::probe((table, columns))));
        match connection.execute(probe).await {
            Err(error) if !is_no_such_table(&error) => {
                let error = store_error(error);
                return Err(match error.fault.is_transient() {
                    true => error,
                    false => schema::foreign(table, &error.source.to_string()),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

async fn migrate_locked(connection: &mut MySqlConnection, database: &str) -> StoreResult<()> {
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
    if read_applied(connection).await?.is_empty() {
        refuse_foreign_tables(connection).await?;
    }
    // On a cluster that takes writes at every node, the lock is one node's, so
    // another process may be at it there. One of two that note the same
    // migration fails, and goes by what the other has done.
    let mut pauses = pauses(MIGRATION_TRIES).build();
    loop {
        let error = match migrate_once(connection).await {
            Err(error) if error.fault.is_transient() && !is_access_denied(&error) => error,
            done => return done,
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tracing::debug!(%error, "the migrations are tried again");
        tokio::time::sleep(pause).await;
    }
}

/// Whether the account lacks a right, which trying again does not give it.
fn is_access_denied(error: &StoreError) -> bool {
    let number = error.source.downcast_ref::<sqlx::Error>().and_then(number_of);
    number.is_some_and(|number| matches!(number, 1044 | 1142 | 1143 | 1227 | 1370))
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
