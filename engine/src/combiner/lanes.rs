//! The queues: one lane for each product that someone waits for.
//!
//! A request for several products (a cart) stands in each of their lanes as a
//! ticket. It is taken when its ticket is at the front of all of them and none
//! is busy. Tickets enter all their lanes at once, so the oldest cart reaches
//! the front of each, and no two carts can wait for each other.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use tokio::sync::oneshot;

use super::Reply;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Command;
use crate::lock::Lease;

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

#[derive(Default)]
struct Lane {
    queue: VecDeque<Entry>,
    /// Whether a batch of it is under way.
    busy: bool,
    /// Whether it stands in the list of lanes that can be taken.
    listed: bool,
    /// The lock of the lane, kept from one batch to the next.
    lease: Option<Lease>,
}

/// How much one batch takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub requests: usize,
    pub lanes: usize,
    /// A batch takes another lane only while it has fewer requests than this.
    pub share_below: usize,
}

/// A batch: its requests in the order of their arrival, and its lanes.
#[derive(Debug)]
pub(super) struct Taken {
    pub requests: Vec<Request>,
    /// Ascending.
    pub lanes: Vec<LaneId>,
}

pub(super) struct Lanes {
    lanes: HashMap<LaneId, Lane>,
    /// Lanes that may be taken, longest waiting first.
    ready: VecDeque<LaneId>,
    carts: HashMap<u64, Request>,
    next_ticket: u64,
    depth: usize,
    limit: usize,
    closed: bool,
}

