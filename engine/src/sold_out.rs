//! A negative cache of sold-out products, which sheds holds without a
//! transaction.
//!
//! A refusal from here was correct at some moment within the last [`ENTRY_TTL`].
//! Each entry was read or written under the product's row lock, each later commit
//! of this process replaces it before its caller is answered, and it expires
//! before stock that another process returned could be withheld for longer than
//! that. Units that fall due end it at that moment. It never grants anything, so
//! a stale entry can only refuse for a moment too long.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::ledger::ProductRow;
use crate::model::{Product, ProductId, Timestamp};
use crate::runtime;

/// Half of the 100 ms within which stock that another process returned must be
/// for sale here.
const ENTRY_TTL: Duration = Duration::from_millis(50);
/// The most entries; beyond it expired ones are dropped.
const PRODUCTS_MAX: usize = 4_096;

/// A product's stock after a transaction that locked it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StockSnapshot {
    pub id: ProductId,
    version: u64,
    stock: u64,
    next_due: Option<Timestamp>,
}

impl From<&ProductRow> for StockSnapshot {
    fn from(row: &ProductRow) -> Self {
        let Product { id, version, stock, .. } = row.product;
        Self { id, version, stock, next_due: row.next_due }
    }
}

#[derive(Debug)]
struct Entry {
    snapshot: StockSnapshot,
    locked_at: Instant,
    /// Whether a request exceeded the stock. If not, the entry only keeps an older
    /// snapshot out: of two batches in flight the earlier may be settled later.
    was_short: bool,
}

/// Snapshots of products that could not fill a request, and of recent others.
#[derive(Default)]
pub(crate) struct SoldOut {
    /// A reader-writer lock, since every hold reads it and only a commit writes.
    /// Each critical section is a few map operations and never awaits.
    products: RwLock<HashMap<ProductId, Entry>>,
}

impl SoldOut {
    /// The product's stock, if a fresh entry has less than `quantity`.
    pub fn available(&self, id: ProductId, quantity: u32, now: Timestamp) -> Option<u64> {
        let products = self.products.read().unwrap_or_else(PoisonError::into_inner);
        let Entry { snapshot, locked_at, was_short } = products.get(&id)?;
        let is_sold_out = *was_short
            && snapshot.stock < u64::from(quantity)
            && snapshot.next_due.is_none_or(|due| now < due)
            && runtime::elapsed(*locked_at) < ENTRY_TTL;
        is_sold_out.then_some(snapshot.stock)
    }

    /// Records snapshots of products that were locked at `locked_at`. Those in
    /// `refused` could not fill a request.
    pub fn record(
        &self,
        products: impl IntoIterator<Item = StockSnapshot>,
        refused: &[ProductId],
        locked_at: Instant,
    ) {
        let mut entries = self.products.write().unwrap_or_else(PoisonError::into_inner);
        for snapshot in products {
            let id = snapshot.id;
            let is_short = refused.contains(&id);
            if let Some(older) = entries.get_mut(&id) {
                // An expired entry keeps nothing out: the store may have been
                // restored from a backup.
                let is_expired = runtime::elapsed(older.locked_at) >= ENTRY_TTL;
                if is_expired || older.snapshot.version <= snapshot.version {
                    let was_short = older.was_short || is_short;
                    *older = Entry { snapshot, locked_at, was_short };
                }
                continue;
            }
            if entries.len() >= PRODUCTS_MAX {
                entries.retain(|_, entry| runtime::elapsed(entry.locked_at) < ENTRY_TTL);
            }
            if entries.len() < PRODUCTS_MAX {
                entries.insert(id, Entry { snapshot, locked_at, was_short: is_short });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProductId = ProductId(7);
    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn row(version: u64, stock: u64, next_due: Option<i64>) -> StockSnapshot {
        StockSnapshot { id: ID, version, stock, next_due: next_due.map(Timestamp::from_micros) }
    }

    #[test]
    fn available_is_known_when_a_refused_product_has_less_than_wanted() {
        let sold_out = SoldOut::default();
        sold_out.record([row(3, 2, None)], &[], Instant::now());
        assert_eq!(sold_out.available(ID, 5, NOW), None, "no request was refused");
        sold_out.record([row(3, 2, None)], &[ID], Instant::now());
        assert_eq!(sold_out.available(ID, 3, NOW), Some(2));
        assert_eq!(sold_out.available(ID, 2, NOW), None, "the stock is sufficient");
        assert_eq!(sold_out.available(ProductId(8), 3, NOW), None);
    }

    #[test]
    fn a_later_version_replaces_an_entry_and_an_earlier_one_does_not() {
        let sold_out = SoldOut::default();
        sold_out.record([row(3, 0, None)], &[ID], Instant::now());
        sold_out.record([row(2, 9, None)], &[], Instant::now());
        assert_eq!(sold_out.available(ID, 1, NOW), Some(0));
        sold_out.record([row(4, 1, None)], &[], Instant::now());
        assert_eq!(sold_out.available(ID, 1, NOW), None);
        assert_eq!(sold_out.available(ID, 2, NOW), Some(1));
    }

    #[test]
    fn a_refusal_settled_late_does_not_hide_returned_stock() {
        let sold_out = SoldOut::default();
        let refused_at = Instant::now();
        sold_out.record([row(4, 1, None)], &[], Instant::now());
        sold_out.record([row(3, 0, None)], &[ID], refused_at);
        assert_eq!(sold_out.available(ID, 1, NOW), None);
    }

    #[test]
    fn an_expired_entry_gives_way_to_an_older_version() {
        let sold_out = SoldOut::default();
        let old = Instant::now().checked_sub(ENTRY_TTL).expect("uptime");
        sold_out.record([row(7, 0, None)], &[], old);
        sold_out.record([row(3, 0, None)], &[ID], Instant::now());
        assert_eq!(sold_out.available(ID, 1, NOW), Some(0));
    }

    #[test]
    fn an_entry_ends_when_units_fall_due_or_its_ttl_is_over() {
        let sold_out = SoldOut::default();
        sold_out.record([row(3, 0, Some(1_001))], &[ID], Instant::now());
        assert_eq!(sold_out.available(ID, 1, NOW), Some(0));
        assert_eq!(sold_out.available(ID, 1, Timestamp::from_micros(1_001)), None);
        let old = Instant::now().checked_sub(ENTRY_TTL).expect("uptime");
        sold_out.record([row(3, 0, None)], &[ID], old);
        assert_eq!(sold_out.available(ID, 1, NOW), None);
    }

    #[test]
    fn the_table_is_bounded_and_drops_expired_entries() {
        let sold_out = SoldOut::default();
        let at = |id: u64, since| {
            let mut row = row(1, 0, None);
            row.id = ProductId(id);
            sold_out.record([row], &[ProductId(id)], since);
        };
        let old = Instant::now().checked_sub(ENTRY_TTL).expect("uptime");
        for id in 1..=PRODUCTS_MAX as u64 {
            at(id, old);
        }
        at(9_999, Instant::now());
        assert_eq!(sold_out.available(ProductId(9_999), 1, NOW), Some(0));
        assert_eq!(sold_out.products.read().expect("sound").len(), 1);
    }
}
