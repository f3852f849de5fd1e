//! Executes a batch in one transaction: retries with backoff, resolves in-doubt
//! commits, and bisects a batch that fails for a reason of a single request.

use backon::BackoffBuilder;
use futures_util::future::BoxFuture;

use super::attempt::{Attempt, AttemptError, attempt, attempt_speculative};
use super::completion::{IdReuse, RequestOutcome, UnusedIds, complete};
use super::context::Context;
use super::in_doubt::{DecidedBatch, InDoubtCommit, InDoubtCommits};
use super::leases::Leases;
use super::queue::BatchSlot;
use super::read_set;
use super::request::PendingRequest;
use crate::error::{Error, ErrorKind};
use crate::ledger::{Attributed, Command};
use crate::mechanisms::Mechanism;
use crate::metrics::observe;
use crate::model::TokenSeed;
use crate::runtime;
use crate::services::Services;
use crate::store::{Fault, ReadSet, Sequence, Session, StoreError, batch_id, pauses};

/// Executes the requests in one transaction, with retries. Bisects the batch if
/// a fault persists that one request may cause, so that no request gets the
/// error of another.
pub(super) fn execute<'a>(
    context: &'a Context,
    mut requests: Vec<Box<PendingRequest>>,
    slot: &'a BatchSlot,
    leases: &'a mut Leases,
) -> BoxFuture<'a, Vec<RequestOutcome>> {
    Box::pin(async move {
        let mut id_reuse = IdReuse::Allowed;
        let error = match assign_ids(context, &mut requests).await {
            Err(error) => error.into(),
            Ok(seed) => {
                match run_with_retries(context, &mut requests, seed, slot, leases, &mut id_reuse)
                    .await
                {
                    Ok(decided) => return complete(context, requests, decided, id_reuse),
                    Err(BatchError::Common(error)) => error,
                    Err(BatchError::PerRequest(error)) if requests.len() == 1 => {
                        error_for_single(error, &requests[0].command)
                    }
                    Err(BatchError::PerRequest(error)) => {
                        context.services.metrics.retry("bisect");
                        if error.fault == Fault::TooLarge {
                            context.queue.lanes().shrink_batch_size(requests.len());
                        }
                        tracing::warn!(%error, requests = requests.len(), "bisecting a failed batch");
                        let mut unused = UnusedIds::default();
                        requests.iter().for_each(|request| unused.add(&request.command));
                        unused.release(&context.ids, id_reuse);
                        let rest = requests.split_off(requests.len() / 2);
                        let mut outcomes = execute(context, requests, slot, leases).await;
                        outcomes.extend(execute(context, rest, slot, leases).await);
                        return outcomes;
                    }
                }
            }
        };
        let fail = |request| RequestOutcome::Respond(request, Err(error.clone()));
        requests.into_iter().map(fail).collect()
    })
}

/// Returns the error of a request that fails in a batch of its own.
fn error_for_single(error: StoreError, command: &Command) -> Error {
    // Contention or load, not a fault of the request.
    if error.fault.is_transient() || error.fault == Fault::TooLarge {
        return error.into();
    }
    tracing::error!(%error, ?command, "the store rejected a request");
    Error::caused(ErrorKind::Internal, "the store rejected the request", error)
}

/// Why a batch failed.
#[derive(Debug)]
enum BatchError {
    /// The reason concerns all requests alike.
    Common(Error),
    /// The reason may lie in one of the requests.
    PerRequest(StoreError),
}

/// Assigns new ids after a unique key was taken. Discards the id blocks, since
/// another process may use the rest of them, too.
async fn renew_ids(
    context: &Context,
    requests: &mut [Box<PendingRequest>],
    plan: &mut TransactionPlan,
) -> Result<(), StoreError> {
    context.ids.discard_blocks();
    let seed = assign_ids(context, requests).await?;
    *plan = TransactionPlan::new(context, requests, seed);
    plan.stop_speculating(requests);
    Ok(())
}

