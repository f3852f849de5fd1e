//! The cache that processes share, and how they tell each other of changes.
//!
//! A commit is published in the background: the new row is set if it is newer
//! than the one there, and its id and version are announced, so that other
//! processes drop their own entry. What is published late or never is bounded
//! by the life of an entry, [`LIFE`], counted from when the row was read.
//!
//! After a break of the link nothing is read from Redis for one such life: by
//! then all entries from before the break, which may have missed commits, have
//! run out, and those that are there were written after it. The same holds
//! after a start, since the process before this one may have died between its
//! commit and its announcement. So no epoch needs to be agreed on, and none
//! can be lost with a flush.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use redis::Script;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::CachedProduct;
use super::local::LocalTier;
use crate::model::ProductId;
use crate::redis_connection::{Notice, RedisConnection, RedisConnectionError, Subscription};

/// For how long a row may be served from Redis after it was read.
pub(crate) const LIFE: Duration = Duration::from_secs(10);
/// Products that may wait to be published.
pub(crate) const PENDING_MAX: usize = 16_384;
/// Products published in one pipeline: the lock's commands wait behind it.
const BATCH: usize = 64;
/// Between two pipelines: what is written again meanwhile goes out once, and
/// where a thousand products are written all the time, Redis has other work, too.
const PACE: Duration = Duration::from_millis(5);

/// The channel on which changes are announced.
const CHANGED: &str = "changed";

/// Sets the row unless a newer one is there, and announces it if asked to.
const PUBLISH: &str = r"
local held = redis.call('GET', KEYS[1])
local version = held and tonumber(string.match(held, '^%d+')) or -1
if version > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return 1
";

static PUBLISH_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUBLISH));

struct Pending {
    product: Arc<CachedProduct>,
    read_at: Instant,
    /// Whether others are told: a commit is news, a row that was read is not.
    news: bool,
}

impl Pending {
    fn merge(&mut self, next: Self) {
        let news = self.news || next.news;
        if self.product.product.version <= next.product.product.version {
            *self = next;
        }
        self.news = news;
    }
}

struct Shared {
    link: RedisConnection,
    life: Duration,
    /// The newest version of each product to be published. Held for a look-up,
    /// which never waits.
    pending: Mutex<HashMap<ProductId, Pending>>,
    awaken: Notify,
    /// When a commit could last not be announced although the link was up.
    lost_at: Mutex<Option<Instant>>,
}

/// The shared cache of all processes with the same Redis and prefix.
pub(crate) struct SharedTier {
    shared: Arc<Shared>,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl SharedTier {
    /// Starts the tier's two tasks: it must be called inside a runtime. They
    /// end with the tier.
    pub fn new(link: RedisConnection, life: Duration, local: Arc<LocalTier>) -> Self {
        let changes = link.subscribe(&link.names().channel(CHANGED));
        let shared = Arc::new(Shared {
            link,
            life,
            pending: Mutex::default(),
            awaken: Notify::new(),
            lost_at: Mutex::default(),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(stop.clone().run_until_cancelled_owned(hear(changes, local)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(publish(Arc::clone(&shared))));
        tasks.close();
        Self { shared, runtime: Handle::current(), tasks, _stop: stop.clone().drop_guard(), stop }
    }

    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// A row that some process read or wrote less than a life ago.
    pub async fn get(&self, id: ProductId) -> Option<CachedProduct> {
        if !self.shared.is_trusted() {
            return None;
        }
        // On the runtime, which the caller's thread may know nothing of.
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move { shared.get(id).await }).await.ok()?
    }

    /// Queues rows to be published. While the link is down they are dropped:
    /// what they would have replaced is not read again (see the module).
    pub fn publish(&self, products: &[Arc<CachedProduct>], read_at: Instant, news: bool) {
        if !self.shared.link.is_up() {
            return;
        }
        let mut pending = self.shared.pending();
        for product in products {
            let full = pending.len() >= PENDING_MAX;
            let next = Pending { product: Arc::clone(product), read_at, news };
            match pending.entry(product.product.id) {
                Entry::Occupied(mut held) => held.get_mut().merge(next),
                Entry::Vacant(_) if full => self.shared.note_loss(news),
                Entry::Vacant(free) => {
                    free.insert(next);
                }
            }
        }
        drop(pending);
        self.shared.awaken.notify_one();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, HashMap<ProductId, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, id: ProductId) -> String {
        self.link.names().of_product(id.0, "row")
    }

    fn note_loss(&self, news: bool) {
        if news {
            let mut lost_at = self.lost_at.lock().unwrap_or_else(PoisonError::into_inner);
            *lost_at = Some(Instant::now());
        }
    }

    async fn get(&self, id: ProductId) -> Option<CachedProduct> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(id));
        let held = self.link.command::<Option<String>>(&command).await.ok()??;
        let (_, row) = held.split_once(' ')?;
        // A row of another release may not read: that is a miss.
        let found: CachedProduct = serde_json::from_str(row).ok()?;
        (found.product.id == id).then_some(found)
    }

    /// Whether every entry was written since the last break.
    fn is_trusted(&self) -> bool {
        let whole = |since: Instant| since.elapsed() >= self.life;
        let lost_at = *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.link.up_since().is_some_and(whole) && lost_at.is_none_or(whole)
    }
}

#[cfg(test)]
impl SharedTier {
    pub fn link(&self) -> &RedisConnection {
        &self.shared.link
    }

