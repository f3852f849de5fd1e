//! The order in which requests are taken, and by how many batches at once.

use super::*;
use crate::model::ProductId;

const BOUNDS: BatchLimits = BatchLimits {
    requests: 4,
    most: 4,
    lanes: 3,
    share_below: 3,
    in_flight: 1,
    lock_run: Duration::from_millis(20),
};

fn request(mark: i64, route: &[u64]) -> Request {
    let command =
        Command::Adjust { product_id: ProductId(1), delta: mark, version: None, key: None };
    let route = route.iter().copied().map(LaneId).collect();
    Request::new(command, route, oneshot::channel().0, Instant::now())
}

fn lanes(requests: &[(i64, &[u64])]) -> Lanes {
    let mut lanes = Lanes::new(100, BOUNDS);
    for (mark, route) in requests {
        lanes.push(request(*mark, route)).expect("room");
    }
    lanes
}

fn take(lanes: &mut Lanes) -> Option<(Vec<i64>, Vec<LaneId>)> {
    let taken = lanes.take()?;
    let marks = taken.requests.iter().map(|request| match request.command {
        Command::Adjust { delta, .. } => delta,
        _ => 0,
    });
    Some((marks.collect(), taken.lanes))
}

/// The batch that last took one of these lanes.
fn newest(lanes: &Lanes, ids: &[LaneId]) -> u64 {
    ids.iter().filter_map(|id| lanes.lanes.get(id)).map(|lane| lane.newest).max().unwrap_or(0)
}

/// Ends the newest batch that has these lanes.
fn finish(lanes: &mut Lanes, ids: &[LaneId]) -> Vec<LeaseAction> {
    // How much it took matters to a crowd only.
    lanes.finish(ids, newest(lanes, ids), 0)
}

fn open(lanes: &mut Lanes, ids: &[LaneId], admission: Admission) {
    lanes.open(ids, newest(lanes, ids), admission);
}

fn ids(ids: &[u64]) -> Vec<LaneId> {
    ids.iter().copied().map(LaneId).collect()
}

#[test]
fn a_lane_is_served_in_order_up_to_the_bound_and_by_one_at_a_time() {
    let mut lanes = lanes(&[(1, &[7]), (2, &[7]), (3, &[7]), (4, &[7]), (5, &[7])]);
    assert_eq!(lanes.depth(), 5);
    assert_eq!(take(&mut lanes), Some((vec![1, 2, 3, 4], ids(&[7]))));
    assert_eq!(lanes.depth(), 1, "what is under way waits no more");
    assert_eq!(take(&mut lanes), None, "the lane is busy");
    finish(&mut lanes, &ids(&[7]));
    assert_eq!(take(&mut lanes), Some((vec![5], ids(&[7]))));
    finish(&mut lanes, &ids(&[7]));
    assert!(lanes.lanes.is_empty(), "an idle lane is forgotten");
}

#[test]
fn a_batch_takes_more_once_full_ones_were_quick() {
    let mut lanes = Lanes::new(100, BatchLimits { most: 8, ..BOUNDS });
    lanes.learn(4, Duration::ZERO);
    for mark in 1..=9 {
        lanes.push(request(mark, &[7])).expect("room");
    }
    assert_eq!(take(&mut lanes).map(|(marks, _)| marks.len()), Some(8));
}

#[test]
fn a_second_batch_may_follow_when_the_first_commits() {
    let mut lanes = Lanes::new(100, BatchLimits { requests: 1, in_flight: 2, ..BOUNDS });
    for mark in 1..=4 {
        lanes.push(request(mark, &[7])).expect("room");
    }
    let lane = ids(&[7]);
    let first = lanes.take().expect("a batch");
    assert_eq!(take(&mut lanes), None, "the first has yet to lock its rows");
    lanes.open(&lane, first.number, Admission::Open);
    let second = lanes.take().expect("a batch");
    lanes.open(&lane, first.number, Admission::Open);
    assert_eq!(take(&mut lanes), None, "it is the second that holds it up");
    lanes.finish(&lane, first.number, 1);
    assert_eq!(take(&mut lanes), None, "it is the second that holds it up");
    lanes.open(&lane, second.number, Admission::Open);
    let third = lanes.take().expect("a batch");
    lanes.open(&lane, third.number, Admission::Open);
    assert_eq!(take(&mut lanes), None, "two are under way");
    // One that fails before its commit holds no one up.
    lanes.finish(&lane, second.number, 1);
    let fourth = lanes.take().expect("a batch");
    lanes.finish(&lane, fourth.number, 1);
    lanes.finish(&lane, third.number, 1);
    assert!(lanes.lanes.is_empty());
}

