//! The seam between an engine's handles and what executes their calls: the
//! parts in this process, or a running engine in another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::call::{Request, Response, Retry};
use crate::config::Config;
use crate::error::Result;
use crate::lifecycle::Lifecycle;

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

    /// The prefix of this store's Redis keys; `None` without Redis.
    #[cfg(feature = "testing")]
    fn redis_prefix(&self) -> Option<String> {
        None
    }

    /// Drains what is in flight for at most `bound`, then closes.
    fn close(&self, bound: Duration) -> BoxFuture<'_, ()>;
}
