//! An in-memory store with the behavior of the real ones: it loads the rows that
//! a batch names and no others, limits the due entries, and writes changes under
//! the same guards.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::{
    Changes, Command, Due, KeyRow, LedgerEvent, OrderRow, PaymentRow, ProductRow, Rows,
};
use crate::model::{
    Hold, HoldId, HoldStatus, OrderId, OrderStatus, PaymentDisposition, Product, ProductId,
    Timestamp,
};

use super::reference;

/// A command, and the product of its read set miss, if any.
#[derive(Debug, Clone)]
pub(super) struct QueuedCommand {
    pub command: Command,
    pub missed_product: Option<ProductId>,
}

/// How one transaction loads rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadOptions {
    pub now: Timestamp,
    /// The limit on due holds, and on due orders, of a product.
    pub due_limit: usize,
    /// Whether a full page counts as if more were due.
    pub assumes_more: bool,
    /// Whether to load only the products that the commands name.
    pub named_only: bool,
    /// Whether to load customers' holds.
    pub with_customers: bool,
}

#[derive(Default)]
pub(super) struct Store {
    pub products: BTreeMap<ProductId, ProductRow>,
    pub holds: BTreeMap<HoldId, Hold>,
    /// Product and customer of those holds that have one.
    pub customers: BTreeMap<HoldId, (ProductId, Arc<str>)>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    /// In order of arrival.
    pub payments: Vec<PaymentRow>,
    pub keys: BTreeMap<String, KeyRow>,
    pub outbox: Vec<LedgerEvent>,
}

impl Store {
    pub fn new(stocks: &BTreeMap<ProductId, u64>) -> Self {
        let row = |id: ProductId, stock: u64| {
            let (name, price) = (reference::NAME.to_owned(), reference::PRICE);
            let product =
                Product { id, name, price, stock, held: 0, pending: 0, sold: 0, version: 1 };
            ProductRow { product, received: stock, fence: 7, next_due: None }
        };
        let products = stocks.iter().map(|(id, stock)| (*id, row(*id, *stock))).collect();
        Self { products, ..Self::default() }
    }

    pub fn load(&self, batch: &[QueuedCommand], options: &ReadOptions) -> Rows {
        let mut rows = Rows::default();
        for queued in batch {
            self.load_for(&queued.command, options.named_only, &mut rows);
            if options.with_customers {
                self.load_customer(&queued.command, &mut rows);
            }
            if let Some(id) = queued.missed_product {
                self.load_product(id, &mut rows);
            }
        }
        let products: Vec<&ProductRow> = rows.products.values().collect();
        let is_due = |row: &&&ProductRow| row.next_due.is_some_and(|at| at <= options.now);
        let ids: Vec<ProductId> =
            products.iter().filter(is_due).map(|row| row.product.id).collect();
        for id in ids {
            let due = self.due(id, options);
            for hold_id in &due.holds {
                rows.holds.insert(*hold_id, self.holds[hold_id].clone());
            }
            for order_id in &due.orders {
                rows.orders.insert(*order_id, self.orders[order_id].clone());
            }
            rows.due.insert(id, due);
        }
        rows
    }

    fn load_for(&self, command: &Command, named_only: bool, rows: &mut Rows) {
        match command {
            Command::Hold { hold, key, .. } => {
                self.load_product(hold.product_id, rows);
                self.load_key(key.as_ref().map(|keyed| &keyed.key), rows);
            }
            Command::Cart { lines, key, .. } => {
                lines.iter().for_each(|line| self.load_product(line.product_id, rows));
                self.load_key(key.as_ref().map(|keyed| &keyed.key), rows);
            }
            Command::Release { hold_id, .. } | Command::Extend { hold_id, .. } => {
                self.load_hold(*hold_id, rows);
                if let Some(hold) = self.holds.get(hold_id).filter(|_| !named_only) {
                    self.load_product(hold.product_id, rows);
                }
            }
            Command::Order { order_id, hold_id, product_id, key, .. } => {
                self.load_product(*product_id, rows);
                self.load_hold(*hold_id, rows);
                self.load_key(key.as_ref().map(|keyed| &keyed.key), rows);
                let waits = |event: &&PaymentRow| event.order_id == *order_id && event.waiting;
                let waiting = self.payments.iter().filter(waits).cloned();
                for event in waiting {
                    rows.payments.insert(event.key.clone(), event.clone());
                    rows.waiting.entry(*order_id).or_default().push(event);
                }
            }
            Command::Payment { key, order_id, .. } => {
                if let Some(event) = self.payments.iter().find(|event| event.key == *key) {
                    rows.payments.insert(key.clone(), event.clone());
                }
                if let Some(row) = self.orders.get(order_id) {
                    rows.orders.insert(*order_id, row.clone());
                    if !named_only {
                        self.load_product(row.order.product_id, rows);
                    }
                }
            }
            Command::Adjust { product_id, .. } | Command::Reclaim { product_id } => {
                self.load_product(*product_id, rows);
            }
        }
    }

