//! Retention and audit of an order whose holds lie in different rows, on rows that plain
//! SQL has written.

use super::*;
use crate::audit::Check;
use crate::model::OrderId;

/// Two products, and an order of both: of 3 units of the first one was returned and
/// another is for sale again, and 2 of the second are sold.
const ROWS: [&str; 6] = [
    "INSERT INTO stockade_products (id, name, price, currency, stock, held, pending, sold, \
     returned, received, version, fence, next_due, created_at) VALUES \
     (1, 'Lamp', 100, 'EUR', 1, 0, 0, 1, 1, 3, 1, 0, NULL, 1), \
     (2, 'Lamp', 100, 'EUR', 0, 0, 0, 2, 0, 2, 1, 0, NULL, 1)",
    "INSERT INTO stockade_hold_batches (first_id, product_id, count, active, detached, converted, \
     released, expired, active_units, expires_at, created_at, due, version, seed, quantities, \
     statuses) VALUES \
     (1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, NULL, 1, x'00112233445566778899aabbccddeeff', x'03', x'01'), \
     (2, 2, 1, 0, 0, 1, 0, 0, 0, 1, 1, NULL, 1, x'00112233445566778899aabbccddeeff', x'02', x'01')",
    "INSERT INTO stockade_orders (id, hold_id, product_id, qty, price, packed_lines, status, \
     disposition, flags, secret, amount, currency, refunded, version, created_at, updated_at, \
     due_at) VALUES (5, 1, 1, 3, 100, CAST('[[1,1,3,100,2,1,0],[2,2,2,100,0,0,0]]' AS BLOB), 3, 0, \
     0, x'00112233445566778899aabbccddeeff', 500, 'EUR', 200, 1, 1, 1, NULL)",
    "INSERT INTO stockade_order_holds (hold_id, order_id) VALUES (2, 5)",
    "INSERT INTO stockade_order_references (reference, order_id) VALUES (x'72', 5)",
    "INSERT INTO stockade_payment_references (reference, order_id) VALUES (x'70', 5)",
];

async fn store_with_order(file: &TempDb) -> (std::sync::Arc<dyn Store>, SqliteDatabase) {
    let options = StoreOptions::at(&file.url());
    let store = open_store(&options).await.expect("opens");
    let database = SqliteDatabase::new(&options).expect("pools");
    for sql in ROWS {
        write(&database, sql).await;
    }
    (store, database)
}

async fn findings(store: &dyn Store) -> Vec<(Check, u64)> {
    let report = store.audit().await.expect("audits");
    let mut found: Vec<_> = report.findings.iter().map(|it| (it.check, it.id)).collect();
    found.sort_by_key(|(check, id)| (check.as_str(), *id));
    found
}

#[tokio::test]
async fn an_order_is_deleted_line_by_line_with_its_holds() {
    let file = TempDb::new();
    let (store, database) = store_with_order(&file).await;
    assert_eq!(findings(&*store).await, []);
    let young = store.now().before(DAY / 2).micros();
    let end =
        |at: i64| format!("UPDATE stockade_hold_batches SET expires_at = {at} WHERE first_id = 2");
    write(&database, &end(young)).await;
    let purged = async |column: &str, product: u64| {
        let sql = format!("SELECT {column}_purged FROM stockade_products WHERE id = {product}");
        number(&database, &sql).await
    };
    let names = "SELECT (SELECT COUNT(*) FROM stockade_order_references) \
                 + (SELECT COUNT(*) FROM stockade_payment_references) \
                 + (SELECT COUNT(*) FROM stockade_order_holds)";

    assert_eq!(delete_all(&*store, OLD_HOLDS).await, [1], "the old hold");
    assert_eq!((purged("sold", 1).await, purged("returned", 1).await), (1, 1));
    assert_eq!((purged("sold", 2).await, purged("returned", 2).await), (0, 0));
    let marked = "SELECT COUNT(*) FROM stockade_orders WHERE version = 2 AND \
                  packed_lines = CAST('[[1,1,3,100,2,1,1],[2,2,2,100,0,0,0]]' AS BLOB)";
    assert_eq!((number(&database, marked).await, number(&database, names).await), (1, 3));
    assert!(store.order(OrderId(5)).await.expect("reads").is_none(), "a part is gone");
    assert_eq!(findings(&*store).await, []);

    write(&database, &end(1)).await;
    assert_eq!(delete_all(&*store, OLD_HOLDS).await, [1], "the other hold");
    assert_eq!((purged("sold", 2).await, purged("returned", 2).await), (2, 0));
    assert_eq!((number(&database, ORDERS).await, number(&database, names).await), (0, 0));
    assert_eq!(findings(&*store).await, []);
}

#[tokio::test]
async fn an_audit_finds_wrong_lines_and_further_holds_without_an_order() {
    let lines =
        |lines: &str| format!("UPDATE stockade_orders SET packed_lines = CAST('{lines}' AS BLOB)");
    for (sql, wanted) in [
        ("DELETE FROM stockade_order_holds".to_owned(), vec![(Check::GhostHold, 2)]),
        (
            "INSERT INTO stockade_order_holds (hold_id, order_id) VALUES (9, 77)".to_owned(),
            vec![(Check::OrphanOrder, 77)],
        ),
        (
            lines("[[1,1,3,100,2,1,0],[2,2,1,100,0,0,0]]"),
            vec![(Check::OrphanOrder, 5), (Check::Sold, 2)],
        ),
        (lines("[[1,1,3,100,1,1,0],[2,2,2,100,0,0,0]]"), vec![(Check::Sold, 1)]),
        (lines("[[1,1,3,100,2,0,0],[2,2,2,100,0,0,0]]"), vec![(Check::Returned, 1)]),
    ] {
        let file = TempDb::new();
        let (store, database) = store_with_order(&file).await;
        write(&database, &sql).await;
        assert_eq!(findings(&*store).await, wanted, "{sql}");
    }
}
