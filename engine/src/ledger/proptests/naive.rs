//! The contract once more, told as plainly as can be: one flat world, one
//! command at a time, what is due going back the moment it is due. Nothing of
//! the ledger is used but the words in which it is asked and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{Answer, Command, CommandResult, KeyRow, NewHold, PaymentRow, Policy, Refusal};
use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, Money, Order, OrderId, OrderStatus, Outcome,
    PaymentAnswer, PaymentDisposition, PaymentToken, Product, ProductId, ShortLine, Timestamp,
    Token,
};

/// A product as the world counts it: what is held, pending and sold is summed
/// from holds and orders whenever somebody wants to know.
pub(super) struct Counted {
    pub stock: i128,
    pub received: i128,
}

/// An order and the moment at which it is cancelled if still unpaid.
pub(super) struct Bought {
    pub order: Order,
    pub due: Option<Timestamp>,
}

/// Kind, product, hold, order, units.
pub(super) type Told = (EventKind, ProductId, Option<HoldId>, Option<OrderId>, i64);

pub(super) struct World {
    policy: Policy,
    now: Timestamp,
    pub products: BTreeMap<ProductId, Counted>,
    pub holds: BTreeMap<HoldId, Hold>,
    /// Product and customer of those holds that have one.
    pub customers: BTreeMap<HoldId, (ProductId, Arc<str>)>,
    pub orders: BTreeMap<OrderId, Bought>,
    /// Payment events in the order of their arrival.
    pub inbox: Vec<PaymentRow>,
    pub keys: BTreeMap<String, KeyRow>,
    /// What happened, except for what time alone brings about and for
    /// cancellations: a store may get to those later than the world does.
    pub told: Vec<Told>,
}

