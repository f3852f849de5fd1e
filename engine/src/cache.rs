//! Cache-aside for product reads: a process's own cache before a shared one
//! before the store.
//!
//! The cache never decides: no request is granted by it. An entry carries its
//! row's version, and while the entry lives, an older version never replaces it:
//! what is older was read before it. Once its life is over, the store has the
//! word whatever the versions, so that a store which was put back to an earlier
//! state is believed. What this process serves was current less than
//! `cache_ttl` ago, or was the newest in Redis then, where nothing is older
//! than [`redis::LIFE`].

pub(crate) mod local;
pub(crate) mod redis;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use self::local::{LocalTier, Offered, Time};
use self::redis::SharedTier;
use crate::error::Result;
use crate::ledger::ProductRow;
use crate::metrics::Metrics;
use crate::model::{Product, ProductId, Timestamp};
use crate::redis_connection::RedisConnection;
use crate::runtime;

/// A product row as it was read, with what tells how long it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedProduct {
    pub product: Product,
    /// Nothing of the product is due before this moment, so `product` holds
    /// until then unless someone writes.
    pub next_due: Option<Timestamp>,
}

impl From<&ProductRow> for CachedProduct {
    fn from(row: &ProductRow) -> Self {
        Self { product: row.product.clone(), next_due: row.next_due }
    }
}

impl CachedProduct {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.next_due.is_none_or(|due| due > now)
    }
}

/// The most products that [`ProductCache::sample`] returns.
const SAMPLE_MAX: usize = 1000;

/// How often one reader goes for a product that keeps changing under it, and how
/// often each time it is read while a newer version is announced.
const LOADS_MAX: u32 = 4;

/// The cache of one engine.
pub(crate) struct ProductCache {
    local: Arc<LocalTier>,
    shared: Option<SharedTier>,
    flights: Flights,
    metrics: Arc<Metrics>,
}

impl ProductCache {
    /// With a link, it must be called inside a runtime.
    pub fn new(
        ttl: Duration,
        capacity: u32,
        shared: Option<RedisConnection>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self::with(ttl, capacity, shared, metrics, redis::LIFE, Arc::new(runtime::now))
    }

    fn with(
        ttl: Duration,
        capacity: u32,
        shared: Option<RedisConnection>,
        metrics: Arc<Metrics>,
        life: Duration,
        time: Time,
    ) -> Self {
        let local = Arc::new(LocalTier::new(ttl, capacity, time));
        let shared = shared.map(|link| SharedTier::new(link, life, Arc::clone(&local)));
        Self { local, shared, flights: Flights::default(), metrics }
    }

