//! Probes and metrics.

use crate::app::App;
use crate::metrics;
use crate::problem::{Code, Refusal};
use crate::reply::{Answer, Reply};

/// `GET /healthz`: the process answers.
pub fn health() -> Answer {
    Ok(Reply::text("application/json", &br#"{"status":"ok"}"#[..]))
}

/// `GET /readyz`: requests are welcome, and the store is reached.
pub async fn ready(app: &App) -> Answer {
    if app.is_draining() {
        return Err(Refusal::Server(Code::Unavailable, "the server is on its way down".into()));
    }
    app.engine.ping().await?;
    Ok(Reply::text("application/json", &br#"{"status":"ready"}"#[..]))
}

/// `GET /metrics`: the server's and the engine's, for Prometheus.
pub fn metrics(app: &App) -> Answer {
    let text = app
        .metrics
        .text(&app.engine.metrics_text())
        .map_err(|error| Refusal::internal(format!("the metrics were not written: {error}")))?;
    Ok(Reply::text(metrics::CONTENT_TYPE, text))
}
