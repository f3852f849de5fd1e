//! One conditional update: the least that hand-written code can do.

use sqlx::MySqlPool;

use super::names;
use super::sql::{self, Ids, Products};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

const TAKE: &str = "UPDATE stockade_products \
     SET stock = stock - ?, held = held + ?, version = version + 1 WHERE id = ? AND stock >= ?";

/// `UPDATE … WHERE stock >= ?`, insert, commit.
pub struct AtomicUpdate {
    pool: MySqlPool,
    ids: Ids,
    products: Products,
}

impl AtomicUpdate {
    /// Opens its connections.
    pub async fn open(shop: &Shop, products: Products) -> Self {
        Self { pool: sql::pool(&shop.url).await, ids: Ids::new(), products }
    }

    async fn hold(&self, product: u64) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let taken = sqlx::query(TAKE).bind(1).bind(1).bind(product).bind(1);
        if taken.execute(&mut *transaction).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sql::insert_hold(&mut transaction, &self.ids, product, 1).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

impl Contender for AtomicUpdate {
    fn name(&self) -> &str {
        names::ATOMIC
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold(self.products.draw()).await)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
