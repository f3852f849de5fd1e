//! Checks orders, and what became of their units and money.

use std::collections::{BTreeMap, BTreeSet};

use super::super::database::{Tables, clock};
use super::super::log::{Change, ChangeOp, Findings, Records, Response, Violation};
use super::SLACK;
use crate::ledger::OrderRow;
use crate::model::{HoldId, Order, OrderId, OrderStatus, Outcome, PaymentDisposition};

pub(super) fn check(tables: &Tables, records: &Records, findings: &mut Findings) {
    let mut by_hold: BTreeMap<HoldId, OrderId> = BTreeMap::new();
    let mut references: BTreeMap<&str, OrderId> = BTreeMap::new();
    for row in tables.orders.values() {
        let order = &row.order;
        for line in order.lines.iter() {
            if let Some(other) = by_hold.insert(line.hold_id, order.id) {
                findings.push((Violation::Doubled, format!("orders {other} and {order:?}")));
            }
            let hold = tables.holds.get(&line.hold_id);
            if hold.is_none_or(|hold| {
                (hold.product_id, hold.quantity) != (line.product_id, line.quantity)
            }) {
                findings.push((Violation::Unexplained, format!("{order:?} of {hold:?}")));
            }
        }
        if let Some(reference) = &order.reference
            && let Some(other) = references.insert(reference, order.id)
        {
            findings.push((Violation::Doubled, format!("{reference} of {other} and {order:?}")));
        }
        if !is_asked_for(order, records) {
            findings.push((Violation::Unexplained, format!("no request made {order:?}")));
        }
        if let Some(why) = wrong_money(tables, records, row) {
            findings.push((Violation::Unexplained, format!("{why}: {row:?}")));
        }
        if let Some(why) = wrong_refunds(records, order) {
            findings.push((Violation::Doubled, format!("{why}: {order:?}")));
        }
    }
    for op in records.orders.values() {
        for order in &op.answers {
            let stored = tables.orders.get(&order.id).map(|row| holds_of(&row.order));
            if stored != Some(holds_of(order)) {
                findings.push((Violation::Lost, format!("the answered {order:?}")));
            }
        }
        for id in &op.named {
            if !op.holds.iter().any(|hold| by_hold.get(hold) == Some(id)) {
                findings.push((Violation::Lost, format!("order {id} of {:?}", op.holds)));
            }
        }
    }
    for op in records.changes.values().filter(|op| op.is_done()) {
        let row = tables.orders.get(&op.order_id);
        let is_kept = row.is_some_and(|row| match &op.change {
            Change::Extend(_) => {
                let promised = op.answers.iter().filter_map(|order| order.pay_until).max();
                // A failed attempt may have shortened it since.
                row.has_failed_attempt || row.order.pay_until >= promised
            }
            Change::Name(name) => {
                let name = format!("stripe/{name}");
                tables.payment_references.get(&name) == Some(&op.order_id)
            }
            _ => true,
        });
        if !is_kept {
            findings.push((Violation::Lost, format!("{op:?} of {row:?}")));
        }
    }
}

fn holds_of(order: &Order) -> Vec<HoldId> {
    order.lines.iter().map(|line| line.hold_id).collect()
}

/// Whether a request wanted an order of exactly these holds and may have got it.
fn is_asked_for(order: &Order, records: &Records) -> bool {
    records.orders.values().any(|op| {
        let is_open = |response: &Response| matches!(response, Response::Done | Response::Unknown);
        op.holds == holds_of(order)
            && op.reference == order.reference
            && op.responses.iter().any(is_open)
    })
}

