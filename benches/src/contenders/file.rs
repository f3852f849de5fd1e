//! The contenders on a SQLite file. SQLite has a single writer, so each uses
//! one writing connection: several would wait for each other by sleeping.

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Executor};

use super::names;
use super::raw::{self, RawIds, RawTransaction};
use super::sql::{self, Ids};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

const SELECT_STOCK: &str = "SELECT stock FROM stockade_products WHERE id = 1";
const TAKE: &str = "UPDATE stockade_products \
     SET stock = stock - 1, held = held + 1, version = version + 1 WHERE id = 1";
const INSERT_HOLD: &str = "INSERT INTO contender_holds \
     (id, product_id, qty, status, expires_at, created_at, token) VALUES (?, 1, 1, 0, ?, ?, ?)";

async fn writer(shop: &Shop) -> SqlitePool {
    let connect = shop.url.parse::<SqliteConnectOptions>().expect("a URL");
    let connect = connect.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(std::time::Duration::from_secs(60))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    pool.connect_with(connect).await.expect("opens")
}

/// `BEGIN IMMEDIATE`, select, update, insert, commit.
pub struct FileRowLock {
    pool: SqlitePool,
    ids: Ids,
    _shop: Shop,
}

impl FileRowLock {
    /// Opens its connection.
    pub async fn open(shop: Shop) -> Self {
        Self { pool: writer(&shop).await, ids: Ids::new(), _shop: shop }
    }

    async fn hold(&self) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let stock: i64 = sqlx::query_scalar(SELECT_STOCK).fetch_one(&mut *transaction).await?;
        if stock < 1 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query(TAKE).execute(&mut *transaction).await?;
        let now = sql::now();
        sqlx::query(INSERT_HOLD)
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

impl Contender for FileRowLock {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold().await)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// The ceiling of SQLite: transactions of holds on one connection, without callers.
pub struct FileCeiling {
    pool: SqlitePool,
    ids: RawIds,
    transaction: RawTransaction,
    _shop: Shop,
}

impl FileCeiling {
    /// Opens the ceiling of one row for each hold.
    pub async fn open(shop: Shop) -> Self {
        Self::with(shop, raw::SINGLE_ROWS).await
    }

    /// Opens the ceiling of packed rows.
    pub async fn packed(shop: Shop) -> Self {
        Self::with(shop, raw::PACKED_ROWS).await
    }

    async fn with(shop: Shop, transaction: RawTransaction) -> Self {
        Self { pool: writer(&shop).await, ids: RawIds::new(), transaction, _shop: shop }
    }

    async fn write(&self) -> sqlx::Result<()> {
        let [holds, events, product] = (self.transaction.statements)(&self.ids);
        let sql = format!("BEGIN IMMEDIATE;{holds};{events};{product};COMMIT");
        self.pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(())
    }
}

impl Contender for FileCeiling {
    fn name(&self) -> &str {
        names::CEILING
    }

    fn units(&self) -> u64 {
        self.transaction.holds
    }

    fn own_callers(&self) -> Option<usize> {
        Some(1)
    }

    async fn request(&self, _caller: usize) -> Answer {
        match self.write().await {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed(sql::cause(&error)),
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
