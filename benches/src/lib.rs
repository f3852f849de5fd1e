//! What Stockade's benches share: throw-away servers, contenders, drivers of
//! load, rounds that let contenders take turns, tables and files.
//!
//! A bench target calls [`bench::main`] and, in it, lets [`contenders`] meet
//! by [`Bench::versus`](bench::Bench::versus) and
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
pub mod entrant;
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
pub mod table;
