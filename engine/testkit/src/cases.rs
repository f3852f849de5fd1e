//! The table of cases that every face runs, `engine/tests/cases.json`, and how
//! a face written in Rust plays it. `cases.md` beside it says what is in it.
#![expect(clippy::expect_used, reason = "a table that is wrong ends the test, as all of the kit's")]

mod play;
mod table;

pub use play::{Face, Outcome, play};
pub use table::{Case, Part, Step, Table, Text, parse};
