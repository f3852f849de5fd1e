//! The state of a batch while it is decided: the rows as they are now, and how
//! each touched row was when it was loaded.

mod changes;

pub(crate) use changes::is_paid_by;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    CustomerHold, Decision, EventDetails, HoldRow, KeyRow, LedgerEvent, OrderRow, PaymentRow,
    Policy, ProductRow, Rows,
};
use crate::model::{EventKind, HoldId, HoldStatus, Metadata, Order, OrderId, ProductId, Timestamp};

/// About the most products that are locked at once to cancel due orders.
const DUE_PRODUCTS_MAX: usize = 16;

pub(super) struct BatchState<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) rows: Rows,
    products_before: BTreeMap<ProductId, ProductRow>,
    new_products: Vec<ProductId>,
    new_holds: Vec<HoldId>,
    /// Each touched hold that is not new, as it was.
    holds_before: BTreeMap<HoldId, (HoldStatus, Timestamp)>,
    /// The quantity of each stored hold whose quantity was changed, as it was.
    quantities_before: BTreeMap<HoldId, u32>,
    /// Each touched order as it was; `None` for a new one.
    orders_before: BTreeMap<OrderId, Option<OrderRow>>,
    /// Counts of due holds and orders reclaimed, for the first `Reclaim` command.
    pub(super) reclaimed: BTreeMap<ProductId, (u32, u32)>,
    customer_holds: Vec<CustomerHold>,
    /// The orders that may count for a customer's limit, by product and customer; empty
    /// if orders do not count.
    orders_of_customers: HashMap<ProductId, HashMap<String, Vec<OrderId>>>,
    new_payments: Vec<String>,
    new_keys: Vec<String>,
    pub(super) settled_payments: Vec<(OrderId, String)>,
    payment_references: Vec<(String, OrderId)>,
    events: Vec<LedgerEvent>,
    /// What the events of the current command say of it: who sent it, and why.
    attribution: EventDetails,
}

impl<'a> BatchState<'a> {
    pub(super) fn new(policy: &'a Policy, rows: Rows, now: Timestamp) -> Self {
        let mut batch = Self {
            policy,
            now,
            products_before: rows.products.clone(),
            rows: Rows::default(),
            new_products: Vec::new(),
            new_holds: Vec::new(),
            holds_before: BTreeMap::new(),
            quantities_before: BTreeMap::new(),
            orders_before: BTreeMap::new(),
            reclaimed: BTreeMap::new(),
            customer_holds: Vec::new(),
            orders_of_customers: HashMap::new(),
            new_payments: Vec::new(),
            new_keys: Vec::new(),
            settled_payments: Vec::new(),
            payment_references: Vec::new(),
            events: Vec::new(),
            attribution: EventDetails::default(),
        };
        if policy.customer_window.is_some() {
            rows.orders.values().for_each(|row| batch.index_customer(&row.order));
        }
        batch.rows = rows;
        batch
    }

    /// Lets an order be found by its customer, if orders count for a limit.
    pub(super) fn index_customer(&mut self, order: &Order) {
        let Some(customer) = order.customer.as_ref().filter(|_| self.counts_orders()) else {
            return;
        };
        for product in order.products() {
            let of_product = self.orders_of_customers.entry(product).or_default();
            let ids = of_product.entry(customer.clone()).or_default();
            if ids.last() != Some(&order.id) {
                ids.push(order.id);
            }
        }
    }

    fn counts_orders(&self) -> bool {
        self.policy.max_per_customer.is_some() && self.policy.customer_window.is_some()
    }

