//! An engine whose calls are done by a running engine of another process.
//!
//! It decides nothing. It sends each call over the one connection that it
//! keeps, and sees to it that a lost connection neither loses a call nor does
//! one twice.

mod address;
mod counters;
mod link;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use address::Address;
use link::{Errand, Link, Repeat};

use crate::audit::AuditReport;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::life::Life;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Code, observe};
use crate::model::{
    CartRequest, Event, ExtendRequest, Hold, HoldId, HoldRequest, NewProduct, Order, OrderId,
    OrderRequest, PaymentAnswer, PaymentEvent, Product, ProductId, ProductPage, ReleaseRequest,
    Replayable, StockAdjustment, Token,
};
use crate::sweeper::SweepReport;
use crate::wire::{SentPayment, SentRelease, Told};

/// The most bytes of a call's arguments: the server takes a whole megabyte.
const ARGS_BYTES_MAX: usize = (1 << 20) - 1_024;

pub(crate) struct Remote {
    config: Config,
    link: Arc<Link>,
    /// One place for each call that may be under way.
    places: Semaphore,
    places_max: u32,
    life: Life,
}

impl Remote {
    pub async fn open(config: Config, clock: Option<&Arc<dyn Clock>>) -> Result<Arc<Self>> {
        config.check_remote()?;
        if clock.is_some() {
            return Err(Error::invalid_argument("the running engine has a clock of its own"));
        }
        let address = Address::read(&config.store)?;
        let places_max = u32::try_from(config.queue_limit).unwrap_or(u32::MAX);
        let places_max = places_max.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let remote = Self {
            link: Arc::new(Link::new(address, &config, Handle::current())?),
            places: Semaphore::new(usize::try_from(places_max).unwrap_or(Semaphore::MAX_PERMITS)),
            places_max,
            life: Life::new(),
            config,
        };
        let opening = |error: Error| {
            let why = format!("the running engine cannot be opened: {}", error.message());
            Error::caused(error.kind(), why, error)
        };
        remote.ping().await.map_err(opening)?;
        Ok(Arc::new(remote))
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its Redis is none of this side's business.
    pub fn redis_prefix(&self) -> Option<String> {
        None
    }

    pub fn life(&self) -> &Life {
        &self.life
    }

    pub fn metrics_text(&self) -> String {
        self.link.counters.text()
    }

    pub async fn close(&self, bound: Duration) {
        if !self.life.end() {
            return;
        }
        let all = self.places.acquire_many(self.places_max);
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::warn!("closing gave up on calls that are still under way");
        }
        self.places.close();
        self.link.close().await;
    }

