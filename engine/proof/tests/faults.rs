//! The short form of each fault on each store, as a test of its own.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use libtest_mimic::{Arguments, Trial};
use stockade_proof::Extent;
use stockade_proof::faults::{run_child_if_requested, trials};

fn main() {
    run_child_if_requested();
    let trial = |trial: stockade_proof::faults::Trial| {
        Trial::test(trial.name.clone(), move || {
            let row = trial.try_all(Extent::default());
            if row.is_clean() { Ok(()) } else { Err(format!("{row:?}").into()) }
        })
    };
    libtest_mimic::run(&Arguments::from_args(), trials().map(trial).collect()).exit();
}
