use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::{FutureExt, poll};
use stockade_testkit::{CutWhen, Proxy, Redis};

use super::*;
use crate::test_support::{eventually, in_time};

const NAME: LockName = LockName(7);
const KEY: &str = "shop:{7}:lock";
const QUEUE: &str = "shop:{7}:queue";
/// Far longer than any test: a grant before its end came by a message.
const LONG: Duration = Duration::from_secs(60);

/// A lock as of another process: with its own connection.
async fn lock(redis: &Redis, lease: Duration) -> Arc<RedisLock> {
    let connection = RedisConnection::connect_with_long_timeout(&redis.url()).await.expect("a URL");
    lock_on(redis, connection, lease).await
}

async fn lock_on(redis: &Redis, connection: RedisConnection, lease: Duration) -> Arc<RedisLock> {
    let lock = Arc::new(RedisLock::new(connection, lease));
    let channel = lock.state.channel.clone();
    eventually("the lock is subscribed", async || {
        redis.command(&["PUBSUB", "CHANNELS"]).contains(&channel)
    })
    .await;
    lock
}

fn lease(grant: Grant) -> Lease {
    match grant {
        Grant::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

async fn take(lock: &RedisLock) -> Lease {
    lease(in_time("a grant", lock.acquire(NAME, LONG)).await)
}

/// Acquires the lock in a task, and returns when it waits at `position`.
async fn queue_up(
    redis: &Redis,
    lock: &Arc<RedisLock>,
    position: usize,
) -> tokio::task::JoinHandle<Grant> {
    let lock = Arc::clone(lock);
    let waiter = tokio::spawn(async move { lock.acquire(NAME, LONG).await });
    let position = position.to_string();
    eventually("it waits", async || redis.command(&["ZCARD", QUEUE]) == position).await;
    waiter
}

async fn granted(waiter: tokio::task::JoinHandle<Grant>) -> Lease {
    lease(in_time("a grant", waiter).await.expect("no panic"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn holders_exclude_each_other_and_fencing_tokens_grow() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let locks = [lock(&redis, LONG).await, lock(&redis, LONG).await, lock(&redis, LONG).await];
    let (inside, fences) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..24)
        .map(|task| {
            let lock = Arc::clone(&locks[task % locks.len()]);
            let (inside, fences) = (Arc::clone(&inside), Arc::clone(&fences));
            tokio::spawn(async move {
                let mut grants = 0;
                while grants < 25 {
                    // Some waits are short, so that waiters leave as well.
                    let wait =
                        if (task + grants) % 5 == 0 { Duration::from_millis(1) } else { LONG };
                    let lease = match lock.acquire(NAME, wait).await {
                        Grant::Granted(lease) => lease,
                        Grant::TimedOut => continue,
                        Grant::Down => {
                            // A busy machine may miss the response timeout.
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            continue;
                        }
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                    let fence = lease.fence.expect("a fence");
                    assert!(
                        fences.swap(fence, Ordering::SeqCst) < fence,
                        "a fencing token did not grow"
                    );
                    tokio::task::yield_now().await;
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    grants += 1;
                    lock.release(lease).await;
                }
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(LONG, task).await.expect("in time").expect("no panic");
    }
    eventually("nothing is left", async || redis.command(&["EXISTS", KEY, QUEUE]) == "0").await;
    assert!(locks.iter().all(|lock| lock.state.waiters.lock().is_empty()));
}

#[tokio::test]
async fn grants_follow_the_order_of_arrival() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let locks = [lock(&redis, LONG).await, lock(&redis, LONG).await, lock(&redis, LONG).await];
    let held = take(&locks[0]).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for index in 0..12 {
        let lock = Arc::clone(&locks[index * 7 % locks.len()]);
        let order = Arc::clone(&order);
        tasks.push(tokio::spawn(async move {
            let lease = take(&lock).await;
            order.lock().push(index);
            lock.release(lease).await;
        }));
        let waiting = (index + 1).to_string();
        eventually("it waits", async || redis.command(&["ZCARD", QUEUE]) == waiting).await;
    }
    locks[0].release(held).await;
    for task in tasks {
        in_time("a grant", task).await.expect("no panic");
    }
    assert_eq!(*order.lock(), (0..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_newcomer_does_not_overtake_a_waiter_when_the_lock_is_free() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    let _lost = take(&one).await;
    let waiter = queue_up(&redis, &one, 1).await;
    redis.command(&["DEL", KEY]);
    let mut newcomer = two.acquire(NAME, LONG);
    let first = tokio::select! {
        grant = &mut newcomer => panic!("it overtook: {grant:?}"),
        lease = granted(waiter) => lease,
    };
    one.release(first).await;
    lease(in_time("a grant", newcomer).await);
}

#[tokio::test]
async fn a_wrong_token_releases_nothing() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let held = take(&lock).await;
    let (fence, granted_at) = (held.fence, held.granted_at);
    lock.release(Lease { name: NAME, token: held.token ^ 1, fence, granted_at }).await;
    assert_eq!(redis.command(&["GET", KEY]), format!("{:032x}", held.token));
    lock.release(held).await;
    assert_eq!(redis.command(&["EXISTS", KEY]), "0");
}

#[tokio::test]
async fn a_dead_holder_delays_waiters_by_its_lease() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, Duration::from_secs(1)).await, lock(&redis, LONG).await);
    let started = Instant::now();
    let _lost = take(&one).await;
    let waiters = [queue_up(&redis, &two, 1).await, queue_up(&redis, &two, 2).await];
    for waiter in waiters {
        let lease = granted(waiter).await;
        assert!(
            started.elapsed() >= Duration::from_millis(900),
            "granted before the lease expired"
        );
        two.release(lease).await;
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn renew_extends_the_lease_until_another_waits() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    redis.command(&["PEXPIRE", KEY, "20000"]);
    assert_eq!(one.renew(&held).await, Renewal::Renewed);
    let left: u64 = redis.command(&["PTTL", KEY]).parse().expect("a number");
    assert!(left > 20_000, "not renewed: {left} ms");
    let waiter = queue_up(&redis, &two, 1).await;
    assert_eq!(one.renew(&held).await, Renewal::HandedOver);
    let next = granted(waiter).await;
    assert!(next.fence > held.fence);
    assert_eq!(one.renew(&held).await, Renewal::Lost);
    one.release(held).await;
    assert_eq!(two.renew(&next).await, Renewal::Renewed);
    redis.flush();
    assert_eq!(two.renew(&next).await, Renewal::Lost);
}

#[tokio::test]
async fn a_timed_out_waiter_leaves_the_queue() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let held = take(&lock).await;
    for wait in [Duration::ZERO, Duration::from_millis(30)] {
        let late = in_time("the end of the wait", lock.acquire(NAME, wait)).await;
        assert!(matches!(late, Grant::TimedOut), "{late:?}");
        eventually("it left", async || redis.command(&["ZCARD", QUEUE]) == "0").await;
    }
    assert_eq!(lock.renew(&held).await, Renewal::Renewed);
}

#[tokio::test]
async fn fencing_tokens_grow_over_a_flush_and_beyond_a_raised_one() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let mut last = 0;
    for round in 0..6_u64 {
        let held = take(&lock).await;
        let fence = held.fence.expect("a fence");
        assert!(fence > last, "{fence} after {last}");
        last = fence;
        if round == 3 {
            // As if the clock had been set back by a day.
            last += 86_400_000_000;
            lock.raise_fence(NAME, last).await;
            lock.raise_fence(NAME, 5).await;
        }
        lock.release(held).await;
        if round < 3 {
            redis.flush();
        }
    }
    let keys = redis.command(&["KEYS", "*"]);
    assert!(keys.lines().all(|key| key.starts_with("shop:{7}:")), "a key in another slot: {keys}");
    assert_ne!(redis.command(&["PTTL", "shop:{7}:fence"]), "-1", "kept for ever");
}

#[tokio::test]
async fn acquire_returns_down_until_redis_is_back() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let _held = take(&lock).await;
    let waiter = queue_up(&redis, &lock, 1).await;
    redis.kill();
    let grant = in_time("the waiter returns", waiter).await.expect("no panic");
    assert!(matches!(grant, Grant::Down), "{grant:?}");
    let at_once = lock.acquire(NAME, LONG).now_or_never();
    assert!(matches!(at_once, Some(Grant::Down)), "{at_once:?}");
    redis.restart();
    in_time("the connection comes up", lock.state.connection.up()).await;
    let held = take(&lock).await;
    lock.release(held).await;
}

#[tokio::test]
async fn a_stopped_redis_blocks_one_request_and_leaves_no_lock() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let connection = RedisConnection::connect_for_test(&redis.url()).await.expect("a URL");
    let lock = lock_on(&redis, connection, LONG).await;
    // Loads the scripts.
    lock.release(take(&lock).await).await;
    redis.pause();
    let first = in_time("the first returns", lock.acquire(NAME, LONG)).await;
    assert!(matches!(first, Grant::Down), "{first:?}");
    let second = lock.acquire(NAME, LONG).now_or_never();
    assert!(matches!(second, Some(Grant::Down)), "{second:?}");
    // The server runs the abandoned request now.
    redis.resume();
    in_time("the connection comes up", lock.state.connection.up()).await;
    take(&lock).await;
}

#[tokio::test]
async fn a_request_dropped_at_any_point_leaves_no_keys() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    for round in 0..200 {
        let held = if round % 2 == 0 { Some(take(&two).await) } else { None };
        let mut request = one.acquire(NAME, LONG);
        for _ in 0..round % 23 {
            if let Poll::Ready(grant) = poll!(&mut request) {
                one.release(lease(grant)).await;
                break;
            }
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
        drop(request);
        if let Some(held) = held {
            two.release(held).await;
        }
        if round % 2 == 1 {
            // The request may have been granted as it was dropped.
            redis_is_clean(&redis).await;
        }
    }
    redis_is_clean(&redis).await;
    assert!(one.state.waiters.lock().is_empty());
}

async fn redis_is_clean(redis: &Redis) {
    eventually("nothing is left", async || redis.command(&["EXISTS", KEY, QUEUE]) == "0").await;
}

#[tokio::test]
async fn a_cut_connection_leaves_no_keys() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr());
    let connection =
        RedisConnection::connect_with_long_timeout(&proxy.url(&redis.url())).await.expect("a URL");
    let (far, near) = (lock_on(&redis, connection, LONG).await, lock(&redis, LONG).await);
    let cut = |script: &Script, when| {
        proxy.cut_after_client_sends(script.get_hash().as_bytes(), when);
    };
    let far_is_up = async || in_time("the connection comes up", far.state.connection.up()).await;
    far.renew(&take(&far).await).await;
    redis.flush();

    for when in [CutWhen::BeforeForward, CutWhen::AfterForward, CutWhen::AfterReply] {
        cut(&ACQUIRE_SCRIPT, when);
        let grant = in_time("a result", far.acquire(NAME, LONG)).await;
        assert!(matches!(grant, Grant::Down), "{grant:?}");
        far_is_up().await;
        redis_is_clean(&redis).await;

        let held = take(&far).await;
        cut(&RELEASE_SCRIPT, when);
        far.release(held).await;
        far_is_up().await;
        redis_is_clean(&redis).await;

        let held = take(&far).await;
        cut(&RENEW_SCRIPT, when);
        assert_eq!(far.renew(&held).await, Renewal::Lost);
        far_is_up().await;
        redis_is_clean(&redis).await;

        // A waiter cut off as it leaves, after a timeout or before.
        let held = take(&near).await;
        cut(&RELEASE_SCRIPT, when);
        let late = in_time("a result", far.acquire(NAME, Duration::from_millis(30))).await;
        assert!(matches!(late, Grant::TimedOut), "{late:?}");
        far_is_up().await;
        eventually("it left", async || redis.command(&["EXISTS", QUEUE]) == "0").await;
        let waiter = queue_up(&redis, &far, 1).await;
        cut(&RELEASE_SCRIPT, when);
        waiter.abort();
        eventually("it left", async || redis.command(&["EXISTS", QUEUE]) == "0").await;
        far_is_up().await;
        near.release(held).await;
        redis_is_clean(&redis).await;
    }
    assert_eq!(proxy.fired(), 15);
}

