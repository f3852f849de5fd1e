//! Runs the shared table of cases (engine/tests/cases.json) in Rust, and in C
//! through the header and the shared library, on SQLite and on MariaDB with
//! Redis. PHP, Python and the server run the same file.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../cc/mod.rs"]
mod cc;
mod in_c;
mod in_rust;

use stockade_testkit::cases::Table;
use stockade_testkit::{MariaDb, Redis};

/// An empty store.
struct TestStore {
    store: String,
    /// URL and key prefix.
    redis: Option<(String, String)>,
}

impl TestStore {
    fn embedded() -> Self {
        Self { store: "sqlite::memory:".to_owned(), redis: None }
    }

    fn servers() -> Self {
        let redis = Redis::shared();
        let redis = Some((redis.url(), redis.fresh_prefix()));
        Self { store: MariaDb::shared().fresh_database(), redis }
    }
}

#[test]
fn in_rust_on_sqlite() {
    in_rust::run(&Table::read(), &TestStore::embedded());
}

#[test]
fn in_rust_on_mariadb_and_redis() {
    in_rust::run(&Table::read(), &TestStore::servers());
}

#[test]
fn in_c_on_sqlite() {
    in_c::run(&Table::read(), &TestStore::embedded());
}

#[test]
fn in_c_on_mariadb_and_redis() {
    in_c::run(&Table::read(), &TestStore::servers());
}
