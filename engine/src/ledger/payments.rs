//! Payment events from the provider: each is applied once, in any order of
//! arrival.

use crate::model::{
    EventKind, OrderId, OrderStatus, Outcome, PaymentDisposition, PaymentStatus, Token,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, OrderRow, PaymentRow, PaymentTerms, Refusal};

impl BatchState<'_> {
    /// Records a payment event and applies it to its order, which may not exist yet.
    pub(super) fn payment(&mut self, mut row: PaymentRow) -> Decision {
        if let Some(stored) = self.rows.payments.get(&row.key) {
            let answer = if stored.fingerprint == row.fingerprint {
                Ok(Answer::Payment(stored.answer))
            } else {
                Err(Refusal::KeyMismatch)
            };
            return Decision::Done { replayed: answer.is_ok(), answer };
        }
        let PaymentRow { order_id, secret, outcome, .. } = row;
        if let Some(order_row) = self.rows.orders.get(&order_id) {
            let order = &order_row.order;
            if secret.is_some_and(|secret| !order.payment_token.secret.is(secret)) {
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
        } else if outcome == Outcome::Neutral {
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
            (OrderStatus::PendingPayment, Outcome::Success) => {
                if pays(row, terms) {
                    self.pay_pending(order_id);
                    self.record_payer(order_id, terms);
                } else {
                    self.set_order_status(order_id, before, PaymentDisposition::AmountMismatch);
                    self.emit_order_event(EventKind::PaymentAmountMismatch, order_id);
                }
            }
            (OrderStatus::PendingPayment, Outcome::Failure) => self.fail_attempt(order_id),
            (OrderStatus::PendingPayment, Outcome::Cancelled) => self.cancel_pending(order_id),
            (OrderStatus::Cancelled, Outcome::Success) => {
                // Money that must be refunded stays so: it must not buy twice.
                if row.order.payment_disposition == PaymentDisposition::None {
                    self.settle_late_payment(order_id, terms);
                }
            }
            (OrderStatus::Cancelled, Outcome::Failure | Outcome::Cancelled) => {}
            (_, Outcome::Success) => {
                if is_second_payment(row, terms) {
                    self.set_order_status(order_id, before, PaymentDisposition::NeedsRefund);
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
            row.paid_by = Some(reference.clone());
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
            self.emit_order_event(EventKind::PaymentNeedsRefund, order_id);
        }
    }

    /// Applies, in order of arrival, the payments that arrived before their order and
    /// still wait, whether or not a sweep has dropped the others. One with a wrong token
    /// changes nothing but emits an event.
    pub(super) fn apply_early_payments(&mut self, order_id: OrderId) {
        for event in self.rows.waiting.remove(&order_id).unwrap_or_default() {
            let Some(row) = self.rows.orders.get(&order_id) else { return };
            let right = row.order.payment_token.secret;
            if self.policy.waits_until(&event) <= self.now {
                // It waited for another order, or too long: it stays as it is recorded.
            } else if event.secret.is_some_and(|secret| !right.is(secret)) {
                self.emit_order_event(EventKind::PaymentConflict, order_id);
            } else {
                self.apply_outcome(order_id, event.outcome, &event.terms);
            }
            if let Some(row) = self.rows.payments.get_mut(&event.key) {
                row.waiting = false;
            }
            self.settled_payments.push((order_id, event.key));
        }
    }
}

/// Whether this is the order's money: an event that does not say how much is believed.
fn pays(row: &OrderRow, terms: &PaymentTerms) -> bool {
    let order = &row.order;
    terms.amount.is_none_or(|amount| amount == order.amount)
        && terms.currency.is_none_or(|currency| currency == order.currency)
}

/// Whether a success is of another payment than the one that paid the order.
fn is_second_payment(row: &OrderRow, terms: &PaymentTerms) -> bool {
    match (&row.paid_by, &terms.reference) {
        (Some(first), Some(second)) => first != second,
        _ => false,
    }
}
