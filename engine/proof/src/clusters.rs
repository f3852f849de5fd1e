//! Galera and Sentinel under load and failover.
//!
//! Galera with one writer is what is promised: engines reach the cluster by one
//! address, a proxy leads it to one node, and to another when that one fails.
//! Writes to all nodes at once are told as found. Redis behind Sentinel holds
//! locks and cache only, so whatever becomes of it nothing may be lost.

mod galera;
mod load;
mod redis;
mod verdict;

use std::thread;

use crate::Extent;
use crate::outcome::Row;

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    // Both take their time to start, and wait for fail-overs rather than work.
    let (galera, redis) = thread::scope(|scope| {
        let galera = scope.spawn(move || galera::run(extent));
        let redis = scope.spawn(move || redis::run(extent));
        (galera.join().expect("Galera's rounds"), redis.join().expect("Sentinel's rounds"))
    });
    [galera, redis].concat()
}

/// Adds what one round found to the row of its fault.
fn add(rows: &mut Vec<Row>, found: Row) {
    println!(
        "  {} on {}: {} operations, {} oversold, {} leaked, {} lost, {} doubled, {:.1?}; {}",
        found.fault,
        found.place,
        found.operations,
        found.oversold,
        found.leaked,
        found.lost,
        found.doubled,
        found.recovery.unwrap_or_default(),
        found.note
    );
    let Some(row) = rows.iter_mut().find(|r| r.fault == found.fault && r.place == found.place)
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
