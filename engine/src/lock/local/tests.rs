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
async fn grants_follow_the_order_of_arrival() {
    let lock = LocalLock::default();
    let first = take(&lock, LONG).await;
    let mut second = lock.acquire(NAME, LONG);
    assert!(poll!(&mut second).is_pending());
    let mut third = lock.acquire(NAME, LONG);
    assert!(poll!(&mut third).is_pending());
    lock.release(first).await;
    assert!(poll!(&mut third).is_pending(), "the third overtook the second");
    let Grant::Granted(second) = second.await else { panic!("the second has no grant") };
    assert!(poll!(&mut third).is_pending());
    lock.release(second).await;
    let Grant::Granted(third) = third.await else { panic!("the third has no grant") };
    lock.release(third).await;
    assert!(lock.names.lock().is_empty(), "an unused name is left");
}

#[tokio::test]
async fn names_are_independent() {
    let lock = LocalLock::default();
    let _held = take(&lock, LONG).await;
    assert!(matches!(lock.acquire(LockName(8), Duration::ZERO).await, Grant::Granted(_)));
}

#[tokio::test]
async fn a_timed_out_waiter_leaves_the_queue() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    let late = lock.acquire(NAME, Duration::from_millis(10)).await;
    assert!(matches!(late, Grant::TimedOut));
    assert_eq!(lock.renew(&held).await, Renewal::Renewed, "a waiter that left still counts");
    lock.release(held).await;
    assert!(lock.names.lock().is_empty());
}

#[tokio::test]
async fn renew_extends_the_lease_until_another_waits() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    assert_eq!(lock.renew(&held).await, Renewal::Renewed);
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    assert_eq!(lock.renew(&held).await, Renewal::HandedOver);
    let Grant::Granted(next) = next.await else { panic!("the next waiter has no grant") };
    assert_eq!(lock.renew(&held).await, Renewal::Lost);
    // A lease that was handed over releases nothing.
    lock.release(held).await;
    assert_eq!(lock.renew(&next).await, Renewal::Renewed);
}

#[tokio::test]
async fn a_dropped_waiter_passes_its_grant_on() {
    let lock = LocalLock::default();
    let held = take(&lock, LONG).await;
    let mut dropped = lock.acquire(NAME, LONG);
    assert!(poll!(&mut dropped).is_pending());
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    // `dropped` is granted the lock before it is dropped.
    lock.release(held).await;
    drop(dropped);
    let Grant::Granted(next) = next.await else { panic!("the grant was lost") };
    lock.release(next).await;
    assert!(lock.names.lock().is_empty());
}

#[tokio::test]
async fn a_lost_holder_is_replaced_after_its_timeout() {
    let lock = LocalLock::default();
    let lost = take(&lock, LONG).await;
    let mut waiter = lock.acquire(NAME, LONG);
    assert!(poll!(&mut waiter).is_pending());
    let expire = || {
        let mut names = lock.names.lock();
        let queue = names.get_mut(&NAME).expect("in use");
        queue.renewed_at = queue.renewed_at.checked_sub(HOLDER_TIMEOUT).expect("uptime");
    };
    expire();
    // The next to arrive detects it, and queues behind the waiter.
    let mut next = lock.acquire(NAME, LONG);
    assert!(poll!(&mut next).is_pending());
    let Grant::Granted(_second) = waiter.await else {
        panic!("the lost holder still has the lock")
    };
    assert!(poll!(&mut next).is_pending());
    assert_eq!(lock.renew(&lost).await, Renewal::Lost);
    drop(next);
    expire();
    let third = take(&lock, LONG).await;
    lock.release(third).await;
    assert!(lock.names.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn holders_exclude_each_other_while_waiters_come_and_go() {
    let lock = Arc::new(LocalLock::default());
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64_u64)
        .map(|task| {
            let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
            tokio::spawn(async move {
                for round in 0..50 {
                    // Some time out soon, so that grants meet waiters that leave.
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
    assert!(lock.names.lock().is_empty());
}