#[test]
fn two_batches_under_way_halve_what_is_there() {
    let mut lanes = Lanes::new(1_000, BatchLimits { requests: 512, in_flight: 2, ..BOUNDS });
    let lane = ids(&[7]);
    let push = |lanes: &mut Lanes, count: i64| {
        for mark in 0..count {
            lanes.push(request(mark, &[7])).expect("room");
        }
    };
    push(&mut lanes, 200);
    let first = lanes.take().expect("a batch");
    lanes.open(&lane, first.number, Admission::CrowdOnly);
    let second = lanes.take().expect("a crowd");
    assert_eq!((first.requests.len(), second.requests.len()), (100, 100));
    lanes.finish(&lane, first.number, 100);
    lanes.open(&lane, second.number, Admission::CrowdOnly);
    push(&mut lanes, 60);
    assert_eq!(take(&mut lanes), None, "no crowd: it waits for the commit");
    push(&mut lanes, 40);
    let third = lanes.take().expect("a crowd");
    assert_eq!(third.requests.len(), 100);
}

fn lease(age: Duration) -> Lease {
    let granted_at = Instant::now().checked_sub(age).expect("uptime");
    Lease { name: crate::lock::LockName(7), token: 1, fence: Some(5), granted_at }
}

#[test]
fn a_lock_is_kept_for_a_run_of_batches_and_then_goes_round() {
    let mut lanes = lanes(&[(1, &[7]), (2, &[7]), (3, &[7])]);
    lanes.limits =
        BatchLimits { requests: 1, in_flight: 2, lock_run: Duration::from_secs(60), ..BOUNDS };
    let busy = ids(&[7]);
    take(&mut lanes).expect("the first");
    lanes.keep_lease(LaneId(7), lease(Duration::ZERO));
    open(&mut lanes, &busy, Admission::Open);
    assert!(finish(&mut lanes, &busy).is_empty(), "it is wanted and new");
    take(&mut lanes).expect("the second");
    open(&mut lanes, &busy, Admission::Open);
    assert!(lanes.take_lease(LaneId(7)).is_some(), "it was kept");
    assert!(lanes.lease(LaneId(7)).is_none(), "and is taken");
    lanes.keep_lease(LaneId(7), lease(Duration::from_secs(70)));
    assert_eq!(take(&mut lanes), None, "it was kept for long: no second batch begins");
    let mut lease_actions = finish(&mut lanes, &busy);
    let Some(LeaseAction::Ask(LaneId(7), kept)) = lease_actions.pop() else {
        panic!("{lease_actions:?}")
    };
    lanes.push(request(4, &[7])).expect("room");
    assert_eq!(take(&mut lanes), None, "others are asked first");
    lanes.settle(LaneId(7), Some(kept));
    assert_eq!(take(&mut lanes), Some((vec![3], busy.clone())));
    finish(&mut lanes, &busy);
    lanes.settle(LaneId(7), None);
    assert_eq!(take(&mut lanes), Some((vec![4], busy.clone())));
    lanes.keep_lease(LaneId(7), lease(Duration::ZERO));
    let lease_actions = finish(&mut lanes, &busy);
    assert!(
        matches!(lease_actions[..], [LeaseAction::Release(_)]),
        "no one wants it: {lease_actions:?}"
    );
}

#[test]
fn requests_that_a_cart_has_made_way_for_join_its_batch() {
    let mut lanes = lanes(&[(1, &[1, 2]), (2, &[2]), (3, &[1])]);
    assert_eq!(take(&mut lanes), Some((vec![1, 3, 2], ids(&[1, 2]))));
}

