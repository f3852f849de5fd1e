//! Coverage of the histories: names each situation, so that a test can check that
//! the generators still reach all of them.

use std::time::Duration;

use crate::ledger::{Answer, Changes, Command, CommandResult, Decision, PaymentRow, Refusal};
use crate::model::{
    EventKind, Order, OrderStatus, Outcome, PaymentDisposition, PaymentStatus, Timestamp,
};

use super::reference::ReferenceModel;

/// All situations but the kinds of events, which [`EventKind::ALL`] lists.
const ALL: &[&str] = &[
    "a hold",
    "a cart",
    "an order",
    "an order settled by an early event",
    "payment recorded",
    "payment waiting",
    "a product",
    "a product made or changed",
    "a product made by a put",
    "a product put",
    "stock of a product deferred",
    "stale SKU",
    "no SKU",
    "SKU mismatch",
    "not on sale",
    "id taken",
    "SKU taken",
    "empty sale",
    "holds reclaimed",
    "orders reclaimed",
    "nothing to reclaim",
    "more to reclaim",
    "no product",
    "no hold",
    "no hold token",
    "wrong hold token",
    "no cart",
    "no cart token",
    "wrong cart token",
    "product mismatch",
    "customer limit",
    "insufficient: one line",
    "insufficient: lines",
    "hold expired",
    "hold released",
    "hold already used",
    "key mismatch",
    "wrong payment token",
    "stock too large",
    "answer replayed",
    "refusal replayed",
    "hold deferred",
    "cart deferred",
    "quantity deferred",
    "write-off deferred",
    "late payment deferred",
    "read set miss",
    "transaction lost",
    "nothing to write",
    "early event settled in its own batch",
    "early event settled from the store",
    "hold expired exactly when due",
    "hold active just before due",
    "order cancelled exactly when due",
    "order pending just before due",
    "early payments re-reserved",
    "late payment re-reserved",
    "late payment to refund",
    "an order of several holds",
    "an order of several products",
    "unusable holds",
    "unusable: a missing hold",
    "unusable: an expired hold",
    "unusable: a used hold",
    "unusable: a hold of another product",
    "mixed currencies",
    "too many decimals",
    "reference taken",
    "order extended or named",
    "an order cancelled",
    "already paid",
    "order cancelled before",
    "not paid",
    "no order",
    "all refunded",
    "some refunded",
    "restocked",
    "refund too large",
    "owed settled",
    "nothing returned",
    "a failed attempt does not cancel",
    "right money after wrong",
    "wrong money owed after a cancellation",
    "late money after the shop cancelled",
    "read set miss of several products",
    "due order cancelled later at another product",
    "customer limit with orders",
    "an early event that waited for too long",
];

pub(super) fn all() -> impl Iterator<Item = &'static str> {
    // No command erases a customer.
    let kinds = EventKind::ALL.iter().filter(|kind| **kind != EventKind::CustomerErased);
    ALL.iter().copied().chain(kinds.map(|kind| kind.as_str()))
}

pub(super) fn names(command: &Command, decision: &Decision) -> impl Iterator<Item = &'static str> {
    let name = match decision {
        Decision::Deferred => name_of_deferral(command),
        Decision::ReadSetMiss(_) => "read set miss",
        Decision::StaleName => "stale SKU",
        Decision::Done { answer: Ok(_), replayed: true } => "answer replayed",
        Decision::Done { answer: Err(_), replayed: true } => "refusal replayed",
        Decision::Done { answer: Ok(answer), .. } => name_of_answer(command, answer),
        Decision::Done { answer: Err(refusal), .. } => name_of_refusal(refusal),
    };
    let more =
        matches!(decision, Decision::Done { answer: Ok(Answer::Reclaimed { more: true, .. }), .. });
    let further = match decision {
        Decision::Done { answer: Err(Refusal::UnusableHolds(all)), .. } => {
            all.iter().map(name_of_unusable).collect()
        }
        Decision::Done { answer: Ok(Answer::Order(order)), .. } => names_of_order(order),
        _ => Vec::new(),
    };
    [Some(name), more.then_some("more to reclaim")].into_iter().flatten().chain(further)
}

