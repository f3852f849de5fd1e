//! What the server counts. The engine counts its own; `/metrics` shows both.

use std::time::Instant;

use hyper::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::problem::Code;

/// What `/metrics` is served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The status counted for a client that hung up before its answer was ready.
const HUNG_UP: u16 = 499;

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

/// The server's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    refusals: Family<CodeLabel, Counter>,
    connections: Gauge,
    in_flight: Gauge,
    turned_away: Counter,
    accept_errors: Counter,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stockade_http"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            refusals: Family::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            turned_away: Counter::default(),
            accept_errors: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "Time from a request's head to its answer",
            metrics.seconds.clone(),
        );
        registry.register("refusals", "Requests refused, by code", metrics.refusals.clone());
        registry.register("connections", "Connections open", metrics.connections.clone());
        registry.register("in_flight", "Requests under way", metrics.in_flight.clone());
        registry.register(
            "turned_away",
            "Connections told to come back later",
            metrics.turned_away.clone(),
        );
        registry.register(
            "accept_errors",
            "Connections that could not be accepted",
            metrics.accept_errors.clone(),
        );
        metrics
    }

    /// Watches a request from now on.
    pub fn watch(&self, method: &Method, route: &'static str) -> Watch<'_> {
        self.in_flight.inc();
        Watch {
            metrics: self,
            started: Instant::now(),
            method: label(method),
            route,
            status: HUNG_UP,
        }
    }

    /// How many requests are under way.
    #[cfg(feature = "fuzzing")]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.in_flight.get()).unwrap_or_default()
    }

    /// Counts a refusal.
    pub fn refused(&self, code: Code) {
        let label = CodeLabel { code: code.as_str() };
        self.refusals.get_or_create(&label).inc();
    }

    /// Counts a connection that was told to come back later.
    pub fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// Counts a connection that could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// Notes how many connections are open.
    pub fn connections(&self, count: usize) {
        self.connections.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The server's metrics, then the engine's.
    pub fn text(&self, engine: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(8_192 + engine.len());
        encode_registry(&mut text, &self.registry)?;
        text.push_str(engine);
        text.push_str("# EOF\n");
        Ok(text)
    }
}

/// The name of a method. Clients can make methods up: those share one name.
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

/// A request under way. It is counted when this is dropped, so that it is also
/// counted when its client hangs up.
#[derive(Debug)]
pub struct Watch<'a> {
    metrics: &'a Metrics,
    started: Instant,
    method: &'static str,
    route: &'static str,
    status: u16,
}

impl Watch<'_> {
    /// Notes how the request ended.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// When the request began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The method's name.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The pattern of the path.
    pub fn route(&self) -> &'static str {
        self.route
    }
}

impl Drop for Watch<'_> {
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
