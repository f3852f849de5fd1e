//! The operations: each call's way through the local backend's parts.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{LocalBackend, commands, create_product};
use crate::audit::{AuditReport, Check};
use crate::cache::CachedProduct;
use crate::call::{Request, Response, Retry};
use crate::combiner::{CommandResponse, LaneId};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command, Refusal};
use crate::mechanisms::Mechanism;
use crate::model::{
    CartRequest, Event, ExtendRequest, Hold, HoldId, HoldPage, HoldQuery, HoldRequest, NewProduct,
    Order, OrderId, OrderRequest, OrderStatus, PaymentEvent, PaymentReceipt, Product, ProductId,
    ProductPage, ReleaseRequest, Replayable, ShortLine, StockAdjustment, Timestamp,
};
use crate::runtime;
use crate::store::{ListedHolds, Store, StoreResult};
use crate::sweeper::SweepReport;

/// The most products or holds on one page, and the most events in one response: they
/// bound a response's size and the time of its read.
const PAGE_MAX: u32 = 1_000;
const EVENTS_MAX: u32 = 10_000;
/// The most reads of the store for one page of holds, when few of them match.
const HOLD_READS_MAX: usize = 16;
/// The most requests of a batch call that are queued at a time: many
/// transactions' worth, and an eighth of the queue's default limit.
const WAVE_MAX: usize = 8_192;

