//! What retention deletes of orders, together with their holds.
//!
//! An order of several lines has holds in several rows, which are not old all at once.
//! A line is marked as its hold is deleted, and its units are counted in the product's
//! counters of deleted ones; the order is deleted with its last line.

use std::collections::{BTreeMap, BTreeSet};

use super::order_lines::StoredLine;
use super::order_rows;
use super::rows::{self, Cells};
use super::statement::Statement;
use super::statements::{IDS_MAX, hex, list};
use super::writes::cases;
use crate::model::{OrderStatus, Timestamp};

/// An order of which a hold may be deleted.
#[derive(Debug)]
pub(super) struct OldOrder {
    pub id: u64,
    pub status: OrderStatus,
    pub updated_at: Timestamp,
    version: u64,
    lines: Vec<StoredLine>,
}

#[cfg(test)]
impl OldOrder {
    /// A cancelled order as it was first written.
    pub fn cancelled(id: u64, updated_at: Timestamp, lines: impl Into<Vec<StoredLine>>) -> Self {
        Self { id, status: OrderStatus::Cancelled, updated_at, version: 1, lines: lines.into() }
    }
}

/// The texts that select the orders of the holds in `ranges` of `hold_id`.
pub(super) fn select(ranges: &str) -> [String; 2] {
    let columns = format!("id, status, updated_at, version, {}", order_rows::LINES);
    let columns = rows::of_alias(&columns, "o");
    let further = format!("SELECT hold_id, order_id FROM stockade_order_holds WHERE {ranges}");
    [
        format!("SELECT o.hold_id, {columns} FROM stockade_orders o WHERE {ranges}"),
        format!(
            "SELECT h.hold_id, {columns} FROM ({further}) h \
             JOIN stockade_orders o ON o.id = h.order_id"
        ),
    ]
}

/// Decodes a row of [`select`]: a hold and its order.
pub(super) fn read(row: &mut Cells<'_>) -> sqlx::Result<(u64, OldOrder)> {
    let hold = row.count()?;
    let order = OldOrder {
        id: row.count()?,
        status: row.coded()?,
        updated_at: row.time()?,
        version: row.count()?,
        lines: order_rows::lines(row)?,
    };
    Ok((hold, order))
}

/// The statements that delete the lines of `holds`, of orders that were changed before
/// `before` for the last time. The products come first, as in every transaction.
pub(super) fn deletions(
    orders: &BTreeMap<u64, OldOrder>,
    holds: &BTreeSet<u64>,
    before: i64,
) -> Vec<Statement<()>> {
    let mut sold: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let (mut gone, mut kept, mut further) = (Vec::new(), Vec::new(), Vec::new());
    for order in orders.values() {
        let is_deleted = |line: &StoredLine| !line.is_purged() && holds.contains(&line.hold_id().0);
        for line in order.lines.iter().filter(|line| is_deleted(line)) {
            if order.status.was_paid() {
                let of_product = sold.entry(line.product_id().0).or_default();
                of_product.0 += u64::from(line.sold());
                of_product.1 += u64::from(line.returned);
            }
        }
        let further_lines = order.lines.iter().skip(1).filter(|line| is_deleted(line));
        further.extend(further_lines.map(|line| line.hold_id().0));
        if !order.lines.iter().any(is_deleted) {
            continue;
        }
        let marked: Vec<StoredLine> = order
            .lines
            .iter()
            .map(|line| if is_deleted(line) { line.purged() } else { *line })
            .collect();
        if marked.iter().all(StoredLine::is_purged) {
            gone.push(order);
        } else {
            kept.push((order, marked));
        }
    }
    let mut all = Vec::new();
    sold.retain(|_, units| *units != (0, 0));
    if !sold.is_empty() {
        let units = |of: fn(&(u64, u64)) -> u64| {
            cases("id", sold.iter().map(|(id, units)| (*id, of(units))))
        };
        let (sold_units, returned, ids) = (units(|it| it.0), units(|it| it.1), list(sold.keys()));
        let sql = format!(
            "UPDATE stockade_products SET sold_purged = sold_purged + {sold_units}, \
             returned_purged = returned_purged + {returned} WHERE id IN ({ids})"
        );
        all.push(Statement::guarded(sql, sold.len()));
    }
    for (order, marked) in kept {
        let (id, version) = (order.id, order.version);
        let lines = hex(StoredLine::pack(&marked).as_bytes());
        let sql = format!(
            "UPDATE stockade_orders SET packed_lines = {lines}, version = version + 1 \
             WHERE id = {id} AND version = {version} AND updated_at < {before}"
        );
        all.push(Statement::guarded(sql, 1));
    }
    for some in gone.chunks(IDS_MAX) {
        let ids = list(some.iter().map(|order| order.id));
        let versions = cases("id", some.iter().map(|order| (order.id, order.version)));
        let sql = format!(
            "DELETE FROM stockade_orders WHERE id IN ({ids}) AND version = {versions} \
             AND updated_at < {before}"
        );
        all.push(Statement::guarded(sql, some.len()));
        for table in
            ["order_references", "payment_references", "customer_orders", "order_dispositions"]
        {
            let sql = format!("DELETE FROM stockade_{table} WHERE order_id IN ({ids})");
            all.push(Statement::new(sql));
        }
    }
    for some in further.chunks(IDS_MAX) {
        let sql = format!("DELETE FROM stockade_order_holds WHERE hold_id IN ({})", list(some));
        all.push(Statement::guarded(sql, some.len()));
    }
    all
}
