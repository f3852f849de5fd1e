//! The product mirror: the newest committed row of each product that this
//! process knows. All engines of the process on one store share it.
//!
//! Reads of the store, commits, and announcements of other processes update it;
//! cached reads and fast refusal are its queries. Each counts a
//! row's age from the moment at which the row was read or locked, so that a slow
//! reader or a slow commit never makes an old row look fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::CachedProduct;
use crate::model::{Product, ProductId, Timestamp};

/// The TTL of a negative entry. Short, since a process without Redis may create
/// the product at any moment and announces nothing.
const ABSENT_TTL: Duration = Duration::from_secs(1);

/// The oldest row that fast refusal may use. Half of the 100 ms within which
/// stock that another process returned must be for sale here.
const REFUSAL_TTL: Duration = Duration::from_millis(50);

/// The mirror's monotonic clock, which tests replace.
pub(crate) type TimeSource = Arc<dyn Fn() -> Instant + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReadTime {
    epoch: u64,
    pub at: Instant,
}

/// What is known of a product that has fewer units than are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoldOut {
    /// The units that can be held.
    pub left: u64,
    pub sku: Option<String>,
}

#[derive(Clone)]
struct Entry {
    content: Content,
    /// The moment from which its age counts.
    read: ReadTime,
    /// The moment up to which it is known to be right: the end of the transaction
    /// that had it locked, or the begin of the read.
    right_until: Instant,
    /// Whether a request exceeded the stock. Fast refusal needs one that the
    /// ledger has refused before.
    was_short: bool,
}

impl Entry {
    fn without_row(content: Content, read: ReadTime) -> Self {
        Self { content, read, right_until: read.at, was_short: false }
    }

    fn is_fresh(&self, at: Instant, ttl: Duration) -> bool {
        let ttl = match self.content {
            Content::Absent => ttl.min(ABSENT_TTL),
            Content::Product(_) | Content::Invalidated(_) => ttl,
        };
        at < self.read.at + ttl
    }
}

#[derive(Clone)]
enum Content {
    Product(Arc<CachedProduct>),
    /// There is no such product (negative entry).
    Absent,
    /// Another process wrote this version; nothing older may be inserted.
    Invalidated(u64),
}

pub(crate) enum Insertion {
    /// It is the newest version known.
    Newest,
    /// This newer row is cached.
    Superseded(Arc<CachedProduct>),
    /// A newer version was announced, and its row is not cached.
    Invalidated,
}

/// Where a row comes from, which decides what it may replace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A transaction that locked it; `was_short` if it refused a request for
    /// more units.
    Transaction { was_short: bool },
    /// A read of the store.
    Load,
    /// Redis, where a row may be older than any entry.
    Redis,
}

pub(crate) struct ProductMirror {
    /// An entry of a past epoch is not served. It keeps older versions out until
    /// its TTL is over; after that any other replaces it.
    entries: Cache<ProductId, Entry>,
    time: TimeSource,
    /// Raised to invalidate all entries at once.
    epoch: AtomicU64,
}

impl ProductMirror {
    pub fn new(capacity: u32, time: TimeSource) -> Self {
        let entries = Cache::new(usize::try_from(capacity).unwrap_or(usize::MAX));
        Self { entries, time, epoch: AtomicU64::new(0) }
    }

    pub fn read_time(&self) -> ReadTime {
        self.read_at((self.time)())
    }

    /// The read time of a row that was locked at `at`.
    pub fn read_at(&self, at: Instant) -> ReadTime {
        ReadTime { epoch: self.epoch.load(Ordering::SeqCst), at }
    }

    /// A fresh entry: a product, or that there is none.
    pub fn get(
        &self,
        id: ProductId,
        now: Timestamp,
        ttl: Duration,
    ) -> Option<Option<Arc<CachedProduct>>> {
        let entry = self.entries.get(&id)?;
        let ReadTime { at, epoch } = self.read_time();
        if entry.read.epoch != epoch || !entry.is_fresh(at, ttl) {
            return None;
        }
        match entry.content {
            Content::Product(product) => product.is_valid(now).then_some(Some(product)),
            Content::Absent => Some(None),
            Content::Invalidated(_) => None,
        }
    }

