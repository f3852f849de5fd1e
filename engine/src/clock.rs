//! Clocks.
//!
//! One clock decides: the store's. A [`Clock`] stands between it and the ledger
//! only so that tests can move time.

mod manual;

use std::time::Instant;

use futures_util::future::BoxFuture;

pub use self::manual::ManualClock;
use crate::model::Timestamp;

/// Maps the store's time to the time that the ledger decides by.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time to decide by when the store's clock shows `store`.
    fn now(&self, store: Timestamp) -> Timestamp;

    /// Completes when the clock was set, so that the sweeper queries again.
    fn moved(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Returns the clock that [`Engine::advance_clock`](crate::Engine::advance_clock)
    /// moves; `None` for a clock that it cannot move.
    fn as_manual(&self) -> Option<&ManualClock> {
        None
    }
}

/// Decides by the store's clock unchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreClock;

impl Clock for StoreClock {
    fn now(&self, store: Timestamp) -> Timestamp {
        store
    }
}

/// The host's two clocks, which tests replace.
pub(crate) trait HostClock: Send + Sync {
    /// The wall clock in UTC; an operator or NTP may step it.
    fn wall(&self) -> Timestamp;

    /// The monotonic clock: never stepped, and it stops while the host is suspended.
    fn monotonic(&self) -> Instant;
}

pub(crate) struct SystemClock;

impl HostClock for SystemClock {
    fn wall(&self) -> Timestamp {
        chrono::Utc::now().into()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}
