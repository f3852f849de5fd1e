//! The remote backend: sends each call to a running engine in another process.
//!
//! It decides nothing. All calls share one HTTP/2 connection; the client resends
//! a call whose connection was lost, with an idempotency key where executing it
//! twice would do harm.

mod address;
mod client;
mod connection;
mod counters;
mod hold_combiner;
mod product_import;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use address::Address;
use client::{Client, PendingCall};
use connection::Connector;
use hold_combiner::HoldCombiner;

use crate::backend::Backend;
use crate::call::{Request, Response, Retry};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::Lifecycle;
use crate::metrics::observe;

pub(crate) struct RemoteBackend {
    client: Arc<Client>,
    holds: Arc<HoldCombiner>,
    link: Arc<Link>,
}

/// What all handles to one running engine share.
struct Link {
    config: Config,
    connector: Arc<Connector>,
    /// Bounds the calls in flight: one permit for each. Backpressure by
    /// rejection, as the queue limit of a local backend.
    permits: Semaphore,
    permits_max: u32,
    lifecycle: Lifecycle,
}

impl RemoteBackend {
    pub async fn open(config: Config, clock: Option<&dyn Clock>) -> Result<Arc<Self>> {
        config.check_remote()?;
        if clock.is_some() {
            return Err(Error::invalid_argument("the running engine has a clock of its own"));
        }
        let address = Address::read(&config.store)?;
        let permits_max = u32::try_from(config.queue_limit).unwrap_or(u32::MAX);
        let permits_max =
            permits_max.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let client = Client::new(address, &config, Handle::current())?;
        let link = Link {
            connector: Arc::clone(&client.connector),
            permits: Semaphore::new(usize::try_from(permits_max).unwrap_or(Semaphore::MAX_PERMITS)),
            permits_max,
            lifecycle: Lifecycle::new(),
            config,
        };
        let remote = Self::new(client, Arc::new(link));
        let opening = |error: Error| {
            let why = format!("the running engine cannot be opened: {}", error.message());
            Error::caused(error.kind(), why, error)
        };
        remote.execute(Request::Ping {}).await.map_err(opening)?;
        Ok(Arc::new(remote))
    }

    fn new(client: Client, link: Arc<Link>) -> Self {
        let client = Arc::new(client);
        Self { holds: HoldCombiner::new(Arc::clone(&client)), client, link }
    }

    async fn execute(&self, request: Request) -> Result<Response> {
        let since = Instant::now();
        let counters = &self.client.connector.counters;
        let response = self.exchange(request).await;
        observe(&counters.call_seconds, since.elapsed());
        response.inspect_err(|error| {
            counters.refusals.get_or_create(&[("code", error.code())]).inc();
        })
    }

    async fn exchange(&self, request: Request) -> Result<Response> {
        let _permit = self.link.permits.try_acquire().map_err(|_| self.no_permit())?;
        let call = match request {
            Request::CreateHold(request) if HoldCombiner::takes(&request) => {
                return self.holds.create_hold(request).await.map(Response::CreateHold);
            }
            Request::CreateHoldBatch { requests } => {
                let results = self.holds.create_hold_batch(requests).await;
                return results.map(Response::CreateHoldBatch);
            }
            Request::PutProducts { requests } => {
                let sending = product_import::put_products(Arc::clone(&self.client), requests);
                let handle = &self.client.connector.tasks.handle;
                let results = AbortOnDropHandle::new(handle.spawn(sending)).await;
                return results.map(Response::PutProducts).map_err(|error| {
                    Error::caused(ErrorKind::Unavailable, hold_combiner::RUNTIME_ENDED, error)
                });
            }
            request => PendingCall::new(request)?,
        };
        // Spawned on the connection's runtime, so that a caller's thread needs
        // none. A caller that drops its future cancels the call.
        let running = Arc::clone(&self.client).exchange(call);
        let running = AbortOnDropHandle::new(self.client.connector.tasks.handle.spawn(running));
        running.await.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, hold_combiner::RUNTIME_ENDED, error)
        })?
    }

    /// Returns why a call got no permit: closing takes all of them as they come
    /// back.
    fn no_permit(&self) -> Error {
        let full = || Error::new(ErrorKind::Contention, "too many calls are in flight");
        self.link.lifecycle.check_usable().err().unwrap_or_else(full)
    }
}

impl Backend for RemoteBackend {
    /// Draws the retry key itself where the request needs one.
    fn call(&self, request: Request, _retry: Option<Retry>) -> BoxFuture<'_, Result<Response>> {
        Box::pin(self.execute(request))
    }

    fn check_serves_remotes(&self) -> Result<()> {
        let why = "the engine sends its calls to another one: open that one";
        Err(Error::new(ErrorKind::Misuse, why))
    }

    fn config(&self) -> &Config {
        &self.link.config
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.link.lifecycle
    }

    /// Requests for holds of different actors never share a call.
    fn acting_as(&self, actor: Arc<str>) -> Arc<dyn Backend> {
        Arc::new(Self::new(self.client.acting_as(actor), Arc::clone(&self.link)))
    }

    fn metrics_text(&self) -> String {
        self.client.connector.counters.text()
    }

    fn close(&self, bound: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Link { connector, permits, permits_max, lifecycle, .. } = &*self.link;
            if !lifecycle.close() {
                return;
            }
            let all = permits.acquire_many(*permits_max);
            if tokio::time::timeout(bound, all).await.is_err() {
                tracing::warn!("closing gave up on calls that are still in flight");
            }
            permits.close();
            connector.close().await;
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // In a forked child the connection still belongs to the parent.
        if self.lifecycle.check_process().is_ok() {
            self.connector.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn call_during_close_is_misuse_and_not_contention() {
        let config = Config { store: "unix:///nowhere/at.all".to_owned(), ..Config::default() };
        let address = Address::read(&config.store).expect("an address");
        let client = Client::new(address, &config, Handle::current()).expect("a client");
        let link = Link {
            connector: Arc::clone(&client.connector),
            permits: Semaphore::new(1),
            permits_max: 1,
            lifecycle: Lifecycle::new(),
            config,
        };
        let remote = RemoteBackend::new(client, Arc::new(link));
        let in_flight = remote.link.permits.acquire().await.expect("a permit");
        let rejected =
            async || remote.execute(Request::Ping {}).await.expect_err("rejected").kind();
        assert_eq!(rejected().await, ErrorKind::Contention);
        let mut closing = Box::pin(remote.close(Duration::from_secs(60)));
        assert!(closing.as_mut().now_or_never().is_none(), "it waits for the call");
        assert_eq!(rejected().await, ErrorKind::Misuse);
        drop(in_flight);
        closing.await;
        assert_eq!(rejected().await, ErrorKind::Misuse);
    }
}
