//! Orders of several holds.

use std::sync::{Mutex, PoisonError};

use stockade::{AsyncEngine, HoldId, HoldRequest, OrderRequest};

use super::cart::{ITEMS, RowLockCarts, StockadeCarts, draw};
use super::names;
use super::sql::{self, Ids, Products};
use super::stockade::{answer, engine};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

const SELECT_HOLDS: &str = "SELECT status FROM contender_holds FORCE INDEX (PRIMARY) \
     WHERE id IN (?, ?, ?) ORDER BY id FOR UPDATE";
const USE_HOLDS: &str =
    "UPDATE contender_holds SET status = 1 WHERE id IN (?, ?, ?) AND status = 0";
const INSERT_ORDER: &str = "INSERT INTO stockade_orders \
     (id, hold_id, product_id, qty, price, packed_lines, secret, amount, currency, created_at, \
     updated_at, due_at) VALUES (?, ?, ?, 1, 1999, ?, ?, 5997, 'EUR', ?, ?, ?)";
const HELD_TO_PENDING: &str = "UPDATE stockade_products \
     SET held = held - 1, pending = pending + 1, version = version + 1 WHERE id IN (?, ?, ?)";

/// Orders that a run can make of the holds that were made before it, for each caller
/// and in all. One that makes more makes holds, too.
const PREPARED_EACH: usize = 64;
const PREPARED_MAX: usize = 12_000;
/// Holds made by one call.
const BATCH: usize = 5_000;

/// Carts that become orders through [`AsyncEngine`]: one request is a cart and its order.
pub struct StockadeCartOrders(StockadeCarts);

impl StockadeCartOrders {
    /// Opens an engine, with Redis if the shop has one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(shop: Shop, products: Products) -> Self {
        Self(StockadeCarts::open(shop, products).await)
    }

    async fn order(&self) -> stockade::Result<()> {
        let cart = self.0.hold().await?;
        self.0.engine.create_order(OrderRequest::of_cart(cart.id)).await.map(drop)
    }
}

impl Contender for StockadeCartOrders {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    async fn request(&self, _caller: usize) -> Answer {
        answer(self.order().await)
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// The same with row locks: two transactions. The contended rows of the products are
/// locked last where no decision depends on them.
pub struct RowLockCartOrders {
    carts: RowLockCarts,
    orders: Ids,
}

impl RowLockCartOrders {
    /// Opens its connections.
    pub async fn open(shop: &Shop, products: Products) -> Self {
        Self { carts: RowLockCarts::open(shop, products).await, orders: Ids::new() }
    }

    async fn order(&self) -> sqlx::Result<bool> {
        let cart = self.carts.draw();
        let Some(first) = self.carts.hold(cart).await? else { return Ok(false) };
        let holds: Vec<u64> = (first..).take(ITEMS).collect();
        let now = sql::now();
        let mut transaction = self.carts.pool.begin().await?;
        let select = holds.iter().fold(sqlx::query_scalar(SELECT_HOLDS), |sql, id| sql.bind(*id));
        let statuses: Vec<i16> = select.fetch_all(&mut *transaction).await?;
        assert_eq!(statuses, [0; ITEMS], "holds of our own are active");
        let used = holds.iter().fold(sqlx::query(USE_HOLDS), |sql, id| sql.bind(*id));
        used.execute(&mut *transaction).await?;
        let lines: Vec<_> = holds.iter().zip(cart).map(|(hold, of)| (hold, of, 1, 1999)).collect();
        sqlx::query(INSERT_ORDER)
            .bind(self.orders.draw(1))
            .bind(first)
            .bind(cart[0])
            .bind(serde_json::to_vec(&lines).expect("numbers"))
            .bind(sql::token().as_slice())
            .bind(now)
            .bind(now)
            .bind(sql::end_of_hold(now))
            .execute(&mut *transaction)
            .await?;
        let moved = cart.iter().fold(sqlx::query(HELD_TO_PENDING), |sql, id| sql.bind(*id));
        moved.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

impl Contender for RowLockCartOrders {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.order().await)
    }

    async fn close(&self) {
        self.carts.close().await;
    }
}

/// Orders of `LINES` holds each, which were made before the run.
pub struct OrdersOfLines<const LINES: usize> {
    name: &'static str,
    engine: AsyncEngine,
    products: Products,
    holds: Mutex<Vec<HoldId>>,
    _shop: Shop,
}

impl<const LINES: usize> OrdersOfLines<LINES> {
    /// Opens an engine, with Redis if the shop has one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(name: &'static str, shop: Shop, products: Products) -> Self {
        let engine = engine(&shop).open_async().await.expect("opens");
        Self { name, engine, products, holds: Mutex::default(), _shop: shop }
    }

    /// Takes the holds of an order from those that were made.
    fn take(&self) -> Option<Vec<HoldId>> {
        let mut made = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let left = made.len().checked_sub(LINES)?;
        Some(made.split_off(left))
    }

    async fn hold(&self, orders: usize) -> stockade::Result<Vec<HoldId>> {
        let lines = (0..orders).flat_map(|_| draw::<LINES>(self.products));
        let requests = lines.map(|product| HoldRequest::new(product, 1)).collect();
        let made = self.engine.create_hold_batch(requests).await?;
        made.into_iter().map(|hold| hold.map(|hold| hold.value.id)).collect()
    }

    async fn order(&self) -> stockade::Result<()> {
        let holds = match self.take() {
            Some(holds) => holds,
            None => self.hold(1).await?,
        };
        self.engine.create_order(OrderRequest::of(holds)).await.map(drop)
    }
}

impl<const LINES: usize> Contender for OrdersOfLines<LINES> {
    fn name(&self) -> &str {
        self.name
    }

    async fn prepare(&self, callers: usize) {
        let orders = (callers * PREPARED_EACH).min(PREPARED_MAX);
        let count = || self.holds.lock().unwrap_or_else(PoisonError::into_inner).len();
        while count() < orders * LINES {
            let made = self.hold(orders.min(BATCH / LINES)).await.expect("held");
            self.holds.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
        }
    }

    async fn request(&self, _caller: usize) -> Answer {
        answer(self.order().await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
