//! Checked histories: what callers saw, against the model.

use crate::Extent;
use crate::outcome::Row;

/// Runs the part.
#[must_use]
pub fn run(_extent: Extent) -> Vec<Row> {
    Vec::new()
}