/// Assigns ids and tokens, and returns the seed of the tokens.
async fn assign_ids(
    context: &Context,
    requests: &mut [Box<PendingRequest>],
) -> Result<TokenSeed, StoreError> {
    let products = read_set::count_products(requests);
    if products > 0 {
        // Not from a block: a shop's products have ids without large gaps.
        let count = u64::try_from(products).unwrap_or(u64::MAX);
        let first = context.services.store.draw(Sequence::Product, count).await?;
        read_set::assign_products(requests, first);
    }
    let (holds, orders) = read_set::count_ids(requests);
    let hold_ids = context.ids.take(Sequence::Hold, holds).await?;
    let order_ids = context.ids.take(Sequence::Order, orders).await?;
    Ok(read_set::assign_ids(requests, hold_ids, order_ids))
}

async fn run_with_retries(
    context: &Context,
    requests: &mut [Box<PendingRequest>],
    seed: TokenSeed,
    slot: &BatchSlot,
    leases: &mut Leases,
    id_reuse: &mut IdReuse,
) -> Result<DecidedBatch, BatchError> {
    let services = &context.services;
    let mut plan = TransactionPlan::new(context, requests, seed);
    let mut pauses = pauses(services.config.retries).build();
    let mut in_doubt = InDoubtCommits::default();
    let mut stale = 0_u32;
    let mut is_renewed = false;
    loop {
        let result = run_once(context, requests, &plan, slot, leases, &mut in_doubt).await;
        let error = match result {
            Ok(decided) => return Ok(decided),
            Err(TryError::Lock(error)) => return Err(lock_error(error, &in_doubt)),
            Err(TryError::Attempt(AttemptError::Stale(product, row_fence))) => {
                stale += 1;
                // After that many, the row lock alone is enough.
                let reacquire = stale <= services.config.retries;
                leases.drop_stale(context, product, row_fence, reacquire).await;
                continue;
            }
            Err(TryError::Attempt(AttemptError::Misspeculation)) => {
                services.metrics.retry("misspeculation");
                plan.stop_speculating(requests);
                continue;
            }
            Err(TryError::Attempt(AttemptError::InDoubt(error, commit))) => {
                in_doubt.add(commit);
                error
            }
            // `run_once` has already resolved a rejected commit.
            Err(TryError::Attempt(
                AttemptError::RolledBack(error) | AttemptError::Rejected(error, _),
            )) => error,
        };
        plan.stop_speculating(requests);
        if error.fault == Fault::Lost || !in_doubt.is_empty() {
            *id_reuse = IdReuse::Forbidden;
        }
        services.metrics.retry(error.fault.cause());
        // While a commit with the same ids is in doubt, the ids stay: the unique
        // keys and the products' versions then let only one of the two be applied.
        if error.fault == Fault::Duplicate && in_doubt.is_empty() {
            if let Err(error) = renew_ids(context, requests, &mut plan).await {
                return Err(BatchError::Common(error.into()));
            }
            // New ids resolve a collision of ids, so the first retry needs no pause.
            if !std::mem::replace(&mut is_renewed, true) {
                continue;
            }
        }
        // With a commit in doubt the batch is not bisected: the halves would not
        // look for it and could execute their commands twice.
        if !error.fault.is_transient() && in_doubt.is_empty() {
            return Err(BatchError::PerRequest(error));
        }
        let Some(pause) = pauses.next() else {
            return Err(retries_exhausted(error, &in_doubt));
        };
        tracing::debug!(%error, ?pause, "retrying a transaction");
        runtime::sleep(pause).await;
    }
}

/// The rows to read for a batch, and whether to read them.
struct TransactionPlan {
    read_set: ReadSet,
    /// Whether speculation is allowed: on cached rows, and on fresh keys being
    /// unused.
    may_speculate: bool,
}

impl TransactionPlan {
    fn new(context: &Context, requests: &[Box<PendingRequest>], seed: TokenSeed) -> Self {
        let Services { policy, config, .. } = &*context.services;
        Self {
            read_set: read_set::build(requests, policy, config.sweep_batch, seed),
            may_speculate: true,
        }
    }

    /// Switches to the locking path, from the second attempt on: no speculation,
    /// and every key is read.
    fn stop_speculating(&mut self, requests: &[Box<PendingRequest>]) {
        self.may_speculate = false;
        read_set::read_every_key(&mut self.read_set, requests);
    }
}

/// Returns the error of a batch that did not get its locks.
fn lock_error(error: Error, in_doubt: &InDoubtCommits) -> BatchError {
    BatchError::Common(if in_doubt.is_unresolved() { in_doubt_error(error) } else { error })
}

