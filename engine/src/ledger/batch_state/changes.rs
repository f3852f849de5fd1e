//! Builds the changes that a decided batch writes.

use std::collections::HashSet;

use super::{BatchState, moves_units};
use crate::ledger::rows::Move;
use crate::ledger::{Changes, CustomerHold, LedgerEvent, ProductChange};
use crate::model::HoldStatus;

impl BatchState<'_> {
    /// Returns the difference between the rows as they were loaded and as they are
    /// now.
    pub(in crate::ledger) fn into_changes(mut self) -> Changes {
        let mut changes = Changes::default();
        self.finish_products(&mut changes);
        self.finish_new_holds(&mut changes);
        for (id, (from, expires_at)) in std::mem::take(&mut self.holds_before) {
            let Some(hold) = self.rows.holds.get(&id) else { continue };
            if from != hold.status {
                push_move(&mut changes.hold_moves, from, hold.status, id);
            }
            if expires_at != hold.expires_at {
                changes.extensions.push((id, hold.expires_at));
            }
        }
        for (id, before) in std::mem::take(&mut self.orders_before) {
            let Some(row) = self.rows.orders.get(&id) else { continue };
            let to = (row.order.status, row.order.payment_disposition);
            match before {
                None => changes.new_orders.push(row.clone()),
                // The transitions of an order have no cycle, so this is a change.
                Some(from) => push_move(&mut changes.order_moves, from, to, id),
            }
        }
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
        let is_active = |row: &CustomerHold| {
            let hold = self.rows.holds.get(&row.hold_id);
            hold.is_some_and(|hold| hold.status == HoldStatus::Active)
        };
        changes.customer_holds = self.customer_holds.into_iter().filter(is_active).collect();
        changes.events = self.events;
        changes
    }

    /// Lists the new holds as they are now, by ascending id. What later commands
    /// changed of them is no change of a stored hold.
    fn finish_new_holds(&mut self, changes: &mut Changes) {
        let mut new = std::mem::take(&mut self.new_holds);
        new.sort_unstable();
        if !self.holds_before.is_empty() {
            for id in &new {
                self.holds_before.remove(id);
            }
        }
        let holds = new.iter().filter_map(|id| self.rows.holds.get(id).cloned());
        changes.new_holds.reserve(new.len());
        changes.new_holds.extend(holds);
    }

    fn finish_products(&mut self, changes: &mut Changes) {
        // Events of one product stand together: each run is looked up once.
        let of_one_product = |a: &LedgerEvent, b: &LedgerEvent| a.product_id == b.product_id;
        let mut moved = HashSet::new();
        for run in self.events.chunk_by(of_one_product) {
            if run.iter().any(|event| moves_units(event.kind)) {
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
                changes.products.push(ProductChange { before, after: after.clone() });
            }
        }
        for run in self.events.chunk_by_mut(of_one_product) {
            let product = run.first().and_then(|event| self.rows.products.get(&event.product_id));
            let version = product.map_or(0, |row| row.product.version);
            run.iter_mut().for_each(|event| event.version = version);
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
