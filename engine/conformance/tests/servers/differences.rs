//! Where MySQL and MariaDB differ, and what the engine relies on at both: a
//! server that behaves otherwise fails here before it fails a shop.

use std::thread;
use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, raw_sql};
use stockade::{Engine, HoldRequest, NewProduct};
use stockade_testkit::HaProxy;

use crate::server::{Make, Server};
use crate::work::{open, works};

async fn connect(server: &Server, database: &str) -> MySqlConnection {
    MySqlConnection::connect(&server.url(database, "?ssl-mode=PREFERRED")).await.expect("connects")
}

async fn run(connection: &mut MySqlConnection, sql: &str) -> Result<u64, u16> {
    let sent = raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    sent.map(|done| done.rows_affected()).map_err(|error| {
        let error = error.into_database_error().expect("an answer of the server");
        error.downcast_ref::<MySqlDatabaseError>().number()
    })
}

async fn number(connection: &mut MySqlConnection, sql: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await;
    row.expect("runs").get(0)
}

fn with_runtime(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test());
}

fn statements(make: Make) {
    let server = Server::start(make, &[]);
    let database = server.database();
    with_runtime(async || {
        let mut one = connect(&server, &database).await;
        let mut two = connect(&server, &database).await;
        let table = "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, CHECK (n >= 0))";
        run(&mut one, table).await.expect("creates");
        run(&mut one, "INSERT INTO t VALUES (1, 1), (2, 2)").await.expect("inserts");

        // Affected rows are rows found, also where nothing changes, and
        // ROW_COUNT() in one text with the update says the same.
        assert_eq!(run(&mut one, "UPDATE t SET n = 1 WHERE id = 1").await, Ok(1));
        let text = "UPDATE t SET n = 1 WHERE id IN (1, 3); \
                    UPDATE t SET n = n + ROW_COUNT() WHERE id = 2";
        assert_eq!(run(&mut one, text).await, Ok(2), "both statements of a text");
        assert_eq!(number(&mut one, "SELECT CAST(n AS SIGNED) FROM t WHERE id = 2").await, 3);

        // A text ends at its first failing statement.
        let text = "INSERT INTO t VALUES (1, 9); UPDATE t SET n = 9 WHERE id = 2";
        assert_eq!(run(&mut one, text).await, Err(1062));
        assert_eq!(number(&mut one, "SELECT CAST(n AS SIGNED) FROM t WHERE id = 2").await, 3);

        // CHECK and NOT NULL; each server has its own number for the first.
        let refused = if make == Make::MySql { 3819 } else { 4025 };
        assert_eq!(run(&mut one, "UPDATE t SET n = -1 WHERE id = 1").await, Err(refused));
        let guard = "INSERT INTO t SELECT 5, CASE 1 WHEN 2 THEN 1 END";
        assert_eq!(run(&mut one, guard).await, Err(1048));

        // A lock wait ends the statement, not the transaction.
        run(&mut one, "START TRANSACTION; UPDATE t SET n = 7 WHERE id = 1").await.expect("locks");
        run(&mut two, "SET innodb_lock_wait_timeout = 1; START TRANSACTION").await.expect("begins");
        run(&mut two, "UPDATE t SET n = 8 WHERE id = 2").await.expect("another row");
        assert_eq!(run(&mut two, "UPDATE t SET n = 8 WHERE id = 1").await, Err(1205));
        run(&mut two, "COMMIT").await.expect("commits");
        run(&mut one, "ROLLBACK").await.expect("rolls back");
        assert_eq!(number(&mut one, "SELECT CAST(n AS SIGNED) FROM t WHERE id = 2").await, 8);

        // SYSDATE moves while a statement waits; NOW stands still.
        let moves = "SELECT CAST(SLEEP(0.01) + (SYSDATE(6) > NOW(6)) AS SIGNED)";
        assert_eq!(number(&mut one, moves).await, 1);

        // A connection has several GET_LOCKs, and their names may be as long as
        // the migrations' (57 characters).
        let name = "n".repeat(57);
        for lock in [name.as_str(), "second"] {
            let take = format!("SELECT CAST(GET_LOCK('{lock}', 0) AS SIGNED)");
            assert_eq!(number(&mut one, &take).await, 1);
        }
        let take = format!("SELECT CAST(GET_LOCK('{name}', 0) AS SIGNED)");
        assert_eq!(number(&mut two, &take).await, 0, "the second left the first in place");
        one.close().await.expect("closes");
        let take = format!("SELECT CAST(GET_LOCK('{name}', 10) AS SIGNED)");
        assert_eq!(number(&mut two, &take).await, 1, "a connection's end frees its locks");
    });
}

