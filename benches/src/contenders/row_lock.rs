//! The database's row lock: one transaction per request.

use sqlx::{MySqlConnection, MySqlPool};

use super::names;
use super::sold_out::HoldsOf;
use super::sql::{self, Ids, Products};
use crate::contender::{Answer, Contender};
use crate::setup::{self, Shop};

const SELECT_STOCK: &str = "SELECT stock FROM stockade_products WHERE id = ? FOR UPDATE";
const TAKE: &str = "UPDATE stockade_products \
     SET stock = stock - ?, held = held + ?, version = version + 1 WHERE id = ?";

/// Ids from here on are added during the run.
const FIRST_ADDED: u64 = 1_000_000;

/// `SELECT … FOR UPDATE`, update, insert, commit.
pub struct RowLock {
    url: String,
    pool: MySqlPool,
    ids: Ids,
    products: Products,
    /// Ids of products added during the run.
    added: Ids,
}

impl RowLock {
    /// Opens its connections.
    pub async fn open(shop: &Shop, products: Products) -> Self {
        let pool = sql::pool(&shop.url).await;
        Self {
            url: shop.url.clone(),
            pool,
            ids: Ids::new(),
            products,
            added: Ids::from(FIRST_ADDED),
        }
    }

    /// Holds one unit in its own transaction; false if sold out.
    pub(super) async fn hold_unit(&self, product: u64) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let hold = hold_one(&mut transaction, &self.ids, product).await?;
        match hold {
            Some(_) => transaction.commit().await?,
            None => transaction.rollback().await?,
        }
        Ok(hold.is_some())
    }

    pub(super) async fn close_pool(&self) {
        self.pool.close().await;
    }
}

/// Locks a product, takes one unit and writes the hold; nothing if sold out.
pub(super) async fn hold_one(
    connection: &mut MySqlConnection,
    ids: &Ids,
    product: u64,
) -> sqlx::Result<Option<u64>> {
    let stock: i64 =
        sqlx::query_scalar(SELECT_STOCK).bind(product).fetch_one(&mut *connection).await?;
    if stock < 1 {
        return Ok(None);
    }
    sqlx::query(TAKE).bind(1).bind(1).bind(product).execute(&mut *connection).await?;
    sql::insert_hold(connection, ids, product, 1).await.map(Some)
}

impl Contender for RowLock {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold_unit(self.products.draw()).await)
    }

    async fn close(&self) {
        self.close_pool().await;
    }
}

impl HoldsOf for RowLock {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn add_product(&self, stock: u64) -> u64 {
        let id = self.added.draw(1);
        setup::run(&self.url, &setup::insert_products(id, id, stock)).await;
        id
    }

    async fn hold(&self, product: u64) -> Answer {
        sql::answer(self.hold_unit(product).await)
    }

    async fn close(&self) {
        self.close_pool().await;
    }
}
