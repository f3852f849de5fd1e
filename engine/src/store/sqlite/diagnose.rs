//! Facts about a SQLite file.

use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection};

use super::address::SqliteAddress;
use super::store_error;
use crate::diagnosis::SqliteFacts;
use crate::store::error::{Fault, StoreError, StoreResult};

/// Asks the file that a URL names. A missing one is an error, and is not made.
pub(in crate::store) async fn diagnose(url: &str) -> StoreResult<SqliteFacts> {
    let address = SqliteAddress::parse(url)?;
    let file = address.file().map(std::path::Path::to_path_buf);
    if let Some(file) = &file
        && !file.exists()
    {
        let why =
            format!("there is no store at {}: create it with `stockade migrate`", file.display());
        return Err(StoreError::new(Fault::Unfit, why));
    }
    let connect = address.connect.create_if_missing(false);
    // As the engine's own connections are set; the mode is that of the file where it
    // cannot be changed.
    let connect = match file.is_some() {
        true => connect.journal_mode(SqliteJournalMode::Wal),
        false => connect,
    };
    let connect = connect.synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&connect).await.map_err(store_error)?;
    let version = text(&mut connection, "SELECT sqlite_version()").await?;
    let journal_mode = text(&mut connection, "PRAGMA journal_mode").await?;
    let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await;
    let synchronous = synchronous.map_err(store_error)?;
    let length = |suffix: &str| {
        let file = file.as_ref()?;
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        Some(std::fs::metadata(name).ok()?.len())
    };
    let (file_bytes, wal_bytes) =
        (length("").unwrap_or_default(), length("-wal").unwrap_or_default());
    // Its result is not needed any more.
    let _ = connection.close().await;
    Ok(SqliteFacts { version, file, file_bytes, wal_bytes, journal_mode, synchronous })
}

async fn text(connection: &mut SqliteConnection, sql: &'static str) -> StoreResult<String> {
    sqlx::query_scalar(sql).fetch_one(connection).await.map_err(store_error)
}
