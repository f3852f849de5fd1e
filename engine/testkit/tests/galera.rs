//! The throw-away Galera cluster does what its documentation says.

use std::time::Duration;

use stockade_testkit::{Galera, Proxy, wait_until};

const SOON: Duration = Duration::from_secs(60);

/// One cluster for all of it: it takes its time to start.
#[test]
fn nodes_replicate_and_recover_from_kills_pauses_and_partitions() {
    let galera = Galera::start();
    let shop = galera.fresh_database(0);
    galera.query(0, &format!("CREATE TABLE {shop}.t (id INT PRIMARY KEY, v INT)"));
    galera.query(1, &format!("INSERT INTO {shop}.t VALUES (1, 0)"));
    let set = |node, v: u32| galera.query(node, &format!("UPDATE {shop}.t SET v = {v}"));
    let get = format!("SET wsrep_sync_wait = 1; SELECT v FROM {shop}.t");
    let is_one_of_two = |node| {
        let size = galera.query(node, "SHOW STATUS LIKE 'wsrep_cluster_size'");
        size.ends_with("\t2")
    };

    galera.kill(2);
    wait_until("the others go on", SOON, || is_one_of_two(0) && galera.is_synced(0));
    assert!(!galera.is_synced(2));
    set(0, 1);
    galera.restart(2);
    assert_eq!(galera.query(2, &get), "1");

    galera.kill(2);
    set(1, 2);
    galera.restart_by_copy(2);
    assert_eq!(galera.query(2, &get), "2");

    galera.pause(0);
    wait_until("the others go on", SOON, || is_one_of_two(1) && galera.is_synced(1));
    set(1, 3);
    galera.resume(0);
    // In the others' view: at first it does not know that they continued.
    wait_until("it was let back", SOON, || !is_one_of_two(1) && galera.is_synced(0));
    assert_eq!(galera.query(0, &get), "3");

    galera.isolate(1, true);
    wait_until("it stands alone", SOON, || !galera.is_synced(1) && is_one_of_two(0));
    let refused = galera.try_query(1, &format!("UPDATE {shop}.t SET v = 99"));
    assert!(refused.is_err_and(|why| why.contains("1047")));
    set(0, 4);
    galera.isolate(1, false);
    wait_until("it was let back", SOON, || !is_one_of_two(0) && galera.is_synced(1));
    assert_eq!(galera.query(1, &get), "4");

    (0..galera.nodes()).for_each(|node| galera.kill(node));
    let first = galera.restart_first();
    assert_eq!(galera.query(first, &get), "4");
    (0..galera.nodes()).filter(|node| *node != first).for_each(|node| galera.restart(node));
    for node in 0..galera.nodes() {
        assert_eq!(galera.query(node, &get), "4");
    }

    let proxy = Proxy::start(galera.addr(0));
    assert!(proxy.url(&galera.url(0, &shop)).contains(&proxy.port().to_string()));
}
