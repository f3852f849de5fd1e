//! The reference server of the Stockade reservation engine, and its command
//! line. The program is `stockade`; a program that has an engine of its own can
//! let others use it by [`serve`].
//!
//! A request passes through `serve` (connections, limits, the way down), then
//! `app` (the road from a request to its answer), `router` (which endpoint)
//! and `handlers` (the endpoint itself, which turns arguments into one call of
//! the engine and its answer into JSON). The rules are all in the engine.

mod app;
mod auth;
mod body;
mod call;
mod cli;
mod connection;
mod demo;
mod environment;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handlers;
mod limits;
mod listeners;
mod local_guard;
mod logs;
mod metrics;
mod problem;
mod readiness;
mod reply;
mod request_id;
mod response;
mod router;
mod serve;
mod settings;
mod shared;
mod signals;
mod signature;
mod stream;
#[cfg_attr(not(unix), path = "no_unix_socket.rs")]
mod unix_socket;
mod values;

use std::process::ExitCode;

pub use failure::Failure;
pub use listeners::Listeners;
pub use serve::serve;
pub use settings::{LogFormat, Mode, Secrets, Settings};

/// Runs the program.
pub fn main() -> ExitCode {
    cli::main()
}
