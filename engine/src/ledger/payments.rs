//! Payment events from the provider: each is applied once, in any order of
//! arrival.

use sha2::{Digest, Sha256};

use crate::model::{
    EventKind, OrderId, OrderStatus, Outcome, PaymentDisposition, PaymentStatus, Token,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, OrderRow, PaymentRow, PaymentTerms, Refusal};

impl BatchState<'_> {
    /// Records a payment event and applies it to its order, which may not exist yet.
    pub(super) fn payment(&mut self, mut row: PaymentRow, is_named: bool) -> Decision {
        if let Some(stored) = self.rows.payments.get(&row.key) {
            let answer = if stored.fingerprint == row.fingerprint {
                Ok(Answer::Payment(stored.answer))
            } else {
                Err(Refusal::KeyMismatch)
            };
            return Decision::Done { replayed: answer.is_ok(), answer };
        }
        if is_named {
            match self.named_order(&row.terms) {
                Some(id) if id != row.order_id && !self.rows.orders.contains_key(&id) => {
                    return Decision::StaleName;
                }
                Some(id) => row.order_id = id,
                None => row.order_id = awaited_by(&row.terms),
            }
        }
        let PaymentRow { order_id, secret, outcome, .. } = row;
        if let Some(order_row) = self.rows.orders.get(&order_id) {
            let order = &order_row.order;
            if secret.is_some_and(|secret| !order_row.secret.is(secret)) {
                return Refusal::WrongPaymentToken(order_id).into();
            }
            if let Err(miss) = self.rows.check_read(order.products()) {
                return miss;
            }
            self.cancel_if_due(order_id);
            if let Some(wait) = self.await_stock(order_id, outcome) {
                return wait;
            }
            let is_applied = self.apply_outcome(order_id, outcome, &row.terms);
            row.answer = if is_applied { PaymentStatus::Applied } else { PaymentStatus::Recorded };
            row.waiting = false;
        } else if matches!(outcome, Outcome::Neutral | Outcome::Disputed) {
            // It would change nothing, so it does not wait for its order.
            row.answer = PaymentStatus::Recorded;
            row.waiting = false;
        } else {
            self.rows.waiting.entry(order_id).or_default().push(row.clone());
        }
        let answer = Ok(Answer::Payment(row.answer));
        self.record_payment(row);
        Decision::Done { answer, replayed: false }
    }

    /// Returns the order that references name: the one that the payment is tied to,
    /// else the one with the shop's number.
    fn named_order(&self, terms: &PaymentTerms) -> Option<OrderId> {
        let tied = terms.reference.as_ref().and_then(|it| self.rows.order_by_payment.get(it));
        let number = terms.order_reference.as_ref();
        let found = tied.or_else(|| self.rows.order_by_reference.get(number?));
        found.copied()
    }

    /// Returns the row of an event that has not met its order yet.
    pub(super) fn new_payment(
        &self,
        key: &str,
        fingerprint: [u8; 32],
        order_id: OrderId,
        secret: Option<Token>,
        outcome: Outcome,
        terms: Option<&PaymentTerms>,
    ) -> PaymentRow {
        PaymentRow {
            key: key.to_owned(),
            fingerprint,
            order_id,
            secret,
            outcome,
            terms: terms.cloned().unwrap_or_default(),
            answer: PaymentStatus::Waiting,
            waiting: true,
            received_at: self.now,
        }
    }

    /// Returns whether late money may pay a cancelled order after all.
    fn may_revive(&self, row: &OrderRow) -> bool {
        self.policy.re_reserve
            && !row.is_closed
            && row.order.status == OrderStatus::Cancelled
            && row.order.payment_disposition == PaymentDisposition::None
    }

    /// Returns the decision on a late payment that lacks stock which due entries could
    /// supply.
    fn await_stock(&self, order_id: OrderId, outcome: Outcome) -> Option<Decision> {
        let row = self.rows.orders.get(&order_id)?;
        if outcome != Outcome::Success || !self.may_revive(row) {
            return None;
        }
        let units = Self::units_by_product(&row.order);
        let mut short = units.iter().filter(|(product, units)| self.stock(*product) < *units);
        short.find_map(|(product, _)| self.check_nothing_due(*product).err())
    }

    /// Returns the units that late money may take: the safety stock, too, and of a
    /// product that is no longer for sale.
    fn stock(&self, product: crate::model::ProductId) -> u64 {
        self.rows.products.get(&product).map_or(0, |row| row.product.in_stock)
    }

    /// Applies an outcome to an order, and returns whether its status changed.
    fn apply_outcome(&mut self, order_id: OrderId, outcome: Outcome, terms: &PaymentTerms) -> bool {
        let Some(row) = self.rows.orders.get(&order_id) else { return false };
        let before = row.order.status;
        match (before, outcome) {
            (_, Outcome::Neutral) => {}
            (_, Outcome::Disputed) => self.emit_order_event(EventKind::PaymentDisputed, order_id),
            (OrderStatus::PendingPayment, Outcome::Success) => {
                if pays(row, terms) {
                    self.pay_pending(order_id);
                    self.record_payer(order_id, terms);
                } else {
                    self.set_order_status(order_id, before, PaymentDisposition::AmountMismatch);
                    self.note_other_payment(order_id, terms);
                    self.emit_order_event(EventKind::PaymentAmountMismatch, order_id);
                }
            }
            (OrderStatus::PendingPayment, Outcome::Failure) => self.fail_attempt(order_id),
            (OrderStatus::PendingPayment, Outcome::Cancelled) => self.cancel_pending(order_id),
            (OrderStatus::Cancelled, Outcome::Success)
                if row.order.payment_disposition == PaymentDisposition::None =>
            {
                self.settle_late_payment(order_id, terms);
            }
            (OrderStatus::Cancelled, Outcome::Failure | Outcome::Cancelled) => {}
            // Money that must be refunded stays so: it must not buy twice. That of another
            // payment must be refunded, too, also once the first was.
            (_, Outcome::Success) => {
                if row.is_further_payment(terms.reference.as_deref()) {
                    self.set_order_status(order_id, before, PaymentDisposition::NeedsRefund);
                    self.note_other_payment(order_id, terms);
                    self.emit_order_event(EventKind::PaymentDuplicate, order_id);
                }
            }
            (_, Outcome::Failure | Outcome::Cancelled) => {
                self.emit_order_event(EventKind::PaymentConflict, order_id);
            }
        }
        self.rows.orders.get(&order_id).is_some_and(|row| row.order.status != before)
    }

    fn record_payer(&mut self, order_id: OrderId, terms: &PaymentTerms) {
        if let (Some(reference), Some(row)) = (&terms.reference, self.order_mut(order_id)) {
            row.other_payments.retain(|it| it != reference);
            row.paid_by = Some(reference.clone());
        }
    }

    fn note_other_payment(&mut self, order_id: OrderId, terms: &PaymentTerms) {
        if let Some(row) = self.order_mut(order_id) {
            row.note_other_payment(terms.reference.as_ref());
        }
    }

    /// Cancels an order after a failed attempt to pay it, or lets it wait for another:
    /// until the grace after the first has passed.
    fn fail_attempt(&mut self, order_id: OrderId) {
        let grace = self.policy.failed_payment_grace;
        if grace.is_zero() {
            return self.cancel_pending(order_id);
        }
        let last = self.now.after(grace);
        let Some(row) = self.order_mut(order_id) else { return };
        if !std::mem::replace(&mut row.has_failed_attempt, true) {
            let end = row.order.pay_until.map_or(last, |end| end.min(last));
            row.order.pay_until = Some(end);
            let home = row.order.home();
            self.lower_next_due(home, end);
        }
        self.emit_order_event(EventKind::PaymentAttemptFailed, order_id);
    }

    /// Pays a cancelled order if its units can be reserved again, else notes that the
    /// money must be refunded.
    fn settle_late_payment(&mut self, order_id: OrderId, terms: &PaymentTerms) {
        let Some(row) = self.rows.orders.get(&order_id) else { return };
        let order = row.order.clone();
        let units = Self::units_by_product(&order);
        let has_stock = units.iter().all(|(product, units)| self.stock(*product) >= *units);
        if self.may_revive(row) && pays(row, terms) && has_stock {
            for (product, units) in units {
                if let Some(row) = self.rows.products.get_mut(&product) {
                    row.product.set_in_stock(row.product.in_stock - units);
                    row.product.sold += units;
                }
            }
            self.set_order_status(order_id, OrderStatus::Paid, PaymentDisposition::ReReserved);
            self.record_payer(order_id, terms);
            self.emit_order_events(EventKind::OrderPaid, &order);
        } else {
            let disposition = PaymentDisposition::NeedsRefund;
            self.set_order_status(order_id, OrderStatus::Cancelled, disposition);
            self.note_other_payment(order_id, terms);
            self.emit_order_event(EventKind::PaymentNeedsRefund, order_id);
        }
    }

    /// Applies, in order of arrival, the payments that arrived before their order and
    /// still wait, whether or not a sweep has dropped the others. One with a wrong token
    /// changes nothing but emits an event.
    pub(super) fn apply_early_payments(&mut self, order_id: OrderId) {
        let mut events = self.rows.waiting.remove(&order_id).unwrap_or_default();
        let reference = self.rows.orders.get(&order_id).and_then(|row| row.order.reference.clone());
        if let Some(reference) = reference {
            let awaited = awaited_by_reference(&reference);
            let is_meant =
                |event: &PaymentRow| event.terms.order_reference.as_ref() == Some(&reference);
            events.extend(self.take_waiting(awaited, is_meant));
            events.sort_by_key(|event| event.received_at);
        }
        self.apply_waiting(order_id, events);
    }

    /// Applies the payments that named the order by a provider's name before it was tied
    /// to the order.
    pub(super) fn apply_payments_of(
        &mut self,
        order_id: OrderId,
        name: &str,
    ) -> Result<(), Decision> {
        let is_meant = |event: &PaymentRow| {
            event.terms.order_reference.is_none() && event.terms.reference.as_deref() == Some(name)
        };
        let awaited = awaited_by_payment(name);
        let waiting = self.rows.waiting.get(&awaited).into_iter().flatten();
        let mut meant = waiting.filter(|event| is_meant(event));
        if let Some(wait) = meant.find_map(|event| self.await_stock(order_id, event.outcome)) {
            return Err(wait);
        }
        let events = self.take_waiting(awaited, is_meant);
        self.apply_waiting(order_id, events);
        Ok(())
    }

    /// Takes those that meet the condition from the events that wait under an id.
    fn take_waiting(
        &mut self,
        awaited: OrderId,
        is_meant: impl Fn(&PaymentRow) -> bool,
    ) -> Vec<PaymentRow> {
        let waiting = self.rows.waiting.remove(&awaited).unwrap_or_default();
        let (meant, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_meant);
        if !others.is_empty() {
            self.rows.waiting.insert(awaited, others);
        }
        meant
    }

    fn apply_waiting(&mut self, order_id: OrderId, events: Vec<PaymentRow>) {
        for event in events {
            let Some(row) = self.rows.orders.get(&order_id) else { return };
            let right = row.secret;
            if self.policy.waits_until(&event) <= self.now {
                // It waited for another order, or too long: it stays as it is recorded.
            } else if event.secret.is_some_and(|secret| !right.is(secret)) {
                self.emit_order_event(EventKind::PaymentConflict, order_id);
            } else {
                // Who makes the order did not send it.
                self.unattributed(|batch| {
                    batch.apply_outcome(order_id, event.outcome, &event.terms);
                });
            }
            if let Some(row) = self.rows.payments.get_mut(&event.key) {
                row.waiting = false;
            }
            self.settled_payments.push((event.order_id, event.key));
        }
    }
}

