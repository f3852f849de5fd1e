//! Callers that order, pay, and change orders.

use std::time::Duration;

use super::super::log::{Change, ChangeOp, OrderOp, PaymentOp, Response};
use super::super::shop::{ProcessHandle, Shop};
use super::super::world::here;
use super::{any_process, await_response, some_hold};
use crate::error::{ErrorKind, Result};
use crate::model::{
    CancelRequest, ExtendOrderRequest, HoldId, LineUnits, Money, Order, OrderId, OrderRequest,
    OrderedHold, Outcome, PaymentEvent, PaymentReference, RefundRequest, RestockRequest,
};

/// Orders one hold or several, each once.
pub(super) async fn order(shop: &Shop, op: u64, handle: &ProcessHandle) {
    let mut used: Vec<OrderedHold> = Vec::new();
    for _ in 0..here().pick(&[1, 1, 2, 3]) {
        let hold = some_hold(shop);
        if used.iter().all(|other| other.hold_id != hold.id) {
            let one = OrderedHold::new(hold.id);
            used.push(if here().happens(0.5) { one.product(hold.product_id) } else { one });
        }
    }
    let holds: Vec<HoldId> = used.iter().map(|used| used.hold_id).collect();
    let mut request = OrderRequest::of(used);
    if here().happens(0.2) {
        // Of few, so that callers contend for them.
        request = request.reference(format!("shop-{}", here().draw(0..4)));
    }
    let reference = request.reference.clone();
    let record = OrderOp { holds, reference, ..OrderOp::default() };
    shop.log.records().orders.insert(op, record);
    let answer = await_response(shop, handle, handle.backend.create_order(request, None)).await;
    let response = response(shop, &answer);
    let records = &mut *shop.log.records();
    let Some(record) = records.orders.get_mut(&op) else { return };
    record.responses.push(response);
    match answer {
        Some(Ok(made)) => {
            record.answers.push(made.value.clone());
            records.known_orders.push(made.value);
        }
        Some(Err(error)) if error.kind() == ErrorKind::HoldAlreadyUsed => {
            record.named.extend(error.order_id());
        }
        Some(Err(_)) | None => {}
    }
}

fn response<T>(shop: &Shop, answer: &Option<Result<T>>) -> Response {
    match answer {
        None => Response::Unknown,
        Some(Ok(_)) => Response::Done,
        Some(Err(error)) => shop.log.classify(error),
    }
}

fn any(count: usize) -> usize {
    usize::try_from(here().draw(0..count as u64)).unwrap_or(0)
}

pub(super) async fn pay(shop: &Shop, op: u64) {
    let (key, event) = {
        let records = shop.log.records();
        let again = (!records.payments.is_empty() && here().happens(0.2)).then(|| {
            let at = any(records.payments.len());
            let sent = records.payments.iter().nth(at);
            sent.map(|(key, op)| (key.clone(), event_of(op, key)))
        });
        again.flatten().unwrap_or_else(|| {
            let key = format!("evt-{op}");
            let event = event_of(&drawn_payment(&records.known_orders), &key);
            (key, event)
        })
    };
    let record = |response: Option<Response>| {
        let mut records = shop.log.records();
        let entry = records.payments.entry(key.clone());
        let new = || PaymentOp {
            order_id: event.order_id.unwrap_or(OrderId(0)),
            outcome: event.outcome,
            amount: event.amount,
            reference: event.payment_reference.clone(),
            responses: Vec::new(),
        };
        entry.or_insert_with(new).responses.extend(response);
    };
    record(None);
    // A payment provider redelivers an event until it is accepted.
    for _ in 0..4 {
        let handle = any_process(shop);
        let sent = handle.backend.record_payment(event.clone());
        let response = response(shop, &await_response(shop, &handle, sent).await);
        record(Some(response));
        if matches!(response, Response::Done | Response::Refused) {
            return;
        }
    }
}

fn drawn_payment(orders: &[Order]) -> PaymentOp {
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Cancelled, Outcome::Neutral];
    let outcome = if here().happens(0.5) { Outcome::Success } else { here().pick(&outcomes) };
    let (order_id, right) = match orders.len() {
        // A payment before its order, or for an order that never exists.
        count if count == 0 || here().happens(0.2) => (OrderId(here().draw(1..40)), None),
        count => {
            let order = &orders[any(count)];
            (order.id, Some(order.amount))
        }
    };
    let amount = match here().draw(0..8) {
        0 => Some(wrong_amount()),
        1..4 => right,
        _ => None,
    };
    let reference = here().happens(0.3).then(|| format!("stripe/pi_{}", here().draw(0..3)));
    PaymentOp { order_id, outcome, amount, reference, responses: Vec::new() }
}

