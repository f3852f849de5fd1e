//! What a history can run into, by name, so that a test can tell whether the
//! generator still reaches all of it.

use std::time::Duration;

use crate::ledger::{Answer, Changes, Command, CommandResult, Decision, PaymentRow, Refusal};
use crate::model::{EventKind, OrderStatus, Outcome, PaymentAnswer, PaymentDisposition, Timestamp};

use super::naive::World;

/// Everything but the kinds of events, which [`EventKind::ALL`] lists.
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
    "an answer again",
    "a refusal again",
    "a hold put off",
    "a cart put off",
    "a write-off put off",
    "late money put off",
    "elsewhere",
    "a transaction lost",
    "nothing to write",
    "early event settled in its own batch",
    "early event settled from the store",
    "hold dead at its very end",
    "hold alive just before its end",
    "order dead at its very end",
    "order alive just before its end",
    "early events re-reserved",
    "late money re-reserved",
    "late money to give back",
];

pub(super) fn all() -> impl Iterator<Item = &'static str> {
    ALL.iter().copied().chain(EventKind::ALL.iter().map(|kind| kind.as_str()))
}

pub(super) fn names(command: &Command, decision: &Decision) -> impl Iterator<Item = &'static str> {
    let name = match decision {
        Decision::Deferred => name_of_put_off(command),
        Decision::ReadSetMiss(_) => "elsewhere",
        Decision::Done { answer: Ok(_), replayed: true } => "an answer again",
        Decision::Done { answer: Err(_), replayed: true } => "a refusal again",
        Decision::Done { answer: Ok(answer), .. } => name_of_answer(answer),
        Decision::Done { answer: Err(refusal), .. } => name_of_refusal(refusal),
    };
    let more =
        matches!(decision, Decision::Done { answer: Ok(Answer::Reclaimed { more: true, .. }), .. });
    [Some(name), more.then_some("more to reclaim")].into_iter().flatten()
}

fn name_of_put_off(command: &Command) -> &'static str {
    match command {
        Command::Hold { .. } => "a hold put off",
        Command::Cart { .. } => "a cart put off",
        Command::Adjust { .. } => "a write-off put off",
        Command::Payment { .. } => "late money put off",
        Command::Release { .. }
        | Command::Extend { .. }
        | Command::Order { .. }
        | Command::Reclaim { .. } => "put off for nothing",
    }
}

fn name_of_answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Hold(_) => "a hold",
        Answer::Cart(_) => "a cart",
        Answer::Order(order) => match (order.status, order.payment_disposition) {
            (OrderStatus::PendingPayment, _) => "an order",
            (_, PaymentDisposition::ReReserved) => "early events re-reserved",
            _ => "an order settled by an early event",
        },
        Answer::Payment(PaymentAnswer::Recorded) => "payment recorded",
        Answer::Payment(PaymentAnswer::Waiting) => "payment waiting",
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

/// Where events that came before their order were settled, and what became of
/// money that came after its end.
pub(super) fn settlement(changes: &Changes) -> impl Iterator<Item = &'static str> {
    use OrderStatus::{Cancelled, Paid};
    use PaymentDisposition::{NeedsRefund, None, ReReserved};
    let early = |row: &PaymentRow| row.answer == PaymentAnswer::Waiting && !row.waiting;
    let late =
        |to| changes.order_moves.iter().any(|it| (it.from, it.to) == ((Cancelled, None), to));
    [
        (!changes.settled_payments.is_empty(), "early event settled from the store"),
        (changes.new_payments.iter().any(early), "early event settled in its own batch"),
        (late((Paid, ReReserved)), "late money re-reserved"),
        (late((Cancelled, NeedsRefund)), "late money to give back"),
    ]
    .into_iter()
    .filter_map(|(occurred, name)| occurred.then_some(name))
}

/// Whether the command met its hold or order at the end of its life, to the
/// microsecond. The world has done the command by now.
pub(super) fn moment(
    world: &World,
    now: Timestamp,
    command: &Command,
    answer: &CommandResult,
) -> Option<&'static str> {
    let next = now.after(Duration::from_micros(1));
    match command {
        Command::Order { hold_id, .. } => {
            let end = world.holds.get(hold_id)?.expires_at;
            match answer {
                Ok(_) => (end == next).then_some("hold alive just before its end"),
                Err(Refusal::HoldExpired(_)) => (end == now).then_some("hold dead at its very end"),
                Err(_) => None,
            }
        }
        Command::Payment { order_id, outcome: Outcome::Success, .. } => {
            let bought = world.orders.get(order_id)?;
            let (status, end) = (bought.order.status, bought.due?);
            let late = bought.order.payment_disposition != PaymentDisposition::None;
            match (status, late) {
                (OrderStatus::Paid, false) => {
                    (end == next).then_some("order alive just before its end")
                }
                (_, true) => (end == now).then_some("order dead at its very end"),
                _ => None,
            }
        }
        _ => None,
    }
}
