//! Builds the changes that a decided batch writes.

use std::collections::{BTreeSet, HashSet};

use super::{BatchState, moves_units};
use crate::ledger::rows::Move;
use crate::ledger::{
    Changes, CustomerOrder, LedgerEvent, OrderChange, OrderRow, ProductRowChange, QuantityChange,
};
use crate::model::{HoldId, HoldStatus, OrderStatus, PaymentDisposition};

impl BatchState<'_> {
    /// Returns the difference between the rows as they were loaded and as they are
    /// now.
    pub(in crate::ledger) fn into_changes(mut self) -> Changes {
        let mut changes = Changes::default();
        self.finish_products(&mut changes);
        let new_holds = self.finish_new_holds();
        for (id, (from, expires_at)) in std::mem::take(&mut self.holds_before) {
            let Some(hold) = self.rows.holds.get(&id) else { continue };
            if from != hold.status {
                push_move(&mut changes.hold_moves, from, hold.status, id);
            }
            if expires_at != hold.expires_at {
                changes.extensions.push((id, hold.expires_at));
            }
        }
        for (id, from) in std::mem::take(&mut self.quantities_before) {
            let to = self.rows.holds.get(&id).map_or(from, |hold| hold.quantity);
            if from != to {
                changes.quantities.push(QuantityChange { id, from, to });
            }
        }
        for (id, before) in std::mem::take(&mut self.orders_before) {
            let Some(row) = self.rows.orders.get(&id) else { continue };
            push_disposition(&mut changes, before.as_ref(), row);
            if row.order.customer.is_some() {
                push_counted(&mut changes, before.as_ref(), row);
            }
            match before {
                None => changes.new_orders.push(row.clone()),
                Some(before) => push_order(&mut changes, before, row),
            }
        }
        changes.payment_references = std::mem::take(&mut self.payment_references);
        // A payment that arrived and was settled in this batch is written once, as
        // settled.
        let new: HashSet<&String> = self.new_payments.iter().collect();
        changes.settled_payments =
            self.settled_payments.iter().filter(|(_, key)| !new.contains(key)).cloned().collect();
        changes.new_payments = self
            .new_payments
            .iter()
            .filter_map(|key| self.rows.payments.get(key).cloned())
            .collect();
        changes.new_keys =
            self.new_keys.iter().filter_map(|key| self.rows.keys.get(key).cloned()).collect();
        // A hold that ended in this batch does not count against its customer.
        changes.customer_holds = self.customer_holds;
        for row in &mut changes.customer_holds {
            let hold = self.rows.holds.get(&row.hold_id);
            row.is_active = hold.is_some_and(|hold| hold.status == HoldStatus::Active);
        }
        let noted = &mut self.rows.hold_metadata;
        if !noted.is_empty() {
            let of_new = new_holds.iter().filter_map(|id| noted.remove_entry(id));
            changes.hold_metadata = of_new.collect();
        }
        let holds = new_holds.into_iter().filter_map(|id| self.rows.holds.remove(&id));
        changes.new_holds = holds.collect();
        changes.events = self.events;
        changes
    }

    /// Lists the new holds by ascending id. What later commands changed of them is no
    /// change of a stored hold.
    fn finish_new_holds(&mut self) -> Vec<HoldId> {
        let mut new = std::mem::take(&mut self.new_holds);
        new.sort_unstable();
        if !self.holds_before.is_empty() {
            for id in &new {
                self.holds_before.remove(id);
            }
        }
        self.quantities_before.retain(|id, _| new.binary_search(id).is_err());
        new
    }

    fn finish_products(&mut self, changes: &mut Changes) {
        // Events of one product stand together: each run is looked up once.
        let of_one_product = |a: &LedgerEvent, b: &LedgerEvent| a.product_id == b.product_id;
        let mut moved = HashSet::new();
        for run in self.events.chunk_by(of_one_product) {
            if run.iter().any(moves_units) {
                moved.extend(run.first().map(|event| event.product_id));
            }
        }
        for (id, before) in std::mem::take(&mut self.products_before) {
            let Some(after) = self.rows.products.get_mut(&id) else { continue };
            if moved.contains(&id) {
                after.product.version += 1;
            }
            if *after == before {
                changes.unchanged.push(before);
            } else {
                changes.products.push(ProductRowChange { before, after: after.clone() });
            }
        }
        let new = std::mem::take(&mut self.new_products);
        let new = new.iter().filter_map(|id| self.rows.products.get(id).cloned());
        changes.new_products = new.collect();
        for run in self.events.chunk_by_mut(of_one_product) {
            let product = run.first().and_then(|event| self.rows.products.get(&event.product_id));
            let version = product.map_or(0, |row| row.product.version);
            run.iter_mut().for_each(|event| event.version = version);
        }
    }
}

/// Adds the change of a stored order: to the group of its transition, if it has made
/// one and no more than that.
fn push_order(changes: &mut Changes, mut before: OrderRow, after: &OrderRow) {
    let state = |row: &OrderRow| (row.order.status, row.order.payment_disposition);
    let (from, to, version) = (state(&before), state(after), before.version);
    before.order.updated_at = after.order.updated_at;
    if before == *after {
        return;
    }
    (before.order.status, before.order.payment_disposition) = to;
    if is_paid_by(from.0, to.0) {
        before.paid_at = after.paid_at;
    }
    if before == *after {
        push_move(&mut changes.order_moves, from, to, after.order.id);
    } else {
        let after = OrderRow { version: version + 1, ..after.clone() };
        changes.order_changes.push(OrderChange { version_before: version, after });
    }
}

/// Whether this transition pays an order: the writer of the group sets the time.
pub(crate) fn is_paid_by(from: OrderStatus, to: OrderStatus) -> bool {
    to == OrderStatus::Paid && !from.was_paid()
}

/// Adds the disposition of an order, if it is another one.
fn push_disposition(changes: &mut Changes, before: Option<&OrderRow>, after: &OrderRow) {
    let was = before.map_or(PaymentDisposition::None, |row| row.order.payment_disposition);
    if after.order.payment_disposition != was {
        changes.dispositions.push((after.order.id, after.order.payment_disposition));
    }
}

/// Adds what an order of a named customer counts, as far as it changed.
fn push_counted(changes: &mut Changes, before: Option<&OrderRow>, after: &OrderRow) {
    let order = &after.order;
    for product_id in order.products().collect::<BTreeSet<_>>() {
        let counted = after.counted(product_id);
        if before.is_none_or(|before| before.counted(product_id) != counted) {
            let customer = order.customer.clone().filter(|_| before.is_none());
            let row = CustomerOrder { order_id: order.id, product_id, customer, counted };
            changes.customer_orders.push(row);
        }
    }
}

/// Adds a row to the group of its transition.
fn push_move<S: PartialEq, Id>(moves: &mut Vec<Move<S, Id>>, from: S, to: S, id: Id) {
    match moves.iter_mut().find(|group| group.from == from && group.to == to) {
        Some(group) => group.ids.push(id),
        None => moves.push(Move { from, to, ids: vec![id] }),
    }
}
