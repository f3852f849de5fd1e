//! The order in which batches take requests, and how many batches run at once.

use std::time::Instant;

use tokio::sync::oneshot;

use super::*;
use crate::ledger::{Command, NewStock};
use crate::model::ProductId;
use crate::test_support::adjustment;

const LIMITS: BatchLimits = BatchLimits {
    requests: 4,
    requests_max: 4,
    lanes_max: 3,
    add_lane_below: 3,
    lock_run: Duration::from_millis(20),
};

fn request(mark: i64, ids: &[u64]) -> Box<PendingRequest> {
    let command = adjustment(ProductId(1), mark, None, None);
    let ids = ids.iter().copied().map(LaneId);
    PendingRequest::new(command, ids, oneshot::channel().0, Instant::now())
}

fn lanes(requests: &[(i64, &[u64])]) -> Lanes {
    let mut lanes = Lanes::new(100, LIMITS);
    for (mark, ids) in requests {
        lanes.push(request(*mark, ids)).expect("room");
    }
    lanes
}

fn take(lanes: &mut Lanes) -> Option<(Vec<i64>, Vec<LaneId>)> {
    let batch = lanes.take()?;
    let marks = batch.requests.iter().map(|request| match request.command {
        Command::Adjust { stock: NewStock::By(delta), .. } => delta,
        _ => 0,
    });
    Some((marks.collect(), batch.lanes))
}

fn ids(ids: &[u64]) -> Vec<LaneId> {
    ids.iter().copied().map(LaneId).collect()
}

#[test]
fn take_serves_a_lane_in_order_up_to_the_limit_and_one_batch_at_a_time() {
    let mut lanes = lanes(&[(1, &[7]), (2, &[7]), (3, &[7]), (4, &[7]), (5, &[7])]);
    assert_eq!(lanes.depth(), 5);
    assert_eq!(take(&mut lanes), Some((vec![1, 2, 3, 4], ids(&[7]))));
    assert_eq!(lanes.depth(), 1, "requests in flight are not queued");
    assert_eq!(take(&mut lanes), None, "the lane is busy");
    lanes.finish(&ids(&[7]));
    assert_eq!(take(&mut lanes), Some((vec![5], ids(&[7]))));
    lanes.finish(&ids(&[7]));
    assert!(lanes.lanes.is_empty(), "an idle lane is dropped");
}

#[test]
fn take_returns_more_after_full_batches_were_fast() {
    let mut lanes = Lanes::new(100, BatchLimits { requests_max: 8, ..LIMITS });
    lanes.adapt_batch_size(4, Duration::ZERO);
    for mark in 1..=9 {
        lanes.push(request(mark, &[7])).expect("room");
    }
    assert_eq!(take(&mut lanes).map(|(marks, _)| marks.len()), Some(8));
}

fn lease(age: Duration) -> Lease {
    let granted_at = Instant::now().checked_sub(age).expect("uptime");
    Lease { name: crate::lock::LockName(7), token: 1, fence: Some(5), granted_at }
}

#[test]
fn finish_keeps_a_lease_for_a_run_and_then_offers_it() {
    let mut lanes = lanes(&[(1, &[7]), (2, &[7]), (3, &[7])]);
    lanes.limits = BatchLimits { requests: 1, lock_run: Duration::from_secs(60), ..LIMITS };
    let busy = ids(&[7]);
    take(&mut lanes).expect("the first");
    lanes.keep_lease(LaneId(7), lease(Duration::ZERO));
    assert!(lanes.finish(&busy).is_empty(), "its run has just begun");
    take(&mut lanes).expect("the second");
    assert!(lanes.take_lease(LaneId(7)).is_some(), "it was kept");
    assert!(lanes.lease(LaneId(7)).is_none(), "and is taken");
    lanes.keep_lease(LaneId(7), lease(Duration::from_secs(70)));
    let mut lease_actions = lanes.finish(&busy);
    let Some(LeaseAction::Offer(LaneId(7), kept)) = lease_actions.pop() else {
        panic!("{lease_actions:?}")
    };
    lanes.push(request(4, &[7])).expect("room");
    assert_eq!(take(&mut lanes), None, "it is offered first");
    lanes.reopen(LaneId(7), Some(kept));
    assert_eq!(take(&mut lanes), Some((vec![3], busy.clone())));
    lanes.finish(&busy);
    lanes.reopen(LaneId(7), None);
    assert_eq!(take(&mut lanes), Some((vec![4], busy.clone())));
    lanes.keep_lease(LaneId(7), lease(Duration::ZERO));
    let lease_actions = lanes.finish(&busy);
    assert!(
        matches!(lease_actions[..], [LeaseAction::Release(_)]),
        "the lane is empty: {lease_actions:?}"
    );
}

#[test]
fn take_adds_the_requests_behind_a_cart_to_its_batch() {
    let mut lanes = lanes(&[(1, &[1, 2]), (2, &[2]), (3, &[1])]);
    assert_eq!(take(&mut lanes), Some((vec![1, 3, 2], ids(&[1, 2]))));
}

