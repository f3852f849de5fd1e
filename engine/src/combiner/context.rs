//! The state that all workers of one combiner share.

use std::sync::Arc;
use std::time::Duration;

use super::batch_sizer;
use super::ids::IdAllocator;
use super::lanes::BatchLimits;
use super::queue::Queue;
use super::request::LaneId;
use super::speculation::Speculation;
use crate::mechanisms::Mechanism;
use crate::model::ProductId;
use crate::services::Services;

/// The most products in one transaction.
const LANES_PER_BATCH_MAX: usize = 512;

/// A transaction takes further products only while it has fewer requests than
/// this: small batches of several products share the cost of a commit, a large
/// one is faster alone.
const ADD_LANE_BELOW: usize = 256;

pub(super) struct Context {
    pub services: Arc<Services>,
    pub ids: IdAllocator,
    pub speculation: Speculation,
    pub queue: Queue,
}

impl Context {
    pub fn new(services: Arc<Services>) -> Self {
        let batch_max = services.config.batch_max;
        let keeps_leases = services.is_on(Mechanism::KeptLeases);
        let limits = BatchLimits {
            requests: batch_sizer::initial(batch_max),
            requests_max: batch_max,
            lanes_max: LANES_PER_BATCH_MAX,
            add_lane_below: ADD_LANE_BELOW,
            lock_run: if keeps_leases { services.config.lock_run } else { Duration::ZERO },
        };
        let metrics = Arc::clone(&services.metrics);
        Self {
            ids: IdAllocator::new(Arc::clone(&services.store)),
            speculation: Speculation::default(),
            queue: Queue::new(services.config.queue_limit, limits, metrics),
            services,
        }
    }

    /// Returns the lane of a product; a store with a single writer has one lane
    /// for all.
    pub fn lane(&self, product_id: ProductId) -> LaneId {
        if self.services.store.single_writer() { LaneId(0) } else { LaneId(product_id.0) }
    }
}