/// Returns what is wrong in an order's status after the events of its payments.
fn wrong_money(tables: &Tables, records: &Records, row: &OrderRow) -> Option<String> {
    let order = &row.order;
    let events =
        || tables.payments.values().filter(|event| event.order_id == order.id && !event.waiting);
    let succeeded = || events().filter(|event| event.outcome == Outcome::Success);
    let is_right = |amount: &Option<_>| amount.is_none_or(|amount| amount == order.amount);
    let right = succeeded().any(|event| is_right(&event.terms.amount));
    let wrong = succeeded().any(|event| !is_right(&event.terms.amount));
    let names: BTreeSet<_> = succeeded().filter_map(|it| it.terms.reference.as_ref()).collect();
    let failed =
        events().any(|event| matches!(event.outcome, Outcome::Failure | Outcome::Cancelled));
    let of_order = || records.changes.values().filter(|op| op.order_id == order.id);
    let asked = |change: &Change| of_order().any(|op| op.change == *change && op.may_be_done());
    let is_due = order.pay_until.is_some_and(|at| at <= clock());
    let may_be_over = failed || is_due || row.is_closed;
    let mut why = Vec::new();
    let mut expect = |is_so: bool, what: &str| {
        if !is_so {
            why.push(what.to_owned());
        }
    };
    expect(!row.is_closed || asked(&Change::Cancel), "no request cancelled it");
    expect(!row.is_closed || order.status == OrderStatus::Cancelled, "revived");
    let cancelled = of_order().any(|op| op.change == Change::Cancel && op.is_done());
    expect(!cancelled || row.is_closed || failed || is_due, "the cancellation is lost");
    expect(
        order.payment_disposition != PaymentDisposition::Refunded || asked(&Change::SettleOwed),
        "no request settled it",
    );
    match (order.status, order.payment_disposition) {
        (OrderStatus::PendingPayment, PaymentDisposition::None) => {
            expect(!right && !wrong, "a success is lost");
        }
        (OrderStatus::PendingPayment, PaymentDisposition::AmountMismatch) => {
            expect(wrong && !right, "other money came");
        }
        (OrderStatus::PendingPayment, _) => expect(false, "no such state"),
        (OrderStatus::Cancelled, PaymentDisposition::None) => {
            expect(may_be_over && !right && !wrong, "nothing cancelled it, or money is lost");
        }
        (
            OrderStatus::Cancelled,
            PaymentDisposition::NeedsRefund | PaymentDisposition::Refunded,
        ) => expect(may_be_over && (right || wrong), "nothing cancelled it, or no money came"),
        (OrderStatus::Cancelled, _) => expect(false, "no such state"),
        (_, PaymentDisposition::None) => expect(right, "nobody paid it"),
        (_, PaymentDisposition::ReReserved) => {
            expect(right && may_be_over, "nobody paid it late");
        }
        (_, PaymentDisposition::NeedsRefund | PaymentDisposition::Refunded) => {
            expect(right && names.len() > 1, "no second payment");
        }
        (_, PaymentDisposition::AmountMismatch) => expect(false, "no such state"),
    }
    if order.status == OrderStatus::PendingPayment {
        let is_alive = order.pay_until.is_none_or(|at| at.after(SLACK) > clock());
        expect(is_alive, "it is over for long");
        expect(!failed || row.has_failed_attempt, "a failure is lost");
    }
    (!why.is_empty()).then(|| why.join(", "))
}

/// Returns what is wrong in an order's refunds: what was certainly executed counts once,
/// what is in doubt at most once.
fn wrong_refunds(records: &Records, order: &Order) -> Option<String> {
    let ops: Vec<&ChangeOp> =
        records.changes.values().filter(|op| op.order_id == order.id).collect();
    let minor = |money: crate::model::Money| money.to_minor(order.currency).unwrap_or(-1);
    let all = ops.iter().filter(|op| op.change == Change::RefundAll);
    let (mut may_be_all, mut is_all) = (false, false);
    for op in all {
        may_be_all |= op.may_be_done();
        is_all |= op.is_done();
    }
    if order.refunded_amount > order.amount {
        return Some("more than was paid".to_owned());
    }
    if is_all {
        let has_left = order.lines.iter().any(|line| line.refunded < line.quantity);
        let is_whole = order.refunded_amount == order.amount && !has_left;
        return (!is_whole).then(|| "a whole refund is lost".to_owned());
    }
    if may_be_all {
        return None;
    }
    let possible = |units_of: &dyn Fn(&Change) -> i64| {
        let mut sums = BTreeSet::from([0]);
        for op in ops.iter().filter(|op| op.may_be_done()) {
            let with: BTreeSet<i64> = sums.iter().map(|sum| sum + units_of(&op.change)).collect();
            match op.is_done() {
                true => sums = with,
                false => sums.extend(with),
            }
        }
        sums
    };
    let money = possible(&|change| match change {
        Change::Refund { amount, .. } => minor(*amount),
        _ => 0,
    });
    if !money.contains(&minor(order.refunded_amount)) {
        return Some(format!("money of {money:?}"));
    }
    order.lines.iter().find_map(|line| {
        let refunded = possible(&|change| match change {
            Change::Refund { units, .. } if units.line == line.line => units.quantity.into(),
            _ => 0,
        });
        let returned = possible(&|change| match change {
            Change::Refund { units, restock: false, .. } if units.line == line.line => {
                units.quantity.into()
            }
            Change::Restock(units) if units.line == line.line => -i64::from(units.quantity),
            _ => 0,
        });
        let is_right =
            refunded.contains(&line.refunded.into()) && returned.contains(&line.returned.into());
        (!is_right).then(|| format!("line {} of {refunded:?} and {returned:?}", line.line))
    })
}
