//! One attempt at one transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::ledger::{Changes, Command, Decision, Rows, decide};
use crate::model::ProductId;
use crate::runtime;
use crate::sold_out::StockSnapshot;
use crate::store::{Batch, CommitError, Fault, ReadSet, Session, StoreError};

use super::lanes::Admission;
use super::speculation::{Speculation, SpeculativeDecision};
use super::{Parts, early_inserts};

/// What a transaction came to.
#[derive(Debug)]
pub(super) struct Decided {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
    /// How the products that were locked stand now, and when they were.
    pub products: Vec<StockSnapshot>,
    pub locked_at: Instant,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// It surely left nothing behind.
    RolledBack(StoreError),
    /// COMMIT was sent and no answer came: it may have landed.
    InDoubt(StoreError, Commit),
    /// The text that writes and commits met rows that stand otherwise, which an
    /// earlier run of the same text may have written.
    Rejected(StoreError, Commit),
    /// The decision was not the one for which holds were written ahead.
    Misspeculation,
    /// The lease of this product was overtaken by one with this fence.
    Stale(ProductId, u64),
}

/// What one transaction is to do.
pub(super) struct Attempt<'a> {
    pub read_set: &'a ReadSet,
    pub commands: &'a [Command],
    pub batch_id: u64,
    pub fences: &'a BTreeMap<ProductId, u64>,
    /// Told what the transaction leaves behind.
    pub speculation: &'a Speculation,
}

/// Earlier attempts at the same commands whose commits may have landed.
#[derive(Default)]
pub(super) struct InDoubtCommits {
    commits: Vec<Commit>,
}

/// A commit whose answer was lost.
#[derive(Debug)]
pub(super) struct Commit {
    pub batch_id: u64,
    pub decided: Box<Decided>,
    /// Whether it was decided upon remembered rows.
    pub is_speculative: bool,
    /// Whether it had its rows locked when it was sent. Who has their locks
    /// after it finds it landed, or it never will.
    had_locks: bool,
    /// Whether it was looked for so, and is not there.
    is_missed: bool,
}

impl Commit {
    fn new(batch_id: u64, decided: Decided, had_locks: bool) -> Self {
        let (decided, is_speculative, is_missed) = (Box::new(decided), false, false);
        Self { batch_id, decided, is_speculative, had_locks, is_missed }
    }
}

impl InDoubtCommits {
    pub fn add(&mut self, commit: Commit) {
        self.commits.push(commit);
    }

    /// Whether no commit's answer was lost.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Whether it is not known what became of one of them.
    pub fn is_open(&self) -> bool {
        self.commits.iter().any(|commit| !commit.is_missed)
    }

    /// Looks for them, under the locks of the rows that they are about, if there
    /// are any. One that is missed is looked for again by the next attempt all
    /// the same: the locks are those of one server, and on a cluster another may
    /// bring it later. It then fails this attempt, since both write the same
    /// version of a row.
    pub(super) async fn look(
        &mut self,
        session: &mut dyn Session,
        has_locks: bool,
    ) -> Result<Option<Decided>, StoreError> {
        for at in 0..self.commits.len() {
            if session.landed(self.commits[at].batch_id).await? {
                return Ok(Some(*self.commits.swap_remove(at).decided));
            }
            self.commits[at].is_missed |= self.commits[at].had_locks && has_locks;
        }
        Ok(None)
    }
}

/// Decides the commands and commits, once.
///
/// What is `uncertain` is looked for under the same row locks, so that a commit
/// still under way is waited for. One that has yet to ask for its locks may come
/// later still, so it is looked for each time. `open` is told when others may
/// follow.
pub(super) async fn attempt(
    parts: &Parts,
    session: &mut dyn Session,
    input: &Attempt<'_>,
    in_doubt: &mut InDoubtCommits,
    open: &(dyn Fn(Admission) + Sync),
) -> Result<Decided, AttemptError> {
    let Attempt { read_set, commands, batch_id, fences, speculation } = *input;
    let asked = runtime::now();
    let loaded = session.begin(read_set).await.map_err(AttemptError::RolledBack)?;
    let locked_at = runtime::now();
    failpoint!(AfterLoad);
    open(Admission::CrowdOnly);
    let has_locks = !loaded.rows.products.is_empty();
    if let Some(decided) =
        in_doubt.look(session, has_locks).await.map_err(AttemptError::RolledBack)?
    {
        // It is known what became of it, so a fault from here on is none of
        // the callers'; a session that cannot roll back is closed.
        let _ = session.rollback().await;
        return Ok(decided);
    }
    if let Some((product, seen)) = overtaken(&loaded.rows, fences) {
        session.rollback().await.map_err(AttemptError::RolledBack)?;
        return Err(AttemptError::Stale(product, seen));
    }
    let now = loaded.now;
    let mut products: Vec<_> = loaded.rows.products.values().map(StockSnapshot::from).collect();
    let (decisions, changes) = decide(&parts.policy, loaded.rows, commands, now);
    for change in &changes.products {
        let id = change.after.product.id;
        if let Ok(at) = products.binary_search_by_key(&id, |before| before.id) {
            products[at] = StockSnapshot::from(&change.after);
        }
    }
    if !early_inserts::matches_early_inserts(&read_set.early_inserts, &changes, now) {
        session.rollback().await.map_err(AttemptError::RolledBack)?;
        return Err(AttemptError::Misspeculation);
    }
    let decided = Decided { decisions, changes, products, locked_at };
    if decided.changes.is_empty() {
        session.rollback().await.map_err(AttemptError::RolledBack)?;
        return Ok(decided);
    }
    let (changes, early_inserts) = (&decided.changes, &read_set.early_inserts[..]);
    let is_speculative = false;
    let batch = Batch { id: batch_id, now, changes, early_inserts, fences, is_speculative };
    speculation.learn(changes, fences, asked..locked_at);
    match session.commit(&batch, &|| open(Admission::Open)).await {
        Ok(()) => Ok(decided),
        Err(CommitError::RolledBack(error)) => Err(AttemptError::RolledBack(error)),
        Err(CommitError::InDoubt(error)) => {
            Err(AttemptError::InDoubt(error, Commit::new(batch_id, decided, has_locks)))
        }
        Err(CommitError::Rejected(error)) => {
            Err(AttemptError::Rejected(error, Commit::new(batch_id, decided, has_locks)))
        }
    }
}