    /// The product as it is at `now` on the store's clock, or that there is
    /// none. However many ask at once for one that is not cached, `load` runs
    /// once for all of them, and its error is the answer to all of them. It runs
    /// again if what it found was overtaken by something that fell due.
    ///
    /// # Cancel safety
    /// A caller that goes away leaves the loading to the next who waits. It may
    /// be called outside a runtime.
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
            if let Some(known) = self.local.get(id, now) {
                self.metrics.cache_hits.inc();
                return Ok(known.map(Arc::unwrap_or_clone));
            }
            let seat = self.flights.board(id);
            let mut own = Own::default();
            let found = seat
                .flight
                .get_or_init(async || {
                    let found = self.fetch(id, now, &load, &mut own).await;
                    // Who comes from now on may want to see what is newer.
                    seat.land();
                    found
                })
                .await;
            if own.loaded {
                self.metrics.cache_misses.inc();
            } else if found.is_ok() {
                self.metrics.cache_hits.inc();
            }
            let found = found.clone()?;
            tries += 1;
            // A row that someone wrote meanwhile, or that was read for one who
            // came before, may count what is due by now as not returned.
            let is_good = found.as_ref().is_none_or(|found| found.is_valid(now));
            if own.is_answer || is_good || tries == LOADS_MAX {
                return Ok(found.map(Arc::unwrap_or_clone));
            }
        }
    }

    async fn fetch<F, Fut>(&self, id: ProductId, now: Timestamp, load: &F, own: &mut Own) -> Found
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<CachedProduct>>>,
    {
        let read = self.local.moment();
        if let Some(shared) = &self.shared
            && let Some(found) = shared.get(id).await
            && found.is_valid(now)
        {
            let found = Arc::new(found);
            if let Offered::Newest = self.local.offer(Arc::clone(&found), read) {
                return Ok(Some(found));
            }
        }
        own.loaded = true;
        let mut loads = 0;
        loop {
            loads += 1;
            let announced = self.local.announced(id);
            let read = self.local.moment();
            let Some(found) = load().await? else {
                return Ok(self.local.offer_absent(id, read));
            };
            let found = Arc::new(found);
            let offered = self.local.offer_loaded(Arc::clone(&found), read);
            own.is_answer = !matches!(offered, Offered::Newer(_));
            match offered {
                Offered::Newest => {
                    if let Some(shared) = &self.shared {
                        shared.publish(&[Arc::clone(&found)], read.at, false);
                    }
                    return Ok(Some(found));
                }
                Offered::Newer(newer) => return Ok(Some(newer)),
                // Others wait for it who came since it was read, and who may
                // have been shown what is newer.
                Offered::Outdated if loads < LOADS_MAX && self.local.announced(id) != announced => {
                }
                Offered::Outdated => return Ok(Some(found)),
            }
        }
    }

    /// Takes in rows as a commit left them.
    pub fn committed(&self, products: Vec<CachedProduct>) {
        let read = self.local.moment();
        let products: Vec<_> = products.into_iter().map(Arc::new).collect();
        for product in &products {
            self.local.offer(Arc::clone(product), read);
        }
        if let Some(shared) = &self.shared {
            shared.publish(&products, read.at, true);
        }
    }

    /// The units that were left when the product was last seen, if that was lately.
    pub fn last_stock(&self, id: ProductId, now: Timestamp) -> Option<u64> {
        Some(self.local.get(id, now)??.product.stock)
    }

    /// Some of what this process would serve, for a check against the store.
    pub fn sample(&self) -> Vec<CachedProduct> {
        self.local.sample(SAMPLE_MAX)
    }

    /// One that goes by the time of a simulation alone.
    #[cfg(test)]
    pub fn simulated(ttl: Duration, metrics: Arc<Metrics>) -> Self {
        let local = LocalTier::new(ttl, 1_000, Arc::new(runtime::now));
        Self { local: Arc::new(local), shared: None, flights: Flights::default(), metrics }
    }

    /// Hears that another process wrote this version.
    #[cfg(test)]
    pub fn hear(&self, id: ProductId, version: u64) {
        self.local.changed(id, version);
    }

    /// Hears that word of other processes may have been lost.
    #[cfg(test)]
    pub fn hear_of_gap(&self) {
        self.local.distrust_all();
    }

    /// Drops what this process has of a product.
    #[cfg(test)]
    pub fn forget(&self, id: ProductId) {
        self.local.forget(id);
    }

    /// Ends the cache's tasks; what was not published yet is not published.
    pub async fn close(&self) {
        if let Some(shared) = &self.shared {
            shared.close().await;
        }
    }
}

/// What a reader did itself.
#[derive(Default)]
struct Own {
    /// It asked the store.
    loaded: bool,
    /// And what it was told there is its answer.
    is_answer: bool,
}

type Found = Result<Option<Arc<CachedProduct>>>;
type Flight = Arc<OnceCell<Found>>;

/// Loads under way, which others join.
#[derive(Default)]
struct Flights {
    /// Each with the number of those on it; one that no one is on is not here.
    /// Held for a look-up, which never waits.
    by_id: Mutex<HashMap<ProductId, (Flight, usize)>>,
}

struct Seat<'a> {
    flights: &'a Flights,
    id: ProductId,
    flight: Flight,
}

impl Flights {
    fn board(&self, id: ProductId) -> Seat<'_> {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        let (flight, seats) = by_id.entry(id).or_default();
        *seats += 1;
        Seat { flights: self, id, flight: Arc::clone(flight) }
    }

    /// Takes one, or all, off a flight; an empty one is taken out.
    fn leave(&self, id: ProductId, flight: &Flight, all: bool) {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((current, seats)) = by_id.get_mut(&id)
            && Arc::ptr_eq(current, flight)
        {
            *seats -= 1;
            if all || *seats == 0 {
                by_id.remove(&id);
            }
        }
    }
}

impl Seat<'_> {
    /// No one else may join this flight.
    fn land(&self) {
        self.flights.leave(self.id, &self.flight, true);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.flights.leave(self.id, &self.flight, false);
    }
}

#[cfg(test)]
mod tests;