    /// Fast refusal: the product's stock, if that is less than `quantity`, the
    /// ledger has refused a request for the product, and the row is so fresh that
    /// the refusal is correct. It never grants anything.
    ///
    /// A product that is not for sale is refused for that, by the ledger, as is one that
    /// is no longer the one asked for.
    pub fn sold_out(
        &self,
        id: ProductId,
        quantity: u32,
        now: Timestamp,
        is_asked: impl Fn(&Product) -> bool,
    ) -> Option<SoldOut> {
        let entry = self.entries.get(&id)?;
        let Content::Product(cached) = &entry.content else { return None };
        let is_sold_out = entry.was_short
            && cached.product.stock < u64::from(quantity)
            && cached.is_valid(now)
            && cached.product.off_sale(now).is_none()
            && is_asked(&cached.product)
            && entry.is_fresh((self.time)(), REFUSAL_TTL);
        let Product { stock, sku, .. } = &cached.product;
        is_sold_out.then(|| SoldOut { left: *stock, sku: sku.clone() })
    }

    /// Inserts a row unless a newer version is in an entry that counts. One that
    /// had expired when the row was read does not: the store may have been
    /// restored from a backup. For a row from Redis every entry counts.
    ///
    /// An extension of a hold leaves the version as it is. So of one version the row
    /// stays that is right up to the later moment: a read that began before the
    /// extension was committed may count the hold as due.
    pub fn insert(
        &self,
        product: Arc<CachedProduct>,
        read: ReadTime,
        source: Source,
        ttl: Duration,
    ) -> Insertion {
        let version = product.product.version;
        self.update(product.product.id, |held| {
            let held = held.filter(|held| {
                source == Source::Redis || held.is_fresh(read.at, ttl.max(REFUSAL_TTL))
            });
            match held.map(|held| &held.content) {
                Some(Content::Invalidated(newest)) if *newest > version => {
                    return (None, Insertion::Invalidated);
                }
                Some(Content::Product(held)) if held.product.version > version => {
                    return (None, Insertion::Superseded(Arc::clone(held)));
                }
                _ => {}
            }
            let had_refused = held.is_some_and(|held| held.was_short);
            let was_short = match source {
                Source::Transaction { was_short } => was_short || had_refused,
                Source::Load => had_refused,
                Source::Redis => false,
            };
            let right_until = match source {
                Source::Transaction { .. } => (self.time)(),
                Source::Load | Source::Redis => read.at,
            };
            let is_later = held.is_none_or(|held| {
                !matches!(&held.content, Content::Product(held) if held.product.version == version)
                    || (held.read.epoch, held.right_until) <= (read.epoch, right_until)
            });
            let content = || Content::Product(Arc::clone(&product));
            let new = || Entry { content: content(), read, right_until, was_short };
            (is_later.then(new), Insertion::Newest)
        })
    }

    /// Inserts a negative entry, unless a fresh entry has the product; that one
    /// is returned.
    pub fn insert_absent(
        &self,
        id: ProductId,
        read: ReadTime,
        ttl: Duration,
    ) -> Option<Arc<CachedProduct>> {
        self.update(id, |held| {
            let held = held.filter(|held| held.is_fresh(read.at, ttl));
            match held.map(|held| &held.content) {
                None | Some(Content::Absent) => {
                    (Some(Entry::without_row(Content::Absent, read)), None)
                }
                Some(Content::Product(product)) => (None, Some(Arc::clone(product))),
                Some(Content::Invalidated(_)) => (None, None),
            }
        })
    }

