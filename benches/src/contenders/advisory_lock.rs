//! PostgreSQL's advisory lock for the product around each transaction.

use sqlx::postgres::PgPool;
use sqlx::{Executor, query, query_scalar};
use stockade_testkit::Postgres;

use super::names;
use super::sql::{self, Ids};
use crate::contender::{Answer, Contender};

/// A buffer as large as that of the other servers; all else is as by default, so
/// each commit is synced.
const FLAGS: [&str; 4] = ["-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"];

const TABLES: &str = "CREATE TABLE products (id BIGINT PRIMARY KEY, stock BIGINT NOT NULL, \
     held BIGINT NOT NULL, version BIGINT NOT NULL, CHECK (stock >= 0)); \
     CREATE TABLE holds (id BIGINT PRIMARY KEY, product_id BIGINT NOT NULL, qty BIGINT NOT NULL, \
     status SMALLINT NOT NULL, expires_at BIGINT NOT NULL, created_at BIGINT NOT NULL, \
     token BYTEA NOT NULL, CHECK (qty > 0)); \
     CREATE INDEX holds_due ON holds (product_id, status, expires_at)";
const LOCK: &str = "SELECT pg_advisory_xact_lock(1)";
const SELECT_STOCK: &str = "SELECT stock FROM products WHERE id = 1";
const TAKE: &str =
    "UPDATE products SET stock = stock - 1, held = held + 1, version = version + 1 WHERE id = 1";
const INSERT_HOLD: &str = "INSERT INTO holds \
     (id, product_id, qty, status, expires_at, created_at, token) VALUES ($1, 1, 1, 0, $2, $3, $4)";

/// Advisory lock, select, update, insert, commit.
pub struct AdvisoryLock {
    pool: PgPool,
    ids: Ids,
    _server: Postgres,
}

impl AdvisoryLock {
    /// Starts a server with one product of so much stock.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn open(stock: u64) -> Self {
        let server = Postgres::start_with(&FLAGS);
        let pool = sql::pool_options().connect(&server.url()).await.expect("connects");
        pool.execute(TABLES).await.expect("makes the tables");
        let insert = "INSERT INTO products VALUES (1, $1, 0, 1)";
        let insert = query(insert).bind(stock.cast_signed()).execute(&pool);
        insert.await.expect("inserts");
        sql::fill(&pool).await;
        Self { pool, ids: Ids::new(), _server: server }
    }

    async fn hold(&self) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        query(LOCK).execute(&mut *transaction).await?;
        let stock: i64 = query_scalar(SELECT_STOCK).fetch_one(&mut *transaction).await?;
        if stock < 1 {
            transaction.rollback().await?;
            return Ok(false);
        }
        query(TAKE).execute(&mut *transaction).await?;
        let now = sql::now();
        query(INSERT_HOLD)
            .bind(self.ids.draw(1).cast_signed())
            .bind(sql::end_of_hold(now).cast_signed())
            .bind(now.cast_signed())
            .bind(sql::token().as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

impl Contender for AdvisoryLock {
    fn name(&self) -> &str {
        names::ADVISORY
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold().await)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
