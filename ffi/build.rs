//! Gives the shared library the name that programs linked to it look for, and
//! keeps it in memory once it is there: an engine's threads run in it, and PHP
//! unloads what a request has loaded.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Grows with `ABI_VERSION`, which a test compares.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstockade.so.1");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
