//! One attempt at one transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::ledger::{Changes, Command, Decision, Rows, decide};
use crate::model::ProductId;
use crate::sold_out::Standing;
use crate::store::{Batch, Fault, Needs, Session, StoreError, Unfinished};

use super::foresight::{Foreseen, Foresight};
use super::lanes::Gate;
use super::{Parts, ahead};

/// What a transaction came to.
#[derive(Debug)]
pub(super) struct Decided {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
    /// How the products that were locked stand now, and when they were.
    pub products: Vec<Standing>,
    pub locked_at: Instant,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It surely left nothing behind.
    Nothing(StoreError),
    /// COMMIT was sent and no answer came: it may have landed.
    Unknown(StoreError, u64, Box<Decided>),
    /// The decision was not the one for which holds were written ahead.
    Unforeseen,
    /// The lease of this product was overtaken by one with this fence.
    Stale(ProductId, u64),
}

/// What one transaction is to do.
pub(super) struct Job<'a> {
    pub needs: &'a Needs,
    pub commands: &'a [Command],
    pub batch_id: u64,
    pub fences: &'a BTreeMap<ProductId, u64>,
    /// Told what the transaction leaves behind.
    pub foresight: &'a Foresight,
}

/// Earlier attempts at the same commands whose commits may have landed.
#[derive(Default)]
pub(super) struct Uncertain {
    commits: Vec<(u64, Box<Decided>)>,
    /// Whether the last of them has not been looked for.
    pub is_open: bool,
}

impl Uncertain {
    pub fn add(&mut self, batch_id: u64, decided: Box<Decided>) {
        self.commits.push((batch_id, decided));
        self.is_open = true;
    }

    /// Looks for them. One that is not there is looked for again by the next
    /// attempt: the row locks that wait for a commit still under way are those
    /// of one server, and on a cluster another may bring it later. It then
    /// fails this attempt, since both write the same version of a row.
    async fn look(&mut self, session: &mut dyn Session) -> Result<Option<Decided>, StoreError> {
        for at in 0..self.commits.len() {
            if session.landed(self.commits[at].0).await? {
                self.is_open = false;
                return Ok(Some(*self.commits.swap_remove(at).1));
            }
        }
        self.is_open = false;
        Ok(None)
    }
}

/// Decides the commands and commits, once.
///
/// What is `uncertain` is looked for under the same row locks, so that a commit
/// still under way is waited for. `open` is told when others may follow.
pub(super) async fn attempt(
    parts: &Parts,
    session: &mut dyn Session,
    job: &Job<'_>,
    uncertain: &mut Uncertain,
    open: &(dyn Fn(Gate) + Sync),
) -> Result<Decided, Failure> {
    let Job { needs, commands, batch_id, fences, foresight } = *job;
    let asked = Instant::now();
    let loaded = session.begin(needs).await.map_err(Failure::Nothing)?;
    let locked_at = Instant::now();
    failpoint!(AfterLoad);
    open(Gate::ForCrowd);
    if let Some(decided) = uncertain.look(session).await.map_err(Failure::Nothing)? {
        // It is known what became of it, so a fault from here on is none of
        // the callers'; a session that cannot roll back is closed.
        let _ = session.rollback().await;
        return Ok(decided);
    }
    if let Some((product, seen)) = overtaken(&loaded.rows, fences) {
        session.rollback().await.map_err(Failure::Nothing)?;
        return Err(Failure::Stale(product, seen));
    }
    let now = loaded.now;
    let mut products: Vec<_> = loaded.rows.products.values().map(Standing::from).collect();
    let (decisions, changes) = decide(&parts.policy, loaded.rows, commands, now);
    for change in &changes.products {
        let id = change.after.product.id;
        if let Ok(at) = products.binary_search_by_key(&id, |before| before.id) {
            products[at] = Standing::from(&change.after);
        }
    }
    if !ahead::is_as_foreseen(&needs.ahead, &changes, now) {
        session.rollback().await.map_err(Failure::Nothing)?;
        return Err(Failure::Unforeseen);
    }
    let decided = Decided { decisions, changes, products, locked_at };
    if decided.changes.is_empty() {
        session.rollback().await.map_err(Failure::Nothing)?;
        return Ok(decided);
    }
    let (changes, ahead) = (&decided.changes, &needs.ahead[..]);
    let batch = Batch { id: batch_id, now, changes, ahead, fences };
    foresight.learn(changes, fences, asked..locked_at);
    match session.commit(&batch, &|| open(Gate::Open)).await {
        Ok(()) => Ok(decided),
        Err(Unfinished::Nothing(error)) => Err(Failure::Nothing(error)),
        Err(Unfinished::Unknown(error)) => {
            Err(Failure::Unknown(error, batch_id, Box::new(decided)))
        }
    }
}

/// Writes and commits, in one round trip, what was decided before the rows were
/// read; `open` is told when others may follow.
pub(super) async fn attempt_foreseen(
    session: &mut dyn Session,
    job: &Job<'_>,
    foreseen: Foreseen,
    open: &(dyn Fn(Gate) + Sync),
) -> Result<Decided, Failure> {
    let Foreseen { decisions, changes, now } = foreseen;
    let products = changes.products.iter().map(|change| Standing::from(&change.after)).collect();
    let decided = Decided { decisions, changes, products, locked_at: Instant::now() };
    let Job { batch_id, fences, .. } = *job;
    let batch = Batch { id: batch_id, now, changes: &decided.changes, ahead: &[], fences };
    open(Gate::ForCrowd);
    match session.write(&batch).await {
        Ok(()) => Ok(decided),
        // A row was not as it was remembered.
        Err(Unfinished::Nothing(StoreError { fault: Fault::Conflict, .. })) => {
            Err(Failure::Unforeseen)
        }
        Err(Unfinished::Nothing(error)) => Err(Failure::Nothing(error)),
        Err(Unfinished::Unknown(error)) => {
            Err(Failure::Unknown(error, batch_id, Box::new(decided)))
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
