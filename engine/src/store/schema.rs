//! Checks that a store has the tables that this version needs.
//!
//! A newer store may have further migrations, tables and columns: statements
//! always name their columns. A store that lacks one is rejected when it is
//! opened, and is not ready if it loses one later.

use sqlx::migrate::Migrator;

use super::error::{Fault, StoreError, StoreResult};
use super::{consumers, hold_writes, order_rows, rows};
use crate::config::Migrate;

/// Every table with the columns that this version reads or writes.
pub(super) const TABLES: &[(&str, &str)] = &[
    (
        "stockade_products",
        "id, sku, name, price, currency, stock, held, pending, sold, sold_purged, returned, \
         returned_purged, received, version, fence, next_due, created_at, safety_stock, \
         on_sale_from, on_sale_until, archived, metadata",
    ),
    ("stockade_hold_batches", hold_writes::COLUMNS),
    ("stockade_detached_holds", rows::DETACHED_HOLD),
    ("stockade_carts", "cart_id, holds"),
    ("stockade_orders", order_rows::STORED),
    ("stockade_order_holds", "hold_id, order_id"),
    ("stockade_order_references", "reference, order_id"),
    ("stockade_payment_references", "reference, order_id"),
    ("stockade_payments", rows::PAYMENT),
    ("stockade_payments_waiting", "order_id, idempotency_key, position"),
    ("stockade_idempotency_keys", "idempotency_key, fingerprint, answer, created_at"),
    ("stockade_outbox", "id, batch_id, first_cursor, events, at, body"),
    ("stockade_sequences", "name, next"),
    ("stockade_customer_holds", "product_id, customer, hold_id, first_id, active"),
    ("stockade_customers", "id, name"),
    ("stockade_customer_orders", "order_id, product_id, customer, counted"),
    ("stockade_order_dispositions", "order_id, disposition"),
    ("stockade_hold_metadata", "hold_id, metadata"),
    ("stockade_consumers", "name, position, fence, revision, leased_until, updated_at"),
    ("stockade_undelivered", consumers::UNDELIVERED),
    ("stockade_event_rows", consumers::EVENT_ROW),
];

/// A statement that fails unless the table has the columns, and reads no row.
pub(super) fn probe((table, columns): (&str, &str)) -> String {
    format!("SELECT {columns} FROM {table} LIMIT 0")
}

pub(super) fn probes() -> Vec<String> {
    TABLES.iter().copied().map(probe).collect()
}

/// Statements that write no row and need every privilege that a batch needs. A
/// read-only store rejects them.
pub(super) const WRITE_NOTHING: [&str; 3] = [
    "UPDATE stockade_sequences SET next = next WHERE name = ''",
    "INSERT INTO stockade_idempotency_keys SELECT * FROM stockade_idempotency_keys \
     WHERE idempotency_key = ''",
    "DELETE FROM stockade_customer_holds WHERE hold_id = 0",
];

/// The error of a table whose probe has failed for good.
pub(super) fn table_error(error: StoreError) -> StoreError {
    if error.fault.is_transient() {
        return error;
    }
    let table = error.statement.and_then(|at| TABLES.get(at)).map_or("?", |(table, _)| table);
    unfit(format!(
        "the table {table} lacks what this version needs ({}): if it was dropped or changed, \
         restore it; if it belongs to another program, give Stockade a database of its own",
        error.source
    ))
}

fn unfit(why: String) -> StoreError {
    StoreError::new(Fault::Unfit, why)
}

#[derive(Debug)]
pub(super) struct Applied {
    pub version: i64,
    pub checksum: Vec<u8>,
    pub success: bool,
}

pub(super) fn select_applied() -> String {
    format!("SELECT version, checksum, success FROM {}", stockade_migrations::TABLE)
}

