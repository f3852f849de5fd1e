//! Orders and their payments in the reference model.

use super::{OrderState, ReferenceModel};
use crate::ledger::{Answer, CommandResult, OrderTerms, PaymentRow, PaymentTerms, Refusal};
use crate::model::{
    EventKind, Hold, HoldStatus, Money, Order, OrderId, OrderLine, OrderLines, OrderStatus,
    OrderedHold, Outcome, PaymentDisposition, PaymentStatus, PaymentToken, ProductId, ProductRef,
    Token,
};

impl OrderState {
    /// The first line's product.
    fn home(&self) -> ProductId {
        self.order.lines.first().product_id
    }

    fn products(&self) -> Vec<ProductId> {
        self.order.lines.iter().map(|line| line.product_id).collect()
    }

    /// Pending units of a product.
    pub fn pending(&self, id: ProductId) -> u64 {
        let counts = match self.order.status {
            OrderStatus::PendingPayment => true,
            _ => self.is_lingering && id != self.home(),
        };
        if counts { self.units(id) } else { 0 }
    }

    /// Sold units of a product, and returned ones.
    pub fn sold(&self, id: ProductId) -> (u64, u64) {
        let lines = self.order.lines.iter().filter(|line| line.product_id == id);
        match self.order.status {
            OrderStatus::PendingPayment | OrderStatus::Cancelled => (0, 0),
            _ => lines.fold((0, 0), |(sold, returned), line| {
                let kept = u64::from(line.quantity - line.refunded);
                (sold + kept, returned + u64::from(line.returned))
            }),
        }
    }

    fn units(&self, id: ProductId) -> u64 {
        let lines = self.order.lines.iter().filter(|line| line.product_id == id);
        lines.map(|line| u64::from(line.quantity)).sum()
    }
}

impl ReferenceModel {
    /// Makes one order of holds, all or none.
    pub(super) fn order_holds(
        &mut self,
        id: OrderId,
        secret: Token,
        holds: &[OrderedHold],
        terms: &OrderTerms,
    ) -> CommandResult {
        let refusals: Vec<Refusal> =
            holds.iter().filter_map(|used| self.check_hold(used).err()).collect();
        match refusals.as_slice() {
            [] => {}
            [only] if holds.len() == 1 => return Err(only.clone()),
            _ => return Err(Refusal::UnusableHolds(refusals)),
        }
        let mut others = self.orders.values();
        let taken = |other: &&OrderState| other.order.reference == terms.reference;
        if terms.reference.is_some()
            && let Some(other) = others.find(taken)
        {
            return Err(Refusal::ReferenceTaken(other.order.id));
        }
        let held: Vec<Hold> = holds.iter().map(|used| self.holds[&used.hold_id].clone()).collect();
        let products = || held.iter().map(|hold| self.products[&hold.product_id].terms.clone());
        let currency = terms.currency.or(products().next().map(|product| product.currency));
        let currency = currency.expect("an order has a hold");
        if products().any(|product| product.currency != currency) {
            return Err(Refusal::MixedCurrencies(currency));
        }
        let minor = |money: Money| money.to_minor(currency);
        let prices = held.iter().zip(products());
        let sum = prices
            .map(|(hold, product)| minor(product.price).expect("fits") * i64::from(hold.quantity));
        let sum = Money::from_minor_of(sum.sum(), currency).expect("not negative");
        let amount = terms.amount.unwrap_or(sum);
        if minor(amount).is_err() {
            return Err(Refusal::AmountDecimals(currency));
        }
        let mut lines = held.iter().zip(1..).map(|(hold, line)| OrderLine {
            line,
            hold_id: hold.id,
            product_id: hold.product_id,
            sku: self.products[&hold.product_id].terms.sku.clone(),
            quantity: hold.quantity,
            price: self.products[&hold.product_id].terms.price,
            refunded: 0,
            returned: 0,
        });
        let first = lines.next().expect("an order has a hold");
        let ttl = terms.payment_ttl.or(self.policy.payment_ttl);
        let customer = held.iter().find_map(|hold| hold.customer.clone());
        let order = Order {
            id,
            lines: OrderLines::new(first, lines.collect()),
            status: OrderStatus::PendingPayment,
            payment_token: Some(PaymentToken { order_id: id, secret }),
            payment_disposition: PaymentDisposition::None,
            amount,
            currency,
            refunded_amount: Money::ZERO,
            reference: terms.reference.clone(),
            customer,
            metadata: None,
            created_by: None,
            pay_until: ttl.map(|ttl| self.now.after(ttl)),
            created_at: self.now,
            updated_at: self.now,
        };
        for hold in held {
            self.holds.insert(hold.id, Hold { status: HoldStatus::Converted, ..hold });
        }
        self.orders.insert(id, OrderState::new(order));
        self.emit_lines(EventKind::OrderCreated, id);
        self.apply_early(id, secret);
        self.answer(id)
    }

