//! Locks that spare the database a queue of transactions on one row.
//!
//! No lock here is needed for safety: the row decides. A lock that grants to
//! everyone, or loses its lease half way, costs speed and nothing else.

pub(crate) mod granting;
pub(crate) mod local;
pub(crate) mod redis;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

/// What is locked: one product, or all of a store with a single writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LockName(pub u64);

/// A lock that was granted for a time.
#[derive(Debug)]
pub(crate) struct Lease {
    pub name: LockName,
    /// Shows who holds the lock; only its holder can renew or release it.
    pub token: u128,
    /// Greater for each grant of the same name; the product row refuses one
    /// smaller than it has seen. `None` where the lock cannot be lost.
    pub fence: Option<u64>,
    pub granted_at: Instant,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub(crate) enum Grant {
    Granted(Lease),
    /// Others kept it for the whole wait.
    NotInTime,
    /// The lock service cannot be reached.
    Down,
}

/// What came of asking to keep a lock for longer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// No one waits: the lease was renewed.
    Renewed,
    /// Another waits: the lock was handed over.
    HandedOver,
    /// The lease had run out, or the service cannot be reached.
    Lost,
}

/// A lock service.
pub(crate) trait Lock: Send + Sync {
    /// Waits for the lock, first come first served, for at most `wait`.
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant>;

    /// Renews the lease, or hands the lock over if another waits for it.
    fn keep<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Kept>;

    /// Gives the lock back and wakes the next who waits. Harmless when the
    /// lease is lost.
    fn release(&self, lease: Lease) -> BoxFuture<'_, ()>;

    /// Makes the fences of later grants greater than `seen`.
    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()>;
}
