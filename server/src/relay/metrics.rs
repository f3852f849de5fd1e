//! The relay's metrics, by target.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    target: String,
}

/// Counters and gauges of all targets. A clone counts into the same.
#[derive(Debug, Clone, Default)]
pub struct RelayMetrics {
    delivered: Family<TargetLabel, Counter>,
    failed_attempts: Family<TargetLabel, Counter>,
    dead_letters: Family<TargetLabel, Counter>,
    missed: Family<TargetLabel, Counter>,
    waiting: Family<TargetLabel, Gauge>,
    oldest_seconds: Family<TargetLabel, Gauge>,
}

impl RelayMetrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("relay");
        registry.register("delivered", "Events delivered, by target", self.delivered.clone());
        registry.register(
            "failed_attempts",
            "Attempts to deliver that failed, by target",
            self.failed_attempts.clone(),
        );
        registry.register(
            "dead_letters",
            "Events given up and kept as dead letters, by target",
            self.dead_letters.clone(),
        );
        registry.register(
            "missed",
            "Events that retention deleted before they were delivered, by target",
            self.missed.clone(),
        );
        registry.register(
            "waiting",
            "Events that wait for another attempt, or behind such an event, by target",
            self.waiting.clone(),
        );
        registry.register(
            "oldest_undelivered_seconds",
            "The age of the oldest event that was read and is not delivered, by target; 0 if none",
            self.oldest_seconds.clone(),
        );
    }

    /// Returns the metrics of one target, all present from now on.
    pub fn of(&self, name: &str) -> TargetMetrics {
        let label = TargetLabel { target: name.to_owned() };
        TargetMetrics {
            delivered: self.delivered.get_or_create(&label).clone(),
            failed_attempts: self.failed_attempts.get_or_create(&label).clone(),
            dead_letters: self.dead_letters.get_or_create(&label).clone(),
            missed: self.missed.get_or_create(&label).clone(),
            waiting: self.waiting.get_or_create(&label).clone(),
            oldest_seconds: self.oldest_seconds.get_or_create(&label).clone(),
        }
    }
}

/// The metrics of one target.
#[derive(Debug)]
pub struct TargetMetrics {
    pub delivered: Counter,
    pub failed_attempts: Counter,
    pub dead_letters: Counter,
    pub missed: Counter,
    pub waiting: Gauge,
    pub oldest_seconds: Gauge,
}
