//! Audits the packed rows of holds: each against its counts, its product, its
//! orders, its detached holds and its customers.

use std::collections::HashMap;

use super::super::error::StoreResult;
use super::super::hold_batch::{Counts, DETACHED, HoldBatch, code};
use super::super::order_lines::StoredLine;
use super::super::order_rows;
use super::super::rows::{self, Cells};
use super::super::statement::{Statement, run};
use super::{Audit, AuditState, UnitSums};
use crate::audit::{AuditReport, Check};
use crate::model::{Coded, HoldStatus, ProductId};

/// So many rows that one statement of the other scans reads for one of batches,
/// since a row unpacks to up to 256 holds.
const ROWS_PER_BATCH: u32 = 64;

/// A row of holds as it is stored.
struct StoredBatch {
    batch: HoldBatch,
    count: u64,
    counts: Counts,
    due: Option<i64>,
    has_product: bool,
}

/// A hold that has left the end of its batch.
struct StoredDetached {
    product_id: ProductId,
    quantity: u32,
    status: HoldStatus,
    expires_at: i64,
}

/// The order of a hold.
struct StoredOrder {
    id: i64,
    product_id: i64,
    quantity: i64,
}

impl StoredOrder {
    /// An order with the line of the hold; without one it fits no hold.
    fn of(id: i64, line: Option<&StoredLine>) -> Self {
        let product_id = line.map_or(-1, |line| signed(line.product_id().0));
        Self { id, product_id, quantity: line.map_or(-1, |line| line.quantity.into()) }
    }
}

/// What is kept of a hold's customer.
#[derive(PartialEq, Eq)]
struct StoredCustomer {
    product_id: i64,
    first_id: i64,
    is_active: bool,
    has_name: bool,
}

/// The rows of one range of hold ids.
#[derive(Default)]
struct HoldRange {
    batches: Vec<StoredBatch>,
    detached: HashMap<i64, StoredDetached>,
    orders: HashMap<i64, StoredOrder>,
    customers: HashMap<i64, StoredCustomer>,
}

impl Audit<'_> {
    /// Scans the rows by their first ids. A range of ids ends where the last row of
    /// a statement does, so that each order, detached hold and customer belongs to
    /// one range, whether or not there is a hold for it.
    pub(super) async fn holds(&mut self) -> StoreResult<()> {
        let limit = (self.scan_rows / ROWS_PER_BATCH).max(1);
        let mut first = "1 = 1".to_owned();
        // The least number that each dialect reads as an integer.
        let mut begin = i64::MIN + 1;
        let mut scanned = 0_u64;
        loop {
            let mut range = HoldRange::default();
            run(self.connection, &[select_batches(&first, limit)], &mut range).await?;
            let is_last = range.batches.len() < limit as usize;
            scanned += range.batches.len() as u64;
            let last = range.batches.last().map(|row| (row.batch.first_id, row.batch.end_id()));
            let end = last.filter(|_| !is_last).map(|(_, end)| signed(end));
            run(self.connection, &select_others(begin, end), &mut range).await?;
            self.state.check_range(range, begin);
            self.log_progress("hold_batches", scanned);
            let (Some((last, _)), Some(end)) = (last, end) else { return Ok(()) };
            first = format!("first_id > {last}");
            begin = end;
        }
    }
}

fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn select_batches(which: &str, limit: u32) -> Statement<HoldRange> {
    let columns = rows::HOLD_BATCH;
    let sql = format!(
        "SELECT {columns}, count, active, converted, released, expired, detached, \
         active_units, due, (SELECT p.id FROM stockade_products p WHERE p.id = b.product_id) \
         FROM stockade_hold_batches b WHERE {which} ORDER BY first_id LIMIT {limit}"
    );
    Statement::read(sql, |range: &mut HoldRange, row| {
        let batch = rows::hold_batch(row)?;
        let count = row.count()?;
        let holds = [row.count()?, row.count()?, row.count()?, row.count()?, row.count()?];
        let counts = Counts { holds, active_units: row.count()? };
        let (due, has_product) = (row.opt_int()?, row.opt_int()?.is_some());
        range.batches.push(StoredBatch { batch, count, counts, due, has_product });
        Ok(())
    })
}

