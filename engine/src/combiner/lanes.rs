//! The queues: one lane for each product with waiting requests, first come
//! first served.
//!
//! A request for several products (a cart) is queued in each of their lanes as a
//! ticket. A batch takes it when its ticket is at the front of all of them and
//! each of them may start a batch. Tickets enter all their lanes at once, so the
//! oldest cart reaches the front of each, and no two carts can deadlock.
//!
//! A lane has one batch in flight. The next one takes all that arrived meanwhile,
//! so batches grow with the load. One batch in flight has carts, for the same reason:
//! with several, each would hold lanes that the carts of the next one need, and all
//! would stay small.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::batch_sizer;
use super::request::{LaneId, PendingRequest, RequestLanes};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::IdMap;
use crate::lock::Lease;
use crate::runtime;

/// The error of a request that load shedding rejects.
pub(super) fn queue_full() -> Error {
    Error::new(ErrorKind::Contention, "the request queue is full (queue_limit); try again later")
}

enum Entry {
    Single(Box<PendingRequest>),
    /// The ticket of a cart, a key of [`Lanes::carts`].
    Ticket(u64),
}

/// Whether a lane may start a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LaneState {
    #[default]
    Idle,
    /// The batch of this number is in flight.
    Busy(u64),
    /// The lane's lease is being offered to other processes.
    Offering,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Entry>,
    state: LaneState,
    /// Whether the lane is in [`Lanes::ready`] or [`Lanes::behind_cart_batch`].
    is_listed: bool,
    /// The lease of the lane's lock, kept from one batch to the next.
    lease: Option<Lease>,
}

impl Lane {
    fn has_kept_lease_for(&self, run: Duration) -> bool {
        self.lease.as_ref().is_some_and(|lease| runtime::elapsed(lease.granted_at) >= run)
    }
}

/// How much one batch takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// The current size, which [`batch_sizer`] adapts, and its upper bound.
    pub requests: usize,
    pub requests_max: usize,
    pub lanes_max: usize,
    /// A batch takes another lane only while it has fewer requests than this.
    pub add_lane_below: usize,
    /// How long a lane keeps a lease before it offers it to other processes.
    pub lock_run: Duration,
}

/// A batch: its requests in the order of their arrival, and its lanes.
#[derive(Debug)]
pub(super) struct ReadyBatch {
    pub requests: Vec<Box<PendingRequest>>,
    /// Ascending.
    pub lanes: Vec<LaneId>,
    /// Increases with each batch.
    number: u64,
}

#[derive(Debug)]
pub(super) enum LeaseAction {
    /// The lane is empty: release it.
    Release(Lease),
    /// The lease is at the end of its run: offer it to other processes. The lane
    /// starts no batch until [`Lanes::reopen`].
    Offer(LaneId, Lease),
}

pub(super) struct Lanes {
    limits: BatchLimits,
    lanes: IdMap<LaneId, Lane>,
    /// Lanes that may start a batch, longest waiting first (round robin).
    ready: VecDeque<LaneId>,
    /// Queued carts by their tickets.
    carts: HashMap<u64, Box<PendingRequest>>,
    /// The number of the batch in flight that has carts.
    cart_batch: Option<u64>,
    /// Lanes whose first cart waits for the end of that batch. They count as listed.
    behind_cart_batch: Vec<LaneId>,
    last_ticket: u64,
    last_batch: u64,
    /// Requests queued.
    depth: usize,
    queue_limit: usize,
    is_closed: bool,
}

