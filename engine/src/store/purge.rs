//! Deletes history that has outlived its retention, a few rows in a transaction.
//!
//! Idempotency keys and payment events are found by an index on their time. Outbox
//! rows and rows of holds are read in the order of their ids, which ascend with
//! time: it needs no index that every buyer would pay for. Nothing that is deleted
//! changes any more, but for cancelled orders, which a late payment may still
//! reach: each deletion is guarded and its affected rows are counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use super::error::StoreResult;
use super::rows::Cells;
use super::session::SqlSession;
use super::statement::{ReadRow, Statement, fetch_all, read_clock, run, run_checked};
use super::statements::{hex_list, list};
use super::time::Timekeeper;
use super::writes::cases;
use super::{ID_BLOCK_AGE_MAX, Purge, PurgeStep};
use crate::model::{Coded, HoldStatus, OrderStatus, Timestamp};

/// The most rows that one step reads of a table.
pub(super) const ROWS_MAX: u32 = 250;
/// The most orders that one step deletes with their holds, but for those of one
/// row. It bounds how long their products are locked.
const ORDERS_MAX: u64 = 500;

pub(super) struct Purger<'a, D> {
    pub database: &'a D,
    pub time: &'a Arc<Timekeeper>,
}

/// A row of holds with what decides whether it is deleted.
#[derive(Debug)]
struct HoldRow {
    first_id: u64,
    end_id: u64,
    expires_at: Timestamp,
    created_at: Timestamp,
    active: u64,
    detached: u64,
    converted: u64,
}

#[derive(Debug)]
struct OrderOfHold {
    hold_id: u64,
    id: u64,
    product_id: u64,
    quantity: u64,
    status: OrderStatus,
    updated_at: Timestamp,
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

impl<D: Database> Purger<'_, D> {
    /// Deletes some rows. See [`Purge`].
    pub async fn step(&self, purge: Purge) -> StoreResult<PurgeStep> {
        let now = self.now().await?;
        let before = |age: Duration| now.before(age);
        match purge {
            Purge::Keys { older_than } => {
                let before = before(older_than).micros();
                let old = format!("created_at < {before} ORDER BY created_at");
                self.by_key("stockade_idempotency_keys", &old).await
            }
            Purge::Payments { older_than } => {
                let before = before(older_than).micros();
                let old = format!("waiting = 0 AND received_at < {before} ORDER BY received_at");
                self.by_key("stockade_payments", &old).await
            }
            Purge::Events { older_than } => self.events(before(older_than)).await,
            Purge::Holds { older_than, orders_older_than, from } => {
                let orders = orders_older_than.map(before);
                self.holds(from, Cutoffs { holds: before(older_than), orders }).await
            }
        }
    }

    /// Claims the scan of all rows of holds for one process of the store, at most
    /// once in `every`.
    pub async fn claim_scan(&self, every: Duration) -> StoreResult<bool> {
        let now = self.now().await?;
        let next = now.after(every).micros();
        let sql = format!(
            "UPDATE stockade_sequences SET next = {next} WHERE name = 'purge' AND next <= {}",
            now.micros()
        );
        Ok(self.write(&[Statement::new(sql)]).await?.first() == Some(&1))
    }

    async fn now(&self) -> StoreResult<Timestamp> {
        let mut connection = self.database.pools().reader().await?;
        let started = self.time.start_observation();
        let time = read_clock::<D>(connection.as_mut()).await;
        Ok(self.time.observe(time.inspect_err(|_| connection.discard())?, started))
    }

    async fn read<T: Send>(&self, sql: String, read: ReadRow<T>) -> StoreResult<Vec<T>> {
        let mut connection = self.database.pools().reader().await?;
        let rows = fetch_all(connection.as_mut(), sql, read).await;
        rows.inspect_err(|_| connection.discard())
    }

