//! What the endpoints work with.

use std::sync::atomic::{AtomicBool, Ordering};

use stockade::AsyncEngine;

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::signature::Verifier;

/// One for the whole server.
pub struct Shared {
    /// The engine.
    pub engine: AsyncEngine,
    /// What is counted.
    pub metrics: Metrics,
    /// Checks the signatures of webhooks.
    pub verifier: Verifier,
    /// Whether the store takes holds.
    pub readiness: Readiness,
    draining: AtomicBool,
}

impl Shared {
    /// For a server that takes requests.
    pub fn new(engine: AsyncEngine, verifier: Verifier) -> Self {
        Self {
            engine,
            metrics: Metrics::new(),
            verifier,
            readiness: Readiness::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// Turns `/readyz` red.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is on its way down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
