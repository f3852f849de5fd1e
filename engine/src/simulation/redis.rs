//! The simulated Redis: locks with fences, and the word of what was written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::weather::{Ill, Weather};
use super::world::here;
use crate::lock::{Grant, Lease, Lock, LockName, Renewal};
use crate::runtime;

#[derive(Default)]
struct Name {
    /// Who has the lock, and until when.
    holder: Option<(u128, Duration)>,
    fence: u64,
    /// First come first served.
    waiting: Vec<(u128, oneshot::Sender<()>)>,
}

impl Name {
    /// The holder whose time is not over.
    fn holder(&self) -> Option<u128> {
        let (token, until) = self.holder?;
        (until > here().time()).then_some(token)
    }

    fn grant(&mut self, token: u128, ttl: Duration) -> u64 {
        self.holder = Some((token, here().time() + ttl));
        self.fence += 1;
        self.fence
    }

    /// Wakes the next who waits, who asks then.
    fn wake(&mut self) {
        while !self.waiting.is_empty() {
            let (_, turn) = self.waiting.remove(0);
            if turn.send(()).is_ok() {
                return;
            }
        }
    }
}

/// The server.
#[derive(Default)]
pub(super) struct Redis {
    names: Mutex<BTreeMap<LockName, Name>>,
}

impl Redis {
    fn names(&self) -> MutexGuard<'_, BTreeMap<LockName, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process's way to it.
pub(super) struct SimulatedLock {
    pub redis: Arc<Redis>,
    pub weather: Arc<Weather>,
    pub ttl: Duration,
    /// Whether it grants to everyone.
    pub grants_always: bool,
}

impl SimulatedLock {
    /// One way to the server or back; says whether it was passed.
    async fn way(&self, loss: Ill) -> bool {
        let under_way = self.weather.under_way(Ill::RedisSlow);
        runtime::sleep(under_way).await;
        !self.weather.strikes(loss)
    }

    /// What a server that fails over may do between two commands.
    fn forget(&self, name: LockName) {
        if self.weather.strikes(Ill::RedisFlushed) {
            let mut names = self.redis.names();
            for name in names.values_mut() {
                (name.holder, name.fence) = (None, 0);
                name.wake();
            }
        }
        if self.weather.strikes(Ill::LockLost)
            && let Some(name) = self.redis.names().get_mut(&name)
        {
            name.holder = None;
            name.wake();
        }
    }

    async fn ask(&self, name: LockName, token: u128, until: Duration) -> Grant {
        loop {
            if !self.way(Ill::RedisDown).await {
                return Grant::Down;
            }
            let asked = runtime::now();
            self.forget(name);
            let waits = {
                let mut names = self.redis.names();
                let place = names.entry(name).or_default();
                if place.holder().is_none() || self.grants_always {
                    Ok(place.grant(token, self.ttl))
                } else {
                    let (turn, mine) = oneshot::channel();
                    place.waiting.push((token, turn));
                    let left = place.holder.map_or(Duration::ZERO, |(_, until)| until);
                    Err((mine, left.saturating_sub(here().time())))
                }
            };
            let (turn, left) = match waits {
                Ok(_) if !self.way(Ill::RedisAnswerLost).await => return Grant::Down,
                Ok(fence) => {
                    let fence = Some(fence);
                    return Grant::Granted(Lease { name, token, fence, granted_at: asked });
                }
                Err(waits) => waits,
            };
            let patience = until.saturating_sub(here().time());
            let _ = runtime::timeout(left.min(patience), turn).await;
            if here().time() >= until {
                if let Some(place) = self.redis.names().get_mut(&name) {
                    place.waiting.retain(|(waiter, _)| *waiter != token);
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
        Box::pin(self.ask(name, token, until))
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            if !self.way(Ill::RedisDown).await {
                return Renewal::Lost;
            }
            self.forget(lease.name);
            let kept = {
                let mut names = self.redis.names();
                let place = names.entry(lease.name).or_default();
                if place.holder() != Some(lease.token) {
                    Renewal::Lost
                } else if place.waiting.is_empty() {
                    place.holder = Some((lease.token, here().time() + self.ttl));
                    Renewal::Renewed
                } else {
                    place.holder = None;
                    place.wake();
                    Renewal::HandedOver
                }
            };
            if self.way(Ill::RedisAnswerLost).await { kept } else { Renewal::Lost }
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !self.way(Ill::RedisDown).await {
                return;
            }
            if let Some(place) = self.redis.names().get_mut(&lease.name)
                && place.holder() == Some(lease.token)
            {
                place.holder = None;
                place.wake();
            }
        })
    }

    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.way(Ill::RedisDown).await {
                let mut names = self.redis.names();
                let place = names.entry(name).or_default();
                place.fence = place.fence.max(seen);
            }
        })
    }
}