    /// Runs statements in one transaction. Returns the rows that each affected.
    async fn write(&self, statements: &[Statement<()>]) -> StoreResult<Vec<u64>> {
        let mut session = SqlSession::acquire(self.database, Arc::clone(self.time)).await?;
        session.open().await?;
        let affected = run(session.connection(), statements, &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(affected)
    }

    async fn by_key(&self, table: &str, old: &str) -> StoreResult<PurgeStep> {
        let sql = format!("SELECT idempotency_key FROM {table} WHERE {old} LIMIT {ROWS_MAX}");
        let keys = self.read(sql, |row| row.key()).await?;
        if keys.is_empty() {
            return Ok(PurgeStep::default());
        }
        let sql = format!("DELETE FROM {table} WHERE idempotency_key IN ({})", hex_list(&keys));
        let rows = self.write(&[Statement::new(sql)]).await?.into_iter().sum();
        Ok(PurgeStep { rows, next: (keys.len() == ROWS_MAX as usize).then_some(0) })
    }

    /// Deletes the oldest rows of the outbox, but never the newest row: the host's
    /// clock resumes from it.
    async fn events(&self, before: Timestamp) -> StoreResult<PurgeStep> {
        let sql = format!("SELECT id, at FROM stockade_outbox ORDER BY id LIMIT {}", ROWS_MAX + 1);
        let read: ReadRow<(u64, Timestamp)> = |row| Ok((row.count()?, row.time()?));
        let mut rows = self.read(sql, read).await?;
        rows.pop();
        let old = rows.iter().take_while(|(_, at)| *at < before);
        let Some((last, _)) = old.last() else { return Ok(PurgeStep::default()) };
        let sql = format!("DELETE FROM stockade_outbox WHERE id <= {last}");
        let deleted = self.write(&[Statement::new(sql)]).await?.into_iter().sum();
        Ok(PurgeStep { rows: deleted, next: (deleted >= u64::from(ROWS_MAX)).then_some(0) })
    }

    /// Deletes rows of holds with ids from `from` on of which no hold is active any
    /// more, each together with its orders, if all of them are final and old.
    async fn holds(&self, from: u64, cutoffs: Cutoffs) -> StoreResult<PurgeStep> {
        let sql = format!(
            "SELECT first_id, count, expires_at, created_at, active, detached, converted \
             FROM stockade_hold_batches WHERE first_id >= {from} ORDER BY first_id LIMIT {ROWS_MAX}"
        );
        let mut rows = self.read(sql, hold_row).await?;
        let is_page_full = rows.len() == ROWS_MAX as usize;
        // A process may use an id some time after others have used greater ones.
        let young = cutoffs.holds.after(ID_BLOCK_AGE_MAX);
        let end = rows.iter().position(|row| row.created_at > young);
        let mut next = rows.last().filter(|_| is_page_full && end.is_none()).map(|row| row.end_id);
        rows.truncate(end.unwrap_or(rows.len()));
        rows.retain(|row| row.may_be_deleted(cutoffs));
        let mut orders = 0;
        if let Some(at) = rows.iter().position(|row| {
            orders += row.linked();
            orders > ORDERS_MAX && orders > row.linked()
        }) {
            next = rows.get(at).map(|row| row.first_id);
            rows.truncate(at);
        }
        let linked = self.links(&rows).await?;
        rows.retain(|row| linked.permits(row, cutoffs));
        if !rows.is_empty() {
            let statements = linked.deletions(&rows);
            let mut session = SqlSession::acquire(self.database, Arc::clone(self.time)).await?;
            session.open().await?;
            run_checked(session.connection(), &statements, &mut ()).await?;
            session.finish("COMMIT").await?;
        }
        Ok(PurgeStep { rows: rows.len() as u64, next })
    }

    /// Reads what else there is of the holds of these rows.
    async fn links(&self, rows: &[HoldRow]) -> StoreResult<Links> {
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
        let orders = format!(
            "SELECT hold_id, id, product_id, qty, status, updated_at FROM stockade_orders \
             WHERE {ranges}"
        );
        let detached = self.read(detached, detached_hold).await?;
        let orders = self.read(orders, order_of_hold).await?;
        Ok(Links {
            detached: detached.into_iter().map(|hold| (hold.id, hold)).collect(),
            orders: orders.into_iter().map(|order| (order.hold_id, order)).collect(),
        })
    }
}

fn hold_row(row: &mut Cells<'_>) -> sqlx::Result<HoldRow> {
    let (first_id, count) = (row.count()?, row.count()?);
    Ok(HoldRow {
        first_id,
        end_id: first_id.saturating_add(count),
        expires_at: row.time()?,
        created_at: row.time()?,
        active: row.count()?,
        detached: row.count()?,
        converted: row.count()?,
    })
}

fn detached_hold(row: &mut Cells<'_>) -> sqlx::Result<DetachedHold> {
    Ok(DetachedHold { id: row.count()?, status: row.coded()?, expires_at: row.time()? })
}

fn order_of_hold(row: &mut Cells<'_>) -> sqlx::Result<OrderOfHold> {
    Ok(OrderOfHold {
        hold_id: row.count()?,
        id: row.count()?,
        product_id: row.count()?,
        quantity: row.count()?,
        status: row.coded()?,
        updated_at: row.time()?,
    })
}

impl HoldRow {
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
    orders: BTreeMap<u64, OrderOfHold>,
}

impl Links {
    fn detached(&self, row: &HoldRow) -> impl Iterator<Item = &DetachedHold> {
        self.detached.range(row.first_id..row.end_id).map(|(_, hold)| hold)
    }

