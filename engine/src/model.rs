//! The domain model: products, holds, orders, payment events, and their value
//! types.
//!
//! Durations in requests are [`std::time::Duration`]; times in responses are UTC
//! [`Timestamp`]s of the store's clock.

mod cart;
mod currency;
mod ids;
mod lists;
mod money;
mod named_enum;
mod order;
mod order_requests;
mod product;
mod product_requests;
mod requests;
mod time;

use serde::{Deserialize, Serialize};

pub use cart::{
    Cart, CartLine, CartRequest, ChangeQuantityRequest, ExtendCartRequest, ReleaseCartRequest,
};
pub use currency::Currency;
pub use ids::{
    CartId, HoldId, OrderId, PaymentToken, ProductId, Token, parse_bool, parse_duration,
    parse_quantity,
};
pub(crate) use ids::{EXACT_ID_MAX, TokenDeriver, TokenSeed};
pub use lists::{Erased, HoldQuery, OrderPage, OrderQuery, WaitingPayment, WaitingPaymentPage};
pub use money::Money;
pub(crate) use named_enum::{Coded, named_enum};
pub use order::{Order, OrderLine, OrderLines, OrderStatus, PaymentDisposition};
pub use order_requests::{
    CancelRequest, ExtendOrderRequest, LineUnits, OrderRequest, OrderedHold, PaymentReference,
    RefundRequest, ReportedRefund, RestockRequest,
};
pub use product::{Metadata, OffSale, Product, ProductPage, ProductRef};
pub use product_requests::{
    Change, NewProduct, ProductChange, PutOutcome, PutProduct, StockAdjustment,
};
pub use requests::{ExtendRequest, HoldRequest, Outcome, PaymentEvent, ReleaseRequest};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShortLine {
    /// The product.
    pub product_id: ProductId,
    /// The product's SKU, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Units requested, summed over the lines of one product.
    pub requested: u64,
    /// Units available.
    pub available: u64,
}

/// One hold of a request that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnusableHold {
    /// The hold.
    pub hold_id: HoldId,
    /// The stable code of the reason, as [`ErrorKind::code`](crate::ErrorKind::code)
    /// names it.
    pub code: String,
    /// The order that used the hold up, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
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
    /// The product's SKU, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Units held.
    pub quantity: u32,
    /// The status.
    pub status: HoldStatus,
    /// The hold has expired once `now >= expires_at`.
    pub expires_at: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// A secret that authorizes the use of the hold. Requests may show it, and must
    /// under the `require_hold_token` setting. Only the answer that makes the hold has
    /// it; what reads or changes a hold later returns `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The order that a converted hold became; set only when the hold was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The cart that the hold was created with; `None` for a lone hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<CartId>,
    /// The customer that it was created for, if any; set only when the hold was created
    /// or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// What the shop keeps with it, if anything; set only when the hold was created or
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
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
        /// A pending order may be paid until later.
        OrderExtended = "order.extended",
        /// Money of a paid order was given back; its units, if any, went from sold to
        /// returned.
        OrderRefunded = "order.refunded",
        /// Units of a refunded order went from returned to stock.
        OrderRestocked = "order.restocked",
        /// An attempt to pay a pending order failed; another may follow.
        PaymentAttemptFailed = "payment.attempt_failed",
        /// A payment of another amount or currency than the order's arrived.
        PaymentAmountMismatch = "payment.amount_mismatch",
        /// A second payment of a paid order arrived; it must be refunded.
        PaymentDuplicate = "payment.duplicate",
        /// The quantity of an active hold was changed.
        HoldChanged = "hold.changed",
        /// A product was made.
        ProductCreated = "product.created",
        /// A product was changed, or is sold again after it was archived.
        ProductChanged = "product.changed",
        /// A product was archived: it is no longer sold.
        ProductArchived = "product.archived",
        /// A customer's name was erased.
        CustomerErased = "customer.erased",
        /// The customer disputes a payment; an operator should look after it.
        PaymentDisputed = "payment.disputed",
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
    /// The product; 0 for an event that concerns none, such as `customer.erased`.
    pub product_id: ProductId,
    /// The SKU that the product has when the event is read, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// The hold, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// The order, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The shop's own number of the order, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The customer of the hold or the order, if one was named; after an erasure the
    /// name that replaced theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Who asked for the transition: the name of [`Engine::acting_as`](crate::Engine::acting_as),
    /// over HTTP that of the API key. None for what nobody asked for, such as an expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Units moved; negative if an operator wrote them off, or a hold returned some
    /// and kept the others.
    pub quantity: i64,
    /// The product's version after the transition's commit.
    pub version: u64,
    /// The time of the transition.
    pub at: Timestamp,
    /// The reason that was given for an adjustment of stock, a cancelled order or a
    /// refund; `import` for an adjustment by [`PutProduct`] or [`ProductChange`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The metadata of what the event is about: after one about the product itself the
    /// product's, else the order's or the hold's when the event is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}
