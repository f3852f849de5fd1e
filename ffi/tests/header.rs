//! The headers in the repository are those that the code makes. With
//! `STOCKADE_WRITE_HEADERS=1` this test writes them instead (`make header`).
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cbindgen::{Config, Language};
use serde_json::Value;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The header as the code makes it now.
fn made(change: impl FnOnce(&mut Config)) -> String {
    let config = Path::new(CRATE).join("cbindgen.toml");
    let mut config = Config::from_file(config).expect("cbindgen.toml reads");
    assert_eq!(config.language, Language::C);
    change(&mut config);
    let bindings = cbindgen::generate_with_config(CRATE, config).expect("the code parses");
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

fn compare(path: &str, made: &str) {
    let path = Path::new(CRATE).join(path);
    if std::env::var_os("STOCKADE_WRITE_HEADERS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("is there");
        fs::write(&path, made).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "{} is stale: run `make header` and look at it", path.display());
}

#[test]
fn c_header_is_up_to_date() {
    compare("include/stockade.h", &made(|_| {}));
}

/// PHP's parser knows no preprocessor, and needs no comments.
#[test]
fn php_header_is_up_to_date() {
    let made = made(|config| {
        config.cpp_compat = false;
        config.documentation = false;
        config.include_guard = None;
        config.sys_includes = Vec::new();
        config.after_includes = None;
        config.header = None;
    });
    // What is left when the preprocessor's lines go: C before C23, where an
    // enum has no type of its own.
    let is_plain = |line: &&str| {
        !line.starts_with('#') && !line.starts_with("typedef enum ") && *line != "  : uint32_t"
    };
    let lines = made.lines().filter(|line| !line.is_empty()).filter(is_plain);
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    compare("php/lib/stockade.h", &text);
}

/// `STOCKADE_ABI_VERSION` and the name that programs look for grow together.
#[test]
fn soname_contains_the_abi_version() {
    let build = fs::read_to_string(Path::new(CRATE).join("build.rs")).expect("is there");
    let version = stockade_ffi::version::STOCKADE_ABI_VERSION;
    assert!(build.contains(&format!("libstockade.so.{version}\"")));
}

/// What `cargo cinstall` is told is what `ffi/install` does.
#[test]
fn packagers_get_the_same_names_the_abi_version_and_the_committed_header() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"]);
    let output = cargo.arg(Path::new(CRATE).join("Cargo.toml")).output().expect("runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut packages = metadata["packages"].as_array().expect("packages").iter();
    let package = packages.find(|package| package["name"] == "stockade-ffi").expect("this one");
    assert!(package["features"]["capi"].is_array(), "cargo-c looks for the feature");
    let capi = &package["metadata"]["capi"];
    for part in ["header", "pkg_config", "library"] {
        assert_eq!(capi[part]["name"], "stockade", "{part}");
    }
    assert_eq!(capi["pkg_config"]["filename"], "stockade");
    let version = capi["library"]["version"].as_str().expect("a version");
    let abi_version = stockade_ffi::version::STOCKADE_ABI_VERSION.to_string();
    assert_eq!(version.split('.').next(), Some(&*abi_version));
    assert_eq!(capi["header"]["generation"], false);
    let header = &capi["install"]["include"]["asset"][0];
    assert!(Path::new(CRATE).join(header["from"].as_str().expect("a path")).is_file());
    assert_eq!((&header["to"], &capi["header"]["subdirectory"]), (&"".into(), &false.into()));
}
