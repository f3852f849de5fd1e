//! The reference model: the contract in its simplest form. It executes one
//! command at a time and reclaims what is due at once. It shares nothing with
//! the ledger but the types of commands and answers.

mod customers;
mod orders;
mod refunds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::carts::cart_token_of;
use crate::ledger::answers::OfCustomer;
use crate::ledger::{
    Answer, Command, CommandResult, KeyRow, NewHold, OrderTerms, PaymentRow, Policy, Refusal,
};
use crate::model::{
    Cart, CartId, EventKind, Hold, HoldId, HoldStatus, Order, OrderId, OrderStatus, PaymentStatus,
    Product, ProductId, ShortLine, Timestamp, Token,
};

use super::store::product_of;

/// A product's stock. Units held, pending and sold are summed from the holds and
/// orders on each read.
pub(super) struct StockCount {
    pub stock: i128,
    pub received: i128,
    /// What the product is, but for its units.
    pub terms: Product,
}

pub(super) struct OrderState {
    pub order: Order,
    /// Whether the shop has cancelled it.
    pub is_closed: bool,
    /// Whether an attempt to pay it has failed.
    pub has_failed: bool,
    /// The name of the payment that paid it.
    pub paid_by: Option<String>,
    /// Those of other payments whose money came.
    pub others: Vec<String>,
    pub paid_at: Option<Timestamp>,
    /// Whether it was cancelled when due and not all of its units are back: those of
    /// other products than the first line's return once the store meets all products.
    pub is_lingering: bool,
}

impl OrderState {
    fn new(order: Order) -> Self {
        let (is_closed, has_failed, is_lingering) = (false, false, false);
        Self {
            order,
            is_closed,
            has_failed,
            paid_by: None,
            others: Vec::new(),
            paid_at: None,
            is_lingering,
        }
    }

    pub(super) fn uses(&self, hold_id: HoldId) -> bool {
        self.order.lines.iter().any(|line| line.hold_id == hold_id)
    }
}

/// Kind, product, hold, order, units.
pub(super) type ExpectedEvent = (EventKind, ProductId, Option<HoldId>, Option<OrderId>, i64);

pub(super) struct ReferenceModel {
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
    pub products: BTreeMap<ProductId, StockCount>,
    pub holds: BTreeMap<HoldId, Hold>,
    /// Product and customer of those holds that have one.
    pub customers: BTreeMap<HoldId, (ProductId, Arc<str>)>,
    pub orders: BTreeMap<OrderId, OrderState>,
    /// Orders by providers' names of payments.
    pub payment_names: BTreeMap<String, OrderId>,
    /// Payment events in order of arrival.
    pub inbox: Vec<PaymentRow>,
    pub keys: BTreeMap<String, KeyRow>,
    /// The events, except expirations and cancellations, which a store may emit
    /// later than the model does.
    pub events: Vec<ExpectedEvent>,
}

impl ReferenceModel {
    pub fn new(policy: Policy, stocks: &BTreeMap<ProductId, u64>, now: Timestamp) -> Self {
        let counted = |id: ProductId, units: u64| {
            let (stock, received) = (units.into(), units.into());
            StockCount { stock, received, terms: product_of(id, 0) }
        };
        Self {
            policy,
            now,
            products: stocks.iter().map(|(id, units)| (*id, counted(*id, *units))).collect(),
            holds: BTreeMap::new(),
            customers: BTreeMap::new(),
            orders: BTreeMap::new(),
            payment_names: BTreeMap::new(),
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
                && state.order.pay_until.is_some_and(|due| now >= due)
        };
        let holds: Vec<HoldId> =
            self.holds.values().filter(|hold| is_expired(hold)).map(|hold| hold.id).collect();
        for id in holds {
            self.end_hold(id, HoldStatus::Expired);
        }
        let orders: Vec<OrderId> =
            self.orders.values().filter(|it| is_overdue(it)).map(|it| it.order.id).collect();
        orders.into_iter().for_each(|id| self.cancel_due(id));
    }

