//! Tests clusters under load and failover.
//!
//! The guarantees cover database clusters with a single writer: engines connect
//! to one address, and a proxy forwards it to the node that accepts writes, or to
//! its successor after a failover. On Galera any node can be the writer; Group
//! Replication elects a primary. Multi-writer Galera is tested for information
//! only. Redis behind Sentinel holds only locks and cache entries, so no Redis
//! failure may lose data.

mod galera;
mod group;
mod load;
mod one_writer;
mod redis;
mod verdict;

use std::thread;

use crate::Extent;
use crate::results::Row;

/// Runs all rounds on one kind of cluster.
pub type Rounds = fn(Extent) -> Vec<Row>;

/// Every kind of cluster, by name.
pub const CLUSTERS: [(&str, Rounds); 3] =
    [("galera", galera::run), ("group-replication", group::run), ("sentinel", redis::run)];

/// Selects clusters by name prefix.
const ENV_CLUSTER: &str = "STOCKADE_PROOF_CLUSTER";

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_CLUSTER).unwrap_or_default();
    // The clusters run in parallel: they mostly wait for startup and failover.
    thread::scope(|scope| {
        let wanted = CLUSTERS.into_iter().filter(|(name, _)| name.starts_with(&wanted));
        let running: Vec<_> =
            wanted.map(|(name, run)| (name, scope.spawn(move || run(extent)))).collect();
        let rows = |(name, rounds): (&str, thread::ScopedJoinHandle<'_, Vec<Row>>)| {
            rounds.join().unwrap_or_else(|_| panic!("the rounds on {name} panicked"))
        };
        running.into_iter().flat_map(rows).collect()
    })
}

/// Adds a round's result to the row of its fault.
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
    // Keeps the note of a round with violations.
    let is_worse = found.oversold + found.leaked + found.lost + found.doubled > 0;
    if row.note.is_empty() || is_worse {
        row.note = found.note;
    }
}
