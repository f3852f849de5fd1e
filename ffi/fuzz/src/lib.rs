//! Fuzz target of the C ABI: misuse by a program that the header does not
//! forbid, and the invariants that must hold.
//!
//! The target is a function of arbitrary bytes that panics when an invariant is
//! broken. A fuzzer generates the bytes (`make fuzz`) under AddressSanitizer,
//! and `ffi/tests/fuzz.rs` runs those in `seeds`.

mod abi;
mod call_result;
mod calls;
mod line;
mod program;
mod struct_memory;

pub use abi::abi;
