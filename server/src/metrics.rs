//! The server's metrics. `/metrics` appends those of the engine.

use std::time::Instant;

use hyper::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::problem::Code;
use crate::relay::RelayMetrics;

/// The content type of `/metrics`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The status recorded when the client closed the connection before the
/// response (nginx's 499).
const CLIENT_CLOSED_REQUEST: u16 = 499;

const SECONDS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: &'static str,
    meaning: &'static str,
}

/// The server's metrics registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    rejections: Family<CodeLabel, Counter>,
    connections: Gauge,
    in_flight: Gauge,
    turned_away: Counter,
    accept_errors: Counter,
    provider_events: Family<ProviderLabels, Counter>,
    /// The metrics of the relay, which counts into them.
    pub relay: RelayMetrics,
}

impl Metrics {
    /// Creates the registry with all metrics at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stockade"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            rejections: Family::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            turned_away: Counter::default(),
            accept_errors: Counter::default(),
            provider_events: Family::default(),
            relay: RelayMetrics::default(),
        };
        let version = ("version", env!("CARGO_PKG_VERSION"));
        metrics.registry.register("build", "The version that runs", Info::new([version]));
        metrics.registry.register(
            "provider_events",
            "Verified events of payment providers, by what they mean",
            metrics.provider_events.clone(),
        );
        metrics.relay.register(&mut metrics.registry);
        let registry = metrics.registry.sub_registry_with_prefix("http");
        registry.register("requests", "Requests completed", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "Time from the request head to the response",
            metrics.seconds.clone(),
        );
        registry.register(
            "refusals",
            "Requests rejected, by error code",
            metrics.rejections.clone(),
        );
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("in_flight", "Requests in flight", metrics.in_flight.clone());
        registry.register(
            "turned_away",
            "Connections rejected with 503 at the connection limit",
            metrics.turned_away.clone(),
        );
        registry.register("accept_errors", "Failed accept calls", metrics.accept_errors.clone());
        metrics
    }

    /// Starts timing a request.
    pub fn timer(&self, method: &Method, route: &'static str) -> RequestTimer<'_> {
        self.in_flight.inc();
        RequestTimer {
            metrics: self,
            started: Instant::now(),
            method: label(method),
            route,
            status: CLIENT_CLOSED_REQUEST,
        }
    }

    /// Returns the number of requests in flight.
    #[cfg(feature = "fuzzing")]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.in_flight.get()).unwrap_or_default()
    }

    /// Counts a rejected request.
    pub fn rejected(&self, code: Code) {
        let label = CodeLabel { code: code.as_str() };
        self.rejections.get_or_create(&label).inc();
    }

    /// Counts an event of a payment provider.
    pub fn provider_event(&self, provider: &'static str, meaning: &'static str) {
        self.provider_events.get_or_create(&ProviderLabels { provider, meaning }).inc();
    }

    /// Counts a rejected connection.
    pub fn connection_rejected(&self) {
        self.turned_away.inc();
    }

    /// Counts a failed accept.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// Sets the number of open connections.
    pub fn connections(&self, count: usize) {
        self.connections.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Encodes the server's metrics, followed by the engine's.
    pub fn text(&self, engine: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(8_192 + engine.len());
        encode_registry(&mut text, &self.registry)?;
        text.push_str(engine);
        text.push_str("# EOF\n");
        Ok(text)
    }
}

/// Returns the label of a method. Methods that clients invent share one label,
/// which bounds the cardinality.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A request in flight. Recorded on drop, so that requests whose client
/// disconnected count as well.
#[derive(Debug)]
pub struct RequestTimer<'a> {
    metrics: &'a Metrics,
    started: Instant,
    method: &'static str,
    route: &'static str,
    status: u16,
}

impl RequestTimer<'_> {
    /// Sets the status of the response.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// Returns when the request began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Returns the label of the method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the pattern of the path.
    pub fn route(&self) -> &'static str {
        self.route
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        let metrics = self.metrics;
        metrics.in_flight.dec();
        let labels = RequestLabels { method: self.method, route: self.route, status: self.status };
        metrics.requests.get_or_create(&labels).inc();
        let route = RouteLabel { route: self.route };
        let seconds = self.started.elapsed().as_secs_f64();
        metrics.seconds.get_or_create(&route).observe(seconds);
    }
}