/// From here on ids are of no order, but of the references by which events wait for
/// one: those that Stockade draws stay below 2^53.
const AWAITED_MIN: u64 = 1 << 62;

/// Returns the id under which an event waits for the order with this number of the
/// shop's. Two numbers may have one id: the event itself tells which is meant.
pub(crate) fn awaited_by_reference(reference: &str) -> OrderId {
    awaited("order", reference)
}

/// Returns the id under which an event waits until this provider's name of a payment is
/// tied to an order.
pub(crate) fn awaited_by_payment(name: &str) -> OrderId {
    awaited("payment", name)
}

/// Whether an event with this order id names its order by a reference.
pub(crate) fn is_awaited_by_name(id: OrderId) -> bool {
    id.0 >= AWAITED_MIN
}

fn awaited_by(terms: &PaymentTerms) -> OrderId {
    match &terms.order_reference {
        Some(reference) => awaited_by_reference(reference),
        None => awaited_by_payment(terms.reference.as_deref().unwrap_or_default()),
    }
}

fn awaited(kind: &str, name: &str) -> OrderId {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize();
    let first = digest.first_chunk().copied().unwrap_or_default();
    OrderId(AWAITED_MIN | u64::from_be_bytes(first) >> 2)
}

/// Whether this is the order's money: an event that does not say how much is believed.
fn pays(row: &OrderRow, terms: &PaymentTerms) -> bool {
    let order = &row.order;
    terms.amount.is_none_or(|amount| amount == order.amount)
        && terms.currency.is_none_or(|currency| currency == order.currency)
}
