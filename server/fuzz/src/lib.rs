//! Fuzz targets of the server: the input of a hostile client, and the
//! invariants that must hold.
//!
//! Each target is a function of arbitrary bytes that panics when an invariant
//! is broken. A fuzzer generates the bytes (`make fuzz`), and
//! `server/tests/fuzz.rs` runs those in `seeds`.

mod answers;
mod http;
mod requests;
mod shop;
mod webhook;

pub use http::{http, socket};
pub use requests::requests;
pub use webhook::webhook;
