//! Runs the fuzz targets in `server/fuzz` on their seed corpus and on past
//! findings.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fails on any panic, even in a task of the server that is not awaited.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Runs a target on each of its files.
fn run(name: &str, target: fn(&[u8])) {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{}", path.display());
        count += 1;
    }
    assert!(count >= 5, "only {count} files");
}

#[test]
fn connections_keep_all_invariants() {
    run("http", fuzz::http);
}

#[test]
fn socket_calls_keep_all_invariants() {
    run("socket", fuzz::socket);
}

#[test]
fn sessions_keep_all_invariants() {
    run("requests", fuzz::requests);
}

#[test]
fn webhooks_keep_all_invariants() {
    run("webhook", fuzz::webhook);
}
