//! Holds the model's state of one product.

use std::collections::BTreeMap;

use stockade::{HoldStatus, OrderStatus, PaymentDisposition};

use crate::histories::record::{Answer, Units};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldState {
    pub(super) quantity: u32,
    /// The customer, if the request names one.
    pub(super) customer: Option<u8>,
    pub(super) status: HoldStatus,
    pub(super) expires_at: i64,
    pub(super) latest_end: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OrderState {
    pub(super) hold: u64,
    pub(super) quantity: u32,
    pub(super) status: OrderStatus,
    pub(super) disposition: PaymentDisposition,
    pub(super) due_at: i64,
}

/// A payment event that arrived between `from` and `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PaymentNotice {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) success: bool,
}

/// A product's state. Holds and orders due by `now` count as expired, but keep
/// their status in `holds` and `orders`, and their units are not in `stock` yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    pub(super) now: i64,
    pub(super) stock: i64,
    pub(super) sold: u64,
    pub(super) holds: BTreeMap<u64, HoldState>,
    pub(super) orders: BTreeMap<u64, OrderState>,
    /// Each idempotency key's request and response.
    pub(super) keys: BTreeMap<String, (String, Answer)>,
    /// Payments that wait for orders which do not exist yet.
    pub(super) waiting: BTreeMap<u64, Vec<PaymentNotice>>,
}

/// A due time that never comes: of operations in doubt.
pub(super) const NEVER: i64 = i64::MAX;

impl State {
    /// A new product.
    pub fn with_stock(stock: u64) -> Self {
        Self { stock: i64::try_from(stock).unwrap_or(i64::MAX), ..Self::default() }
    }

    /// Returns the product's units at this time.
    pub fn units(&self, time: i64) -> Units {
        let mut units = Units {
            stock: u64::try_from(self.available(time)).unwrap_or(0),
            held: 0,
            pending: 0,
            sold: self.sold,
        };
        let active = self.holds.values().filter(|hold| hold.is_active(time));
        units.held = active.map(|hold| u64::from(hold.quantity)).sum();
        let pending = self.orders.values().filter(|order| order.is_pending(time));
        units.pending = pending.map(|order| u64::from(order.quantity)).sum();
        units
    }

    /// The time of the last operation.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Units available at this time, expired ones included.
    pub(super) fn available(&self, time: i64) -> i64 {
        let holds = self.holds.values().filter(|hold| hold.is_expired(time));
        let orders = self.orders.values().filter(|order| order.is_expired(time));
        let due = holds.map(|hold| hold.quantity).chain(orders.map(|order| order.quantity));
        self.stock + due.map(i64::from).sum::<i64>()
    }

    /// Units in a customer's active holds at this time.
    pub(super) fn held_by(&self, customer: u8, time: i64) -> u64 {
        let holds = self.holds.values().filter(|hold| hold.customer == Some(customer));
        holds.filter(|hold| hold.is_active(time)).map(|hold| u64::from(hold.quantity)).sum()
    }

    /// Returns the due times in (`after`, `until`].
    pub(super) fn due_between(&self, after: i64, until: i64) -> Vec<i64> {
        let holds = self.holds.values().filter(|hold| hold.status == HoldStatus::Active);
        let pending = OrderStatus::PendingPayment;
        let orders = self.orders.values().filter(|order| order.status == pending);
        let ends = holds.map(|hold| hold.expires_at).chain(orders.map(|order| order.due_at));
        let mut ends: Vec<i64> = ends.filter(|end| *end > after && *end <= until).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

impl HoldState {
    pub(super) fn is_active(&self, time: i64) -> bool {
        self.status == HoldStatus::Active && time < self.expires_at
    }

    pub(super) fn is_expired(&self, time: i64) -> bool {
        self.status == HoldStatus::Active && time >= self.expires_at
    }

    pub(super) fn status_at(&self, time: i64) -> HoldStatus {
        if self.is_expired(time) { HoldStatus::Expired } else { self.status }
    }
}

impl OrderState {
    pub(super) fn is_pending(&self, time: i64) -> bool {
        self.status == OrderStatus::PendingPayment && time < self.due_at
    }

    pub(super) fn is_expired(&self, time: i64) -> bool {
        self.status == OrderStatus::PendingPayment && time >= self.due_at
    }

    pub(super) fn status_at(&self, time: i64) -> OrderStatus {
        if self.is_expired(time) { OrderStatus::Cancelled } else { self.status }
    }
}
