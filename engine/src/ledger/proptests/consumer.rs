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
}

#[derive(Default)]
pub(super) struct OutboxConsumer {
    units: BTreeMap<ProductId, Units>,
    versions: BTreeMap<ProductId, u64>,
    holds: BTreeMap<HoldId, (HoldStatus, ProductId, i64)>,
    orders: BTreeMap<OrderId, (OrderStatus, PaymentDisposition, HoldId)>,
}

impl OutboxConsumer {
    pub fn new(stocks: &BTreeMap<ProductId, u64>) -> Self {
        let units = |stock: u64| Units { stock: stock.into(), ..Units::default() };
        let units = stocks.iter().map(|(id, stock)| (*id, units(*stock))).collect();
        Self { units, ..Self::default() }
    }

    /// Applies one event, which must be consistent with those before it.
    pub fn apply(&mut self, event: &LedgerEvent) {
        let version = self.versions.entry(event.product_id).or_default();
        assert!(event.version >= *version, "versions decrease: {event:?}");
        *version = event.version;
        match event.kind {
            EventKind::HoldCreated
            | EventKind::HoldReleased
            | EventKind::HoldExpired
            | EventKind::HoldExtended => self.apply_to_hold(event),
            EventKind::StockAdjusted => {
                assert_eq!((event.hold_id, event.order_id), (None, None), "{event:?}");
                assert_ne!(event.quantity, 0);
                self.units(event).stock += i128::from(event.quantity);
            }
            EventKind::OrderCreated
            | EventKind::OrderPaid
            | EventKind::OrderCancelled
            | EventKind::PaymentConflict
            | EventKind::PaymentNeedsRefund => self.apply_to_order(event),
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

    fn expect_active(&self, event: &LedgerEvent, id: HoldId) {
        let before = (HoldStatus::Active, event.product_id, event.quantity);
        assert_eq!(self.holds.get(&id), Some(&before), "{event:?}");
    }

    fn apply_to_order(&mut self, event: &LedgerEvent) {
        use OrderStatus::{Cancelled, Paid, PendingPayment};
        use PaymentDisposition::{NeedsRefund, None, ReReserved};
        let id = event.order_id.expect("an event of an order names it");
        let hold_id = event.hold_id.expect("and its hold");
        let quantity = i128::from(event.quantity);
        let before = self.orders.get(&id).copied();
        let (status, disposition) = match (event.kind, before.map(|(a, b, _)| (a, b))) {
            (EventKind::OrderCreated, Option::None) => {
                self.expect_active(event, hold_id);
                self.holds
                    .insert(hold_id, (HoldStatus::Converted, event.product_id, event.quantity));
                self.units(event).held -= quantity;
                self.units(event).pending += quantity;
                (PendingPayment, None)
            }
            (EventKind::OrderPaid, Some((PendingPayment, None))) => {
                self.units(event).pending -= quantity;
                self.units(event).sold += quantity;
                (Paid, None)
            }
            (EventKind::OrderPaid, Some((Cancelled, None))) => {
                self.units(event).stock -= quantity;
                self.units(event).sold += quantity;
                (Paid, ReReserved)
            }
            (EventKind::OrderCancelled, Some((PendingPayment, None))) => {
                self.units(event).pending -= quantity;
                self.units(event).stock += quantity;
                (Cancelled, None)
            }
            (EventKind::PaymentNeedsRefund, Some((Cancelled, None))) => (Cancelled, NeedsRefund),
            (EventKind::PaymentConflict, Some(before)) => before,
            (_, before) => unreachable!("{event:?} after {before:?}"),
        };
        assert!(before.is_none_or(|(_, _, used)| used == hold_id), "{event:?} of {before:?}");
        assert_eq!(self.holds[&hold_id].2, event.quantity, "{event:?}");
        self.orders.insert(id, (status, disposition, hold_id));
    }

    fn units(&mut self, event: &LedgerEvent) -> &mut Units {
        self.units.get_mut(&event.product_id).expect("an event of a product there is")
    }

    /// Asserts that units and statuses equal those of the store.
    pub fn assert_matches(&self, store: &Store) {
        for (id, row) in &store.products {
            let row = &row.product;
            let units = Units {
                stock: row.stock.into(),
                held: row.held.into(),
                pending: row.pending.into(),
                sold: row.sold.into(),
            };
            assert_eq!(self.units[id], units, "product {id} according to the events");
        }
        let consumed = self.holds.iter().map(|(id, (status, _, _))| (*id, *status));
        assert!(
            consumed.eq(store.holds.values().map(|hold| (hold.id, hold.status))),
            "holds according to the events"
        );
        let consumed = self.orders.iter().map(|(id, row)| (*id, *row));
        let stored = store.orders.values().map(|row| {
            let order = &row.order;
            (order.id, (order.status, order.payment_disposition, order.hold_id))
        });
        assert!(consumed.eq(stored), "orders according to the events");
    }

    /// Consumes the whole outbox again, one product at a time.
    pub fn replay(stocks: &BTreeMap<ProductId, u64>, store: &Store) {
        let mut consumer = Self::new(stocks);
        for id in stocks.keys() {
            let of_one = store.outbox.iter().filter(|event| event.product_id == *id);
            of_one.for_each(|event| consumer.apply(event));
        }
        consumer.assert_matches(store);
    }
}
