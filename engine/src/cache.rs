//! A cache-aside cache for product reads, in two tiers: the mirror in this
//! process, then Redis, then the store.
//!
//! The cache never grants a request. Each entry carries its row's version, and
//! while the entry is fresh, an older version never replaces it: that one was read
//! earlier. An entry past its TTL gives way to whatever the store returns, so that
//! the cache follows a store that was restored from a backup. A row that this
//! process serves was current less than `cache_ttl` ago, or was the newest in
//! Redis then, where no entry outlives [`redis::ENTRY_TTL`].

pub(crate) mod mirror;
#[cfg_attr(not(feature = "redis"), path = "cache/no_redis.rs")]
pub(crate) mod redis;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use self::mirror::{Insertion, ProductMirror, Source};
use self::redis::SharedTier;
use crate::error::Result;
use crate::ledger::ProductRow;
use crate::metrics::Metrics;
use crate::model::{Product, ProductId, Timestamp};
use crate::redis_connection::RedisConnection;

/// A product row as it was read, and the moment until which it stays valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedProduct {
    pub product: Product,
    /// Nothing of the product is due before this moment, so `product` stays
    /// valid until then unless a commit changes it.
    pub next_due: Option<Timestamp>,
}

impl From<ProductRow> for CachedProduct {
    fn from(row: ProductRow) -> Self {
        Self { product: row.product, next_due: row.next_due }
    }
}

impl CachedProduct {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.next_due.is_none_or(|due| due > now)
    }
}

/// The most products that [`ProductCache::sample`] returns.
const SAMPLE_MAX: usize = 1000;

/// The most loads by one reader for a product that keeps changing, and the most
/// store reads within each while newer versions are announced.
const LOADS_MAX: u32 = 4;

pub(crate) struct ProductCache {
    pub mirror: Arc<ProductMirror>,
    ttl: Duration,
    shared: Option<SharedTier>,
    flights: Flights,
    metrics: Arc<Metrics>,
}

impl ProductCache {
    /// A cache over the process's mirror, with rows up to `ttl` old. Must be
    /// called inside a runtime if there is a Redis connection.
    pub fn new(
        mirror: Arc<ProductMirror>,
        ttl: Duration,
        redis: Option<RedisConnection>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self::with_shared_ttl(mirror, ttl, redis, metrics, redis::ENTRY_TTL)
    }

    fn with_shared_ttl(
        mirror: Arc<ProductMirror>,
        ttl: Duration,
        redis: Option<RedisConnection>,
        metrics: Arc<Metrics>,
        shared_ttl: Duration,
    ) -> Self {
        let shared = redis.map(|redis| SharedTier::new(redis, shared_ttl, Arc::clone(&mirror)));
        Self { mirror, ttl, shared, flights: Flights::default(), metrics }
    }

    /// Returns the product as it is at `now` on the store's clock, or `None` if
    /// there is none. Concurrent misses for one product are a single-flight:
    /// `load` runs once for all of them, and its error is the result of all. It
    /// runs again if its result was invalidated by something that fell due.
    ///
    /// # Cancel safety
    /// A dropped caller leaves the load to the next waiter. The call needs no
    /// runtime.
    ///
    /// # Errors
    /// That of `load`.
    pub async fn get_or_load<F, Fut>(
        &self,
        id: ProductId,
        now: Timestamp,
        load: F,
    ) -> Result<Option<CachedProduct>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<CachedProduct>>>,
    {
        let mut tries = 0;
        loop {
            if let Some(cached) = self.mirror.get(id, now, self.ttl) {
                self.metrics.cache_hits.inc();
                return Ok(cached.map(Arc::unwrap_or_clone));
            }
            let guard = self.flights.join(id);
            let mut lead = LeaderLoad::default();
            let result = guard
                .flight
                .get_or_init(async || {
                    let result = self.fetch(id, now, &load, &mut lead).await;
                    // A caller that arrives from now on may need a newer row.
                    guard.complete();
                    result
                })
                .await;
            if lead.queried_store {
                self.metrics.cache_misses.inc();
            } else if result.is_ok() {
                self.metrics.cache_hits.inc();
            }
            let row = result.clone()?;
            tries += 1;
            // A row from a concurrent commit, or one that was read for an earlier
            // caller, may count units as held that are due by now.
            let is_valid = row.as_ref().is_none_or(|row| row.is_valid(now));
            if lead.returned_own_row || is_valid || tries == LOADS_MAX {
                return Ok(row.map(Arc::unwrap_or_clone));
            }
        }
    }

