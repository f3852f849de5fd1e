//! What counts for a customer's limit in the reference model, and how long early events
//! wait.

use super::{OrderState, ReferenceModel};
use crate::model::{OrderId, OrderStatus, ProductId};

impl ReferenceModel {
    /// Units in a customer's orders that are not paid, or were paid within the window.
    pub(in crate::ledger::proptests) fn ordered_by(
        &self,
        customer: &str,
        product: ProductId,
    ) -> u64 {
        let Some(window) = self.policy.customer_window else { return 0 };
        let theirs = |it: &&OrderState| it.order.customer.as_deref() == Some(customer);
        let counts = |it: &&OrderState| match it.order.status {
            OrderStatus::PendingPayment => true,
            OrderStatus::Paid | OrderStatus::PartiallyRefunded => {
                it.paid_at.is_some_and(|at| at.after(window) > self.now)
            }
            _ => false,
        };
        let orders = self.orders.values().filter(theirs).filter(counts);
        let lines = orders.flat_map(|it| it.order.lines.iter());
        let lines = lines.filter(|line| line.product_id == product);
        lines.map(|line| u64::from(line.quantity - line.refunded)).sum()
    }

    /// Whether an event no longer waited for this order as it was made.
    pub(in crate::ledger::proptests) fn has_ended_event(&self, id: OrderId) -> bool {
        let ttl = self.policy.early_payment_ttl;
        self.orders.get(&id).is_some_and(|state| {
            self.inbox.iter().any(|event| {
                event.order_id == id
                    && event.secret.is_none()
                    && event.received_at.after(ttl) <= state.order.created_at
            })
        })
    }
}
