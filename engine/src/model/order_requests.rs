//! Requests about orders.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::requests::{from_reference, setters};
use super::{CartId, Currency, HoldId, Metadata, Money, OrderId, PaymentToken, ProductRef, Token};

/// A hold that is to become a line of an order. A hold id alone converts into one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderedHold {
    /// The hold.
    pub hold_id: HoldId,
    /// The product that the caller expects the hold to be for; default: any.
    #[serde(default)]
    pub product: Option<ProductRef>,
    /// The hold's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    #[serde(default)]
    pub token: Option<Token>,
}

impl OrderedHold {
    /// This hold, of any product.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), product: None, token: None }
    }

    /// Sets the product that the hold must be for.
    #[must_use]
    pub fn product(mut self, product: impl Into<ProductRef>) -> Self {
        self.product = Some(product.into());
        self
    }
}

setters!(OrderedHold: token);

impl From<HoldId> for OrderedHold {
    fn from(hold_id: HoldId) -> Self {
        Self::new(hold_id)
    }
}

/// A request to turn holds into one order, all or none.
///
/// ```
/// use stockade::{OrderRequest, OrderedHold};
/// let one = OrderRequest::new(13, 1).key("order-77");
/// let cart = OrderRequest::of([13, 14, 15].map(OrderedHold::new)).reference("2026-1004");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderRequest {
    /// The holds, each once; they become the lines in this order.
    pub holds: Vec<OrderedHold>,
    /// A cart instead of holds: all of its holds that were not released.
    #[serde(default)]
    pub cart_id: Option<CartId>,
    /// The cart's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    #[serde(default)]
    pub cart_token: Option<Token>,
    /// The amount to pay, with shipping and coupons for example; default: the sum of
    /// the lines.
    #[serde(default)]
    pub amount: Option<Money>,
    /// The currency that the holds' products must have; default: any, the same for all.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The shop's own number of the order, of 1 to 128 characters; no two orders have
    /// the same. Default: none.
    #[serde(default)]
    pub reference: Option<String>,
    /// How long it may stay unpaid, up to the `payment_ttl_max` setting; default: the
    /// `payment_ttl` setting.
    #[serde(default)]
    pub payment_ttl: Option<Duration>,
    /// What the shop keeps with the order; default: nothing.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl OrderRequest {
    /// An order from `hold_id`, which holds `product`.
    pub fn new(hold_id: impl Into<HoldId>, product: impl Into<ProductRef>) -> Self {
        Self::of([OrderedHold::new(hold_id).product(product)])
    }

    /// An order from these holds.
    pub fn of<H: Into<OrderedHold>>(holds: impl IntoIterator<Item = H>) -> Self {
        Self {
            holds: holds.into_iter().map(Into::into).collect(),
            cart_id: None,
            cart_token: None,
            amount: None,
            currency: None,
            reference: None,
            payment_ttl: None,
            metadata: None,
            key: None,
        }
    }

    /// An order from all holds of a cart that were not released.
    pub fn of_cart(cart_id: impl Into<CartId>) -> Self {
        Self { cart_id: Some(cart_id.into()), ..Self::of::<OrderedHold>([]) }
    }

    /// Sets the token of the cart, and of each hold that has none.
    #[must_use]
    pub fn token(mut self, token: impl Into<Option<Token>>) -> Self {
        let token = token.into();
        self.cart_token = self.cart_id.and(token);
        for hold in &mut self.holds {
            hold.token = hold.token.or(token);
        }
        self
    }

    /// Sets the amount to pay.
    #[must_use]
    pub fn amount(mut self, amount: Money) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Sets the currency that the products must have.
    #[must_use]
    pub fn currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// Sets the shop's own number of the order.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Sets how long the order may stay unpaid.
    #[must_use]
    pub fn payment_ttl(mut self, ttl: Duration) -> Self {
        self.payment_ttl = Some(ttl);
        self
    }
}

setters!(OrderRequest: key, metadata);

/// A request to let a pending order be paid until later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtendOrderRequest {
    /// The order.
    pub order_id: OrderId,
    /// The time from now on; default: the `payment_ttl` setting. An extension never
    /// shortens it, nor goes beyond the `payment_ttl_max` setting after the creation.
    pub ttl: Option<Duration>,
}

impl ExtendOrderRequest {
    /// An extension by the default time from now on.
    pub fn new(order_id: impl Into<OrderId>) -> Self {
        Self { order_id: order_id.into(), ttl: None }
    }
}

setters!(ExtendOrderRequest: ttl);

/// A request to cancel a pending order for good: money that comes later must be
/// refunded, whatever the `late_payment` setting says. An order id alone converts into
/// one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CancelRequest {
    /// The order.
    pub order_id: OrderId,
    /// The reason; at most 255 characters. Default: none.
    #[serde(default)]
    pub reason: Option<String>,
}

impl CancelRequest {
    /// A cancellation of this order.
    pub fn new(order_id: impl Into<OrderId>) -> Self {
        Self { order_id: order_id.into(), reason: None }
    }
}

setters!(CancelRequest: reason);

impl From<OrderId> for CancelRequest {
    fn from(order_id: OrderId) -> Self {
        Self::new(order_id)
    }
}

/// Units of one line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineUnits {
    /// The line's number, from 1.
    pub line: u32,
    /// Units, at least 1.
    pub quantity: u32,
}

