//! The throw-away Group Replication cluster does what its documentation says.

use std::thread;
use std::time::Duration;

use stockade_testkit::{GroupReplication, wait_until};

const SOON: Duration = Duration::from_secs(60);

/// One cluster for all of it: it takes its time to start.
#[test]
fn failover_elects_new_primary_and_old_one_rejoins() {
    let group = GroupReplication::start();
    assert_eq!(group.primary(), Some(0));
    let shop = group.fresh_database(0);
    group.query(0, &format!("CREATE TABLE {shop}.t (id INT PRIMARY KEY, v INT)"));
    group.query(0, &format!("INSERT INTO {shop}.t VALUES (1, 0)"));
    let set = |node, v: u32| group.query(node, &format!("UPDATE {shop}.t SET v = {v}"));
    let get = |node| {
        group.query(
            node,
            &format!("SET group_replication_consistency = 'BEFORE'; SELECT v FROM {shop}.t"),
        )
    };
    let refused = group.try_query(1, &format!("UPDATE {shop}.t SET v = 99"));
    assert!(refused.is_err_and(|why| why.contains("ERROR 1290")), "a secondary only reads");

    set(0, 1);
    group.kill(0);
    let second = group.wait_for_failover(0);
    assert_eq!(get(second), "1");
    set(second, 2);
    group.restart(0);
    assert!(group.is_online(0));
    assert_eq!(get(0), "2");

    group.set_primary(0);
    assert_eq!(group.primary(), Some(0));
    set(0, 3);

    group.pause(0);
    let second = group.wait_for_failover(0);
    set(second, 4);
    group.resume(0);
    group.wait_online(0);
    wait_until("all know the same primary", SOON, || group.primary() == Some(second));
    assert_eq!(get(0), "4");

    group.leave(second, true);
    let third = group.wait_for_failover(second);
    set(third, 5);
    group.leave(second, false);
    assert_eq!(get(second), "5");

    (0..group.nodes()).for_each(|node| group.kill(node));
    let first = group.restart_first();
    assert_eq!(get(first), "5");
    let other = (first + 1) % group.nodes();
    let refused = group.try_query(other, &format!("UPDATE {shop}.t SET v = 99"));
    assert!(refused.is_err_and(|why| why.contains("ERROR 1290")), "it is not in the group yet");
    set(first, 6);
    (0..group.nodes()).filter(|node| *node != first).for_each(|node| group.restart(node));
    (0..group.nodes()).for_each(|node| assert_eq!(get(node), "6"));
}

/// What a primary that is cut off has not committed by then is rolled back, and
/// what the others committed meanwhile reaches it when it is back.
#[test]
fn partitioned_primary_aborts_commits_and_rejoins() {
    let group = GroupReplication::start_apart();
    assert_eq!(group.primary(), Some(0));
    let shop = group.fresh_database(0);
    group.query(0, &format!("CREATE TABLE {shop}.t (id INT PRIMARY KEY, v INT)"));
    group.query(0, &format!("INSERT INTO {shop}.t VALUES (1, 0)"));
    let set = |node, v: u32| group.try_query(node, &format!("UPDATE {shop}.t SET v = {v}"));
    let get = |node| group.query(node, &format!("SELECT v FROM {shop}.t"));
    let get_in_step = |node| {
        group.query(
            node,
            &format!("SET group_replication_consistency = 'BEFORE'; SELECT v FROM {shop}.t"),
        )
    };

    group.cut_off(0);
    thread::scope(|scope| {
        let hanging = scope.spawn(|| set(0, 99));
        let second = group.wait_for_failover(0);
        assert_eq!(set(second, 1), Ok(String::new()));
        // The commit had no majority, and clients got an error.
        let rolled_back = hanging.join().expect("a client");
        assert!(rolled_back.is_err(), "{rolled_back:?}");
        wait_until("it has given up", SOON, || group.state(0) == "ERROR");
        assert_eq!(get(0), "0");
        let refused = set(0, 99);
        assert!(refused.is_err_and(|why| why.contains("ERROR 1290")), "it only reads");
        assert_eq!(get_in_step(second), "1");
    });
    group.join_again(0);
    assert!(group.is_online(0));
    assert_eq!(get_in_step(0), "1");

    // The nodes do not join again by themselves here, so this has it done.
    let second = group.primary().expect("a primary");
    group.pause(second);
    let third = group.wait_for_failover(second);
    assert_eq!(set(third, 2), Ok(String::new()));
    group.resume(second);
    group.wait_online(second);
    assert_eq!(get_in_step(second), "2");

    group.kill(second);
    group.restart(second);
    assert_eq!(get_in_step(second), "2");
}
