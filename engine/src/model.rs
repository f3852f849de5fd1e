//! The domain model: products, holds, orders, payment events, and their value
//! types.
//!
//! Durations in requests are [`std::time::Duration`]; times in responses are UTC
//! [`Timestamp`]s of the store's clock.

mod ids;
mod money;
mod named_enum;
mod requests;
mod time;

use serde::{Deserialize, Serialize};

pub use ids::{
    HoldId, OrderId, PaymentToken, ProductId, Token, parse_bool, parse_duration, parse_quantity,
};
pub(crate) use ids::{TokenDeriver, TokenSeed};
pub use money::Money;
pub(crate) use named_enum::{Coded, named_enum};
pub use requests::{
    CartRequest, ExtendRequest, HoldQuery, HoldRequest, NewProduct, OrderRequest, Outcome,
    PaymentEvent, ReleaseRequest, StockAdjustment,
};
pub use time::Timestamp;

/// Why a value cannot be parsed; converts into an `invalid_argument`
/// [`Error`](crate::Error).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidArgument(String);

impl InvalidArgument {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// One line of a request for which there is not enough stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShortLine {
    /// The product.
    pub product_id: ProductId,
    /// Units requested, summed over the lines of one product.
    pub requested: u64,
    /// Units available.
    pub available: u64,
}

/// A product and its units by state.
///
/// `received = stock + held + pending + sold` holds after every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Product {
    /// The product's id.
    pub id: ProductId,
    /// The name.
    pub name: String,
    /// The price of one unit.
    pub price: Money,
    /// Units available to hold.
    pub stock: u64,
    /// Units in active holds.
    pub held: u64,
    /// Units in unpaid orders.
    pub pending: u64,
    /// Units in paid orders.
    pub sold: u64,
    /// Raised by one by each commit that changes the product's units.
    pub version: u64,
}

impl Product {
    /// All units ever received, less those written off.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.stock + self.held + self.pending + self.sold
    }
}

/// One page of products, by ascending id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProductPage {
    /// The products of this page.
    pub items: Vec<Product>,
    /// The `after` of the next page; `None` on the last one.
    pub next: Option<ProductId>,
}

named_enum!(
    /// The status of a hold. All but [`HoldStatus::Active`] are final.
    HoldStatus {
        /// It reserves stock until it is ordered, released or expires.
        Active = "active",
        /// It became an order.
        Converted = "converted",
        /// A caller released it.
        Released = "released",
        /// Its TTL ended.
        Expired = "expired",
    }
);

/// A short-lived reservation of units for one buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// The hold's id.
    pub id: HoldId,
    /// The held product.
    pub product_id: ProductId,
    /// Units held.
    pub quantity: u32,
    /// The status.
    pub status: HoldStatus,
    /// The hold has expired once `now >= expires_at`.
    pub expires_at: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// A secret that authorizes the use of the hold. Requests may show it, and must
    /// under the `require_hold_token` setting.
    pub token: Token,
    /// The order that a converted hold became; set only when the hold was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

impl HoldStatus {
    /// Returns the status at `now` of a hold that is stored with this one: it ends at
    /// `expires_at`, whether or not the sweeper has seen it.
    pub(crate) fn at(self, now: Timestamp, expires_at: Timestamp) -> Self {
        if self == Self::Active && expires_at <= now { Self::Expired } else { self }
    }
}

impl Hold {
    /// Sets the status that the hold has at `now`.
    pub(crate) fn end_if_due(&mut self, now: Timestamp) {
        self.status = self.status.at(now, self.expires_at);
    }
}

/// One page of holds, by ascending id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldPage {
    /// The holds of this page. A page may have fewer than the limit, or none, and
    /// not be the last: a read looks at a bounded number of rows.
    pub items: Vec<Hold>,
    /// The `after` of the next page; `None` on the last one.
    pub next: Option<HoldId>,
}

named_enum!(
    /// The status of an order.
    OrderStatus {
        /// No payment event has arrived yet.
        PendingPayment = "pending_payment",
        /// The payment succeeded and the units are sold.
        Paid = "paid",
        /// The payment failed or did not arrive in time; the units were returned.
        Cancelled = "cancelled",
    }
);

named_enum!(
    /// What happened to a payment that arrived after its order was cancelled.
    PaymentDisposition {
        /// There was no such payment.
        None = "none",
        /// The units were available and reserved again; the order is paid.
        ReReserved = "re_reserved",
        /// The units were not available, or the `late_payment` setting is `refund`: the
        /// payment must be refunded.
        NeedsRefund = "needs_refund",
    }
);

/// A hold that became an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// The hold that it was created from.
    pub hold_id: HoldId,
    /// The ordered product.
    pub product_id: ProductId,
    /// Units ordered.
    pub quantity: u32,
    /// The status.
    pub status: OrderStatus,
    /// The token by which a payment provider refers to this order.
    pub payment_token: PaymentToken,
    /// What happened to a late payment.
    pub payment_disposition: PaymentDisposition,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

named_enum!(
    /// What happened to a payment event.
    PaymentStatus {
        /// The event was recorded and left its order's status as it was.
        Recorded = "recorded",
        /// The order does not exist yet: the event waits for it.
        Waiting = "waiting",
        /// The event was recorded and changed its order's status.
        Applied = "applied",
    }
);

/// The answer to a payment event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentReceipt {
    /// What happened to the event.
    pub status: PaymentStatus,
}

/// A result, and whether it is replayed from an earlier call with the same
/// idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Replayable<T> {
    /// The result.
    pub value: T,
    /// Whether the result was replayed rather than computed.
    pub replayed: bool,
}

impl<T> Replayable<T> {
    /// The result alone.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

named_enum!(
    /// The kind of an [`Event`].
    EventKind {
        /// A hold reserved stock.
        HoldCreated = "hold.created",
        /// A caller released a hold.
        HoldReleased = "hold.released",
        /// A hold expired and its stock was returned.
        HoldExpired = "hold.expired",
        /// A hold's expiry was extended.
        HoldExtended = "hold.extended",
        /// A hold became an order.
        OrderCreated = "order.created",
        /// An order was paid.
        OrderPaid = "order.paid",
        /// An order was cancelled and its stock was returned.
        OrderCancelled = "order.cancelled",
        /// A payment event contradicts a final status; an operator should check it.
        PaymentConflict = "payment.conflict",
        /// A late payment must be refunded.
        PaymentNeedsRefund = "payment.needs_refund",
        /// An operator received or wrote off goods.
        StockAdjusted = "stock.adjusted",
    }
);

/// A state transition, read from the transactional outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The position in the stream, ascending; the `after` of the next read.
    pub cursor: u64,
    /// The kind.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The product.
    pub product_id: ProductId,
    /// The hold, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// The order, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Units moved; negative if an operator wrote them off.
    pub quantity: i64,
    /// The product's version after the transition's commit.
    pub version: u64,
    /// The time of the transition.
    pub at: Timestamp,
}
