//! Checks the final rows against the log of requests and responses.

mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::database::{Tables, clock};
use super::log::{Findings, HoldOp, Records, Response, Violation, tagged_op};
use super::shop::Shop;
use crate::ledger::{HoldRow, OrderRow};
use crate::model::{EventKind, Hold, HoldId, HoldStatus, ProductId};

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
        orders::check(tables, records, &mut findings);
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
    let taken = row.product.received() - row.product.in_stock;
    if taken > row.received {
        findings.push((Violation::Oversold, format!("product {id}: {taken} of {}", row.received)));
    }
}

fn check_holds(tables: &Tables, records: &Records, findings: &mut Findings) {
    let mut made: BTreeMap<u64, Vec<&HoldRow>> = BTreeMap::new();
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
        let of_hold = |row: &&OrderRow| row.order.lines.iter().any(|line| line.hold_id == id);
        let order = tables.orders.values().find(of_hold);
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
fn holds_of(record: &HoldOp, rows: &[&HoldRow]) -> Option<(Violation, &'static str)> {
    let mut quantities: BTreeMap<ProductId, u32> = BTreeMap::new();
    for row in rows {
        if quantities.insert(row.product_id, row.quantity).is_some() {
            return Some((Violation::Doubled, "held twice"));
        }
    }
    let is_as_asked = match record.sku {
        // Which product has the SKU when is not known.
        Some(_) => quantities.values().eq(record.lines.values()),
        None => quantities == record.lines,
    };
    if !rows.is_empty() && !is_as_asked {
        return Some((Violation::Unexplained, "partly held"));
    }
    for answer in &record.answers {
        let is_there = |hold: &Hold| {
            rows.iter().any(|row| {
                (row.id, row.quantity, Some(row.token)) == (hold.id, hold.quantity, hold.token)
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
    let mut count: BTreeMap<(HoldId, &str), u64> = BTreeMap::new();
    let mut refunded: BTreeMap<HoldId, (i64, i64)> = BTreeMap::new();
    for event in tables.outbox.values().flatten() {
        let Some(hold) = event.hold_id else { continue };
        let units = refunded.entry(hold).or_default();
        let what = match event.kind {
            EventKind::HoldCreated => "made",
            EventKind::HoldReleased | EventKind::HoldExpired | EventKind::OrderCreated => "ended",
            EventKind::OrderPaid => "paid",
            EventKind::OrderCancelled => "cancelled",
            EventKind::OrderRefunded => {
                *units = (units.0 + event.quantity, units.1 + event.quantity);
                continue;
            }
            EventKind::OrderRestocked => {
                units.1 -= event.quantity;
                continue;
            }
            _ => continue,
        };
        *count.entry((hold, what)).or_default() += 1;
    }
    for (which, times) in count.iter().filter(|(_, times)| **times > 1) {
        findings.push((Violation::Doubled, format!("{which:?} {times} times")));
    }
    for id in tables.holds.keys().filter(|id| !count.contains_key(&(**id, "made"))) {
        findings.push((Violation::Unexplained, format!("no event for hold {id}")));
    }
    for line in tables.orders.values().flat_map(|row| row.order.lines.iter()) {
        let told = refunded.get(&line.hold_id).copied().unwrap_or_default();
        if told != (line.refunded.into(), line.returned.into()) {
            findings.push((Violation::Lost, format!("{line:?}, by its events {told:?}")));
        }
    }
}