    /// Executes a command; returns its result and whether it was replayed.
    pub fn execute(&mut self, command: &Command) -> (CommandResult, bool) {
        if let Command::Payment { key, fingerprint, .. } = command
            && let Some(stored) = self.inbox.iter().find(|event| event.key == *key)
        {
            return match stored.fingerprint == *fingerprint {
                true => (Ok(Answer::Payment(stored.answer)), true),
                false => (Err(Refusal::KeyMismatch), false),
            };
        }
        if let Err(refusal) = self.check_token(command) {
            return (Err(refusal), false);
        }
        let keyed = command.key().cloned();
        let Some(keyed) = keyed else { return (self.answer_to(command), false) };
        match self.keys.get(&keyed.key) {
            Some(stored) if stored.fingerprint == keyed.fingerprint => {
                let mut answer = stored.answer.clone();
                if let Ok(answer) = &mut answer {
                    answer.set_erasable(|of| match of {
                        OfCustomer::Hold(id) => (self.holds[&id].customer.clone(), None),
                        OfCustomer::Order(order) => {
                            (self.orders[&order.id].order.customer.clone(), None)
                        }
                    });
                }
                (answer, true)
            }
            Some(_) => (Err(Refusal::KeyMismatch), false),
            None => {
                let (key, fingerprint) = (keyed.key, keyed.fingerprint);
                let answer = self.answer_to(command);
                let mut kept = answer.clone();
                if let Ok(kept) = &mut kept {
                    kept.set_erasable(|_| (None, None));
                }
                let row = KeyRow { key: key.clone(), fingerprint, answer: kept };
                self.keys.insert(key, row);
                (answer, false)
            }
        }
    }

    fn answer_to(&mut self, command: &Command) -> CommandResult {
        let mut result = self.apply(command);
        self.name(&mut result);
        // Only the answer that makes something shows its token.
        if !matches!(command, Command::Hold { .. } | Command::Cart { .. } | Command::Order { .. }) {
            hide_what_is_shown_once(&mut result);
        }
        result
    }

