use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use stockade_testkit::Redis;
use tokio::sync::Semaphore;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::model::Money;

const ID: ProductId = ProductId(7);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);
/// Far longer than any test.
const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("not soon: {what}"))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn product(version: u64) -> CachedProduct {
    let product = Product {
        id: ID,
        name: "chair \"Ö\"".to_owned(),
        price: Money::from_minor(1999).expect("an amount"),
        stock: 100 - version,
        held: version,
        pending: 0,
        sold: 0,
        version,
    };
    CachedProduct { product, next_due: None }
}

fn cache(ttl: Duration) -> ProductCache {
    ProductCache::new(ttl, 1000, None, Arc::new(Metrics::new()))
}

/// A cache and a way to move its time.
fn cache_in_time(ttl: Duration) -> (ProductCache, impl Fn(Duration)) {
    let start = Instant::now();
    let passed = Arc::new(Mutex::new(Duration::ZERO));
    let time = {
        let passed = Arc::clone(&passed);
        Arc::new(move || start + *passed.lock().expect("no panic"))
    };
    let metrics = Arc::new(Metrics::new());
    let cache = ProductCache::with(ttl, 1000, None, metrics, redis::LIFE, time);
    (cache, move |more| *passed.lock().expect("no panic") += more)
}

/// A store that counts how often it is asked, and waits to be let on.
struct Store {
    content: Mutex<Result<Option<CachedProduct>>>,
    loads: AtomicUsize,
    gate: Semaphore,
}

