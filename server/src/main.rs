//! `stockade`: the reference server of the Stockade reservation engine, and its
//! command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_server::main()
}
