//! The one link to Redis that lock and cache share.
//!
//! Commands and messages travel on one RESP3 connection (Redis 6 or later), or
//! on those to a cluster's nodes, which stand and fall together. So there is
//! one state: while the link is up, commands are answered and
//! subscriptions are heard; when it goes down, both have ended at once. While
//! it is down, commands fail without being sent, and a task of the link's own
//! tries to bring it up again. Neither the `redis` crate's connection manager
//! nor its retries are used: two of them on top of each other would wait for
//! the sum of their times.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use redis::{
    Cmd, FromRedisValue, Msg, Pipeline, PushInfo, PushKind, RedisError, RedisResult,
    ScriptInvocation, Value,
};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::connection::Connection;
pub(crate) use self::names::RedisNames;
use self::place::Place;
use self::refusal::{Unusable, advice, is_about_rights, rehearse, sentence};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::Metrics;

mod connection;
mod names;
mod place;
mod refusal;

/// An answer takes well under a millisecond; who waits for longer is better
/// served by the row lock.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A link that was up for so long is tried again soon when it is lost.
const STEADY: Duration = Duration::from_secs(10);
/// Finds a server that died without a word while no one asked it anything.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages that a subscriber may be behind before it misses some.
const BACKLOG: usize = 4096;

/// Why a command was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisConnectionError {
    /// The link is down; the command did not run.
    Down,
    /// The link went down with the command under way; it may have run.
    Unsure,
    /// Redis refused this command, and answers others.
    Refused,
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Message(Arc<str>),
    /// Messages from before this moment may have been missed.
    Gap,
}

/// A channel that is heard again after each loss of the link.
pub(crate) struct Subscription(broadcast::Receiver<Notice>);

impl Subscription {
    /// The next notice; `None` once the link is closed. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A handle to the link; clones share it. Dropping the last one closes it.
#[derive(Clone)]
pub(crate) struct RedisConnection {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    _stop: Arc<DropGuard>,
}

#[derive(Clone)]
struct Live {
    /// Tells this connection from those before it, so that a command which
    /// fails late does not take its successor down.
    number: u64,
    connection: Connection,
    /// A key on each server that takes writes.
    probes: Arc<[String]>,
    since: Instant,
}

struct Shared {
    place: Place,
    names: RedisNames,
    /// The place without the password.
    server: String,
    metrics: Arc<Metrics>,
    answer_within: Duration,
    /// The connection while the link is up: the only record of its state.
    live: watch::Sender<Option<Live>>,
    /// Who is to hear what. Held for a look-up or a send, which never waits.
    channels: Mutex<HashMap<String, broadcast::Sender<Notice>>>,
    channels_changed: Notify,
    connections: AtomicU64,
    /// Whether the log was told that Redis cannot be reached.
    told_down: AtomicBool,
    told_refusal: AtomicBool,
    told_policy: AtomicBool,
    stop: CancellationToken,
}

impl RedisConnection {
    /// Tries once to connect, then goes on trying in a task of its own.
    ///
    /// # Errors
    /// `invalid_argument` when the settings name no Redis, or one that refuses
    /// what the engine needs. That nobody answers there is no error: the link
    /// is then down.
    pub async fn connect(
        config: &Config,
        names: RedisNames,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        Self::connect_with(config, names, metrics, ANSWER_WITHIN).await
    }

    /// For tests about something else, on a machine that may be busy.
    #[cfg(test)]
    pub async fn connect_patiently(url: &str) -> Result<Self> {
        let config = Config::from_pairs([("redis", url)])?;
        let metrics = Arc::new(Metrics::new());
        Self::connect_with(&config, RedisNames::plain("shop"), metrics, ANSWER_WITHIN * 20).await
    }

    /// Named plainly, and as impatient as in use.
    #[cfg(test)]
    pub async fn connect_plainly(url: &str) -> Result<Self> {
        let config = Config::from_pairs([("redis", url)])?;
        Self::connect(&config, RedisNames::plain("shop"), Arc::new(Metrics::new())).await
    }

