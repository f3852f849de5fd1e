//! Writes under the guards of a real store.

use super::Store;
use crate::ledger::{Changes, OrderChange, OrderRow, PaymentRow, is_paid_by};
use crate::model::{HoldStatus, Money, Order, OrderStatus, PaymentDisposition, Timestamp};

impl Store {
    /// Writes a transaction under every guard of a real store.
    pub fn write(&mut self, changes: Changes, now: Timestamp) {
        for change in changes.products {
            let (before, after) = (change.before, change.after);
            let row = self.products.get_mut(&before.product.id).expect("the product is there");
            assert_eq!(*row, before, "guard of the product");
            assert_eq!(before.fence, after.fence, "a column that the ledger never writes");
            let available = after.product.in_stock.saturating_sub(after.product.safety_stock);
            assert_eq!(after.product.stock, available, "{after:?}");
            assert!(i64::try_from(after.product.in_stock).is_ok(), "stock below zero");
            *row = after;
        }
        for row in changes.new_products {
            let id = row.product.id;
            assert!(self.products.insert(id, row).is_none(), "duplicate product {id}");
        }
        let skus = || self.products.values().filter_map(|row| row.product.sku.as_ref());
        let different: std::collections::BTreeSet<_> = skus().collect();
        assert_eq!(different.len(), skus().count(), "two products have one SKU");
        for hold in changes.new_holds {
            assert!(self.products.contains_key(&hold.product_id), "hold of no product");
            assert!(hold.expires_at > now && hold.created_at == now, "{hold:?} at {now}");
            assert!(self.holds.insert(hold.id, hold).is_none(), "duplicate hold id");
        }
        self.hold_metadata.extend(changes.hold_metadata);
        for row in changes.customer_holds {
            self.hold_customers.insert(row.hold_id, String::from(&*row.customer));
            if !row.is_active {
                continue;
            }
            let customer = (row.product_id, row.customer);
            assert_eq!(self.holds[&row.hold_id].product_id, customer.0, "{customer:?}");
            assert!(self.customers.insert(row.hold_id, customer).is_none(), "duplicate customer");
        }
        // Before the moves: one batch may extend a hold and convert it.
        for (id, end) in changes.extensions {
            let hold = self.holds.get_mut(&id).expect("the hold is there");
            assert_eq!(hold.status, HoldStatus::Active, "guard of hold {id}");
            assert!(
                end > hold.expires_at && now < hold.expires_at,
                "hold {id} was expired or longer"
            );
            hold.expires_at = end;
        }
        for change in changes.quantities {
            let hold = self.holds.get_mut(&change.id).expect("the hold is there");
            let was = (hold.status, hold.quantity);
            assert_eq!(was, (HoldStatus::Active, change.from), "{change:?}");
            assert!(change.to > 0 && now < hold.expires_at, "{change:?} of {hold:?}");
            hold.quantity = change.to;
        }
        for change in changes.hold_moves {
            for id in change.ids {
                let hold = self.holds.get_mut(&id).expect("the hold is there");
                assert_eq!(hold.status, change.from, "guard of hold {id}");
                assert_eq!(change.from, HoldStatus::Active, "hold {id} was final");
                assert_ne!(change.to, HoldStatus::Active);
                hold.status = change.to;
                self.customers.remove(&id);
            }
        }
        for row in changes.new_orders {
            let order = &row.order;
            let used = |other: &OrderRow| {
                let mut holds = other.order.lines.iter().map(|line| line.hold_id);
                holds.any(|id| order.lines.iter().any(|line| line.hold_id == id))
            };
            assert!(!self.orders.values().any(used), "a hold used twice: {row:?}");
            let named = |other: &OrderRow| {
                order.reference.is_some() && other.order.reference == order.reference
            };
            assert!(!self.orders.values().any(named), "a reference used twice: {row:?}");
            assert_eq!((order.created_at, order.updated_at, row.version), (now, now, 1));
            assert!(self.orders.insert(order.id, row).is_none(), "duplicate order id");
        }
        for (name, id) in changes.payment_references {
            assert!(self.orders.contains_key(&id), "a name of no order");
            assert!(self.payment_names.insert(name, id).is_none(), "duplicate name");
        }
        for change in changes.order_moves {
            assert!(may_move(change.from, change.to), "{:?} to {:?}", change.from, change.to);
            for id in change.ids {
                let row = self.orders.get_mut(&id).expect("the order is there");
                row.version += 1;
                let order = &mut row.order;
                assert_eq!((order.status, order.payment_disposition), change.from, "order {id}");
                (order.status, order.payment_disposition) = change.to;
                order.updated_at = now;
                if is_paid_by(change.from.0, change.to.0) {
                    row.paid_at = Some(now);
                }
            }
        }
        for OrderChange { version_before, after } in changes.order_changes {
            let row = self.orders.get_mut(&after.order.id).expect("the order is there");
            assert_eq!((row.version, row.version + 1), (version_before, after.version));
            assert_eq!(after.order.updated_at, now);
            let state = |row: &OrderRow| (row.order.status, row.order.payment_disposition);
            let (from, to) = (state(row), state(&after));
            assert!(from == to || may_move(from, to), "{from:?} to {to:?}");
            assert_eq!(frozen(row), frozen(&after), "columns that no change writes");
            let is_set = |row: &OrderRow| [row.is_closed, row.has_failed_attempt];
            assert!(is_set(row) <= is_set(&after), "{after:?}");
            *row = after;
        }
        for row in changes.customer_orders {
            let of = (row.order_id, row.product_id);
            let known = self.customer_orders.get(&of).map(|(customer, _)| customer.clone());
            assert_eq!(known.is_none(), row.customer.is_some(), "{row:?}");
            let customer = row.customer.or(known).expect("a customer");
            self.customer_orders.insert(of, (customer, row.counted));
        }
        for (id, disposition) in changes.dispositions {
            self.dispositions.insert(id, disposition);
        }
        for row in self.orders.values() {
            let kept = self.dispositions.get(&row.order.id).copied();
            let kept = kept.unwrap_or(PaymentDisposition::None);
            assert_eq!(kept, row.order.payment_disposition, "{row:?}");
        }
        for row in changes.new_payments {
            assert!(
                self.payments.iter().all(|other| other.key != row.key),
                "duplicate payment key"
            );
            self.payments.push(row);
        }
        for (order_id, key) in changes.settled_payments {
            let waits = |row: &&mut PaymentRow| row.key == key && row.waiting;
            let row = self.payments.iter_mut().find(waits).expect("the event is waiting");
            assert_eq!(row.order_id, order_id);
            assert!(self.orders.contains_key(&order_id), "settled without its order");
            row.waiting = false;
        }
        for row in changes.new_keys {
            assert!(self.keys.insert(row.key.clone(), row).is_none(), "duplicate key");
        }
        self.outbox.extend(changes.events);
    }
}

