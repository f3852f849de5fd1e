//! This process's own cache: the newest version of each product that it has
//! heard of, and for how long that may be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

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
    /// An entry stays for longer than it is served, so that its version keeps
    /// an older one out.
    entries: Cache<ProductId, Entry>,
    ttl: Duration,
    time: Time,
    /// Raised to serve nothing any more that was read before.
    era: AtomicU64,
}

impl LocalTier {
    pub fn new(ttl: Duration, capacity: u32, time: Time) -> Self {
        let entries = Cache::builder()
            .max_capacity(u64::from(capacity))
            .time_to_live(ttl.max(ABSENT_FOR))
            // What was just written is what will be asked for.
            .eviction_policy(EvictionPolicy::lru())
            .build();
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

    /// Sets a product unless a newer version is known.
    pub fn offer(&self, product: Arc<CachedProduct>, read: Moment) -> Offered {
        let version = product.product.version;
        let good_until = read.at + self.ttl;
        let mut offered = Offered::Newest;
        self.entries.entry(product.product.id).and_compute_with(|entry| {
            let held = entry.map(moka::Entry::into_value);
            match held.as_ref().map(|held| &held.what) {
                Some(What::Changed(newest)) if *newest > version => {
                    offered = Offered::Outdated;
                    return Op::Nop;
                }
                Some(What::Product(held)) if held.product.version > version => {
                    offered = Offered::Newer(Arc::clone(held));
                    return Op::Nop;
                }
                _ => {}
            }
            // Of two readings of one version the later one counts.
            let later = held.is_none_or(|held| {
                !matches!(&held.what, What::Product(held) if held.product.version == version)
                    || (held.era, held.good_until) <= (read.era, good_until)
            });
            if !later {
                return Op::Nop;
            }
            Op::Put(Entry { what: What::Product(product), good_until, era: read.era })
        });
        offered
    }

    /// Notes that a product is not there, unless one is known; that one is
    /// returned.
    pub fn offer_absent(&self, id: ProductId, read: Moment) -> Option<Arc<CachedProduct>> {
        let good_until = read.at + self.ttl.min(ABSENT_FOR);
        let mut known = None;
        self.entries.entry(id).and_compute_with(|entry| {
            match entry.map(|entry| entry.into_value().what) {
                None | Some(What::Absent) => {
                    Op::Put(Entry { what: What::Absent, good_until, era: read.era })
                }
                Some(What::Product(product)) => {
                    known = Some(product);
                    Op::Nop
                }
                Some(What::Changed(_)) => Op::Nop,
            }
        });
        known
    }

    /// Notes that another process wrote `version`.
    pub fn changed(&self, id: ProductId, version: u64) {
        let Moment { at, era } = self.moment();
        self.entries.entry(id).and_compute_with(|entry| {
            let known = match entry.map(|entry| entry.into_value().what) {
                Some(What::Product(product)) => Some(product.product.version),
                Some(What::Changed(version)) => Some(version),
                Some(What::Absent) | None => None,
            };
            if known.is_some_and(|known| known >= version) {
                return Op::Nop;
            }
            Op::Put(Entry { what: What::Changed(version), good_until: at + self.ttl, era })
        });
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
        self.entries.invalidate(&id);
    }

    /// Serves nothing any more that was read before now.
    pub fn distrust_all(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }
}
