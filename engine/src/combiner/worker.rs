//! Serving a batch: locks, attempts, and the answers.

use std::time::Instant;

use backon::BackoffBuilder;
use futures_util::future::BoxFuture;

use super::batch::{Decided, Failure, Uncertain, attempt, committed_products};
use super::leases::Leases;
use super::{Combiner, Done, LaneId, Reply, Request, Taken, needs};
use crate::error::{Error, ErrorKind};
use crate::ledger::{Command, Decision};
use crate::metrics::observe;
use crate::model::EventKind;
use crate::store::{Fault, Sequence, StoreError, pauses};

/// What is to be said to a request, or done with it.
enum Outcome {
    Reply(Request, Reply),
    /// To be asked again, first in its lane.
    Again(Request),
}

/// Serves a batch from its locks to its answers, and frees its lanes.
pub(super) async fn serve(combiner: &Combiner, taken: Taken) {
    let Taken { requests, lanes } = taken;
    let (requests, mut outcomes) = drop_dead(combiner, requests);
    let mut leases = Leases::default();
    if !requests.is_empty() {
        combiner.parts.metrics.batch_size.observe(requests.len() as f64);
        outcomes.extend(decide_all(combiner, requests, &lanes, &mut leases).await);
    }
    let mut replies = Vec::with_capacity(outcomes.len());
    let mut again = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Reply(request, reply) => replies.push((request, reply)),
            Outcome::Again(request) => again.push(request),
        }
    }
    // What a batch did not come to use was kept for it all the same.
    leases.take_over(combiner, &lanes);
    // The next batch of these lanes may begin while answers are handed out,
    // unless a lock must be given back first.
    if leases.keep_for_next(combiner) {
        combiner.finish(&lanes, again);
        hand_out(combiner, replies);
    } else {
        hand_out(combiner, replies);
        leases.settle(combiner).await;
        combiner.finish(&lanes, again);
    }
}

fn hand_out(combiner: &Combiner, replies: Vec<(Request, Reply)>) {
    combiner.parts.metrics.requests.inc_by(replies.len() as u64);
    for (request, reply) in replies {
        // A caller who has gone does not want the answer.
        let _ = request.reply.send(reply);
    }
}

/// Sorts out requests whose callers have gone or have waited too long.
fn drop_dead(combiner: &Combiner, requests: Vec<Request>) -> (Vec<Request>, Vec<Outcome>) {
    let wait = combiner.parts.config.queue_wait;
    let now = Instant::now();
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
fn decide_all<'a>(
    combiner: &'a Combiner,
    mut requests: Vec<Request>,
    lanes: &'a [LaneId],
    leases: &'a mut Leases,
) -> BoxFuture<'a, Vec<Outcome>> {
    Box::pin(async move {
        let error = match assign_ids(combiner, &mut requests).await {
            Err(error) => error.into(),
            Ok(()) => match transact(combiner, &requests, lanes, leases).await {
                Ok(decided) => return settle(combiner, requests, decided),
                Err(Refused::All(error)) => error,
                Err(Refused::Some(error)) if requests.len() == 1 => {
                    tracing::error!(%error, command = ?requests[0].command, "a request cannot be done");
                    Error::caused(ErrorKind::Internal, "the store refused the request", error)
                }
                Err(Refused::Some(error)) => {
                    combiner.parts.metrics.retry("bisect");
                    tracing::warn!(%error, requests = requests.len(), "a batch failed; trying halves");
                    give_ids_back(combiner, requests.iter().map(|request| &request.command));
                    let rest = requests.split_off(requests.len() / 2);
                    let mut outcomes = decide_all(combiner, requests, lanes, leases).await;
                    outcomes.extend(decide_all(combiner, rest, lanes, leases).await);
                    return outcomes;
                }
            },
        };
        let refuse = |request| Outcome::Reply(request, Err(error.clone()));
        requests.into_iter().map(refuse).collect()
    })
}

/// Why no transaction could be had.
enum Refused {
    /// For a reason that concerns all alike.
    All(Error),
    /// For a reason that may lie in one of the requests.
    Some(StoreError),
}

async fn assign_ids(combiner: &Combiner, requests: &mut [Request]) -> Result<(), StoreError> {
    let (holds, orders) = needs::count_ids(requests);
    let hold_ids = combiner.ids.take(Sequence::Hold, holds).await?;
    let order_ids = combiner.ids.take(Sequence::Order, orders).await?;
    needs::assign_ids(requests, hold_ids, order_ids);
    Ok(())
}

fn give_ids_back<'a>(combiner: &Combiner, unused: impl IntoIterator<Item = &'a Command>) {
    let (mut holds, mut orders) = (Vec::new(), Vec::new());
    for command in unused {
        let ids = needs::ids_of(command);
        holds.extend(ids.0);
        orders.extend(ids.1);
    }
    if !holds.is_empty() {
        combiner.ids.give_back(Sequence::Hold, holds);
    }
    if !orders.is_empty() {
        combiner.ids.give_back(Sequence::Order, orders);
    }
}

