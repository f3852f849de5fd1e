//! Stockade's C ABI: the engine's calls as C functions.
//!
//! `include/stockade.h` is made from this crate and documents each function
//! where a C programmer looks for it; it also states the conventions that all
//! of them keep. Here is how they are kept:
//!
//! * `answers` writes what the engine answers.
//! * `border` is the one way in: it catches panics, and clears and fills the
//!   caller's error.
//! * [`code`] is the list of codes, and `failure` what stops a call, on its way
//!   to the [`error`] that the caller gets.
//! * `handle` gives and takes back what callers hold, and checks their pointers.
//! * `plain` copies the structs that callers own in and out, by the size they
//!   say they have, so that structs can grow.
//! * `shared` keeps the engines that outlive their handles.
//! * `text` checks texts that come in and owns those that go out.
//! * The other modules are one family of calls each.
//!
//! Every exported symbol begins with `stockade_`, so none clashes with a
//! symbol of the program around it.
#![allow(non_camel_case_types, reason = "types have the names that C programs see")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what callers must keep is the same for all functions; the header says it once"
)]

mod answers;
mod border;
mod failure;
mod handle;
mod names;
mod plain;
mod shared;

pub mod audit;
pub mod code;
pub mod engine;
pub mod error;
pub mod events;
pub mod holds;
pub mod numbers;
pub mod options;
pub mod orders;
pub mod payments;
pub mod products;
pub mod text;
pub mod version;
