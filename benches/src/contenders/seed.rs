//! The usual hand-written code for a hot product. Each request takes a lock in
//! Redis, then the row lock, deletes the cache entry and releases the lock.

use super::names;
use super::redis_lock::{RedisLock, Wake};
use super::row_lock::RowLock;
use super::sql::{self, Products};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// A Redis lock around each transaction.
pub struct Seed {
    lock: RedisLock,
    /// The key of the product's cache entry.
    cached: String,
    wake: Wake,
    rows: RowLock,
}

impl Seed {
    /// Opens its connections. Holds units of product 1.
    ///
    /// # Panics
    /// When the shop has no Redis.
    pub async fn open(shop: &Shop, wake: Wake) -> Self {
        let (url, prefix) = shop.redis.as_ref().expect("a shop with Redis");
        let lock = RedisLock::open(url, prefix, wake).await;
        Self {
            lock,
            cached: format!("{prefix}:product:1"),
            wake,
            rows: RowLock::open(shop, Products::One).await,
        }
    }
}

impl Contender for Seed {
    fn name(&self) -> &str {
        match self.wake {
            Wake::Poll => names::SEED_POLL,
            Wake::Prompt => names::SEED_PROMPT,
        }
    }

    async fn prepare(&self, _callers: usize) {
        self.lock.set_over(false);
    }

    fn over(&self) {
        self.lock.set_over(true);
    }

    async fn request(&self, _caller: usize) -> Answer {
        let token = match self.lock.take().await {
            Ok(Some(token)) => token,
            Ok(None) => return Answer::Failed("gave up"),
            Err(_) => return Answer::Failed("redis"),
        };
        let held = self.rows.hold_unit(Products::One.draw()).await;
        let forgotten = self.lock.forget(&self.cached).await;
        if self.lock.give_back(token).await.and(forgotten).is_err() {
            return Answer::Failed("redis");
        }
        sql::answer(held)
    }

    async fn close(&self) {
        self.lock.close();
        self.rows.close_pool().await;
    }
}
