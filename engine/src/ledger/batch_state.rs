//! The state of a batch while it is decided: the rows as they are now, and how
//! each touched row was when it was loaded.

mod changes;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CustomerHold, KeyRow, LedgerEvent, PaymentRow, Policy, ProductRow, Rows};
use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, OrderId, OrderStatus, PaymentDisposition, ProductId,
    Timestamp,
};

pub(super) struct BatchState<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) rows: Rows,
    products_before: BTreeMap<ProductId, ProductRow>,
    new_holds: Vec<HoldId>,
    /// Each touched hold that is not new, as it was.
    holds_before: BTreeMap<HoldId, (HoldStatus, Timestamp)>,
    orders_before: BTreeMap<OrderId, Option<(OrderStatus, PaymentDisposition)>>,
    /// Counts of due holds and orders reclaimed, for the first `Reclaim` command.
    pub(super) reclaimed: BTreeMap<ProductId, (u32, u32)>,
    customer_holds: Vec<CustomerHold>,
    new_payments: Vec<String>,
    new_keys: Vec<String>,
    pub(super) settled_payments: Vec<(OrderId, String)>,
    events: Vec<LedgerEvent>,
}

impl<'a> BatchState<'a> {
    pub(super) fn new(policy: &'a Policy, rows: Rows, now: Timestamp) -> Self {
        Self {
            policy,
            now,
            products_before: rows.products.clone(),
            rows,
            new_holds: Vec::new(),
            holds_before: BTreeMap::new(),
            orders_before: BTreeMap::new(),
            reclaimed: BTreeMap::new(),
            customer_holds: Vec::new(),
            new_payments: Vec::new(),
            new_keys: Vec::new(),
            settled_payments: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Makes room for what so many commands add.
    pub(super) fn reserve(&mut self, commands: usize) {
        self.rows.holds.reserve(commands);
        self.new_holds.reserve(commands);
        self.events.reserve(commands);
    }

    pub(super) fn reclaim_due(&mut self) {
        let due: Vec<_> = self
            .rows
            .due
            .iter()
            .map(|(product_id, due)| (*product_id, due.holds.clone(), due.orders.clone()))
            .collect();
        for (product_id, holds, orders) in due {
            let before = self.events.len();
            for hold_id in holds {
                self.expire_if_due(hold_id);
            }
            let expired = self.events.len() - before;
            for order_id in orders {
                self.cancel_if_due(order_id);
            }
            let cancelled = self.events.len() - before - expired;
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            self.reclaimed.insert(product_id, (count(expired), count(cancelled)));
            self.update_next_due(product_id);
        }
    }

    /// Advances the product's `next_due` to the next entry, if all due ones were
    /// loaded. The commands then lower it by what they add.
    fn update_next_due(&mut self, product_id: ProductId) {
        if let Some(due) = self.rows.due.get(&product_id)
            && !due.more
            && let Some(row) = self.rows.products.get_mut(&product_id)
        {
            row.next_due = due.next;
        }
    }

    /// Returns whether due entries were left unloaded, whose stock could still
    /// come back.
    pub(super) fn has_unloaded_due(&self, product_id: ProductId) -> bool {
        self.rows.due.get(&product_id).is_some_and(|due| due.more)
    }

    /// Returns the version that a read of the product would see after the commands
    /// decided so far: a batch raises it once, with the first command that moves
    /// units.
    pub(super) fn current_version(&self, product_id: ProductId) -> u64 {
        let moves = |event: &LedgerEvent| event.product_id == product_id && moves_units(event.kind);
        let before = self.products_before.get(&product_id);
        let raised = u64::from(self.events.iter().any(moves));
        before.map_or(0, |row| row.product.version + raised)
    }

    /// Returns the version that this batch's commit gives the product.
    pub(super) fn next_version(&self, product_id: ProductId) -> u64 {
        let before = self.products_before.get(&product_id);
        before.map_or(0, |row| row.product.version + 1)
    }

    pub(super) fn lower_next_due(&mut self, product_id: ProductId, at: Timestamp) {
        if let Some(row) = self.rows.products.get_mut(&product_id) {
            row.next_due = Some(row.next_due.map_or(at, |next| next.min(at)));
        }
    }

    /// Adds a new hold, which later commands of the batch find as any other.
    pub(super) fn add_hold(&mut self, hold: Hold) {
        self.new_holds.push(hold.id);
        self.rows.holds.insert(hold.id, hold);
    }

    /// Records how a hold was before its first change in this batch.
    pub(super) fn record_hold(&mut self, id: HoldId, before: (HoldStatus, Timestamp)) {
        self.holds_before.entry(id).or_insert(before);
    }

    /// Records the customer of a new hold, which counts against the limit from now
    /// on.
    pub(super) fn record_customer(&mut self, hold: &Hold, customer: &Arc<str>) {
        let (product_id, hold_id) = (hold.product_id, hold.id);
        if self.policy.max_per_customer.is_some() {
            let of_product = self.rows.customers.entry(product_id).or_default();
            of_product.entry(Arc::clone(customer)).or_default().push(hold_id);
        }
        let customer = Arc::clone(customer);
        self.customer_holds.push(CustomerHold { product_id, customer, hold_id });
    }

    pub(super) fn record_order(
        &mut self,
        id: OrderId,
        before: Option<(OrderStatus, PaymentDisposition)>,
    ) {
        self.orders_before.entry(id).or_insert(before);
    }

    pub(super) fn record_payment(&mut self, row: PaymentRow) {
        self.new_payments.push(row.key.clone());
        self.rows.payments.insert(row.key.clone(), row);
    }

    pub(super) fn record_key(&mut self, row: KeyRow) {
        self.new_keys.push(row.key.clone());
        self.rows.keys.insert(row.key.clone(), row);
    }

    /// Emits an event to the outbox. Its version is set when the batch is done.
    pub(super) fn emit_event(
        &mut self,
        kind: EventKind,
        product_id: ProductId,
        hold_id: Option<HoldId>,
        order_id: Option<OrderId>,
        quantity: i64,
    ) {
        self.events.push(LedgerEvent { kind, product_id, hold_id, order_id, quantity, version: 0 });
    }
}

/// Returns whether an event of this kind moves units of its product.
fn moves_units(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::HoldExtended | EventKind::PaymentConflict | EventKind::PaymentNeedsRefund
    )
}