/// Returns the migrations that the store lacks. Those beyond ours were applied by
/// a newer version, which only adds.
fn missing(ours: &Migrator, applied: &[Applied]) -> StoreResult<Vec<String>> {
    let newest = ours.iter().map(|migration| migration.version).max().unwrap_or(0);
    let is_known = |version| version > newest || ours.version_exists(version);
    if let Some(Applied { version, .. }) = applied.iter().find(|one| !is_known(one.version)) {
        return Err(unfit(format!(
            "the store has a migration {version} that this version does not know: it belongs \
             to another program or to a fork; give Stockade a database of its own"
        )));
    }
    let mut missing = Vec::new();
    for migration in ours.iter() {
        match applied.iter().find(|applied| applied.version == migration.version) {
            Some(recorded) if recorded.checksum != *migration.checksum => {
                return Err(unfit(format!(
                    "the store's migration {} ({}) differs from this version's, which does not \
                     convert it: open the store with the version that applied it, or begin with \
                     a new store",
                    migration.version, migration.description
                )));
            }
            Some(recorded) if recorded.success => {}
            _ => missing.push(format!("{} {}", migration.version, migration.description)),
        }
    }
    Ok(missing)
}

/// Returns whether the store lacks migrations, which `policy` then must permit to
/// apply.
pub(super) fn must_migrate(
    policy: Migrate,
    ours: &Migrator,
    applied: &[Applied],
) -> StoreResult<bool> {
    let missing = missing(ours, applied)?;
    if missing.is_empty() || policy != Migrate::Check {
        return Ok(!missing.is_empty());
    }
    let lack = match applied {
        [] => "has none of Stockade's tables".to_owned(),
        _ => format!("lacks the migrations {}", missing.join(", ")),
    };
    Err(unfit(format!("the store {lack}: run `stockade migrate`, or open it with migrate=auto")))
}

/// The error of a table of another program, found before the first migration.
pub(super) fn foreign(table: &str, why: &str) -> StoreError {
    unfit(format!(
        "the table {table} is not Stockade's ({why}); nothing was changed: give Stockade a \
         database of its own"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sqlx::{Connection as _, Executor, Row, SqliteConnection};

    use super::*;

    fn applied() -> Vec<Applied> {
        let record = |migration: &sqlx::migrate::Migration| Applied {
            version: migration.version,
            checksum: migration.checksum.to_vec(),
            success: true,
        };
        stockade_migrations::mysql().iter().map(record).collect()
    }

    fn missing_of(applied: &[Applied]) -> Result<Vec<String>, String> {
        missing(&stockade_migrations::mysql(), applied).map_err(|error| {
            assert_eq!(error.fault, Fault::Unfit);
            error.source.to_string()
        })
    }

    #[test]
    fn unrecorded_migrations_are_missing_and_newer_ones_are_accepted() {
        assert_eq!(missing_of(&applied()), Ok(vec![]));
        let mut behind = applied();
        behind.pop();
        behind[1].success = false;
        let missing = missing_of(&behind).expect("fits");
        assert!(missing.len() == 2 && missing[0] == "2 hold_batches", "{missing:?}");
        let mut ahead = applied();
        ahead.push(Applied { version: 9_999, checksum: vec![1], success: true });
        assert_eq!(missing_of(&ahead), Ok(vec![]));
        assert_eq!(missing_of(&[]).expect("fits").len(), applied().len());
    }

    #[test]
    fn a_store_with_another_history_is_rejected() {
        let mut other = applied();
        other[2].checksum = vec![1];
        let why = missing_of(&other).expect_err("refused");
        assert!(why.contains("migration 3 (orders)"), "{why}");
        let mut other = applied();
        other.push(Applied { version: 0, checksum: vec![1], success: true });
        assert!(missing_of(&other).expect_err("refused").contains("migration 0"));
    }

    /// That MySQL has the same columns as SQLite, the behaviour suite tests.
    #[tokio::test]
    async fn every_table_and_column_of_the_migrations_is_probed() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        let ours = stockade_migrations::sqlite();
        ours.run_direct(None, &mut connection, false).await.expect("migrates");
        let select = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                      WHERE t.type = 'table' AND t.name LIKE 'stockade%'";
        let rows = connection.fetch_all(sqlx::raw_sql(select)).await.expect("reads");
        let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in rows {
            made.entry(row.get(0)).or_default().insert(row.get(1));
        }
        let columns = |list: &str| list.split(", ").map(str::to_owned).collect();
        let table = |(table, list): &(&str, &str)| ((*table).to_owned(), columns(list));
        assert_eq!(made, TABLES.iter().map(table).collect());
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(probes().join("; "))))
            .await
            .expect("fits");
    }
}
