//! The fuzz target in `ffi/fuzz`, on what it begins with and has found.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn programs_keep_all_invariants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/abi");
    let mut count = 0;
    for file in fs::read_dir(folder).expect("is there") {
        let path = file.expect("a file").path();
        println!("{}", path.display());
        fuzz::abi(&fs::read(&path).expect("bytes"));
        count += 1;
    }
    assert!(count >= 5, "only {count} files");
}

/// The same as a process of its own, in which a wrong access fails.
#[test]
fn no_program_makes_the_library_reach_beyond_its_memory() {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=99", "--undef-value-errors=no"]);
    valgrind.arg(std::env::current_exe().expect("this test"));
    let ended = valgrind.args(["--exact", "programs_keep_all_invariants"]).output().expect("runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}\n{said}", ended.status);
}
