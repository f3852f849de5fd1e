//! A lock that grants at once to every caller, for tests: the engine must be
//! correct without mutual exclusion.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::{Grant, Lease, Lock, LockName, Renewal};
use crate::model::Token;

/// Grants every request. Its fencing tokens grow within one process only, so
/// those of several processes overtake each other.
#[derive(Default)]
pub(crate) struct GrantingLock {
    fence: AtomicU64,
}

impl Lock for GrantingLock {
    fn acquire(&self, name: LockName, _wait: Duration) -> BoxFuture<'_, Grant> {
        let fence = self.fence.fetch_add(1, Ordering::Relaxed) + 1;
        let (token, granted_at) = (Token::random().0, Instant::now());
        let lease = Lease { name, token, fence: Some(fence), granted_at };
        Box::pin(std::future::ready(Grant::Granted(lease)))
    }

    fn renew<'a>(&'a self, _lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        Box::pin(std::future::ready(Renewal::Renewed))
    }

    fn release(&self, _lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn raise_fence(&self, _name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        self.fence.fetch_max(seen, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}