    fn load_customer(&self, command: &Command, rows: &mut Rows) {
        let Some(customer) = command.customer() else { return };
        for line in command.new_holds() {
            let wanted = (line.product_id, Arc::clone(customer));
            let ids = self.customers.iter().filter(|(_, of)| **of == wanted).map(|(id, _)| id);
            let holds = ids.map(|id| &self.holds[id]);
            let active = holds.filter(|hold| hold.status == HoldStatus::Active);
            let ids: Vec<HoldId> = active.map(|hold| hold.id).collect();
            rows.holds.extend(ids.iter().map(|id| (*id, self.holds[id].clone())));
            rows.customers.entry(wanted.0).or_default().insert(wanted.1, ids);
        }
    }

    fn load_product(&self, id: ProductId, rows: &mut Rows) {
        if let Some(row) = self.products.get(&id) {
            rows.products.insert(id, row.clone());
        }
    }

    fn load_hold(&self, id: HoldId, rows: &mut Rows) {
        if let Some(hold) = self.holds.get(&id) {
            rows.holds.insert(id, hold.clone());
        }
        if let Some(row) = self.orders.values().find(|row| row.order.hold_id == id) {
            rows.order_by_hold.insert(id, row.order.id);
        }
    }

    fn load_key(&self, key: Option<&String>, rows: &mut Rows) {
        if let Some(row) = key.and_then(|key| self.keys.get(key)) {
            rows.keys.insert(row.key.clone(), row.clone());
        }
    }

    fn due(&self, id: ProductId, options: &ReadOptions) -> Due {
        let mut holds: Vec<_> =
            self.active_holds(id).map(|hold| (hold.expires_at, hold.id)).collect();
        let mut orders: Vec<_> = self.unpaid_orders(id).collect();
        holds.sort_unstable();
        orders.sort_unstable();
        let next = holds.iter().map(|(at, _)| *at).chain(orders.iter().map(|(at, _)| *at));
        let next = next.filter(|at| *at > options.now).min();
        holds.retain(|(at, _)| *at <= options.now);
        orders.retain(|(at, _)| *at <= options.now);
        let full = usize::from(options.assumes_more);
        let more = holds.len().max(orders.len()) + full > options.due_limit;
        holds.truncate(options.due_limit);
        orders.truncate(options.due_limit);
        Due {
            holds: holds.into_iter().map(|(_, id)| id).collect(),
            orders: orders.into_iter().map(|(_, id)| id).collect(),
            more,
            next,
        }
    }

    fn active_holds(&self, id: ProductId) -> impl Iterator<Item = &Hold> {
        let mine = move |hold: &&Hold| hold.product_id == id && hold.status == HoldStatus::Active;
        self.holds.values().filter(mine)
    }

    fn unpaid_orders(&self, id: ProductId) -> impl Iterator<Item = (Timestamp, OrderId)> {
        let mine = move |row: &&OrderRow| {
            row.order.product_id == id && row.order.status == OrderStatus::PendingPayment
        };
        let rows = self.orders.values().filter(mine);
        rows.filter_map(|row| row.due_at.map(|at| (at, row.order.id)))
    }

    /// Returns the first due time of the product.
    pub fn first_due(&self, id: ProductId) -> Option<Timestamp> {
        let orders = self.unpaid_orders(id).map(|(at, _)| at);
        self.active_holds(id).map(|hold| hold.expires_at).chain(orders).min()
    }

