//! The writes of holds: rows of new ones, and transitions of packed statuses.
//!
//! All transitions of one transaction are merged into one UPDATE of each row. Each
//! starts from the rows as the transaction has read them, and is guarded by their
//! versions: a row that another transaction has written is not overwritten.

use std::collections::BTreeMap;

use super::error::{Fault, StoreError, StoreResult};
use super::hold_batch::{Counts, DETACHED, HoldBatch, code};
use super::hold_rows::HoldRows;
use super::rows;
use super::statement::Statement;
use super::statements::{IDS_MAX, LITERALS_MAX, hex, list, or_null, put};
use super::writes::{cases, insert};
use crate::ledger::{Changes, HoldMove, HoldRow, QuantityChange};
use crate::model::{CartId, Coded, HoldId, HoldStatus, Timestamp, TokenSeed};

/// The columns of a row, as [`batch_values`] writes them.
pub(super) const COLUMNS: &str = "first_id, product_id, count, active, detached, converted, released, \
     expired, active_units, expires_at, created_at, due, version, seed, quantities, statuses, carts";

/// The columns that count statuses, with the statuses' codes.
const COUNTED: [(&str, usize); 5] =
    [("active", 0), ("detached", 4), ("converted", 1), ("released", 2), ("expired", 3)];

/// The statements that write rows of new holds.
pub(super) fn insert_batches<T>(rows: &[HoldBatch]) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    insert(&mut all, &format!("stockade_hold_batches ({COLUMNS})"), rows, batch_values);
    all
}

fn batch_values(sql: &mut String, row: &HoldBatch) {
    let counts = row.counts();
    put(sql, format_args!("({},{},{}", row.first_id, row.product_id, row.count()));
    for (_, status) in COUNTED {
        put(sql, format_args!(",{}", counts.holds[status]));
    }
    put(
        sql,
        format_args!(
            ",{},{},{},{},{},x'{:032x}',{},{},{})",
            counts.active_units,
            row.expires_at.micros(),
            row.created_at.micros(),
            or_null(row.due().map(Timestamp::micros)),
            row.version,
            row.seed.0,
            hex(row.packed_quantities()),
            hex(row.packed_statuses()),
            or_null(row.packed_carts().map(hex))
        ),
    );
}

/// The statements that write which holds new carts have, in 8 bytes each.
pub(super) fn insert_carts<T>(new_holds: &[HoldRow]) -> Vec<Statement<T>> {
    let mut carts: BTreeMap<CartId, Vec<u8>> = BTreeMap::new();
    for hold in new_holds {
        if let Some(id) = hold.cart_id {
            carts.entry(id).or_default().extend(hold.id.0.to_be_bytes());
        }
    }
    let mut all = Vec::new();
    let carts: Vec<_> = carts.into_iter().collect();
    insert(&mut all, "stockade_carts (cart_id, holds)", &carts, |sql, (id, holds)| {
        put(sql, format_args!("({id},{})", hex(holds)));
    });
    all
}

/// The rows of holds that a transaction changes.
#[derive(Default)]
struct Transitions {
    /// Rows of holds as they will be.
    batches: BTreeMap<u64, HoldBatch>,
    /// Holds that leave the end of their batch.
    detaching: BTreeMap<HoldId, (HoldRow, TokenSeed)>,
    /// New ends of holds that have left it before.
    extended: Vec<(HoldId, Timestamp)>,
    /// New quantities of such holds.
    changed: Vec<QuantityChange>,
    moved: Vec<HoldMove>,
    /// Whether quantities of rows are changed.
    are_repacked: bool,
}

fn conflict(id: HoldId) -> StoreError {
    StoreError::new(Fault::Conflict, format!("hold {id} is not as it was decided on"))
}

impl Transitions {
    /// Extends a hold: from now on its status and end are in a row of its own.
    fn extend(&mut self, read: &HoldRows, id: HoldId, end: Timestamp) -> StoreResult<()> {
        if read.detached(id).is_some() {
            self.extended.push((id, end));
            return Ok(());
        }
        let (batch, at) = read.batch_of(id).ok_or_else(|| conflict(id))?;
        let hold = batch.hold(at).ok_or_else(|| conflict(id))?;
        self.set_status(read, id, code(HoldStatus::Active), DETACHED)?;
        self.detaching.insert(id, (HoldRow { expires_at: end, ..hold }, batch.seed));
        Ok(())
    }

