//! The metrics of a remote backend.

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::{Code, latency};

pub(super) struct Counters {
    registry: Registry,
    pub call_seconds: Histogram,
    pub refusals: Family<Code, Counter>,
    pub retries: Counter,
    pub connections: Counter,
    pub connections_lost: Counter,
}

impl Counters {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("stockade_remote");
        let call_seconds = latency();
        let refusals: Family<Code, Counter> = Family::default();
        let (retries, connections, connections_lost) =
            (Counter::default(), Counter::default(), Counter::default());
        registry.register_with_unit(
            "call",
            "Duration of a call, retries included",
            Unit::Seconds,
            call_seconds.clone(),
        );
        registry.register("refusals", "Failed calls, by error code", refusals.clone());
        registry.register(
            "retries",
            "Retries of calls after their connection failed",
            retries.clone(),
        );
        registry.register("connections", "Connections opened", connections.clone());
        registry.register("connections_lost", "Connections lost", connections_lost.clone());
        Self { registry, call_seconds, refusals, retries, connections, connections_lost }
    }

    /// The registry as OpenMetrics text, without the closing `# EOF`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}
