//! Reads the engine's metrics, and derives from two readings what happened between them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

/// The series of the relay, which has some for each of its targets: one without a target
/// has none.
const RELAY: &str = "stockade_relay_";

/// The series that is an age: of several targets the oldest counts, not the sum.
const RELAY_AGE: &str = "oldest_undelivered_seconds";

/// One reading of the metrics.
#[derive(Debug, Clone)]
pub struct Counters {
    pub at: Instant,
    values: BTreeMap<&'static str, f64>,
    /// The upper bounds of `request_seconds` with their cumulative counts, ascending.
    latency: Vec<(f64, f64)>,
    /// The relay's numbers by their names, over all targets.
    relay: BTreeMap<String, f64>,
}

/// The series that are read, summed over their labels.
const SERIES: &[&str] = &[
    "stockade_refusals_total",
    "stockade_transactions_total",
    "stockade_retries_total",
    "stockade_batch_size_sum",
    "stockade_batch_size_count",
    "stockade_queue_depth",
    "stockade_lock_wait_seconds_sum",
    "stockade_lock_wait_seconds_count",
    "stockade_lock_acquire_timeouts_total",
    "stockade_lock_stale_total",
    "stockade_cache_hits_total",
    "stockade_cache_misses_total",
    "stockade_oldest_due_seconds",
    "stockade_degraded",
    "stockade_redis_reconnects_total",
];

const LATENCY: &str = "stockade_request_seconds_bucket";

impl Counters {
    /// Reads OpenMetrics text. Lines of other series are skipped.
    pub fn read(text: &str) -> Self {
        let mut counters = Self {
            at: Instant::now(),
            values: BTreeMap::new(),
            latency: Vec::new(),
            relay: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            if name == LATENCY {
                counters.latency.extend(bound(labels).map(|bound| (bound, value)));
            } else if let Some(known) = SERIES.iter().find(|known| **known == name) {
                *counters.values.entry(known).or_default() += value;
            } else if let Some(name) = name.strip_prefix(RELAY) {
                let name = name.strip_suffix("_total").unwrap_or(name);
                let sum = counters.relay.entry(name.to_owned()).or_default();
                *sum = if name == RELAY_AGE { (*sum).max(value) } else { *sum + value };
            }
        }
        counters
    }

    /// Returns the value of a series; 0 where the engine does not have it yet.
    fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or_default()
    }

    /// Returns how much a series grew since an earlier reading.
    fn growth(&self, earlier: &Self, name: &str) -> f64 {
        (self.value(name) - earlier.value(name)).max(0.0)
    }

    /// Returns how much a series grew each second since an earlier reading.
    fn rate(&self, earlier: &Self, name: &str) -> f64 {
        self.growth(earlier, name) / self.seconds_since(earlier)
    }

    /// Returns the time between two readings, for rates: never 0.
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        self.at.saturating_duration_since(earlier.at).as_secs_f64().max(0.001)
    }

    /// Returns the growth of a sum for each one of its count.
    fn mean(&self, earlier: &Self, sum: &str, count: &str) -> Option<f64> {
        let count = self.growth(earlier, count);
        (count > 0.0).then(|| self.growth(earlier, sum) / count)
    }

    /// Returns refusals each second.
    pub fn refusals(&self, earlier: &Self) -> f64 {
        rounded(self.rate(earlier, "stockade_refusals_total"))
    }

    /// Returns the mean size of a batch.
    pub fn batch(&self, earlier: &Self) -> Option<f64> {
        self.mean(earlier, "stockade_batch_size_sum", "stockade_batch_size_count").map(rounded)
    }

    /// Returns the depth of the queue.
    pub fn queue(&self) -> f64 {
        self.value("stockade_queue_depth")
    }

    /// Returns the latency in milliseconds that 99 of 100 requests since the earlier
    /// reading did not exceed: the upper bound of its bucket, as Prometheus has it.
    pub fn p99_ms(&self, earlier: &Self) -> Option<f64> {
        let growth: Vec<(f64, f64)> = (self.latency.iter().zip(&earlier.latency))
            .map(|((bound, later), (_, before))| (*bound, later - before))
            .collect();
        let all = growth.last().map_or(0.0, |(_, count)| *count);
        if all <= 0.0 {
            return None;
        }
        let wanted = all * 0.99;
        let at = growth.iter().position(|(_, count)| *count >= wanted)?;
        let (low, before) = at.checked_sub(1).map_or((0.0, 0.0), |lower| growth[lower]);
        let (high, count) = growth[at];
        // The last bucket has no upper bound.
        if !high.is_finite() {
            return Some(rounded(low * 1_000.0));
        }
        let share = (wanted - before) / (count - before).max(f64::MIN_POSITIVE);
        Some(rounded((low + (high - low) * share) * 1_000.0))
    }

    /// Returns the state of the engine's parts.
    pub fn state(&self, earlier: &Self, store: StoreState) -> State {
        let (hits, misses) = (
            self.growth(earlier, "stockade_cache_hits_total"),
            self.growth(earlier, "stockade_cache_misses_total"),
        );
        let reads = hits + misses;
        let wait = ("stockade_lock_wait_seconds_sum", "stockade_lock_wait_seconds_count");
        State {
            store,
            transactions: rounded(self.rate(earlier, "stockade_transactions_total")),
            retries: self.value("stockade_retries_total"),
            oldest_due_seconds: rounded(self.value("stockade_oldest_due_seconds")),
            degraded: self.value("stockade_degraded") > 0.0,
            reconnects: self.value("stockade_redis_reconnects_total"),
            lock_wait_ms: self.mean(earlier, wait.0, wait.1).map(|wait| rounded(wait * 1_000.0)),
            lock_timeouts: self.value("stockade_lock_acquire_timeouts_total"),
            lock_stale: self.value("stockade_lock_stale_total"),
            cache_reads: rounded(reads / self.seconds_since(earlier)),
            cache_hits: (reads > 0.0).then(|| rounded(hits / reads)),
            relay: self.relay.clone(),
        }
    }
}

