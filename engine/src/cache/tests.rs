use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::mirror::TimeSource;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::test_support::{eventually, in_time, lamp};

const ID: ProductId = ProductId(7);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);
/// Far longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn product(version: u64) -> CachedProduct {
    let name = "chair \"Ö\"".to_owned();
    let product = Product { name, held: version, version, ..lamp(ID, 100 - version) };
    CachedProduct { product, next_due: None }
}

fn cache(ttl: Duration) -> ProductCache {
    ProductCache::new(mirror(Arc::new(Instant::now)), ttl, None, Arc::new(Metrics::new()))
}

fn mirror(time: TimeSource) -> Arc<ProductMirror> {
    Arc::new(ProductMirror::new(1_000, time))
}

impl ProductCache {
    /// Records a commit that locked its rows just now.
    fn committed(&self, rows: Vec<CachedProduct>) {
        self.record(rows, Vec::new(), &[], self.mirror.read_time().at);
    }
}

/// A cache, and a function that advances its clock.
fn cache_with_clock(ttl: Duration) -> (ProductCache, impl Fn(Duration)) {
    let start = Instant::now();
    let passed = Arc::new(Mutex::new(Duration::ZERO));
    let time = {
        let passed = Arc::clone(&passed);
        Arc::new(move || start + *passed.lock())
    };
    let metrics = Arc::new(Metrics::new());
    let cache = ProductCache::new(mirror(time), ttl, None, metrics);
    (cache, move |more| *passed.lock() += more)
}

/// A store that counts loads and blocks them until its gate opens.
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

    fn blocked(content: Result<Option<CachedProduct>>) -> Self {
        let store = Self { gate: Semaphore::new(0), ..Self::open(None) };
        store.set(content);
        store
    }

    fn set(&self, content: Result<Option<CachedProduct>>) {
        *self.content.lock() = content;
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    async fn load(&self) -> Result<Option<CachedProduct>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let content = self.content.lock().clone();
        let _pass = self.gate.acquire().await;
        content
    }
}

async fn get(cache: &ProductCache, store: &Store) -> Option<u64> {
    let row = cache.get_or_load(ID, NOW, || store.load()).await.expect("no error");
    row.map(|row| row.product.version)
}

/// The callers of the product's flight.
fn callers(cache: &ProductCache) -> usize {
    cache.flights.by_id.lock().get(&ID).map_or(0, |(_, callers)| *callers)
}

#[tokio::test]
async fn a_load_reads_again_when_a_newer_version_is_announced() {
    let cache = Arc::new(cache(LONG));
    let store = Arc::new(Store::blocked(Ok(Some(product(1)))));
    let reads = {
        let (cache, store) = (Arc::clone(&cache), Arc::clone(&store));
        tokio::spawn(async move { get(&cache, &store).await })
    };
    eventually("the load begins", async || store.loads() == 1).await;
    store.set(Ok(Some(product(3))));
    cache.mirror.invalidate(ID, 3);
    store.gate.add_permits(2);
    assert_eq!(reads.await.expect("no panic"), Some(3));
    assert_eq!(store.loads(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_misses_load_once() {
    let cache = Arc::new(cache(LONG));
    let store = Arc::new(Store::blocked(Ok(Some(product(1)))));
    let reads: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, store) = (Arc::clone(&cache), Arc::clone(&store));
            tokio::spawn(async move { get(&cache, &store).await })
        })
        .collect();
    eventually("all callers joined", async || callers(&cache) == 1000).await;
    store.gate.add_permits(1000);
    for answer in join_all(reads).await {
        assert_eq!(answer.expect("no panic"), Some(1));
    }
    assert_eq!(get(&cache, &store).await, Some(1));
    assert_eq!(store.loads(), 1);
    assert_eq!((cache.metrics.cache_misses.get(), cache.metrics.cache_hits.get()), (1, 1000));
    assert_eq!(callers(&cache), 0);
}

