//! The rows of holds that a transaction has read, and their reads.
//!
//! A hold is in the row with the greatest first id not above its own. These are
//! plain reads, in the same round trip as the locks of the products: every writer
//! of a row holds its product's lock, and the writes guard the row's version.

use std::collections::BTreeMap;

use super::hold_batch::{DETACHED, HoldBatch};
use super::rows;
use super::statement::Statement;
use super::statements::{IDS_MAX, list, put};
use crate::ledger::HoldRow;
use crate::model::{CartId, Hold, HoldId, Metadata, ProductId, Token, TokenSeed};

/// The most ids between two that one range reads. It reads the rows between them,
/// which costs less than another seek while they are few.
const GAP_MAX: u64 = 16;
/// The most ranges of one statement. SQLite joins at most 500 selects.
const RANGES_MAX: usize = 64;

/// The rows of holds that a transaction has read.
#[derive(Debug, Default)]
pub(super) struct HoldRows {
    batches: BTreeMap<u64, HoldBatch>,
    detached: BTreeMap<HoldId, (HoldRow, TokenSeed)>,
    customers: BTreeMap<HoldId, String>,
    metadata: BTreeMap<HoldId, Metadata>,
}

impl AsMut<Self> for HoldRows {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl HoldRows {
    pub fn add_batch(&mut self, batch: HoldBatch) {
        self.batches.insert(batch.first_id, batch);
    }

    pub fn add_detached(&mut self, (hold, seed): (HoldRow, TokenSeed)) {
        self.detached.insert(hold.id, (hold, seed));
    }

    /// Adds the name of a hold's customer.
    pub fn add_customer(&mut self, id: HoldId, name: String) {
        self.customers.insert(id, name);
    }

    pub fn add_metadata(&mut self, id: HoldId, metadata: Metadata) {
        self.metadata.insert(id, metadata);
    }

    /// Returns the row that has a hold, and its position there.
    pub fn batch_of(&self, id: HoldId) -> Option<(&HoldBatch, usize)> {
        let (_, batch) = self.batches.range(..=id.0).next_back()?;
        Some((batch, batch.position(id)?))
    }

    /// Returns the row of a hold that has left the end of its batch.
    pub fn detached(&self, id: HoldId) -> Option<&HoldRow> {
        self.detached.get(&id).map(|(hold, _)| hold)
    }

    /// Unpacks a hold.
    pub fn hold(&self, id: HoldId) -> Option<HoldRow> {
        if let Some(hold) = self.detached(id) {
            // Its batch alone knows its cart.
            let cart_id = self.batch_of(id).and_then(|(batch, at)| batch.cart_id(at));
            return Some(HoldRow { cart_id, ..*hold });
        }
        let (batch, at) = self.batch_of(id)?;
        // Without its own row the status and end of a detached hold are unknown.
        batch.hold(at).filter(|_| batch.status(at) != Some(DETACHED))
    }

    /// Unpacks a hold, with its customer and metadata as far as they were read.
    pub fn whole_hold(&self, id: HoldId) -> Option<Hold> {
        let (customer, metadata) = (self.customer(id), self.metadata(id));
        Some(Hold { customer, metadata, ..self.hold(id)?.to_hold() })
    }

    /// Returns the name of a hold's customer.
    pub fn customer(&self, id: HoldId) -> Option<String> {
        self.customers.get(&id).cloned()
    }

    /// Whether a hold has a customer.
    pub fn has_customer(&self, id: HoldId) -> bool {
        self.customers.contains_key(&id)
    }

    /// Returns a hold's metadata.
    pub fn metadata(&self, id: HoldId) -> Option<Metadata> {
        self.metadata.get(&id).cloned()
    }

    /// Returns the cart of a hold with the cart's token, whose seed is that of all
    /// its holds.
    pub fn cart_of(&self, id: HoldId) -> Option<(CartId, Token)> {
        let (batch, at) = self.batch_of(id)?;
        let cart_id = batch.cart_id(at)?;
        Some((cart_id, batch.seed.deriver().cart_token(cart_id)))
    }

    /// The rows by ascending id, without those of detached holds.
    pub fn batches(&self) -> impl Iterator<Item = &HoldBatch> {
        self.batches.values()
    }

    /// Drops the rows that begin after this id.
    pub fn drop_batches_after(&mut self, id: HoldId) {
        self.batches.retain(|first_id, _| *first_id <= id.0);
    }

    /// Returns the greatest id of a hold that the rows have.
    pub fn last_id(&self) -> Option<HoldId> {
        self.batches.last_key_value().map(|(_, last)| last.last_id())
    }