/// The clock is set back by an hour, as each autumn, for the server's zone.
fn daylight_saving(make: Make) {
    let server = Server::start(make, &[]);
    // It was summer time until half an hour ago: this hour comes twice.
    server.query(
        "USE mysql; INSERT INTO time_zone (Use_leap_seconds) VALUES ('N'); \
         SET @id = LAST_INSERT_ID(); SET @end = UNIX_TIMESTAMP() - 1800; \
         INSERT INTO time_zone_name VALUES ('Autumn', @id); \
         INSERT INTO time_zone_transition_type VALUES \
             (@id, 0, 7200, 1, 'SUM'), (@id, 1, 3600, 0, 'WIN'); \
         INSERT INTO time_zone_transition VALUES (@id, -1, 0), (@id, @end, 1); \
         SET GLOBAL time_zone = 'Autumn'",
    );
    let url = server.url(&server.database(), "");
    with_runtime(async || {
        // What a session of this zone makes of now is an hour off: the test can fail.
        let mut plain = connect(&server, "mysql").await;
        let off = "SET time_zone = 'Autumn'";
        run(&mut plain, off).await.expect("sets");
        let off = "SELECT CAST(UNIX_TIMESTAMP() - UNIX_TIMESTAMP(SYSDATE()) AS SIGNED)";
        assert_eq!(number(&mut plain, off).await, 3600);
    });
    let engine = open(&url).expect("opens");
    works(&engine).expect("works");
    let price = "1".parse().expect("a price");
    let id = engine.create_product(NewProduct::new("Lamp", price, 5)).expect("created").value.id;
    let hold = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value;
    let since_1970 = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_micros();
    let now = i64::try_from(since_1970).expect("microseconds");
    let off = now - hold.created_at.micros();
    assert!(off.abs() < 60_000_000, "{off} microseconds");
}

/// A proxy ends idle connections, and tells neither side.
fn idle_behind_a_proxy(make: Make) {
    let server = Server::start(make, &[]);
    let idle = Duration::from_millis(700);
    let proxy = HaProxy::start(server.addr(), idle);
    let url = server.url(&server.database(), "");
    let url = url.replace(&server.port().to_string(), &proxy.port().to_string());
    let engine = Engine::builder().store(&url).set("connections", "8").expect("a setting");
    let engine = engine.open().expect("opens");
    let price = "1".parse().expect("a price");
    let id =
        engine.create_product(NewProduct::new("Lamp", price, 1_000)).expect("created").value.id;
    let hold = || engine.create_hold(HoldRequest::new(id, 1)).map(drop);
    for _ in 0..3 {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(hold)).collect();
            calls.into_iter().for_each(|call| call.join().expect("no panic").expect("held"));
        });
        assert!(server.connections() > 0);
        // All are ended by the proxy: the server sees them go.
        server.wait_for_no_connections();
        hold().expect("the first after all were ended");
    }
    assert!(engine.audit().expect("reads").consistent);
}

/// Runs a test on both servers at the same time.
fn at_both(test: fn(Make)) {
    thread::scope(|scope| {
        for make in [Make::MariaDb, Make::MySql] {
            scope.spawn(move || test(make));
        }
    });
}

#[test]
fn statements_do_on_both_servers_what_the_engine_relies_on() {
    stockade_testkit::skip_without!(MariaDb, MySql);
    at_both(statements);
}

#[test]
fn an_hour_that_comes_twice_is_told_apart() {
    stockade_testkit::skip_without!(MariaDb, MySql);
    at_both(daylight_saving);
}

#[test]
fn a_proxy_that_ends_idle_connections_costs_no_request() {
    stockade_testkit::skip_without!(MariaDb, MySql, HaProxy);
    at_both(idle_behind_a_proxy);
}