/// Reads what belongs to the holds with ids from `begin` on, up to `end`.
fn select_others(begin: i64, end: Option<i64>) -> [Statement<HoldRange>; 4] {
    let range = |table: &str, columns: &str| {
        let end = end.map(|end| format!(" AND hold_id < {end}")).unwrap_or_default();
        format!("SELECT hold_id, {columns} FROM stockade_{table} WHERE hold_id >= {begin}{end}")
    };
    let columns = rows::of_alias(order_rows::LINES, "o");
    let end_of_further = end.map(|end| format!(" AND h.hold_id < {end}")).unwrap_or_default();
    let further_orders = format!(
        "SELECT h.hold_id, h.order_id, o.id, {columns} FROM stockade_order_holds h \
         LEFT JOIN stockade_orders o ON o.id = h.order_id \
         WHERE h.hold_id >= {begin}{end_of_further}"
    );
    let detached = |range: &mut HoldRange, row: &mut Cells<'_>| {
        let (id, product_id, quantity) = (row.int()?, ProductId(row.count()?), row.units()?);
        let (status, expires_at) = (row.coded()?, row.int()?);
        let hold = StoredDetached { product_id, quantity, status, expires_at };
        range.detached.insert(id, hold);
        Ok(())
    };
    let orders = |range: &mut HoldRange, row: &mut Cells<'_>| {
        let (hold, id) = (row.int()?, row.int()?);
        let lines = order_rows::lines(row)?;
        if let Some(line) = lines.first().filter(|line| !line.is_purged()) {
            range.orders.insert(hold, StoredOrder::of(id, Some(line)));
        }
        Ok(())
    };
    let further = |range: &mut HoldRange, row: &mut Cells<'_>| {
        let (hold, id, order) = (row.int()?, row.int()?, row.opt_int()?);
        let lines = if order.is_some() { order_rows::lines(row)? } else { Vec::new() };
        let line = lines.iter().find(|line| signed(line.hold_id().0) == hold && !line.is_purged());
        range.orders.insert(hold, StoredOrder::of(id, line));
        Ok(())
    };
    let customers = |range: &mut HoldRange, row: &mut Cells<'_>| {
        let (id, product_id, first_id) = (row.int()?, row.int()?, row.int()?);
        let (is_active, has_name) = (row.opt_int()?.is_some(), row.opt_int()?.is_some());
        let customer = StoredCustomer { product_id, first_id, is_active, has_name };
        range.customers.insert(id, customer);
        Ok(())
    };
    let of_customers = "product_id, first_id, active, \
         (SELECT n.id FROM stockade_customers n WHERE n.id = customer)";
    [
        Statement::read(range("detached_holds", "product_id, qty, status, expires_at"), detached),
        Statement::read(range("orders", &format!("id, {}", order_rows::LINES)), orders),
        Statement::read(further_orders, further),
        Statement::read(range("customer_holds", of_customers), customers),
    ]
}

/// Counts the packed statuses, not by the function whose result is stored: an audit
/// would not find its faults.
fn count_again(batch: &HoldBatch) -> Counts {
    let mut counts = Counts::default();
    for at in 0..batch.count() {
        let (Some(status), Some(quantity)) = (batch.status(at), batch.quantity(at)) else {
            continue;
        };
        if let Some(holds) = counts.holds.get_mut(usize::from(status)) {
            *holds += 1;
        }
        if status == code(HoldStatus::Active) {
            counts.active_units += u64::from(quantity);
        }
    }
    counts
}