impl World {
    pub fn new(policy: Policy, stocks: &BTreeMap<ProductId, u64>, now: Timestamp) -> Self {
        let counted = |units: u64| Counted { stock: units.into(), received: units.into() };
        Self {
            policy,
            now,
            products: stocks.iter().map(|(id, units)| (*id, counted(*units))).collect(),
            holds: BTreeMap::new(),
            customers: BTreeMap::new(),
            orders: BTreeMap::new(),
            inbox: Vec::new(),
            keys: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// It is `now`: a hold is dead from its end on, and so is an unpaid order.
    pub fn pass_to(&mut self, now: Timestamp) {
        self.now = now;
        let dead = |hold: &Hold| hold.status == HoldStatus::Active && now >= hold.expires_at;
        let overdue = |bought: &Bought| {
            bought.order.status == OrderStatus::PendingPayment
                && bought.due.is_some_and(|due| now >= due)
        };
        let holds: Vec<HoldId> =
            self.holds.values().filter(|hold| dead(hold)).map(|hold| hold.id).collect();
        for id in holds {
            self.end_hold(id, HoldStatus::Expired);
        }
        let orders: Vec<OrderId> =
            self.orders.values().filter(|it| overdue(it)).map(|it| it.order.id).collect();
        for id in orders {
            self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::None);
            self.add_stock(self.orders[&id].order.product_id, self.orders[&id].order.qty.into());
        }
    }

    /// Does what is asked; says what to answer, and whether that was
    /// remembered rather than made.
    pub fn ask(&mut self, command: &Command) -> (CommandResult, bool) {
        if let Command::Payment { key, body_hash, .. } = command
            && let Some(known) = self.inbox.iter().find(|event| event.key == *key)
        {
            return match known.body_hash == *body_hash {
                true => (Ok(Answer::Payment(known.answer)), true),
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
        let Some(keyed) = keyed else { return (self.work(command), false) };
        match self.keys.get(&keyed.key) {
            Some(known) if known.fingerprint == keyed.fingerprint => (known.answer.clone(), true),
            Some(_) => (Err(Refusal::KeyMismatch), false),
            None => {
                let (key, fingerprint) = (keyed.key, keyed.fingerprint);
                let answer = self.work(command);
                let row = KeyRow { key: key.clone(), fingerprint, answer: answer.clone() };
                self.keys.insert(key, row);
                (answer, false)
            }
        }
    }

    fn work(&mut self, command: &Command) -> CommandResult {
        match command {
            Command::Hold { hold, ttl, customer, .. } => {
                let mut made =
                    self.make_holds(std::slice::from_ref(hold), *ttl, customer.as_ref())?;
                Ok(Answer::Hold(made.remove(0)))
            }
            Command::Cart { lines, ttl, customer, .. } => {
                self.make_holds(lines, *ttl, customer.as_ref()).map(Answer::Cart)
            }
            Command::Release { hold_id, .. } => {
                match self.hold(*hold_id)?.status {
                    HoldStatus::Active => {
                        self.end_hold(*hold_id, HoldStatus::Released);
                        self.tell_of_hold(EventKind::HoldReleased, *hold_id);
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
                    self.tell_of_hold(EventKind::HoldExtended, *hold_id);
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
                    qty: hold.qty,
                    status: OrderStatus::PendingPayment,
                    payment_token: PaymentToken { order_id: *order_id, secret: *secret },
                    payment_disposition: PaymentDisposition::None,
                    created_at: self.now,
                    updated_at: self.now,
                };
                self.make_order(order);
                Ok(Answer::Order(self.orders[order_id].order.clone()))
            }
            Command::Payment { key, body_hash, order_id, secret, outcome } => {
                let early = !self.orders.contains_key(order_id);
                if !early {
                    let right = self.orders[order_id].order.payment_token.secret;
                    if secret.is_some_and(|secret| secret != right) {
                        return Err(Refusal::WrongPaymentToken(*order_id));
                    }
                    self.pay(*order_id, *outcome);
                }
                let answer = if early { PaymentAnswer::Waiting } else { PaymentAnswer::Recorded };
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
            // How much goes back, and when, is the store's affair.
            Command::Reclaim { .. } => Ok(Answer::Reclaimed { holds: 0, orders: 0, more: false }),
        }
    }

    fn make_holds(
        &mut self,
        lines: &[NewHold],
        ttl: Duration,
        customer: Option<&Arc<str>>,
    ) -> Result<Vec<Hold>, Refusal> {
        let wanted: Vec<_> = lines.iter().map(|line| (line.product_id, line.qty)).collect();
        if let Some((id, _)) = wanted.iter().find(|(id, _)| !self.products.contains_key(id)) {
            return Err(Refusal::NoProduct(*id));
        }
        if let Some(customer) = customer {
            wanted.iter().try_for_each(|line| self.check_customer(*line, customer))?;
        }
        self.check_stock(&wanted)?;
        let end = self.now.after(ttl);
        let make = |line: &NewHold| {
            let known = customer.map(|customer| (line.id, (line.product_id, customer.clone())));
            self.customers.extend(known);
            self.make_hold(line.id, line.product_id, line.qty, end, line.token)
        };
        Ok(lines.iter().map(make).collect())
    }

    fn check_customer(&self, line: (ProductId, u32), customer: &Arc<str>) -> Result<(), Refusal> {
        let (product_id, requested) = line;
        let of = (product_id, customer.clone());
        let theirs = self.customers.iter().filter(|(_, one)| **one == of);
        let holds = theirs.map(|(id, _)| &self.holds[id]);
        let active = holds.filter(|hold| hold.status == HoldStatus::Active);
        let held: u64 = active.map(|hold| u64::from(hold.qty)).sum();
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
            .filter(|(id, qty)| self.products[id].stock < i128::from(*qty))
            .map(|(id, qty)| self.short_line(*id, (*qty).into()))
            .collect();
        if short.is_empty() { Ok(()) } else { Err(Refusal::Insufficient(short)) }
    }

    fn short_line(&self, product_id: ProductId, requested: u64) -> ShortLine {
        ShortLine { product_id, requested, available: whole(self.products[&product_id].stock) }
    }

    fn make_hold(
        &mut self,
        id: HoldId,
        product_id: ProductId,
        qty: u32,
        expires_at: Timestamp,
        token: Token,
    ) -> Hold {
        self.add_stock(product_id, -i128::from(qty));
        let status = HoldStatus::Active;
        let created_at = self.now;
        let order_id = None;
        let hold = Hold { id, product_id, qty, status, expires_at, created_at, token, order_id };
        self.holds.insert(id, hold.clone());
        self.tell_of_hold(EventKind::HoldCreated, id);
        hold
    }

    fn make_order(&mut self, order: Order) {
        let id = order.id;
        if let Some(hold) = self.holds.get_mut(&order.hold_id) {
            hold.status = HoldStatus::Converted;
        }
        let due = self.policy.payment_ttl.map(|ttl| self.now.after(ttl));
        let right = order.payment_token.secret;
        self.orders.insert(id, Bought { order, due });
        self.emit_order_event(EventKind::OrderCreated, id);
        // Events that came before their order count now, in the order they came.
        for at in 0..self.inbox.len() {
            let event = &mut self.inbox[at];
            if event.order_id != id || !event.waiting {
                continue;
            }
            event.waiting = false;
            let (outcome, believed) = (event.outcome, event.secret.is_none_or(|it| it == right));
            if believed {
                self.pay(id, outcome);
            } else {
                self.emit_order_event(EventKind::PaymentConflict, id);
            }
        }
    }

    /// The provider's word on an order that is there.
    fn pay(&mut self, id: OrderId, outcome: Outcome) {
        let order = self.orders[&id].order.clone();
        let qty = i128::from(order.qty);
        let untouched = order.payment_disposition == PaymentDisposition::None;
        match (order.status, outcome) {
            (OrderStatus::PendingPayment, Outcome::Success) => {
                self.set_order(id, OrderStatus::Paid, PaymentDisposition::None);
                self.emit_order_event(EventKind::OrderPaid, id);
            }
            (OrderStatus::PendingPayment, Outcome::Failure) => {
                self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::None);
                self.add_stock(order.product_id, qty);
            }
            (OrderStatus::Paid, Outcome::Failure) => {
                self.emit_order_event(EventKind::PaymentConflict, id);
            }
            (OrderStatus::Cancelled, Outcome::Success) if untouched => {
                if self.policy.re_reserve && self.products[&order.product_id].stock >= qty {
                    self.add_stock(order.product_id, -qty);
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
        self.told.push((EventKind::StockAdjusted, id, None, None, delta));
        Ok(Answer::Product(self.product(id)))
    }

    /// The product as it is shown; only its version the world does not know.
    fn product(&self, id: ProductId) -> Product {
        let held = self.holds.values().filter(|hold| hold.status == HoldStatus::Active);
        let ordered = |status: OrderStatus| {
            let orders = self.orders.values().map(|bought| &bought.order);
            let these = orders.filter(|order| order.product_id == id && order.status == status);
            these.map(|order| u64::from(order.qty)).sum()
        };
        Product {
            id,
            name: NAME.to_owned(),
            price: PRICE,
            stock: whole(self.products[&id].stock),
            held: held.filter(|hold| hold.product_id == id).map(|hold| u64::from(hold.qty)).sum(),
            pending: ordered(OrderStatus::PendingPayment),
            sold: ordered(OrderStatus::Paid),
            version: 0,
        }
    }

    fn hold(&self, id: HoldId) -> Result<Hold, Refusal> {
        self.holds.get(&id).cloned().ok_or(Refusal::NoHold(id))
    }

    /// Only who knows a hold's token may use it, where that is asked for; with
    /// a wrong one no one may.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        let (id, shown) = match command {
            Command::Release { hold_id, token } => (*hold_id, *token),
            Command::Extend { hold_id, token, .. } => (*hold_id, *token),
            Command::Order { hold_id, token, .. } => (*hold_id, *token),
            _ => return Ok(()),
        };
        match self.holds.get(&id).map(|hold| (hold.token, shown)) {
            Some((_, None)) if self.policy.require_hold_token => Err(Refusal::NoHoldToken(id)),
            Some((right, Some(shown))) if shown != right => Err(Refusal::WrongHoldToken(id)),
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
        let by = self.orders.values().find(|bought| bought.order.hold_id == hold_id);
        Refusal::HoldAlreadyUsed { hold_id, order_id: by.map(|bought| bought.order.id) }
    }

    fn end_hold(&mut self, id: HoldId, status: HoldStatus) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.status = status;
            let (product_id, qty) = (hold.product_id, hold.qty.into());
            self.add_stock(product_id, qty);
        }
    }

    fn set_order(&mut self, id: OrderId, status: OrderStatus, disposition: PaymentDisposition) {
        if let Some(Bought { order, .. }) = self.orders.get_mut(&id) {
            order.status = status;
            order.payment_disposition = disposition;
        }
    }

    fn add_stock(&mut self, id: ProductId, units: i128) {
        if let Some(product) = self.products.get_mut(&id) {
            product.stock += units;
        }
    }

    fn tell_of_hold(&mut self, kind: EventKind, id: HoldId) {
        let hold = &self.holds[&id];
        self.told.push((kind, hold.product_id, Some(id), None, hold.qty.into()));
    }

    fn emit_order_event(&mut self, kind: EventKind, id: OrderId) {
        let order = &self.orders[&id].order;
        let (hold, qty) = (Some(order.hold_id), order.qty.into());
        self.told.push((kind, order.product_id, hold, Some(id), qty));
    }
}

pub(super) const NAME: &str = "crate of tests";
pub(super) const PRICE: Money = Money::from_row(1_999);

fn whole(units: i128) -> u64 {
    assert!(units >= 0, "the naive world itself oversold: {units}");
    u64::try_from(units).unwrap_or(u64::MAX)
}
