//! An engine's metrics. Each engine owns its registry, so that several in one
//! process do not mix.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The label of a retry: why a transaction was retried.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Cause {
    pub cause: &'static str,
}

/// The label of a refusal: its error code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Code {
    pub code: &'static str,
}

pub(crate) struct Metrics {
    registry: Registry,
    /// Requests decided by transactions.
    pub requests: Counter,
    pub refusals: Family<Code, Counter>,
    /// Holds refused by the sold-out cache, without a transaction.
    pub refused_at_once: Counter,
    pub transactions: Counter,
    pub retries: Family<Cause, Counter>,
    pub batch_size: Histogram,
    pub transaction_seconds: Histogram,
    pub request_seconds: Histogram,
    pub lock_wait_seconds: Histogram,
    pub lock_acquire_timeouts: Counter,
    pub lock_stale: Counter,
    pub queue_depth: Gauge,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
    pub payment_duplicates: Counter,
    pub sweep_lag_seconds: Histogram,
    pub oldest_due_seconds: Gauge<f64, AtomicU64>,
    pub holds_expired: Counter,
    pub orders_cancelled: Counter,
    /// 1 while Redis is configured and unavailable.
    pub degraded: Gauge,
    pub redis_reconnects: Counter,
    /// Steps of the host's wall clock, and suspensions of the host.
    pub clock_steps: Counter,
}

/// Buckets from 0.1 ms to about 13 s: below a local round trip, and above the
/// default `store_timeout`.
pub(crate) fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stockade"),
            requests: Counter::default(),
            refusals: Family::default(),
            refused_at_once: Counter::default(),
            transactions: Counter::default(),
            retries: Family::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            transaction_seconds: latency(),
            request_seconds: latency(),
            lock_wait_seconds: latency(),
            lock_acquire_timeouts: Counter::default(),
            lock_stale: Counter::default(),
            queue_depth: Gauge::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            payment_duplicates: Counter::default(),
            sweep_lag_seconds: latency(),
            oldest_due_seconds: Gauge::default(),
            holds_expired: Counter::default(),
            orders_cancelled: Counter::default(),
            degraded: Gauge::default(),
            redis_reconnects: Counter::default(),
            clock_steps: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("requests", "Requests decided by transactions", self.requests.clone());
        r.register("refusals", "Requests refused, by code", self.refusals.clone());
        r.register(
            "refused_at_once",
            "Holds refused by the sold-out cache, without a transaction",
            self.refused_at_once.clone(),
        );
        r.register("transactions", "Transactions committed", self.transactions.clone());
        r.register("retries", "Transactions retried, by cause", self.retries.clone());
        r.register("batch_size", "Requests decided in one transaction", self.batch_size.clone());
        r.register("queue_depth", "Requests waiting for a transaction", self.queue_depth.clone());
        let mut seconds = |name: &str, help: &str, histogram: &Histogram| {
            r.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        };
        seconds("transaction", "Duration of a transaction", &self.transaction_seconds);
        seconds("request", "Latency of a request, queueing included", &self.request_seconds);
        seconds("lock_wait", "Time to acquire a product's lock", &self.lock_wait_seconds);
        seconds(
            "sweep_lag",
            "Delay between a product's due time and its sweep",
            &self.sweep_lag_seconds,
        );
        r.register_with_unit(
            "oldest_due",
            "Age of the oldest due hold or order that was not swept yet",
            Unit::Seconds,
            self.oldest_due_seconds.clone(),
        );
        r.register(
            "lock_acquire_timeouts",
            "Lock acquisitions that timed out",
            self.lock_acquire_timeouts.clone(),
        );
        r.register(
            "lock_stale",
            "Leases found stale by their fencing token",
            self.lock_stale.clone(),
        );
        r.register("cache_hits", "Product reads served by a cache", self.cache_hits.clone());
        r.register(
            "cache_misses",
            "Product reads that queried the store",
            self.cache_misses.clone(),
        );
        r.register(
            "payment_duplicates",
            "Payment events delivered again",
            self.payment_duplicates.clone(),
        );
        r.register("holds_expired", "Holds expired", self.holds_expired.clone());
        r.register(
            "orders_cancelled",
            "Orders cancelled because they were unpaid or their payment failed",
            self.orders_cancelled.clone(),
        );
        r.register(
            "degraded",
            "1 while Redis is configured and unavailable",
            self.degraded.clone(),
        );
        r.register("redis_reconnects", "Reconnections to Redis", self.redis_reconnects.clone());
        r.register(
            "clock_steps",
            "Steps of the host's clock, and suspensions of the host",
            self.clock_steps.clone(),
        );
    }

    pub fn retry(&self, cause: &'static str) {
        self.retries.get_or_create(&Cause { cause }).inc();
    }

    pub fn refusal(&self, code: &'static str) {
        self.refusals.get_or_create(&Code { code }).inc();
    }

    /// The registry as OpenMetrics text, without the closing `# EOF`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}

/// Records a duration.
pub(crate) fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}
