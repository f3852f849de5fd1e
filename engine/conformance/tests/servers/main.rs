//! Engines on MySQL and MariaDB servers of their own, each set up as one that
//! shops really run: odd sessions, TLS, and servers that cannot be used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod differences;
mod login;
mod lost;
mod server;
mod sessions;
mod work;