async fn transact(
    combiner: &Combiner,
    requests: &[Request],
    lanes: &[LaneId],
    leases: &mut Leases,
) -> Result<Decided, Refused> {
    let parts = &combiner.parts;
    let commands: Vec<Command> = requests.iter().map(|request| request.command.clone()).collect();
    let needs = needs::of(requests, parts.config.sweep_batch);
    let mut pauses = pauses(parts.config.retries).build();
    let mut uncertain: Option<Uncertain> = None;
    let mut stale = 0_u32;
    loop {
        let tried = one_try(combiner, &needs, &commands, lanes, leases, &mut uncertain).await;
        let error = match tried {
            Ok(decided) => return Ok(decided),
            Err(Tried::Refused(error)) => return Err(Refused::All(error)),
            Err(Tried::Failed(Failure::Stale(product, seen))) => {
                stale += 1;
                // If that does not help, the row lock alone is enough.
                let ask_anew = stale <= parts.config.retries;
                leases.drop_stale(combiner, product, seen, ask_anew).await;
                continue;
            }
            Err(Tried::Failed(Failure::Unknown(error, id, decided))) => {
                uncertain = Some((id, decided));
                error
            }
            Err(Tried::Failed(Failure::Nothing(error))) => error,
        };
        parts.metrics.retry(error.fault.cause());
        // What may have landed must be looked for, not done again in halves.
        if !error.fault.is_passing() && uncertain.is_none() {
            return Err(Refused::Some(error));
        }
        let Some(pause) = pauses.next() else {
            return Err(spent(error, uncertain.is_some()));
        };
        tracing::debug!(%error, ?pause, "a transaction is tried again");
        tokio::time::sleep(pause).await;
    }
}

/// What to say when the attempts are spent.
fn spent(error: StoreError, uncertain: bool) -> Refused {
    match error.fault {
        _ if uncertain => {
            let why = "the store went away in the middle of a commit; ask again what became of it";
            Refused::All(Error::caused(ErrorKind::Unavailable, why, error))
        }
        // Unique keys that stay taken may be the doing of one request.
        Fault::Duplicate | Fault::Conflict => Refused::Some(error),
        Fault::Lost => Refused::All(error.into()),
        _ => {
            let why = "the rows were wanted by too many at once";
            Refused::All(Error::caused(ErrorKind::Contention, why, error))
        }
    }
}

enum Tried {
    Failed(Failure),
    Refused(Error),
}

async fn one_try(
    combiner: &Combiner,
    needs: &crate::store::Needs,
    commands: &[Command],
    lanes: &[LaneId],
    leases: &mut Leases,
    uncertain: &mut Option<Uncertain>,
) -> Result<Decided, Tried> {
    let nothing = |error| Tried::Failed(Failure::Nothing(error));
    let parts = &combiner.parts;
    let ids = combiner.ids.take(Sequence::Batch, 1).await.map_err(nothing)?;
    let batch_id = ids.first().copied().unwrap_or_default();
    // The connection before the lock: who waits for a connection must not
    // keep others from the product.
    let mut session = parts.store.session().await.map_err(nothing)?;
    leases.acquire(combiner, lanes).await.map_err(Tried::Refused)?;
    let since = Instant::now();
    let fences = leases.fences();
    let tried =
        attempt(parts, session.as_mut(), needs, commands, batch_id, &fences, uncertain).await;
    match tried {
        Ok(decided) => {
            observe(&parts.metrics.transaction_seconds, since.elapsed());
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

/// Tells caches, sweeper and metrics of a commit, and turns decisions into
/// answers.
fn settle(combiner: &Combiner, requests: Vec<Request>, decided: Decided) -> Vec<Outcome> {
    let parts = &combiner.parts;
    let Decided { decisions, changes } = decided;
    for event in &changes.events {
        match event.kind {
            EventKind::HoldExpired => drop(parts.metrics.holds_expired.inc()),
            EventKind::OrderCancelled => drop(parts.metrics.orders_cancelled.inc()),
            _ => {}
        }
    }
    let products = committed_products(&changes);
    if let Some(soonest) = products.iter().filter_map(|product| product.next_due).min() {
        parts.due_notice.falls_due(soonest);
    }
    if !products.is_empty() {
        parts.cache.committed(products);
    }
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut unused = Vec::new();
    for (mut request, decision) in requests.into_iter().zip(decisions) {
        match decision {
            Decision::Done { answer, replayed } => {
                if answer.is_err() || replayed {
                    unused.push(request.command.clone());
                }
                if replayed && matches!(request.command, Command::Payment { .. }) {
                    parts.metrics.payment_duplicates.inc();
                }
                let reply = answer
                    .map(|answer| Done { answer, replayed })
                    .map_err(|refusal| Error::refused(refusal, replayed));
                outcomes.push(Outcome::Reply(request, reply));
            }
            Decision::Later => {
                unused.push(request.command.clone());
                outcomes.push(Outcome::Again(request));
            }
            Decision::Elsewhere(product) => {
                request.route = vec![LaneId(product.0)];
                outcomes.push(Outcome::Again(request));
            }
        }
    }
    give_ids_back(combiner, &unused);
    outcomes
}
