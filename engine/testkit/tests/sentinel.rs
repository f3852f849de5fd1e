//! The throw-away Redis with Sentinel does what its documentation says.

use std::time::Duration;

use stockade_testkit::{Sentinel, wait_until};

#[test]
fn replica_takes_over_from_killed_and_from_stopped_master() {
    let sentinel = Sentinel::start();
    assert!(sentinel.url().starts_with("redis+sentinel://127.0.0.1:"));
    let first = sentinel.master();
    assert_eq!(first.port(), sentinel.servers()[0].port());
    first.command(&["SET", "sku", "7"]);
    first.command(&["WAIT", "2", "10000"]);

    first.kill();
    let second = sentinel.wait_for_failover(first);
    assert_eq!(second.command(&["GET", "sku"]), "7");
    first.restart();
    sentinel.wait_for_replicas();
    wait_until("the old master copies the new one", Duration::from_secs(60), || {
        first.command(&["ROLE"]).starts_with("slave") && first.command(&["GET", "sku"]) == "7"
    });

    second.pause();
    let third = sentinel.wait_for_failover(second);
    second.resume();
    sentinel.wait_for_replicas();
    assert_ne!(third.port(), second.port());
    assert!(second.command(&["ROLE"]).starts_with("slave"));
}
