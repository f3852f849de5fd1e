//! One attempt at one transaction.

use std::collections::BTreeMap;

use crate::cache::CachedProduct;
use crate::ledger::{Changes, Command, Decision, ProductRow, Rows, decide};
use crate::model::ProductId;
use crate::store::{Batch, Needs, Session, StoreError};

use super::Parts;

/// What a transaction came to.
#[derive(Debug)]
pub(super) struct Decided {
    pub decisions: Vec<Decision>,
    pub changes: Changes,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It surely left nothing behind.
    Nothing(StoreError),
    /// COMMIT was sent and no answer came: it may have landed.
    Unknown(StoreError, u64, Box<Decided>),
    /// The lease of this product was overtaken by one with this fence.
    Stale(ProductId, u64),
}

/// A commit whose answer was lost.
pub(super) type Uncertain = (u64, Box<Decided>);

/// Decides the commands and commits, once.
///
/// `uncertain` is an earlier attempt at the same commands whose commit may
/// have landed. It is looked for under the same row locks, so that one still
/// under way is waited for.
pub(super) async fn attempt(
    parts: &Parts,
    session: &mut dyn Session,
    needs: &Needs,
    commands: &[Command],
    batch_id: u64,
    fences: &BTreeMap<ProductId, u64>,
    uncertain: &mut Option<Uncertain>,
) -> Result<Decided, Failure> {
    let loaded = session.begin(needs).await.map_err(Failure::Nothing)?;
    if let Some((earlier, _)) = uncertain {
        let landed = session.landed(*earlier).await.map_err(Failure::Nothing)?;
        if let Some((_, decided)) = uncertain.take().filter(|_| landed) {
            // It is known what became of it, so a fault from here on is none
            // of the callers'; a session that cannot roll back is closed.
            let _ = session.rollback().await;
            return Ok(*decided);
        }
    }
    if let Some((product, seen)) = overtaken(&loaded.rows, fences) {
        session.rollback().await.map_err(Failure::Nothing)?;
        return Err(Failure::Stale(product, seen));
    }
    let now = loaded.now;
    let (decisions, changes) = decide(&parts.policy, loaded.rows, commands, now);
    let decided = Decided { decisions, changes };
    if decided.changes.is_empty() {
        session.rollback().await.map_err(Failure::Nothing)?;
        return Ok(decided);
    }
    let batch = Batch { id: batch_id, now, changes: &decided.changes, fences };
    session.write(&batch).await.map_err(Failure::Nothing)?;
    match session.commit().await {
        Ok(()) => Ok(decided),
        Err(error) => Err(Failure::Unknown(error, batch_id, Box::new(decided))),
    }
}

/// A product whose row was written under a newer lease than ours.
fn overtaken(rows: &Rows, fences: &BTreeMap<ProductId, u64>) -> Option<(ProductId, u64)> {
    fences.iter().find_map(|(product, fence)| {
        let seen = rows.products.get(product)?.fence;
        (seen > *fence).then_some((*product, seen))
    })
}

/// The product rows that a commit left behind.
pub(super) fn committed_products(changes: &Changes) -> Vec<CachedProduct> {
    let cached =
        |row: &ProductRow| CachedProduct { product: row.product.clone(), next_due: row.next_due };
    changes.products.iter().map(|change| cached(&change.after)).collect()
}
