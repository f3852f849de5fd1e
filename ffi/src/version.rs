//! Which library this is.

use std::ffi::{CStr, c_char};

/// The version of this ABI, as stockade_abi_version tells it.
pub const STOCKADE_ABI_VERSION: u32 = 1;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// The version of the ABI that this library has. A program checks once that it
/// is the STOCKADE_ABI_VERSION of the header it was built with: it grows when a
/// program built with an older header could be broken.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_abi_version() -> u32 {
    STOCKADE_ABI_VERSION
}

/// The version of Stockade, such as "0.1.0". Lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_version() -> *const c_char {
    VERSION.as_ptr()
}