impl Store {
    fn open(content: Option<CachedProduct>) -> Self {
        Self {
            content: Mutex::new(Ok(content)),
            loads: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn closed(content: Result<Option<CachedProduct>>) -> Self {
        let store = Self { gate: Semaphore::new(0), ..Self::open(None) };
        store.set(content);
        store
    }

    fn set(&self, content: Result<Option<CachedProduct>>) {
        *self.content.lock().expect("no panic") = content;
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    async fn load(&self) -> Result<Option<CachedProduct>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let content = self.content.lock().expect("no panic").clone();
        let _pass = self.gate.acquire().await;
        content
    }
}

async fn get(cache: &ProductCache, store: &Store) -> Option<u64> {
    let found = cache.get_or_load(ID, NOW, || store.load()).await.expect("no error");
    found.map(|found| found.product.version)
}

/// How many wait for the product.
fn seats(cache: &ProductCache) -> usize {
    cache.flights.by_id.lock().expect("no panic").get(&ID).map_or(0, |(_, seats)| *seats)
}

#[tokio::test]
async fn what_was_read_before_a_newer_version_was_announced_is_read_again() {
    let cache = Arc::new(cache(LONG));
    let store = Arc::new(Store::closed(Ok(Some(product(1)))));
    let asking = {
        let (cache, store) = (Arc::clone(&cache), Arc::clone(&store));
        tokio::spawn(async move { get(&cache, &store).await })
    };
    until("it is read", async || store.loads() == 1).await;
    store.set(Ok(Some(product(3))));
    cache.hear(ID, 3);
    store.gate.add_permits(2);
    assert_eq!(asking.await.expect("no panic"), Some(3));
    assert_eq!(store.loads(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_one_loads() {
    let cache = Arc::new(cache(LONG));
    let store = Arc::new(Store::closed(Ok(Some(product(1)))));
    let asking: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, store) = (Arc::clone(&cache), Arc::clone(&store));
            tokio::spawn(async move { get(&cache, &store).await })
        })
        .collect();
    until("all wait", async || seats(&cache) == 1000).await;
    store.gate.add_permits(1000);
    for answer in join_all(asking).await {
        assert_eq!(answer.expect("no panic"), Some(1));
    }
    assert_eq!(get(&cache, &store).await, Some(1));
    assert_eq!(store.loads(), 1);
    assert_eq!((cache.metrics.cache_misses.get(), cache.metrics.cache_hits.get()), (1, 1000));
    assert_eq!(seats(&cache), 0);
}

#[tokio::test]
async fn an_error_reaches_all_who_joined_and_is_not_kept() {
    let cache = cache(LONG);
    let gone = Err(Error::new(ErrorKind::Unavailable, "the store is gone"));
    let store = Store::closed(gone);
    let asking = join_all((0..10).map(|_| cache.get_or_load(ID, NOW, || store.load())));
    let (answers, ()) = tokio::join!(asking, async {
        until("all wait", async || seats(&cache) == 10).await;
        store.gate.add_permits(100);
    });
    for answer in answers {
        assert_eq!(answer.expect_err("an error").kind(), ErrorKind::Unavailable);
    }
    assert_eq!(store.loads(), 1);
    store.set(Ok(Some(product(1))));
    assert_eq!(get(&cache, &store).await, Some(1));
}

#[tokio::test]
async fn a_caller_that_goes_leaves_the_loading_to_the_next() {
    let cache = cache(LONG);
    let store = Store::closed(Ok(Some(product(1))));
    let mut first = Box::pin(get(&cache, &store));
    let mut second = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    assert_eq!((store.loads(), seats(&cache)), (1, 2));
    drop(first);
    store.gate.add_permits(1);
    assert_eq!(soon("an answer", second).await, Some(1));
    assert_eq!((store.loads(), seats(&cache)), (2, 0));
    cache.forget(ID);
    let mut alone = Box::pin(get(&cache, &store));
    store.gate.forget_permits(1);
    assert!(futures_util::poll!(&mut alone).is_pending());
    drop(alone);
    assert!(cache.flights.by_id.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn who_comes_after_the_load_does_not_join_it() {
    let cache = cache(LONG);
    let store = Store::closed(Ok(Some(product(1))));
    let mut first = Box::pin(get(&cache, &store));
    let mut second = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    store.gate.add_permits(100);
    assert_eq!(first.await, Some(1));
    // The second was not woken yet, so the flight still has someone on it.
    store.set(Ok(Some(product(2))));
    cache.forget(ID);
    assert_eq!(get(&cache, &store).await, Some(2));
    assert_eq!(second.await, Some(1));
    assert_eq!((store.loads(), seats(&cache)), (2, 0));
}

#[tokio::test]
async fn a_slow_reader_does_not_overwrite_what_was_committed_meanwhile() {
    let cache = cache(LONG);
    let store = Store::closed(Ok(Some(product(1))));
    let (answer, ()) = tokio::join!(get(&cache, &store), async {
        until("it reads", async || store.loads() == 1).await;
        cache.committed(vec![product(2)]);
        assert_eq!(get(&cache, &store).await, Some(2), "the commit is not seen at once");
        store.gate.add_permits(1);
    });
    assert_eq!(answer, Some(2));
    cache.committed(vec![product(1)]);
    assert_eq!(get(&cache, &store).await, Some(2));
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn a_reader_that_found_nothing_does_not_hide_what_was_created_meanwhile() {
    let cache = cache(LONG);
    let store = Store::closed(Ok(None));
    let (answer, ()) = tokio::join!(get(&cache, &store), async {
        until("it reads", async || store.loads() == 1).await;
        cache.committed(vec![product(0)]);
        store.gate.add_permits(1);
    });
    assert_eq!(answer, Some(0));
    assert_eq!(get(&cache, &store).await, Some(0));
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn a_product_is_served_for_its_time() {
    let (cache, pass) = cache_in_time(Duration::from_secs(5));
    let store = Store::open(Some(product(1)));
    for (more, loads) in [(0, 1), (4999, 1), (1, 2), (4999, 2), (1, 3)] {
        pass(Duration::from_millis(more));
        assert_eq!(get(&cache, &store).await, Some(1));
        assert_eq!(store.loads(), loads);
    }
}

#[tokio::test]
async fn a_slow_reader_brings_what_is_old_already() {
    let (cache, pass) = cache_in_time(Duration::from_secs(5));
    let store = Store::closed(Ok(Some(product(1))));
    let ((), ()) = tokio::join!(
        async {
            assert_eq!(get(&cache, &store).await, Some(1));
        },
        async {
            until("it reads", async || store.loads() == 1).await;
            pass(Duration::from_secs(5));
            store.gate.add_permits(100);
        }
    );
    assert_eq!(get(&cache, &store).await, Some(1));
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn that_there_is_none_is_believed_for_a_second() {
    let (cache, pass) = cache_in_time(LONG);
    let store = Store::open(None);
    for (more, loads) in [(0, 1), (999, 1), (1, 2), (999, 2)] {
        pass(Duration::from_millis(more));
        assert_eq!(get(&cache, &store).await, None);
        assert_eq!(store.loads(), loads);
    }
    cache.committed(vec![product(0)]);
    assert_eq!(get(&cache, &store).await, Some(0));
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn a_product_is_served_until_something_of_it_is_due() {
    let cache = cache(LONG);
    let due = NOW.after(Duration::from_secs(1));
    let store = Store::open(Some(CachedProduct { next_due: Some(due), ..product(1) }));
    for (now, loads) in [(NOW, 1), (Timestamp::from_micros(due.micros() - 1), 1), (due, 2)] {
        let found = cache.get_or_load(ID, now, || store.load()).await.expect("no error");
        assert_eq!((found.expect("a product").next_due, store.loads()), (Some(due), loads));
    }
    // The same version, with its hold extended.
    let due = due.after(Duration::from_secs(1));
    store.set(Ok(Some(CachedProduct { next_due: Some(due), ..product(1) })));
    for _ in 0..2 {
        let now = Timestamp::from_micros(due.micros() - 1);
        let found = cache.get_or_load(ID, now, || store.load()).await.expect("no error");
        assert_eq!((found.expect("a product").next_due, store.loads()), (Some(due), 3));
    }
}

/// With units that are due already and not returned yet.
fn with_due_units(version: u64) -> CachedProduct {
    CachedProduct { next_due: Some(NOW), ..product(version) }
}

#[tokio::test]
async fn a_reader_does_not_get_due_units_of_a_commit_that_overtook_it() {
    let cache = cache(LONG);
    let store = Store::closed(Ok(Some(product(1))));
    let mut reader = Box::pin(cache.get_or_load(ID, NOW, || store.load()));
    assert!(futures_util::poll!(&mut reader).is_pending());
    cache.committed(vec![with_due_units(2)]);
    let counted = CachedProduct { next_due: None, ..product(2) };
    store.set(Ok(Some(counted.clone())));
    store.gate.add_permits(2);
    let found = soon("an answer", reader).await.expect("no error");
    assert_eq!((found, store.loads()), (Some(counted), 2));
}

#[tokio::test]
async fn a_reader_does_not_get_what_fell_due_since_an_earlier_one_asked() {
    let cache = cache(LONG);
    let due = NOW.after(Duration::from_secs(1));
    let store = Store::closed(Ok(Some(CachedProduct { next_due: Some(due), ..product(1) })));
    let mut early = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut early).is_pending());
    let mut late = Box::pin(cache.get_or_load(ID, due, || store.load()));
    assert!(futures_util::poll!(&mut late).is_pending());
    let counted = CachedProduct { next_due: None, ..product(1) };
    store.set(Ok(Some(counted.clone())));
    store.gate.add_permits(2);
    assert_eq!(soon("an answer", early).await, Some(1));
    assert_eq!(soon("an answer", late).await.expect("no error"), Some(counted));
}

#[tokio::test]
async fn a_sample_has_what_would_be_served() {
    let (cache, pass) = cache_in_time(Duration::from_secs(5));
    assert_eq!(cache.sample(), []);
    cache.committed(vec![product(1)]);
    assert_eq!(cache.sample(), [product(1)]);
    pass(Duration::from_secs(5));
    assert_eq!(cache.sample(), []);
    cache.committed(vec![product(2)]);
    cache.local.distrust_all();
    assert_eq!(cache.sample(), []);
    let store = Store::open(None);
    cache.forget(ID);
    assert_eq!((get(&cache, &store).await, cache.sample()), (None, vec![]));
}

#[test]
fn a_thread_without_a_runtime_may_ask() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cache = runtime.block_on(cache_on(&redis, Duration::ZERO));
    let store = Store::open(Some(product(1)));
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(1));
    let row = format!("3 {}", serde_json::to_string(&product(3)).expect("a text"));
    cache.forget(ID);
    redis.command(&["SET", KEY, &row]);
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(3));
    assert_eq!(store.loads(), 1);
    // Nor does it matter that the engine was closed meanwhile.
    cache.forget(ID);
    runtime.shutdown_background();
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(1));
}

/// As when the store was put back to an earlier state while this process runs.
#[tokio::test]
async fn once_its_life_is_over_an_entry_gives_way_to_whatever_the_store_has() {
    const LIFE: Duration = Duration::from_secs(5);
    let (cache, pass) = cache_in_time(LIFE);
    let store = Store::open(Some(product(7)));
    assert_eq!(get(&cache, &store).await, Some(7));
    store.set(Ok(Some(product(5))));
    assert_eq!(get(&cache, &store).await, Some(7), "it lives");
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(store.loads(), 2, "it is kept");
    // What was announced and is not there ends as well.
    cache.hear(ID, 9);
    assert_eq!(get(&cache, &store).await, Some(5));
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, Some(5));
    let loads = store.loads();
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(store.loads(), loads, "it is kept");
    // And what another process wrote under a version that was there before.
    pass(LIFE);
    cache.hear(ID, 4);
    store.set(Ok(Some(product(4))));
    assert_eq!(get(&cache, &store).await, Some(4));
    store.set(Ok(None));
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, None, "the product is gone");
}

