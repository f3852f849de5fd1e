//! The lock between processes, in Redis.
//!
//! Three keys a name, in one slot of a cluster: the lock itself (the holder's
//! token, with the lease as its life), the last fence, and the queue of those
//! who wait, by arrival. The lock is never free while someone waits: who gives
//! it back hands it to the first in the queue within the same script and tells
//! that waiter's process by a message, so no one is overtaken and no one polls.
//!
//! What may go wrong is bounded by the lease. A waiter whose process is gone
//! has no one to hear the message, and is passed over; in a cluster, where a
//! server counts those alone who listen at itself, it costs the others one
//! lease. A message that is lost, or a holder that dies, is found by those who
//! wait when the lease that they saw should be over. A waiter that leaves, or whose request was cut off
//! before its answer, is taken out by token in the background.
//!
//! A fence is the server's clock in microseconds, or one more than the last if
//! that is greater: an emptied Redis goes on with greater fences, and the key
//! of the last one may run out after a day, since only a clock put back by
//! more than that could then repeat one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use redis::{Script, ScriptInvocation};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Grant, Kept, Lease, Lock, LockName};
use crate::model::Token;
use crate::redis_connection::{Notice, RedisConnection, RedisConnectionError, Subscription};

/// Lets the server's expiry come first when a lease has run out.
const MARGIN: Duration = Duration::from_millis(5);
/// Tokens that may wait to be taken out of Redis; those beyond it cost others
/// one lease each.
const UNDONE_MAX: usize = 4096;

/// A name's keys: the holder's token, the last fence, those who wait.
const LOCK: &str = "lock";
const FENCE: &str = "fence";
const QUEUE: &str = "queue";

/// What the scripts that grant have in common.
const COMMON: &str = r"
local lock, fence, queue = KEYS[1], KEYS[2], KEYS[3]
local token, channel, lease, counts = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local me = token .. ' ' .. channel

local function grant(to)
  local time = redis.call('TIME')
  local last = tonumber(redis.call('GET', fence)) or 0
  local number = math.max(time[1] * 1000000 + time[2], last + 1)
  redis.call('SET', fence, string.format('%.0f', number), 'PX', 86400000)
  redis.call('SET', lock, to, 'PX', lease)
  return number
end

-- Gives the lock to the first who waits and is heard of; a message that no one
-- hears was for a process that is gone, where the server counts all who hear.
local function pass_on()
  local first = redis.call('ZPOPMIN', queue)
  while first[1] do
    local heir, ear = string.match(first[1], '^(%x+) (.+)$')
    local number = grant(heir)
    if heir == token then
      return heir, number
    end
    local heard = redis.call('PUBLISH', ear, heir .. ' ' .. string.format('%.0f', number))
    if heard > 0 or not counts then
      return heir, number
    end
    redis.call('DEL', lock)
    first = redis.call('ZPOPMIN', queue)
  end
end
";

/// Takes the lock, or a place in the queue: `{1, fence}`, or `{0, for how many
/// milliseconds the lock is taken}`. Asked again, it keeps its place.
const ACQUIRE: &str = r"
local holder = redis.call('GET', lock)
if holder == token then
  return {1, tonumber(redis.call('GET', fence)) or grant(token)}
end
if not holder and redis.call('EXISTS', queue) == 0 then
  return {1, grant(token)}
end
local last = redis.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES')
redis.call('ZADD', queue, 'NX', (tonumber(last[2]) or 0) + 1, me)
redis.call('PEXPIRE', queue, lease + 60000)
if not holder then
  local heir, number = pass_on()
  if heir == token then
    return {1, number}
  end
end
return {0, redis.call('PTTL', lock)}
";

/// Leaves the queue, and gives the lock back if it is held.
const RELEASE: &str = r"
redis.call('ZREM', queue, me)
local holder = redis.call('GET', lock)
if holder == token then
  redis.call('DEL', lock)
end
if holder == token or not holder then
  pass_on()
end
return 1
";