    /// Reads the shared tier, then the store, and fills the tiers above.
    async fn fetch<F, Fut>(
        &self,
        id: ProductId,
        now: Timestamp,
        load: &F,
        lead: &mut LeaderLoad,
    ) -> LoadResult
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<CachedProduct>>>,
    {
        let read = self.mirror.read_time();
        if let Some(shared) = &self.shared
            && let Some(row) = shared.get(id).await
            && row.is_valid(now)
        {
            let row = Arc::new(row);
            if let Insertion::Newest =
                self.mirror.insert(Arc::clone(&row), read, Source::Redis, self.ttl)
            {
                return Ok(Some(row));
            }
        }
        lead.queried_store = true;
        let mut loads = 0;
        loop {
            loads += 1;
            let invalidated = self.mirror.invalidated_by(id);
            let read = self.mirror.read_time();
            let Some(row) = load().await? else {
                return Ok(self.mirror.insert_absent(id, read, self.ttl));
            };
            let row = Arc::new(row);
            let insertion = self.mirror.insert(Arc::clone(&row), read, Source::Load, self.ttl);
            lead.returned_own_row = !matches!(insertion, Insertion::Superseded(_));
            match insertion {
                Insertion::Newest => {
                    if let Some(shared) = &self.shared {
                        shared.publish(&[Arc::clone(&row)], read.at, false);
                    }
                    return Ok(Some(row));
                }
                Insertion::Superseded(newer) => return Ok(Some(newer)),
                // Callers that joined after the read may have seen the version
                // that was announced since: read again.
                Insertion::Invalidated
                    if loads < LOADS_MAX && self.mirror.invalidated_by(id) != invalidated => {}
                Insertion::Invalidated => return Ok(Some(row)),
            }
        }
    }

    /// Records the rows of a transaction of this process that locked them at
    /// `locked_at`: those that it committed, which are published to other
    /// processes, and those that it left as they were. For products in `short` it
    /// refused a request.
    pub fn record(
        &self,
        committed: Vec<CachedProduct>,
        unchanged: Vec<CachedProduct>,
        short: &[ProductId],
        locked_at: Instant,
    ) {
        let read = self.mirror.read_at(locked_at);
        let insert = |product: Arc<CachedProduct>| {
            let source = Source::Transaction { was_short: short.contains(&product.product.id) };
            self.mirror.insert(product, read, source, self.ttl);
        };
        let committed: Vec<_> = committed.into_iter().map(Arc::new).collect();
        committed.iter().map(Arc::clone).for_each(insert);
        unchanged.into_iter().map(Arc::new).for_each(insert);
        if let Some(shared) = &self.shared
            && !committed.is_empty()
        {
            shared.publish(&committed, locked_at, true);
        }
    }

    /// Returns the product if it is cached and fresh, and counts the hit.
    pub fn peek(&self, id: ProductId, now: Timestamp) -> Option<Arc<CachedProduct>> {
        let cached = self.mirror.get(id, now, self.ttl)??;
        self.metrics.cache_hits.inc();
        Some(cached)
    }

    /// Some of the rows that this process would serve, for the audit.
    pub fn sample(&self) -> Vec<CachedProduct> {
        self.mirror.sample(SAMPLE_MAX, self.ttl)
    }

    /// Ends the cache's tasks; pending publications are dropped.
    pub async fn close(&self) {
        if let Some(shared) = &self.shared {
            shared.close().await;
        }
    }
}

/// What a flight's leader did, as opposed to a caller that joined it.
#[derive(Default)]
struct LeaderLoad {
    /// It read the store.
    queried_store: bool,
    /// The row that it read there is the result.
    returned_own_row: bool,
}

type LoadResult = Result<Option<Arc<CachedProduct>>>;
type Flight = Arc<OnceCell<LoadResult>>;

/// Loads in progress, by product (single-flight).
#[derive(Default)]
struct Flights {
    /// Each flight with the number of its callers; it is removed with the last.
    /// A plain mutex: each critical section is one map lookup and never awaits.
    by_id: Mutex<HashMap<ProductId, (Flight, usize)>>,
}

/// One caller's membership in a flight.
struct FlightGuard<'a> {
    flights: &'a Flights,
    id: ProductId,
    flight: Flight,
}

impl Flights {
    fn join(&self, id: ProductId) -> FlightGuard<'_> {
        let mut by_id = self.by_id.lock();
        let (flight, callers) = by_id.entry(id).or_default();
        *callers += 1;
        FlightGuard { flights: self, id, flight: Arc::clone(flight) }
    }

    /// Removes one caller, or all, from a flight, and an empty flight from the map.
    fn leave(&self, id: ProductId, flight: &Flight, all: bool) {
        let mut by_id = self.by_id.lock();
        if let Some((current, callers)) = by_id.get_mut(&id)
            && Arc::ptr_eq(current, flight)
        {
            *callers -= 1;
            if all || *callers == 0 {
                by_id.remove(&id);
            }
        }
    }
}

impl FlightGuard<'_> {
    /// Closes the flight to further callers.
    fn complete(&self) {
        self.flights.leave(self.id, &self.flight, true);
    }
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        self.flights.leave(self.id, &self.flight, false);
    }
}

#[cfg(test)]
mod tests;