    /// Writes a transaction under every guard of a real store.
    pub fn write(&mut self, changes: Changes, now: Timestamp) {
        for change in changes.products {
            let (before, after) = (change.before, change.after);
            let row = self.products.get_mut(&before.product.id).expect("the product is there");
            assert_eq!(*row, before, "guard of the product");
            let fixed = |row: &ProductRow| {
                (row.product.id, row.product.name.clone(), row.product.price, row.fence)
            };
            assert_eq!(fixed(&before), fixed(&after), "columns that the ledger never writes");
            assert!(i64::try_from(after.product.stock).is_ok(), "stock below zero");
            *row = after;
        }
        for hold in changes.new_holds {
            assert!(self.products.contains_key(&hold.product_id), "hold of no product");
            assert!(hold.expires_at > now && hold.created_at == now, "{hold:?} at {now}");
            assert!(self.holds.insert(hold.id, hold).is_none(), "duplicate hold id");
        }
        for row in changes.customer_holds {
            let customer = (row.product_id, row.customer);
            assert_eq!(self.holds[&row.hold_id].product_id, customer.0, "{customer:?}");
            assert!(self.customers.insert(row.hold_id, customer).is_none(), "duplicate customer");
        }
        // Before the moves: one batch may extend a hold and convert it.
        for (id, end) in changes.extensions {
            let hold = self.holds.get_mut(&id).expect("the hold is there");
            assert_eq!(hold.status, HoldStatus::Active, "guard of hold {id}");
            assert!(
                end > hold.expires_at && now < hold.expires_at,
                "hold {id} was expired or longer"
            );
            hold.expires_at = end;
        }
        for change in changes.hold_moves {
            for id in change.ids {
                let hold = self.holds.get_mut(&id).expect("the hold is there");
                assert_eq!(hold.status, change.from, "guard of hold {id}");
                assert_eq!(change.from, HoldStatus::Active, "hold {id} was final");
                assert_ne!(change.to, HoldStatus::Active);
                hold.status = change.to;
                self.customers.remove(&id);
            }
        }
        for row in changes.new_orders {
            let hold_id = row.order.hold_id;
            let used = self.orders.values().any(|other| other.order.hold_id == hold_id);
            assert!(!used, "hold {hold_id} used twice");
            assert_eq!((row.order.created_at, row.order.updated_at), (now, now));
            assert!(self.orders.insert(row.order.id, row).is_none(), "duplicate order id");
        }
        for change in changes.order_moves {
            assert!(may_move(change.from, change.to), "{:?} to {:?}", change.from, change.to);
            for id in change.ids {
                let order = &mut self.orders.get_mut(&id).expect("the order is there").order;
                assert_eq!((order.status, order.payment_disposition), change.from, "order {id}");
                (order.status, order.payment_disposition) = change.to;
                order.updated_at = now;
            }
        }
        for row in changes.new_payments {
            assert!(
                self.payments.iter().all(|other| other.key != row.key),
                "duplicate payment key"
            );
            self.payments.push(row);
        }
        for (order_id, key) in changes.settled_payments {
            let waits = |row: &&mut PaymentRow| row.key == key && row.waiting;
            let row = self.payments.iter_mut().find(waits).expect("the event is waiting");
            assert_eq!(row.order_id, order_id);
            assert!(self.orders.contains_key(&order_id), "settled without its order");
            row.waiting = false;
        }
        for row in changes.new_keys {
            assert!(self.keys.insert(row.key.clone(), row).is_none(), "duplicate key");
        }
        self.outbox.extend(changes.events);
    }
}

/// Returns whether an order may make this transition.
fn may_move(
    from: (OrderStatus, PaymentDisposition),
    to: (OrderStatus, PaymentDisposition),
) -> bool {
    use OrderStatus::{Cancelled, Paid, PendingPayment};
    use PaymentDisposition::{NeedsRefund, None, ReReserved};
    matches!(
        (from, to),
        ((PendingPayment, None), (Paid | Cancelled, None))
            | ((PendingPayment | Cancelled, None), (Paid, ReReserved) | (Cancelled, NeedsRefund))
    )
}
