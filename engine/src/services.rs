//! The services of one engine, which its combiner, sweeper and backend share.

use std::sync::Arc;

use crate::cache::ProductCache;
use crate::clock::Clock;
use crate::config::{Config, LatePayment};
use crate::ledger::Policy;
use crate::lock::Lock;
use crate::mechanisms::Mechanism;
use crate::metrics::Metrics;
use crate::process_shared::ProcessShared;
use crate::product_index::ProductIndex;
use crate::redis_connection::RedisConnection;
use crate::runtime::Runtime;
use crate::sku_index::SkuIndex;
use crate::store::Store;
use crate::sweeper_waker::SweeperWaker;

pub(crate) struct Services {
    pub config: Arc<Config>,
    pub policy: Policy,
    pub clock: Arc<dyn Clock>,
    pub store: Arc<dyn Store>,
    pub lock: Arc<dyn Lock>,
    pub cache: Arc<ProductCache>,
    pub metrics: Arc<Metrics>,
    pub product_index: ProductIndex,
    pub sku_index: Arc<SkuIndex>,
    pub sweeper_waker: SweeperWaker,
    pub redis: Option<RedisConnection>,
    /// Runs background tasks, and reads of the store, so that a caller's thread
    /// needs no runtime.
    pub runtime: Runtime,
    /// Kept for other engines that this process opens on the store.
    pub _process_shared: Arc<ProcessShared>,
}

impl Services {
    pub fn is_on(&self, mechanism: Mechanism) -> bool {
        self.config.mechanisms.is_on(mechanism)
    }
}

/// Translates the settings that the rules depend on: the ledger knows no
/// settings.
pub(crate) fn policy(config: &Config) -> Policy {
    Policy {
        hold_ttl_max: config.hold_ttl_max,
        payment_ttl: (!config.payment_ttl.is_zero()).then_some(config.payment_ttl),
        payment_ttl_max: config.payment_ttl_max,
        failed_payment_grace: config.failed_payment_grace,
        re_reserve: config.late_payment == LatePayment::ReReserve,
        require_hold_token: config.require_hold_token,
        max_per_customer: (config.max_per_customer > 0).then_some(config.max_per_customer),
        customer_window: (!config.customer_window.is_zero()).then_some(config.customer_window),
        early_payment_ttl: config.early_payment_ttl,
    }
}
