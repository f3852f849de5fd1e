//! Applies migrations to a MySQL or MariaDB database.

use backon::BackoffBuilder;
use sqlx::migrate::MigrateError;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::errors::{server_error_number, store_error};
use super::session::SessionFactory;
use super::text;
use crate::config::Migrate;
use crate::store::StoreOptions;
use crate::store::connection::timed_out;
use crate::store::error::{Fault, StoreError, StoreResult};
use crate::store::retry::pauses;
use crate::store::schema::{self, Applied};

/// How long, in seconds, a process waits for another that migrates.
const MIGRATION_WAIT: i64 = 60;
/// The most retries after a conflict with the migrations of another process.
const MIGRATION_TRIES: u32 = 40;

/// Applies the missing migrations, or rejects a store that lacks some. A server
/// lock serializes processes that migrate at once. Where nothing is missing, no
/// privilege to change tables is needed.
pub(crate) async fn migrate(options: &StoreOptions) -> StoreResult<()> {
    let sessions = SessionFactory::new(options)?;
    let connecting = sessions.connect();
    let (mut connection, _) = tokio::time::timeout(options.config.store_timeout, connecting)
        .await
        .map_err(|_| timed_out())??;
    let done = match reject_sysdate_is_now(&mut connection).await {
        Ok(()) => migrate_by(options.config.migrate, &mut connection).await,
        rejected => rejected,
    };
    // Closing releases the lock in any case.
    let _ = connection.close().await;
    done
}

/// Rejects a server with `sysdate-is-now`: a batch's time is read as its rows are
/// locked, and the option would make it the time at which the statement began.
async fn reject_sysdate_is_now(connection: &mut MySqlConnection) -> StoreResult<()> {
    let is_now = sqlx::query_scalar("SELECT SLEEP(0.002) + (SYSDATE(6) = NOW(6)) + 0e0");
    let is_now: Option<f64> = is_now.fetch_one(connection).await.map_err(store_error)?;
    if is_now != Some(0.0) {
        let why = "the server runs with sysdate-is-now, which hides how long a statement waited \
                   for locks: start it without";
        return Err(StoreError::new(Fault::Unknown, why));
    }
    Ok(())
}

async fn migrate_by(policy: Migrate, connection: &mut MySqlConnection) -> StoreResult<()> {
    let database = sqlx::query_scalar("SELECT DATABASE()").fetch_one(&mut *connection).await;
    let database: Option<String> = database.map_err(store_error)?;
    let Some(database) = database else {
        let why = "the store's URL names no database: write mysql://USER@HOST/DATABASE";
        return Err(StoreError::new(Fault::Unknown, why));
    };
    apply_missing(policy, connection, &database).await?;
    check_privileges(connection).await
}

/// Rejects an account that lacks a privilege that batches need. A missing table is
/// left to the check of the tables that follows.
async fn check_privileges(connection: &mut MySqlConnection) -> StoreResult<()> {
    let sql = schema::WRITE_NOTHING.join(text::SEPARATOR);
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
        Err(error) if !is_no_such_table(&error) => Err(store_error(error)),
        _ => Ok(()),
    }
}

async fn apply_missing(
    policy: Migrate,
    connection: &mut MySqlConnection,
    database: &str,
) -> StoreResult<()> {
    if policy == Migrate::Off {
        return Ok(());
    }
    let applied = read_applied(connection).await?;
    match schema::must_migrate(policy, &stockade_migrations::mysql(), &applied)? {
        true => migrate_locked(connection, database).await,
        false => Ok(()),
    }
}

/// Reads the applied migrations: none where their table does not exist.
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
    server_error_number(error) == Some(1146)
}

/// Rejects a database whose tables have our names and are not Stockade's.
async fn reject_foreign_tables(connection: &mut MySqlConnection) -> StoreResult<()> {
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
    // A lock's name has at most 64 characters; MySQL 9.6 and later have MD5 and
    // SHA1 only in an optional component.
    let locked: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT('stockade:', LEFT(SHA2(?, 256), 48)), ?)")
            .bind(database)
            .bind(MIGRATION_WAIT)
            .fetch_one(&mut *connection)
            .await
            .map_err(store_error)?;
    if locked != Some(1) {
        let why = format!("another process has been migrating for over {MIGRATION_WAIT} s");
        return Err(StoreError::new(Fault::Lost, why));
    }
    if read_applied(connection).await?.is_empty() {
        reject_foreign_tables(connection).await?;
    }
    // The lock is one node's: on a multi-primary cluster, another process may
    // migrate through another node. Of two that record the same migration one
    // fails, and then finds it applied.
    let mut pauses = pauses(MIGRATION_TRIES).build();
    loop {
        let error = match migrate_once(connection).await {
            Err(error) if error.fault.is_transient() && !is_access_denied(&error) => error,
            done => return done,
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tracing::debug!(%error, "retrying the migrations");
        tokio::time::sleep(pause).await;
    }
}

/// Returns whether the account lacks a privilege: a retry does not grant it.
fn is_access_denied(error: &StoreError) -> bool {
    let number = error.source.downcast_ref::<sqlx::Error>().and_then(server_error_number);
    number.is_some_and(|number| matches!(number, 1044 | 1142 | 1143 | 1227 | 1370))
}

async fn migrate_once(connection: &mut MySqlConnection) -> StoreResult<()> {
    // A migration is one statement that can be run again after a failure. This
    // fails harmlessly where the table does not exist yet.
    let half_done = format!("DELETE FROM {} WHERE success = FALSE", stockade_migrations::TABLE);
    let _ = connection.execute(AssertSqlSafe(half_done)).await;
    let mut done = stockade_migrations::mysql().run_direct(None, &mut *connection, false).await;
    while let Err(MigrateError::ExecuteMigration(error, version)) = &done {
        if !is_duplicate_column(error) {
            break;
        }
        record_half_done(connection, *version).await?;
        done = stockade_migrations::mysql().run_direct(None, &mut *connection, false).await;
    }
    done.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(error)
        }
        MigrateError::Dirty(_) => StoreError::new(Fault::Conflict, error),
        error => StoreError::new(Fault::Fatal, error),
    })
}

/// Returns whether a column is there that a migration adds: it was run before, by a
/// process that died before it recorded that.
fn is_duplicate_column(error: &sqlx::Error) -> bool {
    server_error_number(error) == Some(1060)
}

/// Records that a migration was run. Its statement has committed the record of its
/// begin, also where it failed.
async fn record_half_done(connection: &mut MySqlConnection, version: i64) -> StoreResult<()> {
    let table = stockade_migrations::TABLE;
    let sql =
        format!("UPDATE {table} SET success = TRUE WHERE version = {version} AND success = FALSE");
    let recorded = connection.execute(AssertSqlSafe(sql)).await.map_err(store_error)?;
    if recorded.rows_affected() == 1 {
        return Ok(());
    }
    let why = format!("migration {version} adds a column that is there, and is not recorded");
    Err(StoreError::new(Fault::Fatal, why))
}