    /// Returns the rows of a customer's orders of a product that may count.
    pub(super) fn orders_of_customer(
        &self,
        customer: &str,
        product_id: ProductId,
    ) -> impl Iterator<Item = &OrderRow> {
        let ids = self.orders_of_customers.get(&product_id).and_then(|of| of.get(customer));
        ids.into_iter().flatten().filter_map(|id| self.rows.orders.get(id))
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
            let expired = holds.into_iter().filter(|id| self.expire_if_due(*id)).count();
            let cancelled = orders.into_iter().filter(|id| self.cancel_if_due(*id)).count();
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            self.reclaimed.insert(product_id, (count(expired), count(cancelled)));
            self.update_next_due(product_id);
        }
    }

    /// Advances the product's `next_due` to the next entry, if all due ones were
    /// loaded and none is left. The commands then lower it by what they add.
    fn update_next_due(&mut self, product_id: ProductId) {
        if self.products_of_due_orders(product_id).is_some() {
            return;
        }
        if let Some(due) = self.rows.due.get(&product_id)
            && !due.more
            && let Some(row) = self.rows.products.get_mut(&product_id)
        {
            row.next_due = due.next;
        }
    }

    /// Returns products of due orders that could not be cancelled, since the rows of
    /// some of their products were not read: those of some such orders.
    pub(super) fn products_of_due_orders(
        &self,
        product_id: ProductId,
    ) -> Option<SmallVec<[ProductId; 1]>> {
        let due = self.rows.due.get(&product_id)?;
        let rows = due.orders.iter().filter_map(|id| self.rows.orders.get(id));
        let mut products = BTreeSet::new();
        for row in rows.filter(|row| row.order.is_due(self.now)) {
            products.extend(row.order.products());
            if products.len() >= DUE_PRODUCTS_MAX {
                break;
            }
        }
        (!products.is_empty()).then(|| products.into_iter().collect())
    }

    pub(super) fn record_payment_reference(&mut self, reference: String, order_id: OrderId) {
        self.rows.order_by_payment.insert(reference.clone(), order_id);
        self.payment_references.push((reference, order_id));
    }

    /// Returns whether due entries were left unloaded, whose stock could still
    /// come back.
    pub(super) fn has_unloaded_due(&self, product_id: ProductId) -> bool {
        self.rows.due.get(&product_id).is_some_and(|due| due.more)
    }

    /// Puts a command off that lacks units of a product which due entries could still
    /// supply.
    pub(super) fn check_nothing_due(&self, product_id: ProductId) -> Result<(), Decision> {
        match self.products_of_due_orders(product_id) {
            Some(products) => Err(Decision::ReadSetMiss(products)),
            None if self.has_unloaded_due(product_id) => Err(Decision::Deferred),
            None => Ok(()),
        }
    }

    /// Returns the version that a read of the product would see after the commands
    /// decided so far: a batch raises it once, with the first command that moves
    /// units.
    pub(super) fn current_version(&self, product_id: ProductId) -> u64 {
        let moves = |event: &LedgerEvent| event.product_id == product_id && moves_units(event);
        let before = self.products_before.get(&product_id);
        let raised = u64::from(self.events.iter().any(moves));
        // A new product has its first version.
        before.map_or(1, |row| row.product.version + raised)
    }

    pub(super) fn lower_next_due(&mut self, product_id: ProductId, at: Timestamp) {
        if let Some(row) = self.rows.products.get_mut(&product_id) {
            row.next_due = Some(row.next_due.map_or(at, |next| next.min(at)));
        }
    }

    /// Adds a new product, which later commands of the batch find as any other.
    pub(super) fn add_product(&mut self, row: ProductRow) {
        self.new_products.push(row.product.id);
        self.rows.products.insert(row.product.id, row);
    }

    /// Adds a new hold, which later commands of the batch find as any other.
    pub(super) fn add_hold(&mut self, hold: HoldRow) {
        self.new_holds.push(hold.id);
        self.rows.holds.insert(hold.id, hold);
    }

    /// Records how a hold was before its first change in this batch.
    pub(super) fn record_hold(&mut self, id: HoldId, before: (HoldStatus, Timestamp)) {
        self.holds_before.entry(id).or_insert(before);
    }

    /// Records a hold's quantity before its first change in this batch.
    pub(super) fn record_quantity(&mut self, id: HoldId, before: u32) {
        self.quantities_before.entry(id).or_insert(before);
    }

    /// Records the customer of a new hold, which counts against the limit from now
    /// on.
    pub(super) fn record_customer(&mut self, hold: &HoldRow, customer: &Arc<str>) {
        let (product_id, hold_id) = (hold.product_id, hold.id);
        if self.policy.max_per_customer.is_some() {
            let of_product = self.rows.customers.entry(product_id).or_default();
            of_product.entry(Arc::clone(customer)).or_default().push(hold_id);
        }
        self.rows.hold_customers.insert(hold_id, String::from(&**customer));
        let customer = Arc::clone(customer);
        self.customer_holds.push(CustomerHold { product_id, customer, hold_id, is_active: true });
    }

    /// Records the metadata of a new hold.
    pub(super) fn record_metadata(&mut self, id: HoldId, metadata: Metadata) {
        self.rows.hold_metadata.insert(id, metadata);
    }

    /// Records how an order was before its first change in this batch.
    pub(super) fn record_order(&mut self, id: OrderId, before: Option<OrderRow>) {
        self.orders_before.entry(id).or_insert(before);
    }

    /// Returns the row of an order to change it, once it is recorded as it was.
    pub(super) fn order_mut(&mut self, id: OrderId) -> Option<&mut OrderRow> {
        let row = self.rows.orders.get_mut(&id)?;
        self.orders_before.entry(id).or_insert_with(|| Some(row.clone()));
        row.order.updated_at = self.now;
        Some(row)
    }

    pub(super) fn record_payment(&mut self, row: PaymentRow) {
        self.new_payments.push(row.key.clone());
        self.rows.payments.insert(row.key.clone(), row);
    }

    pub(super) fn record_key(&mut self, row: KeyRow) {
        self.new_keys.push(row.key.clone());
        self.rows.keys.insert(row.key.clone(), row);
    }

    /// Sets what the events from now on say of their command.
    pub(super) fn attribute_to(&mut self, actor: Option<&Arc<str>>, reason: Option<&str>) {
        self.attribution.actor = actor.map(|name| String::from(&**name));
        self.attribution.reason = reason.map(str::to_owned);
    }

    /// Returns who sent the current command.
    pub(super) fn actor(&self) -> Option<String> {
        self.attribution.actor.clone()
    }

    /// Does what the current command did not ask for.
    pub(super) fn unattributed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let attribution = std::mem::take(&mut self.attribution);
        let done = work(self);
        self.attribution = attribution;
        done
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
        let version = 0;
        let details = boxed(self.attribution.clone());
        self.events.push(LedgerEvent {
            kind,
            product_id,
            hold_id,
            order_id,
            quantity,
            version,
            details,
        });
    }

    /// Emits an event of a product that has details.
    pub(super) fn emit_detailed(
        &mut self,
        kind: EventKind,
        product_id: ProductId,
        quantity: i64,
        details: EventDetails,
    ) {
        self.emit_event(kind, product_id, None, None, quantity);
        if let Some(event) = self.events.last_mut() {
            event.details =
                boxed(EventDetails { actor: self.attribution.actor.clone(), ..details });
        }
    }
}

/// Boxes details, if there are any.
fn boxed(details: EventDetails) -> Option<Box<EventDetails>> {
    (details != EventDetails::default()).then(|| Box::new(details))
}

/// Returns whether an event raises its product's version: it moves units, or is about
/// the product itself.
fn moves_units(event: &LedgerEvent) -> bool {
    use EventKind as Kind;
    match event.kind {
        Kind::HoldExtended
        | Kind::OrderExtended
        | Kind::PaymentConflict
        | Kind::PaymentNeedsRefund
        | Kind::PaymentAttemptFailed
        | Kind::PaymentAmountMismatch
        | Kind::PaymentDuplicate
        | Kind::PaymentDisputed
        | Kind::CustomerErased => false,
        // One of money alone names no unit.
        Kind::OrderRefunded => event.quantity != 0,
        _ => true,
    }
}