fn name_of_unusable(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NoHold(_) => "unusable: a missing hold",
        Refusal::HoldExpired(_) => "unusable: an expired hold",
        Refusal::HoldAlreadyUsed { .. } => "unusable: a used hold",
        Refusal::ProductMismatch { .. } => "unusable: a hold of another product",
        _ => "unusable holds",
    }
}

fn names_of_order(order: &Order) -> Vec<&'static str> {
    let first = order.lines.first().product_id;
    let several = order.lines.count() > 1;
    let products = order.lines.iter().any(|line| line.product_id != first);
    let names =
        [(several, "an order of several holds"), (products, "an order of several products")];
    names.into_iter().filter_map(|(occurred, name)| occurred.then_some(name)).collect()
}

fn name_of_deferral(command: &Command) -> &'static str {
    match command {
        Command::Hold { .. } => "hold deferred",
        Command::Cart { .. } => "cart deferred",
        Command::ChangeQuantity { .. } => "quantity deferred",
        Command::Adjust { .. } => "write-off deferred",
        Command::WriteProduct { .. } => "stock of a product deferred",
        Command::Payment { .. } => "late payment deferred",
        Command::Release { .. }
        | Command::Extend { .. }
        | Command::ReleaseCart { .. }
        | Command::ExtendCart { .. }
        | Command::Order { .. }
        | Command::ExtendOrder { .. }
        | Command::CancelOrder { .. }
        | Command::Refund { .. }
        | Command::Restock { .. }
        | Command::SetPaymentReference { .. }
        | Command::Reclaim { .. } => "deferred without reason",
    }
}

fn name_of_answer(command: &Command, answer: &Answer) -> &'static str {
    match answer {
        Answer::Hold(_) => "a hold",
        Answer::Cart(_) => "a cart",
        Answer::Order(order) if !matches!(command, Command::Order { .. }) => match command {
            Command::CancelOrder { .. } => "an order cancelled",
            Command::Restock { .. } => "restocked",
            Command::Refund { refund, .. } if refund.owed => "owed settled",
            Command::Refund { .. } if order.status == OrderStatus::Refunded => "all refunded",
            Command::Refund { .. } => "some refunded",
            _ => "order extended or named",
        },
        Answer::Order(order) => match (order.status, order.payment_disposition) {
            (OrderStatus::PendingPayment, _) => "an order",
            (_, PaymentDisposition::ReReserved) => "early payments re-reserved",
            _ => "an order settled by an early event",
        },
        Answer::Payment(PaymentStatus::Recorded) => "payment recorded",
        Answer::Payment(PaymentStatus::Waiting) => "payment waiting",
        Answer::Payment(PaymentStatus::Applied) => "payment applied",
        Answer::Product(_) if matches!(command, Command::WriteProduct { .. }) => {
            "a product made or changed"
        }
        Answer::Product(_) => "a product",
        Answer::Put { created: true, .. } => "a product made by a put",
        Answer::Put { .. } => "a product put",
        Answer::StaleName => "stale SKU",
        Answer::Reclaimed { holds, orders, .. } => match (holds, orders) {
            (0, 0) => "nothing to reclaim",
            (0, _) => "orders reclaimed",
            _ => "holds reclaimed",
        },
    }
}

fn name_of_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NoProduct(_) => "no product",
        Refusal::NoSku(_) => "no SKU",
        Refusal::SkuMismatch { .. } => "SKU mismatch",
        Refusal::NotOnSale(..) => "not on sale",
        Refusal::IdTaken(_) => "id taken",
        Refusal::SkuTaken(..) => "SKU taken",
        Refusal::EmptySale(..) => "empty sale",
        Refusal::NoHold(_) => "no hold",
        Refusal::NoHoldToken(_) => "no hold token",
        Refusal::WrongHoldToken(_) => "wrong hold token",
        Refusal::NoCart(_) => "no cart",
        Refusal::NoCartToken(_) => "no cart token",
        Refusal::WrongCartToken(_) => "wrong cart token",
        Refusal::ProductMismatch { .. } => "product mismatch",
        Refusal::CustomerLimit { .. } => "customer limit",
        Refusal::Insufficient(lines) if lines.len() > 1 => "insufficient: lines",
        Refusal::Insufficient(_) => "insufficient: one line",
        Refusal::HoldExpired(_) => "hold expired",
        Refusal::HoldReleased(_) => "hold released",
        Refusal::HoldAlreadyUsed { .. } => "hold already used",
        Refusal::KeyMismatch => "key mismatch",
        Refusal::WrongPaymentToken(_) => "wrong payment token",
        Refusal::StockTooLarge(_) => "stock too large",
        Refusal::VersionMismatch { .. } => "version mismatch",
        Refusal::NoOrder(_) => "no order",
        Refusal::UnusableHolds(_) => "unusable holds",
        Refusal::MixedCurrencies(_) => "mixed currencies",
        Refusal::AmountDecimals(_) => "too many decimals",
        Refusal::AmountTooLarge => "amount too large",
        Refusal::ReferenceTaken(_) => "reference taken",
        Refusal::AlreadyPaid(_) => "already paid",
        Refusal::OrderCancelled(_) => "order cancelled before",
        Refusal::NotPaid(_) => "not paid",
        Refusal::RefundTooLarge(..) => "refund too large",
        Refusal::NothingReturned(_) => "nothing returned",
    }
}

