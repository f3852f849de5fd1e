//! A fair lock within one process: a queue for each name, in order of arrival.
//!
//! Two engines of one process on the same store would otherwise meet in the
//! database, which lets one of them wait by polling.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Grant, Lease, Lock, LockName, Renewal};
use crate::model::Token;
use crate::runtime;

/// A holder that did not renew for so long counts as lost, as by a panic. Far
/// longer than a run of batches keeps a lock (`lock_run`, 20 ms by default).
const HOLDER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct LocalLock {
    /// The locked names. A name is here while it is held, so a waiter always
    /// finds a holder that will wake it. A plain mutex, never taken together with
    /// another lock: each critical section is a map lookup or a send and never
    /// awaits.
    names: Mutex<HashMap<LockName, LockQueue>>,
}

/// The holder of one name, and those that wait for it.
struct LockQueue {
    holder: u128,
    /// When the holder was granted the lock or renewed it.
    renewed_at: Instant,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    token: u128,
    grant: oneshot::Sender<()>,
}

impl LockQueue {
    fn held_by(holder: u128) -> Self {
        Self { holder, renewed_at: runtime::now(), waiters: VecDeque::new() }
    }

    /// Grants the lock to the first waiter that is still there; false if none is.
    fn grant_next(&mut self) -> bool {
        self.renewed_at = runtime::now();
        while let Some(Waiter { token, grant }) = self.waiters.pop_front() {
            self.holder = token;
            if grant.send(()).is_ok() {
                return true;
            }
        }
        false
    }
}

impl LocalLock {
    /// Locks a free name (`None`), or joins its queue and returns the grant to
    /// wait for.
    fn enqueue(&self, name: LockName, token: u128) -> Option<oneshot::Receiver<()>> {
        let mut names = self.names.lock();
        let queue = match names.entry(name) {
            Entry::Vacant(free) => {
                free.insert(LockQueue::held_by(token));
                return None;
            }
            Entry::Occupied(held) => held.into_mut(),
        };
        if runtime::elapsed(queue.renewed_at) >= HOLDER_TIMEOUT && !queue.grant_next() {
            *queue = LockQueue::held_by(token);
            return None;
        }
        let (grant, granted) = oneshot::channel();
        queue.waiters.push_back(Waiter { token, grant });
        Some(granted)
    }

    /// Removes `token`, whether it holds the name or waits for it.
    fn remove(&self, name: LockName, token: u128) {
        let mut names = self.names.lock();
        let Entry::Occupied(mut queue) = names.entry(name) else {
            return;
        };
        if queue.get().holder != token {
            queue.get_mut().waiters.retain(|waiter| waiter.token != token);
        } else if !queue.get_mut().grant_next() {
            queue.remove();
        }
    }
}

/// A token in a queue that was not returned as a lease yet. Dropped, it leaves
/// the queue, and passes on a grant that came too late.
struct QueueTicket<'a> {
    lock: &'a LocalLock,
    name: LockName,
    token: u128,
    is_granted: bool,
}

impl Drop for QueueTicket<'_> {
    fn drop(&mut self) {
        if !self.is_granted {
            self.lock.remove(self.name, self.token);
        }
    }
}

impl Lock for LocalLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        Box::pin(async move {
            let token = Token::random().0;
            let mut ticket = QueueTicket { lock: self, name, token, is_granted: false };
            let granted = self.enqueue(name, token);
            if let Some(granted) = granted
                && !matches!(runtime::timeout(wait, granted).await, Some(Ok(())))
            {
                return Grant::TimedOut;
            }
            ticket.is_granted = true;
            Grant::Granted(Lease { name, token, fence: None, granted_at: runtime::now() })
        })
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            match self.names.lock().get_mut(&lease.name) {
                Some(queue) if queue.holder == lease.token => {
                    if queue.grant_next() {
                        return Renewal::HandedOver;
                    }
                    queue.holder = lease.token;
                    Renewal::Renewed
                }
                _ => Renewal::Lost,
            }
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.remove(lease.name, lease.token) })
    }

    fn raise_fence(&self, _: LockName, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests;
