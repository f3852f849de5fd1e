//! The reference model: the contract in its simplest form. It executes one
//! command at a time and reclaims what is due at once. It shares nothing with
//! the ledger but the types of commands and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{Answer, Command, CommandResult, KeyRow, NewHold, PaymentRow, Policy, Refusal};
use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, Money, Order, OrderId, OrderStatus, Outcome,
    PaymentDisposition, PaymentStatus, PaymentToken, Product, ProductId, ShortLine, Timestamp,
    Token,
};

/// A product's stock. Units held, pending and sold are summed from the holds and
/// orders on each read.
pub(super) struct StockCount {
    pub stock: i128,
    pub received: i128,
}

/// An order and the time at which it is cancelled if unpaid.
pub(super) struct OrderState {
    pub order: Order,
    pub due: Option<Timestamp>,
}

/// Kind, product, hold, order, units.
pub(super) type ExpectedEvent = (EventKind, ProductId, Option<HoldId>, Option<OrderId>, i64);

pub(super) struct ReferenceModel {
    policy: Policy,
    now: Timestamp,
    pub products: BTreeMap<ProductId, StockCount>,
    pub holds: BTreeMap<HoldId, Hold>,
    /// Product and customer of those holds that have one.
    pub customers: BTreeMap<HoldId, (ProductId, Arc<str>)>,
    pub orders: BTreeMap<OrderId, OrderState>,
    /// Payment events in order of arrival.
    pub inbox: Vec<PaymentRow>,
    pub keys: BTreeMap<String, KeyRow>,
    /// The events, except expirations and cancellations, which a store may emit
    /// later than the model does.
    pub events: Vec<ExpectedEvent>,
}

impl ReferenceModel {
    pub fn new(policy: Policy, stocks: &BTreeMap<ProductId, u64>, now: Timestamp) -> Self {
        let counted = |units: u64| StockCount { stock: units.into(), received: units.into() };
        Self {
            policy,
            now,
            products: stocks.iter().map(|(id, units)| (*id, counted(*units))).collect(),
            holds: BTreeMap::new(),
            customers: BTreeMap::new(),
            orders: BTreeMap::new(),
            inbox: Vec::new(),
            keys: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Advances the clock: expires holds and cancels unpaid orders that are due.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = now;
        let is_expired = |hold: &Hold| hold.status == HoldStatus::Active && now >= hold.expires_at;
        let is_overdue = |state: &OrderState| {
            state.order.status == OrderStatus::PendingPayment
                && state.due.is_some_and(|due| now >= due)
        };
        let holds: Vec<HoldId> =
            self.holds.values().filter(|hold| is_expired(hold)).map(|hold| hold.id).collect();
        for id in holds {
            self.end_hold(id, HoldStatus::Expired);
        }
        let orders: Vec<OrderId> =
            self.orders.values().filter(|it| is_overdue(it)).map(|it| it.order.id).collect();
        for id in orders {
            self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::None);
            self.add_stock(
                self.orders[&id].order.product_id,
                self.orders[&id].order.quantity.into(),
            );
        }
    }

    /// Executes a command; returns its result and whether it was replayed.
    pub fn execute(&mut self, command: &Command) -> (CommandResult, bool) {
        if let Command::Payment { key, body_hash, .. } = command
            && let Some(stored) = self.inbox.iter().find(|event| event.key == *key)
        {
            return match stored.body_hash == *body_hash {
                true => (Ok(Answer::Payment(stored.answer)), true),
                false => (Err(Refusal::KeyMismatch), false),
            };
        }
        if let Err(refusal) = self.check_token(command) {
            return (Err(refusal), false);
        }
        let keyed = match command {
            Command::Hold { key, .. } | Command::Cart { key, .. } | Command::Order { key, .. } => {
                key.clone()
            }
            _ => None,
        };
        let Some(keyed) = keyed else { return (self.apply(command), false) };
        match self.keys.get(&keyed.key) {
            Some(stored) if stored.fingerprint == keyed.fingerprint => {
                (stored.answer.clone(), true)
            }
            Some(_) => (Err(Refusal::KeyMismatch), false),
            None => {
                let (key, fingerprint) = (keyed.key, keyed.fingerprint);
                let answer = self.apply(command);
                let row = KeyRow { key: key.clone(), fingerprint, answer: answer.clone() };
                self.keys.insert(key, row);
                (answer, false)
            }
        }
    }

