//! Orders as responses show them.

use serde::Serialize;
use serde_json::value::RawValue;
use stockade::{
    Currency, HoldId, Metadata, Order, OrderId, OrderLine, OrderStatus, PaymentDisposition,
    PaymentToken, ProductId, Timestamp,
};

use crate::money;
use crate::problem::Rejection;

/// An order: the fields of the contract first, those of its line included if it has
/// one.
#[derive(Serialize)]
pub struct OrderView<'a> {
    status: OrderStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<HoldId>,
    updated_at: Timestamp,
    created_at: Timestamp,
    id: OrderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty: Option<u32>,
    /// Only in the response that creates the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<PaymentToken>,
    payment_disposition: PaymentDisposition,
    lines: Vec<LineView<'a>>,
    amount: Box<RawValue>,
    currency: Currency,
    refunded_amount: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    /// Only in lists, which are for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    /// Only for the caller that made it, and for the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    /// The name of the API key that made it; only for the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
}

#[derive(Serialize)]
struct LineView<'a> {
    line: u32,
    hold_id: HoldId,
    product_id: ProductId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    qty: u32,
    price: Box<RawValue>,
    refunded: u32,
    returned: u32,
}

impl<'a> OrderView<'a> {
    /// Renders an order for the caller that made it.
    pub fn made(order: &'a Order) -> Result<Self, Rejection> {
        Ok(Self { payment_token: order.payment_token, ..Self::of(order, true)? })
    }

    /// Renders an order without its token, for the shop or for a buyer.
    pub fn of(order: &'a Order, is_shop: bool) -> Result<Self, Rejection> {
        let only = order.lines.only();
        Ok(Self {
            status: order.status,
            hold_id: only.map(|line| line.hold_id),
            updated_at: order.updated_at,
            created_at: order.created_at,
            id: order.id,
            product_id: only.map(|line| line.product_id),
            sku: only.and_then(|line| line.sku.as_deref()),
            qty: only.map(|line| line.quantity),
            payment_token: None,
            payment_disposition: order.payment_disposition,
            lines: order.lines.iter().map(LineView::of).collect::<Result<_, _>>()?,
            amount: money::number(order.amount)?,
            currency: order.currency,
            refunded_amount: money::number(order.refunded_amount)?,
            pay_until: order.pay_until,
            reference: order.reference.as_deref(),
            customer: None,
            metadata: order.metadata.as_ref().filter(|_| is_shop),
            created_by: order.created_by.as_deref().filter(|_| is_shop),
        })
    }

    /// Renders an order for an operator, without its token.
    pub fn listed(order: &'a Order) -> Result<Self, Rejection> {
        Ok(Self { customer: order.customer.as_deref(), ..Self::of(order, true)? })
    }
}

impl<'a> LineView<'a> {
    fn of(line: &'a OrderLine) -> Result<Self, Rejection> {
        Ok(Self {
            line: line.line,
            hold_id: line.hold_id,
            product_id: line.product_id,
            sku: line.sku.as_deref(),
            qty: line.quantity,
            price: money::number(line.price)?,
            refunded: line.refunded,
            returned: line.returned,
        })
    }
}

/// The envelope of an order.
#[derive(Serialize)]
pub struct OrderEnvelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    success: bool,
    order: OrderView<'a>,
}

impl<'a> OrderEnvelope<'a> {
    /// Wraps an order, and says what was done, if anything was.
    pub fn new(message: Option<&'static str>, order: OrderView<'a>) -> Self {
        Self { message, success: true, order }
    }
}