#[tokio::test]
async fn an_announced_version_keeps_older_ones_out() {
    let cache = cache(LONG);
    let store = Store::open(Some(product(2)));
    assert_eq!(get(&cache, &store).await, Some(2));
    cache.local.changed(ID, 1);
    cache.local.changed(ID, 2);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), 1));
    cache.local.changed(ID, 3);
    for loads in 2..4 {
        assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), loads));
    }
    store.set(Ok(Some(product(3))));
    for _ in 0..2 {
        assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 4));
    }
    cache.forget(ID);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 5));
}

// From here on with a shared tier. The first lives so short that it is soon
// trusted, the others so long that it never is.

const LIFE: Duration = Duration::from_secs(2);
const KEY: &str = "shop:{7}:row";

async fn cache_on(redis: &Redis, life: Duration) -> ProductCache {
    let metrics = Arc::new(Metrics::new());
    let link = RedisConnection::connect_patiently(&redis.url()).await.expect("a URL");
    let heard = || redis.command(&["PUBSUB", "NUMSUB", "shop:0:changed"]);
    let before = heard();
    let cache = ProductCache::with(LONG, 1000, Some(link), metrics, life, Arc::new(Instant::now));
    until("it hears", async || heard() != before).await;
    cache
}

fn link(cache: &ProductCache) -> &RedisConnection {
    cache.shared.as_ref().expect("a shared tier").link()
}

