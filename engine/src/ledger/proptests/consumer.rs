//! A consumer of the outbox: it starts from the initial stock, sees nothing but
//! the events, and must arrive at the state of the store.

use std::collections::BTreeMap;

use crate::ledger::LedgerEvent;
use crate::model::{
    EventKind, HoldId, HoldStatus, OrderId, OrderStatus, PaymentDisposition, ProductId,
};

use super::store::Store;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Units {
    stock: i128,
    held: i128,
    pending: i128,
    sold: i128,
    returned: i128,
}

/// A line of an order, as far as events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    product: ProductId,
    status: OrderStatus,
    units: i128,
    refunded: i128,
    returned: i128,
}

/// What events tell of an order's money; those of the first line's product do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MoneyState {
    disposition: PaymentDisposition,
    is_refunded: bool,
}

#[derive(Default)]
pub(super) struct OutboxConsumer {
    units: BTreeMap<ProductId, Units>,
    versions: BTreeMap<ProductId, u64>,
    holds: BTreeMap<HoldId, (HoldStatus, ProductId, i64)>,
    lines: BTreeMap<(OrderId, HoldId), Line>,
    money: BTreeMap<(OrderId, ProductId), MoneyState>,
}

impl OutboxConsumer {
    pub fn new(stocks: &BTreeMap<ProductId, u64>) -> Self {
        let units = |stock: u64| Units { stock: stock.into(), ..Units::default() };
        let units = stocks.iter().map(|(id, stock)| (*id, units(*stock))).collect();
        Self { units, ..Self::default() }
    }

    /// Applies one event, which must be consistent with those before it. Returns
    /// whether it is of something that happened when it was due, and may come later.
    pub fn apply(&mut self, event: &LedgerEvent) -> bool {
        let version = self.versions.entry(event.product_id).or_default();
        assert!(event.version >= *version, "versions decrease: {event:?}");
        *version = event.version;
        match event.kind {
            EventKind::HoldCreated
            | EventKind::HoldReleased
            | EventKind::HoldExpired
            | EventKind::HoldExtended => {
                self.apply_to_hold(event);
                event.kind == EventKind::HoldExpired
            }
            EventKind::HoldChanged => {
                self.apply_change(event);
                false
            }
            EventKind::ProductCreated => {
                assert_eq!(event.version, 1, "{event:?}");
                assert!(self.units.insert(event.product_id, Units::default()).is_none());
                false
            }
            EventKind::ProductChanged | EventKind::ProductArchived => {
                assert_eq!(event.quantity, 0, "{event:?}");
                assert!(self.units.contains_key(&event.product_id), "{event:?}");
                false
            }
            EventKind::StockAdjusted => {
                assert_eq!((event.hold_id, event.order_id), (None, None), "{event:?}");
                assert_ne!(event.quantity, 0);
                self.units(event).stock += i128::from(event.quantity);
                false
            }
            EventKind::OrderCreated
            | EventKind::OrderPaid
            | EventKind::OrderCancelled
            | EventKind::OrderRefunded
            | EventKind::OrderRestocked
                if event.quantity != 0 =>
            {
                self.apply_to_line(event);
                event.kind == EventKind::OrderCancelled
            }
            _ => self.apply_to_money(event),
        }
    }

    fn apply_to_hold(&mut self, event: &LedgerEvent) {
        assert_eq!(event.order_id, None, "{event:?}");
        let id = event.hold_id.expect("an event of a hold names it");
        let quantity = i128::from(event.quantity);
        let status = match event.kind {
            EventKind::HoldCreated => HoldStatus::Active,
            EventKind::HoldReleased => HoldStatus::Released,
            EventKind::HoldExpired => HoldStatus::Expired,
            _ => {
                self.expect_active(event, id);
                return;
            }
        };
        if status == HoldStatus::Active {
            let row = (status, event.product_id, event.quantity);
            assert!(self.holds.insert(id, row).is_none(), "created twice: {event:?}");
        } else {
            self.expect_active(event, id);
            self.holds.insert(id, (status, event.product_id, event.quantity));
        }
        let units = self.units(event);
        let back = if status == HoldStatus::Active { -quantity } else { quantity };
        units.stock += back;
        units.held -= back;
    }

