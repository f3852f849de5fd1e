//! Searches and pages on many rows, which plain SQL has written.

use std::time::Duration;

use stockade_testkit::TempDb;

use super::*;
use crate::model::OrderStatus;
use crate::store::sqlite::SqliteDatabase;
use crate::store::statement::execute;
use crate::store::{Store, StoreOptions, open_store};

const HOUR: i64 = 3_600_000_000;
const COUNT: u64 = 5_000;

/// A store with an order each ten minutes, all cancelled but the last.
async fn store(file: &TempDb) -> std::sync::Arc<dyn Store> {
    let options = StoreOptions::at(&file.url());
    let store = open_store(&options).await.expect("opens");
    let database = SqliteDatabase::new(&options).expect("pools");
    let sql = format!(
        "INSERT INTO stockade_orders (id, hold_id, product_id, qty, price, status, disposition, \
         flags, secret, amount, currency, refunded, version, created_at, updated_at, due_at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT}) \
         SELECT i, i, 1, 1, 100, CASE WHEN i < {COUNT} THEN 2 ELSE 1 END, 0, 0, \
         x'00112233445566778899aabbccddeeff', 100, 'EUR', 0, 1, i * {HOUR} / 6, i * {HOUR} / 6, \
         NULL FROM n"
    );
    let mut connection = database.pools().writer().await.expect("a connection");
    execute(connection.as_mut(), &[sql]).await.expect("runs");
    drop(connection);
    store
}

fn at(id: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(id).expect("small") * HOUR / 6)
}

#[tokio::test]
async fn a_search_by_time_ends_shortly_before_the_first() {
    let file = TempDb::new();
    let store = store(&file).await;
    for wanted in [1, 2, 299, 300, 1_777, COUNT - 1, COUNT, COUNT + 999] {
        for after in [0, 1, 1_500, COUNT] {
            let found = store.first_created(Owned::Order, at(wanted), after).await.expect("reads");
            assert!(found >= after && found < wanted.max(after + 1), "{found} for {wanted}");
            // Two hours of ids, and what a read passes over.
            let near = wanted.min(COUNT).saturating_sub(SEARCH_ENOUGH + 12);
            assert!(found >= near.min(COUNT), "{found} for {wanted} after {after}");
        }
    }
}

#[tokio::test]
async fn a_page_reads_so_many_rows_and_says_where_to_go_on() {
    let file = TempDb::new();
    let store = store(&file).await;
    let paid = OrderQuery::new(9).status(OrderStatus::Paid);
    let page = store.orders(&paid, 0, 10).await.expect("reads");
    assert_eq!((page.items.len(), page.next), (0, Some(1_000)));
    let page = store.orders(&paid, COUNT - 1, 10).await.expect("reads");
    assert_eq!((page.items.len(), page.next), (1, None));
    // Ids of an hour after the end may still be older than it.
    let early = OrderQuery::new(9).created_before(at(100));
    let page = store.orders(&early, 0, 1_000).await.expect("reads");
    assert_eq!((page.items.len(), page.next), (99, None));
    let later = OrderQuery::new(9).created_after(at(1_000)).created_before(at(1_003));
    let page = store.orders(&later, 900, 1_000).await.expect("reads");
    let ids: Vec<u64> = page.items.iter().map(|order| order.id.0).collect();
    assert_eq!((ids, page.next), (vec![1_000, 1_001, 1_002], None));
    assert_eq!(at(6), Timestamp::from_micros(0).after(Duration::from_secs(3_600)));
}
