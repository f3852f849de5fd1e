//! What a program can get wrong at the C ABI, and what must hold whatever it
//! does that the header does not forbid.
//!
//! The target is a function of any bytes that panics when a promise is broken.
//! A fuzzer calls it with bytes that it makes up (`make fuzz`), under the
//! address sanitizer, and `ffi/tests/fuzz.rs` with those kept in `seeds`.

mod abi;
mod calls;
mod line;
mod place;
mod program;
mod told;

pub use abi::abi;