impl Lanes {
    pub fn new(limit: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            carts: HashMap::new(),
            next_ticket: 0,
            depth: 0,
            limit,
            closed: false,
        }
    }

    /// Requests that wait.
    pub fn depth(&self) -> usize {
        self.depth
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
        if self.depth >= self.limit {
            return Err(Error::new(ErrorKind::Contention, "too many requests wait already"));
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
        if let Some(lane) = self.lanes.get_mut(&id)
            && !lane.busy
            && !lane.listed
            && !lane.queue.is_empty()
        {
            lane.listed = true;
            self.ready.push_back(id);
        }
    }

    /// Takes the next batch, if any lane can be taken.
    pub fn take(&mut self, bounds: &Bounds) -> Option<Taken> {
        let mut taken = Taken { requests: Vec::new(), lanes: Vec::new() };
        while taken.requests.is_empty()
            || (taken.requests.len() < bounds.share_below && taken.lanes.len() < bounds.lanes)
        {
            let Some(id) = self.ready.pop_front() else { break };
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.listed = false;
                if !lane.busy {
                    self.drain(id, bounds, &mut taken);
                }
            }
        }
        if taken.requests.is_empty() {
            return None;
        }
        self.depth -= taken.requests.len();
        taken.lanes.sort_unstable();
        Some(taken)
    }

    /// Moves a lane's requests into the batch, up to the bound or to a cart
    /// that cannot be taken yet.
    fn drain(&mut self, id: LaneId, bounds: &Bounds, taken: &mut Taken) {
        while taken.requests.len() < bounds.requests {
            let Some(lane) = self.lanes.get_mut(&id) else { return };
            match lane.queue.front() {
                None => return,
                Some(Entry::One(_)) => {
                    if let Some(Entry::One(request)) = lane.queue.pop_front() {
                        taken.requests.push(request);
                        self.claim(id, taken);
                    }
                }
                Some(Entry::Cart(ticket)) => {
                    let ticket = *ticket;
                    if !self.take_cart(ticket, taken) {
                        return;
                    }
                }
            }
        }
    }

    fn claim(&mut self, id: LaneId, taken: &mut Taken) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && !lane.busy
        {
            lane.busy = true;
            taken.lanes.push(id);
        }
    }

    /// Takes a cart if its ticket is at the front of all its lanes and each of
    /// them is free or already of this batch.
    fn take_cart(&mut self, ticket: u64, taken: &mut Taken) -> bool {
        let Some(cart) = self.carts.get(&ticket) else { return false };
        let can_take = cart.route.iter().all(|id| {
            self.lanes.get(id).is_some_and(|lane| {
                let is_first = matches!(lane.queue.front(), Some(Entry::Cart(t)) if *t == ticket);
                is_first && (!lane.busy || taken.lanes.contains(id))
            })
        });
        if !can_take {
            return false;
        }
        let Some(cart) = self.carts.remove(&ticket) else { return false };
        for id in &cart.route {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.queue.pop_front();
            }
            self.claim(*id, taken);
        }
        taken.requests.push(cart);
        true
    }

    /// Frees the lanes of a batch. Empty ones are forgotten.
    pub fn finish(&mut self, ids: &[LaneId]) {
        for id in ids {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.busy = false;
                if lane.queue.is_empty() {
                    self.lanes.remove(id);
                } else {
                    self.list(*id);
                }
            }
        }
    }

    /// Whether someone waits in the lane.
    pub fn is_wanted(&self, id: LaneId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| !lane.queue.is_empty())
    }

    pub fn take_lease(&mut self, id: LaneId) -> Option<Lease> {
        self.lanes.get_mut(&id)?.lease.take()
    }

    /// Keeps a lease for the lane's next batch, which must be coming.
    pub fn keep_lease(&mut self, id: LaneId, lease: Lease) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.lease = Some(lease);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProductId;

    const BOUNDS: Bounds = Bounds { requests: 4, lanes: 3, share_below: 3 };

    fn request(mark: i64, route: &[u64]) -> Request {
        let command = Command::Adjust { product_id: ProductId(1), delta: mark };
        let route = route.iter().copied().map(LaneId).collect();
        Request::new(command, route, oneshot::channel().0, Instant::now())
    }

    fn lanes(requests: &[(i64, &[u64])]) -> Lanes {
        let mut lanes = Lanes::new(100);
        for (mark, route) in requests {
            lanes.push(request(*mark, route)).expect("room");
        }
        lanes
    }

    fn take(lanes: &mut Lanes) -> Option<(Vec<i64>, Vec<LaneId>)> {
        let taken = lanes.take(&BOUNDS)?;
        let marks = taken.requests.iter().map(|request| match request.command {
            Command::Adjust { delta, .. } => delta,
            _ => 0,
        });
        Some((marks.collect(), taken.lanes))
    }

    fn ids(ids: &[u64]) -> Vec<LaneId> {
        ids.iter().copied().map(LaneId).collect()
    }

    #[test]
    fn a_lane_is_served_in_order_up_to_the_bound_and_by_one_at_a_time() {
        let mut lanes = lanes(&[(1, &[7]), (2, &[7]), (3, &[7]), (4, &[7]), (5, &[7])]);
        assert_eq!(take(&mut lanes), Some((vec![1, 2, 3, 4], ids(&[7]))));
        assert_eq!(take(&mut lanes), None, "the lane is busy");
        lanes.finish(&ids(&[7]));
        assert_eq!(take(&mut lanes), Some((vec![5], ids(&[7]))));
        lanes.finish(&ids(&[7]));
        assert!(lanes.lanes.is_empty(), "an idle lane is forgotten");
    }

    #[test]
    fn small_batches_of_different_lanes_share_a_transaction() {
        let mut lanes = lanes(&[(1, &[9]), (2, &[3]), (3, &[5]), (4, &[6])]);
        assert_eq!(take(&mut lanes), Some((vec![1, 2, 3], ids(&[3, 5, 9]))));
        assert_eq!(take(&mut lanes), Some((vec![4], ids(&[6]))));
    }

    #[test]
    fn a_cart_waits_for_all_its_lanes_and_for_those_before_it() {
        let mut lanes = lanes(&[(1, &[1]), (2, &[2])]);
        let one_lane = Bounds { lanes: 1, ..BOUNDS };
        lanes.take(&one_lane).expect("lane 1");
        lanes.push(request(3, &[1, 2])).expect("room");
        lanes.push(request(4, &[2])).expect("room");
        assert_eq!(take(&mut lanes), Some((vec![2], ids(&[2]))), "stops before the cart");
        lanes.finish(&ids(&[2]));
        assert_eq!(take(&mut lanes), None, "lane 1 is busy still");
        lanes.finish(&ids(&[1]));
        assert_eq!(
            take(&mut lanes),
            Some((vec![3], ids(&[1, 2]))),
            "the cart before its followers"
        );
        lanes.finish(&ids(&[1, 2]));
        assert_eq!(take(&mut lanes), Some((vec![4], ids(&[2]))));
    }

    #[test]
    fn carts_in_opposite_order_are_both_served() {
        let mut lanes = lanes(&[(1, &[1, 2]), (2, &[1, 2]), (3, &[2, 3]), (4, &[1, 3])]);
        let mut served = Vec::new();
        while let Some((marks, busy)) = take(&mut lanes) {
            served.extend(marks);
            lanes.finish(&busy);
        }
        served.sort_unstable();
        assert_eq!(served, [1, 2, 3, 4]);
        assert_eq!(lanes.depth(), 0);
    }

    #[test]
    fn what_is_put_back_goes_first_and_a_full_queue_refuses() {
        let mut lanes = Lanes::new(2);
        lanes.push(request(1, &[1])).expect("room");
        lanes.push(request(2, &[1])).expect("room");
        let full = lanes.push(request(3, &[1])).expect_err("full");
        assert_eq!(full.kind(), ErrorKind::Contention);
        let taken = lanes.take(&Bounds { requests: 1, ..BOUNDS }).expect("one");
        lanes.push_front(taken.requests);
        lanes.finish(&taken.lanes);
        assert_eq!(take(&mut lanes).map(|taken| taken.0), Some(vec![1, 2]));
    }

    #[test]
    fn any_mix_of_carts_is_served_whole_and_in_order_by_several_workers() {
        // A fixed generator: the same mix at each run.
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..300 {
            let mut lanes = Lanes::new(1_000);
            let mut order: HashMap<u64, Vec<i64>> = HashMap::new();
            let count = 1 + draw(40);
            for mark in 0..count {
                let mut route: Vec<u64> = (0..=draw(4)).map(|_| 1 + draw(5)).collect();
                route.sort_unstable();
                route.dedup();
                let mark = i64::try_from(mark).expect("small");
                for id in &route {
                    order.entry(*id).or_default().push(mark);
                }
                lanes.push(request(mark, &route)).expect("room");
            }
            let mut seen: HashMap<u64, Vec<i64>> = HashMap::new();
            let mut under_way: Vec<Taken> = Vec::new();
            let mut served = 0;
            while served < count {
                let start_another = under_way.len() < 3 && draw(3) > 0;
                if let Some(taken) = start_another.then(|| lanes.take(&BOUNDS)).flatten() {
                    for request in &taken.requests {
                        let Command::Adjust { delta, .. } = request.command else { continue };
                        for id in &request.route {
                            assert!(taken.lanes.contains(id));
                            seen.entry(id.0).or_default().push(delta);
                        }
                    }
                    under_way.push(taken);
                } else if !under_way.is_empty() {
                    let at = usize::try_from(draw(under_way.len() as u64)).expect("small");
                    let done = under_way.swap_remove(at);
                    served += done.requests.len() as u64;
                    lanes.finish(&done.lanes);
                } else if !start_another {
                    continue;
                } else {
                    panic!("{} requests are stuck", count - served);
                }
            }
            assert_eq!(seen, order);
        }
    }
}
