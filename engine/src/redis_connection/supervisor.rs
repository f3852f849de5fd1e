//! The task that keeps the connection up: it connects, watches, subscribes, and
//! reconnects.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use redis::{Msg, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::endpoint::RedisEndpoint;
use super::names::RedisNames;
use super::preflight::{Unusable, advice, is_permission_error, preflight, refusal};
use super::{Notice, RedisConnectionError};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// The backoff between two attempts to connect, doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// A connection that was up for so long resets the backoff.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Finds a server that died without closing its connection while no command runs.
const HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct ActiveConnection {
    /// Grows with each connection, so that a command which fails late does not
    /// take the next connection down.
    pub id: u64,
    pub connection: Connection,
    /// A key on each server that takes writes.
    pub probes: Arc<[String]>,
    pub since: Instant,
}

pub(super) struct ConnectionState {
    pub endpoint: RedisEndpoint,
    pub names: RedisNames,
    /// The endpoint without its password, for the log.
    server: String,
    metrics: Arc<Metrics>,
    response_timeout: Duration,
    /// The connection while it is up: the only record of the state.
    pub active: watch::Sender<Option<ActiveConnection>>,
    /// The subscribers of each channel. A plain mutex: each critical section is a
    /// map lookup or a send and never awaits.
    pub channels: Mutex<HashMap<String, broadcast::Sender<Notice>>>,
    pub channels_changed: Notify,
    next_id: AtomicU64,
    /// Whether each of these was logged: once until the connection is up again,
    /// the eviction policy once at all.
    logged_down: AtomicBool,
    logged_rejection: AtomicBool,
    logged_policy: AtomicBool,
    pub stop: CancellationToken,
}

/// Classifies an error: what it means for its command and for the connection.
fn classify(error: &RedisError) -> RedisConnectionError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(|errors| errors.first()) {
        Some((_, server_error)) => match server_error.code() {
            // This server takes no writes now, or not here: useless for a lock
            // and a cache.
            "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED"
            | "ASK" | "OOM" | "MISCONF" | "NOREPLICAS" | "BUSY" => RedisConnectionError::Down,
            // So is one that denies what every command needs.
            "NOAUTH" | "WRONGPASS" | "NOPERM" => RedisConnectionError::Down,
            _ if is_permission_error(error) => RedisConnectionError::Down,
            _ => RedisConnectionError::Rejected,
        },
        None => match error.kind() {
            redis::ErrorKind::UnexpectedReturnType | redis::ErrorKind::Client => {
                RedisConnectionError::Rejected
            }
            _ => RedisConnectionError::InDoubt,
        },
    }
}

impl ConnectionState {
    pub fn new(
        config: &Config,
        names: RedisNames,
        metrics: Arc<Metrics>,
        response_timeout: Duration,
    ) -> Result<Self> {
        let endpoint = RedisEndpoint::parse(config)?;
        Ok(Self {
            server: endpoint.to_string(),
            names: names.in_database(endpoint.database()),
            endpoint,
            metrics,
            response_timeout,
            active: watch::Sender::new(None),
            channels: Mutex::default(),
            channels_changed: Notify::new(),
            next_id: AtomicU64::new(0),
            logged_down: AtomicBool::new(false),
            logged_rejection: AtomicBool::new(false),
            logged_policy: AtomicBool::new(false),
            stop: CancellationToken::new(),
        })
    }

    pub fn active(&self) -> std::result::Result<ActiveConnection, RedisConnectionError> {
        self.active.borrow().clone().ok_or(RedisConnectionError::Down)
    }

    /// Passes a reply on, and takes connection `id` down if the reply is an error
    /// of the connection.
    pub fn check_reply<T>(
        &self,
        id: u64,
        reply: RedisResult<T>,
    ) -> std::result::Result<T, RedisConnectionError> {
        reply.map_err(|error| {
            let class = classify(&error);
            if class != RedisConnectionError::Rejected {
                self.mark_down(id, &error);
            } else if !self.logged_rejection.swap(true, Ordering::Relaxed) {
                tracing::warn!(server = self.server, %error, "redis rejected a command");
            }
            class
        })
    }

