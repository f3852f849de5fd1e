//! An in-memory store with the behavior of the real ones: it loads the rows that
//! a batch names and no others, limits the due entries, and writes changes under
//! the same guards.

mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{
    Command, Due, HoldRow, KeyRow, LedgerEvent, OrderRow, PaymentRow, ProductRow, Rows,
};
use crate::model::{
    Hold, HoldId, HoldStatus, Metadata, OrderId, OrderStatus, PaymentDisposition, Product,
    ProductId, ProductRef, Timestamp,
};
use crate::test_support::lamp;

use super::carts::cart_token_of;
use super::generators::Reads;

/// A command, and the products of its read set misses.
#[derive(Debug, Clone)]
pub(super) struct QueuedCommand {
    pub command: Command,
    pub missed_products: BTreeSet<ProductId>,
}

/// A product as it was created: the third is sold in yen.
pub(super) fn product_of(id: ProductId, stock: u64) -> Product {
    let lamp = lamp(id, stock);
    let price = ["1", "2.5", "3"][id.0 as usize % 3].parse().expect("a price");
    match id.0 % 3 {
        0 => Product {
            currency: "JPY".parse().expect("a currency"),
            price: "5".parse().expect("a price"),
            ..lamp
        },
        _ => Product { price, ..lamp },
    }
}

/// How one transaction loads rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadOptions {
    pub now: Timestamp,
    /// The limit on due holds, and on due orders, of a product.
    pub due_limit: usize,
    /// Whether a full page counts as if more were due.
    pub assumes_more: bool,
    pub reads: Reads,
    /// Whether to load customers' holds.
    pub with_customers: bool,
    /// For how long customers' paid orders count.
    pub customer_window: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Store {
    pub products: BTreeMap<ProductId, ProductRow>,
    pub holds: BTreeMap<HoldId, HoldRow>,
    hold_customers: BTreeMap<HoldId, String>,
    hold_metadata: BTreeMap<HoldId, Metadata>,
    /// Product and customer of those holds that have one.
    pub customers: BTreeMap<HoldId, (ProductId, Arc<str>)>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    /// What orders of named customers count.
    pub customer_orders: BTreeMap<(OrderId, ProductId), (String, Option<Timestamp>)>,
    pub dispositions: BTreeMap<OrderId, PaymentDisposition>,
    /// Orders by providers' names of payments.
    pub payment_names: BTreeMap<String, OrderId>,
    /// In order of arrival.
    pub payments: Vec<PaymentRow>,
    pub keys: BTreeMap<String, KeyRow>,
    pub outbox: Vec<LedgerEvent>,
}

impl Store {
    pub fn new(stocks: &BTreeMap<ProductId, u64>) -> Self {
        let row = |id: ProductId, stock: u64| {
            let product = product_of(id, stock);
            ProductRow { product, received: stock, fence: 7, next_due: None }
        };
        let products = stocks.iter().map(|(id, stock)| (*id, row(*id, *stock))).collect();
        Self { products, ..Self::default() }
    }

    pub fn load(&self, batch: &[QueuedCommand], options: &ReadOptions) -> Rows {
        let mut rows = Rows::default();
        for queued in batch {
            self.load_for(&queued.command, options.reads == Reads::Named, &mut rows);
            if options.with_customers {
                self.load_customer(&queued.command, options, &mut rows);
            }
            queued.missed_products.iter().for_each(|id| self.load_product(*id, &mut rows));
        }
        let products: Vec<&ProductRow> = rows.products.values().collect();
        let is_due = |row: &&&ProductRow| row.next_due.is_some_and(|at| at <= options.now);
        let ids: Vec<ProductId> =
            products.iter().filter(is_due).map(|row| row.product.id).collect();
        for id in ids {
            let due = self.due(id, options);
            for hold_id in &due.holds {
                rows.holds.insert(*hold_id, self.holds[hold_id]);
            }
            for order_id in &due.orders {
                rows.orders.insert(*order_id, self.orders[order_id].clone());
            }
            rows.due.insert(id, due);
        }
        if options.reads == Reads::All {
            self.load_further(options.now, &mut rows);
        }
        rows
    }

