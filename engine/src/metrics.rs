//! An engine's metrics. Each engine owns its registry, so that several in one
//! process do not mix.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// One label: its name and value.
pub(crate) type Label = [(&'static str, &'static str); 1];

/// Defines the metrics of a backend, each once: its name, type, value at the start
/// (by default the type's) and help. One whose name ends in `_seconds` has that
/// unit.
macro_rules! metrics {
    (@new $kind:ty) => { <$kind>::default() };
    (@new $kind:ty, $new:expr) => { $new };
    (struct $Metrics:ident($prefix:literal) {
        $($name:ident: $kind:ty $(= $new:expr)?, $help:literal;)*
    }) => {
        pub(crate) struct $Metrics {
            registry: prometheus_client::registry::Registry,
            $(#[doc = $help] pub $name: $kind,)*
        }

        impl $Metrics {
            pub fn new() -> Self {
                let mut registry = prometheus_client::registry::Registry::with_prefix($prefix);
                $(
                    let $name = $crate::metrics::metrics!(@new $kind $(, $new)?);
                    // The encoder appends the unit to the name.
                    let unit = prometheus_client::registry::Unit::Seconds;
                    match stringify!($name).strip_suffix("_seconds") {
                        Some(of) => registry.register_with_unit(of, $help, unit, $name.clone()),
                        None => registry.register(stringify!($name), $help, $name.clone()),
                    }
                )*
                Self { registry, $($name),* }
            }

            /// The registry as OpenMetrics text, without the closing `# EOF`.
            pub fn text(&self) -> String {
                let mut text = String::new();
                // Writing to a String cannot fail.
                let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.registry);
                text
            }
        }
    };
}
pub(crate) use metrics;

metrics! {
    struct Metrics("stockade") {
        requests: Counter, "Requests decided by transactions";
        refusals: Family<Label, Counter>, "Requests refused, by code";
        refused_at_once: Counter, "Holds refused by the sold-out cache, without a transaction";
        transactions: Counter, "Transactions committed";
        retries: Family<Label, Counter>, "Transactions retried, by cause";
        batch_size: Histogram = Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            "Requests decided in one transaction";
        queue_depth: Gauge, "Requests waiting for a transaction";
        transaction_seconds: Histogram = latency(), "Duration of a transaction";
        request_seconds: Histogram = latency(), "Latency of a request, queueing included";
        lock_wait_seconds: Histogram = latency(), "Time to acquire a product's lock";
        sweep_lag_seconds: Histogram = latency(),
            "Delay between a product's due time and its sweep";
        oldest_due_seconds: Gauge<f64, AtomicU64>,
            "Age of the oldest due hold or order that was not swept yet";
        lock_acquire_timeouts: Counter, "Lock acquisitions that timed out";
        lock_stale: Counter, "Leases found stale by their fencing token";
        cache_hits: Counter, "Product reads served by a cache";
        cache_misses: Counter, "Product reads that queried the store";
        payment_duplicates: Counter, "Payment events delivered again";
        holds_created: Counter, "Holds made";
        orders_created: Counter, "Orders made";
        orders_paid: Counter, "Orders paid";
        payments_needing_refund: Counter,
            "Payments that an operator must refund, because their order was cancelled";
        holds_expired: Counter, "Holds expired";
        orders_cancelled: Counter,
            "Orders cancelled because they were unpaid or their payment failed";
        purged_rows: Family<Label, Counter>, "Rows of old history deleted, by table";
        degraded: Gauge, "1 while Redis is configured and unavailable";
        redis_reconnects: Counter, "Reconnections to Redis";
        store_connections: Gauge, "Open connections to the store";
        store_connections_in_use: Gauge, "Connections to the store that are in use";
        store_connections_waited_for: Gauge, "Tasks that wait for a connection to the store";
        clock_steps: Counter, "Steps of the host's clock, and suspensions of the host";
    }
}

/// Buckets from 0.1 ms to about 13 s: below a local round trip, and above the
/// default `store_timeout`.
pub(crate) fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

impl Metrics {
    pub fn retry(&self, cause: &'static str) {
        self.retries.get_or_create(&[("cause", cause)]).inc();
    }

    pub fn purge(&self, table: &'static str, rows: u64) {
        self.purged_rows.get_or_create(&[("table", table)]).inc_by(rows);
    }

    pub fn refusal(&self, code: &'static str) {
        self.refusals.get_or_create(&[("code", code)]).inc();
    }
}

pub(crate) fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}
