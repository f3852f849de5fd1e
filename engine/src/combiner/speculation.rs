//! Speculative execution with optimistic concurrency: decides a batch of holds
//! on cached rows, before the rows are read.
//!
//! The process that last wrote a product has its current row in memory, unless
//! another process wrote it since. While none has, a batch is decided on the
//! cached row, then written, validated and committed in one round trip. The
//! guarded update validates it: it names all the numbers of the cached row, so
//! a row that differs fails the transaction whole, and the batch is retried on the
//! locking path.
//!
//! Under a lease, only a row that was read or written under it is valid: while
//! another process held the product's lock, it wrote the row.
//!
//! Only batches whose holds are all granted are speculative. A refusal must be
//! correct as of a moment at which the row was read, and due holds that a batch
//! might need are read from the store, as are the holds of a customer with a
//! limit.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::{Attributed, Changes, Command, Decision, Policy, ProductRow, Rows, decide};
use crate::model::{Product, ProductId, Timestamp};
use crate::runtime;

/// How long a cached row is valid after it was read. Reading it again observes
/// the store's clock and the writes of other processes.
const VALID_FOR: Duration = Duration::from_secs(1);
/// The longest read that validates a row: the uncertainty of the store's clock
/// is the round trip time of the read that observed it.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(100);
/// The most products of a speculative batch: the more products, the likelier is
/// one without a valid row.
const PRODUCTS_MAX: usize = 4;
/// How far the end of a sale is from the estimated time at least: much more than the
/// estimate is wrong by.
const SALE_MARGIN: Duration = Duration::from_secs(1);
/// The most cached rows; beyond it, rows that are no longer valid are evicted.
const CACHED_ROWS_MAX: usize = 1_024;

/// A product's row as this process's last batch left it.
#[derive(Debug)]
struct CachedRow {
    row: ProductRow,
    /// When it was last read.
    read_at: Instant,
    /// Whether that read found it as this process had left it, or was made under
    /// a lease, and no batch has failed since.
    is_sole_writer: bool,
}

impl CachedRow {
    fn is_valid(&self) -> bool {
        self.is_sole_writer && runtime::elapsed(self.read_at) < VALID_FOR
    }
}

/// A decision on cached rows.
pub(super) struct SpeculativeDecision {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
    pub now: Timestamp,
}

/// The product rows that speculation decides on.
#[derive(Default)]
pub(super) struct Speculation {
    /// Guards the cached rows. A plain mutex: critical sections never await.
    cached: Mutex<HashMap<ProductId, CachedRow>>,
}

