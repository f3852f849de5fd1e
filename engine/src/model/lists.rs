//! What operators list, and what they do about a customer or a waiting payment.

use serde::{Deserialize, Serialize};

use super::requests::{from_reference, query_setters};
use super::{
    Currency, HoldId, HoldStatus, Money, Order, OrderId, OrderStatus, Outcome, PaymentDisposition,
    ProductId, ProductRef, Timestamp,
};

/// A query for holds, by ascending id. A hold must meet all conditions that are set.
///
/// ```
/// use stockade::{HoldQuery, HoldStatus};
/// let query = HoldQuery::new(100).product(7).status(HoldStatus::Active);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldQuery {
    /// Only holds with ids above this one: the `next` of the page before.
    pub after: Option<HoldId>,
    /// The most holds of a page, from 1 to 1,000.
    pub limit: u32,
    /// Only holds of this customer.
    #[serde(default)]
    pub customer: Option<String>,
    /// Only holds of this product; a SKU that no product has finds none.
    pub product: Option<ProductRef>,
    /// Only holds with this status; one that is due counts as expired.
    pub status: Option<HoldStatus>,
    /// Only holds created at this time or after it.
    #[serde(default)]
    pub created_after: Option<Timestamp>,
    /// Only holds created before this time.
    #[serde(default)]
    pub created_before: Option<Timestamp>,
}

impl HoldQuery {
    /// All holds, up to `limit` on a page.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            after: None,
            limit,
            customer: None,
            product: None,
            status: None,
            created_after: None,
            created_before: None,
        }
    }

    /// Sets the id after which the page begins.
    #[must_use]
    pub fn after(mut self, after: impl Into<HoldId>) -> Self {
        self.after = Some(after.into());
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: HoldStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns whether a hold of this product with this status, created then, meets the
    /// conditions, but for its customer.
    pub(crate) fn matches(&self, product: ProductId, status: HoldStatus, at: Timestamp) -> bool {
        self.product.as_ref().is_none_or(|named| named.id() == Some(product))
            && self.status.is_none_or(|wanted| wanted == status)
            && is_within((self.created_after, self.created_before), at)
    }
}

query_setters!(HoldQuery);

/// A query for orders, by ascending id. An order must meet all conditions that are
/// set.
///
/// ```
/// use stockade::{OrderQuery, PaymentDisposition};
/// let owed = OrderQuery::new(100).disposition(PaymentDisposition::NeedsRefund);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderQuery {
    /// Only orders with ids above this one: the `next` of the page before.
    pub after: Option<OrderId>,
    /// The most orders of a page, from 1 to 1,000.
    pub limit: u32,
    /// Only orders of this customer.
    #[serde(default)]
    pub customer: Option<String>,
    /// Only orders with a line of this product; a SKU that no product has finds none.
    #[serde(default)]
    pub product: Option<ProductRef>,
    /// Only orders with this status; one that is due counts as cancelled.
    #[serde(default)]
    pub status: Option<OrderStatus>,
    /// Only orders with this disposition.
    #[serde(default)]
    pub disposition: Option<PaymentDisposition>,
    /// Only the order with this number of the shop.
    #[serde(default)]
    pub reference: Option<String>,
    /// Only the order to which this provider's name of a payment is tied, such as
    /// `stripe/pi_3N`.
    #[serde(default)]
    pub payment_reference: Option<String>,
    /// Only orders created at this time or after it.
    #[serde(default)]
    pub created_after: Option<Timestamp>,
    /// Only orders created before this time.
    #[serde(default)]
    pub created_before: Option<Timestamp>,
}

impl OrderQuery {
    /// All orders, up to `limit` on a page.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            after: None,
            limit,
            customer: None,
            product: None,
            status: None,
            disposition: None,
            reference: None,
            payment_reference: None,
            created_after: None,
            created_before: None,
        }
    }

    /// Sets the id after which the page begins.
    #[must_use]
    pub fn after(mut self, after: impl Into<OrderId>) -> Self {
        self.after = Some(after.into());
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: OrderStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the disposition.
    #[must_use]
    pub fn disposition(mut self, disposition: PaymentDisposition) -> Self {
        self.disposition = Some(disposition);
        self
    }

    /// Sets the shop's own number.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Sets the provider's name of a payment, such as `stripe/pi_3N`.
    #[must_use]
    pub fn payment_reference(mut self, reference: impl Into<String>) -> Self {
        self.payment_reference = Some(reference.into());
        self
    }

    /// Returns whether an order meets the conditions, but for the payment reference.
    pub(crate) fn matches(&self, order: &Order) -> bool {
        self.product.as_ref().is_none_or(|named| order.products().any(|id| named.id() == Some(id)))
            && self.status.is_none_or(|wanted| wanted == order.status)
            && self.disposition.is_none_or(|wanted| wanted == order.payment_disposition)
            && self.customer.as_ref().is_none_or(|name| order.customer.as_ref() == Some(name))
            && self.reference.as_ref().is_none_or(|name| order.reference.as_ref() == Some(name))
            && is_within((self.created_after, self.created_before), order.created_at)
    }
}

query_setters!(OrderQuery);

fn is_within((from, before): (Option<Timestamp>, Option<Timestamp>), at: Timestamp) -> bool {
    from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before)
}

/// One page of orders, by ascending id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderPage {
    /// The orders of this page. A page may have fewer than the limit, or none, and
    /// not be the last: a read looks at a bounded number of rows.
    pub items: Vec<Order>,
    /// The `after` of the next page; `None` on the last one.
    pub next: Option<OrderId>,
}

/// A payment event that came before its order and waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitingPayment {
    /// The event's idempotency key. That of an event without one is derived from its
    /// fields, and begins with the control character U+0001.
    pub key: String,
    /// The order that it names, by its id or its payment token; `None` for one that names
    /// it by a reference alone.
    pub order_id: Option<OrderId>,
    /// The shop's own number of the order, if the event said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_reference: Option<String>,
    /// Whether it named the order by its payment token.
    pub by_token: bool,
    /// The outcome.
    pub outcome: Outcome,
    /// The amount paid, if the event said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The currency of the amount, if the event said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The provider's own name of the payment, if the event said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_reference: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// An order that is made at this time or later is not affected by it.
    pub ends_at: Timestamp,
}

/// One page of waiting payment events, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitingPaymentPage {
    /// The events of this page. A page may have fewer than the limit, or none, and
    /// not be the last.
    pub items: Vec<WaitingPayment>,
    /// The `after` of the next page, which means nothing else; `None` on the last one.
    pub next: Option<String>,
}

/// What the erasure of a customer found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Erased {
    /// The customer's holds that are stored, ended ones included.
    pub holds: u64,
    /// The customer's orders that are stored.
    pub orders: u64,
}

from_reference!(HoldQuery, OrderQuery);
