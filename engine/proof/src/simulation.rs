//! The deterministic simulation of the engine, which is one of its own tests:
//! it needs what no other crate sees.

use std::process::Command;
use std::{env, fs};

use crate::Extent;
use crate::outcome::Row;

const SHORT: u64 = 500;
const LONG: u64 = 10_000;

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder for the row");
    let file = folder.path().join("row.json");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let done = Command::new(cargo)
        .args(["test", "--locked", "--lib", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .args(["simulation::no_history_breaks_a_promise", "--", "--nocapture"])
        .env("STOCKADE_SIMULATION_SEED", extent.seed.to_string())
        .env("STOCKADE_SIMULATION_SEEDS", extent.seeds(SHORT, LONG).to_string())
        .env("STOCKADE_SIMULATION_OUT", &file)
        .status()
        .expect("cargo can be run");
    // A broken promise is told of in the row, and fails the test as well.
    let text = fs::read(&file).unwrap_or_else(|error| panic!("no row ({done}): {error}"));
    let row: Row = serde_json::from_slice(&text).expect("a row");
    assert!(done.success() || !row.is_clean(), "the simulation ended with {done}");
    vec![row]
}