    pub fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    pub fn is_trusted(&self) -> bool {
        self.shared.is_trusted()
    }

    pub fn is_idle(&self) -> bool {
        self.shared.pending().is_empty()
    }

    pub fn has_lost(&self) -> bool {
        self.shared.lost_at.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Drops what other processes changed.
async fn hear(mut changes: Subscription, local: Arc<LocalTier>) {
    while let Some(notice) = changes.next().await {
        match notice {
            Notice::Gap => local.distrust_all(),
            Notice::Message(text) => {
                let change = text
                    .split_once(':')
                    .and_then(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)));
                if let Some((id, version)) = change {
                    local.changed(ProductId(id), version);
                }
            }
        }
    }
}

/// Publishes what is pending, at its own pace. Does not end by itself.
async fn publish(shared: Arc<Shared>) {
    loop {
        shared.awaken.notified().await;
        let pending: Vec<Pending> = std::mem::take(&mut *shared.pending()).into_values().collect();
        for batch in pending.chunks(BATCH) {
            match Box::pin(send(&shared, batch)).await {
                Ok(()) => {}
                Err(RedisConnectionError::Refused) => {
                    shared.note_loss(batch.iter().any(|row| row.news))
                }
                // The link is down: the rest is dropped as well.
                Err(RedisConnectionError::Down | RedisConnectionError::Unsure) => break,
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

/// In one pipeline, or in a cluster each product to its own server.
async fn send(shared: &Shared, batch: &[Pending]) -> Result<(), RedisConnectionError> {
    let calls =
        batch.iter().filter_map(|row| Some((row.product.product.id, arguments(shared, row)?)));
    if shared.link.is_cluster() {
        let send = async |(id, args)| {
            let mut call = PUBLISH_SCRIPT.key(shared.key(id));
            shared.link.script::<()>(call.arg(Vec::from(args))).await
        };
        return try_join_all(calls.map(send)).await.map(drop);
    }
    let mut commands = redis::pipe();
    // Loaded each time: a restarted server has forgotten it, and a pipeline
    // cannot be asked again in the middle.
    commands.cmd("SCRIPT").arg("LOAD").arg(PUBLISH).ignore();
    for (id, args) in calls {
        let hash = PUBLISH_SCRIPT.get_hash();
        commands.cmd("EVALSHA").arg(hash).arg(1).arg(shared.key(id)).arg(&args).ignore();
    }
    shared.link.pipeline(&commands).await
}

/// The script's arguments.
fn arguments(shared: &Shared, row: &Pending) -> Option<[String; 5]> {
    let Pending { product, read_at, news } = row;
    let text = serde_json::to_string(product.as_ref()).ok()?;
    let (id, version) = (product.product.id, product.product.version);
    let left = shared.life.saturating_sub(read_at.elapsed()).as_millis();
    let channel = if *news { shared.link.names().channel(CHANGED) } else { String::new() };
    let left = u64::try_from(left).unwrap_or(u64::MAX).max(1);
    Some([version.to_string(), text, left.to_string(), channel, format!("{id}:{version}")])
}