#[test]
fn small_batches_of_different_lanes_share_a_transaction() {
    let mut lanes = lanes(&[(1, &[9]), (2, &[3]), (3, &[5]), (4, &[6])]);
    assert_eq!(take(&mut lanes), Some((vec![1, 2, 3], ids(&[3, 5, 9]))));
    assert_eq!(take(&mut lanes), Some((vec![4], ids(&[6]))));
}

#[test]
fn a_lane_that_a_full_batch_has_no_room_for_keeps_its_turn() {
    let mut lanes = lanes(&[(1, &[1]), (2, &[2]), (3, &[3])]);
    lanes.limits.requests = 1;
    for (mark, id) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(take(&mut lanes), Some((vec![mark], ids(&[id]))));
    }
}

#[test]
fn a_cart_waits_for_all_its_lanes_and_for_those_before_it() {
    let mut lanes = lanes(&[(1, &[1]), (2, &[2])]);
    lanes.limits.lanes = 1;
    lanes.take().expect("lane 1");
    lanes.limits.lanes = 3;
    lanes.push(request(3, &[1, 2])).expect("room");
    lanes.push(request(4, &[2])).expect("room");
    assert_eq!(take(&mut lanes), Some((vec![2], ids(&[2]))), "stops before the cart");
    finish(&mut lanes, &ids(&[2]));
    assert_eq!(take(&mut lanes), None, "lane 1 is busy still");
    finish(&mut lanes, &ids(&[1]));
    assert_eq!(take(&mut lanes), Some((vec![3, 4], ids(&[1, 2]))), "the cart before its followers");
}

#[test]
fn carts_in_opposite_order_are_both_served() {
    let mut lanes = lanes(&[(1, &[1, 2]), (2, &[1, 2]), (3, &[2, 3]), (4, &[1, 3])]);
    let mut served = Vec::new();
    while let Some((marks, busy)) = take(&mut lanes) {
        served.extend(marks);
        finish(&mut lanes, &busy);
    }
    served.sort_unstable();
    assert_eq!(served, [1, 2, 3, 4]);
    assert_eq!(lanes.depth(), 0);
}

#[test]
fn what_is_put_back_goes_first_and_a_full_queue_refuses() {
    let mut lanes = Lanes::new(2, BOUNDS);
    lanes.push(request(1, &[1])).expect("room");
    lanes.push(request(2, &[1])).expect("room");
    let full = lanes.push(request(3, &[1])).expect_err("full");
    assert_eq!(full.kind(), ErrorKind::Contention);
    lanes.limits.requests = 1;
    let taken = lanes.take().expect("one");
    lanes.limits.requests = 4;
    lanes.push_front(taken.requests);
    lanes.finish(&taken.lanes, taken.number, 1);
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
        let in_flight = 1 + usize::try_from(draw(2)).expect("small");
        let mut lanes = Lanes::new(1_000, BatchLimits { in_flight, ..BOUNDS });
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
        let mut batches: Vec<(ReadyBatch, bool)> = Vec::new();
        let mut served = 0;
        while served < count {
            let start_another = batches.len() < 3 && draw(3) > 0;
            if let Some(taken) = start_another.then(|| lanes.take()).flatten() {
                for request in &taken.requests {
                    let Command::Adjust { delta, .. } = request.command else { continue };
                    for id in &request.route {
                        assert!(taken.lanes.contains(id));
                        seen.entry(id.0).or_default().push(delta);
                    }
                }
                batches.push((taken, false));
            } else if !batches.is_empty() {
                let at = usize::try_from(draw(batches.len() as u64)).expect("small");
                let (batch, opened) = &mut batches[at];
                if !*opened && draw(2) == 0 {
                    *opened = true;
                    lanes.open(&batch.lanes, batch.number, Admission::Open);
                    continue;
                }
                let (done, _) = batches.swap_remove(at);
                served += done.requests.len() as u64;
                lanes.finish(&done.lanes, done.number, done.requests.len());
            } else if !start_another {
                continue;
            } else {
                panic!("{} requests are stuck", count - served);
            }
        }
        assert_eq!(seen, order);
    }
}
