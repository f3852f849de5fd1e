//! Leases: when a batch acquires, reuses, offers and releases them.

use super::*;
use crate::combiner::lanes::LeaseAction;
use crate::combiner::leases::apply;

#[tokio::test]
async fn acquire_requests_a_lock_only_for_a_contended_single_product() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let calls_of = async |lanes: &[LaneId], requests| {
        let (leases, result) = harness.acquire(lanes, requests).await;
        result.expect("acquired");
        (harness.lock.take_calls(), fence(&leases))
    };
    assert_eq!(calls_of(&[LANE], 7).await, (vec![], None), "not contended");
    assert_eq!(calls_of(&[LANE], 8).await, (vec![LockCall::Acquire(7, TTL * 2)], Some(10)));
    assert_eq!(calls_of(&[LaneId(3), LANE], 99).await, (vec![], None), "several products");
}

#[tokio::test]
async fn acquire_requests_every_lock_in_strict_mode_with_a_short_wait_for_several() {
    let harness = Harness::new(LockBehavior::Grant, |config| config.strict = true).await;
    let (_, result) = harness.acquire(&[LANE], 1).await;
    result.expect("acquired");
    assert_eq!(harness.lock.take_calls(), [LockCall::Acquire(7, TTL * 2)]);
    let (_, result) = harness.acquire(&[LaneId(3), LANE], 2).await;
    result.expect("acquired");
    let brief = Duration::from_millis(100);
    assert_eq!(
        harness.lock.take_calls(),
        [LockCall::Acquire(3, brief), LockCall::Acquire(7, brief)]
    );
}

#[tokio::test]
async fn acquire_fails_without_a_lock_in_strict_mode_only() {
    for (behavior, code) in
        [(LockBehavior::NotInTime, "contention"), (LockBehavior::Down, "unavailable")]
    {
        let harness = Harness::new(behavior, |config| config.strict = true).await;
        let (_, result) = harness.acquire(&[LANE], 8).await;
        assert_eq!(result.expect_err("no lock").code(), code);
        let harness = Harness::new(behavior, |_| ()).await;
        let (mut leases, result) = harness.acquire(&[LANE], 8).await;
        result.expect("the row lock is enough");
        assert_eq!(fence(&leases), None);
        assert_eq!(harness.lock.take_calls().len(), 1);
        let slot = BatchSlot { lanes: vec![LANE], requests: 8 };
        leases.acquire(&harness.context, &slot).await.expect("the row lock is enough");
        assert_eq!(harness.lock.take_calls(), [], "the next attempt does not wait again");
    }
}

#[tokio::test]
async fn acquire_reuses_a_kept_lease_for_half_of_its_time() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let slot = harness.begin();
    harness.context.queue.lanes().keep_lease(LANE, lease(3, TTL / 4));
    let (leases, _) = harness.acquire(&slot.lanes, 1).await;
    assert_eq!(fence(&leases), Some(3));
    assert_eq!((harness.lock.take_calls(), harness.kept_fence()), (vec![], Some(3)));
    harness.context.queue.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = harness.acquire(&slot.lanes, 1).await;
    assert_eq!(fence(&leases), None, "not contended");
    assert_eq!(
        (harness.lock.take_calls(), harness.kept_fence()),
        (vec![LockCall::Release(Some(3))], None)
    );
    harness.context.queue.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = harness.acquire(&slot.lanes, 8).await;
    assert_eq!(fence(&leases), Some(10));
    let calls = [LockCall::Release(Some(3)), LockCall::Acquire(7, TTL * 2)];
    assert_eq!((harness.lock.take_calls(), harness.kept_fence()), (calls.into(), Some(10)));
}

#[tokio::test]
async fn drop_stale_releases_the_lease_and_reacquires_if_requested() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let slot = BatchSlot { requests: 8, ..harness.begin() };
    let mut leases = Leases::default();
    for reacquire in [true, false] {
        leases.acquire(&harness.context, &slot).await.expect("acquired");
        assert_eq!(harness.lock.take_calls(), [LockCall::Acquire(7, TTL * 2)]);
        leases.drop_stale(&harness.context, PRODUCT, 12, reacquire).await;
        assert_eq!(
            harness.lock.take_calls(),
            [LockCall::Raise(7, 12), LockCall::Release(Some(10))]
        );
        assert_eq!((fence(&leases), harness.kept_fence()), (None, None));
    }
    leases.acquire(&harness.context, &slot).await.expect("optional");
    assert_eq!(harness.lock.take_calls(), []);
}

#[tokio::test]
async fn apply_keeps_an_offered_lease_if_no_process_waits() {
    for (behavior, fence) in
        [(LockBehavior::Grant, Some(3)), (LockBehavior::GrantThenHandOver, None)]
    {
        let harness = Harness::new(behavior, |_| ()).await;
        let slot = harness.begin();
        harness.context.queue.lanes().keep_lease(LANE, lease(3, TTL));
        let lease_actions = harness.context.queue.finish(&slot, Vec::new());
        assert!(!harness.context.queue.lanes().has_ready(), "its lane is closed");
        apply(&harness.context, lease_actions).await;
        assert_eq!(harness.lock.take_calls(), [LockCall::Keep(Some(3))]);
        assert!(harness.context.queue.lanes().has_ready());
        let lanes = harness.context.queue.lanes();
        let kept = lanes.lease(LANE);
        assert_eq!(kept.and_then(|lease| lease.fence), fence);
        assert!(kept.is_none_or(|lease| runtime::elapsed(lease.granted_at) < TTL), "renewed");
    }
}

#[tokio::test]
async fn apply_releases_the_lease_of_an_empty_lane() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    apply(&harness.context, vec![LeaseAction::Release(lease(3, Duration::ZERO))]).await;
    assert_eq!(harness.lock.take_calls(), [LockCall::Release(Some(3))]);
}
