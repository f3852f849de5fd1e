//! Describing an engine before it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{AsyncEngine, Engine};
use crate::clock::Clock;
use crate::config::{Config, LatePayment};
use crate::error::Result;
use crate::lock::Lock;
#[cfg(feature = "bench")]
use crate::mechanisms::Mechanism;

/// What an engine will be like. Every setting of [`Config`] can be given by
/// name; the usual ones have a method of their own.
///
/// ```
/// use std::time::Duration;
/// use stockade::Engine;
///
/// let engine = Engine::builder()
///     .store("sqlite::memory:")
///     .hold_ttl(Duration::from_secs(60))
///     .set("max_per_hold", "10")?
///     .open()?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct EngineBuilder {
    pub(crate) config: Config,
    /// `None` for the store's own.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// `None` for the lock that the settings name.
    pub(crate) make_lock: Option<fn() -> Arc<dyn Lock>>,
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl EngineBuilder {
    /// Takes all settings from `config`.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Changes one setting by its name, as [`Config::set`] does.
    ///
    /// # Errors
    /// `invalid_argument` for an unknown name or a value that does not fit.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// Where stock is kept: `sqlite:FILE`, `sqlite::memory:` or
    /// `mysql://USER@HOST/DATABASE`; or a running engine, `unix:///SOCKET`,
    /// `http://:KEY@HOST:PORT` or `https://:KEY@HOST:PORT`, to which all calls
    /// are then sent.
    #[must_use]
    pub fn store(mut self, url: &str) -> Self {
        url.clone_into(&mut self.config.store);
        self
    }

    /// Redis for lock and cache: `redis://USER:PASSWORD@HOST:PORT/DATABASE`,
    /// `redis+sentinel://HOST:PORT,HOST:PORT/NAME` for the master that these
    /// sentinels know by this name, or `redis+cluster://HOST:PORT,HOST:PORT` for
    /// a cluster; with `rediss` instead of `redis` by TLS.
    #[must_use]
    pub fn redis(mut self, url: &str) -> Self {
        url.clone_into(&mut self.config.redis);
        self
    }

    /// How long a hold lives unless its caller says otherwise.
    #[must_use]
    pub fn hold_ttl(mut self, ttl: Duration) -> Self {
        self.config.hold_ttl = ttl;
        self
    }

    /// An order unpaid for so long is cancelled; zero for never.
    #[must_use]
    pub fn payment_ttl(mut self, ttl: Duration) -> Self {
        self.config.payment_ttl = ttl;
        self
    }

    /// The most units one hold may have of a product.
    #[must_use]
    pub fn max_per_hold(mut self, units: u32) -> Self {
        self.config.max_per_hold = units;
        self
    }

    /// What to do with money for a cancelled order.
    #[must_use]
    pub fn late_payment(mut self, late_payment: LatePayment) -> Self {
        self.config.late_payment = late_payment;
        self
    }

    /// Whether to refuse with `unavailable` while Redis is down.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.config.strict = strict;
        self
    }

    /// Whether the engine takes back what is due by itself. Due holds are dead
    /// with or without it.
    #[must_use]
    pub fn sweeper(mut self, sweeper: bool) -> Self {
        self.config.sweeper = sweeper;
        self
    }

    /// Switches one optimization off, to measure what it earns.
    #[cfg(feature = "bench")]
    #[doc(hidden)]
    #[must_use]
    pub fn without(mut self, mechanism: Mechanism) -> Self {
        self.config.mechanisms.disable(mechanism);
        self
    }

    /// Opens the engine and brings the store's tables up to date.
    ///
    /// # Errors
    /// `invalid_argument` for settings that contradict each other, and for any
    /// that a running engine has for itself; `unavailable` when the store or
    /// the running engine cannot be reached; `unauthorized` when that does not
    /// take the key.
    pub fn open(self) -> Result<Engine> {
        Engine::start(self)
    }

    /// Opens the engine on the current tokio runtime, which must live as long
    /// as the engine is used.
    ///
    /// # Errors
    /// As [`EngineBuilder::open`].
    pub async fn open_async(self) -> Result<AsyncEngine> {
        AsyncEngine::start(self).await
    }
}