impl Lanes {
    pub fn new(queue_limit: usize, limits: BatchLimits) -> Self {
        Self {
            limits,
            lanes: IdMap::default(),
            ready: VecDeque::new(),
            carts: HashMap::new(),
            cart_batch: None,
            behind_cart_batch: Vec::new(),
            last_ticket: 0,
            last_batch: 0,
            depth: 0,
            queue_limit,
            is_closed: false,
        }
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns whether a request would be rejected until others are dequeued.
    pub fn is_full(&self) -> bool {
        !self.is_closed && self.depth >= self.queue_limit
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn is_drained(&self) -> bool {
        self.is_closed && self.depth == 0
    }

    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Admission control: whether another request may be pushed.
    ///
    /// # Errors
    /// `misuse` if the engine is closed, `contention` if the queue is full.
    pub fn admit(&self) -> Result<()> {
        if self.is_closed {
            return Err(Error::new(ErrorKind::Misuse, "the engine is closed"));
        }
        if self.is_full() {
            return Err(queue_full());
        }
        Ok(())
    }

    pub fn push(&mut self, request: Box<PendingRequest>) -> Result<()> {
        self.admit()?;
        self.insert(request, false);
        Ok(())
    }

    /// Puts requests back, before all others and in their order. They were
    /// admitted before, so `queue_limit` does not apply.
    pub fn push_front(&mut self, requests: Vec<Box<PendingRequest>>) {
        for request in requests.into_iter().rev() {
            self.insert(request, true);
        }
    }

    pub fn insert(&mut self, request: Box<PendingRequest>, at_front: bool) {
        self.depth += 1;
        if let [id] = request.lanes[..] {
            self.add_entry(id, Entry::Single(request), at_front);
            return;
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        for id in request.lanes.clone() {
            self.add_entry(id, Entry::Ticket(ticket), at_front);
        }
        self.carts.insert(ticket, request);
    }

    fn add_entry(&mut self, id: LaneId, entry: Entry, at_front: bool) {
        let lane = self.lanes.entry(id).or_default();
        if at_front {
            lane.queue.push_front(entry);
        } else {
            lane.queue.push_back(entry);
        }
        self.mark_ready(id);
    }

    fn mark_ready(&mut self, id: LaneId) {
        if self.mark_listed(id) {
            self.ready.push_back(id);
        }
    }

    /// Returns whether the lane is to be added to a list: it has requests and may start a
    /// batch, and is in none.
    fn mark_listed(&mut self, id: LaneId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        let is_added = !lane.is_listed && !lane.queue.is_empty() && lane.state == LaneState::Idle;
        lane.is_listed |= is_added;
        is_added
    }

    pub fn adapt_batch_size(&mut self, requests: usize, took: Duration) {
        let BatchLimits { requests: current, requests_max, .. } = self.limits;
        self.limits.requests = batch_sizer::next(current, requests_max, requests, took);
    }

    /// Shrinks the batch size after the store rejected a transaction of so many
    /// requests as too large.
    pub fn shrink_batch_size(&mut self, requests: usize) {
        let BatchLimits { requests: current, requests_max, .. } = self.limits;
        self.limits.requests = batch_sizer::after_overflow(current, requests_max, requests);
    }

    pub fn take(&mut self) -> Option<ReadyBatch> {
        let limits = self.limits;
        self.last_batch += 1;
        let number = self.last_batch;
        let mut batch = ReadyBatch { requests: Vec::new(), lanes: Vec::new(), number };
        // A lane that is popped must have room, or it would be lost from the list.
        let add_lane_below = limits.add_lane_below.min(limits.requests);
        while batch.requests.is_empty()
            || (batch.requests.len() < add_lane_below && batch.lanes.len() < limits.lanes_max)
        {
            let Some(id) = self.ready.pop_front() else { break };
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.is_listed = false;
                if lane.state == LaneState::Idle {
                    self.drain(id, &mut batch);
                }
            }
        }
        if batch.requests.is_empty() {
            return None;
        }
        self.depth -= batch.requests.len();
        batch.lanes.sort_unstable();
        Some(batch)
    }

    /// Moves a lane's requests into the batch, until it is full or up to a cart
    /// that is not at the front of all its lanes; then the requests behind each
    /// cart that was taken.
    fn drain(&mut self, id: LaneId, batch: &mut ReadyBatch) {
        let mut lanes = vec![id];
        while let Some(id) = lanes.pop() {
            while batch.requests.len() < self.limits.requests {
                let Some(lane) = self.lanes.get_mut(&id) else { break };
                match lane.queue.pop_front() {
                    None => break,
                    Some(Entry::Single(request)) => {
                        batch.requests.push(request);
                        self.claim(id, batch);
                    }
                    Some(Entry::Ticket(ticket)) => {
                        lane.queue.push_front(Entry::Ticket(ticket));
                        if self.cart_batch.is_some_and(|number| number != batch.number) {
                            self.wait_for_cart_batch(id);
                            break;
                        }
                        let Some(cart) = self.take_cart(ticket, batch) else { break };
                        lanes.extend(cart.into_iter().filter(|other| *other != id));
                    }
                }
            }
        }
    }

    /// Lists a lane again at the end of the batch in flight that has carts. A lane of
    /// the current batch is listed at the end of that one.
    fn wait_for_cart_batch(&mut self, id: LaneId) {
        if self.mark_listed(id) {
            self.behind_cart_batch.push(id);
        }
    }

    /// Makes the lane one of the batch's, once.
    fn claim(&mut self, id: LaneId, batch: &mut ReadyBatch) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && lane.state != LaneState::Busy(batch.number)
        {
            lane.state = LaneState::Busy(batch.number);
            batch.lanes.push(id);
        }
    }

    /// Dequeues a cart if its ticket is at the front of all its lanes and each of
    /// them may start a batch or is in this one. Returns its lanes.
    fn take_cart(&mut self, ticket: u64, batch: &mut ReadyBatch) -> Option<RequestLanes> {
        let cart = self.carts.get(&ticket)?;
        let can_take = cart.lanes.iter().all(|id| {
            self.lanes.get(id).is_some_and(|lane| {
                let is_first = matches!(lane.queue.front(), Some(Entry::Ticket(t)) if *t == ticket);
                let is_free =
                    [LaneState::Idle, LaneState::Busy(batch.number)].contains(&lane.state);
                is_first && is_free
            })
        });
        if !can_take {
            return None;
        }
        let cart = self.carts.remove(&ticket)?;
        for id in &cart.lanes {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.queue.pop_front();
            }
            self.claim(*id, batch);
        }
        let lanes = cart.lanes.clone();
        batch.requests.push(cart);
        self.cart_batch = Some(batch.number);
        Some(lanes)
    }

