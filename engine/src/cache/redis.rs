//! The shared tier: rows in Redis, and invalidations between processes by its
//! publish/subscribe.
//!
//! Each commit is published in the background: the new row is set if it is newer
//! than the one in Redis, and its id and version are announced, so that other
//! processes invalidate their local entries. A late or lost publication is
//! bounded by [`ENTRY_TTL`], counted from the moment at which the row was read.
//!
//! After a loss of the connection nothing is read from Redis for one such TTL: by
//! then all entries from before the loss, which may have missed commits, have
//! expired, and those that are there were written after it. The same holds after
//! a start, since the process before this one may have died between its commit
//! and its announcement. So processes need no common epoch, and none can be lost
//! by a flush.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::Script;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::CachedProduct;
use super::mirror::ProductMirror;
use crate::model::ProductId;
use crate::redis_connection::{Notice, RedisConnection, RedisConnectionError, Subscription};

/// For how long Redis serves a row after it was read: the bound on staleness if
/// an invalidation is lost, and the time without the tier after a reconnect.
pub(crate) const ENTRY_TTL: Duration = Duration::from_secs(10);
/// The most products that wait for their publication.
pub(crate) const PENDING_MAX: usize = 16_384;
/// Products published in one pipeline: the lock's commands wait behind it.
const PIPELINE_MAX: usize = 64;
/// The pause between two pipelines. Several writes of one product within it are
/// published as one, and a thousand busy products leave Redis time for the lock.
const PIPELINE_PAUSE: Duration = Duration::from_millis(5);

/// The channel of the invalidations.
const INVALIDATIONS: &str = "changed";

/// Sets the row unless Redis has a newer one, and announces it if asked to.
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

pub(super) struct PendingRow {
    product: Arc<CachedProduct>,
    read_at: Instant,
    /// Whether other processes are to invalidate theirs: true for a commit,
    /// false for a row that was only read.
    announce: bool,
}

impl PendingRow {
    fn merge(&mut self, next: Self) {
        let announce = self.announce || next.announce;
        if self.product.product.version <= next.product.product.version {
            *self = next;
        }
        self.announce = announce;
    }
}

pub(super) struct TierState {
    pub(super) connection: RedisConnection,
    entry_ttl: Duration,
    /// The newest version of each product to be published. A plain mutex: each
    /// critical section is a few map lookups and never awaits.
    pub(super) pending: Mutex<HashMap<ProductId, PendingRow>>,
    pending_added: Notify,
    /// When a commit was last not announced although the connection was up. A
    /// plain mutex around one value.
    pub(super) invalidation_lost_at: Mutex<Option<Instant>>,
}

