//! The reference server of the Stockade reservation engine and its command
//! line. The program is `stockade`; a program with an engine of its own can
//! serve it to others by [`serve`].
//!
//! A request passes through `serve` (connections, limits, graceful shutdown),
//! `app` (request handling), `router` (path to endpoint) and `handlers` (one
//! engine call per endpoint). All rules are in the engine.

mod app;
mod auth;
mod body;
mod call;
mod cli;
mod command_error;
mod connection;
mod demo;
mod environment;
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
mod signals;
mod signature;
mod state;
mod stream;
#[cfg_attr(not(unix), path = "no_unix_socket.rs")]
mod unix_socket;
mod values;

use std::process::ExitCode;

pub use command_error::CommandError;
pub use listeners::Listeners;
pub use serve::serve;
pub use settings::{LogFormat, Mode, Secrets, Settings};

/// Runs the program.
pub fn main() -> ExitCode {
    cli::main()
}
