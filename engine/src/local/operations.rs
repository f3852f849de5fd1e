//! The operations: each call's way through the local backend's parts.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{LocalBackend, commands, products};
use crate::audit::{AuditReport, Check};
use crate::cache::CachedProduct;
use crate::cache::mirror::SoldOut;
use crate::call::{Request, Response, Retry};
use crate::combiner::{CommandResponse, LaneId};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command, Refusal};
use crate::mechanisms::Mechanism;
use crate::model::{
    Cart, CartRequest, Event, ExtendRequest, Hold, HoldId, HoldRequest, Product, ProductId,
    ProductRef, ReleaseRequest, Replayable, ShortLine, Timestamp,
};
use crate::sku_index::Skus;
use crate::store::{Store, StoreResult};
use crate::sweeper::SweepReport;

/// The most products or holds on one page, and the most events in one response: they
/// bound a response's size and the time of its read.
const PAGE_MAX: u32 = 1_000;
const EVENTS_MAX: u32 = 10_000;
/// The most requests of a batch call that are queued at a time: many
/// transactions' worth, and an eighth of the queue's default limit.
const WAVE_MAX: usize = 8_192;

/// Takes the answer of the variant that the command has, out of its box if it is
/// `boxed`.
macro_rules! replayable {
    ($done:expr, boxed $Variant:ident) => {
        $crate::local::operations::replayable!($done, $Variant)
            .map(|done| $crate::model::Replayable { value: *done.value, replayed: done.replayed })
    };
    ($done:expr, $Variant:ident) => {
        match $done {
            $crate::combiner::CommandResponse {
                answer: $crate::ledger::Answer::$Variant(value),
                replayed,
            } => Ok($crate::model::Replayable { value, replayed }),
            other => Err($crate::local::operations::unexpected(&other.answer)),
        }
    };
}

pub(super) use replayable;

/// Boxes an operation's future, with its result as a response.
macro_rules! respond {
    ($Variant:ident, $operation:expr) => {
        Box::pin(async move { $operation.await.map(Response::$Variant) })
    };
}

