//! The queues: one lane for each product that someone waits for.
//!
//! A request for several products (a cart) stands in each of their lanes as a
//! ticket. It is taken when its ticket is at the front of all of them and each
//! can be taken. Tickets enter all their lanes at once, so the oldest cart
//! reaches the front of each, and no two carts can wait for each other.
//!
//! A lane may have several batches under way: once one has locked its rows, the
//! next may write ahead and wait for them in the database, and begins the moment
//! the first lets go of them, which is before its log is on disk. Their order is
//! that of the row lock. Before the first comes to its commit only a crowd is
//! worth another transaction; from then on all that waits goes. A batch takes no
//! more than its share of all that is there, waiting or under way, or the
//! callers of one great batch would come back together and leave nothing to do
//! meanwhile.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Reply, batch_sizer};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Command;
use crate::lock::Lease;
use crate::runtime;

/// The refusal of a request that finds the queues full.
pub(super) fn full() -> Error {
    Error::new(ErrorKind::Contention, "too many requests wait already")
}

/// A lane: a product's id, or 0 for requests that concern no known product,
/// or for all requests of a store with a single writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(pub u64);

/// A command that waits for its transaction.
#[derive(Debug)]
pub(crate) struct Request {
    pub command: Command,
    /// The lanes it stands in, ascending, at least one.
    pub route: Vec<LaneId>,
    pub reply: oneshot::Sender<Reply>,
    pub since: Instant,
}

impl Request {
    pub fn new(
        command: Command,
        mut route: Vec<LaneId>,
        reply: oneshot::Sender<Reply>,
        since: Instant,
    ) -> Self {
        if route.is_empty() {
            route.push(LaneId(0));
        }
        Self { command, route, reply, since }
    }
}

enum Entry {
    One(Request),
    /// The ticket of a cart.
    Cart(u64),
}

/// Whether a lane's next batch may begin.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    #[default]
    Open,
    /// The newest has locked its rows: a crowd may follow.
    CrowdOnly,
    /// The newest has yet to lock its rows, or a lock is going round.
    Closed,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Entry>,
    /// Batches of it under way.
    batches: usize,
    /// The number of the newest of them, and whether another may follow it.
    newest: u64,
    admission: Admission,
    /// Whether it stands in the list of lanes that can be taken.
    listed: bool,
    /// The lock of the lane, kept from one batch to the next.
    lease: Option<Lease>,
}

impl Lane {
    /// `share` is how much a batch takes.
    fn can_take(&self, limits: &BatchLimits, share: usize) -> bool {
        let has_way = match self.admission {
            Admission::Open => true,
            Admission::CrowdOnly => self.queue.len() >= share,
            Admission::Closed => false,
        };
        has_way
            && self.batches < limits.in_flight
            // A lock kept for long goes round before another batch begins.
            && (self.batches == 0 || !self.is_kept_for(limits.lock_run))
    }

    fn is_kept_for(&self, run: Duration) -> bool {
        self.lease.as_ref().is_some_and(|lease| runtime::elapsed(lease.granted_at) >= run)
    }
}

/// Fewer requests than this are not worth parting.
const LEAST_SHARE: usize = 32;

/// How much one batch takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// For now, and at most ever.
    pub requests: usize,
    pub most: usize,
    pub lanes: usize,
    /// A batch takes another lane only while it has fewer requests than this.
    pub share_below: usize,
    /// Batches of one lane at once.
    pub in_flight: usize,
    /// A lock is kept for so long before others are asked whether they want it.
    pub lock_run: Duration,
}

/// A batch: its requests in the order of their arrival, and its lanes.
#[derive(Debug)]
pub(super) struct ReadyBatch {
    pub requests: Vec<Request>,
    /// Ascending.
    pub lanes: Vec<LaneId>,
    /// Greater for each batch.
    pub number: u64,
}

/// What is to be done with the lock of a lane.
#[derive(Debug)]
pub(super) enum LeaseAction {
    /// No one here wants it.
    Release(Lease),
    /// It was kept for long: others are to be asked. The lane waits for
    /// [`Lanes::settle`].
    Ask(LaneId, Lease),
}

