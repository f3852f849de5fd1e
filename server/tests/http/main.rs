//! Tests of the server as a client sees it: the real program in a child
//! process, over a real socket.
//!
//! The contract is tested on SQLite and on MariaDB with Redis; the server's own
//! behaviour on SQLite only.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod answer;
mod callers;
mod cases;
mod cli;
mod cli_backup;
mod cli_doctor;
mod cli_help;
mod cli_load;
mod cli_products;
mod contract;
mod cors;
mod document;
mod floods;
mod frames;
mod hold_batch;
mod holds;
mod idempotency;
mod lifecycle;
mod limits;
mod lists;
mod malformed;
mod observed;
mod operators;
mod orders;
mod outage;
mod paymob;
mod products;
mod provider_events;
mod providers;
mod rates;
mod raw;
mod security;
mod server;
mod signatures;
mod smuggling;
mod unix;
mod webhook;

/// Defines a test of each function per backend of the contract.
macro_rules! on_every_backend {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(crate::server::Backend::Sqlite); })*
        }
        mod mariadb_with_redis {
            $(#[test] fn $name() {
                stockade_testkit::skip_without!(MariaDb, Redis);
                super::$name(crate::server::Backend::MariaDbWithRedis);
            })*
        }
    };
}
pub(crate) use on_every_backend;
