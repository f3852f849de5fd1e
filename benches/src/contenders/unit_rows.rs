//! A row for each unit of stock: a request takes one that nobody has locked
//! (`SKIP LOCKED`), so requests for one product do not wait for each other.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{MySqlPool, query, query_scalar};

use super::names;
use super::sql::{self, Ids};
use crate::contender::{Answer, Contender};
use crate::setup::{self, Shop};

/// Units that a run of a bench does not exhaust; they are made anew between runs.
const STOCKED: u64 = 1 << 17;

const TABLES: &str = "CREATE TABLE contender_units (product_id BIGINT NOT NULL, \
     id BIGINT NOT NULL, PRIMARY KEY (product_id, id)); \
     CREATE TABLE contender_numbers (i BIGINT NOT NULL PRIMARY KEY); \
     INSERT INTO contender_numbers VALUES (0)";
const FIND: &str = "SELECT id FROM contender_units WHERE product_id = 1 LIMIT 1 \
     FOR UPDATE SKIP LOCKED";
const TAKE: &str = "DELETE FROM contender_units WHERE product_id = 1 AND id = ?";

/// `SELECT … FOR UPDATE SKIP LOCKED`, delete, insert, commit.
pub struct UnitRows {
    url: String,
    pool: MySqlPool,
    ids: Ids,
    /// The id of the next unit.
    next: AtomicU64,
    taken: AtomicU64,
    is_restocked: bool,
}

impl UnitRows {
    /// Opens its connections and makes the units of product 1: so many, or without
    /// a number as many as are needed.
    pub async fn open(shop: &Shop, units: Option<u64>) -> Self {
        let numbers = (0..STOCKED.trailing_zeros()).map(|bit| {
            let offset = 1 << bit;
            format!("; INSERT INTO contender_numbers SELECT i + {offset} FROM contender_numbers")
        });
        let sql: String = [TABLES.to_owned()].into_iter().chain(numbers).collect();
        setup::run(&shop.url, &sql).await;
        let rows = Self {
            url: shop.url.clone(),
            pool: sql::pool(&shop.url).await,
            ids: Ids::new(),
            next: AtomicU64::new(1),
            taken: AtomicU64::new(0),
            is_restocked: units.is_none(),
        };
        rows.add(units.unwrap_or(STOCKED)).await;
        rows
    }

    async fn add(&self, units: u64) {
        let first = self.next.fetch_add(units, Ordering::Relaxed);
        let sql = format!(
            "INSERT INTO contender_units SELECT 1, {first} + i FROM contender_numbers WHERE i < {units}"
        );
        setup::run(&self.url, &sql).await;
    }

    async fn hold(&self) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let unit: Option<i64> = query_scalar(FIND).fetch_optional(&mut *transaction).await?;
        let Some(unit) = unit else {
            transaction.rollback().await?;
            return Ok(false);
        };
        query(TAKE).bind(unit).execute(&mut *transaction).await?;
        sql::insert_hold(&mut transaction, &self.ids, 1, 1).await?;
        transaction.commit().await?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
}

impl Contender for UnitRows {
    fn name(&self) -> &str {
        names::UNIT_ROWS
    }

    async fn prepare(&self, _callers: usize) {
        if self.is_restocked {
            self.add(self.taken.swap(0, Ordering::Relaxed)).await;
        }
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold().await)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
