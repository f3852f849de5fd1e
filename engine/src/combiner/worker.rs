//! Serving a batch: locks, attempts, and the answers.

use backon::BackoffBuilder;
use futures_util::future::BoxFuture;

use super::answers::{Outcome, UnusedIds, settle};
use super::batch::{Commit, Decided, Failure, Job, Uncertain, attempt, attempt_foreseen};
use super::leases::{self, Leases};
use super::{Combiner, Parts, Reply, Request, Turn, ahead, needs};
use crate::error::{Error, ErrorKind};
use crate::ledger::Command;
use crate::metrics::observe;
use crate::runtime;
use crate::store::{Fault, Needs, Sequence, Session, StoreError, batch_id, pauses};

/// Serves a batch from its locks to its answers, and frees its lanes.
pub(super) async fn serve(combiner: &Combiner, requests: Vec<Request>, turn: &Turn) {
    let (requests, mut outcomes) = drop_dead(combiner, requests);
    if !requests.is_empty() {
        combiner.parts.metrics.batch_size.observe(requests.len() as f64);
        let mut leases = Leases::default();
        outcomes.extend(decide_all(combiner, requests, turn, &mut leases).await);
    }
    let mut replies = Vec::with_capacity(outcomes.len());
    let mut again = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Reply(request, reply) => replies.push((request, reply)),
            Outcome::Again(request) => again.push(request),
        }
    }
    // The next batch of these lanes may begin while answers are handed out.
    let partings = combiner.finish(turn, again);
    failpoint!(BeforeAnswer);
    hand_out(combiner, replies);
    leases::part(combiner, partings).await;
}

fn hand_out(combiner: &Combiner, replies: Vec<(Request, Reply)>) {
    combiner.parts.metrics.requests.inc_by(replies.len() as u64);
    for (request, reply) in replies {
        // A caller who has gone does not want the answer.
        let _ = request.reply.send(reply);
    }
}

/// Sorts out requests whose callers have gone or have waited too long.
pub(super) fn drop_dead(
    combiner: &Combiner,
    requests: Vec<Request>,
) -> (Vec<Request>, Vec<Outcome>) {
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
            outcomes.push(Outcome::Reply(request, Err(Error::new(ErrorKind::Contention, why))));
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
    turn: &'a Turn,
    leases: &'a mut Leases,
) -> BoxFuture<'a, Vec<Outcome>> {
    Box::pin(async move {
        let error = match assign_ids(combiner, &mut requests).await {
            Err(error) => error.into(),
            Ok(()) => match transact(combiner, &mut requests, turn, leases).await {
                Ok(decided) => return settle(combiner, requests, decided),
                Err(Refused::All(error)) => error,
                Err(Refused::Some(error)) if requests.len() == 1 => {
                    cannot_be_done(error, &requests[0].command)
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
                    let mut outcomes = decide_all(combiner, requests, turn, leases).await;
                    outcomes.extend(decide_all(combiner, rest, turn, leases).await);
                    return outcomes;
                }
            },
        };
        let refuse = |request| Outcome::Reply(request, Err(error.clone()));
        requests.into_iter().map(refuse).collect()
    })
}