    /// Invalidates what is older than `version`, which another process wrote.
    pub fn invalidate(&self, id: ProductId, version: u64) {
        let read = self.read_time();
        self.update(id, |held| {
            let cached = match held.map(|held| &held.content) {
                Some(Content::Product(product)) => Some(product.product.version),
                Some(Content::Invalidated(version)) => Some(*version),
                Some(Content::Absent) | None => None,
            };
            let is_newer = cached.is_none_or(|cached| cached < version);
            let new = || Entry::without_row(Content::Invalidated(version), read);
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
    pub fn sample(&self, most: usize, ttl: Duration) -> Vec<CachedProduct> {
        let ReadTime { at, epoch } = self.read_time();
        let fresh = |entry: Entry| {
            let is_fresh = entry.read.epoch == epoch && entry.is_fresh(at, ttl);
            match entry.content {
                Content::Product(product) if is_fresh => Some(product),
                _ => None,
            }
        };
        let fresh = self.entries.iter().filter_map(|(_, entry)| fresh(entry));
        fresh.take(most).map(Arc::unwrap_or_clone).collect()
    }

    #[cfg(test)]
    pub fn remove(&self, id: ProductId) {
        self.entries.remove(&id);
    }

    pub fn invalidate_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::lamp;

    const ID: ProductId = ProductId(7);
    const NOW: Timestamp = Timestamp::from_micros(1_000);
    const TTL: Duration = Duration::from_secs(1);
    const REFUSED: Source = Source::Transaction { was_short: true };
    const GRANTED: Source = Source::Transaction { was_short: false };

    fn left(found: Option<SoldOut>) -> Option<u64> {
        found.map(|found| found.left)
    }

    fn mirror() -> ProductMirror {
        ProductMirror::new(9, Arc::new(Instant::now))
    }

    fn row(version: u64, stock: u64, next_due: Option<i64>) -> Arc<CachedProduct> {
        let product = Product { version, ..lamp(ID, stock) };
        Arc::new(CachedProduct { product, next_due: next_due.map(Timestamp::from_micros) })
    }

    fn record(mirror: &ProductMirror, row: Arc<CachedProduct>, source: Source) {
        mirror.insert(row, mirror.read_time(), source, TTL);
    }

    #[test]
    fn a_product_is_sold_out_when_a_refused_one_has_less_than_wanted() {
        let mirror = mirror();
        record(&mirror, row(3, 2, None), GRANTED);
        assert_eq!(left(mirror.sold_out(ID, 5, NOW, |_| true)), None, "no request was refused");
        record(&mirror, row(3, 2, None), REFUSED);
        assert_eq!(left(mirror.sold_out(ID, 3, NOW, |_| true)), Some(2));
        assert_eq!(left(mirror.sold_out(ID, 2, NOW, |_| true)), None, "the stock is sufficient");
        assert_eq!(left(mirror.sold_out(ProductId(8), 3, NOW, |_| true)), None);
    }

    #[test]
    fn a_later_version_replaces_a_row_and_an_earlier_one_does_not() {
        let mirror = mirror();
        record(&mirror, row(3, 0, None), REFUSED);
        record(&mirror, row(2, 9, None), GRANTED);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), Some(0));
        record(&mirror, row(4, 1, None), GRANTED);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None);
        assert_eq!(left(mirror.sold_out(ID, 2, NOW, |_| true)), Some(1));
    }

    #[test]
    fn a_refusal_settled_late_does_not_hide_returned_stock() {
        let mirror = mirror();
        let refused_at = mirror.read_time();
        record(&mirror, row(4, 1, None), GRANTED);
        mirror.insert(row(3, 0, None), refused_at, REFUSED, TTL);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None);
    }

    #[test]
    fn a_read_that_began_before_a_commit_does_not_replace_its_row() {
        let mirror = mirror();
        let locked_at = mirror.read_time();
        // It counts a hold as due that the transaction extends.
        let read_at = mirror.read_time();
        mirror.insert(row(3, 1, None), read_at, Source::Load, TTL);
        assert_eq!(mirror.get(ID, NOW, TTL).flatten().map(|row| row.product.stock), Some(1));
        mirror.insert(row(3, 0, Some(2_000)), locked_at, REFUSED, TTL);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), Some(0), "it was inserted before");
        mirror.insert(row(3, 1, None), read_at, Source::Load, TTL);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), Some(0), "it came late");
        record(&mirror, row(3, 1, None), Source::Load);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None, "it began after the commit");
    }

    #[test]
    fn a_row_from_redis_refuses_nothing() {
        let mirror = mirror();
        record(&mirror, row(3, 0, None), REFUSED);
        record(&mirror, row(3, 0, None), Source::Load);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), Some(0));
        record(&mirror, row(4, 0, None), Source::Redis);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None, "it may be old");
    }

    #[test]
    fn a_version_of_another_process_ends_a_refusal() {
        let mirror = mirror();
        record(&mirror, row(3, 0, None), REFUSED);
        mirror.invalidate(ID, 4);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None);
    }

    #[test]
    fn a_refusal_ends_when_units_fall_due_or_its_ttl_is_over() {
        let mirror = mirror();
        record(&mirror, row(3, 0, Some(1_001)), REFUSED);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), Some(0));
        assert_eq!(left(mirror.sold_out(ID, 1, Timestamp::from_micros(1_001), |_| true)), None);
        let old = Instant::now().checked_sub(REFUSAL_TTL).expect("uptime");
        mirror.insert(row(4, 0, None), mirror.read_at(old), REFUSED, TTL);
        assert_eq!(left(mirror.sold_out(ID, 1, NOW, |_| true)), None);
    }
}
