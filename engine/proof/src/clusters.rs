//! Galera and Sentinel under load and failover.

use crate::Extent;
use crate::outcome::Row;

/// Runs the part.
#[must_use]
pub fn run(_extent: Extent) -> Vec<Row> {
    Vec::new()
}