    /// Unpacks all holds, by ascending id.
    pub fn into_holds(self) -> Vec<Hold> {
        let Self { batches, mut detached, mut customers, mut metadata } = self;
        let packed = batches.values().flat_map(HoldBatch::holds);
        let hold = |(status, hold): (u8, HoldRow)| match detached.remove(&hold.id) {
            Some((detached, _)) => Some(HoldRow { cart_id: hold.cart_id, ..detached }),
            // Without its own row the status and end of a detached hold are unknown.
            None => (status != DETACHED).then_some(hold),
        };
        let named = |hold: HoldRow| {
            let (customer, metadata) = (customers.remove(&hold.id), metadata.remove(&hold.id));
            Hold { customer, metadata, ..hold.to_hold() }
        };
        packed.filter_map(hold).map(named).collect()
    }
}

/// Joins ids, which must ascend, to ranges of ids that lie close together.
fn ranges(ids: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if id.saturating_sub(*last) <= GAP_MAX => *last = id.max(*last),
            _ => ranges.push((id, id)),
        }
    }
    ranges
}

/// Selects the rows with these ids, which must ascend. It may also select rows
/// between them.
fn select_batches(columns: &str, ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    let select = |ranges: &[(u64, u64)]| {
        let mut sql = String::with_capacity(ranges.len() * 240);
        for (first, last) in ranges {
            let union = if sql.is_empty() { "" } else { " UNION ALL " };
            // The subquery is a constant to the optimizer: it seeks one key.
            put(
                &mut sql,
                format_args!(
                    "{union}SELECT {columns} FROM stockade_hold_batches WHERE first_id BETWEEN \
                     (SELECT COALESCE(MAX(first_id), {first}) FROM stockade_hold_batches \
                     WHERE first_id <= {first}) AND {last}"
                ),
            );
        }
        sql
    };
    ranges(ids).chunks(RANGES_MAX).map(select).collect()
}

/// Reads the rows of holds, whose ids must ascend.
pub(super) fn select_holds<T: AsMut<HoldRows>>(ids: &[HoldId]) -> Vec<Statement<T>> {
    let batches = select_batches(rows::HOLD_BATCH, ids.iter().map(|id| id.0));
    let batches = batches.into_iter().map(|sql| Statement::read(sql, add_batch));
    let columns = rows::DETACHED_HOLD;
    let detached = ids.chunks(IDS_MAX).map(|some| {
        let ids = list(some);
        let sql = format!("SELECT {columns} FROM stockade_detached_holds WHERE hold_id IN ({ids})");
        Statement::read(sql, add_detached)
    });
    batches.chain(detached).collect()
}

/// Decodes a row of [`rows::HOLD_BATCH`].
pub(super) fn add_batch<T: AsMut<HoldRows>>(
    into: &mut T,
    row: &mut rows::Cells<'_>,
) -> sqlx::Result<()> {
    into.as_mut().add_batch(rows::hold_batch(row)?);
    Ok(())
}

/// Decodes a row of [`rows::DETACHED_HOLD`].
pub(super) fn add_detached<T: AsMut<HoldRows>>(
    into: &mut T,
    row: &mut rows::Cells<'_>,
) -> sqlx::Result<()> {
    into.as_mut().add_detached(rows::detached_hold(row)?);
    Ok(())
}

/// Ranges of hold ids by their first id, with the id after the last and the product.
pub(super) type Owners = BTreeMap<u64, (u64, ProductId)>;

/// Reads which products holds belong to; their ids must ascend.
pub(super) fn select_owners(ids: &[u64]) -> Vec<Statement<Owners>> {
    let sql = select_batches("first_id, first_id + count, product_id", ids.iter().copied());
    let decode = |owners: &mut Owners, row: &mut rows::Cells<'_>| {
        owners.insert(row.count()?, (row.count()?, ProductId(row.count()?)));
        Ok(())
    };
    sql.into_iter().map(|sql| Statement::read(sql, decode)).collect()
}

/// Returns the product of a hold.
pub(super) fn owner(owners: &Owners, id: u64) -> Option<ProductId> {
    let (_, (end, product)) = owners.range(..=id).next_back()?;
    (id < *end).then_some(*product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_ids_share_a_range() {
        assert_eq!(ranges([]), []);
        assert_eq!(ranges([7, 8, 24, 41, 41]), [(7, 24), (41, 41)]);
    }

    #[test]
    fn rows_are_looked_up_by_ranges_of_bounded_number() {
        let far = (1..=130).map(|number| number * 1_000);
        let sql = select_batches("first_id", far);
        let selects = sql.iter().map(|sql| sql.matches("UNION ALL").count() + 1);
        assert_eq!(selects.collect::<Vec<_>>(), [64, 64, 2]);
        assert!(select_holds::<HoldRows>(&[]).is_empty());
    }
}
