//! Gives a test the database of one that has ended, since making some twenty tables
//! takes a server longer than most tests take.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::SharedSqlServer;
use crate::ENV_DATABASES;
use crate::unique::unique_name;

/// Locked by this process, which has these databases until it ends.
static OWNED: Mutex<Vec<File>> = Mutex::new(Vec::new());

impl SharedSqlServer {
    /// Returns the URL of a database of this process's own that is empty, or that `empty`,
    /// SQL of any number of statements, has emptied: then a test had it whose process has
    /// ended. Only tests below one `stockade-testkit run` share databases so.
    ///
    /// # Panics
    ///
    /// Panics when a new database cannot be created, or the folder of locks not be read.
    #[must_use]
    #[track_caller]
    pub fn recycled_database(&self, empty: &str) -> String {
        let Some(folder) = folder() else { return self.fresh_database() };
        match self.take(&folder, empty) {
            Ok(name) => self.url(&name),
            Err(cause) => panic!("failed to lock a database in {}: {cause}", folder.display()),
        }
    }

    /// Takes a database that no living process has, or creates one.
    #[track_caller]
    fn take(&self, folder: &Path, empty: &str) -> io::Result<String> {
        let prefix = format!("p{}_", self.port);
        for entry in fs::read_dir(folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix)
                && let Some(lock) = lock(&entry.path())
            {
                if self.is_emptied(&name, empty) {
                    own(lock);
                    return Ok(name);
                }
                // The next one that looks would find the same.
                let _ = fs::remove_file(entry.path());
            }
        }
        let name = format!("{prefix}{}", unique_name());
        let lock = File::create_new(folder.join(&name))?;
        lock.lock()?;
        self.create_database(&name);
        own(lock);
        Ok(name)
    }

    /// Keeps a database from being recycled: its tables are no longer as they were made.
    pub fn never_recycle(&self, database: &str) {
        if let Some(folder) = folder() {
            // It may have been a fresh one.
            let _ = fs::remove_file(folder.join(database));
        }
    }

    /// Empties a database and returns whether nothing of its last owner was connected to it.
    fn is_emptied(&self, database: &str, empty: &str) -> bool {
        let connected = "SELECT COUNT(*) FROM information_schema.processlist WHERE db =";
        let sql = format!("{connected} '{database}'; USE `{database}`; {empty}");
        self.try_query(&sql).is_ok_and(|rows| rows.trim() == "0")
    }
}

fn folder() -> Option<PathBuf> {
    env::var_os(ENV_DATABASES).map(PathBuf::from)
}

/// Locks a file, unless a living process has it. The kernel releases the locks of a
/// process that ends, however it ends.
fn lock(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().ok()?;
    // Removed, between being opened and being locked, by one that found it unusable.
    path.exists().then_some(file)
}

fn own(lock: File) {
    OWNED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(lock);
}
