//! Stockade's C ABI.
//!
//! So far it tells its version only; the engine's calls follow.

/// The version of this ABI. It grows when a caller built against an older
/// header could be broken.
pub const ABI_VERSION: u32 = 0;

/// Tells [`ABI_VERSION`].
// SAFETY: no other symbol of a program has this name; it begins with the
// library's own.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_abi_version() -> u32 {
    ABI_VERSION
}