#[tokio::test]
async fn a_commit_reaches_other_processes() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (cache_on(&redis, LIFE).await, cache_on(&redis, LIFE).await);
    let store = Store::open(Some(product(1)));
    assert_eq!(get(&two, &store).await, Some(1));
    one.committed(vec![product(1), product(2)]);
    store.set(Ok(Some(product(2))));
    until("it is told", async || get(&two, &store).await == Some(2)).await;
    assert_eq!(store.loads(), 2);
    // By now what is in Redis is trusted, and spares the store.
    tokio::time::sleep(LIFE).await;
    let due = Some(Timestamp::from_micros(NOW.micros() + 1));
    let third = CachedProduct { next_due: due, ..product(3) };
    one.committed(vec![third.clone()]);
    until("it is told", async || get(&two, &store).await == Some(3)).await;
    assert_eq!(two.get_or_load(ID, NOW, || store.load()).await.ok(), Some(Some(third)));
    assert_eq!((two.metrics.cache_misses.get(), store.loads()), (2, 2));
    let left: i64 = redis.command(&["PTTL", KEY]).parse().expect("a number");
    assert!(left <= 2000, "it lives for {left} ms");
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn an_older_row_does_not_replace_a_newer_one_in_redis() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let shared = cache.shared.as_ref().expect("a shared tier");
    let version = || redis.command(&["GET", KEY]).split(' ').next().map(str::to_owned);
    for (offered, held) in [(2, "2"), (1, "2"), (10, "10"), (9, "10")] {
        shared.publish(&[Arc::new(product(offered))], Instant::now(), true);
        until("it is out", async || shared.is_idle()).await;
        until("the newest is held", async || version().as_deref() == Some(held)).await;
    }
    // Many commits while one pipeline is under way go out as the last of them.
    cache.committed((11..=50).map(product).collect());
    until("the newest is held", async || version().as_deref() == Some("50")).await;
    cache.close().await;
}

