//! On real servers, but for the numbers of their errors.

use stockade_testkit::MariaDb;

use super::*;
use crate::store::error::Fault;

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn the_servers_numbers_mean_what_they_should() {
    for (number, fault) in [
        (1213, Fault::Deadlock),
        (1205, Fault::LockWait),
        (3572, Fault::LockWait),
        (1020, Fault::Conflict),
        (1048, Fault::Conflict),
        (1062, Fault::Duplicate),
        (4025, Fault::Invariant),
        (3819, Fault::Invariant),
        (1690, Fault::Invariant),
        (1045, Fault::Lost),
        (1049, Fault::Lost),
        (1927, Fault::Lost),
        (1290, Fault::Lost),
        (1047, Fault::Lost),
        (1180, Fault::Lost),
        (3101, Fault::Deadlock),
        (9007, Fault::Conflict),
    ] {
        assert_eq!(fault_by_number(number), Some(fault), "{number}");
    }
    assert_eq!(fault_by_number(1064), None, "a syntax error is not to be tried again");
}

async fn lent_by(database: &MySqlDatabase, one_by_one: bool) -> Lent {
    let connection = Some(lend(&database.writers).await.expect("a connection"));
    Lent { connection, one_by_one, timeout: BOUND, is_busy: false }
}

async fn run(lent: &mut Lent, sql: &str) -> StoreResult<(Vec<u64>, Vec<(usize, i64)>)> {
    let mut seen = Vec::new();
    let mut keep = |at: usize, row: Cells<'_>| {
        seen.push((at, row.int(0)?));
        Ok(())
    };
    let hits = lent.run(sql.to_owned(), &mut keep).await?;
    Ok((hits, seen))
}

#[tokio::test]
async fn mariadb_tells_the_same_of_statements_sent_together_and_one_by_one() {
    let url = MariaDb::shared().fresh_database();
    let database = MySqlDatabase::new(&StoreOptions::at(&url)).expect("a pool");
    for one_by_one in [false, true] {
        let mut lent = lent_by(&database, one_by_one).await;
        let sql = "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2); \
                   SELECT id FROM t ORDER BY id; UPDATE t SET id = id + 10; SELECT 3";
        let (hits, seen) = run(&mut lent, sql).await.expect("runs");
        assert_eq!((hits.len(), hits[1], hits[3]), (5, 2, 2), "{one_by_one}");
        assert_eq!(seen, [(2, 1), (2, 2), (4, 3)], "{one_by_one}");
        let sql = "SELECT 1; SELECT 2; INSERT INTO t VALUES (11); INSERT INTO t VALUES (12)";
        let refused = run(&mut lent, sql).await.expect_err("refused");
        assert_eq!((refused.fault, refused.statement), (Fault::Duplicate, Some(2)), "{one_by_one}");
        run(&mut lent, "DROP TABLE t").await.expect("it is of use still");
    }
}

#[tokio::test]
async fn a_connection_that_mariadb_ends_is_not_lent_again() {
    let url = MariaDb::shared().fresh_database();
    let database = MySqlDatabase::new(&StoreOptions::at(&url)).expect("a pool");
    let lent_out = || database.writers.status().size;
    drop(lent_by(&database, false).await);
    assert_eq!(lent_out(), 1, "it came back");
    let mut lent = lent_by(&database, false).await;
    let ended = run(&mut lent, "KILL CONNECTION_ID()").await.expect_err("ended");
    assert_eq!((ended.fault, lent_out()), (Fault::Lost, 0));
    let given_up = run(&mut lent, "SELECT 1").await.expect_err("given up");
    assert_eq!((given_up.fault, given_up.statement), (Fault::Lost, None));
}

#[tokio::test]
async fn a_connection_on_which_mariadb_is_still_at_work_is_not_lent_again() {
    let url = MariaDb::shared().fresh_database();
    let database = MySqlDatabase::new(&StoreOptions::at(&url)).expect("a pool");
    let mut lent = lent_by(&database, false).await;
    let mut asked = Box::pin(run(&mut lent, "SELECT SLEEP(60)"));
    let first = futures_util::future::poll_immediate(asked.as_mut()).await;
    assert!(first.is_none(), "it sleeps");
    drop(asked);
    drop(lent);
    assert_eq!(database.writers.status().size, 0);
}

#[tokio::test]
async fn a_mariadb_that_is_in_no_cluster_is_not_taken_for_a_node() {
    let url = MariaDb::shared().fresh_database();
    let connect = connect_options(&url).expect("a URL");
    let mut connection = MySqlConnection::connect_with(&connect).await.expect("connects");
    assert!(!is_galera(&mut connection).await.expect("answers"));
}

#[tokio::test]
async fn mariadb_is_migrated_by_all_who_come_at_once() {
    let options = StoreOptions::at(&MariaDb::shared().fresh_database());
    let migrated = futures_util::future::join_all((0..4).map(|_| migrate(&options))).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    let nowhere = StoreOptions::at(&MariaDb::shared().url(""));
    let refused = migrate(&nowhere).await.expect_err("refused");
    assert_eq!(refused.fault, Fault::Unknown, "it names no database");
}

#[tokio::test]
async fn a_mariadb_that_hides_how_long_locks_took_is_refused() {
    let server = MariaDb::start_with(&["--sysdate-is-now"]);
    let options = StoreOptions::at(&server.fresh_database());
    let refused = migrate(&options).await.expect_err("refused");
    assert_eq!(refused.fault, Fault::Unknown);
    assert!(refused.to_string().contains("sysdate-is-now"), "{refused}");
}
