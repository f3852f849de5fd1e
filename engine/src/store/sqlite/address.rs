//! Parses `sqlite:` URLs.
//!
//! A path is written as it is, with `%25` for `%` and `%3F` for `?`; any other byte
//! may be percent-encoded too. A relative path that SQLite would not read as a path,
//! such as `file:shop.db`, needs `./` before it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::SqliteConnectOptions;

use super::store_error;
use crate::store::error::{Fault, StoreError, StoreResult};

#[derive(Debug, Clone)]
pub(crate) struct SqliteAddress {
    pub connect: SqliteConnectOptions,
    /// Whether the database exists as long as its connection.
    pub in_memory: bool,
    /// Whether the process's connections to this name share one database.
    is_shared: bool,
}

impl SqliteAddress {
    pub fn parse(url: &str) -> StoreResult<Self> {
        let invalid = |why: &str| {
            let why = format!("store {url}: {why}; {}", crate::store::STORES);
            StoreError::new(Fault::Unknown, why)
        };
        let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        let rest = rest.ok_or_else(|| invalid("not a sqlite: URL"))?;
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(invalid("it names no file"));
        }
        if parameters.contains('%') {
            return Err(invalid("a parameter after `?` has a %: in a path, write %3F for `?`"));
        }
        let has = |wanted: &str| parameters.split('&').any(|parameter| parameter == wanted);
        let in_memory = path == ":memory:" || has("mode=memory");
        // The driver strips whatever else looks like a scheme.
        let plain = if in_memory { path.to_owned() } else { path.replace(':', "%3A") };
        let separator = if parameters.is_empty() { "" } else { "?" };
        let connect =
            SqliteConnectOptions::from_str(&format!("sqlite://{plain}{separator}{parameters}"))
                .map_err(|error| invalid(&store_error(error).source.to_string()))?;
        let name = connect.get_filename().as_os_str().as_encoded_bytes();
        if name.contains(&0) {
            return Err(invalid("its path has a NUL"));
        }
        if !in_memory && (name.starts_with(b"file:") || name == b":memory:") {
            return Err(invalid("SQLite does not read it as a path; write ./ before it"));
        }
        let is_shared = has("cache=shared") && path != ":memory:";
        // By default the driver shares each database in memory by its name.
        let connect = if in_memory { connect.shared_cache(is_shared) } else { connect };
        Ok(Self { connect, in_memory, is_shared })
    }

    /// Whether the database is in memory, and each connection has one of its own.
    pub fn is_private(&self) -> bool {
        self.in_memory && !self.is_shared
    }

    pub fn file(&self) -> Option<&Path> {
        (!self.in_memory).then(|| self.connect.get_filename())
    }

    /// Identifies the database in this process, independent of the URL's spelling and
    /// of later changes of the working directory. `None` where each connection has a
    /// database of its own.
    pub fn identity(&self) -> Option<PathBuf> {
        let name = self.connect.get_filename();
        match self.in_memory {
            true => self.is_shared.then(|| Path::new("memory:").join(name)),
            false => name.canonicalize().or_else(|_| std::path::absolute(name)).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> String {
        let address = SqliteAddress::parse(url).expect(url);
        address.file().expect("a file").to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn every_path_can_be_written() {
        for (url, path) in [
            ("sqlite:shop.db", "shop.db"),
            ("sqlite://shop.db", "shop.db"),
            ("sqlite:///var/lib/shop.db", "/var/lib/shop.db"),
            ("sqlite:/var/lib/shop.db?mode=rwc", "/var/lib/shop.db"),
            ("sqlite:my shop.db", "my shop.db"),
            ("sqlite:my%20shop.db", "my shop.db"),
            ("sqlite:my%2520shop.db", "my%20shop.db"),
            ("sqlite:100%25.db", "100%.db"),
            ("sqlite:100%.db", "100%.db"),
            ("sqlite:what%3F.db", "what?.db"),
            ("sqlite:a#1.db", "a#1.db"),
            ("sqlite:a%231.db", "a#1.db"),
            ("sqlite:./file:a.db", "./file:a.db"),
            ("sqlite:./:memory:", "./:memory:"),
            ("sqlite:läden/größe.db", "läden/größe.db"),
            ("sqlite:sqlite:odd.db", "sqlite:odd.db"),
            ("sqlite:mode=memory.db", "mode=memory.db"),
        ] {
            assert_eq!(file(url), path, "{url}");
        }
    }

    #[test]
    fn an_invalid_url_is_rejected_with_the_syntax() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite:?mode=rwc",
            "sqlite:%FF.db",
            "sqlite:a%00b.db",
            "sqlite:shop.db?mode=wrong",
            "sqlite:shop.db?mod=rwc",
            "sqlite:shop.db?mode=mem%6Fry",
            "sqlite:file:shop.db",
            "sqlite:%66ile:shop.db",
            "sqlite:%3Amemory:",
        ] {
            let refused = SqliteAddress::parse(url).expect_err(url);
            assert_eq!(refused.fault, Fault::Unknown, "{url}");
            let why = refused.source.to_string();
            assert!(why.contains(url) && why.contains("sqlite:FILE"), "{why}");
        }
    }

    #[test]
    fn a_url_selects_a_database_in_memory() {
        for (url, in_memory, is_shared) in [
            ("sqlite::memory:", true, false),
            ("sqlite::memory:?cache=shared", true, false),
            ("sqlite:shop?mode=memory", true, false),
            ("sqlite:shop?mode=memory&cache=shared", true, true),
            ("sqlite:shop.db", false, false),
            ("sqlite://memory.db", false, false),
        ] {
            let address = SqliteAddress::parse(url).expect(url);
            assert_eq!(address.in_memory, in_memory, "{url}");
            assert_eq!(address.in_memory && address.identity().is_some(), is_shared, "{url}");
        }
    }

    #[test]
    fn all_spellings_of_a_file_have_one_identity() {
        let identity = |url| SqliteAddress::parse(url).expect(url).identity().expect("a file");
        let plain = identity("sqlite:a-shop.db");
        assert!(plain.is_absolute());
        assert_eq!(plain, identity("sqlite://a-shop.db?mode=rwc"));
        assert_eq!(plain, identity("sqlite:a%2Dshop.db"));
        assert_ne!(plain, identity("sqlite:b-shop.db"));
    }
}
