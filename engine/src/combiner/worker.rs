//! Serving a batch: locks, attempts, and the answers.

use backon::BackoffBuilder;
use futures_util::future::BoxFuture;

use super::batch::{
    Attempt, AttemptError, Commit, Decided, InDoubtCommits, attempt, attempt_speculative,
};
use super::leases::{self, Leases};
use super::replies::{BatchOutcome, UnusedIds, settle};
use super::{BatchSlot, Combiner, Parts, Reply, Request, early_inserts, read_set};
use crate::error::{Error, ErrorKind};
use crate::ledger::Command;
use crate::metrics::observe;
use crate::runtime;
use crate::store::{Fault, ReadSet, Sequence, Session, StoreError, batch_id, pauses};

/// Serves a batch from its locks to its answers, and frees its lanes.
pub(super) async fn serve(combiner: &Combiner, requests: Vec<Request>, slot: &BatchSlot) {
    let (requests, mut outcomes) = reject_expired(combiner, requests);
    if !requests.is_empty() {
        combiner.parts.metrics.batch_size.observe(requests.len() as f64);
        let mut leases = Leases::default();
        outcomes.extend(decide_all(combiner, requests, slot, &mut leases).await);
    }
    let mut replies = Vec::with_capacity(outcomes.len());
    let mut again = Vec::new();
    for outcome in outcomes {
        match outcome {
            BatchOutcome::Reply(request, reply) => replies.push((request, reply)),
            BatchOutcome::Requeue(request) => again.push(request),
        }
    }
    // The next batch of these lanes may begin while answers are handed out.
    let lease_actions = combiner.finish(slot, again);
    failpoint!(BeforeAnswer);
    send_replies(combiner, replies);
    leases::part(combiner, lease_actions).await;
}

fn send_replies(combiner: &Combiner, replies: Vec<(Request, Reply)>) {
    combiner.parts.metrics.requests.inc_by(replies.len() as u64);
    for (request, reply) in replies {
        // A caller who has gone does not want the answer.
        let _ = request.reply.send(reply);
    }
}

/// Sorts out requests whose callers have gone or have waited too long.
pub(super) fn reject_expired(
    combiner: &Combiner,
    requests: Vec<Request>,
) -> (Vec<Request>, Vec<BatchOutcome>) {
    let wait = combiner.parts.config.queue_wait;
    let now = runtime::now();
    let mut outcomes = Vec::new();
    let mut alive = Vec::with_capacity(requests.len());
    for request in requests {
        if request.reply.is_closed() {
            continue;
        }
        if now.duration_since(request.since) > wait {
            let why = "the request waited too long for its turn";
            outcomes
                .push(BatchOutcome::Reply(request, Err(Error::new(ErrorKind::Contention, why))));
        } else {
            alive.push(request);
        }
    }
    (alive, outcomes)
}

/// Decides the requests in one transaction, tried again when that may help. A
/// fault that stays is narrowed down to the request that causes it, so that no
/// one gets a neighbour's error.
pub(super) fn decide_all<'a>(
    combiner: &'a Combiner,
    mut requests: Vec<Request>,
    slot: &'a BatchSlot,
    leases: &'a mut Leases,
) -> BoxFuture<'a, Vec<BatchOutcome>> {
    Box::pin(async move {
        let error = match assign_ids(combiner, &mut requests).await {
            Err(error) => error.into(),
            Ok(()) => match transact(combiner, &mut requests, slot, leases).await {
                Ok(decided) => return settle(combiner, requests, decided),
                Err(Refused::All(error)) => error,
                Err(Refused::Some(error)) if requests.len() == 1 => {
                    error_for_single(error, &requests[0].command)
                }
                Err(Refused::Some(error)) => {
                    combiner.parts.metrics.retry("bisect");
                    if error.fault == Fault::TooLarge {
                        combiner.lanes().shrink(requests.len());
                    }
                    tracing::warn!(%error, requests = requests.len(), "a batch failed; trying halves");
                    let mut unused = UnusedIds::default();
                    requests.iter().for_each(|request| unused.add(&request.command));
                    unused.give_back(&combiner.ids);
                    let rest = requests.split_off(requests.len() / 2);
                    let mut outcomes = decide_all(combiner, requests, slot, leases).await;
                    outcomes.extend(decide_all(combiner, rest, slot, leases).await);
                    return outcomes;
                }
            },
        };
        let refuse = |request| BatchOutcome::Reply(request, Err(error.clone()));
        requests.into_iter().map(refuse).collect()
    })
}

