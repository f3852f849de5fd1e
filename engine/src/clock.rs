//! What time it is.
//!
//! One clock decides: the store's. A [`Clock`] stands between the store's
//! clock and the rules only so that tests can move time.

use std::time::Instant;

use futures_util::future::BoxFuture;

use crate::model::Timestamp;

/// Turns the store's time into the time that the rules go by.
pub trait Clock: Send + Sync + 'static {
    /// The time to go by when the store's clock shows `store`.
    fn now(&self, store: Timestamp) -> Timestamp;

    /// Ends when time was moved other than by passing.
    fn moved(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// The store's own time.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreClock;

impl Clock for StoreClock {
    fn now(&self, store: Timestamp) -> Timestamp {
        store
    }
}

/// The two clocks of the engine's host, which tests replace.
pub(crate) trait HostClock: Send + Sync {
    /// UTC as the host believes it; an operator or NTP may set it.
    fn wall(&self) -> Timestamp;

    /// The monotonic clock: nobody sets it, and it stands still while the host
    /// is suspended.
    fn monotonic(&self) -> Instant;
}

/// The operating system's clocks.
pub(crate) struct SystemClock;

impl HostClock for SystemClock {
    fn wall(&self) -> Timestamp {
        chrono::Utc::now().into()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}
