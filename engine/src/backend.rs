//! The seam between an engine's handles and what executes their calls: the
//! parts in this process, or a running engine in another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::call::{Request, Response, Retry};
use crate::config::Config;
use crate::consumers::Consumers;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Lifecycle;
use crate::model::Timestamp;

pub(crate) trait Backend: Send + Sync {
    /// Executes a request, at most once for all attempts with the same `retry`
    /// key.
    fn call(&self, request: Request, retry: Option<Retry>) -> BoxFuture<'_, Result<Response>>;

    /// Responds from memory, if it can, without a future: a cached read must not
    /// pay for a box.
    fn respond_from_memory(&self, _request: &Request) -> Option<Response> {
        None
    }

    /// Checks that this backend executes requests that other processes send.
    ///
    /// # Errors
    /// `misuse` for a backend that sends its own to another process.
    fn check_serves_remotes(&self) -> Result<()>;

    fn config(&self) -> &Config;

    fn lifecycle(&self) -> &Lifecycle;

    /// Returns another handle, whose requests `actor` sends.
    fn acting_as(&self, actor: Arc<str>) -> Arc<dyn Backend>;

    fn metrics_text(&self) -> String;

    /// Moves the engine's manual clock, and returns what is due then to stock.
    ///
    /// It is not a [`Request`]: a running engine's clock is not moved by its clients.
    ///
    /// # Errors
    /// `misuse` for a backend without such a clock.
    fn advance_clock(&self, _by: Duration) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(std::future::ready(Err(no_manual_clock())))
    }

    /// Returns the consumers of this backend's store.
    ///
    /// # Errors
    /// `misuse` for a backend without a store of its own.
    fn consumers(&self) -> Result<Consumers> {
        let why = "a client of a running engine has no consumers: open its database instead";
        Err(Error::new(ErrorKind::Misuse, why))
    }

    /// The prefix of this store's Redis keys; `None` without Redis.
    #[cfg(feature = "testing")]
    fn redis_prefix(&self) -> Option<String> {
        None
    }

    /// Drains what is in flight for at most `bound`, then closes.
    fn close(&self, bound: Duration) -> BoxFuture<'_, ()>;
}

pub(crate) fn no_manual_clock() -> Error {
    let why = "the engine's clock cannot be moved: open sqlite::memory: with clock=manual";
    Error::new(ErrorKind::Misuse, why)
}
