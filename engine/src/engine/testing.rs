//! Hooks for tests of the engine.

use std::sync::Arc;

use super::{AsyncEngine, Engine, EngineBuilder};
use crate::clock::Clock;
use crate::lock::granting::GrantingLock;

impl EngineBuilder {
    /// Puts a clock between the store's time and the rules.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Grants every lock to everyone who asks, so that a test can show that no
    /// lock is needed for safety.
    #[must_use]
    pub fn grant_every_lock(mut self) -> Self {
        self.make_lock = Some(|| Arc::new(GrantingLock::default()));
        self
    }
}

impl Engine {
    /// Returns the prefix of this store's keys in Redis; `None` without Redis
    /// and for a remote engine.
    #[must_use]
    pub fn redis_prefix(&self) -> Option<String> {
        self.engine.redis_prefix()
    }
}

impl AsyncEngine {
    /// Returns the prefix of this store's keys in Redis; `None` without Redis
    /// and for a remote engine.
    #[must_use]
    pub fn redis_prefix(&self) -> Option<String> {
        self.backend.redis_prefix()
    }
}