/// What is the same of an order for ever.
fn frozen(row: &OrderRow) -> Order {
    let mut order = row.order.clone();
    (order.status, order.payment_disposition) =
        (OrderStatus::PendingPayment, PaymentDisposition::None);
    (order.pay_until, order.updated_at) = (None, order.created_at);
    order.refunded_amount = Money::ZERO;
    for line in order.lines.iter_mut() {
        assert!(line.returned <= line.refunded && line.refunded <= line.quantity, "{line:?}");
        (line.refunded, line.returned) = (0, 0);
    }
    order
}

type State = (OrderStatus, PaymentDisposition);

/// Returns whether an order may make this transition, in some steps.
fn may_move(from: State, to: State) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(state) = reached.get(at).copied() {
        for status in OrderStatus::ALL {
            for disposition in PaymentDisposition::ALL {
                let next = (*status, *disposition);
                if is_step(state, next) && !reached.contains(&next) {
                    reached.push(next);
                }
            }
        }
        at += 1;
    }
    from != to && reached.contains(&to)
}

fn is_step(from: State, to: State) -> bool {
    use OrderStatus::{Cancelled, Paid, PartiallyRefunded, PendingPayment, Refunded};
    use PaymentDisposition::{AmountMismatch, NeedsRefund, None, ReReserved};
    match (from, to) {
        ((PendingPayment, None | AmountMismatch), (PendingPayment, AmountMismatch))
        | ((PendingPayment, None | AmountMismatch), (Paid, None))
        | ((PendingPayment, None), (Cancelled, None))
        | ((PendingPayment, AmountMismatch), (Cancelled, NeedsRefund))
        | ((Cancelled, None), (Paid, ReReserved) | (Cancelled, NeedsRefund))
        // Money of a second payment came after that of the first was given back.
        | ((Cancelled, PaymentDisposition::Refunded), (Cancelled, NeedsRefund))
        | ((Cancelled, NeedsRefund), (Cancelled, PaymentDisposition::Refunded)) => true,
        // A second payment of a paid order, and what settles it.
        ((Paid | PartiallyRefunded | Refunded, before), (_, after)) if from.0 == to.0 => {
            after == NeedsRefund || (before, after) == (NeedsRefund, PaymentDisposition::Refunded)
        }
        ((Paid | PartiallyRefunded, before), (PartiallyRefunded | Refunded, after)) => {
            before == after
        }
        _ => false,
    }
}
