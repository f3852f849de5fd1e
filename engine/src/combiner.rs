//! The combiner runs group commit by request batching (flat combining):
//! requests that wait for the same product are decided together, in one
//! transaction, under one lock.
//!
//! There is no timer: a batch is what arrived while the one before it was in
//! flight, so a lone request never waits for a batch to fill.
//!
//! Modules depend on one another in one direction: [`Combiner`] starts the
//! `worker`s; a worker runs a batch through `leases`, `transaction` and
//! `completion`; those share the `context`; everything else is a leaf.

mod attempt;
mod batch_sizer;
mod completion;
mod context;
mod ids;
mod in_doubt;
mod lanes;
mod leases;
mod queue;
mod read_set;
mod request;
mod responder;
mod speculation;
#[cfg(test)]
mod tests;
mod transaction;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub(crate) use request::{CommandResponse, LaneId};

use crate::error::Result;
use crate::ledger::Command;
use crate::metrics::observe;
use crate::model::ProductId;
use crate::runtime;
use crate::services::Services;
use context::Context;
use request::PendingRequest;
use responder::Collector;

/// The request queue of an engine and the workers that drain it.
pub(crate) struct Combiner {
    context: Arc<Context>,
    workers: TaskTracker,
}

impl Combiner {
    /// Starts the workers: one per connection of the pool, at least two. A store
    /// with a single writer gets two: one writes while the other sends responses.
    pub fn start(services: Arc<Services>) -> Arc<Self> {
        let workers =
            if services.store.single_writer() { 2 } else { services.config.connections.max(2) };
        let context = Arc::new(Context::new(services));
        let combiner = Arc::new(Self { context, workers: TaskTracker::new() });
        for _ in 0..workers {
            let context = Arc::clone(&combiner.context);
            let runtime = &combiner.context.services.runtime;
            runtime.spawn_tracked(&combiner.workers, worker::run(context));
        }
        combiner.workers.close();
        combiner
    }

    pub fn lane(&self, product_id: ProductId) -> LaneId {
        self.context.lane(product_id)
    }

    /// Executes a command, which `actor` sent, and waits for its response.
    ///
    /// Applies backpressure: a full queue sheds the request with `contention`
    /// before it takes a lock or allocates.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing half done: the command is executed
    /// whole or was never dequeued.
    pub async fn submit(
        &self,
        command: Command,
        actor: Option<Arc<str>>,
        lanes: impl IntoIterator<Item = LaneId>,
    ) -> Result<CommandResponse> {
        let metrics = &self.context.services.metrics;
        self.context.queue.check_capacity().inspect_err(|full| metrics.refusal(full.code()))?;
        let enqueued_at = runtime::now();
        let (sender, receiver) = oneshot::channel();
        let request = PendingRequest::new(command, lanes, sender, enqueued_at).sent_by(actor);
        self.context
            .queue
            .enqueue(request)
            .inspect_err(|rejected| metrics.refusal(rejected.code()))?;
        let response = receiver.await.unwrap_or_else(|_| Err(responder::dropped()));
        observe(&metrics.request_seconds, runtime::elapsed(enqueued_at));
        response
    }

    /// Executes commands, each on its own, and returns their responses in the same
    /// order; one that was rejected before keeps its error. Queues them under one
    /// lock and is woken once.
    ///
    /// Those that the queue has no room for get `contention`, the others go on.
    ///
    /// # Cancel safety
    /// As that of [`submit`](Self::submit), for each command.
    pub async fn submit_all(
        &self,
        commands: Vec<Result<(Command, LaneId)>>,
        actor: Option<&Arc<str>>,
    ) -> Vec<Result<CommandResponse>> {
        if commands.is_empty() {
            return Vec::new();
        }
        let metrics = &self.context.services.metrics;
        let enqueued_at = runtime::now();
        let (collector, done, responders) = Collector::new(commands.len());
        let mut requests = Vec::with_capacity(commands.len());
        for (command, responder) in commands.into_iter().zip(responders) {
            match command {
                Ok((command, lane)) => {
                    let request = PendingRequest::new(command, [lane], responder, enqueued_at);
                    requests.push(request.sent_by(actor.cloned()));
                }
                Err(rejected) => responder.send(Err(rejected)),
            }
        }
        self.context.queue.enqueue_all(requests);
        // The collector keeps the sender.
        let _ = done.await;
        observe(&metrics.request_seconds, runtime::elapsed(enqueued_at));
        collector.take()
    }

    /// Rejects new requests, drains the queue and stops the workers. Returns
    /// whether that was done within `deadline`.
    pub async fn close(&self, deadline: Duration) -> bool {
        self.abandon();
        runtime::timeout(deadline, self.workers.wait()).await.is_some()
    }

    /// Rejects new requests and lets the workers stop once the queue is empty,
    /// without waiting for them.
    pub fn abandon(&self) {
        self.context.queue.close();
    }
}
