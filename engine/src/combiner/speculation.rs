//! Deciding before the rows are read.
//!
//! Who wrote a product last knows how it stands, unless another process has
//! written it since. Where none has of late, a batch of holds is decided upon
//! what is remembered, and written, guarded and committed in one round trip. The
//! row has the last word: the write is guarded by all the numbers that were
//! remembered, so that one that stands otherwise fails the transaction whole,
//! and the batch is done again in the plain order.
//!
//! Only holds that are all granted are done so. A refusal must be right as of a
//! moment at which the row was read, and due holds that a batch might need are
//! read from the store; so is what a customer holds, where that has a limit.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::{Changes, Command, Decision, Policy, ProductRow, Rows, decide};
use crate::model::{ProductId, Timestamp};
use crate::runtime;

/// What was not read for so long is read again: the store's clock is heard then,
/// and another process's writes seen.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// The store's clock is only as well known as the answer that told it was quick.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(100);
/// A batch of more products would hardly find them all remembered.
const PRODUCTS_MAX: usize = 4;
/// Products remembered; beyond it the out-dated ones are dropped.
const REMEMBERED_MAX: usize = 1_024;

/// How a product stands once what is under way is done.
#[derive(Debug)]
struct RememberedRow {
    row: ProductRow,
    /// When it was last read.
    read_at: Instant,
    /// Whether it was then as this process had left it.
    is_ours: bool,
    /// The version at which it is so when it is read again.
    expected: u64,
}

impl RememberedRow {
    fn is_trusted(&self) -> bool {
        self.is_ours && runtime::elapsed(self.read_at) < TRUSTED_FOR
    }
}

/// A decision upon remembered rows.
pub(super) struct SpeculativeDecision {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
    pub now: Timestamp,
}

/// The products as this process's last batches leave them.
#[derive(Default)]
pub(super) struct Speculation {
    /// Held for moments only.
    known: Mutex<HashMap<ProductId, RememberedRow>>,
}

impl Speculation {
    /// Decides the commands upon what is remembered of their products, if all
    /// can be granted. The next batch then goes by what this one leaves.
    pub fn decide(
        &self,
        policy: &Policy,
        products: &[ProductId],
        commands: &[Command],
        fences: &BTreeMap<ProductId, u64>,
        now: Timestamp,
    ) -> Option<SpeculativeDecision> {
        let can_speculate = |command: &Command| is_fresh_hold(command) && !policy.counts(command);
        if products.len() > PRODUCTS_MAX || !commands.iter().all(can_speculate) {
            return None;
        }
        let wanted = commands.iter().flat_map(Command::new_holds);
        let wanted = wanted.map(|hold| u64::from(hold.qty)).sum();
        let rows = Rows { products: self.rows_of(products, fences, wanted)?, ..Rows::default() };
        let (decisions, changes) = decide(policy, rows, commands, now);
        let is_granted = |decision: &Decision| {
            matches!(decision, Decision::Done { answer: Ok(_), replayed: false })
        };
        let stands = decisions.iter().all(is_granted) && self.advance(&changes, fences);
        stands.then_some(SpeculativeDecision { decisions, changes, now })
    }

    /// The products' rows, if all can be relied on and have so many units.
    fn rows_of(
        &self,
        products: &[ProductId],
        fences: &BTreeMap<ProductId, u64>,
        wanted: u64,
    ) -> Option<BTreeMap<ProductId, ProductRow>> {
        let known = self.known();
        let row = |id: &ProductId| {
            let RememberedRow { row, .. } = known.get(id).filter(|known| known.is_trusted())?;
            let is_plenty = row.product.stock >= wanted;
            let is_overtaken = fences.get(id).is_some_and(|fence| row.fence > *fence);
            (is_plenty && !is_overtaken).then(|| (*id, row.clone()))
        };
        products.iter().map(row).collect()
    }

    /// Remembers what a foreseen batch leaves, unless another came in between.
    fn advance(&self, changes: &Changes, fences: &BTreeMap<ProductId, u64>) -> bool {
        let mut known = self.known();
        changes.products.iter().all(|change| {
            let Some(known) = known.get_mut(&change.after.product.id) else { return false };
            let is_next = known.row.product.version == change.before.product.version;
            if is_next {
                known.row = with_fence(change.after.clone(), fences);
                known.expected = known.row.product.version;
            }
            is_next
        })
    }

    /// Learns what a batch leaves behind, before it is committed; `read` is when
    /// it asked for its products and when it had them.
    pub fn learn(
        &self,
        changes: &Changes,
        fences: &BTreeMap<ProductId, u64>,
        read: Range<Instant>,
    ) {
        let changed = &changes.products;
        let mut known = self.known();
        if changed.len() > PRODUCTS_MAX || read.end - read.start > ROUND_TRIP_MAX {
            changed.iter().for_each(|change| drop(known.remove(&change.after.product.id)));
            return;
        }
        for change in changed {
            let id = change.after.product.id;
            let before = known.remove(&id);
            if known.len() >= REMEMBERED_MAX {
                known.retain(|_, known| runtime::elapsed(known.read_at) < TRUSTED_FOR);
            }
            if known.len() < REMEMBERED_MAX {
                let is_ours =
                    before.is_some_and(|known| known.expected == change.before.product.version);
                let row = with_fence(change.after.clone(), fences);
                let expected = row.product.version;
                known.insert(id, RememberedRow { row, read_at: read.end, is_ours, expected });
            }
        }
    }

    /// Relies no more on products of which a batch has failed. If it was but
    /// that it came to the row before another of this process, the next reading
    /// finds what that one has left.
    pub fn forget(&self, products: &[ProductId]) {
        let mut all = self.known();
        for id in products {
            match all.get_mut(id) {
                Some(known) if known.is_ours => {
                    known.is_ours = false;
                    known.expected = known.row.product.version.saturating_sub(1);
                }
                _ => drop(all.remove(id)),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ProductId, RememberedRow>> {
        // It is whole between any two statements that could panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row as it is written: under our fencing token.
fn with_fence(mut row: ProductRow, fences: &BTreeMap<ProductId, u64>) -> ProductRow {
    row.fence = fences.get(&row.product.id).map_or(row.fence, |fence| row.fence.max(*fence));
    row
}

/// Whether it makes holds and is not known to have been made before.
fn is_fresh_hold(command: &Command) -> bool {
    !command.new_holds().is_empty() && command.key().is_none_or(|keyed| keyed.is_fresh)
}

#[cfg(test)]
mod tests;
