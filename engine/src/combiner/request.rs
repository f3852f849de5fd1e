//! A queued command, its lanes, and the response that its caller waits for.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::responder::Responder;
use crate::ledger::{Answer, Attributed, Command};

/// A lane: a product's id, or 0 for requests whose product is unknown and for
/// all requests of a store with a single writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(pub u64);

/// The result of a command that took effect, in this call or, if `replayed`, in
/// the call that first used its idempotency key.
#[derive(Debug)]
pub(crate) struct CommandResponse {
    pub answer: Answer,
    pub replayed: bool,
}

/// The lanes of a request, ascending, at least one; only those of several
/// products are allocated.
pub(super) type RequestLanes = SmallVec<[LaneId; 1]>;

/// A command that waits for its transaction.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub command: Command,
    /// Who sent it.
    actor: Option<Arc<str>>,
    pub lanes: RequestLanes,
    pub response: Responder,
    pub enqueued_at: Instant,
}

impl PendingRequest {
    /// Boxed: it is moved from queue to queue.
    pub fn new(
        command: Command,
        lanes: impl IntoIterator<Item = LaneId>,
        response: impl Into<Responder>,
        enqueued_at: Instant,
    ) -> Box<Self> {
        let mut lanes: RequestLanes = lanes.into_iter().collect();
        if lanes.is_empty() {
            lanes.push(LaneId(0));
        }
        normalize(&mut lanes);
        Box::new(Self { command, actor: None, lanes, response: response.into(), enqueued_at })
    }

    /// Sets who sent it.
    pub fn sent_by(mut self: Box<Self>, actor: Option<Arc<str>>) -> Box<Self> {
        self.actor = actor;
        self
    }

    pub fn attributed(&self) -> Attributed<'_> {
        Attributed { command: &self.command, actor: self.actor.as_ref() }
    }

    /// Adds the lanes of products that its transaction turned out to need.
    pub fn add_lanes(&mut self, lanes: impl IntoIterator<Item = LaneId>) {
        self.lanes.extend(lanes);
        normalize(&mut self.lanes);
    }
}

/// Sorts lanes, each once, and drops that of unknown products once one is known.
fn normalize(lanes: &mut RequestLanes) {
    lanes.sort_unstable();
    lanes.dedup();
    if lanes.len() > 1 && lanes.first() == Some(&LaneId(0)) {
        lanes.remove(0);
    }
}