    /// Loads the products of orders that were not loaded yet, without their due rows.
    fn load_further(&self, now: Timestamp, rows: &mut Rows) {
        let orders: Vec<OrderRow> = rows.orders.values().cloned().collect();
        let products = orders.iter().flat_map(|row| row.order.lines.iter());
        for id in products.map(|line| line.product_id) {
            if rows.products.contains_key(&id) {
                continue;
            }
            self.load_product(id, rows);
            if self.products[&id].next_due.is_some_and(|at| at <= now) {
                rows.due.insert(id, Due { more: true, ..Due::default() });
            }
        }
    }

    fn load_for(&self, command: &Command, named_only: bool, rows: &mut Rows) {
        self.load_key(command.key().map(|keyed| &keyed.key), rows);
        match command {
            Command::Hold { hold, .. } => self.load_product(hold.product_id, rows),
            Command::Cart { lines, .. } => {
                lines.iter().for_each(|line| self.load_product(line.product_id, rows));
            }
            Command::Release { hold_id, .. } | Command::Extend { hold_id, .. } => {
                self.load_hold(*hold_id, rows);
                if let Some(hold) = self.holds.get(hold_id).filter(|_| !named_only) {
                    self.load_product(hold.product_id, rows);
                }
            }
            Command::ChangeQuantity { hold_id, .. } => {
                self.load_hold(*hold_id, rows);
                if let Some(hold) = self.holds.get(hold_id).filter(|_| !named_only) {
                    self.load_product(hold.product_id, rows);
                }
            }
            Command::ReleaseCart { holds, .. } | Command::ExtendCart { holds, .. } => {
                // The lanes of a cart are those of all its holds.
                for id in holds {
                    self.load_hold(*id, rows);
                    if let Some(hold) = self.holds.get(id) {
                        self.load_product(hold.product_id, rows);
                    }
                }
            }
            Command::Order { order_id, holds, terms, .. } => {
                for used in holds {
                    let named = used.product.as_ref().and_then(ProductRef::id);
                    named.iter().for_each(|id| self.load_product(*id, rows));
                    self.load_hold(used.hold_id, rows);
                    if let Some(hold) = self.holds.get(&used.hold_id).filter(|_| !named_only) {
                        self.load_product(hold.product_id, rows);
                    }
                }
                let reference = terms.as_ref().and_then(|terms| terms.reference.as_ref());
                let named = |row: &&OrderRow| row.order.reference.as_ref() == reference;
                if let Some(reference) = reference
                    && let Some(row) = self.orders.values().find(named)
                {
                    rows.order_by_reference.insert(reference.clone(), row.order.id);
                }
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
                self.load_order(*order_id, named_only, rows);
            }
            Command::SetPaymentReference { order_id, reference } => {
                if let Some(id) = self.payment_names.get(reference) {
                    rows.order_by_payment.insert(reference.clone(), *id);
                }
                self.load_order(*order_id, named_only, rows);
            }
            Command::ExtendOrder { order_id, .. }
            | Command::CancelOrder { order_id, .. }
            | Command::Refund { order_id, .. }
            | Command::Restock { order_id, .. } => self.load_order(*order_id, named_only, rows),
            Command::Adjust { product_id, .. } | Command::Reclaim { product_id } => {
                self.load_product(*product_id, rows);
            }
            Command::WriteProduct { product, .. } => {
                self.load_product(product.id, rows);
                for sku in product.skus() {
                    let has_it = |row: &&ProductRow| row.product.sku.as_deref() == Some(sku);
                    if let Some(row) = self.products.values().find(has_it) {
                        rows.product_by_sku.insert(sku.to_owned(), row.product.id);
                    }
                }
            }
        }
    }

