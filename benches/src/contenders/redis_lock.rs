//! The Redis lock of hand-written code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult, Script};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::sql;

/// The lock's TTL: after it an abandoned lock is free.
const LOCK_TTL: Duration = Duration::from_secs(10);
/// How often a waiter polls: the interval of common libraries.
const POLL: Duration = Duration::from_millis(250);

/// Compare-and-delete: releases the lock if it is still held, and notifies.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
     redis.call('DEL', KEYS[1]) redis.call('PUBLISH', KEYS[2], '') return 1 end return 0";

/// How a waiter learns that the lock is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// It polls every 250 ms.
    Poll,
    /// It is notified: one message, one waiter.
    Prompt,
}

/// A lock in Redis: `SET NX PX`, released by compare-and-delete.
pub(super) struct RedisLock {
    connection: MultiplexedConnection,
    release: Script,
    key: String,
    channel: String,
    freed: Arc<Notify>,
    /// Whether waiters should give up.
    is_over: AtomicBool,
    listening: Option<JoinHandle<()>>,
}

impl RedisLock {
    pub async fn open(url: &str, prefix: &str, wake: Wake) -> Self {
        let (key, name) = (format!("{prefix}:lock"), format!("{prefix}:freed"));
        let client = redis::Client::open(url).expect("a URL");
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection =
            client.get_multiplexed_async_connection_with_config(&patient).await.expect("connects");
        let freed = Arc::new(Notify::new());
        let listening = match wake {
            Wake::Poll => None,
            Wake::Prompt => {
                let mut channel = client.get_async_pubsub().await.expect("connects");
                channel.subscribe(&name).await.expect("subscribes");
                let freed = Arc::clone(&freed);
                Some(tokio::spawn(async move {
                    let mut messages = channel.into_on_message();
                    while messages.next().await.is_some() {
                        freed.notify_one();
                    }
                }))
            }
        };
        Self {
            connection,
            release: Script::new(RELEASE),
            key,
            channel: name,
            freed,
            is_over: AtomicBool::new(false),
            listening,
        }
    }

    /// Waits for the lock and returns its token; nothing if it gave up.
    pub async fn take(&self) -> RedisResult<Option<[u8; 16]>> {
        let token = sql::token();
        let mut connection = self.connection.clone();
        while !self.is_over.load(Ordering::Relaxed) {
            let mut set = redis::cmd("SET");
            set.arg(&self.key).arg(&token).arg("NX").arg("PX").arg(LOCK_TTL.as_millis() as u64);
            let taken: Option<String> = set.query_async(&mut connection).await?;
            if taken.is_some() {
                return Ok(Some(token));
            }
            // Without notifications this is the poll; with them, a lost message
            // costs one poll.
            let _ = tokio::time::timeout(POLL, self.freed.notified()).await;
        }
        Ok(None)
    }

    /// Lets waiters give up, or wait again.
    pub fn set_over(&self, is_over: bool) {
        self.is_over.store(is_over, Ordering::Relaxed);
        if is_over {
            self.freed.notify_waiters();
        }
    }

    /// Releases the lock and wakes a waiter.
    pub async fn give_back(&self, token: [u8; 16]) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        let mut release = self.release.prepare_invoke();
        release.key(&self.key).key(&self.channel).arg(&token);
        release.invoke_async(&mut connection).await
    }

    /// Deletes a key, as code that invalidates a cache entry does.
    pub async fn forget(&self, key: &str) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        redis::cmd("DEL").arg(key).query_async(&mut connection).await
    }

    pub fn close(&self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}
