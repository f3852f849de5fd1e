//! Backups of a SQLite store, and how one takes the store's place.

use std::path::{Path, PathBuf};

use crate::audit::AuditReport;
use crate::config::{Config, Migrate};
use crate::engine::AsyncEngine;
use crate::error::{Error, ErrorKind, Result};
use crate::features;
use crate::store::{Fault, sqlite_backup as sqlite};

/// What became of a backup, or of the store that it was made into.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The file that was made or replaced.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The audit of the copy. Unless it is consistent, nothing was replaced.
    pub audit: AuditReport,
}

/// Copies the SQLite store of the settings into a file, while it is in use: the copy is
/// that of one moment. It is audited before it gets its name.
///
/// # Errors
/// `invalid_argument` for another store, or if the file is there and `overwrite` is not
/// set; else why the copy fails.
pub async fn backup(config: &Config, file: &Path, overwrite: bool) -> Result<BackupReport> {
    let from = store_file(config)?;
    refuse_taken(file, overwrite)?;
    let part = beside(file, ".part");
    sqlite::remove(&part);
    let copied = copy(config, &from, &part, Migrate::Off).await;
    finish(copied, &part, file, false).await
}

/// Replaces the SQLite store of the settings by a backup: the copy is migrated to this
/// version and audited first. The store must not be in use.
///
/// # Errors
/// `invalid_argument` for another store, or if the store is there and `overwrite` is not
/// set; `unavailable` if another process has the store open; else why the copy fails.
pub async fn restore(config: &Config, file: &Path, overwrite: bool) -> Result<BackupReport> {
    let to = store_file(config)?;
    refuse_taken(&to, overwrite)?;
    let part = beside(&to, ".restoring");
    sqlite::remove(&part);
    let copied = copy(config, file, &part, Migrate::Auto).await;
    let copied = match copied {
        Ok(audit) => sqlite::forget_identity(&part).await.map_err(Error::from).map(|()| audit),
        failed => failed,
    };
    finish(copied, &part, &to, true).await
}

fn store_file(config: &Config) -> Result<PathBuf> {
    features::check(config)?;
    if config.names_a_running_engine() {
        let why = "the store is a running engine: back up the store that it has opened";
        return Err(Error::invalid_argument(why));
    }
    if !config.store.starts_with("sqlite:") {
        return Err(Error::invalid_argument(
            "MySQL and MariaDB are backed up by their own tool, in one snapshot: mysqldump \
             --single-transaction (on MariaDB mariadb-dump)",
        ));
    }
    Ok(sqlite::file_of(&config.store)?)
}

fn refuse_taken(file: &Path, overwrite: bool) -> Result<()> {
    if overwrite || !file.exists() {
        return Ok(());
    }
    let why = format!("{} is there already: name another file, or overwrite it", file.display());
    Err(Error::invalid_argument(why))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a file and audits the copy.
async fn copy(config: &Config, from: &Path, to: &Path, migrate: Migrate) -> Result<AuditReport> {
    sqlite::copy(from, to).await?;
    let config = Config {
        store: sqlite::url_of(to)?,
        redis: String::new(),
        migrate,
        sweeper: false,
        ..config.clone()
    };
    let engine = AsyncEngine::with_config(config).await?;
    let audit = engine.audit().await;
    engine.close().await;
    audit
}

/// Gives a good copy its name, and removes any other.
async fn finish(
    copied: Result<AuditReport>,
    part: &Path,
    to: &Path,
    is_store: bool,
) -> Result<BackupReport> {
    let done = match copied {
        Ok(audit) if audit.consistent => replace(part, to, is_store).await.map(|()| audit),
        other => other,
    };
    match done {
        Ok(audit) if audit.consistent => {
            let bytes = to.metadata().map_or(0, |metadata| metadata.len());
            Ok(BackupReport { file: to.to_owned(), bytes, audit })
        }
        Ok(audit) => {
            sqlite::remove(part);
            Ok(BackupReport { file: to.to_owned(), bytes: 0, audit })
        }
        Err(error) => {
            sqlite::remove(part);
            Err(error)
        }
    }
}

async fn replace(part: &Path, to: &Path, is_store: bool) -> Result<()> {
    sqlite::seal(part).await?;
    if is_store && to.exists() {
        match sqlite::seal(to).await {
            Ok(()) => {}
            // A process that has it open would go on with the old file.
            Err(error) if error.fault == Fault::LockWait => {
                let why =
                    format!("{} is in use: stop what has it open, then restore", to.display());
                return Err(Error::new(ErrorKind::Unavailable, why));
            }
            // What is damaged is what a backup is for.
            Err(_) => sqlite::remove_log(to),
        }
        sqlite::copy_mode(to, part)?;
    }
    Ok(sqlite::move_to(part, to)?)
}
