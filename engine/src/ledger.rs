//! The ledger: the rules, as a pure decision function (a deterministic state
//! machine).
//!
//! [`decide`] reads no clock, draws no random number and calls no store: rows,
//! commands and the time go in, answers and changes come out. The changes are
//! written in one transaction or not at all.

mod answers;
mod batch_state;
mod carts;
mod commands;
mod dispatch;
mod holds;
mod orders;
mod payments;
mod policy;
mod products;
#[cfg(test)]
mod proptests;
mod quantities;
mod refunds;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use answers::{Answer, CommandResult, Decision, Refusal};
pub(crate) use batch_state::is_paid_by;
pub(crate) use commands::{
    Attributed, Command, IdempotencyKey, NewHold, NewStock, OrderTerms, PaymentTerms, Refund,
};
pub(crate) use payments::{awaited_by_payment, awaited_by_reference, is_awaited_by_name};
pub(crate) use policy::Policy;
pub(crate) use products::{ProductCommand, ProductTerms, ProductWrite};
#[cfg(test)]
pub(crate) use rows::OrderMove;
pub(crate) use rows::{
    Changes, CustomerHold, CustomerOrder, Due, EventDetails, HoldMove, HoldRow, IdMap, KeyRow,
    LedgerEvent, OrderChange, OrderRow, PaymentRow, ProductRow, ProductRowChange, QuantityChange,
    Rows, UNPAID,
};

use crate::model::Timestamp;
use batch_state::BatchState;

/// Decides `commands` in their order, at the one moment `now`, over `rows`.
/// Returns the decisions in the same order, and the changes to write.
///
/// Reclaims first what is due by `now`, so that no command is refused for stock
/// that an expired hold still keeps.
pub(crate) fn decide<'a, C: Into<Attributed<'a>>>(
    policy: &Policy,
    rows: Rows,
    commands: impl IntoIterator<Item = C>,
    now: Timestamp,
) -> (Vec<Decision>, Changes) {
    let mut batch = BatchState::new(policy, rows, now);
    batch.reclaim_due();
    let commands = commands.into_iter();
    batch.reserve(commands.size_hint().0);
    let decisions = commands.map(|command| batch.decide(command.into())).collect();
    (decisions, batch.into_changes())
}
