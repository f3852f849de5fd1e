//! The reference server of the Stockade reservation engine and its command
//! line. The program is `stockade`; a program with an engine of its own can
//! serve it to others by [`serve`].
//!
//! A request passes through `serve` (connections, limits, graceful shutdown),
//! `app` (request handling), `router` (path to endpoint), `admission` (who may
//! call it, and how often) and `handlers` (one engine call per endpoint). All
//! rules are in the engine.

mod admission;
mod api_keys;
mod app;
mod auth;
mod body;
mod call;
mod caller;
mod cli;
mod client_address;
mod command_error;
mod connection;
mod control_room;
mod cors;
mod demo;
mod environment;
mod event_view;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handlers;
mod https_client;
mod limits;
mod listeners;
mod local_guard;
mod logs;
mod metrics;
mod moment;
mod money;
mod problem;
mod providers;
mod rate_limit;
mod readiness;
mod relay;
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

pub use api_keys::NamedKeys;
pub use client_address::TrustedProxies;
pub use command_error::CommandError;
pub use cors::Origins;
pub use listeners::Listeners;
pub use rate_limit::Rate;
pub use serve::serve;
pub use settings::{Anonymous, LogFormat, Mode, ProviderUrl, Secrets, Settings};

/// Runs the program.
pub fn main() -> ExitCode {
    cli::main()
}
