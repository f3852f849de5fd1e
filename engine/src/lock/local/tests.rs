use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;

use super::*;

const NAME: LockName = LockName(7);
const LONG: Duration = Duration::from_secs(30);

async fn take(lock: &LocalLock, wait: Duration) -> Lease {
    match lock.acquire(NAME, wait).await {
        Grant::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

#[tokio::test]
async fn turns_are_taken_in_the_order_of_asking() {
    let lock = LocalLock::default();
    let first = take(&lock, LONG).await;
    let mut second = lock.acquire(NAME, LONG);
    assert!(poll!(&mut second).is_pending());
    let mut third = lock.acquire(NAME, LONG);
    assert!(poll!(&mut third).is_pending());
    lock.release(first).await;
    assert!(poll!(&mut third).is_pending(), "the third overtook the second");
    let Grant::Granted(second) = second.await else { panic!("the second has no turn") };
    assert!(poll!(&mut third).is_pending());
    lock.release(second).await;
    let Grant::Granted(third) = third.await else { panic!("the third has no turn") };
    lock.release(third).await;
    assert!(lock.names().is_empty(), "a name out of use is kept");
}

#[tokio::test]
async fn other_names_are_not_waited_for() {
    let lock = LocalLock::default();
    let _held = take(&lock, LONG).await;
    assert!(matches!(lock.acquire(LockName(8), Duration::ZERO).await, Grant::Granted(_)));
}

#[tokio::test]
async fn a_wait_ends_and_leaves_no_place_behind() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    let late = lock.acquire(NAME, Duration::from_millis(10)).await;
    assert!(matches!(late, Grant::NotInTime));
    assert_eq!(lock.keep(&held).await, Kept::Renewed, "a waiter that left still counts");
    lock.release(held).await;
    assert!(lock.names().is_empty());
}

#[tokio::test]
async fn keep_renews_until_another_waits() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    assert_eq!(lock.keep(&held).await, Kept::Renewed);
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    assert_eq!(lock.keep(&held).await, Kept::HandedOver);
    let Grant::Granted(next) = next.await else { panic!("handed over to no one") };
    assert_eq!(lock.keep(&held).await, Kept::Lost);
    // A lease that was handed over gives nothing back.
    lock.release(held).await;
    assert_eq!(lock.keep(&next).await, Kept::Renewed);
}

#[tokio::test]
async fn a_dropped_waiter_passes_its_turn_on() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    let mut dropped = lock.acquire(NAME, LONG);
    assert!(poll!(&mut dropped).is_pending());
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    // The turn is on its way to `dropped` when that goes.
    lock.release(held).await;
    drop(dropped);
    let Grant::Granted(next) = next.await else { panic!("the turn was lost") };
    lock.release(next).await;
    assert!(lock.names().is_empty());
}

#[tokio::test]
async fn a_holder_that_was_lost_is_done_without_in_the_end() {
    let lock = LocalLock::default();
    let lost = take(&lock, LONG).await;
    let mut waiter = lock.acquire(NAME, LONG);
    assert!(poll!(&mut waiter).is_pending());
    let lapse = || {
        let mut names = lock.names();
        let turns = names.get_mut(&NAME).expect("in use");
        turns.since = turns.since.checked_sub(LAPSE).expect("a moment");
    };
    lapse();
    // Who comes next finds it out, and stands behind who waits already.
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    let Grant::Granted(_second) = waiter.await else { panic!("the turn is still kept") };
    assert!(poll!(&mut next).is_pending());
    assert_eq!(lock.keep(&lost).await, Kept::Lost);
    drop(next);
    lapse();
    let third = take(&lock, LONG).await;
    lock.release(third).await;
    assert!(lock.names().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_at_a_time_whatever_comes_and_goes() {
    let lock = Arc::new(LocalLock::default());
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64_u64)
        .map(|task| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            tokio::spawn(async move {
                for round in 0..50 {
                    // Some give up soon, so that turns meet waiters that go.
                    let wait =
                        if (task + round) % 3 == 0 { Duration::from_micros(300) } else { LONG };
                    if let Grant::Granted(lease) = lock.acquire(NAME, wait).await {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        tokio::task::yield_now().await;
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        lock.release(lease).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.is_ok());
    }
    assert!(lock.names().is_empty());
}
