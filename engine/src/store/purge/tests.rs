//! Steps of the deletion on rows that plain SQL has written, on SQLite and MariaDB.

mod orders;

use stockade_testkit::{MariaDb, TempDb};

use super::*;
use crate::store::mysql::MySqlDatabase;
use crate::store::order_lines::StoredLine;
use crate::store::sqlite::SqliteDatabase;
use crate::store::statement::{execute, fetch_optional};
use crate::store::statements::hex;
use crate::store::{Store, StoreOptions, open_store};

const DAY: Duration = Duration::from_secs(86_400);

/// The numbers from 1 to `count` as the table `n`.
fn numbers(count: u64) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT"
    )
}

/// Rows of one hold each, with ids from 1 on, made and ended at the same time.
fn holds(count: u64, at: i64, status: usize) -> String {
    let counts = (0..5).map(|code| if code == status { "1" } else { "0" });
    let counts: Vec<&str> = counts.collect();
    let [active, converted, released, expired, detached] = counts[..] else { unreachable!() };
    format!(
        "INSERT INTO stockade_hold_batches (first_id, product_id, count, active, detached, \
         converted, released, expired, active_units, expires_at, created_at, due, version, seed, \
         quantities, statuses) {} i, 1, 1, {active}, {detached}, {converted}, {released}, \
         {expired}, {active}, {at}, {at}, {}, 1, x'00112233445566778899aabbccddeeff', x'01', \
         x'0{status}' FROM n",
        numbers(count),
        if status == 0 { at.to_string() } else { "NULL".to_owned() }
    )
}

/// Orders of the holds from 1 on, with the hold's id for an id.
fn orders(count: u64, at: i64, status: i64) -> String {
    format!(
        "INSERT INTO stockade_orders (id, hold_id, product_id, qty, price, status, disposition, \
         flags, secret, amount, currency, refunded, version, created_at, updated_at, due_at) \
         {} i, i, 1, 1, 100, {status}, 0, 0, x'00112233445566778899aabbccddeeff', 100, 'EUR', 0, \
         1, {at}, {at}, NULL FROM n",
        numbers(count)
    )
}

const PRODUCT: &str = "INSERT INTO stockade_products (id, name, price, currency, stock, held, pending, \
     sold, received, version, fence, next_due, created_at) VALUES (1, 'Lamp', 1, 'EUR', 0, 0, 0, 1000, 1000, 1, \
     0, NULL, 1)";

async fn write<D: Database>(database: &D, sql: &str) {
    let mut connection = database.pools().writer().await.expect("a connection");
    execute(connection.as_mut(), &[sql]).await.expect("runs");
}

async fn number<D: Database>(database: &D, sql: &str) -> u64 {
    let mut connection = database.pools().reader().await.expect("a connection");
    let number = fetch_optional(connection.as_mut(), sql.to_owned(), |row| row.count()).await;
    number.expect("reads").expect("a number")
}

const HOLDS: &str = "SELECT COUNT(*) FROM stockade_hold_batches";
const ORDERS: &str = "SELECT COUNT(*) FROM stockade_orders";
const SOLD: &str = "SELECT sold_purged FROM stockade_products";

const OLD_HOLDS: Purge = Purge::Holds { older_than: DAY, orders_older_than: Some(DAY) };

/// Takes all steps. Returns the rows that each deleted.
async fn delete_all(store: &dyn Store, purge: Purge) -> Vec<u64> {
    let mut deleted = Vec::new();
    let mut next = Some(purge);
    while let Some(purge) = next {
        let step = store.purge(purge).await.expect("deletes");
        deleted.push(step.rows);
        next = step.next;
    }
    deleted
}

