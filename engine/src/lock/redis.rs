//! The lock between processes, in Redis.
//!
//! Each name has three keys in one slot of a cluster: the lock (its value is the
//! holder's token, its TTL the lease), the last fencing token, and the queue of
//! waiters by arrival. The lock is never free while someone waits: a release
//! grants it to the first waiter within the same script and publishes a message
//! to that waiter's process, so that none overtakes and none polls.
//!
//! The lease bounds what can go wrong. A waiter whose process is gone has no
//! subscriber for the message and is skipped; in a cluster, where PUBLISH counts
//! the subscribers of one node alone, it costs the others one lease. A lost
//! message, or a dead holder, is detected by the waiters when the lease that they
//! saw should have expired. The token of a waiter that leaves, or whose request
//! was cut off before its response, is removed in the background.
//!
//! A fencing token is the server's clock in microseconds, or the last one plus 1
//! if that is greater. So they keep growing after Redis was flushed, and the key
//! of the last one may expire after a day: only a clock set back by more than
//! that could then repeat one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use redis::{Script, ScriptInvocation};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Grant, Lease, Lock, LockName, Renewal};
use crate::model::Token;
use crate::redis_connection::{Notice, RedisConnection, RedisConnectionError, Subscription};

/// Added to a waiter's estimate of the lease, so that the server expires it first.
const EXPIRY_MARGIN: Duration = Duration::from_millis(5);
/// Tokens that may wait for their removal from Redis; each one beyond costs
/// others one lease.
const CLEANUP_MAX: usize = 4096;

/// A name's keys: the holder's token, the last fencing token, the waiters.
const LOCK: &str = "lock";
const FENCE: &str = "fence";
const QUEUE: &str = "queue";

/// The preamble of the scripts that grant.
const COMMON: &str = r"
local lock, fence, queue = KEYS[1], KEYS[2], KEYS[3]
local token, channel, lease, counts_all = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local me = token .. ' ' .. channel

local function grant(to)
  local time = redis.call('TIME')
  local last = tonumber(redis.call('GET', fence)) or 0
  local number = math.max(time[1] * 1000000 + time[2], last + 1)
  redis.call('SET', fence, string.format('%.0f', number), 'PX', 86400000)
  redis.call('SET', lock, to, 'PX', lease)
  return number
end

-- Grants the lock to the first waiter with a subscriber. Without one its process
-- is gone, where PUBLISH counts the subscribers of all servers.
local function grant_next()
  local first = redis.call('ZPOPMIN', queue)
  while first[1] do
    local waiter, wake_channel = string.match(first[1], '^(%x+) (.+)$')
    local number = grant(waiter)
    if waiter == token then
      return waiter, number
    end
    local message = waiter .. ' ' .. string.format('%.0f', number)
    local receivers = redis.call('PUBLISH', wake_channel, message)
    if receivers > 0 or not counts_all then
      return waiter, number
    end
    redis.call('DEL', lock)
    first = redis.call('ZPOPMIN', queue)
  end
end
";

/// Takes the lock, `{1, fencing token}`, or joins the queue, `{0, the lease's
/// remaining milliseconds}`. A repeated call keeps its position.
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
  local waiter, number = grant_next()
  if waiter == token then
    return {1, number}
  end
end
return {0, redis.call('PTTL', lock)}
";

/// Leaves the queue, and releases the lock if this token holds it.
const RELEASE: &str = r"
redis.call('ZREM', queue, me)
local holder = redis.call('GET', lock)
if holder == token then
  redis.call('DEL', lock)
end
if holder == token or not holder then
  grant_next()
end
return 1
";

/// Renews or hands over the lock: 0 lost, 1 renewed, 2 handed over.
const RENEW: &str = r"
if redis.call('GET', lock) ~= token then
  return 0
end
if grant_next() then
  return 2
end
redis.call('SET', lock, token, 'PX', lease)
return 1
";

/// Raises the last fencing token.
const RAISE_FENCE: &str = r"
if tonumber(ARGV[1]) > (tonumber(redis.call('GET', KEYS[1])) or 0) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000)
end
return 1
";

