use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::{FutureExt, poll};
use stockade_testkit::{CutWhen, Proxy, Redis};

use super::*;

const NAME: LockName = LockName(7);
const KEY: &str = "shop:{7}:lock";
const QUEUE: &str = "shop:{7}:queue";
/// Far longer than any test: what comes sooner came by a message.
const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("not soon: {what}"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A lock as another process would have it: with a link of its own.
async fn lock(redis: &Redis, lease: Duration) -> Arc<RedisLock> {
    let link = RedisConnection::connect_patiently(&redis.url()).await.expect("a URL");
    lock_on(redis, link, lease).await
}

async fn lock_on(redis: &Redis, link: RedisConnection, lease: Duration) -> Arc<RedisLock> {
    let lock = Arc::new(RedisLock::new(link, lease));
    let channel = lock.shared.channel.clone();
    until("the lock hears", || redis.command(&["PUBSUB", "CHANNELS"]).contains(&channel)).await;
    lock
}

fn lease(grant: Grant) -> Lease {
    match grant {
        Grant::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

async fn take(lock: &RedisLock) -> Lease {
    lease(soon("a grant", lock.acquire(NAME, LONG)).await)
}

/// Asks for the lock in a task, and returns when it waits as the `place`th.
async fn queue_up(
    redis: &Redis,
    lock: &Arc<RedisLock>,
    place: usize,
) -> tokio::task::JoinHandle<Grant> {
    let lock = Arc::clone(lock);
    let waiter = tokio::spawn(async move { lock.acquire(NAME, LONG).await });
    let place = place.to_string();
    until("it waits", || redis.command(&["ZCARD", QUEUE]) == place).await;
    waiter
}

async fn granted(waiter: tokio::task::JoinHandle<Grant>) -> Lease {
    lease(soon("a grant", waiter).await.expect("no panic"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_at_a_time_with_growing_fences() {
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
                    // A short wait now and then, so that waiters leave as well.
                    let wait =
                        if (task + grants) % 5 == 0 { Duration::from_millis(1) } else { LONG };
                    let lease = match lock.acquire(NAME, wait).await {
                        Grant::Granted(lease) => lease,
                        Grant::NotInTime => continue,
                        Grant::Down => {
                            // A busy machine may miss an answer.
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            continue;
                        }
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                    let fence = lease.fence.expect("a fence");
                    assert!(fences.swap(fence, Ordering::SeqCst) < fence, "a fence did not grow");
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
    until("nothing is left", || redis.command(&["EXISTS", KEY, QUEUE]) == "0").await;
    assert!(locks.iter().all(|lock| lock.shared.waiters().is_empty()));
}

#[tokio::test]
async fn turns_are_taken_in_the_order_of_asking() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let locks = [lock(&redis, LONG).await, lock(&redis, LONG).await, lock(&redis, LONG).await];
    let held = take(&locks[0]).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for place in 0..12 {
        let lock = Arc::clone(&locks[place * 7 % locks.len()]);
        let order = Arc::clone(&order);
        tasks.push(tokio::spawn(async move {
            let lease = take(&lock).await;
            order.lock().expect("no panic").push(place);
            lock.release(lease).await;
        }));
        let waiting = (place + 1).to_string();
        until("it waits", || redis.command(&["ZCARD", QUEUE]) == waiting).await;
    }
    locks[0].release(held).await;
    for task in tasks {
        soon("a grant", task).await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("no panic"), (0..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_newcomer_does_not_overtake_who_waits_for_a_lock_that_fell_free() {
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
    lease(soon("a grant", newcomer).await);
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
async fn a_lock_without_its_holder_delays_others_by_its_lease() {
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
            "granted before the lease was over"
        );
        two.release(lease).await;
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn keep_renews_until_another_waits() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    redis.command(&["PEXPIRE", KEY, "20000"]);
    assert_eq!(one.keep(&held).await, Kept::Renewed);
    let left: u64 = redis.command(&["PTTL", KEY]).parse().expect("a number");
    assert!(left > 20_000, "not renewed: {left} ms");
    let waiter = queue_up(&redis, &two, 1).await;
    assert_eq!(one.keep(&held).await, Kept::HandedOver);
    let next = granted(waiter).await;
    assert!(next.fence > held.fence);
    assert_eq!(one.keep(&held).await, Kept::Lost);
    one.release(held).await;
    assert_eq!(two.keep(&next).await, Kept::Renewed);
    redis.flush();
    assert_eq!(two.keep(&next).await, Kept::Lost);
}

#[tokio::test]
async fn a_wait_ends_and_leaves_no_place_behind() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let held = take(&lock).await;
    for wait in [Duration::ZERO, Duration::from_millis(30)] {
        let late = soon("the end of the wait", lock.acquire(NAME, wait)).await;
        assert!(matches!(late, Grant::NotInTime), "{late:?}");
        until("it left", || redis.command(&["ZCARD", QUEUE]) == "0").await;
    }
    assert_eq!(lock.keep(&held).await, Kept::Renewed);
}

#[tokio::test]
async fn fences_grow_over_a_flush_and_beyond_what_was_seen() {
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
            // As if the clock had been put back by a day.
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
async fn without_redis_the_answer_is_down_until_it_is_back() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let lock = lock(&redis, LONG).await;
    let _held = take(&lock).await;
    let waiter = queue_up(&redis, &lock, 1).await;
    redis.kill();
    let grant = soon("the waiter is told", waiter).await.expect("no panic");
    assert!(matches!(grant, Grant::Down), "{grant:?}");
    let at_once = lock.acquire(NAME, LONG).now_or_never();
    assert!(matches!(at_once, Some(Grant::Down)), "{at_once:?}");
    redis.restart();
    soon("the link comes up", lock.shared.link.up()).await;
    let held = take(&lock).await;
    lock.release(held).await;
}

#[tokio::test]
async fn a_stopped_redis_holds_up_one_request_and_keeps_no_lock() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let link = RedisConnection::connect_plainly(&redis.url()).await.expect("a URL");
    let lock = lock_on(&redis, link, LONG).await;
    // So that the server knows the scripts.
    lock.release(take(&lock).await).await;
    redis.pause();
    let first = soon("the first is told", lock.acquire(NAME, LONG)).await;
    assert!(matches!(first, Grant::Down), "{first:?}");
    let second = lock.acquire(NAME, LONG).now_or_never();
    assert!(matches!(second, Some(Grant::Down)), "{second:?}");
    // The server runs the first request now, for no one.
    redis.resume();
    soon("the link comes up", lock.shared.link.up()).await;
    take(&lock).await;
}

#[tokio::test]
async fn a_request_dropped_at_any_point_leaves_nothing() {
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
    assert!(one.shared.waiters().is_empty());
}

async fn redis_is_clean(redis: &Redis) {
    until("nothing is left", || redis.command(&["EXISTS", KEY, QUEUE]) == "0").await;
}

#[tokio::test]
async fn a_cut_connection_leaves_nothing_either() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr());
    let link = RedisConnection::connect_patiently(&proxy.url(&redis.url())).await.expect("a URL");
    let (far, near) = (lock_on(&redis, link, LONG).await, lock(&redis, LONG).await);
    let cut = |script: &Script, when| {
        proxy.cut_after_client_sends(script.get_hash().as_bytes(), when);
    };
    let far_is_up = async || soon("the link comes up", far.shared.link.up()).await;
    far.keep(&take(&far).await).await;
    redis.flush();

    for when in [CutWhen::BeforeForward, CutWhen::AfterForward, CutWhen::AfterReply] {
        cut(&ACQUIRE_SCRIPT, when);
        let grant = soon("an answer", far.acquire(NAME, LONG)).await;
        assert!(matches!(grant, Grant::Down), "{grant:?}");
        far_is_up().await;
        redis_is_clean(&redis).await;

        let held = take(&far).await;
        cut(&RELEASE_SCRIPT, when);
        far.release(held).await;
        far_is_up().await;
        redis_is_clean(&redis).await;

        let held = take(&far).await;
        cut(&KEEP_SCRIPT, when);
        assert_eq!(far.keep(&held).await, Kept::Lost);
        far_is_up().await;
        redis_is_clean(&redis).await;

        // Who is cut off as it leaves, having waited for too long or not.
        let held = take(&near).await;
        cut(&RELEASE_SCRIPT, when);
        let late = soon("an answer", far.acquire(NAME, Duration::from_millis(30))).await;
        assert!(matches!(late, Grant::NotInTime), "{late:?}");
        far_is_up().await;
        until("it left", || redis.command(&["EXISTS", QUEUE]) == "0").await;
        let waiter = queue_up(&redis, &far, 1).await;
        cut(&RELEASE_SCRIPT, when);
        waiter.abort();
        until("it left", || redis.command(&["EXISTS", QUEUE]) == "0").await;
        far_is_up().await;
        near.release(held).await;
        redis_is_clean(&redis).await;
    }
    assert_eq!(proxy.fired(), 15);
}

#[tokio::test]
async fn a_turn_on_its_way_to_who_left_is_passed_on() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    let mut leaver = one.acquire(NAME, LONG);
    until("it waits", || {
        let _ = leaver.as_mut().now_or_never();
        redis.command(&["ZCARD", QUEUE]) == "1"
    })
    .await;
    let waiter = queue_up(&redis, &two, 2).await;
    one.release(held).await;
    drop(leaver);
    granted(waiter).await;
}

#[tokio::test]
async fn who_died_in_the_queue_is_passed_over() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two, three) =
        (lock(&redis, LONG).await, lock(&redis, LONG).await, lock(&redis, LONG).await);
    let held = take(&one).await;
    let dead = queue_up(&redis, &two, 1).await;
    let waiter = queue_up(&redis, &three, 2).await;
    // As a process that is killed: its connection ends, its place stays.
    two.shared.link.close().await;
    assert!(matches!(soon("it is told", dead).await, Ok(Grant::Down)));
    until("it is gone", || !redis.command(&["PUBSUB", "CHANNELS"]).contains(&two.shared.channel))
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
    // The turn is the waiter's, and no one says so.
    let place = redis.command(&["ZPOPMIN", QUEUE]);
    let token = place.split(' ').next().expect("a token");
    redis.command(&["SET", KEY, token, "PX", "60000"]);
    let lease = granted(waiter).await;
    assert_eq!(format!("{:032x}", lease.token), token);
}