/// Names where early payments were settled, and how late payments ended.
pub(super) fn settlement(changes: &Changes) -> impl Iterator<Item = &'static str> {
    use OrderStatus::{Cancelled, Paid};
    use PaymentDisposition::{AmountMismatch, NeedsRefund, None, ReReserved};
    let early = |row: &PaymentRow| row.answer == PaymentStatus::Waiting && !row.waiting;
    let late =
        |to| changes.order_moves.iter().any(|it| (it.from, it.to) == ((Cancelled, None), to));
    let mismatched = |to| {
        let from = (OrderStatus::PendingPayment, AmountMismatch);
        changes.order_moves.iter().any(|it| (it.from, it.to) == (from, to))
    };
    let failed = changes.order_changes.iter().any(|change| {
        let row = &change.after;
        row.has_failed_attempt && row.order.status == OrderStatus::PendingPayment
    });
    [
        (!changes.settled_payments.is_empty(), "early event settled from the store"),
        (changes.new_payments.iter().any(early), "early event settled in its own batch"),
        (late((Paid, ReReserved)), "late payment re-reserved"),
        (late((Cancelled, NeedsRefund)), "late payment to refund"),
        (failed, "a failed attempt does not cancel"),
        (mismatched((Paid, None)), "right money after wrong"),
        (mismatched((Cancelled, NeedsRefund)), "wrong money owed after a cancellation"),
    ]
    .into_iter()
    .filter_map(|(occurred, name)| occurred.then_some(name))
}

/// Names the boundary if the command met its hold or order at the microsecond at
/// which it is due, or just before. Runs after the model executed the command.
pub(super) fn boundary(
    reference: &ReferenceModel,
    now: Timestamp,
    command: &Command,
    answer: &CommandResult,
) -> Option<&'static str> {
    let next = now.after(Duration::from_micros(1));
    if let (Some(customer), Err(Refusal::CustomerLimit { product_id, .. })) =
        (command.customer(), answer)
    {
        let has_orders = reference.ordered_by(customer, *product_id) > 0;
        return has_orders.then_some("customer limit with orders");
    }
    match command {
        Command::Order { order_id, .. } if reference.has_ended_event(*order_id) => {
            Some("an early event that waited for too long")
        }
        Command::Order { holds, .. } => {
            let end = reference.holds.get(&holds.first()?.hold_id)?.expires_at;
            match answer {
                Ok(_) => (end == next).then_some("hold active just before due"),
                Err(Refusal::HoldExpired(_)) => {
                    (end == now).then_some("hold expired exactly when due")
                }
                Err(_) => None,
            }
        }
        Command::Payment { order_id, outcome: Outcome::Success, .. } => {
            let state = reference.orders.get(order_id)?;
            let (status, end) = (state.order.status, state.order.pay_until?);
            if state.is_closed && state.order.payment_disposition == PaymentDisposition::NeedsRefund
            {
                return Some("late money after the shop cancelled");
            }
            let late = state.order.payment_disposition != PaymentDisposition::None;
            match (status, late) {
                (OrderStatus::Paid, false) => {
                    (end == next).then_some("order pending just before due")
                }
                (_, true) => (end == now).then_some("order cancelled exactly when due"),
                _ => None,
            }
        }
        _ => None,
    }
}