    fn check_hold(&self, used: &OrderedHold) -> Result<(), Refusal> {
        let hold_id = used.hold_id;
        let of = self.hold(hold_id)?.product_id;
        match &used.product {
            Some(ProductRef::Id(asked)) if *asked != of => {
                Err(Refusal::ProductMismatch { hold_id, asked: *asked })
            }
            Some(ProductRef::Sku(asked)) if self.product_of_sku(asked) != Some(of) => {
                Err(Refusal::SkuMismatch { hold_id, asked: asked.clone() })
            }
            _ => self.active_hold(hold_id).map(drop),
        }
    }

    /// Applies the payments that arrived before their order, in order of arrival.
    fn apply_early(&mut self, id: OrderId, right: Token) {
        for at in 0..self.inbox.len() {
            let event = &mut self.inbox[at];
            if event.order_id != id || !event.waiting {
                continue;
            }
            event.waiting = false;
            let PaymentRow { outcome, terms, secret, received_at, .. } = event.clone();
            let is_over = received_at.after(self.policy.early_payment_ttl) <= self.now;
            if is_over && secret.is_none() {
                continue;
            }
            if secret.is_none_or(|it| it == right) {
                self.pay(id, outcome, &terms);
            } else {
                self.emit_alone(EventKind::PaymentConflict, id);
            }
        }
    }

    /// Records a payment event that was not recorded before.
    pub(super) fn record_payment(&mut self, mut event: PaymentRow) -> CommandResult {
        let id = event.order_id;
        if let Some(state) = self.orders.get(&id) {
            let right = state.order.payment_token.map(|token| token.secret);
            if event.secret.is_some() && event.secret != right {
                return Err(Refusal::WrongPaymentToken(id));
            }
            self.settle(id);
            let before = self.orders[&id].order.status;
            self.pay(id, event.outcome, &event.terms);
            let is_applied = self.orders[&id].order.status != before;
            event.answer =
                if is_applied { PaymentStatus::Applied } else { PaymentStatus::Recorded };
            event.waiting = false;
        } else if matches!(event.outcome, Outcome::Neutral | Outcome::Disputed) {
            event.answer = PaymentStatus::Recorded;
            event.waiting = false;
        }
        let answer = event.answer;
        self.inbox.push(event);
        Ok(Answer::Payment(answer))
    }