#[tokio::test]
async fn a_grant_to_a_dropped_waiter_is_passed_on() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    let mut dropped = one.acquire(NAME, LONG);
    eventually("it waits", async || {
        let _ = dropped.as_mut().now_or_never();
        redis.command(&["ZCARD", QUEUE]) == "1"
    })
    .await;
    let waiter = queue_up(&redis, &two, 2).await;
    one.release(held).await;
    drop(dropped);
    granted(waiter).await;
}

#[tokio::test]
async fn a_dead_waiter_is_skipped() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two, three) =
        (lock(&redis, LONG).await, lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    let dead = queue_up(&redis, &two, 1).await;
    let waiter = queue_up(&redis, &three, 2).await;
    // As a killed process: its connection ends, its queue entry stays.
    two.state.connection.close().await;
    assert!(matches!(in_time("it returns", dead).await, Ok(Grant::Down)));
    eventually("its subscription ends", async || {
        !redis.command(&["PUBSUB", "CHANNELS"]).contains(&two.state.channel)
    })
    .await;
    assert_eq!(redis.command(&["ZCARD", QUEUE]), "2");
    one.release(held).await;
    granted(waiter).await;
    assert_eq!(redis.command(&["EXISTS", QUEUE]), "0");
}

#[tokio::test]
async fn a_lost_message_costs_one_lease() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, Duration::from_secs(1)).await;
    let _held = take(&lock).await;
    let waiter = queue_up(&redis, &lock, 1).await;
    // The waiter is granted the lock, without a message.
    let entry = redis.command(&["ZPOPMIN", QUEUE]);
    let token = entry.split(' ').next().expect("a token");
    redis.command(&["SET", KEY, token, "PX", "60000"]);
    let lease = granted(waiter).await;
    assert_eq!(format!("{:032x}", lease.token), token);
}
