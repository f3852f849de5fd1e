//! The connection to Redis that lock and cache share.
//!
//! Commands and messages travel on one RESP3 connection (Redis 6 or later), or on
//! those to all nodes of a cluster, which fail together. So there is one state:
//! while the connection is up, commands are answered and subscriptions receive;
//! when it goes down, both end at once (a circuit breaker). While it is down,
//! commands fail without being sent, and a task of its own reconnects with
//! backoff and jitter. Neither the `redis` crate's connection manager nor its
//! retries are used: stacked retries would wait for the sum of their times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Pipeline, ScriptInvocation};
use tokio::sync::broadcast;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

pub(crate) use self::diagnose::diagnose;
pub(crate) use self::names::RedisNames;
use self::supervisor::ConnectionState;
use crate::config::Config;
use crate::error::Result;
use crate::metrics::Metrics;

mod connection;
mod diagnose;
mod endpoint;
mod names;
mod preflight;
mod supervisor;

/// How long a command may take. A reply takes well under a millisecond; a request
/// that waits for longer is served sooner by the row lock.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(300);
/// Messages that a subscriber may be behind before it misses some.
const SUBSCRIBER_BACKLOG: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisConnectionError {
    /// The connection is down; the command did not run.
    Down,
    /// The connection was lost during the command; it may have run.
    InDoubt,
    /// Redis rejected this command; the connection stays up.
    Rejected,
}

#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Message(Arc<str>),
    /// Messages from before this moment may have been missed.
    Gap,
}

/// A subscription to a channel, restored after each loss of the connection.
pub(crate) struct Subscription(broadcast::Receiver<Notice>);

impl Subscription {
    /// Receives the next notice; `None` once the connection is closed.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A handle to the connection; clones share it. Dropping the last one closes it.
#[derive(Clone)]
pub(crate) struct RedisConnection {
    state: Arc<ConnectionState>,
    tasks: TaskTracker,
    _stop: Arc<DropGuard>,
}

impl RedisConnection {
    /// Connects the engine of the store with this id: tries once, then keeps
    /// reconnecting in a task of its own.
    ///
    /// # Errors
    /// `invalid_argument` when the settings name no Redis, or one that rejects
    /// what the engine needs. An unreachable one is no error: the connection is
    /// then down.
    pub async fn open(config: &Config, store_id: u64, metrics: Arc<Metrics>) -> Result<Self> {
        let names = RedisNames::new(&config.redis_prefix, store_id);
        Self::connect(config, names, metrics, RESPONSE_TIMEOUT).await
    }

    /// The prefix of all names.
    #[cfg(feature = "testing")]
    pub fn prefix(&self) -> &str {
        self.names().prefix()
    }

    async fn connect(
        config: &Config,
        names: RedisNames,
        metrics: Arc<Metrics>,
        response_timeout: Duration,
    ) -> Result<Self> {
        let state = Arc::new(ConnectionState::new(config, names, metrics, response_timeout)?);
        let first = state.open_first().await?;
        let stop = state.stop.clone().drop_guard();
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&state).run(first));
        tasks.close();
        Ok(Self { state, tasks, _stop: Arc::new(stop) })
    }

    /// Closes the connection for all its handles and waits until its task ends.
    pub async fn close(&self) {
        self.state.stop.cancel();
        self.tasks.wait().await;
    }

    pub fn names(&self) -> &RedisNames {
        &self.state.names
    }

    /// Whether keys lie on several servers, so that a pipeline or script reaches
    /// those of one product only, and PUBLISH does not count all subscribers.
    pub fn is_cluster(&self) -> bool {
        self.state.endpoint.is_cluster()
    }

    pub fn is_up(&self) -> bool {
        self.state.active.borrow().is_some()
    }

    pub fn up_since(&self) -> Option<Instant> {
        self.state.active.borrow().as_ref().map(|active| active.since)
    }

    /// Waits until the connection is up; for ever if it was closed.
    pub async fn up(&self) {
        let mut active = self.state.active.subscribe();
        // It fails only without a sender, and `state` holds one.
        let _ = active.wait_for(Option::is_some).await;
    }

    /// Runs a script, and loads it first if the server does not have it.
    pub async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut active = self.state.active()?;
        let reply = call.invoke_async(&mut active.connection).await;
        self.state.check_reply(active.id, reply)
    }

    pub async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut active = self.state.active()?;
        let reply = commands.query_async(&mut active.connection).await;
        self.state.check_reply(active.id, reply)
    }

    pub async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut active = self.state.active()?;
        let reply = command.query_async(&mut active.connection).await;
        self.state.check_reply(active.id, reply)
    }

    /// Subscribes to a channel, across losses of the connection. The first
    /// [`Notice::Gap`] confirms the subscription.
    pub fn subscribe(&self, channel: &str) -> Subscription {
        let mut channels = self.state.channels.lock();
        let sender = match channels.get(channel) {
            Some(sender) => sender.clone(),
            None => {
                let sender = broadcast::Sender::new(SUBSCRIBER_BACKLOG);
                // A closed connection keeps no sender, which ends the subscription.
                if !self.state.stop.is_cancelled() {
                    channels.insert(channel.to_owned(), sender.clone());
                }
                sender
            }
        };
        self.state.channels_changed.notify_one();
        Subscription(sender.subscribe())
    }
}

#[cfg(test)]
mod tests;
