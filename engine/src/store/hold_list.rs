//! Reads holds by ascending id: rows of holds in the order of their primary key,
//! unpacked.

use std::collections::BTreeMap;

use super::database::Database;
use super::error::StoreResult;
use super::hold_rows::{HoldRows, add_batch, add_detached};
use super::reads::SqlStore;
use super::statement::Statement;
use super::{ListedHolds, rows};
use crate::model::{HoldId, HoldQuery, HoldStatus, OrderId, Timestamp};

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
    ) -> StoreResult<ListedHolds> {
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
        let Some(last) = read.last_id() else { return Ok(ListedHolds::default()) };
        // A hold that is extended between the two reads is in the second one.
        let range = format!("BETWEEN {} AND {}", after.saturating_add(1), last.0);
        let columns = rows::DETACHED_HOLD;
        let sql = format!("SELECT {columns} FROM stockade_detached_holds WHERE hold_id {range}");
        self.select(&[Statement::read(sql, add_detached)], &mut read).await?;
        let mut holds = read.into_holds();
        for hold in &mut holds {
            hold.end_if_due(now);
        }
        holds.retain(|hold| hold.id.0 > after && query.matches(hold.product_id, hold.status));
        if holds.iter().any(|hold| hold.status == HoldStatus::Converted) {
            let sql = format!("SELECT hold_id, id FROM stockade_orders WHERE hold_id {range}");
            let (orders, _) =
                self.select_all(sql, |row| Ok((row.count()?, OrderId(row.count()?)))).await?;
            let orders: BTreeMap<u64, OrderId> = orders.into_iter().collect();
            for hold in &mut holds {
                hold.order_id = orders.get(&hold.id.0).copied();
            }
        }
        Ok(ListedHolds { holds, next })
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
