//! Test support for Stockade: throw-away real servers, a fault-injecting TCP
//! proxy, and a few helpers.
//!
//! The API blocks and needs only the standard library's threads, so tests, async
//! tests and benches can all use it. A failure of the kit itself panics with the
//! expectation and the tail of the server's log.
//!
//! * [`MariaDb`], [`MySql`] and [`Redis`] start a private server in a folder of
//!   its own, on a loopback port of its own. Dropping the value kills the server
//!   and removes the folder.
//! * [`Postgres`] is there for the benches, whose contenders need it.
//! * [`Galera`] is a MariaDB cluster of three nodes, [`GroupReplication`] one of
//!   MySQL, and [`Sentinel`] a Redis master with two replicas and three
//!   sentinels.
//! * [`MariaDb::shared`], [`MySql::shared`] and [`Redis::shared`] give one
//!   server to many tests: the one that `stockade-testkit run -- COMMAND`
//!   started for this run, or else one per process.
//! * [`RedisCluster`] has three masters with a replica each.
//! * [`Certificates`] makes what TLS needs, [`HaProxy`] ends idle connections.
//! * [`Proxy`] sits between a client and a server and cuts connections at a
//!   chosen byte of the conversation.
//! * [`cases`] is the conformance table that every language binding runs.
//! * [`load`] runs workers on threads while a script breaks something.
//! * [`skip_without`] skips a test whose programs are not installed.
//! * [`TempDb`] is a SQLite file, [`wait_until`] and [`free_port`] do what they
//!   say.
//!
//! # What dies when
//!
//! The kernel sends a server SIGKILL when the process that started it ends for
//! any reason (parent-death signal), so even a killed test leaves no server
//! behind. A watchdog shell per folder removes the folder in that case.
//!
//! ```
//! use std::time::Duration;
//! use stockade_testkit::{Redis, wait_until};
//!
//! let redis = Redis::start();
//! redis.command(&["SET", "sku", "7"]);
//! wait_until("the value is there", Duration::from_secs(5), || {
//!     redis.command(&["GET", "sku"]) == "7"
//! });
//! ```
//!
//! Linux only: it needs `setpriv` from util-linux and `/proc`; network partitions
//! also need `unshare`, `nsenter` and iproute2.
#![expect(
    clippy::panic,
    reason = "a test kit reports by panicking: its caller is a test, and there is nothing to recover"
)]

mod binaries;
pub mod cases;
mod certificates;
mod folder;
mod galera;
mod group_replication;
mod haproxy;
pub mod load;
mod nodes;
mod owned;
mod port;
mod postgres;
mod process;
mod proxy;
mod redis;
mod redis_cluster;
mod requirements;
mod sentinel;
mod sql;
mod tempdb;
mod tool;
mod unique;
mod wait;

pub use certificates::{Certificates, Identity};
pub use galera::Galera;
pub use group_replication::GroupReplication;
pub use haproxy::{HaProxy, HaProxyAddr};
pub use nodes::Nodes;
pub use owned::Owned;
pub use port::free_port;
pub use postgres::{Postgres, PostgresAddr};
pub use proxy::{CutWhen, Proxy};
pub use redis::{Redis, SharedRedis};
pub use redis_cluster::RedisCluster;
pub use requirements::{Program, is_skipped, missing_program};
pub use sentinel::Sentinel;
pub use sql::{Flavour, MariaDb, MySql, SharedSqlServer, SqlServer};
pub use tempdb::TempDb;
pub use wait::wait_until;

/// Names the environment variable with the port of the MariaDB that this test
/// run shares; `stockade-testkit run` sets it.
pub const ENV_MARIADB: &str = "STOCKADE_TEST_MARIADB";

/// Names the environment variable with the port of the MySQL that this test run
/// shares; `stockade-testkit run` sets it.
pub const ENV_MYSQL: &str = "STOCKADE_TEST_MYSQL";

/// Names the environment variable with the unpacked root whose MariaDB is used
/// instead of the installed one: `mariadb`.
pub const ENV_MARIADB_ROOT: &str = "STOCKADE_TEST_MARIADB_ROOT";

/// Names the environment variable with the unpacked root whose Redis, or Valkey
/// in its place, is used instead of the installed one: `redis` or `valkey`.
pub const ENV_REDIS_ROOT: &str = "STOCKADE_TEST_REDIS_ROOT";

/// Names the environment variable with the port of the Redis that this test run
/// shares; `stockade-testkit run` sets it.
pub const ENV_REDIS: &str = "STOCKADE_TEST_REDIS";

/// Names the environment variable with the folder of locks of the databases that tests
/// hand on to each other; `stockade-testkit run` sets it. See
/// [`SharedSqlServer::recycled_database`].
pub const ENV_DATABASES: &str = "STOCKADE_TEST_DATABASES";

/// Names the environment variable that forbids to skip a test: with `all`, a test
/// whose programs are not installed fails. `stockade-testkit run` sets it.
pub const ENV_REQUIRE: &str = "STOCKADE_TEST_REQUIRE";

#[cfg(test)]
mod tests {
    use super::{Galera, Proxy, Redis, Sentinel, SharedRedis, SharedSqlServer, SqlServer, TempDb};

    fn assert_send_sync<T: Send + Sync>() {}

    #[test]
    fn every_public_type_can_be_shared_between_threads() {
        assert_send_sync::<Galera>();
        assert_send_sync::<Sentinel>();
        assert_send_sync::<Proxy>();
        assert_send_sync::<Redis>();
        assert_send_sync::<SharedSqlServer>();
        assert_send_sync::<SharedRedis>();
        assert_send_sync::<SqlServer>();
        assert_send_sync::<TempDb>();
    }
}