    async fn connect_with(
        config: &Config,
        names: RedisNames,
        metrics: Arc<Metrics>,
        answer_within: Duration,
    ) -> Result<Self> {
        let place = Place::read(config)?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            server: place.to_string(),
            names: names.in_database(place.database()),
            place,
            metrics,
            answer_within,
            live: watch::Sender::new(None),
            channels: Mutex::default(),
            channels_changed: Notify::new(),
            connections: AtomicU64::new(0),
            told_down: AtomicBool::new(false),
            told_refusal: AtomicBool::new(false),
            told_policy: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let first = shared.open_first().await?;
        let tasks = TaskTracker::new();
        tasks.spawn({
            let shared = Arc::clone(&shared);
            async move {
                let stop = shared.stop.clone();
                stop.run_until_cancelled(shared.attend(first)).await;
                shared.end();
            }
        });
        tasks.close();
        Ok(Self { shared, tasks, _stop: Arc::new(stop.drop_guard()) })
    }

    /// Ends the link for all its handles and waits until its task is gone.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.tasks.wait().await;
    }

    pub fn names(&self) -> &RedisNames {
        &self.shared.names
    }

    /// Whether keys lie on several servers, so that a pipeline or script
    /// reaches one product's only, and no count of those who hear a message is
    /// whole.
    pub fn is_cluster(&self) -> bool {
        self.shared.place.is_cluster()
    }

    pub fn is_up(&self) -> bool {
        self.shared.live.borrow().is_some()
    }

    /// Since when the link is up without a break.
    pub fn up_since(&self) -> Option<Instant> {
        self.shared.live.borrow().as_ref().map(|live| live.since)
    }

    /// Waits until the link is up; for ever if it was closed.
    pub async fn up(&self) {
        let mut live = self.shared.live.subscribe();
        // It fails only without a sender, and `shared` holds one.
        let _ = live.wait_for(Option::is_some).await;
    }

    /// Runs a script, which is loaded if the server does not have it.
    pub async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut live = self.shared.live()?;
        let answer = call.invoke_async(&mut live.connection).await;
        self.shared.judge(live.number, answer)
    }

    pub async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut live = self.shared.live()?;
        let answer = commands.query_async(&mut live.connection).await;
        self.shared.judge(live.number, answer)
    }

    pub async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> std::result::Result<T, RedisConnectionError> {
        let mut live = self.shared.live()?;
        let answer = command.query_async(&mut live.connection).await;
        self.shared.judge(live.number, answer)
    }

    /// Hears a channel from now on, across losses of the link. A first
    /// [`Notice::Gap`] says that it is really heard.
    pub fn subscribe(&self, channel: &str) -> Subscription {
        let mut channels = self.shared.channels();
        let sender = match channels.get(channel) {
            Some(sender) => sender.clone(),
            None => {
                let sender = broadcast::Sender::new(BACKLOG);
                // A closed link keeps no sender, which ends the subscription.
                if !self.shared.stop.is_cancelled() {
                    channels.insert(channel.to_owned(), sender.clone());
                }
                sender
            }
        };
        self.shared.channels_changed.notify_one();
        Subscription(sender.subscribe())
    }
}

