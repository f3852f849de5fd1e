//! Gives the shared library the name that programs linked to it look for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Grows with `ABI_VERSION`, which a test compares.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstockade.so.1");
}
