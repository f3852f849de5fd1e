//! Stockade's tables, one migrator per dialect.
//!
//! Both dialects have the same files, tables and columns. An applied file is
//! never edited: what changes comes in a new one. Engines of the version before
//! go on beside it, so it only adds: tables, indexes, and columns that may be
//! NULL or have a default. Each MySQL file is a single
//! statement that can be run again, because MySQL commits each DDL statement
//! by itself and a process may die between it and the note that it was run; one
//! that adds a column, which fails if the column is there, is then noted as run.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The table in which applied migrations are noted. A shop's own migrations
/// may live in the same database under sqlx's usual name.
pub const TABLE: &str = "_stockade_migrations";

macro_rules! files {
    ($dialect:literal) => {
        files!($dialect,
            "000": 1 "products", 2 "hold_batches", 3 "orders", 4 "payments", 5 "payments_waiting",
            6 "idempotency_keys", 7 "outbox", 8 "sequences", 9 "first_ids";
            "00": 10 "customer_holds", 11 "detached_holds", 12 "order_holds",
            13 "order_references", 14 "payment_references", 21 "carts",
            22 "cart_of_holds",
            25 "customers", 26 "customer_orders", 27 "order_dispositions",
            28 "hold_metadata", 35 "consumers", 36 "undelivered", 37 "event_rows")
    };
    ($dialect:literal, $($zeros:literal: $($number:literal $name:literal),*);*) => {
        [$($((
            $number,
            $name,
            include_str!(concat!("../", $dialect, "/", $zeros, $number, "_", $name, ".sql")),
        )),*),*]
    };
}

fn migrator(files: [(i64, &'static str, &'static str); 23]) -> Migrator {
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(files.map(migration).to_vec());
    migrator.dangerous_set_table_name(TABLE);
    // A newer version may have migrated the store already.
    migrator.set_ignore_missing(true);
    migrator
}

/// The migrations for SQLite.
#[must_use]
pub fn sqlite() -> Migrator {
    migrator(files!("sqlite"))
}

/// The migrations for MySQL and MariaDB. Their locking is off: sqlx waits for
/// its lock with a negative time-out, which MariaDB does not take, so the
/// caller holds a lock of its own.
#[must_use]
pub fn mysql() -> Migrator {
    let mut migrator = migrator(files!("mysql"));
    migrator.set_locking(false);
    migrator
}