impl Speculation {
    /// Decides the commands on cached rows, if all can be granted.
    pub fn decide<'a, C>(
        &self,
        policy: &Policy,
        products: &[ProductId],
        commands: &'a [C],
        fences: &BTreeMap<ProductId, u64>,
        now: Timestamp,
    ) -> Option<SpeculativeDecision>
    where
        &'a C: Into<Attributed<'a>>,
    {
        let commands = commands.iter().map(Into::into);
        let can_speculate = |it: Attributed<'_>| {
            is_fresh_hold(it.command) && !policy.needs_customer_holds(it.command)
        };
        if products.len() > PRODUCTS_MAX || !commands.clone().all(can_speculate) {
            return None;
        }
        let wanted = commands.clone().flat_map(|it| it.command.new_holds());
        let wanted = wanted.map(|hold| u64::from(hold.quantity)).sum();
        let rows =
            Rows { products: self.valid_rows(products, fences, wanted, now)?, ..Rows::default() };
        let (decisions, changes) = decide(policy, rows, commands, now);
        let is_granted = |decision: &Decision| {
            matches!(decision, Decision::Done { answer: Ok(_), replayed: false })
        };
        decisions.iter().all(is_granted).then_some(SpeculativeDecision { decisions, changes, now })
    }

    /// Returns the products' rows if all are valid and have so many units.
    fn valid_rows(
        &self,
        products: &[ProductId],
        fences: &BTreeMap<ProductId, u64>,
        wanted: u64,
        now: Timestamp,
    ) -> Option<BTreeMap<ProductId, ProductRow>> {
        let cached = self.cached();
        let row = |id: &ProductId| {
            let CachedRow { row, .. } = cached.get(id).filter(|cached| cached.is_valid())?;
            let has_stock = row.product.stock >= wanted;
            let is_on_sale = is_on_sale_throughout(&row.product, now);
            let is_of_lease = fences.get(id).is_none_or(|fence| row.fence == *fence);
            (has_stock && is_on_sale && is_of_lease).then(|| (*id, row.clone()))
        };
        products.iter().map(row).collect()
    }

    /// Advances the cached rows to what a speculative batch has committed.
    pub fn advance(&self, changes: &Changes, fences: &BTreeMap<ProductId, u64>) {
        let mut cached = self.cached();
        for change in &changes.products {
            if let Some(cached) = cached.get_mut(&change.after.product.id) {
                cached.row = with_fence(change.after.clone(), fences);
            }
        }
    }

    /// Records what a batch on the locking path has committed; `read` is when it
    /// requested its rows and when it had them.
    pub fn record(
        &self,
        changes: &Changes,
        fences: &BTreeMap<ProductId, u64>,
        read: Range<Instant>,
    ) {
        let changed = &changes.products;
        let mut cached = self.cached();
        if changed.len() > PRODUCTS_MAX || read.end - read.start > ROUND_TRIP_MAX {
            changed.iter().for_each(|change| drop(cached.remove(&change.after.product.id)));
            return;
        }
        for change in changed {
            let id = change.after.product.id;
            let before = cached.remove(&id);
            if cached.len() >= CACHED_ROWS_MAX {
                cached.retain(|_, cached| runtime::elapsed(cached.read_at) < VALID_FOR);
            }
            if cached.len() < CACHED_ROWS_MAX {
                let version = change.before.product.version;
                let has_lease = fences.contains_key(&id);
                let is_sole_writer = before.map_or(has_lease, |cached| {
                    cached.row.product.version == version || (cached.is_sole_writer && has_lease)
                });
                let row = with_fence(change.after.clone(), fences);
                cached.insert(id, CachedRow { row, read_at: read.end, is_sole_writer });
            }
        }
    }

    /// Invalidates the rows of a batch that failed. A row that the next read finds
    /// as this process left it is valid again.
    pub fn invalidate(&self, products: &[ProductId]) {
        let mut all = self.cached();
        for id in products {
            if let Some(cached) = all.get_mut(id) {
                cached.is_sole_writer = false;
            }
        }
    }

    fn cached(&self) -> MutexGuard<'_, HashMap<ProductId, CachedRow>> {
        // No panic leaves the map inconsistent, so a poisoned mutex is usable.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the row as it is written: under our fencing token.
fn with_fence(mut row: ProductRow, fences: &BTreeMap<ProductId, u64>) -> ProductRow {
    row.fence = fences.get(&row.product.id).map_or(row.fence, |fence| row.fence.max(*fence));
    row
}

/// Returns whether a product is for sale from well before `now` until well after it,
/// which is an estimate: near an end of the sale the store's clock decides.
fn is_on_sale_throughout(product: &Product, now: Timestamp) -> bool {
    let ends = [product.on_sale_from, product.on_sale_until];
    let is_near = |at: &Timestamp| now.before(SALE_MARGIN) < *at && *at < now.after(SALE_MARGIN);
    product.off_sale(now).is_none() && !ends.iter().flatten().any(is_near)
}

/// Returns whether the command creates holds and cannot be a replay.
fn is_fresh_hold(command: &Command) -> bool {
    !command.new_holds().is_empty() && command.key().is_none_or(|keyed| keyed.is_fresh)
}

#[cfg(test)]
mod tests;
