//! This process's own cache: the newest version of each product that it has
//! heard of lately, and for how long that may be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::CachedProduct;
use crate::model::{ProductId, Timestamp};

/// A product that is not there may be created at any moment by a process that
/// does not say so, as when Redis is not used.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// Where the time comes from; tests move it.
pub(crate) type Time = Arc<dyn Fn() -> Instant + Send + Sync>;

/// When something was read. It is served for a time from then on, not from
/// when it arrived: a reader that was slow brings what is old already.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub at: Instant,
    era: u64,
}

#[derive(Clone)]
struct Entry {
    what: What,
    good_until: Instant,
    era: u64,
}

#[derive(Clone)]
enum What {
    Product(Arc<CachedProduct>),
    /// The product is not there.
    Absent,
    /// Another process wrote this version; nothing older may be set.
    Changed(u64),
}

/// What came of offering a product.
pub(crate) enum Offered {
    /// It is the newest known.
    Newest,
    /// This one is newer.
    Newer(Arc<CachedProduct>),
    /// A newer one was announced and is not here.
    Outdated,
}

pub(crate) struct LocalTier {
    /// An entry whose era is over is not served, and keeps an older version out
    /// until its time is over, too; after that any other replaces it.
    entries: Cache<ProductId, Entry>,
    ttl: Duration,
    time: Time,
    /// Raised to serve nothing any more that was read before.
    era: AtomicU64,
}

impl LocalTier {
    pub fn new(ttl: Duration, capacity: u32, time: Time) -> Self {
        let entries = Cache::new(usize::try_from(capacity).unwrap_or(usize::MAX));
        Self { entries, ttl, time, era: AtomicU64::new(0) }
    }

    pub fn moment(&self) -> Moment {
        Moment { at: (self.time)(), era: self.era.load(Ordering::SeqCst) }
    }

    /// What may be served: a product, or that there is none.
    pub fn get(&self, id: ProductId, now: Timestamp) -> Option<Option<Arc<CachedProduct>>> {
        let entry = self.entries.get(&id)?;
        let Moment { at, era } = self.moment();
        if entry.era != era || at >= entry.good_until {
            return None;
        }
        match entry.what {
            What::Product(product) => product.is_valid(now).then_some(Some(product)),
            What::Absent => Some(None),
            What::Changed(_) => None,
        }
    }

    /// Sets a product that the store was asked for, unless a newer version is
    /// known by an entry that lived when the store was asked.
    pub fn offer_loaded(&self, product: Arc<CachedProduct>, read: Moment) -> Offered {
        self.offer_over(product, read, |held| read.at < held.good_until)
    }

    /// Sets a product unless a newer version is known. What is not read from
    /// the store now, as what Redis has or an earlier commit left, may be older
    /// than what is known, however long ago that was.
    pub fn offer(&self, product: Arc<CachedProduct>, read: Moment) -> Offered {
        self.offer_over(product, read, |_| true)
    }

    fn offer_over(
        &self,
        product: Arc<CachedProduct>,
        read: Moment,
        counts: impl Fn(&Entry) -> bool,
    ) -> Offered {
        let version = product.product.version;
        let good_until = read.at + self.ttl;
        self.change(product.product.id, |held| {
            let held = held.filter(|held| counts(held));
            match held.map(|held| &held.what) {
                Some(What::Changed(newest)) if *newest > version => {
                    return (None, Offered::Outdated);
                }
                Some(What::Product(held)) if held.product.version > version => {
                    return (None, Offered::Newer(Arc::clone(held)));
                }
                _ => {}
            }
            // Of two readings of one version the later one counts.
            let is_later = held.is_none_or(|held| {
                !matches!(&held.what, What::Product(held) if held.product.version == version)
                    || (held.era, held.good_until) <= (read.era, good_until)
            });
            let what = || What::Product(Arc::clone(&product));
            let new = || Entry { what: what(), good_until, era: read.era };
            (is_later.then(new), Offered::Newest)
        })
    }

    /// Notes that a product is not there, unless one is known by an entry that
    /// lives; that one is returned.
    pub fn offer_absent(&self, id: ProductId, read: Moment) -> Option<Arc<CachedProduct>> {
        let good_until = read.at + self.ttl.min(ABSENT_FOR);
        self.change(id, |held| {
            let held = held.filter(|held| read.at < held.good_until);
            match held.map(|held| &held.what) {
                None | Some(What::Absent) => {
                    (Some(Entry { what: What::Absent, good_until, era: read.era }), None)
                }
                Some(What::Product(product)) => (None, Some(Arc::clone(product))),
                Some(What::Changed(_)) => (None, None),
            }
        })
    }

    /// Notes that another process wrote `version`.
    pub fn changed(&self, id: ProductId, version: u64) {
        let Moment { at, era } = self.moment();
        self.change(id, |held| {
            let known = match held.map(|held| &held.what) {
                Some(What::Product(product)) => Some(product.product.version),
                Some(What::Changed(version)) => Some(*version),
                Some(What::Absent) | None => None,
            };
            let is_news = known.is_none_or(|known| known < version);
            let new = || Entry { what: What::Changed(version), good_until: at + self.ttl, era };
            (is_news.then(new), ())
        });
    }

    /// Replaces an entry, with no one else in between: `change` is shown the one
    /// that is held and says which is to be held, if another, and what it found.
    fn change<T>(&self, id: ProductId, change: impl Fn(Option<&Entry>) -> (Option<Entry>, T)) -> T {
        let entry = self.entries.entry(&id, None, |_, held| {
            let (new, found) = change(Some(held));
            if let Some(new) = new {
                *held = new;
            }
            EntryAction::Retain(found)
        });
        match entry {
            EntryResult::Retained(found) => found,
            EntryResult::Vacant(room) => {
                let (new, found) = change(None);
                if let Some(new) = new {
                    // Dropped where the cache was full meanwhile.
                    let _ = room.insert(new);
                }
                found
            }
            // Nothing was removed or replaced, and waits have no end.
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
                change(None).1
            }
        }
    }

    /// The version that another process is known to have written, if it is not here.
    pub fn announced(&self, id: ProductId) -> Option<u64> {
        match self.entries.get(&id)?.what {
            What::Changed(version) => Some(version),
            What::Product(_) | What::Absent => None,
        }
    }

    /// Some of the products that may be served, for a check against the store.
    pub fn sample(&self, most: usize) -> Vec<CachedProduct> {
        let Moment { at, era } = self.moment();
        let served = |entry: Entry| match entry.what {
            What::Product(product) if entry.era == era && at < entry.good_until => Some(product),
            _ => None,
        };
        let served = self.entries.iter().filter_map(|(_, entry)| served(entry));
        served.take(most).map(Arc::unwrap_or_clone).collect()
    }

    #[cfg(test)]
    pub fn forget(&self, id: ProductId) {
        self.entries.remove(&id);
    }

    /// Serves nothing any more that was read before now.
    pub fn distrust_all(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }
}