    /// Applies a payment's outcome to an existing order.
    fn pay(&mut self, id: OrderId, outcome: Outcome, terms: &PaymentTerms) {
        let state = &self.orders[&id];
        let (order, is_closed) = (state.order.clone(), state.is_closed);
        let is_right = terms.amount.is_none_or(|amount| amount == order.amount)
            && terms.currency.is_none_or(|currency| currency == order.currency);
        let mut names: Vec<&String> = state.others.iter().collect();
        names.extend(&state.paid_by);
        let is_second =
            terms.reference.as_ref().is_some_and(|it| !names.is_empty() && !names.contains(&it));
        let untouched = order.payment_disposition == PaymentDisposition::None;
        let failed = matches!(outcome, Outcome::Failure | Outcome::Cancelled);
        match (order.status, outcome) {
            (_, Outcome::Neutral) => {}
            (_, Outcome::Disputed) => self.emit_alone(EventKind::PaymentDisputed, id),
            (OrderStatus::PendingPayment, Outcome::Success) if is_right => {
                self.set_order(id, OrderStatus::Paid, PaymentDisposition::None);
                self.note_payer(id, terms);
                self.emit_lines(EventKind::OrderPaid, id);
            }
            (OrderStatus::PendingPayment, Outcome::Success) => {
                self.set_order(id, order.status, PaymentDisposition::AmountMismatch);
                self.note_other(id, terms);
                self.emit_alone(EventKind::PaymentAmountMismatch, id);
            }
            (OrderStatus::PendingPayment, Outcome::Failure)
                if !self.policy.failed_payment_grace.is_zero() =>
            {
                let last = self.now.after(self.policy.failed_payment_grace);
                if let Some(state) = self.orders.get_mut(&id)
                    && !state.has_failed
                {
                    state.has_failed = true;
                    let end = state.order.pay_until;
                    state.order.pay_until = Some(end.map_or(last, |end| end.min(last)));
                }
                self.emit_alone(EventKind::PaymentAttemptFailed, id);
            }
            (OrderStatus::PendingPayment, _) => self.cancel(id),
            (OrderStatus::Cancelled, Outcome::Success) if untouched => {
                let has_stock = self.orders[&id].products().into_iter().all(|product| {
                    let units = i128::from(self.orders[&id].units(product));
                    self.products[&product].stock >= units
                });
                if self.policy.re_reserve && !is_closed && is_right && has_stock {
                    for line in order.lines.iter() {
                        self.add_stock(line.product_id, -i128::from(line.quantity));
                    }
                    self.set_order(id, OrderStatus::Paid, PaymentDisposition::ReReserved);
                    self.note_payer(id, terms);
                    self.emit_lines(EventKind::OrderPaid, id);
                } else {
                    self.set_order(id, OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
                    self.note_other(id, terms);
                    self.emit_alone(EventKind::PaymentNeedsRefund, id);
                }
            }
            // Of a paid order, refunded or not, or of one that other money came too late for.
            (_, Outcome::Success) if is_second => {
                self.set_order(id, order.status, PaymentDisposition::NeedsRefund);
                self.note_other(id, terms);
                self.emit_alone(EventKind::PaymentDuplicate, id);
            }
            (OrderStatus::Cancelled, _) => {}
            _ if failed => self.emit_alone(EventKind::PaymentConflict, id),
            _ => {}
        }
    }

    fn note_payer(&mut self, id: OrderId, terms: &PaymentTerms) {
        if let Some(state) = self.orders.get_mut(&id) {
            state.paid_by.clone_from(&terms.reference);
            state.others.retain(|other| Some(other) != terms.reference.as_ref());
        }
    }

    /// Notes a payment whose money is owed, as long as there are few.
    fn note_other(&mut self, id: OrderId, terms: &PaymentTerms) {
        if let (Some(state), Some(name)) = (self.orders.get_mut(&id), &terms.reference)
            && state.paid_by.as_ref() != Some(name)
            && !state.others.contains(name)
            && state.others.len() < 16
        {
            state.others.push(name.clone());
        }
    }

    /// Cancels a pending order at once. The money of a wrong amount is owed then.
    fn cancel(&mut self, id: OrderId) {
        let order = self.orders[&id].order.clone();
        let disposition = match order.payment_disposition {
            PaymentDisposition::AmountMismatch => PaymentDisposition::NeedsRefund,
            other => other,
        };
        self.set_order(id, OrderStatus::Cancelled, disposition);
        for line in order.lines.iter() {
            self.add_stock(line.product_id, line.quantity.into());
        }
    }

    /// Cancels an order that is due. Its units of other products than the first line's
    /// linger until the store meets all its products in one transaction.
    pub(super) fn cancel_due(&mut self, id: OrderId) {
        self.cancel(id);
        let lingering = self.lingering(id);
        lingering.iter().for_each(|(product, units)| self.add_stock(*product, -units));
        if let Some(state) = self.orders.get_mut(&id) {
            state.is_lingering = !lingering.is_empty();
        }
    }

    /// Lets what lingers of a cancelled order return.
    pub fn settle(&mut self, id: OrderId) {
        if self.orders.get(&id).is_some_and(|state| state.is_lingering) {
            for (product, units) in self.lingering(id) {
                self.add_stock(product, units);
            }
            if let Some(state) = self.orders.get_mut(&id) {
                state.is_lingering = false;
            }
        }
    }

    fn lingering(&self, id: OrderId) -> Vec<(ProductId, i128)> {
        let state = &self.orders[&id];
        let lines = state.order.lines.iter().filter(|line| line.product_id != state.home());
        lines.map(|line| (line.product_id, line.quantity.into())).collect()
    }

    /// Returns an order as it is now.
    pub(super) fn settled(&mut self, id: OrderId) -> Result<Order, Refusal> {
        self.settle(id);
        let state = self.orders.get(&id).ok_or(Refusal::NoOrder(id))?;
        Ok(state.order.clone())
    }

    pub(super) fn extend_order(
        &mut self,
        id: OrderId,
        ttl: Option<std::time::Duration>,
    ) -> CommandResult {
        let order = self.settled(id)?;
        match order.status {
            OrderStatus::PendingPayment => {}
            OrderStatus::Cancelled => return Err(Refusal::OrderCancelled(id)),
            _ => return Err(Refusal::AlreadyPaid(id)),
        }
        let longest = self.policy.payment_ttl_max;
        let ttl = ttl.unwrap_or(self.policy.payment_ttl.unwrap_or(longest));
        let wanted = self.now.after(ttl).min(order.created_at.after(longest));
        if let Some(end) = order.pay_until.filter(|end| *end < wanted) {
            assert!(self.now < end, "an order that is due is cancelled");
            if let Some(state) = self.orders.get_mut(&id) {
                state.order.pay_until = Some(wanted);
            }
            self.emit_alone(EventKind::OrderExtended, id);
        }
        self.answer(id)
    }

    pub(super) fn cancel_order(&mut self, id: OrderId) -> CommandResult {
        match self.settled(id)?.status {
            OrderStatus::PendingPayment => {
                self.cancel(id);
                if let Some(state) = self.orders.get_mut(&id) {
                    state.is_closed = true;
                }
            }
            OrderStatus::Cancelled => {}
            _ => return Err(Refusal::AlreadyPaid(id)),
        }
        self.answer(id)
    }

    pub(super) fn name_payment(&mut self, id: OrderId, name: &str) -> CommandResult {
        self.settled(id)?;
        let of = *self.payment_names.entry(name.to_owned()).or_insert(id);
        if of == id { self.answer(id) } else { Err(Refusal::ReferenceTaken(of)) }
    }

    pub(super) fn answer(&self, id: OrderId) -> CommandResult {
        Ok(Answer::Order(Box::new(self.orders[&id].order.clone())))
    }

    pub(super) fn set_order(
        &mut self,
        id: OrderId,
        status: OrderStatus,
        disposition: PaymentDisposition,
    ) {
        let now = self.now;
        if let Some(OrderState { order, paid_at, .. }) = self.orders.get_mut(&id) {
            if status == OrderStatus::Paid && !order.status.was_paid() {
                *paid_at = Some(now);
            }
            order.status = status;
            order.payment_disposition = disposition;
        }
    }

    /// Emits an event of each line.
    fn emit_lines(&mut self, kind: EventKind, id: OrderId) {
        for line in self.orders[&id].order.clone().lines.iter() {
            self.emit_line(kind, id, line, line.quantity);
        }
    }

    pub(super) fn emit_line(&mut self, kind: EventKind, id: OrderId, line: &OrderLine, units: u32) {
        self.events.push((kind, line.product_id, Some(line.hold_id), Some(id), units.into()));
    }

    /// Emits an event that moves no unit; one of a payment tells the order's units.
    pub(super) fn emit_alone(&mut self, kind: EventKind, id: OrderId) {
        let lines = &self.orders[&id].order.lines;
        let units = match kind {
            EventKind::OrderRefunded | EventKind::OrderExtended => 0,
            _ => lines.iter().map(|line| line.quantity).sum(),
        };
        let line = lines.first().clone();
        self.emit_line(kind, id, &line, units);
    }
}
