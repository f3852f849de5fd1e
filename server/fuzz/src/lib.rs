//! What a hostile client may send to the reference server, and what must hold
//! whatever it was.
//!
//! Each target is a function of any bytes that panics when a promise is broken.
//! A fuzzer calls it with bytes that it makes up (`make fuzz`), and
//! `server/tests/fuzz.rs` with those that are kept in `seeds`.

mod answers;
mod http;
mod requests;
mod shop;
mod webhook;

pub use http::{http, socket};
pub use requests::requests;
pub use webhook::webhook;
