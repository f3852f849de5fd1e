//! Draws `benches/contention.svg`, or the given file, from the latest results
//! of the contention bench.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stockade_benches::plot;
use stockade_benches::results::Report;

fn main() -> ExitCode {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("contention.svg");
    let file = env::args_os().nth(1).map_or_else(usual, PathBuf::from);
    let drawn = Report::load("contention")
        .map_err(Into::into)
        .and_then(|report| plot::contention(&report, &file).map(|()| report));
    match drawn {
        Ok(report) => {
            let form = if report.quick { "a quick run" } else { "a full run" };
            println!("drew {} from {form}", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "cannot draw: {error}; run `cargo bench -p stockade-benches --bench contention` first"
            );
            ExitCode::FAILURE
        }
    }
}