    /// Connects for the first time.
    ///
    /// # Errors
    /// `invalid_argument` when Redis answers and would reject for ever.
    pub async fn open_first(self: &Arc<Self>) -> Result<Option<ActiveConnection>> {
        let error = match self.connect().await {
            Ok(active) => return Ok(Some(active)),
            Err(Unusable::Misconfigured(message)) => return Err(Error::invalid_argument(message)),
            Err(Unusable::Unreachable(error)) => error,
        };
        // A server with or without TLS where the other is spoken hangs up or
        // waits, as a failing one does.
        if let Some(advice) = self.endpoint.tls_mismatch().await {
            return Err(Error::invalid_argument(refusal(&self.endpoint, advice)));
        }
        self.log_down(&error);
        Ok(None)
    }

    /// Connects, checks that the connection can be used, and marks it as up. Boxed,
    /// since the compiler limits the depth of a future's type.
    fn connect(self: &Arc<Self>) -> BoxFuture<'_, std::result::Result<ActiveConnection, Unusable>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connected = self.try_connect(id).map_err(|unusable| match unusable {
            Unusable::Unreachable(error) => match advice(&error, &self.endpoint, &self.names) {
                Some(advice) => Unusable::Misconfigured(refusal(&self.endpoint, &advice)),
                None => Unusable::Unreachable(error),
            },
            misconfigured @ Unusable::Misconfigured(_) => misconfigured,
        });
        Box::pin(connected.inspect_ok(|active| self.mark_up(active.clone())))
    }

    async fn try_connect(
        self: &Arc<Self>,
        id: u64,
    ) -> std::result::Result<ActiveConnection, Unusable> {
        let weak = Arc::downgrade(self);
        let push = move |push: PushInfo| {
            if let Some(state) = weak.upgrade() {
                state.handle_push(id, push);
            }
            Ok::<(), ()>(())
        };
        let mut connection = self.endpoint.connect(self.response_timeout, push).await?;
        if !self.endpoint.is_cluster() {
            // A node of a cluster would take some keys and redirect the others.
            let server: HashMap<String, Value> =
                redis::cmd("HELLO").query_async(&mut connection).await.unwrap_or_default();
            if server.get("mode").is_some_and(|mode| *mode == Value::BulkString(b"cluster".into()))
            {
                let advice = "the server is a node of a cluster; begin the URL with \
                              redis+cluster:// (or rediss+cluster://)";
                return Err(Unusable::Misconfigured(refusal(&self.endpoint, advice)));
            }
        }
        let probes: Arc<[String]> = connection.probes(&self.names).await?.into();
        // A missing permission and a server without writes count as `Down`; any
        // other error shows again in the preflight.
        match connection.probe(&probes).await {
            Err(error) if classify(&error) == RedisConnectionError::Rejected => {}
            reply => reply?,
        }
        if let Some(probe) = probes.first() {
            preflight(&mut connection, &self.names, probe).await?;
        }
        self.check_eviction_policy(&mut connection).await;
        Ok(ActiveConnection { id, connection, probes, since: Instant::now() })
    }

    /// Logs once if the server may evict locks.
    async fn check_eviction_policy(&self, connection: &mut Connection) {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("maxmemory-policy");
        // Many hosted servers do not permit CONFIG.
        let found = command.query_async::<HashMap<String, String>>(connection).await;
        if let Some(policy) = found.unwrap_or_default().get("maxmemory-policy")
            && policy != "noeviction"
            && !self.logged_policy.swap(true, Ordering::Relaxed)
        {
            let server = &self.server;
            tracing::warn!(
                server,
                policy,
                "redis may evict locks: set its maxmemory-policy to noeviction"
            );
        }
    }

    /// Handles a push. The connection's own task calls it, so it must not wait.
    fn handle_push(&self, id: u64, push: PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.mark_down(id, &(redis::ErrorKind::Io, "the connection was closed").into());
        } else if let Some(message) = Msg::from_push_info(push)
            && let Ok(text) = message.get_payload::<String>()
            && let Some(sender) = self.channels.lock().get(message.get_channel_name())
        {
            // It fails only without a subscriber.
            let _ = sender.send(Notice::Message(text.into()));
        }
    }

    fn mark_up(&self, active: ActiveConnection) {
        self.active.send_replace(Some(active));
        self.metrics.degraded.set(0);
        self.logged_rejection.store(false, Ordering::Relaxed);
        if self.logged_down.swap(false, Ordering::Relaxed) {
            self.metrics.redis_reconnects.inc();
            tracing::info!(server = self.server, "redis is available again");
        }
    }

    /// Marks the state as down if connection `id` is the active one.
    fn mark_down(&self, id: u64, error: &RedisError) {
        // Taken out, so that the connection is dropped outside the watch's lock.
        let mut lost = None;
        self.active.send_if_modified(|active| {
            lost = active.take_if(|active| active.id == id);
            lost.is_some()
        });
        if lost.is_some() {
            self.log_down(error);
            self.send_gap();
        }
    }

    fn send_gap(&self) {
        for sender in self.channels.lock().values() {
            // It fails only without a subscriber.
            let _ = sender.send(Notice::Gap);
        }
    }

    fn log_down(&self, error: &dyn Display) {
        self.metrics.degraded.set(1);
        if !self.logged_down.swap(true, Ordering::Relaxed) {
            let server = &self.server;
            tracing::warn!(server, %error, "redis is unavailable; the engine continues without it");
        }
    }

    /// Runs the supervisor until `stop`, then ends all subscriptions and drops
    /// the connection.
    pub async fn run(self: Arc<Self>, first: Option<ActiveConnection>) {
        self.stop.clone().run_until_cancelled(self.supervise(first)).await;
        self.active.send_replace(None);
        self.send_gap();
        self.channels.lock().clear();
    }

    async fn supervise(self: &Arc<Self>, mut opened: Option<ActiveConnection>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            if let Some(active) = opened {
                let since = active.since;
                self.watch(active).await;
                if since.elapsed() > STABLE_AFTER {
                    backoff = BACKOFF_MIN;
                }
            }
            // Jitter, so that many processes do not reconnect at once.
            tokio::time::sleep(backoff.mul_f64(rand::random_range(0.5..1.0))).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            opened = self.connect().await.inspect_err(|error| self.log_down(error)).ok();
        }
    }

    /// Serves one connection's subscriptions and heartbeat until it is lost.
    async fn watch(&self, active: ActiveConnection) {
        let ActiveConnection { id, mut connection, probes, .. } = active;
        let mut subscribed = HashSet::new();
        let mut state = self.active.subscribe();
        loop {
            self.update_subscriptions(id, &mut connection, &mut subscribed).await;
            let lost = async {
                let is_other = |active: &Option<ActiveConnection>| {
                    active.as_ref().is_none_or(|active| active.id != id)
                };
                let _ = state.wait_for(is_other).await;
            };
            tokio::select! {
                () = lost => return,
                () = self.channels_changed.notified() => {}
                () = tokio::time::sleep(HEARTBEAT) => {
                    let _ = self.check_reply(id, connection.probe(&probes).await);
                }
            }
        }
    }

    /// Subscribes to new channels, and unsubscribes from those without a
    /// subscriber.
    async fn update_subscriptions(
        &self,
        id: u64,
        connection: &mut Connection,
        subscribed: &mut HashSet<String>,
    ) {
        let wanted: HashSet<String> = {
            let mut channels = self.channels.lock();
            channels.retain(|_, sender| sender.receiver_count() > 0);
            channels.keys().cloned().collect()
        };
        let new: Vec<&String> = wanted.difference(subscribed).collect();
        let unused: Vec<&String> = subscribed.difference(&wanted).collect();
        // One by one: in a cluster each belongs to the node of its slot.
        for channel in unused {
            let _ = self.check_reply(id, connection.unsubscribe(channel).await);
        }
        for channel in new {
            let _ = self.check_reply(id, connection.subscribe(channel).await);
            if let Some(sender) = self.channels.lock().get(channel) {
                let _ = sender.send(Notice::Gap);
            }
        }
        *subscribed = wanted;
    }
}
