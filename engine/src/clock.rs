//! What time it is.
//!
//! One clock decides: the store's. A [`Clock`] stands between the store's
//! clock and the rules only so that tests can move time.

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
