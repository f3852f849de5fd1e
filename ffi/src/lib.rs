//! Stockade's C ABI: the engine's calls as C functions.
//!
//! `include/stockade.h` is generated from this crate. It documents each
//! function and the conventions of all of them. The modules that keep those
//! conventions:
//!
//! * `batch` reads the requests of a batch call, and returns a result for each.
//! * `boundary` catches panics, and clears and sets the caller's error.
//! * [`code`] lists the result codes; `ffi_error` is an error inside the
//!   library, [`error`] the object that the caller gets.
//! * `handle` allocates, checks and frees handles and writes to out-pointers.
//! * `product_ref` reads the id or the SKU that names a product.
//! * `registry` keeps the shared engines, which outlive their handles.
//! * `responses` writes the engine's responses to the caller's structs.
//! * `text` validates incoming texts and owns outgoing ones.
//! * `versioned_struct` copies the caller's structs in and out by the size that
//!   they declare, so that structs can grow.
//! * The other modules are one family of calls each.
//!
//! Every exported symbol begins with `stockade_`, which avoids clashes with the
//! symbols of the program.
#![allow(non_camel_case_types, reason = "types have the names that C programs see")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the safety contract is the same for all functions; the header states it once"
)]

mod batch;
mod boundary;
mod enum_names;
mod ffi_error;
mod handle;
mod product_ref;
mod registry;
mod responses;
mod versioned_struct;

pub mod audit;
pub mod carts;
pub mod code;
pub mod customers;
pub mod engine;
pub mod error;
pub mod events;
pub mod hold_batch;
pub mod holds;
pub mod lists;
pub mod log;
pub mod numbers;
pub mod options;
pub mod order_requests;
pub mod orders;
pub mod payments;
pub mod product_requests;
pub mod products;
pub mod text;
pub mod version;
pub mod waiting_payments;