/// What to say to a request that fails by itself.
fn error_for_single(error: StoreError, command: &Command) -> Error {
    // Not its own fault: others were always faster.
    if error.fault.is_transient() || error.fault == Fault::TooLarge {
        return error.into();
    }
    tracing::error!(%error, ?command, "a request cannot be done");
    Error::caused(ErrorKind::Internal, "the store refused the request", error)
}

/// Why no transaction could be had.
#[derive(Debug)]
enum Refused {
    /// For a reason that concerns all alike.
    All(Error),
    /// For a reason that may lie in one of the requests.
    Some(StoreError),
}

/// Gives the requests other ids, where theirs or a batch's key is taken. The
/// rest of the blocks is dropped, since another process may have them, too.
async fn renew_ids(
    combiner: &Combiner,
    requests: &mut [Request],
    work: &mut Work,
) -> Result<(), StoreError> {
    combiner.ids.discard();
    assign_ids(combiner, requests).await?;
    *work = Work::of(combiner, requests);
    work.stop_speculating();
    Ok(())
}

async fn assign_ids(combiner: &Combiner, requests: &mut [Request]) -> Result<(), StoreError> {
    let (holds, orders) = read_set::count_ids(requests);
    let hold_ids = combiner.ids.take(Sequence::Hold, holds).await?;
    let order_ids = combiner.ids.take(Sequence::Order, orders).await?;
    read_set::assign_ids(requests, hold_ids, order_ids);
    Ok(())
}

async fn transact(
    combiner: &Combiner,
    requests: &mut [Request],
    slot: &BatchSlot,
    leases: &mut Leases,
) -> Result<Decided, Refused> {
    let parts = &combiner.parts;
    let mut work = Work::of(combiner, requests);
    let mut pauses = pauses(parts.config.retries).build();
    let mut in_doubt = InDoubtCommits::default();
    let mut stale = 0_u32;
    let mut is_renewed = false;
    loop {
        let result = try_once(combiner, &mut work, slot, leases, &mut in_doubt).await;
        let error = match result {
            Ok(decided) => return Ok(decided),
            Err(TryError::Refused(error)) => return Err(refused(error, &in_doubt)),
            Err(TryError::Failed(AttemptError::Stale(product, seen))) => {
                stale += 1;
                // If that does not help, the row lock alone is enough.
                let ask_anew = stale <= parts.config.retries;
                leases.drop_stale(combiner, product, seen, ask_anew).await;
                continue;
            }
            Err(TryError::Failed(AttemptError::Misspeculation)) => {
                parts.metrics.retry("misspeculation");
                work.stop_speculating();
                continue;
            }
            Err(TryError::Failed(AttemptError::InDoubt(error, commit))) => {
                in_doubt.add(commit);
                error
            }
            // One that was refused has been resolved by now.
            Err(TryError::Failed(
                AttemptError::RolledBack(error) | AttemptError::Rejected(error, _),
            )) => error,
        };
        work.stop_speculating();
        parts.metrics.retry(error.fault.cause());
        // Not while a commit of the same ids may still come: it is to fail this
        // one rather than stand beside it.
        if error.fault == Fault::Duplicate && in_doubt.is_empty() {
            if let Err(error) = renew_ids(combiner, requests, &mut work).await {
                return Err(Refused::All(error.into()));
            }
            // That alone helps where an id was taken.
            if !std::mem::replace(&mut is_renewed, true) {
                continue;
            }
        }
        // What may have landed is looked for by each try, not done again in
        // halves that would know nothing of it.
        if !error.fault.is_transient() && in_doubt.is_empty() {
            return Err(Refused::Some(error));
        }
        let Some(pause) = pauses.next() else {
            return Err(retries_exhausted(error, &in_doubt));
        };
        tracing::debug!(%error, ?pause, "a transaction is tried again");
        runtime::sleep(pause).await;
    }
}

/// What a batch is to do.
struct Work {
    commands: Vec<Command>,
    read_set: ReadSet,
    /// Whether rows may be taken for what they were, and fresh keys for fresh.
    may_speculate: bool,
}