/// Writes and commits, in one round trip, what was decided before the rows were
/// read; `open` is told when others may follow.
pub(super) async fn attempt_speculative(
    session: &mut dyn Session,
    input: &Attempt<'_>,
    speculative: SpeculativeDecision,
    open: &(dyn Fn(Admission) + Sync),
) -> Result<Decided, AttemptError> {
    let SpeculativeDecision { decisions, changes, now } = speculative;
    let products =
        changes.products.iter().map(|change| StockSnapshot::from(&change.after)).collect();
    let decided = Decided { decisions, changes, products, locked_at: runtime::now() };
    let Attempt { batch_id, fences, .. } = *input;
    let (changes, is_speculative) = (&decided.changes, true);
    let batch = Batch { id: batch_id, now, changes, early_inserts: &[], fences, is_speculative };
    open(Admission::CrowdOnly);
    match session.write(&batch).await {
        Ok(()) => Ok(decided),
        // A row was not as it was remembered.
        Err(CommitError::RolledBack(StoreError { fault: Fault::Conflict, .. })) => {
            Err(AttemptError::Misspeculation)
        }
        Err(CommitError::RolledBack(error)) => Err(AttemptError::RolledBack(error)),
        Err(CommitError::InDoubt(error)) => {
            Err(AttemptError::InDoubt(error, Commit::new(batch_id, decided, false)))
        }
        Err(CommitError::Rejected(error)) => {
            let commit = Commit::new(batch_id, decided, false);
            Err(AttemptError::Rejected(error, Commit { is_speculative: true, ..commit }))
        }
    }
}

/// A product whose row was written under a newer lease than ours.
fn overtaken(rows: &Rows, fences: &BTreeMap<ProductId, u64>) -> Option<(ProductId, u64)> {
    fences.iter().find_map(|(product, fence)| {
        let seen = rows.products.get(product)?.fence;
        (seen > *fence).then_some((*product, seen))
    })
}

#[cfg(test)]
impl Commit {
    /// Of a transaction that did nothing.
    pub fn of_nothing(batch_id: u64, had_locks: bool) -> Self {
        let (decisions, changes, products) = (Vec::new(), Changes::default(), Vec::new());
        let decided = Decided { decisions, changes, products, locked_at: runtime::now() };
        Self::new(batch_id, decided, had_locks)
    }

    pub fn missed(self) -> Self {
        Self { is_missed: true, ..self }
    }
}

#[cfg(test)]
impl InDoubtCommits {
    pub fn of_one(commit: Commit) -> Self {
        Self { commits: vec![commit] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ProductRow;
    use crate::model::{Money, Product};

    const ID: ProductId = ProductId(7);

    fn written_under(fence: u64) -> Rows {
        let price = Money::from_minor(100).expect("a price");
        let (name, stock, held, pending, sold) = ("Lamp".to_owned(), 10, 0, 0, 0);
        let product = Product { id: ID, name, price, stock, held, pending, sold, version: 1 };
        let row = ProductRow { product, received: 10, fence, next_due: None };
        Rows { products: BTreeMap::from([(ID, row)]), ..Rows::default() }
    }

    #[test]
    fn a_row_that_a_newer_lease_wrote_overtakes_ours() {
        let fences = BTreeMap::from([(ProductId(1), 1), (ID, 5)]);
        assert_eq!(overtaken(&written_under(4), &fences), None);
        assert_eq!(overtaken(&written_under(5), &fences), None, "it is our own");
        assert_eq!(overtaken(&written_under(6), &fences), Some((ID, 6)));
        assert_eq!(overtaken(&written_under(6), &BTreeMap::new()), None, "we have no lease");
    }

    #[test]
    fn a_lost_commit_is_open_until_it_is_missed_and_looked_for_even_then() {
        let none = InDoubtCommits::default();
        assert!(none.is_empty() && !none.is_open());
        let open = InDoubtCommits::of_one(Commit::of_nothing(1, true));
        assert!(!open.is_empty() && open.is_open());
        let mut both = InDoubtCommits::of_one(Commit::of_nothing(2, true).missed());
        assert!(!both.is_empty() && !both.is_open());
        open.commits.into_iter().for_each(|commit| both.add(commit));
        assert!(both.is_open(), "one of them is not missed");
    }
}