    /// Frees the lanes of a batch and drops those that are empty. Returns what to
    /// do with leases that the lanes no longer keep.
    pub fn finish(&mut self, ids: &[LaneId]) -> Vec<LeaseAction> {
        let mut lease_actions = Vec::new();
        for id in ids {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            if self.cart_batch.is_some_and(|number| lane.state == LaneState::Busy(number)) {
                self.cart_batch = None;
            }
            lane.state = LaneState::Idle;
            if lane.queue.is_empty() {
                lease_actions.extend(lane.lease.take().map(LeaseAction::Release));
                self.lanes.remove(id);
            } else if lane.has_kept_lease_for(self.limits.lock_run)
                && let Some(lease) = lane.lease.take()
            {
                lane.state = LaneState::Offering;
                lease_actions.push(LeaseAction::Offer(*id, lease));
            } else {
                self.mark_ready(*id);
            }
        }
        if self.cart_batch.is_none() {
            self.ready.extend(self.behind_cart_batch.drain(..));
        }
        lease_actions
    }

    /// Reopens a lane whose lease was offered to other processes; `renewed` if
    /// none wanted it.
    pub fn reopen(&mut self, id: LaneId, renewed: Option<Lease>) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.state = LaneState::Idle;
            lane.lease = renewed;
            self.mark_ready(id);
        }
    }

    pub fn lease(&self, id: LaneId) -> Option<&Lease> {
        self.lanes.get(&id)?.lease.as_ref()
    }

    pub fn take_lease(&mut self, id: LaneId) -> Option<Lease> {
        self.lanes.get_mut(&id)?.lease.take()
    }

    /// Keeps a lease for the lane, which must have a batch in flight.
    pub fn keep_lease(&mut self, id: LaneId, lease: Lease) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.lease = Some(lease);
        }
    }
}

#[cfg(test)]
mod tests;