impl Work {
    fn of(combiner: &Combiner, requests: &[Request]) -> Self {
        let Parts { policy, config, .. } = &combiner.parts;
        Self {
            commands: requests.iter().map(|request| request.command.clone()).collect(),
            read_set: read_set::of(requests, policy, config.sweep_batch),
            may_speculate: true,
        }
    }

    /// From the second try on, nothing is foreseen or done ahead and every key
    /// is read.
    fn stop_speculating(&mut self) {
        self.may_speculate = false;
        early_inserts::forget(&mut self.commands, &mut self.read_set);
        read_set::read_every_key(&mut self.read_set, &self.commands);
    }
}

/// What to say when an attempt could not begin.
fn refused(error: Error, in_doubt: &InDoubtCommits) -> Refused {
    Refused::All(if in_doubt.is_open() { in_doubt_error(error) } else { error })
}

/// What to say when the attempts are spent.
fn retries_exhausted(error: StoreError, in_doubt: &InDoubtCommits) -> Refused {
    match error.fault {
        _ if in_doubt.is_open() => Refused::All(in_doubt_error(error)),
        Fault::Lost | Fault::Exhausted => Refused::All(error.into()),
        Fault::Deadlock | Fault::LockWait => {
            let why = "the rows were wanted by too many at once";
            Refused::All(Error::caused(ErrorKind::Contention, why, error))
        }
        // Unique keys that stay taken may be the doing of one request.
        _ if in_doubt.is_empty() => Refused::Some(error),
        _ => Refused::All(in_doubt_error(error)),
    }
}

/// What to say when it is not known what became of a commit.
fn in_doubt_error(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let why = "the store went away in the middle of a commit; ask again what became of it";
    Error::caused(ErrorKind::Unavailable, why, cause)
}

enum TryError {
    Failed(AttemptError),
    Refused(Error),
}

async fn try_once(
    combiner: &Combiner,
    work: &mut Work,
    slot: &BatchSlot,
    leases: &mut Leases,
    in_doubt: &mut InDoubtCommits,
) -> Result<Decided, TryError> {
    let nothing = |error| TryError::Failed(AttemptError::RolledBack(error));
    let parts = &combiner.parts;
    let ids = combiner.ids.take(Sequence::Batch, 1).await.map_err(nothing)?;
    let batch_id = batch_id(ids.first().copied().unwrap_or_default());
    // The connection before the lock: who waits for a connection must not
    // keep others from the product.
    let mut session = parts.store.session().await.map_err(nothing)?;
    leases.acquire(combiner, slot).await.map_err(TryError::Refused)?;
    failpoint!(AfterLock);
    let since = runtime::now();
    let open = |admission| combiner.open(slot, admission);
    let Combiner { speculation, .. } = combiner;
    let fences = leases.fences();
    let mut speculative = None;
    // Where the store's time is not known well enough, it is asked for first.
    if work.may_speculate
        && let Some(now) = parts.store.speculative_now()
    {
        let products = &work.read_set.products;
        speculative = speculation.decide(&parts.policy, products, &work.commands, fences, now);
        if speculative.is_none() {
            work.read_set.early_inserts = early_inserts::choose(parts, &mut work.commands, now);
        }
    }
    let Work { read_set, commands, .. } = &*work;
    let input = Attempt { read_set, commands, batch_id, fences, speculation };
    let result = match speculative {
        Some(speculative) => {
            attempt_speculative(session.as_mut(), &input, speculative, &open).await
        }
        None => attempt(parts, session.as_mut(), &input, in_doubt, &open).await,
    };
    let result = match result {
        Err(AttemptError::Rejected(error, commit)) => {
            resolve(session.as_mut(), error, commit).await
        }
        result => result,
    };
    if result.is_err() {
        speculation.forget(&read_set.products);
    }
    match result {
        Ok(decided) => {
            let took = runtime::elapsed(since);
            observe(&parts.metrics.transaction_seconds, took);
            combiner.lanes().learn(commands.len(), took);
            if decided.changes.is_empty() {
                combiner.ids.give_back(Sequence::Batch, ids);
            } else {
                parts.metrics.transactions.inc();
            }
            Ok(decided)
        }
        Err(failure) => {
            // What cannot be rolled back is closed when the session is dropped.
            let _ = session.rollback().await;
            Err(TryError::Failed(failure))
        }
    }
}

