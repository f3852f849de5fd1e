//! Reads the conformance table that every language binding runs,
//! `engine/tests/cases.json`, and plays it against a binding written in Rust.
//! `cases.md` beside it describes the format.
#![expect(clippy::expect_used, reason = "a table that is wrong ends the test, as all of the kit's")]

mod play;
mod table;

pub use play::{Face, Outcome, play};
pub use table::{Case, Part, Step, Table, Text, parse};