#[test]
fn take_combines_small_lanes_into_one_batch() {
    let mut lanes = lanes(&[(1, &[9]), (2, &[3]), (3, &[5]), (4, &[6])]);
    assert_eq!(take(&mut lanes), Some((vec![1, 2, 3], ids(&[3, 5, 9]))));
    assert_eq!(take(&mut lanes), Some((vec![4], ids(&[6]))));
}

#[test]
fn take_leaves_a_lane_ready_when_the_batch_is_full() {
    let mut lanes = lanes(&[(1, &[1]), (2, &[2]), (3, &[3])]);
    lanes.limits.requests = 1;
    for (mark, id) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(take(&mut lanes), Some((vec![mark], ids(&[id]))));
    }
}

#[test]
fn take_holds_a_cart_back_until_it_is_first_in_all_lanes() {
    let mut lanes = lanes(&[(1, &[1]), (2, &[2])]);
    lanes.limits.lanes_max = 1;
    lanes.take().expect("lane 1");
    lanes.limits.lanes_max = 3;
    lanes.push(request(3, &[1, 2])).expect("room");
    lanes.push(request(4, &[2])).expect("room");
    assert_eq!(take(&mut lanes), Some((vec![2], ids(&[2]))), "stops before the cart");
    lanes.finish(&ids(&[2]));
    assert_eq!(take(&mut lanes), None, "lane 1 is still busy");
    lanes.finish(&ids(&[1]));
    assert_eq!(take(&mut lanes), Some((vec![3, 4], ids(&[1, 2]))), "the cart before its followers");
}

#[test]
fn take_leaves_carts_to_gather_behind_a_batch_of_carts() {
    let mut lanes = lanes(&[(1, &[1, 2])]);
    assert_eq!(take(&mut lanes), Some((vec![1], ids(&[1, 2]))));
    for (mark, of) in [(2, &[3, 4][..]), (3, &[5]), (4, &[5, 6]), (5, &[4])] {
        lanes.push(request(mark, of)).expect("room");
    }
    assert_eq!(take(&mut lanes), Some((vec![3], ids(&[5]))), "a request for one product");
    assert_eq!(take(&mut lanes), None, "no second batch has carts");
    lanes.finish(&ids(&[5]));
    assert_eq!(take(&mut lanes), None, "that was another batch");
    lanes.finish(&ids(&[1, 2]));
    assert_eq!(take(&mut lanes), Some((vec![2, 5, 4], ids(&[3, 4, 5, 6]))));
    lanes.finish(&ids(&[3, 4, 5, 6]));
    assert!(lanes.lanes.is_empty());
}

#[test]
fn take_serves_carts_of_opposite_orders_without_deadlock() {
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
fn push_front_requeues_first_and_push_rejects_when_full() {
    let mut lanes = Lanes::new(2, LIMITS);
    lanes.push(request(1, &[1])).expect("room");
    lanes.push(request(2, &[1])).expect("room");
    let full = lanes.push(request(3, &[1])).expect_err("full");
    assert_eq!(full.kind(), ErrorKind::Contention);
    lanes.limits.requests = 1;
    let batch = lanes.take().expect("one");
    lanes.limits.requests = 4;
    lanes.push_front(batch.requests);
    lanes.finish(&batch.lanes);
    assert_eq!(take(&mut lanes).map(|batch| batch.0), Some(vec![1, 2]));
}

#[test]
fn take_serves_any_mix_of_carts_whole_and_in_order() {
    // A xorshift generator with a fixed seed: the same mix in each run.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..300 {
        let mut lanes = Lanes::new(1_000, LIMITS);
        let mut order: HashMap<u64, Vec<i64>> = HashMap::new();
        let count = 1 + draw(40);
        for mark in 0..count {
            let mut ids: Vec<u64> = (0..=draw(4)).map(|_| 1 + draw(5)).collect();
            ids.sort_unstable();
            ids.dedup();
            let mark = i64::try_from(mark).expect("small");
            for id in &ids {
                order.entry(*id).or_default().push(mark);
            }
            lanes.push(request(mark, &ids)).expect("room");
        }
        let mut seen: HashMap<u64, Vec<i64>> = HashMap::new();
        let mut batches: Vec<ReadyBatch> = Vec::new();
        let mut served = 0;
        while served < count {
            let start_another = batches.len() < 3 && draw(3) > 0;
            if let Some(batch) = start_another.then(|| lanes.take()).flatten() {
                for request in &batch.requests {
                    let Command::Adjust { stock: NewStock::By(delta), .. } = request.command else {
                        continue;
                    };
                    for id in &request.lanes {
                        assert!(batch.lanes.contains(id));
                        seen.entry(id.0).or_default().push(delta);
                    }
                }
                batches.push(batch);
            } else if !batches.is_empty() {
                let at = usize::try_from(draw(batches.len() as u64)).expect("small");
                let done = batches.swap_remove(at);
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
