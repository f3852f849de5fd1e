//! Advisory locks, which spare the database a queue of transactions on one row.
//!
//! No lock here is needed for safety: the row decides. A lock that grants to
//! every caller, or loses its lease half way, costs throughput and nothing else.

#[cfg(feature = "testing")]
pub(crate) mod granting;
pub(crate) mod local;
#[cfg_attr(not(feature = "redis"), path = "lock/no_redis.rs")]
pub(crate) mod redis;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

/// What is locked: one product, or all of a store with a single writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LockName(pub u64);

#[derive(Debug)]
pub(crate) struct Lease {
    pub name: LockName,
    /// Identifies the holder: only a caller with this token renews or releases
    /// the lock.
    pub token: u128,
    /// The fencing token, greater for each grant of the same name; the product
    /// row rejects one smaller than the greatest that wrote it. `None` for a lock
    /// that cannot be lost.
    pub fence: Option<u64>,
    pub granted_at: Instant,
}

#[derive(Debug)]
pub(crate) enum Grant {
    Granted(Lease),
    /// Others held it for the whole wait.
    TimedOut,
    /// The lock service cannot be reached.
    Down,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease was extended.
    Renewed,
    /// Another waits: the lock is theirs now.
    HandedOver,
    /// The lease had expired, or the service cannot be reached.
    Lost,
}

pub(crate) trait Lock: Send + Sync {
    /// Waits for the lock, in order of arrival, for at most `wait`.
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant>;

    /// Renews the lease, or hands the lock over if another waits for it.
    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal>;

    /// Releases the lock and wakes the next waiter. Harmless if the lease is
    /// lost.
    fn release(&self, lease: Lease) -> BoxFuture<'_, ()>;

    /// Makes the fencing tokens of later grants greater than `seen`.
    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()>;
}
