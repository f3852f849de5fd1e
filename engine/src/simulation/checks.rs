//! Checks the final rows against the log of requests and responses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::database::{Tables, clock};
use super::log::{Findings, HoldOp, Records, Response, Violation, tagged_op};
use super::shop::Shop;
use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, OrderId, OrderStatus, Outcome, PaymentDisposition,
    ProductId,
};

/// Allowance for the sweepers' delay and the clocks' skew.
const SLACK: Duration = Duration::from_secs(10);

pub(super) fn compare(shop: &Shop) -> Findings {
    let mut findings = shop.log.findings();
    findings.extend(shop.database.violations().into_iter().map(|what| (Violation::Leaked, what)));
    let records = &*shop.log.records();
    shop.database.read(|tables| {
        for id in &shop.products {
            findings.extend(tables.recount(*id).into_iter().map(|what| (Violation::Leaked, what)));
            check_received(tables, records, *id, &mut findings);
        }
        check_holds(tables, records, &mut findings);
        check_orders(tables, records, &mut findings);
        check_payments(tables, records, &mut findings);
        check_events(tables, &mut findings);
    });
    findings
}

/// Checks that the received units equal the definite adjustments plus some subset
/// of the in-doubt ones.
fn check_received(tables: &Tables, records: &Records, id: ProductId, findings: &mut Findings) {
    let Some(row) = tables.products.get(&id) else { return };
    let first = records.received.get(&id).copied().unwrap_or(0);
    let mut possible = BTreeSet::from([i64::try_from(first).unwrap_or(0)]);
    for (product, delta, response) in &records.adjustments {
        if *product != id {
            continue;
        }
        let with: BTreeSet<i64> = possible.iter().map(|sum| sum + delta).collect();
        match response {
            Response::Done => possible = with,
            Response::Unknown => possible.extend(with),
            Response::Refused | Response::Contention => {}
        }
    }
    if !possible.contains(&i64::try_from(row.received).unwrap_or(-1)) {
        let what = format!("product {id} has received {}, not {possible:?}", row.received);
        findings.push((Violation::Leaked, what));
    }
    let taken = row.product.held + row.product.pending + row.product.sold;
    if taken > row.received {
        findings.push((Violation::Oversold, format!("product {id}: {taken} of {}", row.received)));
    }
}

fn check_holds(tables: &Tables, records: &Records, findings: &mut Findings) {
    let mut made: BTreeMap<u64, Vec<&Hold>> = BTreeMap::new();
    for hold in tables.made.values() {
        let op = tagged_op(hold.created_at.until(hold.expires_at));
        made.entry(op).or_default().push(hold);
    }
    for op in made.keys().filter(|op| !records.holds.contains_key(op)) {
        findings.push((Violation::Unexplained, format!("no request created {:?}", made[op])));
    }
    for (op, record) in &records.holds {
        let rows = made.get(op).map_or(&[][..], Vec::as_slice);
        if let Some((violation, what)) = holds_of(record, rows) {
            findings.push((violation, format!("{what}: {record:?} made {rows:?}")));
        }
    }
    let now = clock();
    let released = records.asked_to_release();
    for hold in tables.holds.values() {
        let id = hold.id;
        let order = tables.orders.values().find(|row| row.order.hold_id == id);
        let is_right = match hold.status {
            HoldStatus::Active => hold.expires_at.after(SLACK) > now,
            HoldStatus::Converted => order.is_some(),
            HoldStatus::Released => released.contains(&id),
            HoldStatus::Expired => hold.expires_at <= now,
        };
        if !is_right || (order.is_some() && hold.status != HoldStatus::Converted) {
            findings.push((Violation::Unexplained, format!("at {now}: {hold:?} with {order:?}")));
        }
    }
    for (id, _) in records.releases.iter().filter(|(_, response)| *response == Response::Done) {
        if tables.holds.get(id).is_none_or(|hold| hold.status != HoldStatus::Released) {
            findings.push((Violation::Lost, format!("the release of hold {id}")));
        }
    }
    for (id, promised) in &records.extensions {
        if tables.holds.get(id).is_none_or(|hold| hold.expires_at < promised.expires_at) {
            findings.push((Violation::Lost, format!("the extension to {promised:?}")));
        }
    }
}

/// Returns the violation in one request's holds, if there is one.
fn holds_of(record: &HoldOp, rows: &[&Hold]) -> Option<(Violation, &'static str)> {
    let mut quantities: BTreeMap<ProductId, u32> = BTreeMap::new();
    for row in rows {
        if quantities.insert(row.product_id, row.quantity).is_some() {
            return Some((Violation::Doubled, "held twice"));
        }
    }
    if !rows.is_empty() && quantities != record.lines {
        return Some((Violation::Unexplained, "partly held"));
    }
    for answer in &record.answers {
        let is_there = |hold: &Hold| {
            rows.iter().any(|row| {
                (row.id, row.quantity, row.token) == (hold.id, hold.quantity, hold.token)
            })
        };
        if answer.len() != record.lines.len() || !answer.iter().all(is_there) {
            return Some((Violation::Lost, "an acknowledged hold is lost"));
        }
    }
    let may_be = record
        .responses
        .iter()
        .any(|response| matches!(response, Response::Done | Response::Unknown));
    let is_refused = record.keeps_refusals && record.responses.contains(&Response::Refused);
    if !rows.is_empty() && (!may_be || is_refused) {
        return Some((Violation::Unexplained, "rejected, yet held"));
    }
    None
}