    fn load_customer(&self, command: &Command, options: &ReadOptions, rows: &mut Rows) {
        let mut all: Vec<(ProductId, Arc<str>)> = Vec::new();
        if let Some(customer) = command.customer() {
            let lines = command.new_holds().iter();
            all.extend(lines.map(|line| (line.product_id, Arc::clone(customer))));
        }
        if let Command::ChangeQuantity { hold_id, .. } = command {
            all.extend(self.customers.get(hold_id).cloned());
        }
        for wanted in all {
            if let Some(window) = options.customer_window {
                let since = options.now.before(window);
                for ((order, product), (customer, counted)) in &self.customer_orders {
                    let counts = counted.is_some_and(|at| at > since);
                    if counts && *product == wanted.0 && **customer == *wanted.1 {
                        rows.orders.insert(*order, self.orders[order].clone());
                    }
                }
            }
            let ids = self.customers.iter().filter(|(_, of)| **of == wanted).map(|(id, _)| id);
            let holds = ids.map(|id| &self.holds[id]);
            let active = holds.filter(|hold| hold.status == HoldStatus::Active);
            let ids: Vec<HoldId> = active.map(|hold| hold.id).collect();
            rows.holds.extend(ids.iter().map(|id| (*id, self.holds[id])));
            rows.customers.entry(wanted.0).or_default().insert(wanted.1, ids);
        }
    }

    fn load_order(&self, id: OrderId, named_only: bool, rows: &mut Rows) {
        let Some(row) = self.orders.get(&id) else { return };
        rows.orders.insert(id, row.clone());
        if !named_only {
            row.order.lines.iter().for_each(|line| self.load_product(line.product_id, rows));
        }
    }

    fn load_product(&self, id: ProductId, rows: &mut Rows) {
        if let Some(row) = self.products.get(&id) {
            rows.products.insert(id, row.clone());
        }
    }

    fn load_hold(&self, id: HoldId, rows: &mut Rows) {
        if let Some(hold) = self.holds.get(&id) {
            rows.holds.insert(id, *hold);
            let named = self.hold_customers.get(&id).map(|name| (id, name.clone()));
            rows.hold_customers.extend(named);
            let noted = self.hold_metadata.get(&id).map(|it| (id, it.clone()));
            rows.hold_metadata.extend(noted);
            rows.cart_tokens.extend(hold.cart_id.map(|id| (id, cart_token_of(id))));
        }
        let uses = |row: &&OrderRow| row.order.lines.iter().any(|line| line.hold_id == id);
        if let Some(row) = self.orders.values().find(uses) {
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

    /// Returns a hold with its customer and its metadata.
    pub fn whole_hold(&self, hold: &HoldRow) -> Hold {
        let customer = self.hold_customers.get(&hold.id).cloned();
        let metadata = self.hold_metadata.get(&hold.id).cloned();
        Hold { customer, metadata, ..hold.to_hold() }
    }

    fn active_holds(&self, id: ProductId) -> impl Iterator<Item = &HoldRow> {
        let mine =
            move |hold: &&HoldRow| hold.product_id == id && hold.status == HoldStatus::Active;
        self.holds.values().filter(mine)
    }

    /// Those that fall due under this product: its first line is of it.
    fn unpaid_orders(&self, id: ProductId) -> impl Iterator<Item = (Timestamp, OrderId)> {
        let mine = move |row: &&OrderRow| {
            let home = row.order.lines.first().product_id;
            home == id && row.order.status == OrderStatus::PendingPayment
        };
        let rows = self.orders.values().filter(mine);
        rows.filter_map(|row| row.order.pay_until.map(|at| (at, row.order.id)))
    }

    /// Returns the first due time of the product.
    pub fn first_due(&self, id: ProductId) -> Option<Timestamp> {
        let orders = self.unpaid_orders(id).map(|(at, _)| at);
        self.active_holds(id).map(|hold| hold.expires_at).chain(orders).min()
    }
}