/// 0 the lock was lost, 1 it was renewed, 2 it was handed over.
const KEEP: &str = r"
if redis.call('GET', lock) ~= token then
  return 0
end
if pass_on() then
  return 2
end
redis.call('SET', lock, token, 'PX', lease)
return 1
";

const RAISE: &str = r"
if tonumber(ARGV[1]) > (tonumber(redis.call('GET', KEYS[1])) or 0) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000)
end
return 1
";

static ACQUIRE_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(ACQUIRE));
static RELEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(RELEASE));
static KEEP_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(KEEP));
static RAISE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(RAISE));

fn script(body: &str) -> Script {
    Script::new(&format!("{COMMON}{body}"))
}

/// Why a waiter is woken.
enum Wake {
    Granted {
        fence: u64,
    },
    /// Messages may have been missed: ask again.
    Look,
}

/// Locks shared by all processes that use the same Redis and prefix.
pub(crate) struct RedisLock {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    link: RedisConnection,
    /// Where this lock's waiters are woken: one subscription for all of them.
    channel: String,
    lease: Duration,
    /// Who waits here, by token. Held for a look-up or a send, which never
    /// waits. One place in each channel is enough: a waiter that finds `Look`
    /// asks again and so learns of a grant as well.
    waiters: Mutex<HashMap<u128, mpsc::Sender<Wake>>>,
    undone: mpsc::Sender<(LockName, u128)>,
}

impl RedisLock {
    /// Starts the lock's two tasks: it must be called inside a runtime. They
    /// end with the lock.
    pub fn new(link: RedisConnection, lease_ttl: Duration) -> Self {
        let (undone, undo) = mpsc::channel(UNDONE_MAX);
        let shared = Arc::new(Shared {
            channel: link.names().channel(&format!("wake:{}", Token::random())),
            link,
            lease: lease_ttl,
            waiters: Mutex::default(),
            undone,
        });
        let stop = CancellationToken::new();
        let messages = shared.link.subscribe(&shared.channel);
        tokio::spawn(stop.clone().run_until_cancelled_owned(hear(Arc::clone(&shared), messages)));
        tokio::spawn(stop.clone().run_until_cancelled_owned(clear_up(Arc::clone(&shared), undo)));
        Self { shared, _stop: stop.drop_guard() }
    }
}

/// Wakes waiters as messages come.
async fn hear(shared: Arc<Shared>, mut messages: Subscription) {
    while let Some(notice) = messages.next().await {
        match notice {
            Notice::Message(text) => {
                if let Some((token, fence)) = read_grant(&text) {
                    shared.wake(token, fence);
                }
            }
            Notice::Gap => {
                for waiter in shared.waiters().values() {
                    let _ = waiter.try_send(Wake::Look);
                }
            }
        }
    }
}

fn read_grant(text: &str) -> Option<(u128, u64)> {
    let (token, fence) = text.split_once(' ')?;
    Some((u128::from_str_radix(token, 16).ok()?, fence.parse().ok()?))
}