/// What no order costs.
pub(in super::super) fn wrong_amount() -> Money {
    Money::from_row(1, crate::model::Currency::EUR)
}

fn event_of(op: &PaymentOp, key: &str) -> PaymentEvent {
    let mut event = PaymentEvent::for_order(op.order_id, op.outcome).key(key);
    event.amount = op.amount;
    event.payment_reference.clone_from(&op.reference);
    event
}

/// Changes an order of an earlier response, with retries under one key where the request
/// takes one. One in four such requests is sent again later.
pub(super) async fn change(shop: &Shop, op: u64) {
    let Some((op, order_id, change)) = chosen_change(shop, op) else { return };
    for _ in 0..if change.is_keyed() { 4 } else { 1 } {
        let handle = any_process(shop);
        let sent = send(&handle, order_id, &change, format!("change-{op}"));
        let answer = await_response(shop, &handle, sent).await;
        let response = response(shop, &answer);
        if let Some(record) = shop.log.records().changes.get_mut(&op) {
            record.responses.push(response);
            record.answers.extend(answer.and_then(Result::ok));
        }
        if matches!(response, Response::Done | Response::Refused) {
            return;
        }
    }
}

/// Chooses a request that was sent before, or a new one under this number.
fn chosen_change(shop: &Shop, op: u64) -> Option<(u64, OrderId, Change)> {
    let mut records = shop.log.records();
    let keyed: Vec<_> = records.changes.iter().filter(|(_, it)| it.change.is_keyed()).collect();
    if !keyed.is_empty() && here().happens(0.25) {
        let (op, sent) = keyed[any(keyed.len())];
        return Some((*op, sent.order_id, sent.change.clone()));
    }
    let orders = &records.known_orders;
    let order = (!orders.is_empty()).then(|| &orders[any(orders.len())])?;
    let (order_id, change) = (order.id, drawn_change(order));
    let new = (order_id, change.clone());
    let record = ChangeOp { order_id, change, responses: Vec::new(), answers: Vec::new() };
    records.changes.insert(op, record);
    Some((op, new.0, new.1))
}

fn drawn_change(order: &Order) -> Change {
    let lines = u32::try_from(order.lines.count()).unwrap_or(1);
    let units = LineUnits::new(here().draw(1..u64::from(lines) + 1) as u32, 1);
    match here().draw(0..16) {
        0..2 => Change::Extend(Duration::from_secs(here().pick(&[1, 4, 40]))),
        2..5 => Change::Cancel,
        5 => Change::RefundAll,
        6..10 => {
            let amount = Money::from_row(here().pick(&[0, 1, 50]), order.currency);
            Change::Refund { units, amount, restock: here().happens(0.4) }
        }
        10..12 => Change::SettleOwed,
        12..15 => Change::Restock(units),
        _ => Change::Name(format!("pi_{}", here().draw(0..3))),
    }
}

async fn send(
    handle: &ProcessHandle,
    order_id: OrderId,
    change: &Change,
    key: String,
) -> Result<Order> {
    let backend = &handle.backend;
    let refund = RefundRequest::new(order_id).key(key.clone());
    let refund = match change.clone() {
        Change::Extend(ttl) => {
            return backend.extend_order(ExtendOrderRequest::new(order_id).ttl(ttl)).await;
        }
        Change::Cancel => return backend.cancel_order(CancelRequest::new(order_id)).await,
        Change::Restock(units) => {
            let request = RestockRequest::new(order_id).lines([units]).key(key);
            return Ok(backend.restock_order(request, None).await?.value);
        }
        Change::Name(name) => {
            let request = PaymentReference::new(order_id, "stripe", name);
            return backend.set_payment_reference(request).await;
        }
        Change::RefundAll => refund,
        Change::SettleOwed => refund.owed(),
        Change::Refund { units, amount, restock } => {
            let part = refund.lines([units]).amount(amount);
            if restock { part.restock() } else { part }
        }
    };
    Ok(backend.refund_order(refund, None).await?.value)
}