    fn apply(&mut self, command: &Command) -> CommandResult {
        match command {
            Command::Hold { hold, ttl, customer, .. } => {
                let mut created =
                    self.create_holds(std::slice::from_ref(hold), *ttl, customer.as_ref())?;
                Ok(Answer::Hold(created.remove(0)))
            }
            Command::Cart { lines, ttl, customer, .. } => {
                self.create_holds(lines, *ttl, customer.as_ref()).map(Answer::Cart)
            }
            Command::Release { hold_id, .. } => {
                match self.hold(*hold_id)?.status {
                    HoldStatus::Active => {
                        self.end_hold(*hold_id, HoldStatus::Released);
                        self.emit_hold_event(EventKind::HoldReleased, *hold_id);
                    }
                    HoldStatus::Released | HoldStatus::Expired => {}
                    HoldStatus::Converted => return Err(self.used(*hold_id)),
                }
                self.hold(*hold_id).map(Answer::Hold)
            }
            Command::Extend { hold_id, ttl, .. } => {
                let hold = self.active_hold(*hold_id)?;
                let longest = hold.created_at.after(self.policy.hold_ttl_max);
                let end = hold.expires_at.max(self.now.after(*ttl).min(longest));
                if end > hold.expires_at {
                    self.holds.insert(*hold_id, Hold { expires_at: end, ..hold });
                    self.emit_hold_event(EventKind::HoldExtended, *hold_id);
                }
                self.hold(*hold_id).map(Answer::Hold)
            }
            Command::Order { order_id, secret, hold_id, product_id, .. } => {
                if self.hold(*hold_id)?.product_id != *product_id {
                    return Err(Refusal::ProductMismatch { hold_id: *hold_id, asked: *product_id });
                }
                let hold = self.active_hold(*hold_id)?;
                let order = Order {
                    id: *order_id,
                    hold_id: *hold_id,
                    product_id: *product_id,
                    quantity: hold.quantity,
                    status: OrderStatus::PendingPayment,
                    payment_token: PaymentToken { order_id: *order_id, secret: *secret },
                    payment_disposition: PaymentDisposition::None,
                    created_at: self.now,
                    updated_at: self.now,
                };
                self.create_order(order);
                Ok(Answer::Order(self.orders[order_id].order.clone()))
            }
            Command::Payment { key, body_hash, order_id, secret, outcome } => {
                let is_known = self.orders.contains_key(order_id);
                let early = !is_known && *outcome != Outcome::Neutral;
                let mut answer =
                    if early { PaymentStatus::Waiting } else { PaymentStatus::Recorded };
                if is_known {
                    let right = self.orders[order_id].order.payment_token.secret;
                    if secret.is_some_and(|secret| secret != right) {
                        return Err(Refusal::WrongPaymentToken(*order_id));
                    }
                    let before = self.orders[order_id].order.status;
                    self.pay(*order_id, *outcome);
                    if self.orders[order_id].order.status != before {
                        answer = PaymentStatus::Applied;
                    }
                }
                self.inbox.push(PaymentRow {
                    key: key.clone(),
                    body_hash: *body_hash,
                    order_id: *order_id,
                    secret: *secret,
                    outcome: *outcome,
                    answer,
                    waiting: early,
                    received_at: self.now,
                });
                Ok(Answer::Payment(answer))
            }
            Command::Adjust { product_id, delta, .. } => self.adjust(*product_id, *delta),
            // How much is reclaimed in which transaction is up to the store.
            Command::Reclaim { .. } => Ok(Answer::Reclaimed { holds: 0, orders: 0, more: false }),
        }
    }

    fn create_holds(
        &mut self,
        lines: &[NewHold],
        ttl: Duration,
        customer: Option<&Arc<str>>,
    ) -> Result<Vec<Hold>, Refusal> {
        let wanted: Vec<_> = lines.iter().map(|line| (line.product_id, line.quantity)).collect();
        if let Some((id, _)) = wanted.iter().find(|(id, _)| !self.products.contains_key(id)) {
            return Err(Refusal::NoProduct(*id));
        }
        if let Some(customer) = customer {
            wanted.iter().try_for_each(|line| self.check_customer(*line, customer))?;
        }
        self.check_stock(&wanted)?;
        let end = self.now.after(ttl);
        let create = |line: &NewHold| {
            let customer_row =
                customer.map(|customer| (line.id, (line.product_id, customer.clone())));
            self.customers.extend(customer_row);
            self.create_hold(line.id, line.product_id, line.quantity, end, line.token)
        };
        Ok(lines.iter().map(create).collect())
    }

