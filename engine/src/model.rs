//! The things Stockade keeps: products, holds, orders, payment events, and the
//! small types they are made of.
//!
//! Every duration a caller gives is a [`std::time::Duration`]; every moment an
//! answer carries is a UTC [`Timestamp`] of the store's clock.

mod ids;
mod money;
mod requests;
mod time;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use ids::{
    HoldId, OrderId, PaymentToken, ProductId, Token, parse_bool, parse_duration, parse_quantity,
};
pub use money::Money;
pub use requests::{
    CartRequest, ExtendRequest, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent,
    ReleaseRequest, StockAdjustment,
};
pub use time::Timestamp;

/// Why a text or a number is no such thing; as an
/// [`Error`](crate::Error) it is `invalid_argument`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidArgument(String);

impl InvalidArgument {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for InvalidArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidArgument {}

/// One line of a request for which there is not enough stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShortLine {
    /// The product.
    pub product_id: ProductId,
    /// Units asked for, summed over the request.
    pub requested: u64,
    /// Units that could have been held.
    pub available: u64,
}

/// A product and where its units are.
///
/// `received = stock + held + pending + sold` holds after every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Product {
    /// The product's id.
    pub id: ProductId,
    /// What the shop calls it.
    pub name: String,
    /// The price of one unit.
    pub price: Money,
    /// Units that can still be held.
    pub stock: u64,
    /// Units in active holds.
    pub held: u64,
    /// Units in orders that wait for their payment.
    pub pending: u64,
    /// Units in paid orders.
    pub sold: u64,
    /// Raised by one at each committed change of the product's stock.
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
    /// Pass it as `after` to read on; `None` on the last page.
    pub next: Option<ProductId>,
}

/// Where a hold stands. All but [`HoldStatus::Active`] are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// It keeps stock until it is ordered, released or expires.
    Active,
    /// An order took it over.
    Converted,
    /// Its caller gave it back.
    Released,
    /// Its time ran out.
    Expired,
}

impl HoldStatus {
    /// The status as it is written in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Converted => "converted",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Stock kept for one buyer for a short time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// The hold's id.
    pub id: HoldId,
    /// The product it keeps.
    pub product_id: ProductId,
    /// Units kept.
    pub qty: u32,
    /// Where it stands.
    pub status: HoldStatus,
    /// It is dead from this moment on: `now >= expires_at`.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// An unguessable word that shows whose hold it is: what is asked of the
    /// hold may show it, and must under the `require_hold_token` setting.
    pub token: Token,
    /// The order that a converted hold became, where the hold was read by its
    /// id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// The payment provider has not spoken yet.
    PendingPayment,
    /// The payment was made and the units are sold.
    Paid,
    /// The payment failed or was never made; the units went back.
    Cancelled,
}

impl OrderStatus {
    /// The status as it is written in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of money that arrived after its order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentDisposition {
    /// No such money arrived.
    None,
    /// The units were still there: taken again, and the order is paid.
    ReReserved,
    /// The units were gone, or the shop's setting says so: give the money back.
    NeedsRefund,
}

impl PaymentDisposition {
    /// The disposition as it is written in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReReserved => "re_reserved",
            Self::NeedsRefund => "needs_refund",
        }
    }
}

/// A hold that became an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// The hold it was made from.
    pub hold_id: HoldId,
    /// The product ordered.
    pub product_id: ProductId,
    /// Units ordered.
    pub qty: u32,
    /// Where it stands.
    pub status: OrderStatus,
    /// What the payment provider sends back to name this order.
    pub payment_token: PaymentToken,
    /// What became of late money.
    pub payment_disposition: PaymentDisposition,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How a payment event was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentAnswer {
    /// The event was recorded and its order knows of it.
    Recorded,
    /// The order is not there yet: the event waits for it.
    Waiting,
}

/// A success and whether it repeats the answer of an earlier call with the
/// same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayable<T> {
    /// The answer.
    pub value: T,
    /// Whether the answer was remembered rather than made.
    pub replayed: bool,
}

impl<T> std::ops::Deref for Replayable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What kind of transition an [`Event`] tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A hold took stock.
    #[serde(rename = "hold.created")]
    HoldCreated,
    /// A hold was given back by its caller.
    #[serde(rename = "hold.released")]
    HoldReleased,
    /// A hold ran out and its stock went back.
    #[serde(rename = "hold.expired")]
    HoldExpired,
    /// A hold lives longer.
    #[serde(rename = "hold.extended")]
    HoldExtended,
    /// A hold became an order.
    #[serde(rename = "order.created")]
    OrderCreated,
    /// An order was paid.
    #[serde(rename = "order.paid")]
    OrderPaid,
    /// An order was cancelled and its stock went back.
    #[serde(rename = "order.cancelled")]
    OrderCancelled,
    /// The provider's word contradicts what was final; a person should look.
    #[serde(rename = "payment.conflict")]
    PaymentConflict,
    /// Money came for units that are gone.
    #[serde(rename = "payment.needs_refund")]
    PaymentNeedsRefund,
    /// An operator received or wrote off goods.
    #[serde(rename = "stock.adjusted")]
    StockAdjusted,
}

impl EventKind {
    /// Every kind; the position of a kind is the number it is stored by, so
    /// new kinds go last.
    pub const ALL: [Self; 10] = [
        Self::HoldCreated,
        Self::HoldReleased,
        Self::HoldExpired,
        Self::HoldExtended,
        Self::OrderCreated,
        Self::OrderPaid,
        Self::OrderCancelled,
        Self::PaymentConflict,
        Self::PaymentNeedsRefund,
        Self::StockAdjusted,
    ];

    /// The kind as it is written in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HoldCreated => "hold.created",
            Self::HoldReleased => "hold.released",
            Self::HoldExpired => "hold.expired",
            Self::HoldExtended => "hold.extended",
            Self::OrderCreated => "order.created",
            Self::OrderPaid => "order.paid",
            Self::OrderCancelled => "order.cancelled",
            Self::PaymentConflict => "payment.conflict",
            Self::PaymentNeedsRefund => "payment.needs_refund",
            Self::StockAdjusted => "stock.adjusted",
        }
    }
}

/// One transition, as a reader of the outbox sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Grows from event to event; pass it as `after` to read on.
    pub cursor: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The product it happened to.
    pub product_id: ProductId,
    /// The hold concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// The order concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Units concerned; negative where an operator wrote goods off.
    pub qty: i64,
    /// The product's version after the commit that made the transition.
    pub version: u64,
    /// When it happened.
    pub at: Timestamp,
}
