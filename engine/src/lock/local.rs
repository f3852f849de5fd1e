//! Turns within one process, in the order of asking.
//!
//! Two engines of one process on the same store would else meet in the
//! database, which lets one of them wait by polling.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::{Grant, Kept, Lease, Lock, LockName};
use crate::model::Token;
use crate::runtime;

/// A holder that has not been heard of for so long was lost, as by a panic.
const LAPSE: Duration = Duration::from_secs(10);

/// The locks of one store.
#[derive(Default)]
pub(crate) struct LocalLock {
    /// The names in use. A name is here while it is held, so a waiter always
    /// finds a holder who will wake it. Held for a look-up or a send, which
    /// never waits, and never together with another lock.
    names: Mutex<HashMap<LockName, Turns>>,
}

struct Turns {
    holder: u128,
    /// When the holder had its turn or renewed it.
    since: Instant,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    token: u128,
    turn: oneshot::Sender<()>,
}

impl Turns {
    fn of(holder: u128) -> Self {
        Self { holder, since: runtime::now(), waiting: VecDeque::new() }
    }

    /// Makes the first who still waits the holder.
    fn pass_on(&mut self) -> bool {
        self.since = runtime::now();
        while let Some(Waiter { token, turn }) = self.waiting.pop_front() {
            self.holder = token;
            if turn.send(()).is_ok() {
                return true;
            }
        }
        false
    }
}

impl LocalLock {
    fn names(&self) -> MutexGuard<'_, HashMap<LockName, Turns>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the name, or a place in its queue and what tells of the turn.
    fn enter(&self, name: LockName, token: u128) -> Option<oneshot::Receiver<()>> {
        let mut names = self.names();
        let turns = match names.entry(name) {
            Entry::Vacant(free) => {
                free.insert(Turns::of(token));
                return None;
            }
            Entry::Occupied(taken) => taken.into_mut(),
        };
        if runtime::elapsed(turns.since) >= LAPSE && !turns.pass_on() {
            *turns = Turns::of(token);
            return None;
        }
        let (turn, mine) = oneshot::channel();
        turns.waiting.push_back(Waiter { token, turn });
        Some(mine)
    }

    /// Takes `token` out, whether it holds the name or waits for it.
    fn give_up(&self, name: LockName, token: u128) {
        let mut names = self.names();
        let Entry::Occupied(mut turns) = names.entry(name) else {
            return;
        };
        if turns.get().holder != token {
            turns.get_mut().waiting.retain(|waiter| waiter.token != token);
        } else if !turns.get_mut().pass_on() {
            turns.remove();
        }
    }
}

/// A token that was not returned as a lease yet. Dropped, it leaves its place,
/// and passes on a turn that came too late.
struct Place<'a> {
    lock: &'a LocalLock,
    name: LockName,
    token: u128,
    taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.taken {
            self.lock.give_up(self.name, self.token);
        }
    }
}

impl Lock for LocalLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        Box::pin(async move {
            let token = Token::random().0;
            let mut place = Place { lock: self, name, token, taken: false };
            let turn = self.enter(name, token);
            if let Some(turn) = turn
                && !matches!(runtime::timeout(wait, turn).await, Some(Ok(())))
            {
                return Grant::NotInTime;
            }
            place.taken = true;
            Grant::Granted(Lease { name, token, fence: None, granted_at: runtime::now() })
        })
    }

    fn keep<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Kept> {
        Box::pin(async move {
            match self.names().get_mut(&lease.name) {
                Some(turns) if turns.holder == lease.token => {
                    if turns.pass_on() {
                        return Kept::HandedOver;
                    }
                    turns.holder = lease.token;
                    Kept::Renewed
                }
                _ => Kept::Lost,
            }
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.give_up(lease.name, lease.token) })
    }

    fn raise_fence(&self, _: LockName, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests;
