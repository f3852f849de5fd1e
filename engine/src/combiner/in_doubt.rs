//! In-doubt commits: COMMIT was sent, and the connection was lost before the
//! response came.

use std::time::Instant;

use crate::ledger::{Changes, Decision};
use crate::store::{Session, StoreError};

#[derive(Debug)]
pub(super) struct DecidedBatch {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
    /// When the products were locked.
    pub locked_at: Instant,
}

#[derive(Debug)]
pub(super) struct InDoubtCommit {
    pub batch_id: u64,
    pub decided: Box<DecidedBatch>,
    /// Whether it was decided speculatively.
    pub is_speculative: bool,
    /// Whether it held its row locks when it was sent. A later transaction that
    /// has the same locks then sees it committed, or knows that it never will
    /// be.
    had_locks: bool,
    /// Whether such a transaction has found it absent.
    is_absent: bool,
}

impl InDoubtCommit {
    pub fn new(batch_id: u64, decided: DecidedBatch, had_locks: bool) -> Self {
        let (decided, is_speculative, is_absent) = (Box::new(decided), false, false);
        Self { batch_id, decided, is_speculative, had_locks, is_absent }
    }

    pub fn speculative(batch_id: u64, decided: DecidedBatch) -> Self {
        Self { is_speculative: true, ..Self::new(batch_id, decided, false) }
    }
}

/// The in-doubt commits of earlier attempts at the same commands.
#[derive(Default)]
pub(super) struct InDoubtCommits {
    commits: Vec<InDoubtCommit>,
}

impl InDoubtCommits {
    pub fn add(&mut self, commit: InDoubtCommit) {
        self.commits.push(commit);
    }

    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Returns whether the outcome of a commit is still unknown.
    pub fn is_unresolved(&self) -> bool {
        self.commits.iter().any(|commit| !commit.is_absent)
    }

    /// Looks the commits up by their batch ids, under the locks of their rows if
    /// there are any, and returns the one that was committed.
    ///
    /// The next attempt looks up an absent commit again: the locks are those of
    /// one server, and on a cluster another may apply the commit later. It then
    /// fails this attempt, since both write the same version of a row.
    pub async fn resolve(
        &mut self,
        session: &mut dyn Session,
        has_locks: bool,
    ) -> Result<Option<DecidedBatch>, StoreError> {
        for at in 0..self.commits.len() {
            if session.landed(self.commits[at].batch_id).await? {
                return Ok(Some(*self.commits.swap_remove(at).decided));
            }
            self.commits[at].is_absent |= self.commits[at].had_locks && has_locks;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl InDoubtCommit {
        /// Builds the commit of a transaction that changed nothing.
        pub fn empty(batch_id: u64, had_locks: bool) -> Self {
            let (decisions, changes) = (Vec::new(), Changes::default());
            let locked_at = crate::runtime::now();
            Self::new(batch_id, DecidedBatch { decisions, changes, locked_at }, had_locks)
        }

        pub fn absent(self) -> Self {
            Self { is_absent: true, ..self }
        }
    }

    impl InDoubtCommits {
        pub fn from_one(commit: InDoubtCommit) -> Self {
            Self { commits: vec![commit] }
        }
    }

    #[test]
    fn in_doubt_commits_are_unresolved_until_all_are_absent() {
        let none = InDoubtCommits::default();
        assert!(none.is_empty() && !none.is_unresolved());
        let open = InDoubtCommits::from_one(InDoubtCommit::empty(1, true));
        assert!(!open.is_empty() && open.is_unresolved());
        let mut both = InDoubtCommits::from_one(InDoubtCommit::empty(2, true).absent());
        assert!(!both.is_empty() && !both.is_unresolved(), "it is looked up all the same");
        open.commits.into_iter().for_each(|commit| both.add(commit));
        assert!(both.is_unresolved(), "one of them is not absent");
    }
}
