//! Runs the engine's deterministic simulation. It is a unit test of the engine
//! because it needs the engine's private items.

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use crate::Extent;
use crate::results::Row;

const SHORT: u64 = 500;
const LONG: u64 = 10_000;

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder for the row");
    let file = folder.path().join("row.json");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["test", "--locked", "--lib", "--manifest-path"])
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"), "--"]);
    ask(&mut command, extent, &file);
    let done = command.status().expect("cargo can be run");
    // A violation appears in the row and also fails the test.
    let row =
        read(&file).unwrap_or_else(|error| panic!("the simulation ({done}) wrote no row: {error}"));
    assert!(done.success() || !row.is_clean(), "the simulation ended with {done}");
    vec![row]
}

/// Makes the engine's test binary run the simulation and write its row to `file`.
pub(crate) fn ask(tests: &mut Command, extent: Extent, file: &Path) {
    tests
        .args(["simulation::no_history_breaks_a_promise", "--nocapture"])
        .env("STOCKADE_SIMULATION_SEED", extent.seed.to_string())
        .env("STOCKADE_SIMULATION_SEEDS", extent.seeds(SHORT, LONG).to_string())
        .env("STOCKADE_SIMULATION_OUT", file);
    if extent.until_broken {
        tests.env("STOCKADE_SIMULATION_UNTIL_BROKEN", "1");
    }
}

/// Reads the row that the simulation wrote.
pub(crate) fn read(file: &Path) -> io::Result<Row> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}