#[tokio::test]
async fn after_a_break_redis_is_not_believed() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let store = Store::open(Some(product(2)));
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), 1));
    redis.kill();
    until("the loss is noticed", async || !link(&cache).is_up()).await;
    // What was heard of until then may be old now.
    until("it asks again", async || {
        assert_eq!(get(&cache, &store).await, Some(2));
        store.loads() >= 2
    })
    .await;
    cache.committed(vec![product(3)]);
    store.set(Ok(Some(product(3))));
    assert_eq!(get(&cache, &store).await, Some(3));
    redis.restart();
    // As left behind by a process that knows nothing of the commit.
    let old = format!("1 {}", serde_json::to_string(&product(1)).expect("a text"));
    redis.command(&["SET", KEY, &old]);
    link(&cache).up().await;
    cache.forget(ID);
    assert_eq!(get(&cache, &store).await, Some(3));
    // And the next commit is told again.
    cache.committed(vec![product(4)]);
    until("it is out", async || redis.command(&["GET", KEY]).starts_with("4 ")).await;
    redis.flush();
    assert_eq!(get(&cache, &store).await, Some(4));
    cache.close().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_served_is_a_miss() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, Duration::ZERO).await;
    let row =
        |product: &CachedProduct| format!("3 {}", serde_json::to_string(product).expect("a text"));
    let due = CachedProduct { next_due: Some(NOW), ..product(3) };
    let mut other = product(3);
    other.product.id = ProductId(8);
    for held in ["", "7", "3 {}", "9 nonsense", "x", &row(&due), &row(&other)] {
        let store = Store::open(Some(product(2)));
        redis.command(&["SET", KEY, held]);
        assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), 1), "{held}");
        cache.forget(ID);
    }
    let store = Store::open(None);
    redis.command(&["SET", KEY, &row(&product(3))]);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 0));
    cache.close().await;
}

#[tokio::test]
async fn a_commit_that_cannot_be_told_ends_the_trust() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, Duration::from_millis(1)).await;
    let shared = cache.shared.as_ref().expect("a shared tier");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(shared.is_trusted() && !shared.has_lost());
    redis.command(&["LPUSH", KEY, "not ours"]);
    cache.committed(vec![product(1)]);
    until("the refusal is noted", async || shared.has_lost()).await;
    cache.close().await;
}

#[tokio::test]
async fn what_waits_to_be_told_is_bounded() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let shared = cache.shared.as_ref().expect("a shared tier");
    let many = |count: usize| -> Vec<CachedProduct> {
        (1..=count as u64)
            .map(|id| {
                let mut one = product(1);
                one.product.id = ProductId(id);
                one
            })
            .collect()
    };
    cache.committed(many(redis::PENDING_MAX));
    assert!(!shared.has_lost());
    // No other task has run yet. Newer versions of what waits still fit.
    cache.committed(vec![product(2)]);
    assert!(!shared.has_lost());
    cache.committed(many(redis::PENDING_MAX + 1));
    assert!(shared.has_lost());
    cache.close().await;
}

#[tokio::test]
async fn no_task_outlives_the_cache() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let (tasks, link) =
        (cache.shared.as_ref().expect("a shared tier").tasks(), link(&cache).clone());
    drop(cache);
    soon("the tasks end", tasks.wait()).await;
    until("no one hears", async || redis.command(&["PUBSUB", "CHANNELS"]).is_empty()).await;
    link.close().await;
}