    fn apply_change(&mut self, event: &LedgerEvent) {
        let id = event.hold_id.expect("an event of a hold names it");
        assert_ne!(event.quantity, 0, "{event:?}");
        let (status, product_id, quantity) = self.holds.get_mut(&id).expect("the hold is there");
        assert_eq!((*status, *product_id), (HoldStatus::Active, event.product_id), "{event:?}");
        *quantity += event.quantity;
        assert!(*quantity > 0, "{event:?}");
        let units = self.units(event);
        units.stock -= i128::from(event.quantity);
        units.held += i128::from(event.quantity);
    }

    fn expect_active(&self, event: &LedgerEvent, id: HoldId) {
        let before = (HoldStatus::Active, event.product_id, event.quantity);
        assert_eq!(self.holds.get(&id), Some(&before), "{event:?}");
    }

    /// Applies an event that moves units of one line.
    fn apply_to_line(&mut self, event: &LedgerEvent) {
        use OrderStatus::{Cancelled, Paid, PendingPayment};
        use PaymentDisposition::{None, ReReserved};
        let (id, hold_id) = names(event);
        let quantity = i128::from(event.quantity);
        let before = self.lines.get(&(id, hold_id)).copied();
        let money = self.money.get(&(id, event.product_id)).copied();
        let disposition = money.map_or(None, |money| money.disposition);
        let mut line = before.unwrap_or(Line {
            product: event.product_id,
            status: PendingPayment,
            units: quantity,
            refunded: 0,
            returned: 0,
        });
        let units = self.units(event);
        match (event.kind, before.map(|line| line.status)) {
            (EventKind::OrderCreated, Option::None) => {
                units.held -= quantity;
                units.pending += quantity;
                self.expect_active(event, hold_id);
                self.holds
                    .insert(hold_id, (HoldStatus::Converted, event.product_id, event.quantity));
                self.set_money(event, None);
            }
            (EventKind::OrderPaid, Some(PendingPayment)) => {
                units.pending -= quantity;
                units.sold += quantity;
                line.status = Paid;
                self.set_money(event, None);
            }
            (EventKind::OrderPaid, Some(Cancelled)) => {
                units.stock -= quantity;
                units.sold += quantity;
                line.status = Paid;
                self.set_money(event, ReReserved);
            }
            (EventKind::OrderCancelled, Some(PendingPayment)) => {
                units.pending -= quantity;
                units.stock += quantity;
                line.status = Cancelled;
                self.set_money(event, disposition);
            }
            (EventKind::OrderRefunded, Some(Paid)) => {
                units.sold -= quantity;
                units.returned += quantity;
                line.refunded += quantity;
                line.returned += quantity;
                self.note_refund(event);
            }
            (EventKind::OrderRestocked, Some(Paid)) => {
                units.returned -= quantity;
                units.stock += quantity;
                line.returned -= quantity;
            }
            (_, before) => unreachable!("{event:?} after {before:?}"),
        }
        assert_eq!((line.product, self.holds[&hold_id].1), (event.product_id, event.product_id));
        let moves_all = !matches!(event.kind, EventKind::OrderRefunded | EventKind::OrderRestocked);
        assert!(!moves_all || line.units == quantity, "{event:?} of {line:?}");
        assert!((0..=line.units).contains(&line.refunded), "{event:?} of {line:?}");
        assert!((0..=line.refunded).contains(&line.returned), "{event:?} of {line:?}");
        self.lines.insert((id, hold_id), line);
    }

