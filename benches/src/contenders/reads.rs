//! Reads of products, optionally mixed with holds.

use std::sync::Arc;

use quick_cache::sync::Cache;
use sqlx::MySqlPool;
use stockade::{AsyncEngine, HoldRequest, ProductId};

use super::names;
use super::row_lock::RowLock;
use super::sql::{self, Products};
use super::stockade::{answer, engine};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Reads per request where a read is cheaper than reading the clock.
const HITS: u64 = 100;

const SELECT: &str = "SELECT id, name, price, stock, held, pending, sold, version \
     FROM stockade_products WHERE id = ?";

/// The kind of reads.
#[derive(Debug, Clone, Copy)]
pub enum Reads {
    /// Product 1, always cached.
    Hits,
    /// A product drawn uniformly from so many, never cached.
    Misses(u32),
    /// A product drawn by Zipf from so many; one request in twenty is a hold.
    Mixed(u32),
}

impl Reads {
    fn units(self) -> u64 {
        if matches!(self, Self::Hits) { HITS } else { 1 }
    }

    fn draw(self) -> u64 {
        match self {
            Self::Hits => 1,
            Self::Misses(count) => u64::from(rand::random_range(1..=count)),
            Self::Mixed(count) => Products::Zipf(count).draw(),
        }
    }

    fn is_hold(self) -> bool {
        matches!(self, Self::Mixed(_)) && rand::random_range(0..20) == 0
    }
}

/// Reads through [`AsyncEngine`].
pub struct StockadeReads {
    engine: AsyncEngine,
    reads: Reads,
    _shop: Shop,
}

impl StockadeReads {
    /// Opens an engine; for misses, without Redis and without a cache.
    pub async fn open(mut shop: Shop, reads: Reads) -> Self {
        let is_cached = !matches!(reads, Reads::Misses(_));
        if !is_cached {
            shop.redis = None;
        }
        let ttl = if is_cached { "1s" } else { "0s" };
        let builder = engine(&shop).set("cache_ttl", ttl).expect("a setting");
        Self { engine: builder.open_async().await.expect("opens"), reads, _shop: shop }
    }
}

impl Contender for StockadeReads {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    fn units(&self) -> u64 {
        self.reads.units()
    }

    async fn request(&self, _caller: usize) -> Answer {
        if self.reads.is_hold() {
            return answer(self.engine.create_hold(HoldRequest::new(self.reads.draw(), 1)).await);
        }
        for _ in 1..self.reads.units() {
            let read = self.engine.product(ProductId(self.reads.draw())).await;
            std::hint::black_box(read.ok());
        }
        answer(self.engine.product(ProductId(self.reads.draw())).await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

/// `SELECT` by primary key, and holds by row lock.
pub struct SqlReads {
    pool: MySqlPool,
    holds: RowLock,
    reads: Reads,
}

impl SqlReads {
    /// Opens its connections.
    pub async fn open(shop: &Shop, reads: Reads) -> Self {
        let holds = RowLock::open(shop, Products::One).await;
        Self { pool: sql::pool(&shop.url).await, holds, reads }
    }

    async fn read(&self) -> sqlx::Result<bool> {
        let id = self.reads.draw();
        let row = sqlx::query(SELECT).bind(id).fetch_one(&self.pool).await?;
        std::hint::black_box(row);
        Ok(true)
    }
}

impl Contender for SqlReads {
    fn name(&self) -> &str {
        names::SELECT
    }

    async fn request(&self, _caller: usize) -> Answer {
        if self.reads.is_hold() {
            return sql::answer(self.holds.hold_unit(self.reads.draw()).await);
        }
        sql::answer(self.read().await)
    }

    async fn close(&self) {
        self.pool.close().await;
        Contender::close(&self.holds).await;
    }
}

/// The ceiling of cached reads: the underlying cache alone.
pub struct BareCache {
    entries: Cache<u64, Arc<String>>,
}

impl BareCache {
    /// Creates a cache with product 1 in it.
    #[must_use]
    pub fn open() -> Self {
        let entries = Cache::new(100_000);
        entries.insert(1, Arc::new("Lamp".to_owned()));
        Self { entries }
    }
}

impl Contender for BareCache {
    fn name(&self) -> &str {
        names::BARE_CACHE
    }

    fn units(&self) -> u64 {
        HITS
    }

    async fn request(&self, _caller: usize) -> Answer {
        for _ in 0..HITS {
            std::hint::black_box(self.entries.get(&1));
        }
        Answer::Done
    }
}