/// Returns the error of a batch whose retries are exhausted.
fn retries_exhausted(error: StoreError, in_doubt: &InDoubtCommits) -> BatchError {
    match error.fault {
        _ if in_doubt.is_unresolved() => BatchError::Common(in_doubt_error(error)),
        Fault::Lost | Fault::Exhausted => BatchError::Common(error.into()),
        Fault::Deadlock | Fault::LockWait => {
            let why = "row lock contention outlasted all retries; try again";
            BatchError::Common(Error::caused(ErrorKind::Contention, why, error))
        }
        // One request may cause a unique key that stays taken.
        _ if in_doubt.is_empty() => BatchError::PerRequest(error),
        _ => BatchError::Common(in_doubt_error(error)),
    }
}

/// Returns the error of a batch with an in-doubt commit.
fn in_doubt_error(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let why = "the store became unreachable during a commit, so its outcome is unknown; \
               retry with the same idempotency key";
    Error::caused(ErrorKind::Unavailable, why, cause)
}

enum TryError {
    Attempt(AttemptError),
    /// Strict mode did not get its locks.
    Lock(Error),
}

async fn run_once(
    context: &Context,
    requests: &[Box<PendingRequest>],
    plan: &TransactionPlan,
    slot: &BatchSlot,
    leases: &mut Leases,
    in_doubt: &mut InDoubtCommits,
) -> Result<DecidedBatch, TryError> {
    let rolled_back = |error| TryError::Attempt(AttemptError::RolledBack(error));
    let Context { services, speculation, queue, ids: allocator } = context;
    let ids = allocator.take(Sequence::Batch, 1).await.map_err(rolled_back)?;
    let batch_id = batch_id(ids.first().copied().unwrap_or_default());
    // The connection comes before the lock: a wait for the connection pool must
    // not keep other processes from the product.
    let mut session = services.store.session().await.map_err(rolled_back)?;
    leases.acquire(context, slot).await.map_err(TryError::Lock)?;
    failpoint!(AfterLock);
    let since = runtime::now();
    let fences = leases.fences();
    let commands: Vec<Attributed<'_>> =
        requests.iter().map(|request| request.attributed()).collect();
    let mut speculative = None;
    // Speculation needs the store's time; the locking path reads it.
    if plan.may_speculate
        && services.is_on(Mechanism::Speculation)
        && let Some(now) = services.store.speculative_now()
    {
        let products = &plan.read_set.products;
        speculative = speculation.decide(&services.policy, products, &commands, fences, now);
    }
    let (read_set, commands) = (&plan.read_set, commands.as_slice());
    let input = Attempt { read_set, commands, batch_id, fences, speculation };
    let result = match speculative {
        Some(speculative) => attempt_speculative(session.as_mut(), &input, speculative).await,
        None => attempt(services, session.as_mut(), &input, in_doubt).await,
    };
    // Also of a rejected batch that turns out to be committed: only an attempt that
    // succeeds records its rows.
    if result.is_err() {
        speculation.invalidate(&read_set.products);
    }
    let result = match result {
        Err(AttemptError::Rejected(error, commit)) => {
            resolve_rejected(session.as_mut(), error, commit).await
        }
        result => result,
    };
    match result {
        Ok(decided) => {
            let took = runtime::elapsed(since);
            observe(&services.metrics.transaction_seconds, took);
            queue.lanes().adapt_batch_size(commands.len(), took);
            if decided.changes.is_empty() {
                allocator.release(Sequence::Batch, ids);
            } else {
                services.metrics.transactions.inc();
            }
            Ok(decided)
        }
        Err(error) => {
            // Dropping a session that cannot roll back closes its connection.
            let _ = session.rollback().await;
            Err(TryError::Attempt(error))
        }
    }
}

