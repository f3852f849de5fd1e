//! What operators list: holds, orders, and payment events that wait for an order.

use serde::Serialize;
use serde_json::value::RawValue;
use stockade::{
    Currency, HoldQuery, HoldStatus, OrderId, OrderQuery, OrderStatus, Outcome, PaymentDisposition,
    Timestamp, WaitingPayment,
};

use super::order_view::OrderView;
use super::shop::HoldView;
use crate::call::Call;
use crate::money;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Page, Reply};

/// `GET /api/admin/holds`
pub async fn holds(call: &Call<'_>) -> HandlerResult {
    call.known_query(&[
        "customer",
        "product_id",
        "sku",
        "status",
        "created_after",
        "created_before",
        "after",
        "limit",
    ])?;
    let mut query = HoldQuery::new(call.limit()?);
    query.after = call.after_id()?;
    query.customer = call.query_text("customer")?;
    query.product = call.query_product()?;
    query.status = call.query_word("status", HoldStatus::ALL, HoldStatus::as_str)?;
    query.created_after = call.query_parsed("created_after")?;
    query.created_before = call.query_parsed("created_before")?;
    let page = call.engine.holds(query).await?;
    let items: Vec<_> = page.items.iter().map(HoldView::listed).collect();
    Reply::json(&Page { items, next: page.next })
}

/// `GET /api/admin/orders`
pub async fn orders(call: &Call<'_>) -> HandlerResult {
    call.known_query(&[
        "customer",
        "product_id",
        "sku",
        "status",
        "disposition",
        "reference",
        "payment_reference",
        "created_after",
        "created_before",
        "after",
        "limit",
    ])?;
    let mut query = OrderQuery::new(call.limit()?);
    query.after = call.after_id()?;
    query.customer = call.query_text("customer")?;
    query.product = call.query_product()?;
    query.status = call.query_word("status", OrderStatus::ALL, OrderStatus::as_str)?;
    query.disposition =
        call.query_word("disposition", PaymentDisposition::ALL, PaymentDisposition::as_str)?;
    query.reference = call.query_text("reference")?;
    query.payment_reference = call.query_text("payment_reference")?;
    query.created_after = call.query_parsed("created_after")?;
    query.created_before = call.query_parsed("created_before")?;
    let page = call.engine.orders(query).await?;
    let items = page.items.iter().map(OrderView::listed).collect::<Result<Vec<_>, _>>()?;
    Reply::json(&Page { items, next: page.next })
}

/// A waiting payment event, its amount as a number.
#[derive(Serialize)]
pub struct WaitingView<'a> {
    key: &'a str,
    /// Missing for an event that names its order by a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    by_token: bool,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_reference: Option<&'a str>,
    received_at: Timestamp,
    ends_at: Timestamp,
}

impl<'a> WaitingView<'a> {
    /// Renders an event.
    pub fn of(event: &'a WaitingPayment) -> Result<Self, Rejection> {
        Ok(Self {
            key: &event.key,
            order_id: event.order_id,
            reference: event.order_reference.as_deref(),
            by_token: event.by_token,
            outcome: event.outcome,
            amount: event.amount.map(money::number).transpose()?,
            currency: event.currency,
            payment_reference: event.payment_reference.as_deref(),
            received_at: event.received_at,
            ends_at: event.ends_at,
        })
    }
}

/// `GET /api/admin/payments/waiting`
pub async fn waiting_payments(call: &Call<'_>) -> HandlerResult {
    call.known_query(&["after", "limit"])?;
    let after = call.query_text("after")?;
    let page = call.engine.waiting_payments(after, call.limit()?).await?;
    let items = page.items.iter().map(WaitingView::of).collect::<Result<Vec<_>, _>>()?;
    Reply::json(&Page { items, next: page.next })
}

/// `DELETE /api/admin/payments/waiting/{key}`
pub async fn remove_waiting_payment(call: &Call<'_>) -> HandlerResult {
    call.no_fields()?;
    let removed = call.engine.remove_waiting_payment(call.text_segment(0)?).await?;
    Reply::json(&WaitingView::of(&removed)?)
}