impl AuditState {
    /// Checks the rows of the range of ids that begins at `begin`.
    fn check_range(&mut self, mut range: HoldRange, begin: i64) {
        let mut free = begin;
        for row in std::mem::take(&mut range.batches) {
            let first = signed(row.batch.first_id);
            if first < free {
                self.report.find(Check::HoldBatch, first, free.into(), first.into());
            }
            free = free.max(signed(row.batch.end_id()));
            self.check_counts(&row);
            self.check_holds(&row, &mut range);
        }
        // What is left belongs to no hold.
        for id in range.detached.into_keys() {
            self.report.find(Check::GhostHold, id, 1, 0);
        }
        for order in range.orders.into_values() {
            self.report.find(Check::OrphanOrder, order.id, 1, 0);
        }
        for id in range.customers.into_keys() {
            self.report.find(Check::GhostHold, id, 1, 0);
        }
    }

    /// Compares the counts of a row with its statuses.
    fn check_counts(&mut self, row: &StoredBatch) {
        let StoredBatch { batch, count, counts, due, .. } = row;
        let found = count_again(batch);
        let compare = |report: &mut AuditReport, stored: u64, found: u64| {
            if stored != found {
                let first = signed(batch.first_id);
                report.find(Check::HoldBatch, first, stored.into(), found.into());
            }
        };
        let report = &mut self.report;
        compare(report, *count, batch.count() as u64);
        for (stored, found) in counts.holds.iter().zip(found.holds) {
            compare(report, *stored, found);
        }
        compare(report, counts.active_units, found.active_units);
        let falls_due = batch.due().map(|at| at.micros());
        if *due != falls_due {
            let [stored, found] = [*due, falls_due].map(|at| i128::from(at.unwrap_or(0)));
            report.find(Check::HoldBatch, signed(batch.first_id), stored, found);
        }
    }

    /// Checks each hold of a row, and takes what belongs to it out of the range.
    fn check_holds(&mut self, row: &StoredBatch, range: &mut HoldRange) {
        let StoredBatch { batch, has_product, .. } = row;
        let product = signed(batch.product_id.0);
        for at in 0..batch.count() {
            let (Some(status), Some(packed)) = (batch.status(at), batch.quantity(at)) else {
                continue;
            };
            let id = signed(batch.first_id.saturating_add(at as u64));
            let detached = range
                .detached
                .remove(&id)
                .filter(|hold| status == DETACHED && hold.product_id == batch.product_id);
            // A quantity that was changed after the extension is in its own row alone.
            let quantity = detached.as_ref().map_or(packed, |hold| hold.quantity);
            // A detached hold has its status in a row of its own, and no other has one.
            let is_known = detached.is_some() == (status == DETACHED);
            let (status, end) = match &detached {
                Some(hold) => (Some(hold.status), hold.expires_at),
                None => (HoldStatus::from_code(status.into()), batch.expires_at.micros()),
            };
            let order = range.orders.remove(&id);
            let is_converted = status == Some(HoldStatus::Converted);
            if !*has_product || !is_known || (is_converted && order.is_none()) {
                self.report.find(Check::GhostHold, id, 1, 0);
            }
            let fits = |order: &StoredOrder| {
                is_converted && order.product_id == product && order.quantity == i64::from(quantity)
            };
            if let Some(order) = order.filter(|order| !fits(order)) {
                self.report.find(Check::OrphanOrder, order.id, 1, 0);
            }
            let is_active = status == Some(HoldStatus::Active);
            let wanted = StoredCustomer {
                product_id: product,
                first_id: signed(batch.first_id),
                is_active,
                has_name: true,
            };
            if range.customers.remove(&id).is_some_and(|found| found != wanted) {
                self.report.find(Check::GhostHold, id, 1, 0);
            }
            if is_active {
                let sums: &mut UnitSums = self.sums.entry(product).or_default();
                sums.held += i128::from(quantity);
                sums.falls_due(Some(end));
            }
        }
    }
}
