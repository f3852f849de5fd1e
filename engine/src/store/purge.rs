//! Deletes history that has outlived its retention, a few rows in a transaction.
//!
//! Idempotency keys and payment events are found by an index on their time. Outbox
//! rows and rows of holds are read in the order of their ids, which ascend with
//! time: it needs no index that every buyer would pay for. Each deletion repeats the
//! condition under which its rows were found, since another process may have deleted
//! them meanwhile and a caller may have written new ones under the same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::database::Database;
use super::error::{Fault, StoreResult};
use super::events::number_rows;
use super::purged_orders::{self, OldOrder};
use super::reads::SqlStore;
use super::rows::Cells;
use super::statement::{ReadRow, Statement, run, run_checked};
use super::statements::{hex_list, list, set_sequence};
use super::{ID_BLOCK_AGE_MAX, Purge, PurgeStep};
use crate::model::{HoldStatus, OrderStatus, Timestamp};

/// The most rows that one step reads of a table.
pub(super) const ROWS_MAX: u32 = 250;
/// The most orders that one step deletes with their holds, but for those of one
/// row, and the most products that they have. They bound how long products are
/// locked, and for how many a step may wait.
const ORDERS_MAX: u64 = 500;
const PRODUCTS_MAX: usize = 16;

/// The rows of the sequences with the time of the next scan of all rows of holds,
/// and with the position that the present one has reached.
const NEXT_SCAN: &str = "purge";
const SCAN_POSITION: &str = "purge_from";

/// A row of holds with what decides whether it is deleted.
#[derive(Debug)]
struct OldBatch {
    first_id: u64,
    end_id: u64,
    product_id: u64,
    expires_at: Timestamp,
    created_at: Timestamp,
    active: u64,
    detached: u64,
    converted: u64,
    has_carts: bool,
}

#[derive(Debug)]
struct DetachedHold {
    id: u64,
    status: HoldStatus,
    expires_at: Timestamp,
}

/// Until when history is old.
#[derive(Debug, Clone, Copy)]
struct Cutoffs {
    holds: Timestamp,
    /// `None` if orders are kept for ever.
    orders: Option<Timestamp>,
}

impl<D: Database> SqlStore<D> {
    /// Deletes some rows. See [`Purge`].
    pub(super) async fn purge_step(&self, purge: Purge) -> StoreResult<PurgeStep> {
        let now = self.select::<()>(&[], &mut ()).await?;
        let before = |age: Duration| now.before(age);
        match purge {
            Purge::Keys { older_than } => {
                let old = format!("created_at < {}", before(older_than).micros());
                self.purge_keyed(purge, "stockade_idempotency_keys", &old, "created_at").await
            }
            Purge::Waiting { by_id, by_token } => self.end_waiting(now, (by_id, by_token)).await,
            Purge::Payments { older_than } => {
                let old = format!("waiting = 0 AND received_at < {}", before(older_than).micros());
                self.purge_keyed(purge, "stockade_payments", &old, "received_at").await
            }
            Purge::Events { older_than, from } => {
                let (rows, next) = self.purge_events(from, before(older_than)).await?;
                let next = next.map(|from| Purge::Events { older_than, from });
                Ok(PurgeStep { rows, next })
            }
            Purge::EventRows { older_than } => {
                self.purge_event_rows(purge, before(older_than)).await
            }
            Purge::DeadLetters { older_than } => {
                self.purge_dead_letters(purge, before(older_than)).await
            }
            Purge::Holds { older_than, orders_older_than } => {
                let orders = orders_older_than.map(before);
                let cutoffs = Cutoffs { holds: before(older_than), orders };
                let (rows, has_more) = self.purge_holds(cutoffs).await?;
                Ok(PurgeStep { rows, next: has_more.then_some(purge) })
            }
        }
    }

