//! Coverage of the histories: names each situation, so that a test can check that
//! the generators still reach all of them.

use std::time::Duration;

use crate::ledger::{Answer, Changes, Command, CommandResult, Decision, PaymentRow, Refusal};
use crate::model::{EventKind, OrderStatus, Outcome, PaymentDisposition, PaymentStatus, Timestamp};

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
    "holds reclaimed",
    "orders reclaimed",
    "nothing to reclaim",
    "more to reclaim",
    "no product",
    "no hold",
    "no hold token",
    "wrong hold token",
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
];

pub(super) fn all() -> impl Iterator<Item = &'static str> {
    ALL.iter().copied().chain(EventKind::ALL.iter().map(|kind| kind.as_str()))
}

pub(super) fn names(command: &Command, decision: &Decision) -> impl Iterator<Item = &'static str> {
    let name = match decision {
        Decision::Deferred => name_of_deferral(command),
        Decision::ReadSetMiss(_) => "read set miss",
        Decision::Done { answer: Ok(_), replayed: true } => "answer replayed",
        Decision::Done { answer: Err(_), replayed: true } => "refusal replayed",
        Decision::Done { answer: Ok(answer), .. } => name_of_answer(answer),
        Decision::Done { answer: Err(refusal), .. } => name_of_refusal(refusal),
    };
    let more =
        matches!(decision, Decision::Done { answer: Ok(Answer::Reclaimed { more: true, .. }), .. });
    [Some(name), more.then_some("more to reclaim")].into_iter().flatten()
}

fn name_of_deferral(command: &Command) -> &'static str {
    match command {
        Command::Hold { .. } => "hold deferred",
        Command::Cart { .. } => "cart deferred",
        Command::Adjust { .. } => "write-off deferred",
        Command::Payment { .. } => "late payment deferred",
        Command::Release { .. }
        | Command::Extend { .. }
        | Command::Order { .. }
        | Command::Reclaim { .. } => "deferred without reason",
    }
}

fn name_of_answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Hold(_) => "a hold",
        Answer::Cart(_) => "a cart",
        Answer::Order(order) => match (order.status, order.payment_disposition) {
            (OrderStatus::PendingPayment, _) => "an order",
            (_, PaymentDisposition::ReReserved) => "early payments re-reserved",
            _ => "an order settled by an early event",
        },
        Answer::Payment(PaymentStatus::Recorded) => "payment recorded",
        Answer::Payment(PaymentStatus::Waiting) => "payment waiting",
        Answer::Payment(PaymentStatus::Applied) => "payment applied",
        Answer::Product(_) => "a product",
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
        Refusal::NoHold(_) => "no hold",
        Refusal::NoHoldToken(_) => "no hold token",
        Refusal::WrongHoldToken(_) => "wrong hold token",
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
    }
}

/// Names where early payments were settled, and how late payments ended.
pub(super) fn settlement(changes: &Changes) -> impl Iterator<Item = &'static str> {
    use OrderStatus::{Cancelled, Paid};
    use PaymentDisposition::{NeedsRefund, None, ReReserved};
    let early = |row: &PaymentRow| row.answer == PaymentStatus::Waiting && !row.waiting;
    let late =
        |to| changes.order_moves.iter().any(|it| (it.from, it.to) == ((Cancelled, None), to));
    [
        (!changes.settled_payments.is_empty(), "early event settled from the store"),
        (changes.new_payments.iter().any(early), "early event settled in its own batch"),
        (late((Paid, ReReserved)), "late payment re-reserved"),
        (late((Cancelled, NeedsRefund)), "late payment to refund"),
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
    match command {
        Command::Order { hold_id, .. } => {
            let end = reference.holds.get(hold_id)?.expires_at;
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
            let (status, end) = (state.order.status, state.due?);
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
