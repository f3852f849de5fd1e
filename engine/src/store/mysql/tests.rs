//! Connections to a real MariaDB.

use stockade_testkit::MariaDb;

use super::*;
use crate::store::connection::Connection;
use crate::store::error::Fault;
use crate::store::rows::Cells;

fn database_at(url: &str) -> MySqlDatabase {
    let options = StoreOptions::at(url);
    let sessions = SessionFactory::new(&options).expect("a URL");
    MySqlDatabase::new(&options, sessions).expect("pools")
}

fn state(database: &MySqlDatabase) -> &ServerState {
    &database.0.writers.manager().state
}

async fn acquire(database: &MySqlDatabase) -> Box<dyn Connection> {
    database.pools().writer().await.expect("a connection")
}

async fn run(
    pooled: &mut Box<dyn Connection>,
    sql: &str,
) -> StoreResult<(Vec<u64>, Vec<(usize, i64)>)> {
    let mut seen = Vec::new();
    let mut on_row = |at: usize, row: &mut Cells<'_>| {
        seen.push((at, row.int()?));
        Ok(())
    };
    let statements: Vec<&str> = sql.split("; ").collect();
    let rows_affected = pooled.run(&statements, &mut on_row).await?;
    Ok((rows_affected, seen))
}

#[tokio::test]
async fn statements_sent_together_and_one_by_one_have_the_same_results() {
    stockade_testkit::skip_without!(MariaDb);
    let url = MariaDb::shared().fresh_database();
    let database = database_at(&url);
    for one_by_one in [false, true] {
        let mut pooled = acquire(&database).await;
        state(&database).is_galera.store(one_by_one, Ordering::Relaxed);
        let sql = "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2); \
                   SELECT id FROM t ORDER BY id; UPDATE t SET id = id + 10; SELECT 3";
        let (rows_affected, seen) = run(&mut pooled, sql).await.expect("runs");
        assert_eq!(
            (rows_affected.len(), rows_affected[1], rows_affected[3]),
            (5, 2, 2),
            "{one_by_one}"
        );
        assert_eq!(seen, [(2, 1), (2, 2), (4, 3)], "{one_by_one}");
        let sql = "SELECT 1; SELECT 2; INSERT INTO t VALUES (11); INSERT INTO t VALUES (12)";
        let refused = run(&mut pooled, sql).await.expect_err("refused");
        assert_eq!((refused.fault, refused.statement), (Fault::Duplicate, Some(2)), "{one_by_one}");
        run(&mut pooled, "DROP TABLE t").await.expect("it is still usable");
    }
}

#[tokio::test]
async fn a_connection_that_mariadb_closes_is_not_reused() {
    stockade_testkit::skip_without!(MariaDb);
    let url = MariaDb::shared().fresh_database();
    let database = database_at(&url);
    let lent_out = || database.0.writers.status().size;
    drop(acquire(&database).await);
    assert_eq!(lent_out(), 1, "it came back");
    let mut pooled = acquire(&database).await;
    let ended = run(&mut pooled, "KILL CONNECTION_ID()").await.expect_err("ended");
    assert_eq!((ended.fault, lent_out()), (Fault::Lost, 0));
    let given_up = run(&mut pooled, "SELECT 1").await.expect_err("given up");
    assert_eq!((given_up.fault, given_up.statement), (Fault::Lost, None));
}

#[tokio::test]
async fn a_connection_with_a_statement_in_flight_is_not_reused() {
    stockade_testkit::skip_without!(MariaDb);
    let url = MariaDb::shared().fresh_database();
    let database = database_at(&url);
    let mut pooled = acquire(&database).await;
    let mut asked = Box::pin(run(&mut pooled, "SELECT SLEEP(60)"));
    let first = futures_util::future::poll_immediate(asked.as_mut()).await;
    assert!(first.is_none(), "it sleeps");
    drop(asked);
    drop(pooled);
    assert_eq!(database.0.writers.status().size, 0);
}

