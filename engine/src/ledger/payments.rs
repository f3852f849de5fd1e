//! Taking the payment provider's word, once per event, in any order.

use crate::model::{
    EventKind, OrderId, OrderStatus, Outcome, PaymentAnswer, PaymentDisposition, Token,
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
        if let Some(known) = self.rows.payments.get(key) {
            let answer = if known.body_hash == body_hash {
                Ok(Answer::Payment(known.answer))
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
            answer: PaymentAnswer::Waiting,
            waiting: true,
            received_at: self.now,
        };
        if let Some(known) = self.rows.orders.get(&order_id) {
            let order = &known.order;
            if secret.is_some_and(|secret| secret != order.payment_token.secret) {
                let answer = Err(Refusal::WrongPaymentToken(order_id));
                return Decision::Done { answer, replayed: false };
            }
            if !self.rows.products.contains_key(&order.product_id) {
                return Decision::ReadSetMiss(order.product_id);
            }
            self.cancel_if_due(order_id);
            if self.must_wait_for_stock(order_id, outcome) {
                return Decision::Deferred;
            }
            self.apply_outcome(order_id, outcome);
            row.answer = PaymentAnswer::Recorded;
            row.waiting = false;
        } else {
            self.rows.waiting.entry(order_id).or_default().push(row.clone());
        }
        let answer = Ok(Answer::Payment(row.answer));
        self.record_payment(row);
        Decision::Done { answer, replayed: false }
    }

    /// Whether late money would be refused for want of stock that is due but
    /// was not loaded.
    fn must_wait_for_stock(&self, order_id: OrderId, outcome: Outcome) -> bool {
        let Some(row) = self.rows.orders.get(&order_id) else { return false };
        let order = &row.order;
        let stock = self.rows.products.get(&order.product_id).map_or(0, |row| row.product.stock);
        outcome == Outcome::Success
            && order.status == OrderStatus::Cancelled
            && order.payment_disposition == PaymentDisposition::None
            && self.policy.re_reserve
            && stock < u64::from(order.qty)
            && self.more_due(order.product_id)
    }

    /// Does what the provider's word means for an order that is there.
    fn apply_outcome(&mut self, order_id: OrderId, outcome: Outcome) {
        let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
            return;
        };
        match (order.status, outcome) {
            (OrderStatus::PendingPayment, Outcome::Success) => self.pay_pending(order_id),
            (OrderStatus::PendingPayment, Outcome::Failure) => self.cancel_pending(order_id),
            (OrderStatus::Paid, Outcome::Success) | (OrderStatus::Cancelled, Outcome::Failure) => {}
            (OrderStatus::Paid, Outcome::Failure) => {
                self.emit_order_event(EventKind::PaymentConflict, &order);
            }
            // A refund once asked for stays: the same money must not buy twice.
            (OrderStatus::Cancelled, Outcome::Success)
                if order.payment_disposition != PaymentDisposition::None => {}
            (OrderStatus::Cancelled, Outcome::Success) => self.take_late_money(order_id),
        }
    }

    fn take_late_money(&mut self, order_id: OrderId) {
        let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
            return;
        };
        let qty = u64::from(order.qty);
        match self.rows.products.get_mut(&order.product_id) {
            Some(row) if self.policy.re_reserve && row.product.stock >= qty => {
                row.product.stock -= qty;
                row.product.sold += qty;
                self.settle_order(&order, OrderStatus::Paid, PaymentDisposition::ReReserved);
                self.emit_order_event(EventKind::OrderPaid, &order);
            }
            _ => {
                self.settle_order(&order, OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
                self.emit_order_event(EventKind::PaymentNeedsRefund, &order);
            }
        }
    }

    /// Applies, in the order of their arrival, the events that came before
    /// their order. One with a wrong token changes nothing but is told of.
    pub(super) fn apply_waiting(&mut self, order_id: OrderId) {
        for event in self.rows.waiting.remove(&order_id).unwrap_or_default() {
            let Some(order) = self.rows.orders.get(&order_id).map(|row| row.order.clone()) else {
                return;
            };
            if event.secret.is_some_and(|secret| secret != order.payment_token.secret) {
                self.emit_order_event(EventKind::PaymentConflict, &order);
            } else {
                self.apply_outcome(order_id, event.outcome);
            }
            if let Some(row) = self.rows.payments.get_mut(&event.key) {
                row.waiting = false;
            }
            self.record_settled(order_id, event.key);
        }
    }
}
