//! A product of which one request in a hundred gets a unit.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::contender::{Answer, Contender};

/// Requests per unit of stock.
const REQUESTS_PER_UNIT: u64 = 100;
/// The initial stock, before the contender's rate is known.
const FIRST_STOCK: u64 = 100;

/// A contender that holds units of a given product.
pub trait HoldsOf: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;
    /// Adds a product with `stock` and returns its id.
    fn add_product(&self, stock: u64) -> impl Future<Output = u64> + Send;
    /// Holds one unit.
    fn hold(&self, product: u64) -> impl Future<Output = Answer> + Send;
    /// Closes what it opened.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// Gives each run its own product, with stock for 1% of the requests of the
/// previous run.
pub struct SoldOut<H> {
    holds: H,
    product: AtomicU64,
    requests: AtomicU64,
}

impl<H: HoldsOf> SoldOut<H> {
    /// Wraps an open contender.
    pub fn new(holds: H) -> Self {
        Self { holds, product: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }
}

impl<H: HoldsOf> Contender for SoldOut<H> {
    fn name(&self) -> &str {
        self.holds.name()
    }

    async fn prepare(&self, _callers: usize) {
        let before = self.requests.swap(0, Ordering::Relaxed);
        let stock = (before / REQUESTS_PER_UNIT).max(FIRST_STOCK);
        self.product.store(self.holds.add_product(stock).await, Ordering::Relaxed);
    }

    async fn request(&self, _caller: usize) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.holds.hold(self.product.load(Ordering::Relaxed)).await
    }

    async fn close(&self) {
        self.holds.close().await;
    }
}
