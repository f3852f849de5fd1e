//! The database's row lock alone: one transaction for each request.

use sqlx::{MySqlConnection, MySqlPool};

use super::names;
use super::sql::{self, Ids, Products};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

const SELECT_STOCK: &str = "SELECT stock FROM stockade_products WHERE id = ? FOR UPDATE";
const TAKE: &str = "UPDATE stockade_products \
     SET stock = stock - ?, held = held + ?, version = version + 1 WHERE id = ?";

/// `SELECT … FOR UPDATE`, update, insert, commit.
pub struct RowLock {
    pool: MySqlPool,
    ids: Ids,
    products: Products,
}

impl RowLock {
    /// Opens its connections.
    pub async fn open(shop: &Shop, products: Products) -> Self {
        Self { pool: sql::pool(&shop.url).await, ids: Ids::new(), products }
    }

    /// Holds one unit in a transaction of its own; false where none is left.
    pub(super) async fn hold(&self, product: u64) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let granted = hold_one(&mut transaction, &self.ids, product).await?;
        if granted {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(granted)
    }

    pub(super) async fn close_pool(&self) {
        self.pool.close().await;
    }
}

/// Locks a product, takes one unit and writes the hold.
pub(super) async fn hold_one(
    connection: &mut MySqlConnection,
    ids: &Ids,
    product: u64,
) -> sqlx::Result<bool> {
    let stock: i64 =
        sqlx::query_scalar(SELECT_STOCK).bind(product).fetch_one(&mut *connection).await?;
    if stock < 1 {
        return Ok(false);
    }
    sqlx::query(TAKE).bind(1).bind(1).bind(product).execute(&mut *connection).await?;
    sql::insert_hold(connection, ids, product, 1).await?;
    Ok(true)
}

impl Contender for RowLock {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold(self.products.draw()).await)
    }

    async fn close(&self) {
        self.close_pool().await;
    }
}