pub(super) struct Lanes {
    limits: BatchLimits,
    lanes: HashMap<LaneId, Lane>,
    /// Lanes that may be taken, longest waiting first.
    ready: VecDeque<LaneId>,
    carts: HashMap<u64, Request>,
    next_ticket: u64,
    next_batch: u64,
    /// Requests that wait, and those that batches have taken.
    depth: usize,
    taken: usize,
    limit: usize,
    closed: bool,
}

impl Lanes {
    pub fn new(limit: usize, limits: BatchLimits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            carts: HashMap::new(),
            next_ticket: 0,
            next_batch: 0,
            depth: 0,
            taken: 0,
            limit,
            closed: false,
        }
    }

    /// Requests that wait.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whether no request may come until others have been taken.
    pub fn is_full(&self) -> bool {
        !self.closed && self.depth >= self.limit
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether no request waits and none may come.
    pub fn is_done(&self) -> bool {
        self.closed && self.depth == 0
    }

    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn push(&mut self, request: Request) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Misuse, "the engine is closed"));
        }
        if self.is_full() {
            return Err(full());
        }
        self.enter(request, false);
        Ok(())
    }

    /// Puts requests back, before all others and in their order. They were
    /// let in before, so the limit does not concern them.
    pub fn push_front(&mut self, requests: Vec<Request>) {
        for request in requests.into_iter().rev() {
            self.enter(request, true);
        }
    }

    fn enter(&mut self, request: Request, front: bool) {
        self.depth += 1;
        if let [id] = request.route[..] {
            self.put(id, Entry::One(request), front);
            return;
        }
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        for id in request.route.clone() {
            self.put(id, Entry::Cart(ticket), front);
        }
        self.carts.insert(ticket, request);
    }

    fn put(&mut self, id: LaneId, entry: Entry, front: bool) {
        let lane = self.lanes.entry(id).or_default();
        if front {
            lane.queue.push_front(entry);
        } else {
            lane.queue.push_back(entry);
        }
        self.list(id);
    }

    /// Lists the lane as one that may be taken, if it may.
    fn list(&mut self, id: LaneId) {
        let share = self.share();
        if let Some(lane) = self.lanes.get_mut(&id)
            && !lane.listed
            && !lane.queue.is_empty()
            && lane.can_take(&self.limits, share)
        {
            lane.listed = true;
            self.ready.push_back(id);
        }
    }

    /// Learns from a transaction of so many requests how much the next takes.
    pub fn learn(&mut self, requests: usize, took: Duration) {
        let BatchLimits { requests: now, most, .. } = self.limits;
        self.limits.requests = batch_sizer::next(now, most, requests, took);
    }

    /// Learns that a transaction of so many requests was more than the store
    /// takes at once.
    pub fn shrink(&mut self, requests: usize) {
        let BatchLimits { requests: now, most, .. } = self.limits;
        self.limits.requests = batch_sizer::shrunk(now, most, requests);
    }

    /// Takes the next batch, if any lane can be taken.
    pub fn take(&mut self) -> Option<ReadyBatch> {
        let limits = self.limits;
        let share = self.share();
        self.next_batch += 1;
        let number = self.next_batch;
        let mut taken = ReadyBatch { requests: Vec::new(), lanes: Vec::new(), number };
        // A lane that is looked at must have room, or it would be lost from the list.
        let share_below = limits.share_below.min(share);
        while taken.requests.is_empty()
            || (taken.requests.len() < share_below && taken.lanes.len() < limits.lanes)
        {
            let Some(id) = self.ready.pop_front() else { break };
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.listed = false;
                if lane.can_take(&limits, share) {
                    self.drain(id, share, &mut taken);
                }
            }
        }
        if taken.requests.is_empty() {
            return None;
        }
        self.depth -= taken.requests.len();
        self.taken += taken.requests.len();
        taken.lanes.sort_unstable();
        Some(taken)
    }

    /// How many requests the next batch takes.
    fn share(&self) -> usize {
        let share = (self.depth + self.taken).div_ceil(self.limits.in_flight);
        share.max(LEAST_SHARE).min(self.limits.requests)
    }

    /// Moves a lane's requests into the batch, up to the bound or to a cart
    /// that cannot be taken yet; then those that a cart has made way for.
    fn drain(&mut self, id: LaneId, share: usize, taken: &mut ReadyBatch) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            while taken.requests.len() < share {
                let Some(lane) = self.lanes.get_mut(&id) else { break };
                match lane.queue.pop_front() {
                    None => break,
                    Some(Entry::One(request)) => {
                        taken.requests.push(request);
                        self.claim(id, taken);
                    }
                    Some(Entry::Cart(ticket)) => {
                        lane.queue.push_front(Entry::Cart(ticket));
                        let Some(cart) = self.take_cart(ticket, share, taken) else { break };
                        open.extend(cart.into_iter().filter(|other| *other != id));
                    }
                }
            }
        }
    }

    fn claim(&mut self, id: LaneId, taken: &mut ReadyBatch) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && lane.newest != taken.number
        {
            lane.newest = taken.number;
            lane.admission = Admission::Closed;
            lane.batches += 1;
            taken.lanes.push(id);
        }
    }

    /// Takes a cart if its ticket is at the front of all its lanes and each of
    /// them can be taken or is of this batch already. Says which lanes they are.
    fn take_cart(
        &mut self,
        ticket: u64,
        share: usize,
        taken: &mut ReadyBatch,
    ) -> Option<Vec<LaneId>> {
        let cart = self.carts.get(&ticket)?;
        let can_take = cart.route.iter().all(|id| {
            self.lanes.get(id).is_some_and(|lane| {
                let is_first = matches!(lane.queue.front(), Some(Entry::Cart(t)) if *t == ticket);
                is_first && (lane.newest == taken.number || lane.can_take(&self.limits, share))
            })
        });
        if !can_take {
            return None;
        }
        let cart = self.carts.remove(&ticket)?;
        for id in &cart.route {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.queue.pop_front();
            }
            self.claim(*id, taken);
        }
        let route = cart.route.clone();
        taken.requests.push(cart);
        Some(route)
    }

    /// A batch lets others follow it.
    pub fn open(&mut self, ids: &[LaneId], number: u64, admission: Admission) {
        for id in ids {
            if let Some(lane) = self.lanes.get_mut(id)
                && lane.newest == number
            {
                lane.admission = admission;
                self.list(*id);
            }
        }
    }

    /// Ends a batch of so many requests in its lanes. Empty lanes are forgotten.
    /// Returns the locks that are not to be kept.
    pub fn finish(&mut self, ids: &[LaneId], number: u64, requests: usize) -> Vec<LeaseAction> {
        self.taken -= requests;
        let mut lease_actions = Vec::new();
        for id in ids {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            lane.batches -= 1;
            if lane.newest == number {
                lane.admission = Admission::Open;
            }
            if lane.batches > 0 {
                self.list(*id);
            } else if lane.queue.is_empty() {
                lease_actions.extend(lane.lease.take().map(LeaseAction::Release));
                self.lanes.remove(id);
            } else if lane.is_kept_for(self.limits.lock_run)
                && let Some(lease) = lane.lease.take()
            {
                lane.admission = Admission::Closed;
                lease_actions.push(LeaseAction::Ask(*id, lease));
            } else {
                self.list(*id);
            }
        }
        lease_actions
    }

    /// Opens a lane that waited for its lock to go round; `kept` if no one
    /// wanted it.
    pub fn settle(&mut self, id: LaneId, kept: Option<Lease>) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.admission = Admission::Open;
            lane.lease = kept;
            self.list(id);
        }
    }

    /// The lock of a lane with a batch under way.
    pub fn lease(&self, id: LaneId) -> Option<&Lease> {
        self.lanes.get(&id)?.lease.as_ref()
    }

    pub fn take_lease(&mut self, id: LaneId) -> Option<Lease> {
        self.lanes.get_mut(&id)?.lease.take()
    }

    /// Keeps a lock for the lane, which must have a batch under way.
    pub fn keep_lease(&mut self, id: LaneId, lease: Lease) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.lease = Some(lease);
        }
    }
}

#[cfg(test)]
mod tests;
