//! Stockade's server program for benches. Built in one go with them, it shares
//! all crates and their features, so that nothing is built twice.

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_server::main()
}