    fn check_customer(&self, line: (ProductId, u32), customer: &Arc<str>) -> Result<(), Refusal> {
        let (product_id, requested) = line;
        let of = (product_id, customer.clone());
        let theirs = self.customers.iter().filter(|(_, one)| **one == of);
        let holds = theirs.map(|(id, _)| &self.holds[id]);
        let active = holds.filter(|hold| hold.status == HoldStatus::Active);
        let held: u64 = active.map(|hold| u64::from(hold.quantity)).sum();
        match self.policy.max_per_customer {
            Some(most) if held + u64::from(requested) > u64::from(most) => {
                Err(Refusal::CustomerLimit { product_id, held, requested, most })
            }
            _ => Ok(()),
        }
    }

    fn check_stock(&self, wanted: &[(ProductId, u32)]) -> Result<(), Refusal> {
        let short: Vec<ShortLine> = wanted
            .iter()
            .filter(|(id, quantity)| self.products[id].stock < i128::from(*quantity))
            .map(|(id, quantity)| self.short_line(*id, (*quantity).into()))
            .collect();
        if short.is_empty() { Ok(()) } else { Err(Refusal::Insufficient(short)) }
    }

    fn short_line(&self, product_id: ProductId, requested: u64) -> ShortLine {
        ShortLine {
            product_id,
            requested,
            available: to_unsigned(self.products[&product_id].stock),
        }
    }

    fn create_hold(
        &mut self,
        id: HoldId,
        product_id: ProductId,
        quantity: u32,
        expires_at: Timestamp,
        token: Token,
    ) -> Hold {
        self.add_stock(product_id, -i128::from(quantity));
        let status = HoldStatus::Active;
        let created_at = self.now;
        let order_id = None;
        let hold =
            Hold { id, product_id, quantity, status, expires_at, created_at, token, order_id };
        self.holds.insert(id, hold.clone());
        self.emit_hold_event(EventKind::HoldCreated, id);
        hold
    }

    fn create_order(&mut self, order: Order) {
        let id = order.id;
        if let Some(hold) = self.holds.get_mut(&order.hold_id) {
            hold.status = HoldStatus::Converted;
        }
        let due = self.policy.payment_ttl.map(|ttl| self.now.after(ttl));
        let right = order.payment_token.secret;
        self.orders.insert(id, OrderState { order, due });
        self.emit_order_event(EventKind::OrderCreated, id);
        // Payments that arrived before their order are applied now, in order.
        for at in 0..self.inbox.len() {
            let event = &mut self.inbox[at];
            if event.order_id != id || !event.waiting {
                continue;
            }
            event.waiting = false;
            let (outcome, is_authentic) =
                (event.outcome, event.secret.is_none_or(|it| it == right));
            if is_authentic {
                self.pay(id, outcome);
            } else {
                self.emit_order_event(EventKind::PaymentConflict, id);
            }
        }
    }