    fn orders(&self, row: &HoldRow) -> impl Iterator<Item = &OrderOfHold> {
        self.orders.range(row.first_id..row.end_id).map(|(_, order)| order)
    }

    /// Whether everything of the row is over for long enough. A row that lacks an
    /// order or a detached hold is kept, so that audits still find it.
    fn permits(&self, row: &HoldRow, cutoffs: Cutoffs) -> bool {
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
        for order in self.orders(row) {
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
    fn deletions(&self, rows: &[HoldRow]) -> Vec<Statement<()>> {
        let mut sold: BTreeMap<u64, u64> = BTreeMap::new();
        let mut orders: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for order in rows.iter().flat_map(|row| self.orders(row)) {
            orders.entry(order.status.code()).or_default().push(order.id);
            if order.status == OrderStatus::Paid {
                *sold.entry(order.product_id).or_default() += order.quantity;
            }
        }
        let detached: Vec<u64> =
            rows.iter().flat_map(|row| self.detached(row)).map(|hold| hold.id).collect();
        let mut all = Vec::new();
        if !sold.is_empty() {
            let units = cases("id", sold.iter().map(|(id, units)| (*id, units)));
            let ids = list(sold.keys());
            let sql = format!(
                "UPDATE stockade_products SET sold_purged = sold_purged + {units} WHERE id IN ({ids})"
            );
            all.push(Statement::guarded(sql, sold.len()));
        }
        for (status, ids) in orders {
            let sql = format!(
                "DELETE FROM stockade_orders WHERE id IN ({}) AND status = {status}",
                list(&ids)
            );
            all.push(Statement::guarded(sql, ids.len()));
        }
        if !detached.is_empty() {
            let sql = format!(
                "DELETE FROM stockade_detached_holds WHERE hold_id IN ({}) AND status <> 0",
                list(&detached)
            );
            all.push(Statement::guarded(sql, detached.len()));
        }
        let ids = list(rows.iter().map(|row| row.first_id));
        let sql =
            format!("DELETE FROM stockade_hold_batches WHERE first_id IN ({ids}) AND active = 0");
        all.push(Statement::guarded(sql, rows.len()));
        all
    }
}

#[cfg(test)]
mod tests;