/// Finds out what became of a batch that was refused for rows that it may have
/// written itself: a proxy that loses the answer to a text may send it again.
/// The rows are met only once the first run has ended, so one look tells.
async fn resolve(
    session: &mut dyn Session,
    error: StoreError,
    commit: Commit,
) -> Result<Decided, AttemptError> {
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
    use crate::ledger::{Keyed, NewHold};
    use crate::model::{HoldId, ProductId, Timestamp, Token};

    const CONTENTION: &str = "contention";
    const UNAVAILABLE: &str = "unavailable";
    const INTERNAL: &str = "internal";

    #[test]
    fn a_request_that_fails_alone_is_told_whose_fault_it_was() {
        let told = |fault| {
            let command = Command::Release { hold_id: HoldId(1), token: None };
            error_for_single(StoreError::new(fault, "x"), &command).code().to_owned()
        };
        assert_eq!(told(Fault::Duplicate), CONTENTION, "others were always faster");
        assert_eq!(told(Fault::Conflict), CONTENTION);
        assert_eq!(told(Fault::Lost), UNAVAILABLE);
        assert_eq!(told(Fault::TooLarge), UNAVAILABLE, "the server takes no text of that size");
        assert_eq!(told(Fault::Invariant), INTERNAL);
        assert_eq!(told(Fault::Fatal), INTERNAL);
    }

    #[test]
    fn from_the_second_try_on_nothing_is_presumed() {
        let key = || {
            let (key, fingerprint) = ("k".to_owned(), [0; 32]);
            Some(Keyed { key, fingerprint, keeps_refusals: false, is_fresh: true })
        };
        let now = Timestamp::from_micros(5);
        let (id, token, product_id) = (HoldId(1), Token(1), ProductId(1));
        let hold = |at| NewHold { id, token, product_id, qty: 1, at };
        let ttl = Duration::from_secs(1);
        let command = |at| Command::Hold { hold: hold(at), ttl, customer: None, key: key() };
        let early_inserts = vec![hold(Some(now)).made(now, ttl)];
        let read_set = ReadSet { early_inserts, ..ReadSet::default() };
        let mut work = Work { commands: vec![command(Some(now))], read_set, may_speculate: true };
        work.stop_speculating();
        assert!(!work.may_speculate);
        assert_eq!(work.commands, [command(None)]);
        assert!(work.read_set.early_inserts.is_empty());
        assert_eq!(work.read_set.keys, ["k"]);
    }

    #[test]
    fn who_has_no_attempts_left_is_told_what_is_known() {
        let none = InDoubtCommits::default();
        let lost = || Commit::of_nothing(1, true);
        let (open, missed) =
            (InDoubtCommits::of_one(lost()), InDoubtCommits::of_one(lost().missed()));
        // No code stands for a batch that is to be halved.
        let told = |fault, in_doubt| match retries_exhausted(StoreError::new(fault, "x"), in_doubt)
        {
            Refused::All(error) => Some(error.code().to_owned()),
            Refused::Some(_) => None,
        };
        for (fault, wanted) in [
            (Fault::Deadlock, [Some(CONTENTION), Some(UNAVAILABLE), Some(CONTENTION)]),
            (Fault::LockWait, [Some(CONTENTION), Some(UNAVAILABLE), Some(CONTENTION)]),
            (Fault::Lost, [Some(UNAVAILABLE); 3]),
            (Fault::Exhausted, [Some(UNAVAILABLE); 3]),
            (Fault::Duplicate, [None, Some(UNAVAILABLE), Some(UNAVAILABLE)]),
            (Fault::Fatal, [None, Some(UNAVAILABLE), Some(UNAVAILABLE)]),
        ] {
            let told = [&none, &open, &missed].map(|in_doubt| told(fault, in_doubt));
            assert_eq!(told.each_ref().map(Option::as_deref), wanted, "{fault:?}");
        }
        let told = [&none, &open, &missed].map(|in_doubt| {
            match refused(Error::new(ErrorKind::Contention, "x"), in_doubt) {
                Refused::All(error) => error.code().to_owned(),
                Refused::Some(_) => String::new(),
            }
        });
        assert_eq!(told, [CONTENTION, UNAVAILABLE, CONTENTION]);
    }
}