static ACQUIRE_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(ACQUIRE));
static RELEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(RELEASE));
static RENEW_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(RENEW));
static RAISE_FENCE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(RAISE_FENCE));

fn script(body: &str) -> Script {
    Script::new(&format!("{COMMON}{body}"))
}

enum Wake {
    Granted {
        fence: u64,
    },
    /// Messages may have been missed: acquire again.
    Recheck,
}

/// A lock shared by all processes that use the same Redis and prefix.
pub(crate) struct RedisLock {
    state: Arc<LockState>,
    _stop: DropGuard,
}

struct LockState {
    connection: RedisConnection,
    /// The channel that wakes this lock's waiters: one subscription for all of
    /// them.
    channel: String,
    lease: Duration,
    /// This process's waiters by token. A plain mutex: each critical section is a
    /// map lookup or a send and never awaits. Each channel has room for one
    /// message, which is enough: after `Recheck` a waiter acquires again and so
    /// learns of a grant as well.
    waiters: Mutex<HashMap<u128, mpsc::Sender<Wake>>>,
    cleanup: mpsc::Sender<(LockName, u128)>,
}

pub(crate) fn lock(connection: RedisConnection, lease_ttl: Duration) -> Arc<dyn Lock> {
    Arc::new(RedisLock::new(connection, lease_ttl))
}

impl RedisLock {
    /// Starts the lock's two tasks, which end with it. Must be called inside a
    /// runtime.
    pub fn new(connection: RedisConnection, lease_ttl: Duration) -> Self {
        let (cleanup, abandoned) = mpsc::channel(CLEANUP_MAX);
        let state = Arc::new(LockState {
            channel: connection.names().channel(&format!("wake:{}", Token::random())),
            connection,
            lease: lease_ttl,
            waiters: Mutex::default(),
            cleanup,
        });
        let stop = CancellationToken::new();
        let messages = state.connection.subscribe(&state.channel);
        let wake = wake_waiters(Arc::clone(&state), messages);
        tokio::spawn(stop.clone().run_until_cancelled_owned(wake));
        let clean_up = release_abandoned(Arc::clone(&state), abandoned);
        tokio::spawn(stop.clone().run_until_cancelled_owned(clean_up));
        Self { state, _stop: stop.drop_guard() }
    }
}

async fn wake_waiters(state: Arc<LockState>, mut messages: Subscription) {
    while let Some(notice) = messages.next().await {
        match notice {
            Notice::Message(text) => {
                if let Some((token, fence)) = parse_grant(&text) {
                    state.wake(token, fence);
                }
            }
            Notice::Gap => {
                for waiter in state.waiters.lock().values() {
                    let _ = waiter.try_send(Wake::Recheck);
                }
            }
        }
    }
}

fn parse_grant(text: &str) -> Option<(u128, u64)> {
    let (token, fence) = text.split_once(' ')?;
    Some((u128::from_str_radix(token, 16).ok()?, fence.parse().ok()?))
}

/// Removes abandoned tokens from Redis, one at a time. It waits while the
/// connection is down, since a stopped server may still run what it received.
async fn release_abandoned(state: Arc<LockState>, mut abandoned: mpsc::Receiver<(LockName, u128)>) {
    while let Some((name, token)) = abandoned.recv().await {
        loop {
            state.connection.up().await;
            match state.run::<u8>(&RELEASE_SCRIPT, name, token).await {
                Ok(_) | Err(RedisConnectionError::Rejected) => break,
                Err(RedisConnectionError::Down | RedisConnectionError::InDoubt) => {}
            }
        }
    }
}

impl LockState {
    /// Wakes the waiter with this token. A token without one was abandoned and is
    /// being removed already.
    fn wake(&self, token: u128, fence: u64) {
        if let Some(waiter) = self.waiters.lock().get(&token) {
            let _ = waiter.try_send(Wake::Granted { fence });
        }
    }

