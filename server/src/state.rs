//! The state shared by all handlers.

use std::sync::atomic::{AtomicBool, Ordering};

use stockade::AsyncEngine;

use crate::metrics::Metrics;
use crate::providers::Providers;
use crate::readiness::Readiness;
use crate::signature::Verifier;

/// One instance per server.
pub struct ServerState {
    /// The engine.
    pub engine: AsyncEngine,
    /// The server's metrics.
    pub metrics: Metrics,
    /// Verifies webhook signatures.
    pub verifier: Verifier,
    /// Verifies and translates the webhooks of payment providers.
    pub providers: Providers,
    /// The cached readiness check.
    pub readiness: Readiness,
    draining: AtomicBool,
}

impl ServerState {
    /// Creates the state of a server that accepts requests.
    pub fn new(engine: AsyncEngine, verifier: Verifier, providers: Providers) -> Self {
        Self {
            engine,
            metrics: Metrics::new(),
            verifier,
            providers,
            readiness: Readiness::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// Fails the readiness check from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is shutting down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