/// Takes tokens out of Redis that no one uses any more, one at a time; while
/// the link is down it waits, since a stopped server may still run what it was
/// sent.
async fn clear_up(shared: Arc<Shared>, mut undo: mpsc::Receiver<(LockName, u128)>) {
    while let Some((name, token)) = undo.recv().await {
        loop {
            shared.link.up().await;
            match shared.run::<u8>(&RELEASE_SCRIPT, name, token).await {
                Ok(_) | Err(RedisConnectionError::Refused) => break,
                Err(RedisConnectionError::Down | RedisConnectionError::Unsure) => {}
            }
        }
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, HashMap<u128, mpsc::Sender<Wake>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that no one waits with is one that was given up: it is being
    /// taken out already.
    fn wake(&self, token: u128, fence: u64) {
        if let Some(waiter) = self.waiters().get(&token) {
            let _ = waiter.try_send(Wake::Granted { fence });
        }
    }

    /// One of the name's keys, which lie in one slot of a cluster.
    fn key(&self, name: LockName, what: &str) -> String {
        self.link.names().of_product(name.0, what)
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        name: LockName,
        token: u128,
    ) -> Result<T, RedisConnectionError> {
        let mut call: ScriptInvocation<'_> = script.prepare_invoke();
        for what in [LOCK, FENCE, QUEUE] {
            call.key(self.key(name, what));
        }
        call.arg(format!("{token:032x}")).arg(&self.channel).arg(millis(self.lease));
        call.arg(u8::from(!self.link.is_cluster()));
        self.link.script(&call).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A token that may be known to Redis. Dropped while armed, it is taken out:
/// a caller that goes away leaves neither a lock nor a place in the queue.
struct Trace<'a> {
    shared: &'a Shared,
    name: LockName,
    token: u128,
    armed: bool,
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        self.shared.waiters().remove(&self.token);
        if self.armed {
            // A full queue costs others one lease.
            let _ = self.shared.undone.try_send((self.name, self.token));
        }
    }
}

impl Trace<'_> {
    fn granted(mut self, fence: u64, granted_at: Instant) -> Grant {
        self.armed = false;
        Grant::Granted(Lease { name: self.name, token: self.token, fence: Some(fence), granted_at })
    }
}

impl Lock for RedisLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        Box::pin(async move {
            let until = Instant::now() + wait;
            let token = Token::random().0;
            let mut trace = Trace { shared: &self.shared, name, token, armed: false };
            let (waker, mut woken) = mpsc::channel(1);
            self.shared.waiters().insert(token, waker);
            loop {
                let asked = Instant::now();
                // Nothing is armed by a call that finds the link down.
                if !self.shared.link.is_up() {
                    return Grant::Down;
                }
                trace.armed = true;
                let answer = self.shared.run::<(u8, i64)>(&ACQUIRE_SCRIPT, name, token).await;
                let taken_for = match answer {
                    Ok((1, fence)) => return trace.granted(fence.unsigned_abs(), asked),
                    // Negative: a lock without an end, which is none of ours.
                    Ok((_, taken_ms)) => u64::try_from(taken_ms)
                        .map_or(self.shared.lease, Duration::from_millis)
                        .saturating_add(MARGIN),
                    Err(_) => return Grant::Down,
                };
                let left = until.saturating_duration_since(Instant::now());
                match tokio::time::timeout(taken_for.min(left), woken.recv()).await {
                    Ok(Some(Wake::Granted { fence })) => {
                        return trace.granted(fence, Instant::now());
                    }
                    _ if Instant::now() >= until => {
                        // Not left to the background: whoever asks again and
                        // again for a short time is slowed down by this.
                        let gone = self.shared.run::<u8>(&RELEASE_SCRIPT, name, token).await;
                        trace.armed = gone.is_err();
                        return Grant::NotInTime;
                    }
                    _ => {}
                }
            }
        })
    }

    fn keep<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Kept> {
        Box::pin(async move {
            let (name, token) = (lease.name, lease.token);
            let mut trace = Trace { shared: &self.shared, name, token, armed: true };
            let kept = match self.shared.run(&KEEP_SCRIPT, name, token).await {
                Ok(1) => Kept::Renewed,
                Ok(2) => Kept::HandedOver,
                Ok(_) => Kept::Lost,
                // Renewed, perhaps: `trace` sees to it that others need not wait.
                Err(_) => return Kept::Lost,
            };
            trace.armed = false;
            kept
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Lease { name, token, .. } = lease;
            let mut trace = Trace { shared: &self.shared, name, token, armed: true };
            trace.armed = self.shared.run::<u8>(&RELEASE_SCRIPT, name, token).await.is_err();
        })
    }

    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut call = RAISE_SCRIPT.prepare_invoke();
            call.key(self.shared.key(name, FENCE)).arg(seen);
            // A Redis that does not answer grants nothing either.
            let _ = self.shared.link.script::<u8>(&call).await;
        })
    }
}

#[cfg(test)]
mod tests;