/// Resolves a batch whose guards failed on rows that it may have written itself:
/// a proxy that loses the response to a request may send it again. The second
/// run waits for the row locks of the first, so one lookup is conclusive.
async fn resolve_rejected(
    session: &mut dyn Session,
    error: StoreError,
    commit: InDoubtCommit,
) -> Result<DecidedBatch, AttemptError> {
    if let Err(error) = session.rollback().await {
        return Err(AttemptError::InDoubt(error, commit));
    }
    match session.landed(commit.batch_id).await {
        Ok(true) => Ok(*commit.decided),
        Ok(false) if commit.is_speculative && error.fault == Fault::Conflict => {
            Err(AttemptError::Misspeculation)
        }
        Ok(false) => Err(AttemptError::RolledBack(error)),
        Err(error) => Err(AttemptError::InDoubt(error, commit)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::{IdempotencyKey, NewHold};
    use crate::model::{HoldId, ProductId, Token};

    const CONTENTION: &str = "contention";
    const UNAVAILABLE: &str = "unavailable";
    const INTERNAL: &str = "internal";

    #[test]
    fn error_for_single_distinguishes_contention_from_internal_faults() {
        let code = |fault| {
            let command = Command::Release { hold_id: HoldId(1), token: None, by_operator: false };
            error_for_single(StoreError::new(fault, "x"), &command).code().to_owned()
        };
        assert_eq!(code(Fault::Duplicate), CONTENTION, "not a fault of the request");
        assert_eq!(code(Fault::Conflict), CONTENTION);
        assert_eq!(code(Fault::Lost), UNAVAILABLE);
        assert_eq!(
            code(Fault::TooLarge),
            UNAVAILABLE,
            "the server accepts no request of that size"
        );
        assert_eq!(code(Fault::Invariant), INTERNAL);
        assert_eq!(code(Fault::Fatal), INTERNAL);
    }

    #[test]
    fn stop_speculating_reads_every_key() {
        let key = || {
            let (key, fingerprint) = ("k".to_owned(), [0; 32]);
            Some(Box::new(IdempotencyKey {
                key,
                fingerprint,
                keeps_refusals: false,
                is_fresh: true,
            }))
        };
        let (id, token, product_id) = (HoldId(1), Token(1), ProductId(1));
        let hold = NewHold { id, token, product_id, sku: None, quantity: 1, least: 1 };
        let ttl = Duration::from_secs(1);
        let command = Command::Hold { hold, ttl, customer: None, metadata: None, key: key() };
        let sender = tokio::sync::oneshot::channel().0;
        let requests = [PendingRequest::new(command, [], sender, runtime::now())];
        let mut plan = TransactionPlan { read_set: ReadSet::default(), may_speculate: true };
        plan.stop_speculating(&requests);
        assert!(!plan.may_speculate);
        assert_eq!(plan.read_set.keys, ["k"]);
    }

    #[test]
    fn retries_exhausted_reports_in_doubt_commits_as_unavailable() {
        let none = InDoubtCommits::default();
        let lost = || InDoubtCommit::empty(1, true);
        let (open, absent) =
            (InDoubtCommits::from_one(lost()), InDoubtCommits::from_one(lost().absent()));
        // `None`: the batch is bisected.
        let code = |fault, in_doubt| match retries_exhausted(StoreError::new(fault, "x"), in_doubt)
        {
            BatchError::Common(error) => Some(error.code().to_owned()),
            BatchError::PerRequest(_) => None,
        };
        for (fault, wanted) in [
            (Fault::Deadlock, [Some(CONTENTION), Some(UNAVAILABLE), Some(CONTENTION)]),
            (Fault::LockWait, [Some(CONTENTION), Some(UNAVAILABLE), Some(CONTENTION)]),
            (Fault::Lost, [Some(UNAVAILABLE); 3]),
            (Fault::Exhausted, [Some(UNAVAILABLE); 3]),
            (Fault::Duplicate, [None, Some(UNAVAILABLE), Some(UNAVAILABLE)]),
            (Fault::Fatal, [None, Some(UNAVAILABLE), Some(UNAVAILABLE)]),
        ] {
            let codes = [&none, &open, &absent].map(|in_doubt| code(fault, in_doubt));
            assert_eq!(codes.each_ref().map(Option::as_deref), wanted, "{fault:?}");
        }
        let codes = [&none, &open, &absent].map(|in_doubt| {
            match lock_error(Error::new(ErrorKind::Contention, "x"), in_doubt) {
                BatchError::Common(error) => error.code().to_owned(),
                BatchError::PerRequest(_) => String::new(),
            }
        });
        assert_eq!(codes, [CONTENTION, UNAVAILABLE, CONTENTION]);
    }
}