    /// Applies an event that moves no unit. Returns whether it belongs to a
    /// cancellation.
    fn apply_to_money(&mut self, event: &LedgerEvent) -> bool {
        use OrderStatus::{Cancelled, Paid, PendingPayment};
        use PaymentDisposition::{AmountMismatch, NeedsRefund, None};
        let (id, hold_id) = names(event);
        // One of a payment tells the units of the order, whose other lines may follow.
        let line = self.lines[&(id, hold_id)].units;
        let is_right = match event.kind {
            EventKind::OrderRefunded | EventKind::OrderExtended => event.quantity == 0,
            _ => i128::from(event.quantity) >= line,
        };
        assert!(is_right, "{event:?} of an order with a line of {line}");
        let status = self.lines[&(id, hold_id)].status;
        let before = self.money[&(id, event.product_id)].disposition;
        let after = match (event.kind, status, before) {
            (EventKind::PaymentAmountMismatch, PendingPayment, _) => AmountMismatch,
            (EventKind::PaymentNeedsRefund, Cancelled, None | AmountMismatch)
            | (EventKind::PaymentDuplicate, Paid, _)
            | (
                EventKind::PaymentDuplicate,
                Cancelled,
                NeedsRefund | PaymentDisposition::Refunded,
            ) => NeedsRefund,
            (EventKind::OrderRefunded, Cancelled, NeedsRefund) => PaymentDisposition::Refunded,
            // Money of a second payment, or of the first.
            (EventKind::OrderRefunded, Paid, before) => {
                self.note_refund(event);
                before
            }
            (EventKind::PaymentConflict | EventKind::PaymentDisputed, _, before) => before,
            (
                EventKind::OrderExtended | EventKind::PaymentAttemptFailed,
                PendingPayment,
                before,
            ) => before,
            other => unreachable!("{event:?} after {other:?}"),
        };
        self.set_money(event, after);
        event.kind == EventKind::PaymentNeedsRefund && before == AmountMismatch
    }

    fn set_money(&mut self, event: &LedgerEvent, disposition: PaymentDisposition) {
        let order = (names(event).0, event.product_id);
        let money = MoneyState { disposition, is_refunded: false };
        self.money.entry(order).or_insert(money).disposition = disposition;
    }

    fn note_refund(&mut self, event: &LedgerEvent) {
        let order = (names(event).0, event.product_id);
        if let Some(money) = self.money.get_mut(&order) {
            money.is_refunded = true;
        }
    }

    fn units(&mut self, event: &LedgerEvent) -> &mut Units {
        self.units.get_mut(&event.product_id).expect("an event of a product there is")
    }

    /// Asserts that units and statuses equal those of the store.
    pub fn assert_matches(&self, store: &Store) {
        for (id, row) in &store.products {
            let row = &row.product;
            let units = Units {
                stock: row.in_stock.into(),
                held: row.held.into(),
                pending: row.pending.into(),
                sold: row.sold.into(),
                returned: row.returned.into(),
            };
            assert_eq!(self.units[id], units, "product {id} according to the events");
        }
        let consumed = self.holds.iter().map(|(id, (status, _, _))| (*id, *status));
        assert!(
            consumed.eq(store.holds.values().map(|hold| (hold.id, hold.status))),
            "holds according to the events"
        );
        let rows = || store.orders.values().map(|row| &row.order);
        assert_eq!(self.lines.len(), rows().map(|order| order.lines.count()).sum::<usize>());
        for order in rows() {
            let status = if order.status.was_paid() { OrderStatus::Paid } else { order.status };
            for line in order.lines.iter() {
                let stored = Line {
                    product: line.product_id,
                    status,
                    units: line.quantity.into(),
                    refunded: line.refunded.into(),
                    returned: line.returned.into(),
                };
                let told = self.lines[&(order.id, line.hold_id)];
                assert_eq!(told, stored, "{order:?} according to the events");
            }
            let money = self.money[&(order.id, order.lines.first().product_id)];
            let disposition = match order.payment_disposition {
                // Its event tells no more than that of a refund.
                PaymentDisposition::Refunded if status == OrderStatus::Paid => {
                    assert!(money.is_refunded, "{order:?}");
                    PaymentDisposition::NeedsRefund
                }
                other => other,
            };
            assert_eq!(money.disposition, disposition, "{order:?} according to the events");
        }
    }

    /// Consumes the whole outbox again, one product at a time.
    pub fn replay(stocks: &BTreeMap<ProductId, u64>, store: &Store) {
        let mut consumer = Self::new(stocks);
        for id in store.products.keys() {
            let of_one = store.outbox.iter().filter(|event| event.product_id == *id);
            of_one.for_each(|event| {
                consumer.apply(event);
            });
        }
        consumer.assert_matches(store);
    }
}

/// The order and the hold that an event is about.
fn names(event: &LedgerEvent) -> (OrderId, HoldId) {
    let id = event.order_id.expect("an event of an order names it");
    (id, event.hold_id.expect("and its hold"))
}
