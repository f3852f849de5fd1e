//! The short form of each fault, as a test of its own.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use libtest_mimic::{Arguments, Trial};
use stockade_proof::Extent;
use stockade_proof::faults::{FAULTS, run_if_told};

fn main() {
    run_if_told();
    let trial = |fault: &'static stockade_proof::faults::Fault| {
        Trial::test(fault.name, move || {
            let row = fault.try_all(Extent::default());
            if row.is_clean() { Ok(()) } else { Err(format!("{row:?}").into()) }
        })
    };
    libtest_mimic::run(&Arguments::from_args(), FAULTS.iter().map(trial).collect()).exit();
}
