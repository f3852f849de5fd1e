//! The server as a client sees it: the real program in a process of its own,
//! spoken to over a real socket.
//!
//! What the contract says is tested on SQLite and on MariaDB with Redis; what
//! is the server's own affair, on SQLite alone.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod answer;
mod cases;
mod cli;
mod contract;
mod document;
mod floods;
mod frames;
mod holds;
mod idempotency;
mod lifecycle;
mod limits;
mod malformed;
mod observed;
mod operators;
mod outage;
mod raw;
mod security;
mod server;
mod signatures;
mod smuggling;
mod unix;
mod webhook;

/// Makes a test of each function on every backend the contract is kept on.
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
