//! The cost of a poll at the end of a long history.

use stockade_testkit::{MariaDb, TempDb};

use super::*;
use crate::store::mysql::MySqlDatabase;
use crate::store::sqlite::SqliteDatabase;
use crate::store::statement::{execute, fetch_optional};
use crate::store::{StoreOptions, open_store};

/// The rows with an event, and as many without events.
const OLD: u64 = 20_000;

/// Fills the outbox: rows of one event each, numbered from 1, with rows without
/// events between them.
fn fill() -> String {
    format!(
        "INSERT INTO stockade_outbox (batch_id, first_cursor, events, at, body) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         SELECT i, CASE WHEN i % 2 = 0 THEN i / 2 ELSE 0 END, \
         CASE WHEN i % 2 = 0 THEN 1 ELSE 0 END, 1, \
         CASE WHEN i % 2 = 0 THEN '[[0,1,7,0,1,2]]' ELSE '[]' END FROM n",
        OLD * 2
    )
}

async fn run_on<D: Database>(database: &D, sql: &str) {
    let mut connection = database.pools().writer().await.expect("a connection");
    let statements: Vec<&str> = sql.split("; ").collect();
    execute(connection.as_mut(), &statements).await.expect("runs");
}

#[tokio::test]
async fn a_poll_of_sqlite_uses_the_index_and_no_writer() {
    let file = TempDb::new();
    let options = StoreOptions::at(&file.url());
    let store = open_store(&options).await.expect("opens");
    let database = SqliteDatabase::new(&options).expect("pools");
    run_on(&database, &fill()).await;
    // A read that had to write would time out behind this writer.
    let mut writer = store.session().await.expect("a session");
    writer.begin(&crate::store::ReadSet::default()).await.expect("begins");
    assert_eq!(store.events_after(OLD, 10).await.expect("reads"), []);
    let last = store.events_after(OLD - 1, 10).await.expect("reads");
    assert_eq!(last.iter().map(|event| event.cursor).collect::<Vec<_>>(), [OLD]);
    let mut connection = database.pools().reader().await.expect("a connection");
    for statement in select_events::<SqliteDatabase>(OLD, 10) {
        let explain = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let read: ReadRow<String> = |row| {
            let (_id, _parent, _unused) = (row.int()?, row.int()?, row.int()?);
            row.text()
        };
        let plan = fetch_all(connection.as_mut(), explain, read).await.expect("explains");
        assert_eq!(plan.len(), 1, "{plan:?}");
        let is_bounded = plan[0].contains("SEARCH") && plan[0].contains("first_cursor");
        assert!(is_bounded, "{plan:?}");
    }
}

#[tokio::test]
async fn a_poll_of_mariadb_reads_a_few_rows_of_many() {
    stockade_testkit::skip_without!(MariaDb);
    let options = StoreOptions::at(&MariaDb::shared().fresh_database());
    let store = open_store(&options).await.expect("opens");
    let database = MySqlDatabase::open(&options).await.expect("pools");
    let fill = format!("SET SESSION max_recursive_iterations = 1000000; {}", fill());
    run_on(&database, &fill).await;
    run_on(&database, "ANALYZE TABLE stockade_outbox").await;
    assert_eq!(store.events_after(OLD, 10).await.expect("reads"), []);
    let mut connection = database.pools().reader().await.expect("a connection");
    execute(connection.as_mut(), &["FLUSH STATUS"]).await.expect("flushes");
    let mut page = Page { cursor: OLD, limit: 10, events: Vec::new(), has_unnumbered: false };
    run(connection.as_mut(), &select_events::<MySqlDatabase>(OLD, 10), &mut page)
        .await
        .expect("reads");
    let status = "SELECT CAST(SUM(variable_value) AS SIGNED) \
                  FROM information_schema.session_status WHERE variable_name LIKE 'HANDLER_READ%'";
    let read = fetch_optional(connection.as_mut(), status.to_owned(), |row| row.count()).await;
    let read = read.expect("reads").expect("a sum");
    assert!((1..10).contains(&read), "{read} rows and steps of an index");
}