    /// Changes the quantity of an active hold.
    fn change_quantity(&mut self, read: &HoldRows, change: QuantityChange) -> StoreResult<()> {
        let QuantityChange { id, from, to } = change;
        if let Some((hold, _)) = self.detaching.get_mut(&id) {
            if hold.quantity != from {
                return Err(conflict(id));
            }
            hold.quantity = to;
            return Ok(());
        }
        if read.detached(id).is_some() {
            self.changed.push(change);
            return Ok(());
        }
        let (batch, at) = read.batch_of(id).ok_or_else(|| conflict(id))?;
        let row = self.batches.entry(batch.first_id).or_insert_with(|| batch.clone());
        if (row.status(at), row.quantity(at)) != (Some(code(HoldStatus::Active)), Some(from)) {
            return Err(conflict(id));
        }
        row.set_quantity(at, to);
        self.are_repacked = true;
        Ok(())
    }

    fn move_to(
        &mut self,
        read: &HoldRows,
        id: HoldId,
        from: HoldStatus,
        to: HoldStatus,
    ) -> StoreResult<()> {
        if let Some((hold, _)) = self.detaching.get_mut(&id) {
            if hold.status != from {
                return Err(conflict(id));
            }
            hold.status = to;
            return Ok(());
        }
        if read.detached(id).is_none() {
            return self.set_status(read, id, code(from), code(to));
        }
        match self.moved.iter_mut().find(|group| group.from == from && group.to == to) {
            Some(group) => group.ids.push(id),
            None => self.moved.push(HoldMove { from, to, ids: vec![id] }),
        }
        Ok(())
    }

    /// Sets a status in the hold's row, if it is `from` there.
    fn set_status(&mut self, read: &HoldRows, id: HoldId, from: u8, to: u8) -> StoreResult<()> {
        let (batch, at) = read.batch_of(id).ok_or_else(|| conflict(id))?;
        let row = self.batches.entry(batch.first_id).or_insert_with(|| batch.clone());
        if row.status(at) != Some(from) {
            return Err(conflict(id));
        }
        row.set_status(at, to);
        Ok(())
    }
}

/// The statements that change holds. `read` has the rows that the transaction has
/// read.
///
/// # Errors
/// [`Fault::Conflict`] for a hold that was not read, or not with that status.
pub(super) fn change_holds<T>(
    changes: &Changes,
    read: &HoldRows,
) -> StoreResult<Vec<Statement<T>>> {
    let mut transitions = Transitions::default();
    // First the extensions: a hold may be extended and then ordered in one batch.
    for (id, end) in &changes.extensions {
        transitions.extend(read, *id, *end)?;
    }
    for change in &changes.quantities {
        transitions.change_quantity(read, *change)?;
    }
    for moved in &changes.hold_moves {
        for id in &moved.ids {
            transitions.move_to(read, *id, moved.from, moved.to)?;
        }
    }
    let Transitions { batches, detaching, extended, changed, moved, are_repacked } = transitions;
    let mut all = update_batches(&batches.into_values().collect::<Vec<_>>(), are_repacked);
    let columns = format!("stockade_detached_holds ({})", rows::DETACHED_HOLD);
    insert(&mut all, &columns, &detaching.into_values().collect::<Vec<_>>(), detached_values);
    all.extend(extend_detached(&extended));
    all.extend(change_detached(&changed));
    all.extend(moved.iter().flat_map(move_detached));
    Ok(all)
}

/// The statements that write rows of holds, which must ascend by first id.
fn update_batches<T>(batches: &[HoldBatch], are_repacked: bool) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let mut rest = batches;
    while !rest.is_empty() {
        let mut literals = 0;
        let fits = rest.iter().take(IDS_MAX).take_while(|row| {
            literals += 2 * row.count() + 64;
            if are_repacked {
                literals += 2 * row.packed_quantities().len();
            }
            literals <= LITERALS_MAX
        });
        let (some, others) = rest.split_at(fits.count().max(1));
        all.push(update_some(some, are_repacked));
        rest = others;
    }
    all
}

