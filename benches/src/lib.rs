//! The framework of Stockade's benches: throw-away servers, contenders, load
//! drivers, interleaved rounds, tables and result files.
//!
//! The benches are the modules of [`suite`]. Each calls [`bench::main`] and
//! compares [`contenders`] by
//! [`Bench::versus`](bench::Bench::versus) and
//! [`Bench::at_fixed_rates`](bench::Bench::at_fixed_rates).
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench reports by panicking: there is nothing to recover"
)]

pub mod args;
pub mod bench;
pub mod child;
pub mod closed;
pub mod contender;
pub mod contenders;
pub mod erased;
pub mod exact;
pub mod fairness;
pub mod heading;
pub mod http;
pub mod memory;
pub mod open;
pub mod plot;
pub mod processes;
pub mod responder;
pub mod results;
pub mod rounds;
pub mod run;
pub mod server;
pub mod setup;
pub mod storm;
pub mod suite;
pub mod table;
