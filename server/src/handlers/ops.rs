//! Probes, metrics, and the document of all endpoints.

use crate::metrics;
use crate::problem::{Code, Refusal};
use crate::reply::{Answer, Reply};
use crate::shared::Shared;

/// The OpenAPI document, made from `openapi.yaml` at build.
pub const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// `GET /healthz`: the process answers.
pub fn health() -> Answer {
    Ok(Reply::text("application/json", &br#"{"status":"ok"}"#[..]))
}

/// `GET /readyz`: requests are welcome, and a hold could be made.
pub async fn ready(shared: &Shared) -> Answer {
    if shared.is_draining() {
        return Err(Refusal::Server(Code::Unavailable, "the server is on its way down".into()));
    }
    shared.readiness.check(async || shared.engine.ping().await).await?;
    Ok(Reply::text("application/json", &br#"{"status":"ready"}"#[..]))
}

/// `GET /metrics`: the server's and the engine's, for Prometheus.
pub fn metrics(shared: &Shared) -> Answer {
    let text = shared
        .metrics
        .text(&shared.engine.metrics_text())
        .map_err(|error| Refusal::internal(format!("the metrics were not written: {error}")))?;
    Ok(Reply::text(metrics::CONTENT_TYPE, text))
}

/// `GET /openapi.json`: what the server can do, for people's tools.
pub fn document() -> Answer {
    Ok(Reply::text("application/json", DOCUMENT))
}
