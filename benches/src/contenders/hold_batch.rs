//! Holds by the batch call.

use stockade::{AsyncEngine, HoldRequest};

use super::names;
use super::raw::PACKED_BATCH;
use super::stockade::engine;
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Holds one unit of product 1 by each call, as many times as a packed transaction of
/// the ceiling.
pub struct StockadeBatch {
    engine: AsyncEngine,
    _shop: Shop,
}

impl StockadeBatch {
    /// Opens an engine, with Redis if the shop has one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(shop: Shop) -> Self {
        Self { engine: engine(&shop).open_async().await.expect("opens"), _shop: shop }
    }
}

impl Contender for StockadeBatch {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    fn units(&self) -> u64 {
        PACKED_BATCH
    }

    async fn request(&self, _caller: usize) -> Answer {
        let requests = (0..PACKED_BATCH).map(|_| HoldRequest::new(1, 1)).collect();
        match self.engine.create_hold_batch(requests).await {
            Ok(results) => match results.into_iter().find_map(Result::err) {
                None => Answer::Done,
                Some(error) => Answer::Failed(error.code()),
            },
            Err(error) => Answer::Failed(error.code()),
        }
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
