//! Orders and their lines.

use serde::{Deserialize, Serialize};

use super::{
    Currency, HoldId, InvalidArgument, Metadata, Money, OrderId, PaymentToken, ProductId,
    Timestamp, named_enum,
};

named_enum!(
    /// The status of an order.
    OrderStatus {
        /// It is not paid yet.
        PendingPayment = "pending_payment",
        /// The payment succeeded and the units are sold.
        Paid = "paid",
        /// It will not be paid; the units were returned to stock.
        Cancelled = "cancelled",
        /// It was paid, and some of the money was given back.
        PartiallyRefunded = "partially_refunded",
        /// It was paid, and all of the money was given back; of a free order, all
        /// units.
        Refunded = "refunded",
    }
);

impl OrderStatus {
    /// Whether the order was paid, refunded or not.
    #[must_use]
    pub fn was_paid(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded | Self::Refunded)
    }
}

named_enum!(
    /// What became of money that did not simply pay an order.
    PaymentDisposition {
        /// There was no such money.
        None = "none",
        /// It came after the order was cancelled; the units were available and reserved
        /// again, and the order is paid.
        ReReserved = "re_reserved",
        /// It must be refunded: the order was cancelled before and is not paid by it, or
        /// it is a second payment of a paid order.
        NeedsRefund = "needs_refund",
        /// It is not the order's amount or currency; the order still waits for the
        /// right payment.
        AmountMismatch = "amount_mismatch",
        /// It had to be refunded, and was.
        Refunded = "refunded",
    }
);

/// One line of an order: a hold that became part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderLine {
    /// The number within the order, from 1.
    pub line: u32,
    /// The hold that it was made from.
    pub hold_id: HoldId,
    /// The ordered product.
    pub product_id: ProductId,
    /// The product's SKU, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Units ordered.
    pub quantity: u32,
    /// The price of one unit when the order was made.
    pub price: Money,
    /// Units refunded, returned ones and restocked ones included.
    pub refunded: u32,
    /// Units refunded without being restocked: they count as `returned` of the product.
    pub returned: u32,
}

/// The lines of an order: at least one, numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OrderLine>", into = "Vec<OrderLine>")]
pub struct OrderLines {
    first: OrderLine,
    rest: Vec<OrderLine>,
}

impl OrderLines {
    pub(crate) fn new(first: OrderLine, rest: Vec<OrderLine>) -> Self {
        Self { first, rest }
    }

    /// The first line.
    #[must_use]
    pub fn first(&self) -> &OrderLine {
        &self.first
    }

    /// The lines after the first.
    pub(crate) fn rest(&self) -> &[OrderLine] {
        &self.rest
    }

    /// The line of an order that has no other.
    #[must_use]
    pub fn only(&self) -> Option<&OrderLine> {
        self.rest.is_empty().then_some(&self.first)
    }

    /// The lines by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = &OrderLine> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OrderLine> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }

    /// The number of lines.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }
}

impl From<OrderLines> for Vec<OrderLine> {
    fn from(lines: OrderLines) -> Self {
        std::iter::once(lines.first).chain(lines.rest).collect()
    }
}

impl TryFrom<Vec<OrderLine>> for OrderLines {
    type Error = InvalidArgument;

    fn try_from(lines: Vec<OrderLine>) -> Result<Self, InvalidArgument> {
        let mut lines = lines.into_iter();
        let first = lines.next().ok_or_else(|| InvalidArgument::new("an order has a line"))?;
        Ok(Self { first, rest: lines.collect() })
    }
}

/// Holds that became an order: one payment for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// The lines, in the order of the request's holds.
    pub lines: OrderLines,
    /// The status.
    pub status: OrderStatus,
    /// The token by which a payment provider refers to this order. Only the answer that
    /// makes the order has it; what reads or changes an order later returns `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_token: Option<PaymentToken>,
    /// What became of money that did not simply pay it.
    pub payment_disposition: PaymentDisposition,
    /// The amount to pay, frozen when the order was made.
    pub amount: Money,
    /// The currency of the amount and of the lines' prices.
    pub currency: Currency,
    /// How much of the amount was refunded.
    pub refunded_amount: Money,
    /// The shop's own number of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The customer, frozen when the order was made: the first that its holds name, in
    /// the order of its lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// What the shop keeps with it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Who made it: the name of [`Engine::acting_as`](crate::Engine::acting_as), over HTTP
    /// that of the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it is cancelled if it is not paid before; `None`: never.
    pub pay_until: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Order {
    /// Whether it is cancelled at `now` because nobody paid it.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.status == OrderStatus::PendingPayment && self.pay_until.is_some_and(|at| at <= now)
    }

    /// Sets the status and the disposition that the order has at `now`.
    pub(crate) fn end_if_due(&mut self, now: Timestamp) {
        if self.is_due(now) {
            self.status = OrderStatus::Cancelled;
            if self.payment_disposition == PaymentDisposition::AmountMismatch {
                self.payment_disposition = PaymentDisposition::NeedsRefund;
            }
        }
    }

    /// The product of the first line, among whose due orders this one is found.
    pub(crate) fn home(&self) -> ProductId {
        self.lines.first().product_id
    }

    /// The products of the lines; one may come more than once.
    pub(crate) fn products(&self) -> impl Iterator<Item = ProductId> {
        self.lines.iter().map(|line| line.product_id)
    }
}