    /// One of the name's keys, which lie in one slot of a cluster.
    fn key(&self, name: LockName, suffix: &str) -> String {
        self.connection.names().product_key(name.0, suffix)
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        name: LockName,
        token: u128,
    ) -> Result<T, RedisConnectionError> {
        let mut call: ScriptInvocation<'_> = script.prepare_invoke();
        for suffix in [LOCK, FENCE, QUEUE] {
            call.key(self.key(name, suffix));
        }
        call.arg(format!("{token:032x}")).arg(&self.channel).arg(millis(self.lease));
        call.arg(u8::from(!self.connection.is_cluster()));
        self.connection.script(&call).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A token that Redis may know. Dropped while armed, it is removed in the
/// background: a dropped caller leaves neither a lock nor a queue entry.
struct TokenGuard<'a> {
    state: &'a LockState,
    name: LockName,
    token: u128,
    armed: bool,
}

impl Drop for TokenGuard<'_> {
    fn drop(&mut self) {
        self.state.waiters.lock().remove(&self.token);
        if self.armed {
            // A full cleanup queue costs others one lease.
            let _ = self.state.cleanup.try_send((self.name, self.token));
        }
    }
}

impl TokenGuard<'_> {
    fn granted(mut self, fence: u64, granted_at: Instant) -> Grant {
        self.armed = false;
        Grant::Granted(Lease { name: self.name, token: self.token, fence: Some(fence), granted_at })
    }
}

impl Lock for RedisLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        Box::pin(async move {
            let deadline = Instant::now() + wait;
            let token = Token::random().0;
            let mut guard = TokenGuard { state: &self.state, name, token, armed: false };
            let (waker, mut wakes) = mpsc::channel(1);
            self.state.waiters.lock().insert(token, waker);
            loop {
                let sent_at = Instant::now();
                // Without a connection nothing is sent, so nothing needs removal.
                if !self.state.connection.is_up() {
                    return Grant::Down;
                }
                guard.armed = true;
                let reply = self.state.run::<(u8, i64)>(&ACQUIRE_SCRIPT, name, token).await;
                let held_for = match reply {
                    Ok((1, fence)) => return guard.granted(fence.unsigned_abs(), sent_at),
                    // Negative for a key without a TTL, which no engine wrote.
                    Ok((_, lease_ms)) => u64::try_from(lease_ms)
                        .map_or(self.state.lease, Duration::from_millis)
                        .saturating_add(EXPIRY_MARGIN),
                    Err(_) => return Grant::Down,
                };
                let left = deadline.saturating_duration_since(Instant::now());
                match tokio::time::timeout(held_for.min(left), wakes.recv()).await {
                    Ok(Some(Wake::Granted { fence })) => {
                        return guard.granted(fence, Instant::now());
                    }
                    _ if Instant::now() >= deadline => {
                        // Not in the background, as backpressure on a caller that
                        // retries with a short timeout.
                        let released = self.state.run::<u8>(&RELEASE_SCRIPT, name, token).await;
                        guard.armed = released.is_err();
                        return Grant::TimedOut;
                    }
                    _ => {}
                }
            }
        })
    }

    fn renew<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            let (name, token) = (lease.name, lease.token);
            let mut guard = TokenGuard { state: &self.state, name, token, armed: true };
            let renewal = match self.state.run(&RENEW_SCRIPT, name, token).await {
                Ok(1) => Renewal::Renewed,
                Ok(2) => Renewal::HandedOver,
                Ok(_) => Renewal::Lost,
                // In doubt: `guard` releases it, so that others need not wait.
                Err(_) => return Renewal::Lost,
            };
            guard.armed = false;
            renewal
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Lease { name, token, .. } = lease;
            let mut guard = TokenGuard { state: &self.state, name, token, armed: true };
            guard.armed = self.state.run::<u8>(&RELEASE_SCRIPT, name, token).await.is_err();
        })
    }

    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut call = RAISE_FENCE_SCRIPT.prepare_invoke();
            call.key(self.state.key(name, FENCE)).arg(seen);
            // A Redis that does not respond grants nothing either.
            let _ = self.state.connection.script::<u8>(&call).await;
        })
    }
}

#[cfg(test)]
mod tests;