/// What to say to a request that fails by itself.
fn cannot_be_done(error: StoreError, command: &Command) -> Error {
    // Not its own fault: others were always faster.
    if error.fault.is_passing() || error.fault == Fault::TooLarge {
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
    work.presume_nothing();
    Ok(())
}

async fn assign_ids(combiner: &Combiner, requests: &mut [Request]) -> Result<(), StoreError> {
    let (holds, orders) = needs::count_ids(requests);
    let hold_ids = combiner.ids.take(Sequence::Hold, holds).await?;
    let order_ids = combiner.ids.take(Sequence::Order, orders).await?;
    needs::assign_ids(requests, hold_ids, order_ids);
    Ok(())
}

async fn transact(
    combiner: &Combiner,
    requests: &mut [Request],
    turn: &Turn,
    leases: &mut Leases,
) -> Result<Decided, Refused> {
    let parts = &combiner.parts;
    let mut work = Work::of(combiner, requests);
    let mut pauses = pauses(parts.config.retries).build();
    let mut uncertain = Uncertain::default();
    let mut stale = 0_u32;
    let mut is_renewed = false;
    loop {
        let tried = one_try(combiner, &mut work, turn, leases, &mut uncertain).await;
        let error = match tried {
            Ok(decided) => return Ok(decided),
            Err(Tried::Refused(error)) => return Err(refused(error, &uncertain)),
            Err(Tried::Failed(Failure::Stale(product, seen))) => {
                stale += 1;
                // If that does not help, the row lock alone is enough.
                let ask_anew = stale <= parts.config.retries;
                leases.drop_stale(combiner, product, seen, ask_anew).await;
                continue;
            }
            Err(Tried::Failed(Failure::Unforeseen)) => {
                parts.metrics.retry("unforeseen");
                work.presume_nothing();
                continue;
            }
            Err(Tried::Failed(Failure::Unknown(error, commit))) => {
                uncertain.add(commit);
                error
            }
            // One that was refused has been resolved by now.
            Err(Tried::Failed(Failure::Nothing(error) | Failure::Refused(error, _))) => error,
        };
        work.presume_nothing();
        parts.metrics.retry(error.fault.cause());
        // Not while a commit of the same ids may still come: it is to fail this
        // one rather than stand beside it.
        if error.fault == Fault::Duplicate && uncertain.is_empty() {
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
        if !error.fault.is_passing() && uncertain.is_empty() {
            return Err(Refused::Some(error));
        }
        let Some(pause) = pauses.next() else {
            return Err(spent(error, &uncertain));
        };
        tracing::debug!(%error, ?pause, "a transaction is tried again");
        runtime::sleep(pause).await;
    }
}

/// What a batch is to do.
struct Work {
    commands: Vec<Command>,
    needs: Needs,
    /// Whether rows may be taken for what they were, and fresh keys for fresh.
    presumes: bool,
}

impl Work {
    fn of(combiner: &Combiner, requests: &[Request]) -> Self {
        let Parts { policy, config, .. } = &combiner.parts;
        Self {
            commands: requests.iter().map(|request| request.command.clone()).collect(),
            needs: needs::of(requests, policy, config.sweep_batch),
            presumes: true,
        }
    }

    /// From the second try on, nothing is foreseen or done ahead and every key
    /// is read.
    fn presume_nothing(&mut self) {
        self.presumes = false;
        ahead::forget(&mut self.commands, &mut self.needs);
        needs::read_every_key(&mut self.needs, &self.commands);
    }
}

/// What to say when an attempt could not begin.
fn refused(error: Error, uncertain: &Uncertain) -> Refused {
    Refused::All(if uncertain.is_open() { unsure(error) } else { error })
}

/// What to say when the attempts are spent.
fn spent(error: StoreError, uncertain: &Uncertain) -> Refused {
    match error.fault {
        _ if uncertain.is_open() => Refused::All(unsure(error)),
        Fault::Lost | Fault::Exhausted => Refused::All(error.into()),
        Fault::Deadlock | Fault::LockWait => {
            let why = "the rows were wanted by too many at once";
            Refused::All(Error::caused(ErrorKind::Contention, why, error))
        }
        // Unique keys that stay taken may be the doing of one request.
        _ if uncertain.is_empty() => Refused::Some(error),
        _ => Refused::All(unsure(error)),
    }
}

/// What to say when it is not known what became of a commit.
fn unsure(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let why = "the store went away in the middle of a commit; ask again what became of it";
    Error::caused(ErrorKind::Unavailable, why, cause)
}

enum Tried {
    Failed(Failure),
    Refused(Error),
}

async fn one_try(
    combiner: &Combiner,
    work: &mut Work,
    turn: &Turn,
    leases: &mut Leases,
    uncertain: &mut Uncertain,
) -> Result<Decided, Tried> {
    let nothing = |error| Tried::Failed(Failure::Nothing(error));
    let parts = &combiner.parts;
    let ids = combiner.ids.take(Sequence::Batch, 1).await.map_err(nothing)?;
    let batch_id = batch_id(ids.first().copied().unwrap_or_default());
    // The connection before the lock: who waits for a connection must not
    // keep others from the product.
    let mut session = parts.store.session().await.map_err(nothing)?;
    leases.acquire(combiner, turn).await.map_err(Tried::Refused)?;
    failpoint!(AfterLock);
    let since = runtime::now();
    let open = |gate| combiner.open(turn, gate);
    let Combiner { foresight, .. } = combiner;
    let fences = leases.fences();
    let mut foreseen = None;
    // Where the store's time is not known well enough, it is asked for first.
    if work.presumes
        && let Some(now) = parts.store.speculative_now()
    {
        let products = &work.needs.products;
        foreseen = foresight.decide(&parts.policy, products, &work.commands, fences, now);
        if foreseen.is_none() {
            work.needs.ahead = ahead::choose(parts, &mut work.commands, now);
        }
    }
    let Work { needs, commands, .. } = &*work;
    let job = Job { needs, commands, batch_id, fences, foresight };
    let tried = match foreseen {
        Some(foreseen) => attempt_foreseen(session.as_mut(), &job, foreseen, &open).await,
        None => attempt(parts, session.as_mut(), &job, uncertain, &open).await,
    };
    let tried = match tried {
        Err(Failure::Refused(error, commit)) => resolve(session.as_mut(), error, commit).await,
        tried => tried,
    };
    if tried.is_err() {
        foresight.forget(&needs.products);
    }
    match tried {
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
            Err(Tried::Failed(failure))
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
) -> Result<Decided, Failure> {
    if let Err(error) = session.rollback().await {
        return Err(Failure::Unknown(error, commit));
    }
    match session.landed(commit.batch_id).await {
        Ok(true) => Ok(*commit.decided),
        Ok(false) if commit.is_foreseen && error.fault == Fault::Conflict => {
            Err(Failure::Unforeseen)
        }
        Ok(false) => Err(Failure::Nothing(error)),
        Err(error) => Err(Failure::Unknown(error, commit)),
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
            cannot_be_done(StoreError::new(fault, "x"), &command).code().to_owned()
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
        let ahead = vec![hold(Some(now)).made(now, ttl)];
        let needs = Needs { ahead, ..Needs::default() };
        let mut work = Work { commands: vec![command(Some(now))], needs, presumes: true };
        work.presume_nothing();
        assert!(!work.presumes);
        assert_eq!(work.commands, [command(None)]);
        assert!(work.needs.ahead.is_empty());
        assert_eq!(work.needs.keys, ["k"]);
    }

    #[test]
    fn who_has_no_attempts_left_is_told_what_is_known() {
        let none = Uncertain::default();
        let lost = || Commit::of_nothing(1, true);
        let (open, missed) = (Uncertain::of_one(lost()), Uncertain::of_one(lost().missed()));
        // No code stands for a batch that is to be halved.
        let told = |fault, uncertain| match spent(StoreError::new(fault, "x"), uncertain) {
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
            let told = [&none, &open, &missed].map(|uncertain| told(fault, uncertain));
            assert_eq!(told.each_ref().map(Option::as_deref), wanted, "{fault:?}");
        }
        let told = [&none, &open, &missed].map(|uncertain| {
            match refused(Error::new(ErrorKind::Contention, "x"), uncertain) {
                Refused::All(error) => error.code().to_owned(),
                Refused::Some(_) => String::new(),
            }
        });
        assert_eq!(told, [CONTENTION, UNAVAILABLE, CONTENTION]);
    }
}
