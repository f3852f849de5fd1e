//! Holds the model's state of one product.

use std::collections::BTreeMap;

use stockade::{HoldStatus, OrderStatus, PaymentDisposition};

use crate::histories::record::{Answer, Ordered, Units};

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
    /// Whether the shop has cancelled it.
    pub(super) is_closed: bool,
    pub(super) refunded: u32,
    pub(super) returned: u32,
}

/// A payment event that arrived between `from` and `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PaymentNotice {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) payment: Payment,
}

/// Whether a payment succeeded, and the amount that its event names.
pub(super) type Payment = (bool, Option<i64>);

/// A product's state. Holds and orders due by `now` count as expired, but keep
/// their status in `holds` and `orders`, and their units are not in `stock` yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    pub(super) now: i64,
    pub(super) stock: i64,
    pub(super) sold: u64,
    pub(super) returned: u64,
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
            returned: self.returned,
        };
        let active = self.holds.values().filter(|hold| hold.is_active(time));
        units.held = active.map(|hold| u64::from(hold.quantity)).sum();
        let pending = self.orders.values().filter(|order| order.is_pending(time));
        units.pending = pending.map(|order| u64::from(order.quantity)).sum();
        units
    }

    /// Cancels an order that is due by now.
    pub(super) fn settle(&mut self, id: u64) {
        let now = self.now;
        let Some(order) = self.orders.get_mut(&id).filter(|order| order.is_expired(now)) else {
            return;
        };
        order.cancel();
        self.stock += i64::from(order.quantity);
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

    /// Units in a customer's unpaid and paid orders at this time, less those refunded.
    pub(super) fn ordered_by(&self, customer: u8, time: i64) -> u64 {
        let is_theirs = |order: &&OrderState| {
            self.holds.get(&order.hold).is_some_and(|hold| hold.customer == Some(customer))
        };
        let counts = |order: &&OrderState| order.was_paid() || order.is_pending(time);
        let orders = self.orders.values().filter(is_theirs).filter(counts);
        orders.map(|order| u64::from(order.quantity - order.refunded)).sum()
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

    /// Money of a wrong amount is owed once the order is over.
    pub(super) fn disposition_at(&self, time: i64) -> PaymentDisposition {
        let is_owed = self.disposition == PaymentDisposition::AmountMismatch
            && self.status_at(time) == OrderStatus::Cancelled;
        if is_owed { PaymentDisposition::NeedsRefund } else { self.disposition }
    }

    /// Cancels a pending order.
    pub(super) fn cancel(&mut self) {
        self.status = OrderStatus::Cancelled;
        self.disposition = self.disposition_at(0);
    }

    pub(super) fn was_paid(&self) -> bool {
        self.status.was_paid()
    }

    /// Whether the response shows the order as it is at this time.
    pub(super) fn is_shown(&self, time: i64, shown: &Ordered) -> bool {
        (self.hold, self.quantity) == (shown.hold, shown.quantity)
            && (self.refunded, self.returned) == (shown.refunded, shown.returned)
            && (self.status_at(time), self.disposition_at(time))
                == (shown.status, shown.disposition)
    }
}
