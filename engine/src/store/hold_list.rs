//! Reads holds: one alone, and many by ascending id, as rows of holds in the order of
//! their primary key, unpacked.

use std::collections::BTreeMap;

use super::customers::select_names;
use super::database::Database;
use super::error::StoreResult;
use super::hold_metadata::select_metadata;
use super::hold_rows::{HoldRows, add_batch, add_detached, select_holds};
use super::order_rows::{order_of_hold, select_orders_of};
use super::reads::SqlStore;
use super::statement::Statement;
use super::statements::{hex, list};
use super::{Listed, rows};
use crate::model::{Hold, HoldId, HoldQuery, HoldStatus, OrderId, Timestamp};

/// The most rows of one read, of up to 256 holds each.
const ROWS_MAX: usize = 64;

impl<D: Database> SqlStore<D> {
    /// Reads holds that match and have ids above `after`; more than `wanted` only as
    /// far as the last row has more.
    pub(super) async fn list_holds(
        &self,
        query: &HoldQuery,
        after: u64,
        wanted: usize,
    ) -> StoreResult<Listed<Hold>> {
        if let Some(customer) = &query.customer {
            return self.list_holds_of(customer, query, after, wanted).await;
        }
        let mut read = HoldRows::default();
        // The time of this read is that of the statuses. A clock that is read later
        // would expire a hold that was ordered in time.
        let now = self.select(&[select_batches(after)], &mut read).await?;
        let is_full = read.batches().count() == ROWS_MAX;
        let end = last_row_needed(&read, query, (after, now), wanted);
        let next = if is_full { end.or(read.last_id()) } else { end };
        if let Some(end) = end {
            read.drop_batches_after(end);
        }
        let Some(last) = read.last_id() else { return Ok(Listed::default()) };
        // A hold that is extended between the two reads is in the second one.
        let range = format!("BETWEEN {} AND {}", after.saturating_add(1), last.0);
        let columns = rows::DETACHED_HOLD;
        let sql = format!("SELECT {columns} FROM stockade_detached_holds WHERE hold_id {range}");
        let reads =
            [Statement::read(sql, add_detached), select_names(&range), select_metadata(&range)];
        self.select(&reads, &mut read).await?;
        let mut holds = read.into_holds();
        for hold in &mut holds {
            hold.end_if_due(now);
        }
        holds.retain(|hold| {
            hold.id.0 > after && query.matches(hold.product_id, hold.status, hold.created_at)
        });
        self.find_orders_of(&mut holds, &range).await?;
        Ok(Listed { items: holds, next: next.map(|id| id.0) })
    }

    /// Reads one hold, which still has the status that is stored, and the store's time.
    pub(super) async fn read_hold(&self, id: HoldId) -> StoreResult<Option<(Hold, Timestamp)>> {
        let mut read = HoldRows::default();
        let mut reads = select_holds(&[id]);
        let this = format!("= {id}");
        reads.extend([select_names(&this), select_metadata(&this)]);
        let now = self.select(&reads, &mut read).await?;
        let Some(mut hold) = read.whole_hold(id) else { return Ok(None) };
        // The transaction that converted the hold inserted its order.
        self.find_orders_of(std::slice::from_mut(&mut hold), &this).await?;
        Ok(Some((hold, now)))
    }

    /// Sets the orders of converted holds, whose ids meet a condition.
    async fn find_orders_of(&self, holds: &mut [Hold], which: &str) -> StoreResult<()> {
        if holds.iter().any(|hold| hold.status == HoldStatus::Converted) {
            let (orders, _) = self.select_all(select_orders_of(which), order_of_hold).await?;
            let orders: BTreeMap<HoldId, OrderId> = orders.into_iter().collect();
            for hold in holds {
                hold.order_id = orders.get(&hold.id).copied();
            }
        }
        Ok(())
    }

    /// Reads holds of one customer, by an index of theirs.
    async fn list_holds_of(
        &self,
        customer: &str,
        query: &HoldQuery,
        after: u64,
        wanted: usize,
    ) -> StoreResult<Listed<Hold>> {
        let name = hex(customer.as_bytes());
        let sql = format!(
            "SELECT h.hold_id FROM stockade_customers n \
             JOIN stockade_customer_holds h ON h.customer = n.id \
             WHERE n.name = {name} AND h.hold_id > {after} ORDER BY h.hold_id LIMIT {wanted}"
        );
        let (ids, _) = self.select_all(sql, |row| row.count().map(HoldId)).await?;
        let Some(last) = ids.last().copied() else { return Ok(Listed::default()) };
        let mut read = HoldRows::default();
        let these = format!("IN ({})", list(&ids));
        let mut reads = select_holds(&ids);
        reads.push(select_metadata(&these));
        let now = self.select(&reads, &mut read).await?;
        let mut holds: Vec<Hold> = ids.iter().filter_map(|id| read.whole_hold(*id)).collect();
        for hold in &mut holds {
            hold.customer = Some(customer.to_owned());
            hold.end_if_due(now);
        }
        holds.retain(|hold| query.matches(hold.product_id, hold.status, hold.created_at));
        self.find_orders_of(&mut holds, &these).await?;
        let next = (ids.len() == wanted).then_some(last.0);
        Ok(Listed { items: holds, next })
    }
}

/// Returns the last id of the row with which enough holds match, if further rows
/// follow. Detached holds, whose statuses are elsewhere, are not counted.
fn last_row_needed(
    read: &HoldRows,
    query: &HoldQuery,
    (after, now): (u64, Timestamp),
    wanted: usize,
) -> Option<HoldId> {
    let last = read.last_id()?;
    let mut matching = 0;
    for batch in read.batches() {
        matching += batch.holds_matching(query, after, now);
        if matching >= wanted {
            return Some(batch.last_id()).filter(|end| *end < last);
        }
    }
    None
}

/// Selects rows from that on which has the first hold after this id, or would.
fn select_batches(after: u64) -> Statement<HoldRows> {
    let (columns, first) = (rows::HOLD_BATCH, after.saturating_add(1));
    let sql = format!(
        "SELECT {columns} FROM stockade_hold_batches WHERE first_id >= \
         (SELECT COALESCE(MAX(first_id), 0) FROM stockade_hold_batches WHERE first_id <= {first}) \
         ORDER BY first_id LIMIT {ROWS_MAX}"
    );
    Statement::read(sql, add_batch)
}