fn update_some<T>(batches: &[HoldBatch], are_repacked: bool) -> Statement<T> {
    let counts: Vec<Counts> = batches.iter().map(HoldBatch::counts).collect();
    let choose = |value: &dyn Fn(&HoldBatch, &Counts) -> String| {
        let rows = batches.iter().zip(&counts);
        cases("first_id", rows.map(|(row, counts)| (row.first_id, value(row, counts))))
    };
    let mut sql = String::with_capacity(256 + batches.len() * 128);
    sql.push_str("UPDATE stockade_hold_batches SET ");
    for (column, status) in COUNTED {
        let count = choose(&|_, counts| counts.holds[status].to_string());
        put(&mut sql, format_args!("{column} = {count}, "));
    }
    let (units, due) = (
        choose(&|_, counts| counts.active_units.to_string()),
        choose(&|row, _| or_null(row.due().map(Timestamp::micros))),
    );
    let (statuses, version) =
        (choose(&|row, _| hex(row.packed_statuses())), choose(&|row, _| row.version.to_string()));
    let ids = list(batches.iter().map(|row| row.first_id));
    if are_repacked {
        let quantities = choose(&|row, _| hex(row.packed_quantities()));
        put(&mut sql, format_args!("quantities = {quantities}, "));
    }
    put(
        &mut sql,
        format_args!(
            "active_units = {units}, due = {due}, statuses = {statuses}, version = version + 1 \
             WHERE first_id IN ({ids}) AND version = {version}"
        ),
    );
    Statement::guarded(sql, batches.len())
}

fn detached_values(sql: &mut String, (hold, seed): &(HoldRow, TokenSeed)) {
    put(
        sql,
        format_args!(
            "({},{},{},{},{},{},x'{:032x}')",
            hold.id,
            hold.product_id,
            hold.quantity,
            hold.status.code(),
            hold.expires_at.micros(),
            hold.created_at.micros(),
            seed.0
        ),
    );
}

fn extend_detached<T>(extended: &[(HoldId, Timestamp)]) -> impl Iterator<Item = Statement<T>> {
    extended.chunks(IDS_MAX).map(|some| {
        let ids = list(some.iter().map(|(id, _)| *id));
        let ends = cases("hold_id", some.iter().map(|(id, at)| (id.0, at.micros())));
        let sql = format!(
            "UPDATE stockade_detached_holds SET expires_at = {ends} \
             WHERE hold_id IN ({ids}) AND status = 0"
        );
        Statement::guarded(sql, some.len())
    })
}

fn change_detached<T>(changed: &[QuantityChange]) -> impl Iterator<Item = Statement<T>> {
    changed.chunks(IDS_MAX).map(|some| {
        let ids = list(some.iter().map(|change| change.id));
        let before = cases("hold_id", some.iter().map(|change| (change.id.0, change.from)));
        let after = cases("hold_id", some.iter().map(|change| (change.id.0, change.to)));
        let sql = format!(
            "UPDATE stockade_detached_holds SET qty = {after} \
             WHERE hold_id IN ({ids}) AND status = 0 AND qty = {before}"
        );
        Statement::guarded(sql, some.len())
    })
}

fn move_detached<T>(moved: &HoldMove) -> impl Iterator<Item = Statement<T>> {
    let (from, to) = (moved.from.code(), moved.to.code());
    moved.ids.chunks(IDS_MAX).map(move |some| {
        let ids = list(some);
        let sql = format!(
            "UPDATE stockade_detached_holds SET status = {to} \
             WHERE hold_id IN ({ids}) AND status = {from}"
        );
        Statement::guarded(sql, some.len())
    })
}

/// Returns the first id of the row that has a hold; `rows` ascend by it.
pub(super) fn first_id_of(rows: &[HoldBatch], id: HoldId) -> u64 {
    let at = rows.partition_point(|row| row.first_id <= id.0);
    at.checked_sub(1).and_then(|at| rows.get(at)).map_or(id.0, |row| row.first_id)
}

#[cfg(test)]
mod tests;
