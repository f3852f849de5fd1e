//! Tests of the relay: the real program in a child process, real endpoints that fail,
//! hang, answer slowly, redirect, go away and come back, on real stores.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod dead_letters;
mod endpoints;
mod kills;
mod receiver;
mod shop;
mod targets;