/// Takes the answer of the variant that the command has.
macro_rules! replayable {
    ($done:expr, $Variant:ident) => {
        match $done {
            CommandResponse { answer: Answer::$Variant(value), replayed } => {
                Ok(Replayable { value, replayed })
            }
            other => Err(unexpected(&other.answer)),
        }
    };
}

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
            Request::Product { id } => respond!(Product, self.product(id)),
            Request::Products { after, limit } => respond!(Products, self.products(after, limit)),
            Request::CreateProduct(new) => respond!(CreateProduct, self.create_product(new, retry)),
            Request::AdjustStock(by) => respond!(AdjustStock, self.adjust_stock(by, retry)),
            Request::CreateHold(hold) => respond!(CreateHold, self.create_hold(hold, retry)),
            Request::CreateHolds(cart) => respond!(CreateHolds, self.create_holds(cart, retry)),
            Request::CreateHoldBatch { requests } => {
                respond!(CreateHoldBatch, self.create_hold_batch(requests, retry))
            }
            Request::ReleaseHold(request) => respond!(ReleaseHold, self.release_hold(request)),
            Request::ExtendHold(request) => respond!(ExtendHold, self.extend_hold(request)),
            Request::Hold { id } => respond!(Hold, self.hold(id)),
            Request::Holds(query) => respond!(Holds, self.holds(query)),
            Request::CreateOrder(order) => respond!(CreateOrder, self.create_order(order, retry)),
            Request::Order { id } => respond!(Order, self.order(id)),
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
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.services.runtime.spawn(work).await.ok_or_else(runtime_is_gone)?
    }

    /// Reads the store on the engine's runtime.
    async fn read_store<T, Reading>(
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

    pub async fn product(&self, id: ProductId) -> Result<Product> {
        commands::exists_ever("product", id.0, id.is_possible())?;
        let load = async || {
            let read = self.read_store(move |store| async move { store.product(id).await });
            Ok(read.await?.map(|(product, _)| product))
        };
        let found = self.services.cache.get_or_load(id, self.services.store.now(), load).await?;
        found.map(|cached| cached.product).ok_or_else(|| no_such("product", id.0))
    }

    pub async fn products(&self, after: Option<ProductId>, limit: u32) -> Result<ProductPage> {
        let size = page_limit(limit)?;
        // Stores keep ids as signed integers: none is larger.
        let after = after.map_or(0, |id| id.0).min(i64::MAX.unsigned_abs());
        // Reads one more than asked for, to see whether there is a next page.
        let read =
            move |store: Arc<dyn Store>| async move { store.products(after, limit + 1).await };
        let mut found = self.read_store(read).await?;
        let is_last = found.len() <= size;
        found.truncate(size);
        let items: Vec<Product> = found.into_iter().map(|cached| cached.product).collect();
        let next = items.last().map(|product| product.id).filter(|_| !is_last);
        Ok(ProductPage { items, next })
    }

    async fn create_product(
        &self,
        new: NewProduct,
        retry: Option<Retry>,
    ) -> Result<Replayable<Product>> {
        let (keyed, has_key) = (commands::create_product(&new, retry)?, new.key.is_some());
        let (store, retries) = (Arc::clone(&self.services.store), self.services.config.retries);
        let read_at = runtime::now();
        let created = self
            .on_runtime(async move {
                create_product::insert_product(store.as_ref(), &new, keyed.as_ref(), retries).await
            })
            .await?;
        // A reader may have cached the id as absent before the insert.
        if !created.replayed {
            let product = created.value.clone();
            let row = CachedProduct { product, next_due: None };
            self.services.cache.record(vec![row], Vec::new(), &[], read_at);
        }
        // Only a caller's own key replays: one that its client drew is unknown to it.
        Ok(Replayable { replayed: created.replayed && has_key, ..created })
    }

    pub async fn adjust_stock(
        &self,
        adjustment: StockAdjustment,
        retry: Option<Retry>,
    ) -> Result<Replayable<Product>> {
        let command = commands::adjust_stock(&adjustment, retry)?;
        let lanes = vec![self.combiner.lane(adjustment.product_id)];
        let done = self.combiner.submit(command, lanes).await?;
        let StockAdjustment { product_id, delta, reason, .. } = adjustment;
        let replayed = done.replayed;
        tracing::info!(product_id = product_id.0, delta, reason, replayed, "adjusted stock");
        replayable!(done, Product)
    }

    pub async fn create_hold(
        &self,
        request: HoldRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Hold>> {
        let (command, lane) = self.hold_command(&request, retry, self.services.store.now())?;
        replayable!(self.combiner.submit(command, [lane]).await?, Hold)
    }

    /// Turns a request for a hold into its command and lane, if it is not refused
    /// at once.
    fn hold_command(
        &self,
        request: &HoldRequest,
        retry: Option<Retry>,
        now: Timestamp,
    ) -> Result<(Command, LaneId)> {
        let command = commands::create_hold(&self.services.config, request, retry)?;
        // An earlier attempt may have been executed: only its key tells.
        if request.key.is_none() && !retry.is_some_and(|retry| retry.is_retry) {
            self.refuse_sold_out(request, now)?;
        }
        Ok((command, self.combiner.lane(request.product_id)))
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
            let (first, now) = (results.len(), self.services.store.now());
            let commands = wave.iter().enumerate().map(|(at, request)| {
                let retry = retry.map(|retry| retry.of_item(first + at));
                self.hold_command(request, retry, now)
            });
            let responses = self.combiner.submit_all(commands.collect()).await;
            let result = |response: Result<_>| response.and_then(|done| replayable!(done, Hold));
            results.extend(responses.into_iter().map(result));
        }
        Ok(results)
    }

    /// Fast refusal: rejects a request for more units than the product mirror
    /// shows. A request with its caller's key goes to the ledger, which
    /// stores the refusal under the key.
    fn refuse_sold_out(&self, request: &HoldRequest, now: Timestamp) -> Result<()> {
        if !self.services.is_on(Mechanism::FastRefusal) {
            return Ok(());
        }
        let HoldRequest { product_id, quantity, .. } = *request;
        let known = self.services.cache.mirror.sold_out(product_id, quantity, now);
        let Some(available) = known else { return Ok(()) };
        let requested = quantity.into();
        let short = ShortLine { product_id, requested, available };
        let error = Error::refused(Refusal::Insufficient(vec![short]), false);
        self.services.metrics.refused_at_once.inc();
        self.services.metrics.refusal(error.code());
        Err(error)
    }

    pub async fn create_holds(
        &self,
        request: CartRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Vec<Hold>>> {
        let command = commands::create_holds(&self.services.config, &request, retry)?;
        let lanes = request.items.iter().map(|(product_id, _)| self.combiner.lane(*product_id));
        replayable!(self.combiner.submit(command, lanes).await?, Cart)
    }

    pub async fn release_hold(&self, request: ReleaseRequest) -> Result<Hold> {
        let command = commands::release_hold(&request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        Ok(replayable!(self.combiner.submit(command, [lane]).await?, Hold)?.value)
    }

    pub async fn extend_hold(&self, request: ExtendRequest) -> Result<Hold> {
        let command = commands::extend_hold(&self.services.config, &request)?;
        let lane = self.lane_of_hold(request.hold_id).await?;
        Ok(replayable!(self.combiner.submit(command, [lane]).await?, Hold)?.value)
    }

    /// Finds the lane of a hold's product. A hold never changes its product.
    async fn lane_of_hold(&self, id: HoldId) -> Result<LaneId> {
        if self.services.store.single_writer() {
            return Ok(LaneId(0));
        }
        let found = self.services.product_index.holds.find(id.0).await?;
        Ok(self.combiner.lane(found.ok_or_else(|| no_such("hold", id.0))?))
    }

    pub async fn hold(&self, id: HoldId) -> Result<Hold> {
        commands::possible_hold(id)?;
        let found = self.read_store(move |store| async move { store.hold(id).await }).await?;
        let (mut hold, now) = found.ok_or_else(|| no_such("hold", id.0))?;
        hold.end_if_due(now);
        Ok(hold)
    }

    pub async fn holds(&self, query: HoldQuery) -> Result<HoldPage> {
        let limit = page_limit(query.limit)?;
        let mut after = query.after.map_or(0, |id| id.0);
        let mut items = Vec::new();
        // Stores keep ids as signed integers: none is larger.
        if after >= i64::MAX.unsigned_abs() {
            return Ok(HoldPage { items, next: None });
        }
        let query = Arc::new(query);
        for _ in 0..HOLD_READS_MAX {
            let (query, wanted) = (Arc::clone(&query), limit + 1 - items.len());
            let read = move |store: Arc<dyn Store>| async move {
                store.holds(&query, after, wanted).await
            };
            let ListedHolds { holds, next } = self.read_store(read).await?;
            // One more than asked for shows that there is a next page.
            items.extend(holds);
            if items.len() > limit {
                items.truncate(limit);
                let next = items.last().map(|hold| hold.id);
                return Ok(HoldPage { items, next });
            }
            match next {
                Some(id) => after = id.0,
                None => return Ok(HoldPage { items, next: None }),
            }
        }
        Ok(HoldPage { items, next: Some(HoldId(after)) })
    }

    pub async fn create_order(
        &self,
        request: OrderRequest,
        retry: Option<Retry>,
    ) -> Result<Replayable<Order>> {
        let command = commands::create_order(&request, retry)?;
        let lane = self.combiner.lane(request.product_id);
        replayable!(self.combiner.submit(command, [lane]).await?, Order)
    }

    pub async fn order(&self, id: OrderId) -> Result<Order> {
        commands::exists_ever("order", id.0, id.is_possible())?;
        let found = self.read_store(move |store| async move { store.order(id).await }).await?;
        let (row, now) = found.ok_or_else(|| no_such("order", id.0))?;
        let mut order = row.order;
        if order.status == OrderStatus::PendingPayment && row.due_at.is_some_and(|at| at <= now) {
            order.status = OrderStatus::Cancelled;
        }
        Ok(order)
    }

    pub async fn record_payment(&self, event: PaymentEvent) -> Result<Replayable<PaymentReceipt>> {
        let command = commands::record_payment(&event)?;
        let lane = match &command {
            Command::Payment { order_id, .. } if !self.services.store.single_writer() => {
                // An order that is not there has no product yet.
                let found = self.services.product_index.orders.find(order_id.0).await?;
                found.map_or(LaneId(0), |id| self.combiner.lane(id))
            }
            _ => LaneId(0),
        };
        let Replayable { value: status, replayed } =
            replayable!(self.combiner.submit(command, [lane]).await?, Payment)?;
        Ok(Replayable { value: PaymentReceipt { status }, replayed })
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
fn page_limit(limit: u32) -> Result<usize> {
    if !(1..=PAGE_MAX).contains(&limit) {
        let why = format!("limit must be from 1 to {PAGE_MAX}, got {limit}");
        return Err(Error::invalid_argument(why));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn runtime_is_gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the engine's Tokio runtime has ended")
}

fn no_such(what: &str, id: u64) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} {id}"))
}

fn unexpected(answer: &Answer) -> Error {
    Error::new(ErrorKind::Internal, format!("the ledger answered with {answer:?}"))
}