/// Returns the upper bound of a bucket.
fn bound(labels: &str) -> Option<f64> {
    let (_, after) = labels.split_once("le=\"")?;
    match after.split_once('"')?.0 {
        "+Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

/// Rounds to what a page can show.
pub fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The states of the engine's parts.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    pub store: StoreState,
    /// Transactions each second.
    pub transactions: f64,
    /// Transactions that were retried, since the start.
    pub retries: f64,
    pub oldest_due_seconds: f64,
    /// Whether Redis is configured and unavailable.
    pub degraded: bool,
    pub reconnects: f64,
    pub lock_wait_ms: Option<f64>,
    pub lock_timeouts: f64,
    pub lock_stale: f64,
    /// Reads of products each second.
    pub cache_reads: f64,
    /// The share of them that a cache served.
    pub cache_hits: Option<f64>,
    /// The relay's numbers by their names; empty where it has no target.
    pub relay: BTreeMap<String, f64>,
}

/// How the store answered the last read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StoreState {
    pub read_ms: f64,
    /// Why it did not.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use stockade::{AsyncEngine, HoldRequest};

    fn reading(text: &str, seconds: u64) -> Counters {
        let mut counters = Counters::read(text);
        counters.at += Duration::from_secs(seconds);
        counters
    }

    #[tokio::test]
    async fn every_series_is_one_of_the_engine() {
        let engine = AsyncEngine::open("sqlite::memory:").await.unwrap();
        assert!(engine.create_hold(HoldRequest::new(1, 1)).await.is_err());
        let text = engine.metrics_text();
        let counters = Counters::read(&text);
        for name in SERIES {
            // No transaction was retried, and a family has no series before its first label.
            let is_there = counters.values.contains_key(name) || *name == "stockade_retries_total";
            assert!(is_there, "{name}");
        }
        assert!(counters.latency.len() > 10 && counters.latency.last().unwrap().0.is_infinite());
        engine.close().await;
    }

    #[test]
    fn rates_and_means_are_of_the_time_between_two_readings() {
        let earlier = reading(
            "stockade_refusals_total{code=\"contention\"} 5\nstockade_batch_size_sum 10.0\n\
             stockade_batch_size_count 2\n",
            0,
        );
        let later = reading(
            "# HELP x y\nstockade_refusals_total{code=\"contention\"} 6\n\
             stockade_refusals_total{code=\"insufficient_stock\"} 7\nstockade_batch_size_sum 40.0\n\
             stockade_batch_size_count 5\nstockade_queue_depth 3\nnonsense\n\
             stockade_relay_waiting{target=\"a\"} 2\nstockade_relay_waiting{target=\"b\"} 3\n\
             stockade_relay_delivered_total{target=\"a b\"} 7\n\
             stockade_relay_oldest_undelivered_seconds{target=\"a\"} 9\n\
             stockade_relay_oldest_undelivered_seconds{target=\"b\"} 4\n",
            2,
        );
        let refusals = later.refusals(&earlier);
        assert!((refusals - 4.0).abs() < 0.01, "{refusals}");
        assert_eq!(later.batch(&earlier), Some(10.0));
        assert_eq!(later.batch(&later), None);
        assert_eq!(later.queue(), 3.0);
        let state = later.state(&earlier, StoreState::default());
        let relay: Vec<_> = state.relay.iter().map(|(name, value)| (&**name, *value)).collect();
        assert_eq!(relay, [("delivered", 7.0), (RELAY_AGE, 9.0), ("waiting", 5.0)]);
        // After a restart counters begin anew.
        assert_eq!(earlier.refusals(&later), 0.0);
    }

    #[test]
    fn p99_is_in_the_bucket_that_reaches_99_of_100() {
        let buckets = |counts: [u32; 4]| {
            let lines = ["0.001", "0.002", "0.004", "+Inf"].iter().zip(counts);
            lines.map(|(le, n)| format!("{LATENCY}{{le=\"{le}\"}} {n}\n")).collect::<String>()
        };
        let p99 = |later| {
            let earlier = reading(&buckets([1_000, 1_000, 1_000, 1_000]), 0);
            reading(&buckets(later), 1).p99_ms(&earlier)
        };
        assert_eq!(p99([1_000, 1_000, 1_000, 1_000]), None);
        assert_eq!(p99([1_100, 1_100, 1_100, 1_100]), Some(0.99));
        assert_eq!(p99([1_050, 1_098, 1_100, 1_100]), Some(3.0));
        assert_eq!(p99([1_000, 1_000, 1_000, 1_100]), Some(4.0));
    }
}