    fn apply(&mut self, command: &Command) -> CommandResult {
        match command {
            Command::Hold { hold, ttl, customer, .. } => {
                let mut created =
                    self.create_holds(std::slice::from_ref(hold), *ttl, customer.as_ref())?;
                Ok(Answer::Hold(Box::new(created.remove(0))))
            }
            Command::Cart { lines, token, ttl, customer, .. } => {
                let mut holds = self.create_holds(lines, *ttl, customer.as_ref())?;
                self.join(&mut holds);
                let id = CartId(holds[0].id.0);
                Ok(Answer::Cart(Cart { id, token: Some(*token), holds }))
            }
            Command::ChangeQuantity { hold_id, quantity, .. } => {
                self.change_quantity(*hold_id, *quantity)
            }
            Command::ReleaseCart { cart_id, holds, .. } => self.release_cart(*cart_id, holds),
            Command::ExtendCart { cart_id, holds, ttl, .. } => {
                self.extend_cart(*cart_id, holds, *ttl)
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
                self.hold(*hold_id).map(|hold| Answer::Hold(Box::new(hold)))
            }
            Command::Extend { hold_id, ttl, .. } => {
                let hold = self.active_hold(*hold_id)?;
                let longest = hold.created_at.after(self.policy.hold_ttl_max);
                let end = hold.expires_at.max(self.now.after(*ttl).min(longest));
                if end > hold.expires_at {
                    self.holds.insert(*hold_id, Hold { expires_at: end, ..hold });
                    self.emit_hold_event(EventKind::HoldExtended, *hold_id);
                }
                self.hold(*hold_id).map(|hold| Answer::Hold(Box::new(hold)))
            }
            Command::Order { order_id, secret, holds, terms, .. } => {
                let terms = terms.as_deref().cloned().unwrap_or_else(OrderTerms::default);
                self.order_holds(*order_id, *secret, holds, &terms)
            }
            Command::Payment { key, fingerprint, order_id, secret, outcome, terms, .. } => self
                .record_payment(PaymentRow {
                    key: key.clone(),
                    fingerprint: *fingerprint,
                    order_id: *order_id,
                    secret: *secret,
                    outcome: *outcome,
                    terms: terms.as_deref().cloned().unwrap_or_default(),
                    answer: PaymentStatus::Waiting,
                    waiting: true,
                    received_at: self.now,
                }),
            Command::ExtendOrder { order_id, ttl } => self.extend_order(*order_id, *ttl),
            Command::CancelOrder { order_id, .. } => self.cancel_order(*order_id),
            Command::Refund { order_id, refund, .. } => self.refund(*order_id, refund),
            Command::Restock { order_id, lines, .. } => self.restock(*order_id, lines),
            Command::SetPaymentReference { order_id, reference } => {
                self.name_payment(*order_id, reference)
            }
            Command::Adjust { product_id, stock, .. } => self.adjust(*product_id, *stock),
            Command::WriteProduct { product, .. } => self.write_product(product),
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
        for line in lines {
            if !self.products.contains_key(&line.product_id) {
                return Err(line.no_product());
            }
            self.check_on_sale(line.product_id)?;
        }
        if let Some(customer) = customer {
            wanted.iter().try_for_each(|line| self.check_customer(*line, customer))?;
        }
        let least: Vec<_> = lines.iter().map(|line| (line.product_id, line.least)).collect();
        self.check_stock(&wanted, &least)?;
        let end = self.now.after(ttl);
        let create = |line: &NewHold| {
            let customer_row =
                customer.map(|customer| (line.id, (line.product_id, customer.clone())));
            self.customers.extend(customer_row);
            let left = to_unsigned(self.available(line.product_id));
            let taken = u64::from(line.quantity).min(left);
            let taken = u32::try_from(taken).unwrap_or(line.quantity);
            let customer = customer.map(|name| String::from(&**name));
            self.create_hold((line.id, line.product_id), taken, end, line.token, customer)
        };
        Ok(lines.iter().map(create).collect())
    }

    pub(super) fn check_customer(
        &self,
        line: (ProductId, u32),
        customer: &Arc<str>,
    ) -> Result<(), Refusal> {
        let (product_id, requested) = line;
        let of = (product_id, customer.clone());
        let theirs = self.customers.iter().filter(|(_, one)| **one == of);
        let holds = theirs.map(|(id, _)| &self.holds[id]);
        let active = holds.filter(|hold| hold.status == HoldStatus::Active);
        let mut held: u64 = active.map(|hold| u64::from(hold.quantity)).sum();
        held += self.ordered_by(customer, product_id);
        match self.policy.max_per_customer {
            Some(most) if held + u64::from(requested) > u64::from(most) => {
                Err(Refusal::CustomerLimit { product_id, held, requested, most })
            }
            _ => Ok(()),
        }
    }

    fn check_stock(
        &self,
        wanted: &[(ProductId, u32)],
        least: &[(ProductId, u32)],
    ) -> Result<(), Refusal> {
        let short: Vec<ShortLine> = wanted
            .iter()
            .zip(least)
            .filter(|(_, (id, least))| self.available(*id) < i128::from(*least))
            .map(|((id, quantity), _)| self.short_line(*id, (*quantity).into()))
            .collect();
        if short.is_empty() { Ok(()) } else { Err(Refusal::Insufficient(short)) }
    }

    pub(super) fn short_line(&self, product_id: ProductId, requested: u64) -> ShortLine {
        let sku = self.products[&product_id].terms.sku.clone();
        let available = to_unsigned(self.available(product_id));
        ShortLine { product_id, sku, requested, available }
    }

    fn create_hold(
        &mut self,
        (id, product_id): (HoldId, ProductId),
        quantity: u32,
        expires_at: Timestamp,
        token: Token,
        customer: Option<String>,
    ) -> Hold {
        self.add_stock(product_id, -i128::from(quantity));
        let status = HoldStatus::Active;
        let created_at = self.now;
        let (order_id, cart_id) = (None, None);
        let hold = Hold {
            id,
            product_id,
            sku: None,
            quantity,
            status,
            expires_at,
            created_at,
            token: Some(token),
            order_id,
            cart_id,
            customer,
            metadata: None,
        };
        self.holds.insert(id, hold.clone());
        self.emit_hold_event(EventKind::HoldCreated, id);
        hold
    }

    /// Returns the product; the model does not track its version.
    pub(super) fn product(&self, id: ProductId) -> Product {
        let held = self.holds.values().filter(|hold| hold.status == HoldStatus::Active);
        let sum = |of: &dyn Fn(&OrderState) -> u64| self.orders.values().map(of).sum();
        let mut product = Product {
            held: held
                .filter(|hold| hold.product_id == id)
                .map(|hold| u64::from(hold.quantity))
                .sum(),
            pending: sum(&|state| state.pending(id)),
            sold: sum(&|state| state.sold(id).0),
            returned: sum(&|state| state.sold(id).1),
            version: 0,
            ..self.products[&id].terms.clone()
        };
        product.set_in_stock(to_unsigned(self.products[&id].stock));
        product
    }

    pub(super) fn hold(&self, id: HoldId) -> Result<Hold, Refusal> {
        self.holds.get(&id).cloned().ok_or(Refusal::NoHold(id))
    }

    /// Refuses a wrong hold token, and a missing one where the policy requires it.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        let used: Vec<(HoldId, Option<Token>)> = match command {
            Command::Release { hold_id, token, .. } => vec![(*hold_id, *token)],
            Command::Extend { hold_id, token, .. } => vec![(*hold_id, *token)],
            Command::ChangeQuantity { hold_id, token, .. } => vec![(*hold_id, *token)],
            Command::Order { holds, .. } => {
                holds.iter().map(|used| (used.hold_id, used.token)).collect()
            }
            Command::ReleaseCart { cart_id, holds, token }
            | Command::ExtendCart { cart_id, holds, token, .. } => {
                return self.check_cart_token(*cart_id, holds, *token);
            }
            _ => return Ok(()),
        };
        used.into_iter().try_for_each(|(id, given)| match (self.holds.get(&id), given) {
            (Some(_), None) if self.policy.require_hold_token => Err(Refusal::NoHoldToken(id)),
            (Some(hold), Some(given))
                if Some(given) != hold.token && Some(given) != hold.cart_id.map(cart_token_of) =>
            {
                Err(Refusal::WrongHoldToken(id))
            }
            _ => Ok(()),
        })
    }

    pub(super) fn active_hold(&self, id: HoldId) -> Result<Hold, Refusal> {
        let hold = self.hold(id)?;
        match hold.status {
            HoldStatus::Active => Ok(hold),
            HoldStatus::Converted => Err(self.used(id)),
            HoldStatus::Released => Err(Refusal::HoldReleased(id)),
            HoldStatus::Expired => Err(Refusal::HoldExpired(id)),
        }
    }

    fn used(&self, hold_id: HoldId) -> Refusal {
        let by = self.orders.values().find(|state| state.uses(hold_id));
        Refusal::HoldAlreadyUsed { hold_id, order_id: by.map(|state| state.order.id) }
    }

    pub(super) fn end_hold(&mut self, id: HoldId, status: HoldStatus) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.status = status;
            let (product_id, quantity) = (hold.product_id, hold.quantity.into());
            self.add_stock(product_id, quantity);
        }
    }

    pub(super) fn add_stock(&mut self, id: ProductId, units: i128) {
        if let Some(product) = self.products.get_mut(&id) {
            product.stock += units;
        }
    }

    pub(super) fn emit_hold_event(&mut self, kind: EventKind, id: HoldId) {
        let hold = &self.holds[&id];
        self.events.push((kind, hold.product_id, Some(id), None, hold.quantity.into()));
    }
}

fn to_unsigned(units: i128) -> u64 {
    assert!(units >= 0, "the reference model itself oversold: {units}");
    u64::try_from(units).unwrap_or(u64::MAX)
}

/// Takes from an answer what only the one that makes a hold, a cart or an order shows:
/// the tokens, and of holds the customer and the metadata.
fn hide_what_is_shown_once(result: &mut CommandResult) {
    let hide = |hold: &mut Hold| (hold.token, hold.customer, hold.metadata) = (None, None, None);
    match result {
        Ok(Answer::Hold(hold)) => hide(hold),
        Ok(Answer::Cart(cart)) => {
            cart.token = None;
            cart.holds.iter_mut().for_each(hide);
        }
        Ok(Answer::Order(order)) => order.payment_token = None,
        _ => {}
    }
}
