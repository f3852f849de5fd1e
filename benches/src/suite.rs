//! The benches, one module each.
//!
//! They are modules of the library so that code is generated once: a bench
//! target of its own would monomorphize the engine, sqlx and hyper anew, which
//! takes minutes. A file in `benches/benches` only calls `main` of its module.

pub mod cart;
pub mod contention;
pub mod expiry_storm;
pub mod history;
pub mod hold_batch;
pub mod http;
pub mod lifecycle;
pub mod mechanisms;
pub mod memory;
pub mod orders;
pub mod overload;
pub mod prefork;
pub mod processes;
pub mod reads;
pub mod sold_out;
pub mod spread;
