//! A worker takes one batch after another from the queue: it executes the
//! batch, frees its lanes and sends the responses.

use std::sync::Arc;

use futures_util::FutureExt;

use super::completion::RequestOutcome;
use super::context::Context;
use super::lanes::ReadyBatch;
use super::leases::{self, Leases};
use super::queue::BatchSlot;
use super::request::{CommandResponse, PendingRequest};
use super::transaction;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Metrics;
use crate::runtime;

pub(super) async fn run(context: Arc<Context>) {
    while let Some(batch) = context.queue.next_batch().await {
        run_batch(&context, batch).await;
    }
}

/// Runs one batch and frees its lanes, even after a panic.
async fn run_batch(context: &Context, batch: ReadyBatch) {
    let requests = batch.requests.len();
    let slot = BatchSlot { lanes: batch.lanes, requests };
    let work = execute(context, batch.requests, &slot);
    let done = std::panic::AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(requests, "a batch panicked; its callers get an internal error");
        Executed::default()
    });
    // The next batch of these lanes may start while responses are sent.
    let lease_actions = context.queue.finish(&slot, done.requeued);
    failpoint!(BeforeAnswer);
    send_responses(&context.services.metrics, done.responses);
    leases::apply(context, lease_actions).await;
}

/// What is left to do after a batch.
#[derive(Default)]
struct Executed {
    responses: Vec<(Box<PendingRequest>, Result<CommandResponse>)>,
    requeued: Vec<Box<PendingRequest>>,
}

/// Executes a batch in its transaction.
async fn execute(
    context: &Context,
    requests: Vec<Box<PendingRequest>>,
    slot: &BatchSlot,
) -> Executed {
    let metrics = &context.services.metrics;
    let (requests, mut outcomes) = reject_expired(context, requests);
    if !requests.is_empty() {
        metrics.batch_size.observe(requests.len() as f64);
        let mut leases = Leases::default();
        outcomes.extend(transaction::execute(context, requests, slot, &mut leases).await);
    }
    let mut done = Executed { responses: Vec::with_capacity(outcomes.len()), requeued: Vec::new() };
    for outcome in outcomes {
        match outcome {
            RequestOutcome::Respond(request, response) => done.responses.push((request, response)),
            RequestOutcome::Requeue(request) => done.requeued.push(request),
        }
    }
    done
}

fn send_responses(
    metrics: &Metrics,
    responses: Vec<(Box<PendingRequest>, Result<CommandResponse>)>,
) {
    metrics.requests.inc_by(responses.len() as u64);
    for (request, response) in responses {
        if let Err(error) = &response {
            metrics.refusal(error.code());
        }
        request.response.send(response);
    }
}

/// Drops requests whose callers are gone and rejects those that waited in the
/// queue for longer than `queue_wait`. Returns the rest, and the rejections.
pub(super) fn reject_expired(
    context: &Context,
    requests: Vec<Box<PendingRequest>>,
) -> (Vec<Box<PendingRequest>>, Vec<RequestOutcome>) {
    let queue_wait = context.services.config.queue_wait;
    let now = runtime::now();
    let mut rejected = Vec::new();
    let mut live = Vec::with_capacity(requests.len());
    for request in requests {
        if request.response.is_closed() {
            continue;
        }
        if now.duration_since(request.enqueued_at) > queue_wait {
            let why = "the request waited in the queue for longer than queue_wait; try again";
            let error = Error::new(ErrorKind::Contention, why);
            rejected.push(RequestOutcome::Respond(request, Err(error)));
        } else {
            live.push(request);
        }
    }
    (live, rejected)
}
