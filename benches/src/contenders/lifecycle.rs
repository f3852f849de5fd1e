//! The lifecycle of a unit: held, ordered, paid.

use sqlx::MySqlPool;
use stockade::{AsyncEngine, HoldRequest, OrderRequest, Outcome, PaymentEvent};

use super::names;
use super::row_lock::hold_one;
use super::sql::{self, Ids};
use super::stockade::{answer, engine};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

const SELECT_HOLD: &str = "SELECT status FROM contender_holds WHERE id = ? FOR UPDATE";
const USE_HOLD: &str = "UPDATE contender_holds SET status = 1 WHERE id = ? AND status = 0";
const INSERT_ORDER: &str = "INSERT INTO stockade_orders \
     (id, hold_id, product_id, qty, price, secret, amount, currency, created_at, updated_at, \
     due_at) VALUES (?, ?, ?, 1, 1999, ?, 1999, 'EUR', ?, ?, ?)";
const HELD_TO_PENDING: &str = "UPDATE stockade_products \
     SET held = held - 1, pending = pending + 1, version = version + 1 WHERE id = ?";
const INSERT_PAYMENT: &str = "INSERT INTO stockade_payments \
     (idempotency_key, fingerprint, order_id, secret, outcome, answer, waiting, received_at) \
     VALUES (?, ?, ?, NULL, 0, 0, 0, ?)";
const SELECT_ORDER: &str = "SELECT status FROM stockade_orders WHERE id = ? FOR UPDATE";
const PAY_ORDER: &str =
    "UPDATE stockade_orders SET status = 1, updated_at = ? WHERE id = ? AND status = 0";
const PENDING_TO_SOLD: &str = "UPDATE stockade_products \
     SET pending = pending - 1, sold = sold + 1, version = version + 1 WHERE id = ?";

/// Units of product 1 through [`AsyncEngine`]: one request is a hold, its order
/// and its payment in sequence.
pub struct StockadeLifecycle {
    engine: AsyncEngine,
    _shop: Shop,
}

impl StockadeLifecycle {
    /// Opens an engine, with Redis if the shop has one.
    pub async fn open(shop: Shop) -> Self {
        Self { engine: engine(&shop).open_async().await.expect("opens"), _shop: shop }
    }

    async fn live(&self) -> stockade::Result<()> {
        let hold = self.engine.create_hold(HoldRequest::new(1, 1)).await?.value;
        let order = self.engine.create_order(OrderRequest::new(hold.id, 1)).await?.value;
        let key = format!("evt-{}", order.id);
        let paid = PaymentEvent::for_order(order.id, Outcome::Success).key(key);
        self.engine.record_payment(&paid).await?;
        Ok(())
    }
}

impl Contender for StockadeLifecycle {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    async fn request(&self, _caller: usize) -> Answer {
        answer(self.live().await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

/// The same with row locks: three transactions. The contended row of the
/// product is locked last where no decision depends on it.
pub struct RowLockLifecycle {
    pool: MySqlPool,
    holds: Ids,
    orders: Ids,
}

impl RowLockLifecycle {
    /// Opens its connections.
    pub async fn open(shop: &Shop) -> Self {
        Self { pool: sql::pool(&shop.url).await, holds: Ids::new(), orders: Ids::new() }
    }

    async fn live(&self) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let Some(hold) = hold_one(&mut transaction, &self.holds, 1).await? else {
            transaction.rollback().await?;
            return Ok(false);
        };
        transaction.commit().await?;
        let order = self.order(hold).await?;
        self.pay(order).await?;
        Ok(true)
    }

    async fn order(&self, hold: u64) -> sqlx::Result<u64> {
        let (order, now) = (self.orders.draw(1), sql::now());
        let mut transaction = self.pool.begin().await?;
        let status: i8 =
            sqlx::query_scalar(SELECT_HOLD).bind(hold).fetch_one(&mut *transaction).await?;
        assert_eq!(status, 0, "a hold of our own is active");
        sqlx::query(USE_HOLD).bind(hold).execute(&mut *transaction).await?;
        sqlx::query(INSERT_ORDER)
            .bind(order)
            .bind(hold)
            .bind(1)
            .bind(sql::token().as_slice())
            .bind(now)
            .bind(now)
            .bind(sql::end_of_hold(now))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(HELD_TO_PENDING).bind(1).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(order)
    }

    async fn pay(&self, order: u64) -> sqlx::Result<()> {
        let now = sql::now();
        let mut transaction = self.pool.begin().await?;
        sqlx::query(INSERT_PAYMENT)
            .bind(format!("evt-{order}").into_bytes())
            .bind([7_u8; 32].as_slice())
            .bind(order)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let status: i8 =
            sqlx::query_scalar(SELECT_ORDER).bind(order).fetch_one(&mut *transaction).await?;
        assert_eq!(status, 0, "an order of our own is not paid");
        sqlx::query(PAY_ORDER).bind(now).bind(order).execute(&mut *transaction).await?;
        sqlx::query(PENDING_TO_SOLD).bind(1).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

impl Contender for RowLockLifecycle {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.live().await)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
