//! Refusing at once what is known to be gone, without asking the database.
//!
//! A refusal from here is right as of some moment within the last [`TRUSTED`]:
//! what is remembered was read or written under the product's row lock, is
//! replaced by every later commit of this process before its caller is
//! answered, and is forgotten before another process's returned stock could be
//! kept from a buyer for longer than that. What falls due ends it at its
//! moment. It never grants anything, so the worst that a mistake could do is to
//! refuse for a moment too long.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::ledger::ProductRow;
use crate::model::{Product, ProductId, Timestamp};
use crate::runtime;

/// Half of the 100 ms within which stock that another process returned must be
/// for sale here.
const TRUSTED: Duration = Duration::from_millis(50);
/// Products remembered; beyond it the out-dated ones are dropped.
const PRODUCTS_MAX: usize = 4_096;

/// How a product stands after a transaction that locked it.
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

/// How a product stood when it was last seen.
#[derive(Debug)]
struct Seen {
    snapshot: StockSnapshot,
    seen: Instant,
    /// Whether it was asked for more than it had. If not, it is known only so
    /// that an older standing does not take its place: of two batches under
    /// way the earlier may be settled later.
    was_short: bool,
}

/// Products that were asked for more than they had, and those seen lately.
#[derive(Default)]
pub(crate) struct SoldOut {
    /// Held for a look-up, which never waits.
    products: RwLock<HashMap<ProductId, Seen>>,
}

impl SoldOut {
    /// How many units there are, if that is known to be less than `quantity`.
    pub fn available(&self, id: ProductId, quantity: u32, now: Timestamp) -> Option<u64> {
        let products = self.products.read().unwrap_or_else(PoisonError::into_inner);
        let Seen { snapshot, seen, was_short } = products.get(&id)?;
        let is_known = *was_short
            && snapshot.stock < u64::from(quantity)
            && snapshot.next_due.is_none_or(|due| now < due)
            && runtime::elapsed(*seen) < TRUSTED;
        is_known.then_some(snapshot.stock)
    }

    /// Learns how products stand, locked at `seen`; `refused` are those that
    /// were asked for more than they had. The others are only brought up to
    /// date.
    pub fn learn(
        &self,
        products: impl IntoIterator<Item = StockSnapshot>,
        refused: &[ProductId],
        seen: Instant,
    ) {
        let mut known = self.products.write().unwrap_or_else(PoisonError::into_inner);
        for snapshot in products {
            let id = snapshot.id;
            let is_short = refused.contains(&id);
            if let Some(older) = known.get_mut(&id) {
                // Beyond its time it says nothing: the store may have been put
                // back to an earlier state.
                let is_over = runtime::elapsed(older.seen) >= TRUSTED;
                if is_over || older.snapshot.version <= snapshot.version {
                    let was_short = older.was_short || is_short;
                    *older = Seen { snapshot, seen, was_short };
                }
                continue;
            }
            if known.len() >= PRODUCTS_MAX {
                known.retain(|_, seen| runtime::elapsed(seen.seen) < TRUSTED);
            }
            if known.len() < PRODUCTS_MAX {
                known.insert(id, Seen { snapshot, seen, was_short: is_short });
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
    fn only_what_was_refused_is_remembered_and_only_more_than_is_there_refused() {
        let known = SoldOut::default();
        known.learn([row(3, 2, None)], &[], Instant::now());
        assert_eq!(known.available(ID, 5, NOW), None, "no one was refused");
        known.learn([row(3, 2, None)], &[ID], Instant::now());
        assert_eq!(known.available(ID, 3, NOW), Some(2));
        assert_eq!(known.available(ID, 2, NOW), None, "so many are there");
        assert_eq!(known.available(ProductId(8), 3, NOW), None);
    }

    #[test]
    fn a_later_commit_replaces_what_is_known_and_an_earlier_one_does_not() {
        let known = SoldOut::default();
        known.learn([row(3, 0, None)], &[ID], Instant::now());
        known.learn([row(2, 9, None)], &[], Instant::now());
        assert_eq!(known.available(ID, 1, NOW), Some(0));
        known.learn([row(4, 1, None)], &[], Instant::now());
        assert_eq!(known.available(ID, 1, NOW), None);
        assert_eq!(known.available(ID, 2, NOW), Some(1));
    }

    #[test]
    fn a_refusal_that_is_settled_late_does_not_hide_what_came_back_meanwhile() {
        let known = SoldOut::default();
        let refused_at = Instant::now();
        known.learn([row(4, 1, None)], &[], Instant::now());
        known.learn([row(3, 0, None)], &[ID], refused_at);
        assert_eq!(known.available(ID, 1, NOW), None);
    }

    #[test]
    fn beyond_its_time_what_was_known_gives_way_to_an_older_version() {
        let known = SoldOut::default();
        let old = Instant::now().checked_sub(TRUSTED).expect("uptime");
        known.learn([row(7, 0, None)], &[], old);
        known.learn([row(3, 0, None)], &[ID], Instant::now());
        assert_eq!(known.available(ID, 1, NOW), Some(0));
    }

    #[test]
    fn it_ends_when_something_falls_due_and_when_it_is_too_old() {
        let known = SoldOut::default();
        known.learn([row(3, 0, Some(1_001))], &[ID], Instant::now());
        assert_eq!(known.available(ID, 1, NOW), Some(0));
        assert_eq!(known.available(ID, 1, Timestamp::from_micros(1_001)), None);
        let old = Instant::now().checked_sub(TRUSTED).expect("uptime");
        known.learn([row(3, 0, None)], &[ID], old);
        assert_eq!(known.available(ID, 1, NOW), None);
    }

    #[test]
    fn it_has_a_bound_and_out_dated_products_make_way() {
        let known = SoldOut::default();
        let at = |id: u64, since| {
            let mut row = row(1, 0, None);
            row.id = ProductId(id);
            known.learn([row], &[ProductId(id)], since);
        };
        let old = Instant::now().checked_sub(TRUSTED).expect("uptime");
        for id in 1..=PRODUCTS_MAX as u64 {
            at(id, old);
        }
        at(9_999, Instant::now());
        assert_eq!(known.available(ProductId(9_999), 1, NOW), Some(0));
        assert_eq!(known.products.read().expect("sound").len(), 1);
    }
}
