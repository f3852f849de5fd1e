//! Converts holds to orders, and cancels orders that stay unpaid.

use crate::model::{
    EventKind, HoldId, HoldStatus, Order, OrderId, OrderStatus, PaymentDisposition, PaymentToken,
    ProductId, Token,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, OrderRow, Refusal};

impl BatchState<'_> {
    /// Converts an active hold of `product_id` to an order, and applies the payments
    /// that arrived before it.
    pub(super) fn order(
        &mut self,
        order_id: OrderId,
        secret: Token,
        hold_id: HoldId,
        product_id: ProductId,
    ) -> Result<Answer, Decision> {
        if self.rows.hold(hold_id)?.product_id != product_id {
            return Err(Refusal::ProductMismatch { hold_id, asked: product_id }.into());
        }
        let hold = self.active_hold(hold_id)?;
        self.record_hold(hold_id, (hold.status, hold.expires_at));
        if let Some(hold) = self.rows.holds.get_mut(&hold_id) {
            hold.status = HoldStatus::Converted;
        }
        if let Some(row) = self.rows.products.get_mut(&product_id) {
            row.product.held -= u64::from(hold.quantity);
            row.product.pending += u64::from(hold.quantity);
        }
        self.create_order(order_id, secret, hold_id, product_id, hold.quantity);
        self.apply_early_payments(order_id);
        let order = self.rows.orders.get(&order_id).ok_or(Refusal::NoHold(hold_id))?;
        Ok(Answer::Order(order.order.clone()))
    }

    fn create_order(
        &mut self,
        id: OrderId,
        secret: Token,
        hold_id: HoldId,
        product_id: ProductId,
        quantity: u32,
    ) {
        let due_at = self.policy.payment_ttl.map(|ttl| self.now.after(ttl));
        let order = Order {
            id,
            hold_id,
            product_id,
            quantity,
            status: OrderStatus::PendingPayment,
            payment_token: PaymentToken { order_id: id, secret },
            payment_disposition: PaymentDisposition::None,
            created_at: self.now,
            updated_at: self.now,
        };
        self.record_order(id, None);
        self.emit_order_event(EventKind::OrderCreated, &order);
        self.rows.orders.insert(id, OrderRow { order, due_at });
        self.rows.order_by_hold.insert(hold_id, id);
        if let Some(due_at) = due_at {
            self.lower_next_due(product_id, due_at);
        }
    }

    pub(super) fn cancel_if_due(&mut self, order_id: OrderId) {
        let due = self.rows.orders.get(&order_id).is_some_and(|row| {
            row.order.status == OrderStatus::PendingPayment
                && row.due_at.is_some_and(|due_at| due_at <= self.now)
        });
        if due {
            self.cancel_pending(order_id);
        }
    }

    /// Cancels a pending order and returns its stock. No other code returns the
    /// stock of an order.
    pub(super) fn cancel_pending(&mut self, order_id: OrderId) {
        let Some(order) = self.pending_order(order_id) else { return };
        if let Some(row) = self.rows.products.get_mut(&order.product_id) {
            row.product.pending -= u64::from(order.quantity);
            row.product.stock += u64::from(order.quantity);
            self.set_order_status(&order, OrderStatus::Cancelled, PaymentDisposition::None);
            self.emit_order_event(EventKind::OrderCancelled, &order);
        }
    }

    pub(super) fn pay_pending(&mut self, order_id: OrderId) {
        let Some(order) = self.pending_order(order_id) else { return };
        if let Some(row) = self.rows.products.get_mut(&order.product_id) {
            row.product.pending -= u64::from(order.quantity);
            row.product.sold += u64::from(order.quantity);
            self.set_order_status(&order, OrderStatus::Paid, PaymentDisposition::None);
            self.emit_order_event(EventKind::OrderPaid, &order);
        }
    }

    fn pending_order(&self, order_id: OrderId) -> Option<Order> {
        let order = &self.rows.orders.get(&order_id)?.order;
        (order.status == OrderStatus::PendingPayment).then(|| order.clone())
    }

    pub(super) fn set_order_status(
        &mut self,
        order: &Order,
        status: OrderStatus,
        disposition: PaymentDisposition,
    ) {
        self.record_order(order.id, Some((order.status, order.payment_disposition)));
        if let Some(row) = self.rows.orders.get_mut(&order.id) {
            row.order.status = status;
            row.order.payment_disposition = disposition;
            row.order.updated_at = self.now;
        }
    }

    pub(super) fn emit_order_event(&mut self, kind: EventKind, order: &Order) {
        let (product_id, hold_id) = (order.product_id, Some(order.hold_id));
        self.emit_event(kind, product_id, hold_id, Some(order.id), order.quantity.into());
    }
}