#[tokio::test]
async fn a_mariadb_without_a_cluster_is_not_a_galera_node() {
    stockade_testkit::skip_without!(MariaDb);
    let database = database_at(&MariaDb::shared().fresh_database());
    drop(acquire(&database).await);
    assert!(!state(&database).is_galera.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_list_above_the_packet_limit_is_split_and_a_statement_above_it_is_rejected() {
    stockade_testkit::skip_without!(MariaDb);
    let database = database_at(&MariaDb::shared().fresh_database());
    let mut pooled = acquire(&database).await;
    run(&mut pooled, "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v TEXT)").await.expect("made");
    state(&database).packet_limit.set_server_limit(200_000);
    let insert = |id: u32| format!("INSERT INTO t VALUES ({id}, '{}')", "x".repeat(60_000));
    let sql = format!(
        "{}; {}; SELECT id FROM t",
        (1..=5).map(insert).collect::<Vec<_>>().join("; "),
        insert(6)
    );
    let (rows_affected, seen) = run(&mut pooled, &sql).await.expect("runs in parts");
    assert_eq!(
        (rows_affected.len(), seen.len(), seen[0].0),
        (7, 6, 6),
        "positions go on from part to part"
    );
    let sql = [insert(7), insert(8), insert(9), insert(1), insert(10)].join("; ");
    let refused = run(&mut pooled, &sql).await.expect_err("refused");
    assert_eq!((refused.fault, refused.statement), (Fault::Duplicate, Some(3)));
    let long = format!("SELECT {}1", "1+".repeat(150_000));
    let refused = run(&mut pooled, &long).await.expect_err("refused");
    assert_eq!(refused.fault, Fault::TooLarge);
    run(&mut pooled, "SELECT 1").await.expect("nothing was sent");
}

#[tokio::test]
async fn a_lost_connection_invalidates_the_idle_ones() {
    stockade_testkit::skip_without!(MariaDb);
    let mut options = StoreOptions::at(&MariaDb::shared().fresh_database());
    options.config.connections = 4;
    let sessions = SessionFactory::new(&options).expect("a URL");
    let database = MySqlDatabase::new(&options, sessions).expect("pools");
    let id = async |pooled: &mut Box<dyn Connection>| {
        run(pooled, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await.expect("runs").1[0].1
    };
    let mut pooled = Vec::new();
    for _ in 0..4 {
        pooled.push(acquire(&database).await);
    }
    let mut ids = Vec::new();
    for pooled in &mut pooled {
        ids.push(id(pooled).await);
    }
    let mut last = pooled.pop().expect("four");
    drop(pooled);
    run(&mut last, "KILL CONNECTION_ID()").await.expect_err("ended");
    let mut fresh = acquire(&database).await;
    assert!(!ids.contains(&id(&mut fresh).await), "it is a connection made since");
}

#[tokio::test]
async fn a_busy_pool_is_ready_while_commits_succeed() {
    stockade_testkit::skip_without!(MariaDb);
    let database = database_at(&MariaDb::shared().fresh_database());
    let mut pooled = acquire(&database).await;
    run(&mut pooled, "START TRANSACTION; COMMIT").await.expect("commits");
    assert!(database.pools().probe().await.expect("ready").is_none(), "all are on loan");
    drop(pooled);
    assert!(database.pools().probe().await.expect("ready").is_some());
}

#[tokio::test]
async fn concurrent_migrations_of_mariadb_all_succeed() {
    stockade_testkit::skip_without!(MariaDb);
    let options = StoreOptions::at(&MariaDb::shared().fresh_database());
    let migrated = futures_util::future::join_all((0..4).map(|_| migrate(&options))).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    let nowhere = StoreOptions::at(&MariaDb::shared().url(""));
    let refused = migrate(&nowhere).await.expect_err("refused");
    assert_eq!(refused.fault, Fault::Unknown, "it names no database");
}

#[tokio::test]
async fn a_mariadb_with_sysdate_is_now_is_rejected() {
    stockade_testkit::skip_without!(MariaDb);
    let server = MariaDb::start_with(&["--sysdate-is-now"]);
    let options = StoreOptions::at(&server.fresh_database());
    let refused = migrate(&options).await.expect_err("refused");
    assert_eq!(refused.fault, Fault::Unknown);
    assert!(refused.to_string().contains("sysdate-is-now"), "{refused}");
}
