//! The services that the combiner works with.

use std::sync::Arc;

use super::request::LaneId;
use crate::cache::ProductCache;
use crate::config::Config;
use crate::ledger::Policy;
use crate::lock::Lock;
use crate::mechanisms::Mechanism;
use crate::metrics::Metrics;
use crate::model::ProductId;
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::store::Store;
use crate::sweeper_waker::SweeperWaker;

/// The services that the engine injects into its combiner.
pub(crate) struct Dependencies {
    pub config: Arc<Config>,
    pub policy: Policy,
    pub store: Arc<dyn Store>,
    pub lock: Arc<dyn Lock>,
    pub cache: Arc<ProductCache>,
    pub metrics: Arc<Metrics>,
    pub sweeper_waker: Arc<SweeperWaker>,
    pub product_index: Arc<ProductIndex>,
    pub process_shared: Arc<ProcessShared>,
}

impl Dependencies {
    /// Returns whether a mechanism is on.
    pub fn is_on(&self, mechanism: Mechanism) -> bool {
        self.config.mechanisms.is_on(mechanism)
    }

    /// Returns the lane of a product; a store with a single writer has one lane
    /// for all.
    pub fn lane(&self, product_id: ProductId) -> LaneId {
        if self.store.single_writer() { LaneId(0) } else { LaneId(product_id.0) }
    }
}
