//! One attempt at one transaction, either on the locking path (lock, read, decide,
//! write, commit) or by speculative execution.

use std::collections::BTreeMap;

use crate::ledger::{Attributed, Rows, decide};
use crate::model::ProductId;
use crate::runtime;
use crate::services::Services;
use crate::store::{Batch, CommitError, Fault, ReadSet, Session, StoreError};

use super::in_doubt::{DecidedBatch, InDoubtCommit, InDoubtCommits};
use super::speculation::{Speculation, SpeculativeDecision};

#[derive(Debug)]
pub(super) enum AttemptError {
    /// The transaction was rolled back and left nothing behind.
    RolledBack(StoreError),
    /// COMMIT was sent and no response came: it may have been applied.
    InDoubt(StoreError, InDoubtCommit),
    /// A guard of the statements that write and commit failed. Rows may differ
    /// because an earlier run of the same statements wrote them: a proxy resends
    /// a request whose response it lost.
    Rejected(StoreError, InDoubtCommit),
    /// The decision differs from the one that the attempt speculated on.
    Misspeculation,
    /// The row of this product carries this fencing token, newer than ours.
    Stale(ProductId, u64),
}

impl AttemptError {
    fn of_commit(error: CommitError, commit: InDoubtCommit) -> Self {
        match error {
            CommitError::RolledBack(error) => Self::RolledBack(error),
            CommitError::InDoubt(error) => Self::InDoubt(error, commit),
            CommitError::Rejected(error) => Self::Rejected(error, commit),
        }
    }
}

pub(super) struct Attempt<'a> {
    pub read_set: &'a ReadSet,
    pub commands: &'a [Attributed<'a>],
    pub batch_id: u64,
    pub fences: &'a BTreeMap<ProductId, u64>,
    /// Records the rows that the transaction has left behind.
    pub speculation: &'a Speculation,
}

/// Locks, reads, decides, writes and commits, once.
///
/// First resolves the `in_doubt` commits under the same row locks, which makes
/// it wait for one that is still in flight. A commit that has yet to request
/// its locks may be applied later still, so each attempt looks again.
pub(super) async fn attempt(
    services: &Services,
    session: &mut dyn Session,
    input: &Attempt<'_>,
    in_doubt: &mut InDoubtCommits,
) -> Result<DecidedBatch, AttemptError> {
    let Attempt { read_set, commands, batch_id, fences, speculation } = *input;
    let requested_at = runtime::now();
    let loaded = session.begin(read_set).await.map_err(AttemptError::RolledBack)?;
    let locked_at = runtime::now();
    failpoint!(AfterLoad);
    let has_locks = !loaded.rows.products.is_empty();
    if let Some(decided) =
        in_doubt.resolve(session, has_locks).await.map_err(AttemptError::RolledBack)?
    {
        // The outcome is known, so a failed rollback must not fail the callers;
        // dropping such a session closes its connection.
        let _ = session.rollback().await;
        return Ok(decided);
    }
    if let Some((product, row_fence)) = newer_fence(&loaded.rows, fences) {
        session.rollback().await.map_err(AttemptError::RolledBack)?;
        return Err(AttemptError::Stale(product, row_fence));
    }
    let now = loaded.now;
    let (decisions, changes) = decide(&services.policy, loaded.rows, commands.iter().copied(), now);
    let decided = DecidedBatch { decisions, changes, locked_at };
    if decided.changes.is_empty() {
        session.rollback().await.map_err(AttemptError::RolledBack)?;
        return Ok(decided);
    }
    let (changes, is_speculative) = (&decided.changes, false);
    let (id, seed) = (batch_id, read_set.seed);
    let batch = Batch { id, now, changes, seed, fences, is_speculative };
    match session.commit(&batch).await {
        Ok(()) => {
            speculation.record(changes, fences, requested_at..locked_at);
            Ok(decided)
        }
        Err(error) => {
            Err(AttemptError::of_commit(error, InDoubtCommit::new(batch_id, decided, has_locks)))
        }
    }
}

/// Writes and commits a speculative decision in one round trip. The guarded
/// updates validate it (optimistic concurrency).
pub(super) async fn attempt_speculative(
    session: &mut dyn Session,
    input: &Attempt<'_>,
    speculative: SpeculativeDecision,
) -> Result<DecidedBatch, AttemptError> {
    let SpeculativeDecision { decisions, changes, now } = speculative;
    let decided = DecidedBatch { decisions, changes, locked_at: runtime::now() };
    let Attempt { batch_id: id, fences, read_set, speculation, .. } = *input;
    let (changes, is_speculative) = (&decided.changes, true);
    let seed = read_set.seed;
    let batch = Batch { id, now, changes, seed, fences, is_speculative };
    match session.write(&batch).await {
        Ok(()) => {
            speculation.advance(changes, fences);
            Ok(decided)
        }
        // A guard failed: a row differs from its cached copy.
        Err(CommitError::RolledBack(StoreError { fault: Fault::Conflict, .. })) => {
            Err(AttemptError::Misspeculation)
        }
        Err(error) => Err(AttemptError::of_commit(error, InDoubtCommit::speculative(id, decided))),
    }
}

/// Finds a product whose row carries a newer fencing token than our lease, and
/// that token.
fn newer_fence(rows: &Rows, fences: &BTreeMap<ProductId, u64>) -> Option<(ProductId, u64)> {
    fences.iter().find_map(|(product, fence)| {
        let row_fence = rows.products.get(product)?.fence;
        (row_fence > *fence).then_some((*product, row_fence))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ProductRow;
    use crate::test_support::lamp;

    const ID: ProductId = ProductId(7);

    fn written_under(fence: u64) -> Rows {
        let row = ProductRow { product: lamp(ID, 10), received: 10, fence, next_due: None };
        Rows { products: BTreeMap::from([(ID, row)]), ..Rows::default() }
    }

    #[test]
    fn newer_fence_finds_a_row_written_under_a_newer_lease() {
        let fences = BTreeMap::from([(ProductId(1), 1), (ID, 5)]);
        assert_eq!(newer_fence(&written_under(4), &fences), None);
        assert_eq!(newer_fence(&written_under(5), &fences), None, "it is our own");
        assert_eq!(newer_fence(&written_under(6), &fences), Some((ID, 6)));
        assert_eq!(newer_fence(&written_under(6), &BTreeMap::new()), None, "we have no lease");
    }
}