impl LocalBackend {
    pub(super) fn execute(
        &self,
        request: Request,
        retry: Option<Retry>,
    ) -> BoxFuture<'_, Result<Response>> {
        match request {
            Request::Product(named) => respond!(Product, self.product(named)),
            Request::Products { after, limit } => respond!(Products, self.products(after, limit)),
            Request::CreateProduct(new) => respond!(CreateProduct, self.create_product(new, retry)),
            Request::PutProduct(put) => respond!(PutProduct, self.put_product(put, retry)),
            Request::PutProducts { requests } => {
                respond!(PutProducts, self.put_products(requests, retry))
            }
            Request::ChangeProduct(to) => respond!(ChangeProduct, self.change_product(to, retry)),
            Request::AdjustStock(by) => respond!(AdjustStock, self.adjust_stock(by, retry)),
            Request::CreateHold(hold) => respond!(CreateHold, self.create_hold(hold, retry)),
            Request::CreateHolds(cart) => respond!(CreateHolds, self.create_holds(cart, retry)),
            Request::CreateHoldBatch { requests } => {
                respond!(CreateHoldBatch, self.create_hold_batch(requests, retry))
            }
            Request::ChangeQuantity(request) => {
                respond!(ChangeQuantity, self.change_quantity(request, retry))
            }
            Request::Cart { id } => respond!(Cart, self.cart(id)),
            Request::ReleaseCart(request) => respond!(ReleaseCart, self.release_cart(request)),
            Request::ExtendCart(request) => respond!(ExtendCart, self.extend_cart(request)),
            Request::ReleaseHold(request) => respond!(ReleaseHold, self.release_hold(request)),
            Request::ExtendHold(request) => respond!(ExtendHold, self.extend_hold(request)),
            Request::Hold { id } => respond!(Hold, self.hold(id)),
            Request::Holds(query) => respond!(Holds, self.holds(query)),
            Request::CreateOrder(order) => respond!(CreateOrder, self.create_order(order, retry)),
            Request::ExtendOrder(request) => respond!(ExtendOrder, self.extend_order(request)),
            Request::CancelOrder(request) => respond!(CancelOrder, self.cancel_order(request)),
            Request::RefundOrder(request) => {
                respond!(RefundOrder, self.refund_order(request, retry))
            }
            Request::RestockOrder(request) => {
                respond!(RestockOrder, self.restock_order(request, retry))
            }
            Request::SetPaymentReference(request) => {
                respond!(SetPaymentReference, self.set_payment_reference(request))
            }
            Request::Order { id } => respond!(Order, self.order(id)),
            Request::OrderByPayment { provider, reference } => {
                respond!(OrderByPayment, self.order_by_payment(provider, reference))
            }
            Request::OrderByReference { reference } => {
                respond!(OrderByReference, self.order_by_reference(reference))
            }
            Request::Orders(query) => respond!(Orders, self.orders(query)),
            Request::WaitingPayments { after, limit } => {
                respond!(WaitingPayments, self.waiting_payments(after, limit))
            }
            Request::RemoveWaitingPayment { key } => {
                respond!(RemoveWaitingPayment, self.remove_waiting_payment(key))
            }
            Request::EraseCustomer { customer } => {
                respond!(EraseCustomer, self.erase_customer(customer))
            }
            Request::RecordPayment(event) => respond!(RecordPayment, self.record_payment(event)),
            Request::Sweep {} => respond!(Sweep, self.sweep()),
            Request::Audit {} => respond!(Audit, self.audit()),
            Request::EventsAfter { cursor, limit } => {
                respond!(EventsAfter, self.events_after(cursor, limit))
            }
            Request::Ping {} => respond!(Ping, self.ping()),
        }
    }

    /// Runs a read on the engine's runtime, where its connections live.
    pub(super) async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.services.runtime.spawn(work).await.ok_or_else(runtime_is_gone)?
    }

    /// Reads the store on the engine's runtime.
    pub(super) async fn read_store<T, Reading>(
        &self,
        read: impl FnOnce(Arc<dyn Store>) -> Reading + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        Reading: Future<Output = StoreResult<T>> + Send,
    {
        let store = Arc::clone(&self.services.store);
        self.on_runtime(async move { Ok(read(store).await?) }).await
    }

    pub async fn create_hold(
        &self,
        request: HoldRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Hold>> {
        if let ProductRef::Sku(_) = request.product {
            // Boxed, or each hold by id would pay for the larger future.
            let named = Box::pin(self.create_hold_by_sku(request, retry));
            return named.await;
        }
        let now = self.services.store.now();
        let (command, lane) = self.hold_command(&request, &Skus::default(), retry, now)?;
        replayable!(self.submit(command, [lane]).await?, boxed Hold)
    }

    async fn create_hold_by_sku(
        &self,
        request: HoldRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Hold>> {
        let command = |skus: &Skus| {
            let now = self.services.store.now();
            Ok(self.hold_command(&request, skus, retry, now)?.0)
        };
        replayable!(self.submit_named(&[&request.product], command).await?, boxed Hold)
    }

    /// Turns a request for a hold into its command and lane, if it is not refused
    /// at once.
    fn hold_command(
        &self,
        request: &HoldRequest,
        skus: &Skus,
        retry: Option<Retry>,
        now: Timestamp,
    ) -> Result<(Command, LaneId)> {
        let command = commands::create_hold(&self.services.config, request, skus, retry)?;
        let id = skus.id(&request.product);
        // An earlier attempt may have been executed: only its key tells.
        if request.key.is_none() && !retry.is_some_and(|retry| retry.is_retry) {
            self.refuse_sold_out(request, id, now)?;
        }
        Ok((command, self.combiner.lane(id)))
    }

    /// Queues the requests in waves, so that a large batch does not shed its own
    /// requests at the queue's limit.
    async fn create_hold_batch(
        &self,
        requests: Vec<HoldRequest>,
        retry: Option<Retry>,
    ) -> Result<Vec<Result<Replayable<Hold>>>> {
        let wave_max = self.services.config.queue_limit.min(WAVE_MAX);
        let mut results = Vec::with_capacity(requests.len());
        for wave in requests.chunks(wave_max) {
            let named = wave.iter().map(|request| &request.product);
            let valid = named.filter(|product| commands::check_product(product).is_ok());
            let skus = self.find_skus(valid, false).await?;
            let (first, now) = (results.len(), self.services.store.now());
            let retry_of = |at| retry.map(|retry: Retry| retry.of_item(first + at));
            let commands = wave
                .iter()
                .enumerate()
                .map(|(at, request)| self.hold_command(request, &skus, retry_of(at), now));
            let responses = self.combiner.submit_all(commands.collect(), self.actor.as_ref()).await;
            for (at, (request, response)) in wave.iter().zip(responses).enumerate() {
                results.push(match response {
                    Ok(CommandResponse { answer: Answer::StaleName, .. }) => {
                        self.create_hold(request.clone(), retry_of(at)).await
                    }
                    response => response.and_then(|done| replayable!(done, boxed Hold)),
                });
            }
        }
        Ok(results)
    }

    /// Fast refusal: rejects a request for more units than the product mirror
    /// shows. A request with its caller's key goes to the ledger, which
    /// stores the refusal under the key.
    fn refuse_sold_out(
        &self,
        request: &HoldRequest,
        product_id: ProductId,
        now: Timestamp,
    ) -> Result<()> {
        if !self.services.is_on(Mechanism::FastRefusal) {
            return Ok(());
        }
        let HoldRequest { ref product, quantity, at_most, .. } = *request;
        let least = if at_most { 1 } else { quantity };
        let is_asked = |found: &Product| products::is_named(found, product);
        let known = self.services.cache.mirror.sold_out(product_id, least, now, is_asked);
        let Some(SoldOut { left: available, sku }) = known else { return Ok(()) };
        let requested = quantity.into();
        let short = ShortLine { product_id, sku, requested, available };
        let error = Error::refused(Refusal::Insufficient(vec![short]), false);
        self.services.metrics.refused_at_once.inc();
        self.services.metrics.refusal(error.code());
        Err(error)
    }

    pub async fn create_holds(
        &self,
        request: CartRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Cart>> {
        let names: Vec<&ProductRef> = request.items.iter().map(|line| &line.product).collect();
        let config = &self.services.config;
        let command = |skus: &Skus| commands::create_holds(config, &request, skus, retry);
        // Refused before the SKUs are looked up, or there may be any number of them.
        command(&Skus::default())?;
        replayable!(self.submit_named(&names, command).await?, Cart)
    }

    pub async fn release_hold(&self, request: ReleaseRequest) -> Result<Hold> {
        let command = commands::release_hold(&request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        Ok(replayable!(self.submit(command, [lane]).await?, boxed Hold)?.value)
    }

    pub async fn extend_hold(&self, request: ExtendRequest) -> Result<Hold> {
        let command = commands::extend_hold(&self.services.config, &request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        Ok(replayable!(self.submit(command, [lane]).await?, boxed Hold)?.value)
    }

    /// Finds the lane of a hold's product. A hold never changes its product.
    pub(super) async fn lane_of_hold(&self, id: HoldId) -> Result<LaneId> {
        if self.services.store.single_writer() {
            return Ok(LaneId(0));
        }
        let found = self.services.product_index.holds.find(id.0).await?;
        let product = found.and_then(|products| products.first().copied());
        Ok(self.combiner.lane(product.ok_or_else(|| no_such("hold", id.0))?))
    }

    pub async fn hold(&self, id: HoldId) -> Result<Hold> {
        commands::possible_hold(id)?;
        let found = self.read_store(move |store| async move { store.hold(id).await }).await?;
        let (mut hold, now) = found.ok_or_else(|| no_such("hold", id.0))?;
        hold.end_if_due(now);
        hold.token = None;
        Ok(hold)
    }

    pub async fn sweep(&self) -> Result<SweepReport> {
        let (sweeper, retention) = (Arc::clone(&self.sweeper), Arc::clone(&self.retention));
        self.on_runtime(async move {
            let (report, _) = sweeper.sweep().await?;
            if let Err(error) = retention.delete_some().await {
                tracing::warn!(%error, "failed to delete old rows");
            }
            Ok(report)
        })
        .await
    }

    pub async fn audit(&self) -> Result<AuditReport> {
        let (store, cache) = (Arc::clone(&self.services.store), Arc::clone(&self.services.cache));
        self.on_runtime(async move {
            let mut report = store.audit().await?;
            for cached in cache.sample() {
                let id = cached.product.id;
                if let Some((stored, _)) = store.product(id).await?
                    && let Some(detail) = drift_between(&cached, &stored)
                {
                    report.add(Check::CacheDrift, id.0, detail);
                }
            }
            Ok(report)
        })
        .await
    }

    pub async fn events_after(&self, cursor: u64, limit: u32) -> Result<Vec<Event>> {
        if !(1..=EVENTS_MAX).contains(&limit) {
            let why = format!("limit must be from 1 to {EVENTS_MAX}, got {limit}");
            return Err(Error::invalid_argument(why));
        }
        let cursor = cursor.min(i64::MAX.unsigned_abs() - 1);
        self.read_store(move |store| async move { store.events_after(cursor, limit).await }).await
    }

    pub async fn ping(&self) -> Result<()> {
        self.read_store(|store| async move { store.ping().await }).await
    }
}

/// Describes the drift between a cached row and the stored row of the same
/// version. A row whose `next_due` differs was counted at another moment: rows
/// that fell due in between are no drift.
fn drift_between(cached: &CachedProduct, stored: &CachedProduct) -> Option<String> {
    let same_row =
        cached.product.version == stored.product.version && cached.next_due == stored.next_due;
    (same_row && cached.product != stored.product)
        .then(|| format!("cached {:?}, stored {:?}", cached.product, stored.product))
}

/// Checks the limit of a page of products or holds.
pub(super) fn page_limit(limit: u32) -> Result<usize> {
    if !(1..=PAGE_MAX).contains(&limit) {
        let why = format!("limit must be from 1 to {PAGE_MAX}, got {limit}");
        return Err(Error::invalid_argument(why));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn runtime_is_gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the engine's Tokio runtime has ended")
}

pub(super) fn no_such(what: &str, id: u64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} {id}"))
}

pub(super) fn unexpected(answer: &Answer) -> Error {
    Error::new(ErrorKind::Internal, format!("the ledger answered with {answer:?}"))
}
