//! Compiles the C examples and tests against the installed library, with
//! warnings as errors, and runs them under valgrind.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod cc;
mod served;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cc::{Installed, succeed};
use served::{KEY, Served};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns a program's output; an invalid access or a leak fails it.
fn printed(path: &str) -> String {
    printed_with(path, &[])
}

fn printed_with(path: &str, arguments: &[&str]) -> String {
    let installed = Installed::new();
    let program = installed.compile(&[&source(path)]);
    let output = succeed(installed.checked(&program).args(arguments));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the output of a program that forks. Without valgrind: the child
/// leaks what it inherits from the parent by design.
fn printed_forking(path: &str, arguments: &[&str]) -> String {
    let installed = Installed::new();
    let program = installed.compile(&[&source(path)]);
    let output = succeed(installed.command(&program).args(arguments));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What the example of a whole lifecycle prints.
const LIFECYCLE: &str = "line 1: 2 at 19.99 EUR\norder paid, 2 sold, 3 left\n";

#[test]
fn the_lifecycle_example_runs() {
    assert_eq!(printed("examples/c/lifecycle.c"), LIFECYCLE);
}

#[test]
fn the_lifecycle_example_runs_through_a_socket_file() {
    let served = Served::new();
    let printed = printed_with("examples/c/lifecycle.c", &[&served.socket]);
    assert_eq!(printed, LIFECYCLE);
}

#[test]
fn the_lifecycle_example_runs_through_an_address_with_its_key_only() {
    let served = Served::new();
    let url = |key: &str| format!("http://:{key}@{}", served.host);
    let installed = Installed::new();
    let program = installed.compile(&[&source("examples/c/lifecycle.c")]);
    let refused = installed.checked(&program).arg(url("wrong")).output().expect("runs");
    let complaint = String::from_utf8(refused.stderr).expect("UTF-8");
    assert!(refused.status.code() == Some(1) && refused.stdout.is_empty(), "{complaint}");
    assert!(complaint.starts_with("unauthorized: "), "{complaint}");
    let output = succeed(installed.checked(&program).arg(url(KEY)));
    assert_eq!(output.stdout, LIFECYCLE.as_bytes());
}

#[test]
fn the_cart_example_runs() {
    let expected = "held 2 of product 1\nheld 2 of product 2\ninsufficient_stock\n  \
                    product 1: 3 of 4\n  product 2: 1 of 2\n";
    assert_eq!(printed("examples/c/cart.c"), expected);
}

#[test]
fn the_products_example_runs() {
    let printed = printed("examples/c/products.c");
    assert!(printed.starts_with("LAMP-1: made\nMUG-1: "), "{printed}");
    assert!(printed.ends_with("LAMP-1 is archived\norder 1: 39.98 EUR\n"), "{printed}");
}

/// What the example of two handles prints.
const CLERK: &str = "order 2026-1 made by clerk\n\
                     order.created by clerk: {\"channel\":\"phone\"}\n\
                     order.paid by nobody: {\"channel\":\"phone\"}\n";

#[test]
fn the_clerk_example_runs() {
    assert_eq!(printed("examples/c/clerk.c"), CLERK);
}

#[test]
fn the_clerk_example_runs_through_a_socket_file() {
    let served = Served::new();
    assert_eq!(printed_with("examples/c/clerk.c", &[&served.socket]), CLERK);
}

#[test]
fn the_errors_example_runs() {
    let printed = printed("examples/c/errors.c");
    assert!(printed.contains("invalid_argument: unknown setting hold_tll\n"), "{printed}");
    assert!(printed.contains("  offer 5 instead\n"), "{printed}");
    assert!(printed.ends_with("swept 0 holds\n"), "{printed}");
}

#[test]
fn the_clock_example_runs() {
    assert_eq!(printed("examples/c/clock.c"), "ok\n");
}

#[test]
fn the_readme_shows_a_program_that_runs() {
    let readme = fs::read_to_string(source("../README.md")).expect("is there");
    let (_, shown) = readme.split_once("```c\n").expect("a program in C");
    let (shown, _) = shown.split_once("```").expect("its end");
    let installed = Installed::new();
    let shop = installed.folder().join("shop.c");
    fs::write(&shop, shown).expect("written");
    let program = installed.compile(&[&shop]);
    assert_eq!(succeed(&mut installed.checked(&program)).stdout, b"2 held\n");
}

#[test]
fn every_example_is_run_here() {
    let examples = fs::read_dir(source("examples/c")).expect("is there");
    assert_eq!(examples.count(), 6);
}

#[test]
fn what_a_program_gets_wrong_is_refused() {
    let families =
        ["", "_products", "_holds", "_batches", "_orders", "_lists", "_reads", "_actors"];
    let sources = families.map(|family| source(&format!("tests/c/border{family}.c")));
    let installed = Installed::new();
    let program = installed.compile(&sources.each_ref().map(PathBuf::as_path));
    assert_eq!(succeed(&mut installed.checked(&program)).stdout, b"ok\n");
}

#[test]
fn a_program_takes_the_log() {
    let printed = printed("tests/c/log.c");
    let lines: Vec<_> = printed.lines().collect();
    let [adjusted, "ok"] = lines[..] else { panic!("{printed}") };
    assert!(adjusted.starts_with("INFO stockade::local::products adjusted stock "), "{printed}");
    assert!(adjusted.contains("delta=3"), "{printed}");
}

#[test]
fn a_fork_before_opening_works_and_one_after_is_refused() {
    assert_eq!(printed_forking("tests/c/fork.c", &[]), "ok\n");
}

#[test]
fn a_child_of_a_process_that_is_inside_sqlite_opens_or_is_refused_and_never_hangs() {
    assert_eq!(printed_forking("tests/c/busy.c", &[]), "ok\n");
}

#[test]
fn opening_a_shared_engine_holds_up_no_other_and_no_child() {
    assert_eq!(printed_forking("tests/c/opening.c", &[]), "ok\n");
}

#[test]
fn a_child_leaves_the_engines_of_its_parent_alone() {
    let served = Served::new();
    assert_eq!(printed_forking("tests/c/leave.c", &[&served.socket]), "ok\n");
}

#[test]
fn the_static_library_links() {
    let installed = Installed::new();
    let program = installed.folder().join("static");
    let flags = installed.flags(&["--static", "--cflags", "--libs"]);
    let mut cc = Command::new("cc");
    cc.arg(source("examples/c/lifecycle.c")).arg("-o").arg(&program);
    // The linker prefers the shared library where both are there.
    cc.args(flags.iter().map(|flag| if flag == "-lstockade" { "-l:libstockade.a" } else { flag }));
    succeed(&mut cc);
    // It runs without looking for the shared library.
    assert_eq!(succeed(&mut Command::new(program)).stdout, LIFECYCLE.as_bytes());
}

#[test]
fn only_the_documented_symbols_are_exported() {
    let installed = Installed::new();
    let library = installed.folder().join("lib/libstockade.so");
    let mut nm = Command::new("nm");
    let output = succeed(nm.args(["-D", "--defined-only", "--format=just-symbols"]).arg(library));
    let symbols = String::from_utf8(output.stdout).expect("UTF-8");
    let header = fs::read_to_string(source("include/stockade.h")).expect("is there");
    let mut count = 0;
    for symbol in symbols.lines() {
        assert!(header.contains(&format!("{symbol}(")), "{symbol} is not in the header");
        count += 1;
    }
    assert!(count > 50, "{count} symbols");
}

/// The header is C++ as well.
#[test]
fn a_cpp_program_can_include_the_header() {
    let installed = Installed::new();
    let file = installed.folder().join("include.cpp");
    let text = "#include <stockade.h>\nint main() { stockade_hold hold = \
                STOCKADE_INIT(stockade_hold); return hold.struct_size == 0; }\n";
    fs::write(&file, text).expect("written");
    let mut cpp = Command::new("c++");
    cpp.args(["-std=c++17", "-Wall", "-Werror", "-fsyntax-only"]).arg(file);
    succeed(cpp.args(installed.flags(&["--cflags"])));
}