/// The cache tier of all processes with the same Redis and prefix.
pub(crate) struct SharedTier {
    pub(super) state: Arc<TierState>,
    runtime: Handle,
    pub(super) tasks: TaskTracker,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl SharedTier {
    /// Starts the tier's two tasks, which end with it. Must be called inside a
    /// runtime.
    pub fn new(
        connection: RedisConnection,
        entry_ttl: Duration,
        mirror: Arc<ProductMirror>,
    ) -> Self {
        let invalidations = connection.subscribe(&connection.names().channel(INVALIDATIONS));
        let state = Arc::new(TierState {
            connection,
            entry_ttl,
            pending: Mutex::default(),
            pending_added: Notify::new(),
            invalidation_lost_at: Mutex::default(),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let invalidate = apply_invalidations(invalidations, mirror);
        tasks.spawn(stop.clone().run_until_cancelled_owned(invalidate));
        tasks.spawn(stop.clone().run_until_cancelled_owned(publish_pending(Arc::clone(&state))));
        tasks.close();
        Self { state, runtime: Handle::current(), tasks, _stop: stop.clone().drop_guard(), stop }
    }

    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// A row that some process read or wrote within the entry TTL.
    pub async fn get(&self, id: ProductId) -> Option<CachedProduct> {
        if !self.state.is_trusted() {
            return None;
        }
        // On the runtime: the caller's thread may be outside of it.
        let state = Arc::clone(&self.state);
        self.runtime.spawn(async move { state.get(id).await }).await.ok()?
    }

    /// Queues rows for publication. While the connection is down they are
    /// dropped: the rows that they would replace are not read again (see the
    /// module).
    pub fn publish(&self, products: &[Arc<CachedProduct>], read_at: Instant, announce: bool) {
        if !self.state.connection.is_up() {
            return;
        }
        let mut pending = self.state.pending.lock();
        for product in products {
            let full = pending.len() >= PENDING_MAX;
            let next = PendingRow { product: Arc::clone(product), read_at, announce };
            match pending.entry(product.product.id) {
                Entry::Occupied(mut held) => held.get_mut().merge(next),
                Entry::Vacant(_) if full => self.state.record_lost(announce),
                Entry::Vacant(vacant) => {
                    vacant.insert(next);
                }
            }
        }
        drop(pending);
        self.state.pending_added.notify_one();
    }
}

impl TierState {
    fn key(&self, id: ProductId) -> String {
        self.connection.names().product_key(id.0, "row")
    }

    /// Records a lost publication if it was to be announced.
    fn record_lost(&self, announce: bool) {
        if announce {
            let mut lost_at = self.invalidation_lost_at.lock();
            *lost_at = Some(Instant::now());
        }
    }

    async fn get(&self, id: ProductId) -> Option<CachedProduct> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(id));
        let held = self.connection.command::<Option<String>>(&command).await.ok()??;
        let (_, row) = held.split_once(' ')?;
        // A row that another release wrote may not parse: that is a miss.
        let row: CachedProduct = serde_json::from_str(row).ok()?;
        (row.product.id == id).then_some(row)
    }

    /// Whether all entries were written since the last loss.
    pub(super) fn is_trusted(&self) -> bool {
        let is_over = |since: Instant| since.elapsed() >= self.entry_ttl;
        let lost_at = *self.invalidation_lost_at.lock();
        self.connection.up_since().is_some_and(is_over) && lost_at.is_none_or(is_over)
    }
}

/// Invalidates local entries as other processes announce commits, and all of them
/// after a gap.
async fn apply_invalidations(mut invalidations: Subscription, mirror: Arc<ProductMirror>) {
    while let Some(notice) = invalidations.next().await {
        match notice {
            Notice::Gap => mirror.invalidate_all(),
            Notice::Message(text) => {
                let change = text
                    .split_once(':')
                    .and_then(|(id, version)| Some((id.parse().ok()?, version.parse().ok()?)));
                if let Some((id, version)) = change {
                    mirror.invalidate(ProductId(id), version);
                }
            }
        }
    }
}

/// Publishes pending rows, paced, until it is cancelled.
async fn publish_pending(state: Arc<TierState>) {
    loop {
        state.pending_added.notified().await;
        let pending: Vec<PendingRow> =
            std::mem::take(&mut *state.pending.lock()).into_values().collect();
        for batch in pending.chunks(PIPELINE_MAX) {
            match Box::pin(publish_batch(&state, batch)).await {
                Ok(()) => {}
                Err(RedisConnectionError::Rejected) => {
                    state.record_lost(batch.iter().any(|row| row.announce));
                }
                // The connection is down: the rest is dropped as well.
                Err(RedisConnectionError::Down | RedisConnectionError::InDoubt) => break,
            }
            tokio::time::sleep(PIPELINE_PAUSE).await;
        }
    }
}

/// Publishes rows in one pipeline, or in a cluster each by its own command.
async fn publish_batch(
    state: &TierState,
    batch: &[PendingRow],
) -> Result<(), RedisConnectionError> {
    let calls =
        batch.iter().filter_map(|row| Some((row.product.product.id, script_args(state, row)?)));
    if state.connection.is_cluster() {
        let publish = async |(id, args)| {
            let mut call = PUBLISH_SCRIPT.key(state.key(id));
            state.connection.script::<()>(call.arg(Vec::from(args))).await
        };
        return try_join_all(calls.map(publish)).await.map(drop);
    }
    let mut commands = redis::pipe();
    // Loaded each time: a restarted server has lost the script, and a pipeline
    // cannot be retried from the middle.
    commands.cmd("SCRIPT").arg("LOAD").arg(PUBLISH).ignore();
    for (id, args) in calls {
        let hash = PUBLISH_SCRIPT.get_hash();
        commands.cmd("EVALSHA").arg(hash).arg(1).arg(state.key(id)).arg(&args).ignore();
    }
    state.connection.pipeline(&commands).await
}

fn script_args(state: &TierState, row: &PendingRow) -> Option<[String; 5]> {
    let PendingRow { product, read_at, announce } = row;
    let text = serde_json::to_string(product.as_ref()).ok()?;
    let (id, version) = (product.product.id, product.product.version);
    let ttl = state.entry_ttl.saturating_sub(read_at.elapsed()).as_millis();
    let names = state.connection.names();
    let channel = if *announce { names.channel(INVALIDATIONS) } else { String::new() };
    let ttl = u64::try_from(ttl).unwrap_or(u64::MAX).max(1);
    Some([version.to_string(), text, ttl.to_string(), channel, format!("{id}:{version}")])
}
