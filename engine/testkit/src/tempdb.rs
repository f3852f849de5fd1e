//! Owns a throw-away SQLite database file.

use std::path::PathBuf;
use tempfile::TempDir;

/// Owns a folder for one SQLite file and removes it when dropped.
///
/// The file itself does not exist until a client opens the URL. The folder has
/// only this file, so its `-wal` and `-shm` files are removed with it.
#[derive(Debug)]
pub struct TempDb {
    folder: TempDir,
}

impl TempDb {
    /// Creates the folder.
    ///
    /// # Panics
    ///
    /// Panics when the temporary folder cannot be written.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it makes a folder on the disk, which no default value should do"
    )]
    pub fn new() -> TempDb {
        match tempfile::Builder::new().prefix("stockade-sqlite-").tempdir() {
            Ok(folder) => TempDb { folder },
            Err(cause) => panic!("failed to make a folder for a SQLite file: {cause}"),
        }
    }

    /// Returns where the file is or will be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    /// Returns the database's URL, as in `sqlite:/tmp/stockade-sqlite-x/shop.db`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }
}

#[cfg(test)]
mod tests {
    use super::TempDb;
    use std::fs;

    #[test]
    fn drop_removes_folder() -> std::io::Result<()> {
        let database = TempDb::new();
        let path = database.path();
        assert_eq!(database.url(), format!("sqlite:{}", path.display()));
        assert!(!path.exists());
        fs::write(&path, b"x")?;
        drop(database);
        assert!(path.parent().is_some_and(|folder| !folder.exists()));
        Ok(())
    }
}
