//! Versions of the library.

use std::ffi::{CStr, c_char};

/// The version of this ABI; stockade_abi_version returns the library's.
pub const STOCKADE_ABI_VERSION: u32 = 1;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// Returns the library's ABI version. A program should check once that it
/// equals STOCKADE_ABI_VERSION of the header it was compiled with. It is
/// incremented by incompatible changes.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_abi_version() -> u32 {
    STOCKADE_ABI_VERSION
}

/// Returns the version of Stockade, such as "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_version() -> *const c_char {
    VERSION.as_ptr()
}
