//! Probes, metrics, and the OpenAPI document.

use crate::metrics;
use crate::problem::{Code, Rejection};
use crate::reply::{HandlerResult, Reply};
use crate::state::ServerState;

/// The OpenAPI document, converted from `openapi.yaml` by the build script.
pub const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// `GET /healthz`: liveness, the process responds.
pub fn health() -> HandlerResult {
    Ok(Reply::text("application/json", &br#"{"status":"ok"}"#[..]))
}

/// `GET /readyz`: readiness, the server is not draining and the store is
/// writable.
pub async fn ready(state: &ServerState) -> HandlerResult {
    if state.is_draining() {
        return Err(Rejection::Server(Code::Unavailable, "the server is shutting down".into()));
    }
    state.readiness.check(async || state.engine.ping().await).await?;
    Ok(Reply::text("application/json", &br#"{"status":"ready"}"#[..]))
}

/// `GET /metrics`: the metrics of the server and of the engine, for Prometheus.
pub fn metrics(state: &ServerState) -> HandlerResult {
    let text = state
        .metrics
        .text(&state.engine.metrics_text())
        .map_err(|error| Rejection::internal(format!("cannot encode the metrics: {error}")))?;
    Ok(Reply::text(metrics::CONTENT_TYPE, text))
}

/// `GET /openapi.json`: the OpenAPI document.
pub fn document() -> HandlerResult {
    Ok(Reply::text("application/json", DOCUMENT))
}
