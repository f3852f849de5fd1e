//! Mutation tests of the checkers: each must catch the planted bugs that it is
//! meant for.
//!
//! `planted.toml` lists bugs that systems of this kind have had, and `planted/` has
//! a patch of each, which `--rebase` writes anew after renames. Each is planted
//! alone into a copy of the workspace's sources below cargo's target folder, and
//! built there; then the checkers that must catch it are run. It is caught when
//! one of its seeds breaks a promise: a checker that ends otherwise, or cannot be
//! built, has caught nothing. The same checkers must find nothing where nothing
//! is planted. `STOCKADE_PROOF_BUG` picks bugs by the beginning of their names, and
//! leaves that out.

mod list;
mod patch;
mod rebase;
mod sources;
mod trial;

use std::time::Instant;

use crate::Extent;
use crate::results::{self, Row};
use list::{Bug, Check};
pub use rebase::rebase;
use sources::Sources;
use trial::{Ended, Stand};

/// The part's name.
pub const PART: &str = "planted";
/// Selects bugs by name prefixes, separated by commas.
const ENV_BUG: &str = "STOCKADE_PROOF_BUG";

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_BUG).unwrap_or_default();
    let bugs: Vec<Bug> =
        list::read().into_iter().filter(|bug| is_wanted(&bug.name, &wanted)).collect();
    // Absolute, because the checkers run in another folder.
    let folder = std::path::absolute(results::folder().join(PART)).expect("a folder");
    let sources = Sources::copied_to(folder.join("sources"));
    let stand = Stand::new(&folder, &sources, extent);
    // The unmodified copy needs its whole numbers of seeds, which take an hour.
    let unplanted = if wanted.is_empty() { list::checks_of(&bugs) } else { Vec::new() };
    let mut rows: Vec<Row> = unplanted.iter().map(|check| try_one(&stand, None, check)).collect();
    for bug in &bugs {
        let _planted = sources.plant(&bug.patches);
        rows.extend(bug.caught_by.iter().map(|check| try_one(&stand, Some(bug), check)));
    }
    rows
}

/// Whether a bug's name begins with one of the prefixes in `wanted`.
fn is_wanted(name: &str, wanted: &str) -> bool {
    wanted.split(',').any(|prefix| name.starts_with(prefix))
}

/// Runs a checker on the copy with this bug, or on the unmodified copy.
fn try_one(stand: &Stand<'_>, bug: Option<&Bug>, check: &Check) -> Row {
    let since = Instant::now();
    let name = bug.map_or("nothing planted", |bug| &bug.name);
    let row = match (stand.run(name, check), bug.is_some()) {
        (Ended::Violation(row), true) => Row { note: describe(&row), ..tried(&row) },
        (Ended::Clean(row), false) => Row { note: "no violation".to_owned(), ..tried(&row) },
        (Ended::Violation(row), false) => {
            Row { unexplained: 1, note: describe(&row), ..tried(&row) }
        }
        (Ended::Clean(row), true) => {
            Row { unexplained: 1, note: "NOT CAUGHT".to_owned(), ..tried(&row) }
        }
        (Ended::CutShort(why), _) => Row { cut_short: 1, note: why, ..Row::default() },
    };
    let fault = bug.map_or_else(|| name.to_owned(), |bug| format!("{name}: {}", bug.wrong));
    let row = Row { fault, deployment: check.to_string(), ..row };
    let Row { seeds, operations, note, .. } = &row;
    let took = since.elapsed();
    println!("{name}, {check}: {note}; {seeds} seeds, {operations} operations, {took:.1?}");
    row
}

/// Copies the numbers of seeds, injections and operations.
fn tried(row: &Row) -> Row {
    Row { seeds: row.seeds, operations: row.operations, ..Row::default() }
}

/// Formats the violations for the report.
fn describe(row: &Row) -> String {
    let broken = row.broken().into_iter();
    let words = broken.map(|(broken, times)| format!("{broken:?} {times}").to_lowercase());
    words.collect::<Vec<_>>().join(", ")
}
