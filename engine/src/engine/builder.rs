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

/// Defines the methods that set one setting each.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        impl EngineBuilder {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> Self {
                self.config.$name = $name;
                self
            })*
        }
    };
}

setters! {
    /// How long a hold lives unless its caller says otherwise.
    hold_ttl: Duration;
    /// An order unpaid for so long is cancelled; zero for never.
    payment_ttl: Duration;
    /// The most units one hold may have of a product.
    max_per_hold: u32;
    /// What to do with money for a cancelled order.
    late_payment: LatePayment;
    /// Whether to refuse with `unavailable` while Redis is down.
    strict: bool;
    /// Whether the engine takes back what is due by itself. Due holds are dead
    /// with or without it.
    sweeper: bool;
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
