//! Carts: several products atomically, all or none.

use rand::seq::SliceRandom;
use sqlx::MySqlPool;
use stockade::{AsyncEngine, Cart, CartRequest, EngineBuilder};

use super::names;
use super::sql::{self, Ids, Products};
use super::stockade::{answer, engine};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Items per cart.
pub(super) const ITEMS: usize = 3;

// FORCE INDEX, so that exactly these rows are locked, by ascending id.
const SELECT_STOCK: &str = "SELECT stock FROM stockade_products FORCE INDEX (PRIMARY) \
     WHERE id IN (?, ?, ?) ORDER BY id FOR UPDATE";
const TAKE: &str = "UPDATE stockade_products \
     SET stock = stock - 1, held = held + 1, version = version + 1 WHERE id IN (?, ?, ?)";
const INSERT_HOLDS: &str = "INSERT INTO contender_holds \
     (id, product_id, qty, status, expires_at, created_at, token) VALUES \
     (?, ?, 1, 0, ?, ?, ?), (?, ?, 1, 0, ?, ?, ?), (?, ?, 1, 0, ?, ?, ?)";

/// Draws distinct products, in no order.
pub(super) fn draw<const N: usize>(products: Products) -> [u64; N] {
    let mut cart = [0; N];
    for place in 0..N {
        let mut product = products.draw();
        while cart[..place].contains(&product) {
            product = products.draw();
        }
        cart[place] = product;
    }
    cart.shuffle(&mut rand::rng());
    cart
}

/// Holds carts through [`AsyncEngine`].
pub struct StockadeCarts {
    name: &'static str,
    pub(super) engine: AsyncEngine,
    products: Products,
    _shop: Shop,
}

impl StockadeCarts {
    /// Opens an engine, with Redis if the shop has one.
    pub async fn open(shop: Shop, products: Products) -> Self {
        Self::open_with(names::STOCKADE, engine(&shop), shop, products).await
    }

    /// Opens the engine that `builder` describes, under another name.
    pub async fn open_with(
        name: &'static str,
        builder: EngineBuilder,
        shop: Shop,
        products: Products,
    ) -> Self {
        let engine = builder.open_async().await.expect("opens");
        Self { name, engine, products, _shop: shop }
    }

    /// Holds a cart of distinct products.
    pub(super) async fn hold(&self) -> stockade::Result<Cart> {
        let items = draw::<ITEMS>(self.products).map(|product| (product, 1));
        Ok(self.engine.create_holds(CartRequest::new(items)).await?.value)
    }
}

impl Contender for StockadeCarts {
    fn name(&self) -> &str {
        self.name
    }

    async fn request(&self, _caller: usize) -> Answer {
        answer(self.hold().await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

/// Row locks by ascending id, so that no two carts deadlock: one select, one
/// update and one insert for all items.
pub struct RowLockCarts {
    pub(super) pool: MySqlPool,
    ids: Ids,
    products: Products,
}

impl RowLockCarts {
    /// Opens its connections.
    pub async fn open(shop: &Shop, products: Products) -> Self {
        Self { pool: sql::pool(&shop.url).await, ids: Ids::new(), products }
    }

    /// Draws the products of a cart, by ascending id.
    pub(super) fn draw(&self) -> [u64; ITEMS] {
        let mut cart = draw(self.products);
        cart.sort_unstable();
        cart
    }

    /// Holds the products of a cart, in one transaction. Returns the first of the ids of
    /// its holds, one after another by ascending product; `None` when one is sold out.
    pub(super) async fn hold(&self, cart: [u64; ITEMS]) -> sqlx::Result<Option<u64>> {
        let mut transaction = self.pool.begin().await?;
        let select = cart.iter().fold(sqlx::query_scalar(SELECT_STOCK), |sql, id| sql.bind(*id));
        let stocks: Vec<i64> = select.fetch_all(&mut *transaction).await?;
        if stocks.len() < ITEMS || stocks.iter().any(|stock| *stock < 1) {
            transaction.rollback().await?;
            return Ok(None);
        }
        let take = cart.iter().fold(sqlx::query(TAKE), |sql, id| sql.bind(*id));
        take.execute(&mut *transaction).await?;
        let (first, now) = (self.ids.draw(ITEMS as u64), sql::now());
        let insert = (first..).zip(cart).fold(sqlx::query(INSERT_HOLDS), |sql, (id, product)| {
            sql.bind(id)
                .bind(product)
                .bind(sql::end_of_hold(now))
                .bind(now)
                .bind(sql::token().to_vec())
        });
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(first))
    }
}

impl Contender for RowLockCarts {
    fn name(&self) -> &str {
        names::ROW_LOCK
    }

    async fn request(&self, _caller: usize) -> Answer {
        sql::answer(self.hold(self.draw()).await.map(|first| first.is_some()))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
