//! Copies of a SQLite file: consistent while it is in use, and in one file.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor, SqliteConnection};

use super::address::SqliteAddress;
use super::store_error;
use crate::store::IDENTITY;
use crate::store::error::{Fault, StoreError, StoreResult};

/// How long a writer is waited for. A copy itself waits for none.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the file of a store.
///
/// # Errors
/// For the URL of a database in memory, or of none.
pub(crate) fn file_of(url: &str) -> StoreResult<PathBuf> {
    let address = SqliteAddress::parse(url)?;
    let in_memory = || StoreError::new(Fault::Unknown, "a store in memory has no file to copy");
    address.file().map(Path::to_path_buf).ok_or_else(in_memory)
}

/// Returns the URL of a file, with what [`SqliteAddress`] reads as a sign.
pub(crate) fn url_of(file: &Path) -> StoreResult<String> {
    let text = file.to_str().ok_or_else(|| {
        StoreError::new(Fault::Unknown, format!("the path {} is not UTF-8", file.display()))
    })?;
    let is_odd = text.starts_with("file:") || text == ":memory:";
    let prefix = if is_odd { "./" } else { "" };
    Ok(format!("sqlite:{prefix}{}", text.replace('%', "%25").replace('?', "%3F")))
}

/// Copies the committed state of a file, in one snapshot that blocks no writer, to a new
/// file that only this user can read.
pub(crate) async fn copy(from: &Path, to: &Path) -> StoreResult<()> {
    let mut file = OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    drop(file.open(to).map_err(|error| io_error("create", to, &error))?);
    let target = to.to_str().ok_or_else(|| {
        StoreError::new(Fault::Unknown, format!("the path {} is not UTF-8", to.display()))
    })?;
    let mut connection = connect(from, true).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(target).execute(&mut connection).await;
    // Its result is not needed any more.
    let _ = connection.close().await;
    copied.map_err(store_error)?;
    // SQLite does not sync the new file.
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| io_error("sync", to, &error))
}

/// Moves what its write-ahead log has into the file, and removes the log: the file can be
/// moved then. Fails while another connection has it open.
pub(crate) async fn seal(file: &Path) -> StoreResult<()> {
    let mut connection = connect(file, false).await?;
    let mode = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await;
    let closed = connection.close().await;
    let mode: String = mode.map_err(store_error)?;
    closed.map_err(store_error)?;
    match mode.as_str() {
        "delete" => Ok(()),
        _ => Err(StoreError::new(Fault::LockWait, "database is locked")),
    }
}

/// Lets a copy draw an id of its own: what Redis remembers of the store that it was made
/// of is not read for it.
pub(crate) async fn forget_identity(file: &Path) -> StoreResult<()> {
    let mut connection = connect(file, false).await?;
    let sql = sqlx::query("DELETE FROM stockade_sequences WHERE name = ?").bind(IDENTITY);
    let done = connection.execute(sql).await;
    connection.close().await.map_err(store_error)?;
    done.map(drop).map_err(store_error)
}

/// Moves a sealed file to another name, for good.
pub(crate) fn move_to(from: &Path, to: &Path) -> StoreResult<()> {
    fs::rename(from, to).map_err(|error| io_error("replace", to, &error))?;
    #[cfg(unix)]
    {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_error("sync", folder, &error))?;
    }
    Ok(())
}

/// Gives a copy the permissions of the file that it replaces.
pub(crate) fn copy_mode(of: &Path, to: &Path) -> StoreResult<()> {
    of.metadata()
        .and_then(|metadata| fs::set_permissions(to, metadata.permissions()))
        .map_err(|error| io_error("set the permissions of", to, &error))
}

/// Removes a copy that is of no use, with its log.
pub(crate) fn remove(file: &Path) {
    // It need not be there.
    let _ = fs::remove_file(file);
    remove_log(file);
}

/// Removes the log of a file that is replaced: SQLite would apply it to the other.
pub(crate) fn remove_log(file: &Path) {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // It need not be there.
        let _ = fs::remove_file(name);
    }
}

async fn connect(file: &Path, read_only: bool) -> StoreResult<SqliteConnection> {
    if !file.exists() {
        let why = format!("there is no file {}", file.display());
        return Err(StoreError::new(Fault::Unfit, why));
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .read_only(read_only)
        .busy_timeout(BUSY_TIMEOUT);
    SqliteConnection::connect_with(&options).await.map_err(store_error)
}

fn io_error(tried: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::new(Fault::Unfit, format!("cannot {tried} {}: {error}", path.display()))
}
