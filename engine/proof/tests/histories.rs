//! The short form of the checked histories, as `stockade-proof` runs it: its
//! callers in other processes are that program again.

use std::process::Command;

#[test]
fn concurrent_histories_are_linearizable_and_conserve_stock() {
    // What it finds is kept apart from what the long form found.
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_stockade-proof"))
        .arg("histories")
        .env("CARGO_TARGET_DIR", folder.path())
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    let places = told.lines().filter(|line| line.starts_with("histories on ")).count();
    assert_eq!(places, 8, "a place was left out");
}