    /// Claims the scan of all rows of holds for this process, until `pause` from now.
    /// A claim further ahead than `longest` is of a clock that was wrong.
    pub(super) async fn claim_scan_for(
        &self,
        pause: Duration,
        longest: Duration,
    ) -> StoreResult<bool> {
        let now = self.select::<()>(&[], &mut ()).await?;
        let mut session = self.writer().await?;
        session.open().await?;
        let next = session.lock_sequence(NEXT_SCAN).await?;
        let next = Timestamp::from_micros(i64::try_from(next).unwrap_or(i64::MAX));
        if next > now && next <= now.after(longest) {
            session.finish("ROLLBACK").await?;
            return Ok(false);
        }
        let claim = set_sequence(NEXT_SCAN, now.after(pause).micros());
        run(session.connection(), &[claim], &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(true)
    }

    /// Runs statements in one transaction, each checked for the rows that it must
    /// affect. Returns the rows that each affected.
    pub(super) async fn transact(&self, statements: &[Statement<()>]) -> StoreResult<Vec<u64>> {
        let mut session = self.writer().await?;
        session.open().await?;
        let affected = run_checked(session.connection(), statements, &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(affected)
    }

    /// Deletes rows that an index on `time` finds, oldest first.
    async fn purge_keyed(
        &self,
        purge: Purge,
        table: &str,
        old: &str,
        time: &str,
    ) -> StoreResult<PurgeStep> {
        let sql = format!(
            "SELECT idempotency_key FROM {table} WHERE {old} ORDER BY {time} LIMIT {ROWS_MAX}"
        );
        let (keys, _) = self.select_all(sql, |row| row.key()).await?;
        if keys.is_empty() {
            return Ok(PurgeStep::default());
        }
        let sql =
            format!("DELETE FROM {table} WHERE idempotency_key IN ({}) AND {old}", hex_list(&keys));
        let rows = self.transact(&[Statement::new(sql)]).await?.into_iter().sum();
        Ok(PurgeStep { rows, next: (keys.len() == ROWS_MAX as usize).then_some(purge) })
    }

    /// Deletes old rows of the outbox with ids from `from` on. It never deletes the
    /// newest row, from which the host's clock resumes, nor the newest with events,
    /// after which the next cursor is counted. Returns how many it deleted, and the id
    /// to go on from.
    async fn purge_events(&self, from: u64, before: Timestamp) -> StoreResult<(u64, Option<u64>)> {
        let newest = "SELECT id FROM stockade_outbox WHERE first_cursor > 0 \
                      ORDER BY first_cursor DESC LIMIT 1";
        let (newest, _) = self.select_one(newest.to_owned(), |row| row.count()).await?;
        let newest = newest.unwrap_or(0);
        let limit = ROWS_MAX + 1;
        let sql = format!(
            "SELECT id, at, first_cursor FROM stockade_outbox WHERE id >= {from} \
             ORDER BY id LIMIT {limit}"
        );
        let read: ReadRow<(u64, Timestamp, bool)> =
            |row| Ok((row.count()?, row.time()?, row.opt_int()?.is_some()));
        let (mut rows, _) = self.select_all(sql, read).await?;
        let is_page_full = rows.len() == limit as usize;
        rows.pop();
        if rows.iter().any(|(_, at, is_numbered)| *at < before && !*is_numbered) {
            // A reader that comes later sees by the numbers that it has missed some.
            number_rows(&mut self.writer().await?).await?;
            return Ok((0, Some(from)));
        }
        let has_old = rows.iter().any(|(_, at, _)| *at < before);
        let (Some((first, ..)), Some((last, ..)), true) = (rows.first(), rows.last(), has_old)
        else {
            return Ok((0, None));
        };
        let before = before.micros();
        let sql = format!(
            "DELETE FROM stockade_outbox WHERE id BETWEEN {first} AND {last} AND at < {before} \
             AND id <> {newest}"
        );
        let deleted = self.transact(&[Statement::new(sql)]).await?.into_iter().sum();
        Ok((deleted, is_page_full.then_some(last + 1)))
    }

    /// Deletes rows of holds of which no hold is active any more, each together with
    /// its orders, if all of them are final and old. It goes on where the step before
    /// it ended, of whichever process, and begins anew after the last old row. Returns
    /// how many it deleted, and whether there are more old rows.
    async fn purge_holds(&self, cutoffs: Cutoffs) -> StoreResult<(u64, bool)> {
        let position =
            format!("SELECT next FROM stockade_sequences WHERE name = '{SCAN_POSITION}'");
        let (from, _) = self.select_one(position, |row| row.count()).await?;
        let from = from.unwrap_or(0);
        let sql = format!(
            "SELECT first_id, count, product_id, expires_at, created_at, active, detached, \
             converted, carts IS NOT NULL FROM stockade_hold_batches WHERE first_id >= {from} \
             ORDER BY first_id LIMIT {ROWS_MAX}"
        );
        let (mut rows, _) = self.select_all(sql, hold_row).await?;
        // A process may use an id some time after others have used greater ones.
        let young = cutoffs.holds.after(ID_BLOCK_AGE_MAX);
        let is_page_full = rows.len() == ROWS_MAX as usize;
        let are_some_old = is_page_full && rows.iter().any(|row| row.created_at <= young);
        let mut next = rows.last().filter(|_| are_some_old).map(|row| row.end_id);
        rows.retain(|row| row.may_be_deleted(cutoffs));
        if let Some(at) = first_beyond(&rows) {
            next = rows.get(at).map(|row| row.first_id);
            rows.truncate(at);
        }
        let linked = self.links(&rows).await?;
        rows.retain(|row| linked.permits(row, cutoffs));
        let reached = || set_sequence(SCAN_POSITION, next.unwrap_or(0));
        let mut statements = linked.deletions(&rows, cutoffs);
        let ranges: Vec<(u64, u64)> = rows.iter().map(|row| (row.first_id, row.end_id)).collect();
        statements.extend(self.delete_customers(&ranges).await?);
        statements.extend(ranges.iter().map(|(first, end)| {
            let sql = format!(
                "DELETE FROM stockade_hold_metadata WHERE hold_id >= {first} AND hold_id < {end}"
            );
            Statement::new(sql)
        }));
        statements.push(reached());
        let has_more = next.is_some();
        match self.transact(&statements).await {
            Ok(_) => Ok((rows.len() as u64, has_more)),
            // An order of theirs has changed, or the rows contradict each other: the
            // next scan meets them again.
            Err(error) if matches!(error.fault, Fault::Conflict | Fault::Invariant) => {
                let first_id = rows.first().map(|row| row.first_id);
                tracing::warn!(%error, first_id, "kept old rows of holds that cannot be deleted");
                self.transact(&[reached()]).await?;
                Ok((0, has_more))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what else there is of the holds of these rows.
    async fn links(&self, rows: &[OldBatch]) -> StoreResult<Links> {
        let ranges: Vec<String> = rows
            .iter()
            .filter(|row| row.linked() > 0)
            .map(|row| format!("(hold_id >= {} AND hold_id < {})", row.first_id, row.end_id))
            .collect();
        if ranges.is_empty() {
            return Ok(Links::default());
        }
        let ranges = ranges.join(" OR ");
        let detached = format!(
            "SELECT hold_id, status, expires_at FROM stockade_detached_holds WHERE {ranges}"
        );
        let (detached, _) = self.select_all(detached, detached_hold).await?;
        let (mut lines, mut orders) = (BTreeMap::new(), BTreeMap::new());
        for sql in purged_orders::select(&ranges) {
            for (hold_id, order) in self.select_all(sql, purged_orders::read).await?.0 {
                lines.insert(hold_id, order.id);
                orders.insert(order.id, order);
            }
        }
        let detached = detached.into_iter().map(|hold| (hold.id, hold)).collect();
        Ok(Links { detached, lines, orders })
    }
}

/// The position of the first row that is too much for a step that deletes those
/// before it.
fn first_beyond(rows: &[OldBatch]) -> Option<usize> {
    let (mut orders, mut products) = (0, BTreeSet::new());
    rows.iter().position(|row| {
        let is_first = orders == 0;
        orders += row.linked();
        if row.linked() > 0 {
            products.insert(row.product_id);
        }
        (orders > ORDERS_MAX || products.len() > PRODUCTS_MAX) && !is_first
    })
}

/// Deletes the carts whose first holds are in these rows.
fn delete_carts(rows: &[OldBatch]) -> Option<Statement<()>> {
    let ranges: Vec<String> = rows
        .iter()
        .filter(|row| row.has_carts)
        .map(|row| format!("(cart_id >= {} AND cart_id < {})", row.first_id, row.end_id))
        .collect();
    let sql = format!("DELETE FROM stockade_carts WHERE {}", ranges.join(" OR "));
    (!ranges.is_empty()).then(|| Statement::new(sql))
}

fn hold_row(row: &mut Cells<'_>) -> sqlx::Result<OldBatch> {
    let (first_id, count) = (row.count()?, row.count()?);
    Ok(OldBatch {
        first_id,
        end_id: first_id.saturating_add(count),
        product_id: row.count()?,
        expires_at: row.time()?,
        created_at: row.time()?,
        active: row.count()?,
        detached: row.count()?,
        converted: row.count()?,
        has_carts: row.int()? != 0,
    })
}

fn detached_hold(row: &mut Cells<'_>) -> sqlx::Result<DetachedHold> {
    Ok(DetachedHold { id: row.count()?, status: row.coded()?, expires_at: row.time()? })
}

impl OldBatch {
    /// The most holds that may have an order, or a row of their own.
    fn linked(&self) -> u64 {
        self.detached + self.converted
    }

    /// Whether nothing of the row itself speaks against its deletion.
    fn may_be_deleted(&self, cutoffs: Cutoffs) -> bool {
        let are_orders_old = || cutoffs.orders.is_some_and(|before| self.expires_at < before);
        self.active == 0
            && self.expires_at < cutoffs.holds
            && (self.converted == 0 || are_orders_old())
    }
}

/// The orders and detached holds of some rows, by the hold's id.
#[derive(Debug, Default)]
struct Links {
    detached: BTreeMap<u64, DetachedHold>,
    /// The orders of converted holds.
    lines: BTreeMap<u64, u64>,
    /// By the order's id.
    orders: BTreeMap<u64, OldOrder>,
}

impl Links {
    fn detached(&self, row: &OldBatch) -> impl Iterator<Item = &DetachedHold> {
        self.detached.range(row.first_id..row.end_id).map(|(_, hold)| hold)
    }

    /// The holds of a row that have an order, with it.
    fn orders(&self, row: &OldBatch) -> impl Iterator<Item = (u64, &OldOrder)> {
        let lines = self.lines.range(row.first_id..row.end_id);
        lines.filter_map(|(hold, order)| Some((*hold, self.orders.get(order)?)))
    }

    /// Whether everything of the row is over for long enough. A row that lacks an
    /// order or a detached hold is kept, so that audits still find it.
    fn permits(&self, row: &OldBatch, cutoffs: Cutoffs) -> bool {
        let mut converted = row.converted;
        let mut detached = 0;
        for hold in self.detached(row) {
            detached += 1;
            converted += u64::from(hold.status == HoldStatus::Converted);
            if hold.status == HoldStatus::Active || hold.expires_at >= cutoffs.holds {
                return false;
            }
        }
        let mut orders = 0;
        for (_, order) in self.orders(row) {
            orders += 1;
            let is_old = cutoffs.orders.is_some_and(|before| order.updated_at < before);
            if order.status == OrderStatus::PendingPayment || !is_old {
                return false;
            }
        }
        detached == row.detached && orders == converted
    }

    /// The statements that delete rows with all that belongs to them. The products
    /// come first, as in every transaction.
    fn deletions(&self, rows: &[OldBatch], cutoffs: Cutoffs) -> Vec<Statement<()>> {
        if rows.is_empty() {
            return Vec::new();
        }
        let holds = rows.iter().flat_map(|row| self.orders(row).map(|(hold, _)| hold)).collect();
        let detached: Vec<u64> =
            rows.iter().flat_map(|row| self.detached(row)).map(|hold| hold.id).collect();
        let before = cutoffs.orders.map_or(i64::MIN + 1, Timestamp::micros);
        let mut all = purged_orders::deletions(&self.orders, &holds, before);
        if !detached.is_empty() {
            let sql = format!(
                "DELETE FROM stockade_detached_holds WHERE hold_id IN ({}) AND status <> 0",
                list(&detached)
            );
            all.push(Statement::guarded(sql, detached.len()));
        }
        all.extend(delete_carts(rows));
        let ids = list(rows.iter().map(|row| row.first_id));
        let sql =
            format!("DELETE FROM stockade_hold_batches WHERE first_id IN ({ids}) AND active = 0");
        all.push(Statement::guarded(sql, rows.len()));
        all
    }
}

#[cfg(test)]
mod tests;