#[tokio::test]
async fn a_load_error_reaches_all_callers_and_is_not_cached() {
    let cache = cache(LONG);
    let down = Err(Error::new(ErrorKind::Unavailable, "the store is down"));
    let store = Store::blocked(down);
    let reads = join_all((0..10).map(|_| cache.get_or_load(ID, NOW, || store.load())));
    let (answers, ()) = tokio::join!(reads, async {
        eventually("all callers joined", async || callers(&cache) == 10).await;
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
async fn a_dropped_leader_leaves_the_load_to_the_next_caller() {
    let cache = cache(LONG);
    let store = Store::blocked(Ok(Some(product(1))));
    let mut first = Box::pin(get(&cache, &store));
    let mut second = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    assert_eq!((store.loads(), callers(&cache)), (1, 2));
    drop(first);
    store.gate.add_permits(1);
    assert_eq!(in_time("an answer", second).await, Some(1));
    assert_eq!((store.loads(), callers(&cache)), (2, 0));
    cache.mirror.remove(ID);
    let mut alone = Box::pin(get(&cache, &store));
    store.gate.forget_permits(1);
    assert!(futures_util::poll!(&mut alone).is_pending());
    drop(alone);
    assert!(cache.flights.by_id.lock().is_empty());
}

#[tokio::test]
async fn a_caller_does_not_join_a_completed_flight() {
    let cache = cache(LONG);
    let store = Store::blocked(Ok(Some(product(1))));
    let mut first = Box::pin(get(&cache, &store));
    let mut second = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    store.gate.add_permits(100);
    assert_eq!(first.await, Some(1));
    // The second was not woken yet, so the flight still has a caller.
    store.set(Ok(Some(product(2))));
    cache.mirror.remove(ID);
    assert_eq!(get(&cache, &store).await, Some(2));
    assert_eq!(second.await, Some(1));
    assert_eq!((store.loads(), callers(&cache)), (2, 0));
}

#[tokio::test]
async fn a_slow_load_does_not_overwrite_a_later_commit() {
    let cache = cache(LONG);
    let store = Store::blocked(Ok(Some(product(1))));
    let (answer, ()) = tokio::join!(get(&cache, &store), async {
        eventually("the load begins", async || store.loads() == 1).await;
        cache.committed(vec![product(2)]);
        assert_eq!(get(&cache, &store).await, Some(2), "the commit is not visible at once");
        store.gate.add_permits(1);
    });
    assert_eq!(answer, Some(2));
    cache.committed(vec![product(1)]);
    assert_eq!(get(&cache, &store).await, Some(2));
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn an_absent_load_does_not_hide_a_product_created_meanwhile() {
    let cache = cache(LONG);
    let store = Store::blocked(Ok(None));
    let (answer, ()) = tokio::join!(get(&cache, &store), async {
        eventually("the load begins", async || store.loads() == 1).await;
        cache.committed(vec![product(0)]);
        store.gate.add_permits(1);
    });
    assert_eq!(answer, Some(0));
    assert_eq!(get(&cache, &store).await, Some(0));
    assert_eq!(store.loads(), 1);
}

#[tokio::test]
async fn a_product_is_served_until_its_ttl_ends() {
    let (cache, pass) = cache_with_clock(Duration::from_secs(5));
    let store = Store::open(Some(product(1)));
    for (more, loads) in [(0, 1), (4999, 1), (1, 2), (4999, 2), (1, 3)] {
        pass(Duration::from_millis(more));
        assert_eq!(get(&cache, &store).await, Some(1));
        assert_eq!(store.loads(), loads);
    }
}

#[tokio::test]
async fn the_ttl_of_a_slow_load_counts_from_its_start() {
    let (cache, pass) = cache_with_clock(Duration::from_secs(5));
    let store = Store::blocked(Ok(Some(product(1))));
    let ((), ()) = tokio::join!(
        async {
            assert_eq!(get(&cache, &store).await, Some(1));
        },
        async {
            eventually("the load begins", async || store.loads() == 1).await;
            pass(Duration::from_secs(5));
            store.gate.add_permits(100);
        }
    );
    assert_eq!(get(&cache, &store).await, Some(1));
    assert_eq!(store.loads(), 2);
}

#[tokio::test]
async fn a_negative_entry_is_served_for_a_second() {
    let (cache, pass) = cache_with_clock(LONG);
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
async fn a_product_is_served_until_its_next_due() {
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

/// A product with due units that were not returned yet.
fn with_due_units(version: u64) -> CachedProduct {
    CachedProduct { next_due: Some(NOW), ..product(version) }
}

#[tokio::test]
async fn a_reader_loads_again_when_a_concurrent_commit_has_due_units() {
    let cache = cache(LONG);
    let store = Store::blocked(Ok(Some(product(1))));
    let mut reader = Box::pin(cache.get_or_load(ID, NOW, || store.load()));
    assert!(futures_util::poll!(&mut reader).is_pending());
    cache.committed(vec![with_due_units(2)]);
    let counted = CachedProduct { next_due: None, ..product(2) };
    store.set(Ok(Some(counted.clone())));
    store.gate.add_permits(2);
    let found = in_time("an answer", reader).await.expect("no error");
    assert_eq!((found, store.loads()), (Some(counted), 2));
}

#[tokio::test]
async fn a_reader_loads_again_when_the_joined_load_is_due() {
    let cache = cache(LONG);
    let due = NOW.after(Duration::from_secs(1));
    let store = Store::blocked(Ok(Some(CachedProduct { next_due: Some(due), ..product(1) })));
    let mut early = Box::pin(get(&cache, &store));
    assert!(futures_util::poll!(&mut early).is_pending());
    let mut late = Box::pin(cache.get_or_load(ID, due, || store.load()));
    assert!(futures_util::poll!(&mut late).is_pending());
    let counted = CachedProduct { next_due: None, ..product(1) };
    store.set(Ok(Some(counted.clone())));
    store.gate.add_permits(2);
    assert_eq!(in_time("an answer", early).await, Some(1));
    assert_eq!(in_time("an answer", late).await.expect("no error"), Some(counted));
}

#[tokio::test]
async fn a_sample_has_fresh_products_only() {
    let (cache, pass) = cache_with_clock(Duration::from_secs(5));
    assert_eq!(cache.sample(), []);
    cache.committed(vec![product(1)]);
    assert_eq!(cache.sample(), [product(1)]);
    pass(Duration::from_secs(5));
    assert_eq!(cache.sample(), []);
    cache.committed(vec![product(2)]);
    cache.mirror.invalidate_all();
    assert_eq!(cache.sample(), []);
    let store = Store::open(None);
    cache.mirror.remove(ID);
    assert_eq!((get(&cache, &store).await, cache.sample()), (None, vec![]));
}

/// As when the store is restored from a backup while this process runs.
#[tokio::test]
async fn an_entry_past_its_ttl_gives_way_to_an_older_version_of_the_store() {
    const LIFE: Duration = Duration::from_secs(5);
    let (cache, pass) = cache_with_clock(LIFE);
    let store = Store::open(Some(product(7)));
    assert_eq!(get(&cache, &store).await, Some(7));
    store.set(Ok(Some(product(5))));
    assert_eq!(get(&cache, &store).await, Some(7), "it is fresh");
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(store.loads(), 2, "it is cached");
    // So does an invalidation whose version is not in the store.
    cache.mirror.invalidate(ID, 9);
    assert_eq!(get(&cache, &store).await, Some(5));
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, Some(5));
    let loads = store.loads();
    assert_eq!(get(&cache, &store).await, Some(5));
    assert_eq!(store.loads(), loads, "it is cached");
    // And one by a version that was there before.
    pass(LIFE);
    cache.mirror.invalidate(ID, 4);
    store.set(Ok(Some(product(4))));
    assert_eq!(get(&cache, &store).await, Some(4));
    store.set(Ok(None));
    pass(LIFE);
    assert_eq!(get(&cache, &store).await, None, "the product is gone");
}

#[tokio::test]
async fn an_invalidated_entry_rejects_older_versions() {
    let cache = cache(LONG);
    let store = Store::open(Some(product(2)));
    assert_eq!(get(&cache, &store).await, Some(2));
    cache.mirror.invalidate(ID, 1);
    cache.mirror.invalidate(ID, 2);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), 1));
    cache.mirror.invalidate(ID, 3);
    for loads in 2..4 {
        assert_eq!((get(&cache, &store).await, store.loads()), (Some(2), loads));
    }
    store.set(Ok(Some(product(3))));
    for _ in 0..2 {
        assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 4));
    }
    cache.mirror.remove(ID);
    assert_eq!((get(&cache, &store).await, store.loads()), (Some(3), 5));
}

mod shared;
