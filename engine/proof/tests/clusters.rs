//! The short form of the clusters' part, cluster by cluster.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use stockade_proof::Extent;
use stockade_proof::clusters::CLUSTERS;
use stockade_proof::results::Row;

fn keeps_every_promise(cluster: &str, faults: u64) {
    let (_, run) = CLUSTERS.into_iter().find(|(name, _)| *name == cluster).expect("a cluster");
    let rows = run(Extent::default());
    assert!(rows.iter().all(Row::is_clean), "{rows:#?}");
    assert!(rows.iter().all(|row| row.operations > 0), "{rows:#?}");
    let unplanned = |row: &&Row| !row.is_informative;
    assert_eq!(rows.iter().filter(unplanned).map(|row| row.injected).sum::<u64>(), faults);
}

#[test]
fn fail_overs_of_galera_keep_every_promise() {
    keeps_every_promise("galera", 3);
}

#[test]
fn fail_overs_of_group_replication_keep_every_promise() {
    keeps_every_promise("group-replication", 4);
}

#[test]
fn fail_overs_of_sentinel_keep_every_promise() {
    keeps_every_promise("sentinel", 1);
}
