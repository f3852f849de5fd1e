//! The ledger: the rules, as a pure decision function (a deterministic state
//! machine).
//!
//! [`decide`] reads no clock, draws no random number and calls no store: rows,
//! commands and the time go in, answers and changes come out. The changes are
//! written in one transaction or not at all.

mod batch_state;
mod commands;
mod dispatch;
mod holds;
mod orders;
mod payments;
mod policy;
#[cfg(test)]
mod proptests;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use commands::{
    Answer, Command, CommandResult, Decision, IdempotencyKey, NewHold, Refusal,
};
pub(crate) use policy::Policy;
pub(crate) use rows::{
    Changes, CustomerHold, Due, HoldMove, IdMap, KeyRow, LedgerEvent, OrderMove, OrderRow,
    PaymentRow, ProductChange, ProductRow, Rows,
};

use crate::model::Timestamp;
use batch_state::BatchState;

/// Decides `commands` in their order, at the one moment `now`, over `rows`.
/// Returns the decisions in the same order, and the changes to write.
///
/// Reclaims first what is due by `now`, so that no command is refused for stock
/// that an expired hold still keeps.
pub(crate) fn decide<'a>(
    policy: &Policy,
    rows: Rows,
    commands: impl IntoIterator<Item = &'a Command>,
    now: Timestamp,
) -> (Vec<Decision>, Changes) {
    let mut batch = BatchState::new(policy, rows, now);
    batch.reclaim_due();
    let commands = commands.into_iter();
    batch.reserve(commands.size_hint().0);
    let decisions = commands.map(|command| batch.decide(command)).collect();
    (decisions, batch.into_changes())
}
