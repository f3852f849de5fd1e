//! Compares the store with the reference model after every transaction.

use std::collections::BTreeMap;

use super::{Harness, TransactionLog, plain};
use crate::ledger::KeyRow;
use crate::model::{HoldId, HoldStatus, OrderStatus, PaymentDisposition, Product, ProductId};

impl Harness {
    /// Compares the store with the reference model, and checks its invariants.
    pub(super) fn verify(&self, log: &TransactionLog) {
        for (id, row) in &self.store.products {
            let product = &row.product;
            let now = self.now;
            let (mut held, mut pending, mut late) = (0u64, 0u64, 0u64);
            let (mut sold, mut returned) = (0u64, 0u64);
            for hold in self.store.holds.values().filter(|hold| hold.product_id == *id) {
                let units = u64::from(hold.quantity);
                if hold.status == HoldStatus::Active {
                    held += units;
                    late += if now >= hold.expires_at { units } else { 0 };
                }
            }
            for order in self.store.orders.values().map(|row| &row.order) {
                let is_home = order.lines.first().product_id == *id;
                for line in order.lines.iter().filter(|line| line.product_id == *id) {
                    let units = u64::from(line.quantity);
                    match order.status {
                        OrderStatus::PendingPayment => {
                            pending += units;
                            // Of another product than the first line's, the model has them
                            // linger as well.
                            let is_late = is_home && order.pay_until.is_some_and(|at| now >= at);
                            late += if is_late { units } else { 0 };
                        }
                        OrderStatus::Cancelled => {}
                        _ => {
                            sold += u64::from(line.quantity - line.refunded);
                            returned += u64::from(line.returned);
                        }
                    }
                }
            }
            let sums = (held, pending, sold, returned);
            let stored = (product.held, product.pending, product.sold, product.returned);
            assert_eq!(stored, sums, "product {id}");
            let sum = product.in_stock + held + pending + sold + returned;
            assert_eq!(row.received, sum, "product {id}");
            let model = &self.reference.products[id];
            let terms = Product { version: 0, ..self.reference.product(*id) };
            let mut stored = Product { version: 0, ..product.clone() };
            (stored.held, stored.pending) = (terms.held, terms.pending);
            stored.set_in_stock(terms.in_stock);
            assert_eq!(stored, terms, "what product {id} is");
            assert_eq!(i128::from(row.received), model.received, "received of product {id}");
            assert_eq!(i128::from(product.in_stock + late), model.stock, "stock of product {id}");
            if let Some(first) = self.store.first_due(*id) {
                let next_due = row.next_due;
                assert!(next_due.is_some_and(|at| at <= first), "{first} precedes {next_due:?}");
            }
        }
        self.verify_statuses();
        self.verify_customers();
        assert_eq!(self.store.payments, self.reference.inbox);
        assert_eq!(self.store.payment_names, self.reference.payment_names);
        assert!(
            self.store.keys.values().map(plain_key).eq(self.reference.keys.values().map(plain_key))
        );
        for (id, version) in &log.versions {
            assert_eq!(self.store.products[id].product.version, *version, "answered version");
        }
        for id in &log.expired {
            let status = self.store.holds[id].status;
            assert_eq!(status, HoldStatus::Expired, "refused, but its stock was not returned");
        }
    }

    /// Checks the customer of each hold, and the limit.
    fn verify_customers(&self) {
        let is_active =
            |id: &HoldId| self.store.holds.get(id).is_some_and(|h| h.status == HoldStatus::Active);
        let mut expected = self.reference.customers.clone();
        expected.retain(|id, _| is_active(id));
        assert_eq!(self.store.customers, expected, "ended holds have no customer row");
        let mut units: BTreeMap<(ProductId, &str), u64> = BTreeMap::new();
        for (id, (product_id, customer)) in &self.store.customers {
            let hold = &self.store.holds[id];
            assert_eq!(hold.product_id, *product_id, "{hold:?}");
            if hold.status == HoldStatus::Active && self.now < hold.expires_at {
                *units.entry((*product_id, &**customer)).or_default() += u64::from(hold.quantity);
            }
        }
        for row in self.store.orders.values().filter(|row| row.order.customer.is_some()) {
            for line in row.order.lines.iter() {
                let stored = self.store.customer_orders.get(&(row.order.id, line.product_id));
                let counted = row.counted(line.product_id);
                let wanted = (row.order.customer.clone().unwrap_or_default(), counted);
                assert_eq!(stored, Some(&wanted), "{row:?}");
            }
        }
        let most = self.policy.max_per_customer.map_or(u64::MAX, u64::from);
        assert!(units.values().all(|held| *held <= most), "over {most}: {units:?}");
    }

    /// Compares the effective status of every hold and order, reclaimed or not.
    fn verify_statuses(&self) {
        assert_eq!(self.store.holds.len(), self.reference.holds.len(), "holds");
        for (hold, expected) in self.store.holds.values().zip(self.reference.holds.values()) {
            let mut counts = self.store.whole_hold(hold);
            if hold.status == HoldStatus::Active && self.now >= hold.expires_at {
                counts.status = HoldStatus::Expired;
            }
            assert_eq!(counts, *expected, "{hold:?} at {}", self.now);
        }
        assert_eq!(self.store.orders.len(), self.reference.orders.len(), "orders");
        for (row, expected) in self.store.orders.values().zip(self.reference.orders.values()) {
            let mut counts = row.order.clone();
            if counts.status == OrderStatus::PendingPayment
                && counts.pay_until.is_some_and(|at| self.now >= at)
            {
                counts.status = OrderStatus::Cancelled;
                if counts.payment_disposition == PaymentDisposition::AmountMismatch {
                    counts.payment_disposition = PaymentDisposition::NeedsRefund;
                }
            }
            // The reference model does not track when the store updated it.
            let mut expected_order = expected.order.clone();
            // A row has the secret alone.
            let secret = expected_order.payment_token.take().map(|token| token.secret);
            assert_eq!(secret, Some(row.secret), "{row:?}");
            (counts.updated_at, expected_order.updated_at) = (self.now, self.now);
            assert_eq!(counts, expected_order, "{row:?} at {}", self.now);
            let flags = (
                row.is_closed,
                row.has_failed_attempt,
                &row.paid_by,
                &row.other_payments,
                row.paid_at,
            );
            let wanted = (
                expected.is_closed,
                expected.has_failed,
                &expected.paid_by,
                &expected.others,
                expected.paid_at,
            );
            assert_eq!(flags, wanted, "{row:?}");
        }
    }
}

fn plain_key(row: &KeyRow) -> KeyRow {
    KeyRow { answer: plain(&row.answer), ..row.clone() }
}
