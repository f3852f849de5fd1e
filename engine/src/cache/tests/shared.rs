//! The shared tier on a Redis server.

use stockade_testkit::Redis;

use super::*;

/// An entry TTL after which the tier is soon trusted; with [`LONG`] it never is.
const ENTRY_TTL: Duration = Duration::from_secs(2);
const KEY: &str = "shop:{7}:row";

#[test]
fn a_thread_without_a_runtime_can_read() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cache = runtime.block_on(cache_on(&redis, Duration::ZERO));
    let store = Store::open(Some(product(1)));
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(1));
    let row = format!("3 {}", serde_json::to_string(&product(3)).expect("a text"));
    cache.mirror.remove(ID);
    redis.command(&["SET", KEY, &row]);
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(3));
    assert_eq!(store.loads(), 1);
    // Also after the runtime has ended.
    cache.mirror.remove(ID);
    runtime.shutdown_background();
    assert_eq!(pollster::block_on(get(&cache, &store)), Some(1));
}

async fn cache_on(redis: &Redis, entry_ttl: Duration) -> ProductCache {
    let metrics = Arc::new(Metrics::new());
    let connection = RedisConnection::connect_with_long_timeout(&redis.url()).await.expect("a URL");
    let subscribers = || redis.command(&["PUBSUB", "NUMSUB", "shop:0:changed"]);
    let before = subscribers();
    let mirror = mirror(Arc::new(Instant::now));
    let cache = ProductCache::with_shared_ttl(mirror, LONG, Some(connection), metrics, entry_ttl);
    eventually("it is subscribed", async || subscribers() != before).await;
    cache
}

fn has_lost_invalidation(shared: &SharedTier) -> bool {
    shared.state.invalidation_lost_at.lock().is_some()
}

fn connection(cache: &ProductCache) -> &RedisConnection {
    &cache.shared.as_ref().expect("a shared tier").state.connection
}

#[tokio::test]
async fn a_commit_invalidates_other_processes() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let (one, two) = (cache_on(&redis, ENTRY_TTL).await, cache_on(&redis, ENTRY_TTL).await);
    let store = Store::open(Some(product(1)));
    assert_eq!(get(&two, &store).await, Some(1));
    one.committed(vec![product(1), product(2)]);
    store.set(Ok(Some(product(2))));
    eventually("it is invalidated", async || get(&two, &store).await == Some(2)).await;
    assert_eq!(store.loads(), 2);
    // By now the tier is trusted, and spares the store.
    tokio::time::sleep(ENTRY_TTL).await;
    let due = Some(Timestamp::from_micros(NOW.micros() + 1));
    let third = CachedProduct { next_due: due, ..product(3) };
    one.committed(vec![third.clone()]);
    eventually("it is invalidated", async || get(&two, &store).await == Some(3)).await;
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
    for (published, held) in [(2, "2"), (1, "2"), (10, "10"), (9, "10")] {
        shared.publish(&[Arc::new(product(published))], Instant::now(), true);
        eventually("it is published", async || shared.state.pending.lock().is_empty()).await;
        eventually("redis has the newest", async || version().as_deref() == Some(held)).await;
    }
    // Of many commits during one pipeline the last is published.
    cache.committed((11..=50).map(product).collect());
    eventually("redis has the newest", async || version().as_deref() == Some("50")).await;
    cache.close().await;
}

#[tokio::test]
async fn redis_is_not_read_after_a_lost_connection() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let store = Store::open(Some(product(2)));
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), 1));
    redis.kill();
    eventually("the loss is detected", async || !connection(&cache).is_up()).await;
    // Invalidations may have been missed.
    eventually("it reads the store again", async || {
        assert_eq!(get(&cache, &store).await, Some(2));
        store.loads() >= 2
    })
    .await;
    cache.committed(vec![product(3)]);
    store.set(Ok(Some(product(3))));
    assert_eq!(get(&cache, &store).await, Some(3));
    redis.restart();
    // As left behind by a process that missed the commit.
    let old = format!("1 {}", serde_json::to_string(&product(1)).expect("a text"));
    redis.command(&["SET", KEY, &old]);
    connection(&cache).up().await;
    cache.mirror.remove(ID);
    assert_eq!(get(&cache, &store).await, Some(3));
    // And the next commit is published again.
    cache.committed(vec![product(4)]);
    eventually("it is published", async || redis.command(&["GET", KEY]).starts_with("4 ")).await;
    redis.flush();
    assert_eq!(get(&cache, &store).await, Some(4));
    cache.close().await;
}

#[tokio::test]
async fn an_unusable_row_is_a_miss() {
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
        cache.mirror.remove(ID);
    }
    let store = Store::open(None);
    redis.command(&["SET", KEY, &row(&product(3))]);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 0));
    cache.close().await;
}

#[tokio::test]
async fn a_lost_invalidation_ends_the_trust() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, Duration::from_millis(1)).await;
    let shared = cache.shared.as_ref().expect("a shared tier");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(shared.state.is_trusted() && !has_lost_invalidation(shared));
    redis.command(&["LPUSH", KEY, "not ours"]);
    cache.committed(vec![product(1)]);
    eventually("the loss is recorded", async || has_lost_invalidation(shared)).await;
    cache.close().await;
}

#[tokio::test]
async fn pending_publications_are_bounded() {
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
    assert!(!has_lost_invalidation(shared));
    // No other task has run yet. Newer versions of pending rows still fit.
    cache.committed(vec![product(2)]);
    assert!(!has_lost_invalidation(shared));
    cache.committed(many(redis::PENDING_MAX + 1));
    assert!(has_lost_invalidation(shared));
    cache.close().await;
}

#[tokio::test]
async fn tasks_end_with_the_cache() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::start();
    let cache = cache_on(&redis, LONG).await;
    let (tasks, connection) =
        (cache.shared.as_ref().expect("a shared tier").tasks.clone(), connection(&cache).clone());
    drop(cache);
    in_time("the tasks end", tasks.wait()).await;
    eventually("no subscription is left", async || {
        redis.command(&["PUBSUB", "CHANNELS"]).is_empty()
    })
    .await;
    connection.close().await;
}
