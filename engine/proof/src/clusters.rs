//! Clusters under load and failover.
//!
//! A database cluster with one writer is what is promised: engines reach it by
//! one address, a proxy leads it to the node that takes writes, and to another
//! when that one fails. Galera may choose any node, and Group Replication elects
//! one. Writes to all of Galera's nodes at once are told as found. Redis behind
//! Sentinel holds locks and cache only, so whatever becomes of it nothing may be
//! lost.

mod galera;
mod group;
mod load;
mod one_writer;
mod redis;
mod verdict;

use std::thread;

use crate::Extent;
use crate::results::Row;

/// The rounds on one kind of cluster.
pub type Rounds = fn(Extent) -> Vec<Row>;

/// Every kind of cluster, by name.
pub const CLUSTERS: [(&str, Rounds); 3] =
    [("galera", galera::run), ("group-replication", group::run), ("sentinel", redis::run)];

/// Picks clusters by the beginning of their names.
const ENV_CLUSTER: &str = "STOCKADE_PROOF_CLUSTER";

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_CLUSTER).unwrap_or_default();
    // All take their time to start, and wait for fail-overs rather than work.
    thread::scope(|scope| {
        let wanted = CLUSTERS.into_iter().filter(|(name, _)| name.starts_with(&wanted));
        let running: Vec<_> =
            wanted.map(|(name, run)| (name, scope.spawn(move || run(extent)))).collect();
        let rows = |(name, rounds): (&str, thread::ScopedJoinHandle<'_, Vec<Row>>)| {
            rounds.join().unwrap_or_else(|_| panic!("the rounds on {name} ended early"))
        };
        running.into_iter().flat_map(rows).collect()
    })
}

/// Adds what one round found to the row of its fault.
fn add(rows: &mut Vec<Row>, found: Row) {
    println!(
        "  {} on {}: {} operations, {} oversold, {} leaked, {} lost, {} doubled, {:.1?}; {}",
        found.fault,
        found.deployment,
        found.operations,
        found.oversold,
        found.leaked,
        found.lost,
        found.doubled,
        found.recovery.unwrap_or_default(),
        found.note
    );
    let Some(row) =
        rows.iter_mut().find(|r| r.fault == found.fault && r.deployment == found.deployment)
    else {
        rows.push(found);
        return;
    };
    row.add(&found);
    // The note of the worst round.
    let is_worse = found.oversold + found.leaked + found.lost + found.doubled > 0;
    if row.note.is_empty() || is_worse {
        row.note = found.note;
    }
}
