//! Simulates Redis: locks with fencing tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::fault_schedule::{FaultKind, FaultSchedule};
use super::world::here;
use crate::lock::{Grant, Lease, Lock, LockName, Renewal};
use crate::runtime;

#[derive(Default)]
struct NamedLock {
    /// The owner's token and the lease's end.
    holder: Option<(u128, Duration)>,
    fence: u64,
    /// Waiters in FIFO order.
    waiting: Vec<(u128, oneshot::Sender<()>)>,
}

impl NamedLock {
    /// The owner, unless its lease has expired.
    fn holder(&self) -> Option<u128> {
        let (token, until) = self.holder?;
        (until > here().time()).then_some(token)
    }

    fn grant(&mut self, token: u128, ttl: Duration) -> u64 {
        self.holder = Some((token, here().time() + ttl));
        self.fence += 1;
        self.fence
    }

    /// Wakes the next waiter, which then retries.
    fn wake(&mut self) {
        while !self.waiting.is_empty() {
            let (_, turn) = self.waiting.remove(0);
            if turn.send(()).is_ok() {
                return;
            }
        }
    }
}

/// The simulated server.
#[derive(Default)]
pub(super) struct Redis {
    names: Mutex<BTreeMap<LockName, NamedLock>>,
}

impl Redis {
    fn names(&self) -> MutexGuard<'_, BTreeMap<LockName, NamedLock>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process's lock client.
pub(super) struct SimulatedLock {
    pub redis: Arc<Redis>,
    pub faults: Arc<FaultSchedule>,
    pub ttl: Duration,
    /// Whether every acquire succeeds at once: mutual exclusion is broken on
    /// purpose.
    pub grants_always: bool,
}

impl SimulatedLock {
    /// Simulates one network transit; returns whether the message arrived.
    async fn transit(&self, loss: FaultKind) -> bool {
        let latency = self.faults.latency(FaultKind::RedisSlow);
        runtime::sleep(latency).await;
        !self.faults.strikes(loss)
    }

    /// Injects the key losses of a failover between two commands.
    fn inject_loss(&self, name: LockName) {
        if self.faults.strikes(FaultKind::RedisFlushed) {
            let mut names = self.redis.names();
            for name in names.values_mut() {
                (name.holder, name.fence) = (None, 0);
                name.wake();
            }
        }
        if self.faults.strikes(FaultKind::LockLost)
            && let Some(name) = self.redis.names().get_mut(&name)
        {
            name.holder = None;
            name.wake();
        }
    }

    async fn try_acquire(&self, name: LockName, token: u128, until: Duration) -> Grant {
        loop {
            if !self.transit(FaultKind::RedisDown).await {
                return Grant::Down;
            }
            let asked = runtime::now();
            self.inject_loss(name);
            let waits = {
                let mut names = self.redis.names();
                let lock = names.entry(name).or_default();
                if lock.holder().is_none() || self.grants_always {
                    Ok(lock.grant(token, self.ttl))
                } else {
                    let (turn, mine) = oneshot::channel();
                    lock.waiting.push((token, turn));
                    let left = lock.holder.map_or(Duration::ZERO, |(_, until)| until);
                    Err((mine, left.saturating_sub(here().time())))
                }
            };
            let (turn, left) = match waits {
                Ok(_) if !self.transit(FaultKind::RedisResponseLost).await => return Grant::Down,
                Ok(fence) => {
                    let fence = Some(fence);
                    return Grant::Granted(Lease { name, token, fence, granted_at: asked });
                }
                Err(waits) => waits,
            };
            let patience = until.saturating_sub(here().time());
            let _ = runtime::timeout(left.min(patience), turn).await;
            if here().time() >= until {
                if let Some(lock) = self.redis.names().get_mut(&name) {
                    lock.waiting.retain(|(waiter, _)| *waiter != token);
                }
                return Grant::TimedOut;
            }
        }
    }
}

impl Lock for SimulatedLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        let token = runtime::random();
        let until = here().time() + wait;
        Box::pin(self.try_acquire(name, token, until))
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            if !self.transit(FaultKind::RedisDown).await {
                return Renewal::Lost;
            }
            self.inject_loss(lease.name);
            let kept = {
                let mut names = self.redis.names();
                let lock = names.entry(lease.name).or_default();
                if lock.holder() != Some(lease.token) {
                    Renewal::Lost
                } else if lock.waiting.is_empty() {
                    lock.holder = Some((lease.token, here().time() + self.ttl));
                    Renewal::Renewed
                } else {
                    lock.holder = None;
                    lock.wake();
                    Renewal::HandedOver
                }
            };
            if self.transit(FaultKind::RedisResponseLost).await { kept } else { Renewal::Lost }
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !self.transit(FaultKind::RedisDown).await {
                return;
            }
            if let Some(lock) = self.redis.names().get_mut(&lease.name)
                && lock.holder() == Some(lease.token)
            {
                lock.holder = None;
                lock.wake();
            }
        })
    }

    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.transit(FaultKind::RedisDown).await {
                let mut names = self.redis.names();
                let lock = names.entry(name).or_default();
                lock.fence = lock.fence.max(seen);
            }
        })
    }
}
