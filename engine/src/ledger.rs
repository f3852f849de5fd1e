//! The rules: what each request does to the rows it needs.
//!
//! [`decide`] is pure. It reads no clock, draws no random number and touches
//! no store: rows, commands and the time go in, answers and changes come out.
//! Whatever the changes say is written in one transaction or not at all.

mod batch_state;
mod commands;
mod holds;
mod orders;
mod payments;
#[cfg(test)]
mod proptests;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use batch_state::Policy;
pub(crate) use commands::{
    Answer, Command, CommandResult, Decision, IdempotencyKey, NewHold, Refusal,
};
pub(crate) use rows::{
    Changes, CustomerHold, Due, HoldMove, KeyRow, LedgerEvent, OrderMove, OrderRow, PaymentRow,
    ProductChange, ProductRow, Rows,
};

use crate::model::Timestamp;
use batch_state::BatchState;

/// Decides `commands` in their order, at the one moment `now`, over `rows`.
///
/// What is due by `now` goes back first, so that no command is refused for
/// stock that a dead hold keeps. The answers stand in the order of the
/// commands.
pub(crate) fn decide(
    policy: &Policy,
    rows: Rows,
    commands: &[Command],
    now: Timestamp,
) -> (Vec<Decision>, Changes) {
    let mut batch = BatchState::new(policy, rows, now);
    batch.reclaim_due();
    let decisions = commands.iter().map(|command| batch.decide(command)).collect();
    (decisions, batch.into_changes())
}