    /// Applies a payment's outcome to an existing order.
    fn pay(&mut self, id: OrderId, outcome: Outcome) {
        let order = self.orders[&id].order.clone();
        let quantity = i128::from(order.quantity);
        let untouched = order.payment_disposition == PaymentDisposition::None;
        match (order.status, outcome) {
            (OrderStatus::PendingPayment, Outcome::Success) => {
                self.set_order(id, OrderStatus::Paid, PaymentDisposition::None);
                self.emit_order_event(EventKind::OrderPaid, id);
            }
            (OrderStatus::PendingPayment, Outcome::Failure | Outcome::Cancelled) => {
                self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::None);
                self.add_stock(order.product_id, quantity);
            }
            (OrderStatus::Paid, Outcome::Failure | Outcome::Cancelled) => {
                self.emit_order_event(EventKind::PaymentConflict, id);
            }
            (OrderStatus::Cancelled, Outcome::Success) if untouched => {
                if self.policy.re_reserve && self.products[&order.product_id].stock >= quantity {
                    self.add_stock(order.product_id, -quantity);
                    self.set_order(id, OrderStatus::Paid, PaymentDisposition::ReReserved);
                    self.emit_order_event(EventKind::OrderPaid, id);
                } else {
                    self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
                    self.emit_order_event(EventKind::PaymentNeedsRefund, id);
                }
            }
            _ => {}
        }
    }

    fn adjust(&mut self, id: ProductId, delta: i64) -> CommandResult {
        let Some(product) = self.products.get_mut(&id) else {
            return Err(Refusal::NoProduct(id));
        };
        let delta_wide = i128::from(delta);
        if product.stock + delta_wide < 0 {
            return Err(Refusal::Insufficient(vec![self.short_line(id, delta.unsigned_abs())]));
        }
        if product.received + delta_wide > i128::from(i64::MAX) {
            return Err(Refusal::StockTooLarge(id));
        }
        product.received += delta_wide;
        product.stock += delta_wide;
        self.events.push((EventKind::StockAdjusted, id, None, None, delta));
        Ok(Answer::Product(self.product(id)))
    }

    /// Returns the product; the model does not track its version.
    fn product(&self, id: ProductId) -> Product {
        let held = self.holds.values().filter(|hold| hold.status == HoldStatus::Active);
        let ordered = |status: OrderStatus| {
            let orders = self.orders.values().map(|state| &state.order);
            let these = orders.filter(|order| order.product_id == id && order.status == status);
            these.map(|order| u64::from(order.quantity)).sum()
        };
        Product {
            id,
            name: NAME.to_owned(),
            price: PRICE,
            stock: to_unsigned(self.products[&id].stock),
            held: held
                .filter(|hold| hold.product_id == id)
                .map(|hold| u64::from(hold.quantity))
                .sum(),
            pending: ordered(OrderStatus::PendingPayment),
            sold: ordered(OrderStatus::Paid),
            version: 0,
        }
    }

    fn hold(&self, id: HoldId) -> Result<Hold, Refusal> {
        self.holds.get(&id).cloned().ok_or(Refusal::NoHold(id))
    }

    /// Refuses a wrong hold token, and a missing one where the policy requires it.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        let (id, given) = match command {
            Command::Release { hold_id, token } => (*hold_id, *token),
            Command::Extend { hold_id, token, .. } => (*hold_id, *token),
            Command::Order { hold_id, token, .. } => (*hold_id, *token),
            _ => return Ok(()),
        };
        match self.holds.get(&id).map(|hold| (hold.token, given)) {
            Some((_, None)) if self.policy.require_hold_token => Err(Refusal::NoHoldToken(id)),
            Some((right, Some(given))) if given != right => Err(Refusal::WrongHoldToken(id)),
            _ => Ok(()),
        }
    }

    fn active_hold(&self, id: HoldId) -> Result<Hold, Refusal> {
        let hold = self.hold(id)?;
        match hold.status {
            HoldStatus::Active => Ok(hold),
            HoldStatus::Converted => Err(self.used(id)),
            HoldStatus::Released => Err(Refusal::HoldReleased(id)),
            HoldStatus::Expired => Err(Refusal::HoldExpired(id)),
        }
    }

    fn used(&self, hold_id: HoldId) -> Refusal {
        let by = self.orders.values().find(|state| state.order.hold_id == hold_id);
        Refusal::HoldAlreadyUsed { hold_id, order_id: by.map(|state| state.order.id) }
    }

    fn end_hold(&mut self, id: HoldId, status: HoldStatus) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.status = status;
            let (product_id, quantity) = (hold.product_id, hold.quantity.into());
            self.add_stock(product_id, quantity);
        }
    }

    fn set_order(&mut self, id: OrderId, status: OrderStatus, disposition: PaymentDisposition) {
        if let Some(OrderState { order, .. }) = self.orders.get_mut(&id) {
            order.status = status;
            order.payment_disposition = disposition;
        }
    }

    fn add_stock(&mut self, id: ProductId, units: i128) {
        if let Some(product) = self.products.get_mut(&id) {
            product.stock += units;
        }
    }

    fn emit_hold_event(&mut self, kind: EventKind, id: HoldId) {
        let hold = &self.holds[&id];
        self.events.push((kind, hold.product_id, Some(id), None, hold.quantity.into()));
    }

    fn emit_order_event(&mut self, kind: EventKind, id: OrderId) {
        let order = &self.orders[&id].order;
        let (hold, quantity) = (Some(order.hold_id), order.quantity.into());
        self.events.push((kind, order.product_id, hold, Some(id), quantity));
    }
}

pub(super) const NAME: &str = "crate of tests";
pub(super) const PRICE: Money = Money::from_row(1_999);

fn to_unsigned(units: i128) -> u64 {
    assert!(units >= 0, "the reference model itself oversold: {units}");
    u64::try_from(units).unwrap_or(u64::MAX)
}