    /// Has a call done; its arguments go as an array.
    async fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        args: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T> {
        let since = Instant::now();
        let counters = &self.link.counters;
        let answer = self.exchange(call, args, repeat).await;
        observe(&counters.call_seconds, since.elapsed());
        answer.inspect_err(|error| {
            counters.refusals.get_or_create(&Code { code: error.code() }).inc();
        })
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        call: &'static str,
        args: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T> {
        let _place = self.places.try_acquire().map_err(|_| self.no_place())?;
        let args = to_raw_value(args).map_err(|error| {
            Error::caused(ErrorKind::Internal, "the call cannot be written", error)
        })?;
        if args.get().len() > ARGS_BYTES_MAX {
            let why = format!("a call's arguments have at most {ARGS_BYTES_MAX} bytes");
            return Err(Error::invalid_argument(why));
        }
        // On the runtime of the connection, so that a caller's thread needs
        // none. A caller who goes away takes the call back.
        let running = Arc::clone(&self.link).run(Errand { call, args, repeat });
        let running = AbortOnDropHandle::new(self.link.handle().spawn(running));
        let answer = running.await.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the engine's runtime is gone", error)
        })??;
        let told: Told<T> = serde_json::from_slice(&answer).map_err(|error| {
            Error::caused(ErrorKind::Internal, format!("the answer to {call} is none"), error)
        })?;
        told.map_err(Error::from)
    }

    /// Why a call got no place: closing takes them all, as they come back.
    fn no_place(&self) -> Error {
        let full = || Error::new(ErrorKind::Contention, "too many calls are under way");
        self.life.check_usable().err().unwrap_or_else(full)
    }

    /// Has a call done that makes something. Without a key of the caller's it
    /// gets one of its own before it is sent first.
    async fn make<T: DeserializeOwned>(
        &self,
        call: &'static str,
        request: &impl Serialize,
        key: Option<&String>,
    ) -> Result<Replayable<T>> {
        if key.is_some() {
            return self.call(call, &(request,), Repeat::Freely).await;
        }
        let repeat = Repeat::ByKey(Token::by_time());
        let made: Replayable<T> = self.call(call, &(request,), repeat).await?;
        // Whoever gave no key was never answered before.
        Ok(Replayable { replayed: false, ..made })
    }

    pub async fn product(&self, id: ProductId) -> Result<Product> {
        self.call("product", &(id,), Repeat::Freely).await
    }

    pub async fn products(&self, after: Option<ProductId>, limit: u32) -> Result<ProductPage> {
        self.call("products", &(after, limit), Repeat::Freely).await
    }

    pub async fn create_product(&self, new: &NewProduct) -> Result<Replayable<Product>> {
        self.make("create_product", new, new.key.as_ref()).await
    }

    pub async fn adjust_stock(&self, adjustment: &StockAdjustment) -> Result<Replayable<Product>> {
        self.make("adjust_stock", adjustment, adjustment.key.as_ref()).await
    }

    pub async fn hold(&self, request: &HoldRequest) -> Result<Replayable<Hold>> {
        self.make("hold", request, request.key.as_ref()).await
    }

    pub async fn hold_many(&self, request: &CartRequest) -> Result<Replayable<Vec<Hold>>> {
        self.make("hold_many", request, request.key.as_ref()).await
    }

    pub async fn release(&self, request: impl Into<ReleaseRequest>) -> Result<Hold> {
        let sent = SentRelease::from(request.into());
        self.call("release", &(sent,), Repeat::Freely).await
    }

    pub async fn extend(&self, request: &ExtendRequest) -> Result<Hold> {
        self.call("extend", &(request,), Repeat::Freely).await
    }

    pub async fn get_hold(&self, id: HoldId) -> Result<Hold> {
        self.call("get_hold", &(id,), Repeat::Freely).await
    }

    pub async fn order(&self, request: &OrderRequest) -> Result<Replayable<Order>> {
        self.make("order", request, request.key.as_ref()).await
    }

    pub async fn get_order(&self, id: OrderId) -> Result<Order> {
        self.call("get_order", &(id,), Repeat::Freely).await
    }

    pub async fn payment(&self, event: &PaymentEvent) -> Result<Replayable<PaymentAnswer>> {
        // Without a key, one is derived from the event.
        self.call("payment", &(SentPayment::from(event),), Repeat::Freely).await
    }

    pub async fn sweep(&self) -> Result<SweepReport> {
        self.call("sweep", &(), Repeat::Freely).await
    }

    pub async fn audit(&self) -> Result<AuditReport> {
        self.call("audit", &(), Repeat::Freely).await
    }

    pub async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<Event>> {
        self.call("events_after", &(cursor, limit), Repeat::Freely).await
    }

    pub async fn ping(&self) -> Result<()> {
        self.call("ping", &(), Repeat::Freely).await
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // In a forked child the connection is the parent's still.
        if self.life.check_process().is_ok() {
            self.link.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_call_that_meets_the_closing_is_told_so_and_not_that_there_are_too_many() {
        let config = Config { store: "unix:///nowhere/at.all".to_owned(), ..Config::default() };
        let address = Address::read(&config.store).expect("an address");
        let remote = Remote {
            link: Arc::new(Link::new(address, &config, Handle::current()).expect("a link")),
            places: Semaphore::new(1),
            places_max: 1,
            life: Life::new(),
            config,
        };
        let under_way = remote.places.acquire().await.expect("a place");
        let refused = async || remote.ping().await.expect_err("refused").kind();
        assert_eq!(refused().await, ErrorKind::Contention);
        let mut closing = Box::pin(remote.close(Duration::from_secs(60)));
        assert!(closing.as_mut().now_or_never().is_none(), "it waits for the call");
        assert_eq!(refused().await, ErrorKind::Misuse);
        drop(under_way);
        closing.await;
        assert_eq!(refused().await, ErrorKind::Misuse);
    }
}
