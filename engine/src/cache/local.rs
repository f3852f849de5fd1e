//! The local tier: the newest version of each product that this process knows,
//! and until when it may be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::CachedProduct;
use crate::model::{ProductId, Timestamp};

/// The TTL of a negative entry. Short, since a process without Redis may create
/// the product at any moment and announces nothing.
const ABSENT_TTL: Duration = Duration::from_secs(1);

/// The cache's monotonic clock, which tests replace.
pub(crate) type TimeSource = Arc<dyn Fn() -> Instant + Send + Sync>;

/// When a row was read. Its TTL counts from then and not from its arrival: the
/// row of a slow reader is already old.
#[derive(Clone, Copy)]
pub(crate) struct ReadTime {
    pub at: Instant,
    epoch: u64,
}

#[derive(Clone)]
struct Entry {
    content: Content,
    fresh_until: Instant,
    epoch: u64,
}

#[derive(Clone)]
enum Content {
    Product(Arc<CachedProduct>),
    /// There is no such product (negative entry).
    Absent,
    /// Another process wrote this version; nothing older may be inserted.
    Invalidated(u64),
}

/// The result of inserting a product.
pub(crate) enum Insertion {
    /// It is the newest version known.
    Newest,
    /// This newer row is cached.
    Superseded(Arc<CachedProduct>),
    /// A newer version was announced, and its row is not cached.
    Invalidated,
}

pub(crate) struct LocalTier {
    /// An entry of a past epoch is not served. It keeps older versions out until
    /// its TTL is over; after that any other replaces it.
    entries: Cache<ProductId, Entry>,
    ttl: Duration,
    time: TimeSource,
    /// Raised to invalidate all entries at once.
    epoch: AtomicU64,
}

impl LocalTier {
    pub fn new(ttl: Duration, capacity: u32, time: TimeSource) -> Self {
        let entries = Cache::new(usize::try_from(capacity).unwrap_or(usize::MAX));
        Self { entries, ttl, time, epoch: AtomicU64::new(0) }
    }

    pub fn read_time(&self) -> ReadTime {
        ReadTime { at: (self.time)(), epoch: self.epoch.load(Ordering::SeqCst) }
    }

    /// A fresh entry: a product, or that there is none.
    pub fn get(&self, id: ProductId, now: Timestamp) -> Option<Option<Arc<CachedProduct>>> {
        let entry = self.entries.get(&id)?;
        let ReadTime { at, epoch } = self.read_time();
        if entry.epoch != epoch || at >= entry.fresh_until {
            return None;
        }
        match entry.content {
            Content::Product(product) => product.is_valid(now).then_some(Some(product)),
            Content::Absent => Some(None),
            Content::Invalidated(_) => None,
        }
    }

    /// Inserts a row read from the store, unless a newer version is in an entry
    /// that was fresh when the read began.
    pub fn insert_loaded(&self, product: Arc<CachedProduct>, read: ReadTime) -> Insertion {
        self.insert_over(product, read, |held| read.at < held.fresh_until)
    }

    /// Inserts a row unless a newer version is cached, fresh or not. For rows
    /// from Redis or from an earlier commit, which may be older than any entry.
    pub fn insert(&self, product: Arc<CachedProduct>, read: ReadTime) -> Insertion {
        self.insert_over(product, read, |_| true)
    }

    fn insert_over(
        &self,
        product: Arc<CachedProduct>,
        read: ReadTime,
        counts: impl Fn(&Entry) -> bool,
    ) -> Insertion {
        let version = product.product.version;
        let fresh_until = read.at + self.ttl;
        self.update(product.product.id, |held| {
            let held = held.filter(|held| counts(held));
            match held.map(|held| &held.content) {
                Some(Content::Invalidated(newest)) if *newest > version => {
                    return (None, Insertion::Invalidated);
                }
                Some(Content::Product(held)) if held.product.version > version => {
                    return (None, Insertion::Superseded(Arc::clone(held)));
                }
                _ => {}
            }
            // Of two reads of one version the later one stays.
            let is_later = held.is_none_or(|held| {
                !matches!(&held.content, Content::Product(held) if held.product.version == version)
                    || (held.epoch, held.fresh_until) <= (read.epoch, fresh_until)
            });
            let content = || Content::Product(Arc::clone(&product));
            let new = || Entry { content: content(), fresh_until, epoch: read.epoch };
            (is_later.then(new), Insertion::Newest)
        })
    }

    /// Inserts a negative entry, unless a fresh entry has the product; that one
    /// is returned.
    pub fn insert_absent(&self, id: ProductId, read: ReadTime) -> Option<Arc<CachedProduct>> {
        let fresh_until = read.at + self.ttl.min(ABSENT_TTL);
        self.update(id, |held| {
            let held = held.filter(|held| read.at < held.fresh_until);
            match held.map(|held| &held.content) {
                None | Some(Content::Absent) => {
                    let content = Content::Absent;
                    (Some(Entry { content, fresh_until, epoch: read.epoch }), None)
                }
                Some(Content::Product(product)) => (None, Some(Arc::clone(product))),
                Some(Content::Invalidated(_)) => (None, None),
            }
        })
    }

    /// Invalidates what is older than `version`, which another process wrote.
    pub fn invalidate(&self, id: ProductId, version: u64) {
        let ReadTime { at, epoch } = self.read_time();
        self.update(id, |held| {
            let cached = match held.map(|held| &held.content) {
                Some(Content::Product(product)) => Some(product.product.version),
                Some(Content::Invalidated(version)) => Some(*version),
                Some(Content::Absent) | None => None,
            };
            let is_newer = cached.is_none_or(|cached| cached < version);
            let new = || Entry {
                content: Content::Invalidated(version),
                fresh_until: at + self.ttl,
                epoch,
            };
            (is_newer.then(new), ())
        });
    }

    /// Updates an entry atomically: `update` gets the present one and returns its
    /// replacement, if any, and the result.
    fn update<T>(&self, id: ProductId, update: impl Fn(Option<&Entry>) -> (Option<Entry>, T)) -> T {
        let entry = self.entries.entry(&id, None, |_, held| {
            let (new, result) = update(Some(held));
            if let Some(new) = new {
                *held = new;
            }
            EntryAction::Retain(result)
        });
        match entry {
            EntryResult::Retained(result) => result,
            EntryResult::Vacant(vacant) => {
                let (new, result) = update(None);
                if let Some(new) = new {
                    // Dropped if the cache is full by now.
                    let _ = vacant.insert(new);
                }
                result
            }
            // The closure only retains, and no timeout was given.
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
                update(None).1
            }
        }
    }

    /// The version that invalidated the product's entry, if its row is not cached.
    pub fn invalidated_by(&self, id: ProductId) -> Option<u64> {
        match self.entries.get(&id)?.content {
            Content::Invalidated(version) => Some(version),
            Content::Product(_) | Content::Absent => None,
        }
    }

    /// Some of the fresh products, for the audit.
    pub fn sample(&self, most: usize) -> Vec<CachedProduct> {
        let ReadTime { at, epoch } = self.read_time();
        let fresh = |entry: Entry| match entry.content {
            Content::Product(product) if entry.epoch == epoch && at < entry.fresh_until => {
                Some(product)
            }
            _ => None,
        };
        let fresh = self.entries.iter().filter_map(|(_, entry)| fresh(entry));
        fresh.take(most).map(Arc::unwrap_or_clone).collect()
    }

    #[cfg(test)]
    pub fn remove(&self, id: ProductId) {
        self.entries.remove(&id);
    }

    /// Invalidates all that was read before now.
    pub fn invalidate_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}