async fn check_steps<D: Database>(store: &dyn Store, database: &D) {
    // More than a step reads, of which some are young.
    write(database, &holds(600, 1, 2)).await;
    let young = store.now().before(DAY / 2).micros();
    let change =
        format!("UPDATE stockade_hold_batches SET expires_at = {young} WHERE first_id > 590");
    write(database, &change).await;
    assert_eq!(delete_all(store, OLD_HOLDS).await, [250, 250, 90]);
    assert_eq!(number(database, HOLDS).await, 10);
    write(database, "DELETE FROM stockade_hold_batches").await;

    // Orders that share a step are bounded, and paid units are counted.
    write(database, PRODUCT).await;
    write(database, &holds(1_000, 1, 1)).await;
    write(database, &orders(1_000, 1, 1)).await;
    assert_eq!(delete_all(store, OLD_HOLDS).await, [250, 250, 250, 250, 0]);
    assert_eq!(number(database, SOLD).await, 1_000);
    assert_eq!(number(database, ORDERS).await + number(database, HOLDS).await, 0);

    // Orders that are deleted by one step are bounded: those of two rows are too many.
    for first in [1, 257, 513] {
        let (quantities, statuses) = ("01".repeat(256), "01".repeat(256));
        let row = format!(
            "INSERT INTO stockade_hold_batches (first_id, product_id, count, active, detached, \
             converted, released, expired, active_units, expires_at, created_at, due, version, \
             seed, quantities, statuses) VALUES ({first}, 1, 256, 0, 0, 256, 0, 0, 0, 1, 1, NULL, \
             1, x'00112233445566778899aabbccddeeff', x'{quantities}', x'{statuses}')"
        );
        write(database, &row).await;
    }
    write(database, &orders(768, 1, 2)).await;
    assert_eq!(delete_all(store, OLD_HOLDS).await, [1, 1, 1]);
    assert_eq!(number(database, ORDERS).await + number(database, HOLDS).await, 0);

    // A row that lacks its order is kept for the audit to find.
    write(database, &holds(3, 1, 1)).await;
    write(database, &orders(2, 1, 2)).await;
    assert_eq!(delete_all(store, OLD_HOLDS).await, [2]);
    assert_eq!(number(database, HOLDS).await, 1);
    write(database, "DELETE FROM stockade_hold_batches").await;

    // What cannot be deleted stops nothing behind it.
    write(database, "DELETE FROM stockade_orders").await;
    write(database, "DELETE FROM stockade_products").await;
    write(database, &holds(260, 1, 1)).await;
    write(database, &orders(260, 1, 1)).await;
    write(database, "UPDATE stockade_orders SET status = 2 WHERE id > 250").await;
    assert_eq!(delete_all(store, OLD_HOLDS).await, [0, 10]);
    assert_eq!(number(database, HOLDS).await, 250);

    // Keys, payment events and outbox rows.
    let hash = format!("x'{:064x}'", 1);
    let rows = |count: u64, row: &dyn Fn(u64) -> String| {
        (1..=count).map(row).collect::<Vec<_>>().join(",")
    };
    let key = |at: u64| hex(format!("k{at}").as_bytes());
    let keys = rows(251, &|at| format!("({}, {hash}, x'00', 1)", key(at)));
    let keys = format!(
        "INSERT INTO stockade_idempotency_keys (idempotency_key, fingerprint, answer, created_at) \
         VALUES {keys}"
    );
    write(database, &keys).await;
    assert_eq!(delete_all(store, Purge::Keys { older_than: DAY }).await, [250, 1]);
    let payments =
        rows(502, &|at| format!("({}, {hash}, {at}, NULL, 0, 0, {}, 1)", key(at), at % 2));
    let payments = format!(
        "INSERT INTO stockade_payments (idempotency_key, fingerprint, order_id, secret, outcome, \
         answer, waiting, received_at) VALUES {payments}"
    );
    write(database, &payments).await;
    assert_eq!(delete_all(store, Purge::Payments { older_than: DAY }).await, [250, 1]);
    let events = format!(
        "INSERT INTO stockade_outbox (batch_id, first_cursor, events, at, body) \
         {} i, 0, 0, CASE WHEN i > 599 THEN {young} ELSE 1 END, '[]' FROM n",
        numbers(600)
    );
    write(database, "DELETE FROM stockade_outbox").await;
    write(database, &events).await;
    assert_eq!(delete_all(store, Purge::Events { older_than: DAY, from: 0 }).await, [250, 250, 99]);
    write(database, "UPDATE stockade_outbox SET at = 1").await;
    assert_eq!(
        delete_all(store, Purge::Events { older_than: DAY, from: 0 }).await,
        [0],
        "the newest stays"
    );

    assert!(store.claim_scan(DAY, DAY).await.expect("claims"));
    assert!(!store.claim_scan(DAY, DAY).await.expect("claims"), "once a day");
    assert!(store.claim_scan(3 * DAY, Duration::ZERO).await.expect("claims"), "anew");
    assert!(store.claim_scan(DAY, DAY).await.expect("claims"), "a clock was ahead");
}

#[tokio::test]
async fn sqlite_deletes_in_bounded_steps() {
    let file = TempDb::new();
    let options = StoreOptions::at(&file.url());
    let store = open_store(&options).await.expect("opens");
    let database = SqliteDatabase::new(&options).expect("pools");
    check_steps(&*store, &database).await;
}

#[tokio::test]
async fn mariadb_deletes_in_bounded_steps() {
    stockade_testkit::skip_without!(MariaDb);
    let options = StoreOptions::at(&MariaDb::shared().fresh_database());
    let store = open_store(&options).await.expect("opens");
    let database = MySqlDatabase::open(&options).await.expect("pools");
    check_steps(&*store, &database).await;
}

/// What a step has read of a cancelled order of the hold 1.
fn cancelled() -> (Links, OldBatch) {
    let at = Timestamp::from_micros(1);
    let order = OldOrder::cancelled(1, at, [StoredLine::new(1, 1, 1, 100)]);
    let links = Links {
        lines: BTreeMap::from([(1, 1)]),
        orders: BTreeMap::from([(1, order)]),
        ..Links::default()
    };
    let row = OldBatch {
        first_id: 1,
        end_id: 2,
        product_id: 1,
        expires_at: at,
        created_at: at,
        active: 0,
        detached: 0,
        converted: 1,
        has_carts: false,
    };
    (links, row)
}

#[tokio::test]
async fn an_order_that_has_changed_meanwhile_is_not_deleted() {
    let file = TempDb::new();
    let options = StoreOptions::at(&file.url());
    let _store = open_store(&options).await.expect("opens");
    let database = SqliteDatabase::new(&options).expect("pools");
    write(&database, PRODUCT).await;
    let before = Timestamp::from_micros(10);
    let cutoffs = Cutoffs { holds: before, orders: Some(before) };
    // Paid, or cancelled still and to be refunded since.
    for (status, version, at, fault) in
        [(1, 2, 1, Some(Fault::Conflict)), (2, 1, 10, Some(Fault::Conflict)), (2, 1, 9, None)]
    {
        write(&database, "DELETE FROM stockade_hold_batches").await;
        write(&database, &holds(1, 1, 1)).await;
        write(&database, "DELETE FROM stockade_orders").await;
        write(&database, &orders(1, at, status)).await;
        let raise = format!("UPDATE stockade_orders SET version = {version}");
        write(&database, &raise).await;
        let (links, row) = cancelled();
        let mut connection = database.pools().writer().await.expect("a connection");
        let deletions = links.deletions(&[row], cutoffs);
        let deleted = run_checked(connection.as_mut(), &deletions, &mut ()).await;
        assert_eq!(deleted.err().map(|error| error.fault), fault, "{status} at {at}");
    }
}