fn check_orders(tables: &Tables, records: &Records, findings: &mut Findings) {
    let mut by_hold: BTreeMap<HoldId, OrderId> = BTreeMap::new();
    for row in tables.orders.values() {
        let order = &row.order;
        if let Some(other) = by_hold.insert(order.hold_id, order.id) {
            findings.push((Violation::Doubled, format!("orders {other} and {order:?}")));
        }
        let hold = tables.holds.get(&order.hold_id);
        if hold.is_none_or(|hold| {
            (hold.product_id, hold.quantity) != (order.product_id, order.quantity)
        }) {
            findings.push((Violation::Unexplained, format!("{order:?} of {hold:?}")));
        }
        let response = records.orders.get(&order.hold_id).map_or(&[][..], |op| &op.responses);
        if !response.iter().any(|response| matches!(response, Response::Done | Response::Unknown)) {
            findings.push((
                Violation::Unexplained,
                format!("{order:?} exists, yet every request was rejected: {response:?}"),
            ));
        }
        let paid = |outcome: Outcome| {
            let mut events = tables.payments.values();
            events.any(|event| {
                (event.order_id, event.outcome, event.waiting) == (order.id, outcome, false)
            })
        };
        let success = paid(Outcome::Success);
        let failure = paid(Outcome::Failure) || paid(Outcome::Cancelled);
        let is_due = row.due_at.is_some_and(|at| at <= clock());
        let is_right = match (order.status, order.payment_disposition) {
            (OrderStatus::PendingPayment, _) => {
                !success && !failure && row.due_at.is_none_or(|at| at.after(SLACK) > clock())
            }
            (OrderStatus::Paid, PaymentDisposition::None) => success,
            (OrderStatus::Paid, _) | (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund) => {
                success && (failure || is_due)
            }
            (OrderStatus::Cancelled, _) => !success && (failure || is_due),
        };
        if !is_right {
            let what = format!("{order:?} after success: {success}, failure: {failure}");
            findings.push((Violation::Unexplained, what));
        }
    }
    for (hold_id, op) in &records.orders {
        let response = op.answers.iter().map(|order| order.id).chain(op.named.iter().copied());
        for id in response {
            if by_hold.get(hold_id) != Some(&id) {
                findings.push((Violation::Lost, format!("order {id} of hold {hold_id}")));
            }
        }
    }
}

fn check_payments(tables: &Tables, records: &Records, findings: &mut Findings) {
    for (key, op) in &records.payments {
        let row = tables.payments.get(key);
        let is_known = op.responses.contains(&Response::Done);
        let may_be = is_known || op.responses.contains(&Response::Unknown);
        let (violation, what) = match row {
            None if is_known => (Violation::Lost, "is lost"),
            Some(_) if !may_be => (Violation::Unexplained, "was rejected, yet recorded"),
            Some(row) if (row.order_id, row.outcome) != (op.order_id, op.outcome) => {
                (Violation::Unexplained, "differs")
            }
            Some(row) if row.waiting && tables.orders.contains_key(&op.order_id) => {
                (Violation::Lost, "waits for an order that exists")
            }
            _ => continue,
        };
        findings.push((violation, format!("payment {key} {what}: {op:?}, {row:?}")));
    }
    for key in tables.payments.keys().filter(|key| !records.payments.contains_key(*key)) {
        findings.push((Violation::Unexplained, format!("no request sent payment {key}")));
    }
}

/// Checks that the outbox has exactly one event per transition.
fn check_events(tables: &Tables, findings: &mut Findings) {
    let mut count: BTreeMap<(&str, u64, &str), u64> = BTreeMap::new();
    for event in tables.outbox.values().flatten() {
        let hold = event.hold_id.map_or(0, |id| id.0);
        let order = event.order_id.map_or(0, |id| id.0);
        let which = match event.kind {
            EventKind::HoldCreated => ("hold", hold, "made"),
            EventKind::HoldReleased | EventKind::HoldExpired => ("hold", hold, "ended"),
            EventKind::OrderCreated => ("hold", hold, "ended"),
            EventKind::OrderPaid => ("order", order, "paid"),
            EventKind::OrderCancelled => ("order", order, "cancelled"),
            _ => continue,
        };
        *count.entry(which).or_default() += 1;
    }
    for (which, times) in count.iter().filter(|(_, times)| **times > 1) {
        findings.push((Violation::Doubled, format!("{which:?} {times} times")));
    }
    for id in tables.holds.keys().filter(|id| !count.contains_key(&("hold", id.0, "made"))) {
        findings.push((Violation::Unexplained, format!("no event for hold {id}")));
    }
}