/// What an error says about its command and about the link.
fn reading(error: &RedisError) -> RedisConnectionError {
    let answers = error.clone().into_server_errors();
    match answers.as_deref().and_then(|answers| answers.first()) {
        Some((_, answer)) => match answer.code() {
            // This server takes no writes now, or not here: for a lock and a
            // cache it is as good as gone.
            "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED"
            | "ASK" | "OOM" | "MISCONF" | "NOREPLICAS" | "BUSY" => RedisConnectionError::Down,
            // So it is without the right to what all commands need.
            "NOAUTH" | "WRONGPASS" | "NOPERM" => RedisConnectionError::Down,
            _ if is_about_rights(error) => RedisConnectionError::Down,
            _ => RedisConnectionError::Refused,
        },
        None => match error.kind() {
            redis::ErrorKind::UnexpectedReturnType | redis::ErrorKind::Client => {
                RedisConnectionError::Refused
            }
            _ => RedisConnectionError::Unsure,
        },
    }
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Notice>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> std::result::Result<Live, RedisConnectionError> {
        self.live.borrow().clone().ok_or(RedisConnectionError::Down)
    }

    fn judge<T>(
        &self,
        number: u64,
        answer: RedisResult<T>,
    ) -> std::result::Result<T, RedisConnectionError> {
        answer.map_err(|error| {
            let reading = reading(&error);
            if reading != RedisConnectionError::Refused {
                self.fall(number, &error);
            } else if !self.told_refusal.swap(true, Ordering::Relaxed) {
                tracing::warn!(server = self.server, %error, "redis refuses a command");
            }
            reading
        })
    }

    /// Tries to take the link up for the first time.
    ///
    /// # Errors
    /// `invalid_argument` when Redis answers and would refuse for ever.
    async fn open_first(self: &Arc<Self>) -> Result<Option<Live>> {
        let error = match self.reach().await {
            Ok(live) => {
                self.rise(live.clone());
                return Ok(Some(live));
            }
            Err(Unusable::Refusing(why)) => return Err(Error::invalid_argument(why)),
            Err(Unusable::Gone(error)) => error,
        };
        // A server that does not understand hangs up or waits, as one does that
        // is not well.
        if let Some(advice) = self.place.speaks_otherwise().await {
            return Err(Error::invalid_argument(sentence(&self.place, advice)));
        }
        self.tell_down(&error);
        Ok(None)
    }

    /// Tries once to take the link up again.
    async fn open(self: &Arc<Self>) -> Option<Live> {
        match self.reach().await {
            Ok(live) => {
                self.rise(live.clone());
                Some(live)
            }
            Err(Unusable::Gone(error)) => {
                self.tell_down(&error);
                None
            }
            Err(Unusable::Refusing(why)) => {
                self.tell_down(&why);
                None
            }
        }
    }

    /// Makes a connection and sees whether it can be used. Boxed: the compiler
    /// follows a future's type only so deep.
    fn reach(self: &Arc<Self>) -> BoxFuture<'_, std::result::Result<Live, Unusable>> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let reached = self.try_reach(number).map_err(|unusable| match unusable {
            Unusable::Gone(error) => match advice(&error, &self.place, &self.names) {
                Some(advice) => Unusable::Refusing(sentence(&self.place, &advice)),
                None => Unusable::Gone(error),
            },
            refusing @ Unusable::Refusing(_) => refusing,
        });
        Box::pin(reached)
    }

    async fn try_reach(self: &Arc<Self>, number: u64) -> std::result::Result<Live, Unusable> {
        let weak = Arc::downgrade(self);
        let push = move |push: PushInfo| {
            if let Some(shared) = weak.upgrade() {
                shared.hear(number, push);
            }
            Ok::<(), ()>(())
        };
        let mut connection = self.place.connect(self.answer_within, push).await?;
        if !self.place.is_cluster() {
            // A node of a cluster would take some names and refuse the others.
            let server: HashMap<String, Value> =
                redis::cmd("HELLO").query_async(&mut connection).await.unwrap_or_default();
            if server.get("mode").is_some_and(|mode| *mode == Value::BulkString(b"cluster".into()))
            {
                let advice = "the server is a node of a cluster; begin the URL with \
                              redis+cluster:// (or rediss+cluster://)";
                return Err(Unusable::Refusing(sentence(&self.place, advice)));
            }
        }
        let probes: Arc<[String]> = connection.probes(&self.names).await?.into();
        // What refuses to write now is no matter of rights.
        match connection.probe(&probes).await {
            Err(error) if reading(&error) == RedisConnectionError::Refused => {}
            answer => answer?,
        }
        if let Some(probe) = probes.first() {
            rehearse(&mut connection, &self.names, probe).await?;
        }
        self.advise(&mut connection).await;
        Ok(Live { number, connection, probes, since: Instant::now() })
    }

    /// Warns once of a server that may evict locks.
    async fn advise(&self, connection: &mut Connection) {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("maxmemory-policy");
        // Many hosted servers do not permit the question.
        let Ok(policy) = command.query_async::<HashMap<String, String>>(connection).await else {
            return;
        };
        let Some(policy) = policy.get("maxmemory-policy") else {
            return;
        };
        if policy != "noeviction" && !self.told_policy.swap(true, Ordering::Relaxed) {
            let server = &self.server;
            tracing::warn!(server, policy, "redis may evict locks: set noeviction");
        }
    }

    /// Handles what comes without being asked for. Called by the connection's
    /// own task, so it must not wait.
    fn hear(&self, number: u64, push: PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.fall(number, &(redis::ErrorKind::Io, "the connection was closed").into());
        } else if let Some(message) = Msg::from_push_info(push)
            && let Ok(text) = message.get_payload::<String>()
            && let Some(sender) = self.channels().get(message.get_channel_name())
        {
            // It fails only when no one listens any more.
            let _ = sender.send(Notice::Message(text.into()));
        }
    }

    fn rise(&self, live: Live) {
        self.live.send_replace(Some(live));
        self.metrics.degraded.set(0);
        self.told_refusal.store(false, Ordering::Relaxed);
        if self.told_down.swap(false, Ordering::Relaxed) {
            self.metrics.redis_reconnects.inc();
            tracing::info!(server = self.server, "redis is back");
        }
    }

    /// Takes the link down if connection `number` still carries it.
    fn fall(&self, number: u64, error: &RedisError) {
        // Taken out, so that the connection ends outside the lock.
        let mut fallen = None;
        self.live.send_if_modified(|live| {
            fallen = live.take_if(|live| live.number == number);
            fallen.is_some()
        });
        if fallen.is_some() {
            self.tell_down(error);
            self.tell_gap();
        }
    }

    fn tell_gap(&self) {
        for sender in self.channels().values() {
            // It fails only when no one listens any more.
            let _ = sender.send(Notice::Gap);
        }
    }

    fn tell_down(&self, error: &dyn Display) {
        self.metrics.degraded.set(1);
        if !self.told_down.swap(true, Ordering::Relaxed) {
            let server = &self.server;
            tracing::warn!(server, %error, "redis cannot be used; going on without it");
        }
    }

    /// Ends every subscription and lets the connection go.
    fn end(&self) {
        self.live.send_replace(None);
        self.tell_gap();
        self.channels().clear();
    }

    /// Keeps the link up. Does not end by itself.
    async fn attend(self: &Arc<Self>, mut opened: Option<Live>) {
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(live) = opened {
                let since = live.since;
                self.serve(live).await;
                if since.elapsed() > STEADY {
                    pause = PAUSE_MIN;
                }
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSE_MAX);
            opened = self.open().await;
        }
    }

    /// Looks after one connection until it is lost.
    async fn serve(&self, Live { number, mut connection, probes, .. }: Live) {
        let mut heard = HashSet::new();
        let mut state = self.live.subscribe();
        loop {
            self.listen(number, &mut connection, &mut heard).await;
            let lost = async {
                let gone = |live: &Option<Live>| live.as_ref().is_none_or(|l| l.number != number);
                let _ = state.wait_for(gone).await;
            };
            tokio::select! {
                () = lost => return,
                () = self.channels_changed.notified() => {}
                () = tokio::time::sleep(HEARTBEAT) => {
                    let _ = self.judge(number, connection.probe(&probes).await);
                }
            }
        }
    }

    /// Subscribes to what is wanted and not heard, and the reverse.
    async fn listen(&self, number: u64, connection: &mut Connection, heard: &mut HashSet<String>) {
        let wanted: HashSet<String> = {
            let mut channels = self.channels();
            channels.retain(|_, sender| sender.receiver_count() > 0);
            channels.keys().cloned().collect()
        };
        let fresh: Vec<&String> = wanted.difference(heard).collect();
        let stale: Vec<&String> = heard.difference(&wanted).collect();
        // One by one: in a cluster each is heard from the node of its name.
        for channel in stale {
            let _ = self.judge(number, connection.unsubscribe(channel).await);
        }
        for channel in fresh {
            let _ = self.judge(number, connection.subscribe(channel).await);
            if let Some(sender) = self.channels().get(channel) {
                let _ = sender.send(Notice::Gap);
            }
        }
        *heard = wanted;
    }
}

#[cfg(test)]
mod tests;
