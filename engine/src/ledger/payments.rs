//! Payment events from the provider: each is applied once, in any order of
//! arrival.

use crate::model::{
    EventKind, OrderId, OrderStatus, Outcome, PaymentDisposition, PaymentStatus, Token,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, PaymentRow, Refusal};

impl BatchState<'_> {
    pub(super) fn payment(
        &mut self,
        key: &str,
        body_hash: [u8; 32],
        order_id: OrderId,
        secret: Option<Token>,
        outcome: Outcome,
    ) -> Decision {
        if let Some(stored) = self.rows.payments.get(key) {
            let answer = if stored.body_hash == body_hash {
                Ok(Answer::Payment(stored.answer))
            } else {
                Err(Refusal::KeyMismatch)
            };
            return Decision::Done { replayed: answer.is_ok(), answer };
        }
        let mut row = PaymentRow {
            key: key.to_owned(),
            body_hash,
            order_id,
            secret,
            outcome,
            answer: PaymentStatus::Waiting,
            waiting: true,
            received_at: self.now,
        };
        if let Some(order_row) = self.rows.orders.get(&order_id) {
            let order = &order_row.order;
            if secret.is_some_and(|secret| !order.payment_token.secret.is(secret)) {
                return Refusal::WrongPaymentToken(order_id).into();
            }
            if !self.rows.products.contains_key(&order.product_id) {
                return Decision::ReadSetMiss(order.product_id);
            }
            self.cancel_if_due(order_id);
            if self.needs_unloaded_due(order_id, outcome) {
                return Decision::Deferred;
            }
            let is_applied = self.apply_outcome(order_id, outcome);
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

    /// Returns whether a late payment lacks stock that due entries left unloaded
    /// could supply.
    fn needs_unloaded_due(&self, order_id: OrderId, outcome: Outcome) -> bool {
        let Some(row) = self.rows.orders.get(&order_id) else { return false };
        let order = &row.order;
        let stock = self.rows.products.get(&order.product_id).map_or(0, |row| row.product.stock);
        outcome == Outcome::Success
            && order.status == OrderStatus::Cancelled
            && order.payment_disposition == PaymentDisposition::None
            && self.policy.re_reserve
            && stock < u64::from(order.quantity)
            && self.has_unloaded_due(order.product_id)
    }

    /// Applies an outcome to an order, and returns whether its status changed.
    fn apply_outcome(&mut self, order_id: OrderId, outcome: Outcome) -> bool {
        let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
            return false;
        };
        match (order.status, outcome) {
            (OrderStatus::PendingPayment, Outcome::Success) => self.pay_pending(order_id),
            (OrderStatus::PendingPayment, Outcome::Failure | Outcome::Cancelled) => {
                self.cancel_pending(order_id);
            }
            (OrderStatus::Paid, Outcome::Failure | Outcome::Cancelled) => {
                self.emit_order_event(EventKind::PaymentConflict, &order);
            }
            // A requested refund stays: the same money must not buy twice.
            (OrderStatus::Cancelled, Outcome::Success)
                if order.payment_disposition == PaymentDisposition::None =>
            {
                self.settle_late_payment(order_id);
            }
            (_, Outcome::Neutral)
            | (OrderStatus::Paid | OrderStatus::Cancelled, Outcome::Success)
            | (OrderStatus::Cancelled, Outcome::Failure | Outcome::Cancelled) => {}
        }
        self.rows.orders.get(&order_id).is_some_and(|row| row.order.status != order.status)
    }

    fn settle_late_payment(&mut self, order_id: OrderId) {
        let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
            return;
        };
        let quantity = u64::from(order.quantity);
        match self.rows.products.get_mut(&order.product_id) {
            Some(row) if self.policy.re_reserve && row.product.stock >= quantity => {
                row.product.stock -= quantity;
                row.product.sold += quantity;
                self.set_order_status(&order, OrderStatus::Paid, PaymentDisposition::ReReserved);
                self.emit_order_event(EventKind::OrderPaid, &order);
            }
            _ => {
                self.set_order_status(
                    &order,
                    OrderStatus::Cancelled,
                    PaymentDisposition::NeedsRefund,
                );
                self.emit_order_event(EventKind::PaymentNeedsRefund, &order);
            }
        }
    }

    /// Applies, in order of arrival, the payments that arrived before their order.
    /// One with a wrong token changes nothing but emits an event.
    pub(super) fn apply_early_payments(&mut self, order_id: OrderId) {
        for event in self.rows.waiting.remove(&order_id).unwrap_or_default() {
            let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
                return;
            };
            if event.secret.is_some_and(|secret| !order.payment_token.secret.is(secret)) {
                self.emit_order_event(EventKind::PaymentConflict, &order);
            } else {
                self.apply_outcome(order_id, event.outcome);
            }
            if let Some(row) = self.rows.payments.get_mut(&event.key) {
                row.waiting = false;
            }
            self.settled_payments.push((order_id, event.key));
        }
    }
}
