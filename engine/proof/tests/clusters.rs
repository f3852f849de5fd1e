//! The short form of the clusters' part, cluster by cluster.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use stockade_proof::Extent;
use stockade_proof::clusters::CLUSTERS;
use stockade_proof::results::Row;

fn assert_guarantees(cluster: &str, faults: u64) {
    let (_, run) = CLUSTERS.into_iter().find(|(name, _)| *name == cluster).expect("a cluster");
    let rows = run(Extent::default());
    assert!(rows.iter().all(Row::is_clean), "{rows:#?}");
    assert!(rows.iter().all(|row| row.operations > 0), "{rows:#?}");
    let unplanned = |row: &&Row| !row.is_informative;
    assert_eq!(rows.iter().filter(unplanned).map(|row| row.injected).sum::<u64>(), faults);
}

#[test]
fn galera_failover_keeps_guarantees() {
    assert_guarantees("galera", 3);
}

#[test]
fn group_replication_failover_keeps_guarantees() {
    assert_guarantees("group-replication", 4);
}

#[test]
fn sentinel_failover_keeps_guarantees() {
    assert_guarantees("sentinel", 1);
}