impl LineUnits {
    /// So many units of this line.
    #[must_use]
    pub fn new(line: u32, quantity: u32) -> Self {
        Self { line, quantity }
    }
}

/// A request to give back money of a paid order, units of it, or both.
///
/// With neither [`lines`](Self::lines) nor [`amount`](Self::amount): all that is left
/// of both. With lines alone: these units and their price. With an amount alone: no
/// unit.
///
/// ```
/// use stockade::{LineUnits, RefundRequest};
/// let whole = RefundRequest::new(19).restock();
/// let part = RefundRequest::new(19).lines([LineUnits::new(1, 2)]).reason("torn").key("refund-4");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefundRequest {
    /// The order.
    pub order_id: OrderId,
    /// The units to give back, each line once.
    #[serde(default)]
    pub lines: Vec<LineUnits>,
    /// The money to give back.
    #[serde(default)]
    pub amount: Option<Money>,
    /// Whether the units are for sale again; otherwise they count as returned, which
    /// [`RestockRequest`] can change.
    #[serde(default)]
    pub restock: bool,
    /// Settles money that must be refunded (`needs_refund`), and nothing else.
    #[serde(default)]
    pub owed: bool,
    /// The order's payment token, if a payment provider's event shows it; a wrong one is
    /// refused. Default: none.
    #[serde(default)]
    pub payment_token: Option<PaymentToken>,
    /// What a payment provider reports of it; see [`RefundRequest::reported`].
    #[serde(default)]
    pub reported: Option<ReportedRefund>,
    /// The reason; at most 255 characters. Default: none.
    #[serde(default)]
    pub reason: Option<String>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

/// A refund as a payment provider reports it. The same report is the same request
/// whatever state its order is in, so that the idempotency key identifies a repeated one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedRefund {
    /// The provider and its name of the refunded payment, as in `stripe/pi_1`.
    #[serde(default)]
    pub payment: Option<String>,
    /// The money that went back.
    #[serde(default)]
    pub amount: Option<Money>,
    /// Its currency; default: the order's.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Whether it is the whole payment; default: if the amount is the order's.
    #[serde(default)]
    pub is_full: Option<bool>,
}

impl RefundRequest {
    /// A refund of all that is left of the order.
    pub fn new(order_id: impl Into<OrderId>) -> Self {
        Self {
            order_id: order_id.into(),
            lines: Vec::new(),
            amount: None,
            restock: false,
            owed: false,
            payment_token: None,
            reported: None,
            reason: None,
            key: None,
        }
    }

    /// A refund that a payment provider reports. Of a payment whose money must be
    /// refunded (`needs_refund`) it settles that, unless it is a part only. Of the payment
    /// that paid the order it is booked: a full one with all units, which count as
    /// returned, a partial one as money alone.
    ///
    /// # Errors
    /// When sent: [`NotPaid`](crate::ErrorKind::NotPaid) for a payment that did not pay the
    /// order and whose money it does not owe,
    /// [`RefundTooLarge`](crate::ErrorKind::RefundTooLarge) for a part of owed money, for
    /// more than is left, or without an amount that can be booked.
    pub fn reported(order_id: impl Into<OrderId>, reported: ReportedRefund) -> Self {
        Self { reported: Some(reported), ..Self::new(order_id) }
    }

    /// Sets the units to give back.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = LineUnits>) -> Self {
        self.lines = lines.into_iter().collect();
        self
    }

    /// Sets the money to give back.
    #[must_use]
    pub fn amount(mut self, amount: Money) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Puts the units back into stock.
    #[must_use]
    pub fn restock(mut self) -> Self {
        self.restock = true;
        self
    }

    /// Settles money that must be refunded, and nothing else.
    #[must_use]
    pub fn owed(mut self) -> Self {
        self.owed = true;
        self
    }
}

setters!(RefundRequest: reason, key);

/// A request to sell returned units of a refunded order again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestockRequest {
    /// The order.
    pub order_id: OrderId,
    /// The units, each line once; none: all that are returned.
    #[serde(default)]
    pub lines: Vec<LineUnits>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl RestockRequest {
    /// A restock of all returned units of the order.
    pub fn new(order_id: impl Into<OrderId>) -> Self {
        Self { order_id: order_id.into(), lines: Vec::new(), key: None }
    }

    /// Sets the units.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = LineUnits>) -> Self {
        self.lines = lines.into_iter().collect();
        self
    }
}

setters!(RestockRequest: key);

/// Ties a provider's own name of a payment to an order, so that the provider's events
/// find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentReference {
    /// The order.
    pub order_id: OrderId,
    /// The provider, such as `stripe`; 1 to 32 characters.
    pub provider: String,
    /// The provider's name of the payment, such as `pi_3N`; 1 to 200 bytes.
    pub reference: String,
}

impl PaymentReference {
    /// A provider's payment of this order.
    pub fn new(
        order_id: impl Into<OrderId>,
        provider: impl Into<String>,
        reference: impl Into<String>,
    ) -> Self {
        let (provider, reference) = (provider.into(), reference.into());
        Self { order_id: order_id.into(), provider, reference }
    }
}

from_reference!(
    OrderRequest,
    ExtendOrderRequest,
    CancelRequest,
    RefundRequest,
    RestockRequest,
    PaymentReference
);
