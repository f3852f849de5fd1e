//! Stockade itself.

use stockade::{
    AsyncEngine, Engine, EngineBuilder, Error, ErrorKind, HoldRequest, Mechanism, NewProduct,
};

use super::names;
use super::sold_out::HoldsOf;
use super::sql::{HOLD_TTL, Ids, Products};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Builds an engine with default settings, except the TTL of holds, which a
/// running engine takes from its own settings.
///
/// # Panics
/// When a setting is invalid.
#[must_use]
pub fn engine(shop: &Shop) -> EngineBuilder {
    let builder = Engine::builder().store(&shop.url);
    if shop.url.starts_with("unix:") {
        return builder;
    }
    let builder = builder.hold_ttl(HOLD_TTL);
    match &shop.redis {
        Some((url, prefix)) => builder.redis(url).set("redis_prefix", prefix).expect("a setting"),
        None => builder,
    }
}

/// Builds the engine of [`engine`] without these mechanisms.
#[must_use]
pub fn engine_without(shop: &Shop, mechanisms: &[Mechanism]) -> EngineBuilder {
    mechanisms.iter().copied().fold(engine(shop), EngineBuilder::without)
}

pub(super) fn answer<T>(result: Result<T, Error>) -> Answer {
    match result {
        Ok(_) => Answer::Done,
        Err(error) if error.kind() == ErrorKind::InsufficientStock => Answer::Refused,
        Err(error) => Answer::Failed(error.code()),
    }
}

/// Holds one unit through [`AsyncEngine`].
pub struct Stockade {
    engine: AsyncEngine,
    products: Products,
    /// The number of the next customer, if each hold has one of its own.
    customers: Option<Ids>,
    _shop: Shop,
}

impl Stockade {
    /// Opens an engine, with Redis if the shop has one.
    pub async fn open(shop: Shop, products: Products) -> Self {
        Self::open_with(engine(&shop), shop, products).await
    }

    /// Opens the engine that `builder` describes.
    pub async fn open_with(builder: EngineBuilder, shop: Shop, products: Products) -> Self {
        let engine = builder.open_async().await.expect("opens");
        Self { engine, products, customers: None, _shop: shop }
    }

    /// Opens an engine with a limit for each customer, and names one for each hold.
    pub async fn with_customers(shop: Shop) -> Self {
        let builder = engine(&shop).set("max_per_customer", "4").expect("a setting");
        let stockade = Self::open_with(builder, shop, Products::One).await;
        Self { customers: Some(Ids::new()), ..stockade }
    }

    /// Returns the engine.
    #[must_use]
    pub fn engine(&self) -> &AsyncEngine {
        &self.engine
    }
}

impl Contender for Stockade {
    fn name(&self) -> &str {
        if self.customers.is_some() { names::CUSTOMERS } else { names::STOCKADE }
    }

    async fn request(&self, _caller: usize) -> Answer {
        let mut request = HoldRequest::new(self.products.draw(), 1);
        if let Some(customers) = &self.customers {
            request = request.customer(format!("customer {}", customers.draw(1)));
        }
        answer(self.engine.create_hold(request).await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

impl HoldsOf for Stockade {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    async fn add_product(&self, stock: u64) -> u64 {
        let price = "19.99".parse().expect("a price");
        let product = self.engine.create_product(NewProduct::new("Lamp", price, stock)).await;
        product.expect("the product is added").value.id.0
    }

    async fn hold(&self, product: u64) -> Answer {
        answer(self.engine.create_hold(HoldRequest::new(product, 1)).await)
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

/// Holds one unit of product 1 through [`Engine`], on a thread per caller.
pub struct Blocking {
    engine: Engine,
    _shop: Shop,
}

impl Blocking {
    /// Opens an engine, with Redis if the shop has one.
    pub fn open(shop: Shop) -> Self {
        Self { engine: engine(&shop).open().expect("opens"), _shop: shop }
    }
}

impl Contender for Blocking {
    fn name(&self) -> &str {
        names::BLOCKING
    }

    fn blocks(&self) -> bool {
        true
    }

    async fn request(&self, _caller: usize) -> Answer {
        answer(self.engine.create_hold(HoldRequest::new(1, 1)))
    }

    async fn close(&self) {
        // It is closed in any case; nothing was forked.
        let _ = self.engine.close();
    }
}
