//! Simulates a store: the sessions of the SQL stores over an unreliable network.
//!
//! The server side of a round trip runs in [`Process::SERVERS`], so it continues
//! when the calling process is paused or killed. The server executes one
//! connection's requests in order, and rolls back after the last one when the
//! connection breaks.
mod session;
mod statements;

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::session::SimulatedSession;
use super::database::{Database, LockKey, Tables, TxnId, clock};
use super::fault_schedule::{FaultKind, FaultSchedule};
use super::invalidations::Invalidations;
use super::world::{Process, here};
use crate::audit::AuditReport;
use crate::cache::CachedProduct;
use crate::ledger::{HoldRow, OrderRow, PaymentRow, ProductRow};
use crate::model::{
    Cart, CartId, Erased, Event, Hold, HoldId, HoldQuery, HoldStatus, Order, OrderId, OrderQuery,
    ProductId, Timestamp,
};
use crate::product_index::Products;
use crate::runtime;
use crate::store::{
    ConnectionUsage, DueProducts, Fault, Listed, Owned, Purge, PurgeStep, Sequence, Session, Store,
    StoreError, StoreResult, with_retries,
};

/// A process's database client.
#[derive(Clone)]
pub(super) struct SimulatedStore {
    pub database: Arc<Database>,
    pub faults: Arc<FaultSchedule>,
    pub invalidations: Arc<Invalidations>,
    pub process: Process,
    pub connections: Arc<Semaphore>,
    pub timeout: Duration,
    pub lock_wait: Duration,
    pub retries: u32,
    /// Offset of the process's clock from the database's, in microseconds.
    pub skew: i64,
}

/// Serializes the requests of one connection in the order they were sent.
#[derive(Default)]
struct ConnectionQueue {
    /// Completes when the last request is done. A plain mutex: the critical
    /// section is one swap and never awaits.
    last: Mutex<Option<oneshot::Receiver<()>>>,
}

impl ConnectionQueue {
    /// Enqueues a request: returns its predecessor's completion, and the sender
    /// to drop when it is done.
    fn enter(&self) -> (Option<oneshot::Receiver<()>>, oneshot::Sender<()>) {
        let (done, waits) = oneshot::channel();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.replace(waits), done)
    }
}

fn lost(why: &str) -> StoreError {
    StoreError::new(Fault::Lost, why)
}

/// Where a round trip breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    Before,
    After,
    InFlight,
}

impl SimulatedStore {
    fn draw_break(&self, is_commit: bool) -> Option<Break> {
        let kinds = if is_commit {
            [
                FaultKind::CommitLostRequest,
                FaultKind::CommitLostResponse,
                FaultKind::CommitLostInFlight,
            ]
        } else {
            [FaultKind::LostRequest, FaultKind::LostResponse, FaultKind::LostInFlight]
        };
        let breaks = [Break::Before, Break::After, Break::InFlight];
        kinds.into_iter().zip(breaks).find(|(kind, _)| self.faults.strikes(*kind)).map(|(_, at)| at)
    }

    /// Sends a request to the server and waits for the response.
    async fn round_trip<T: Send + 'static>(
        &self,
        queue: &ConnectionQueue,
        is_commit: bool,
        work: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> StoreResult<T> {
        let breaks = self.draw_break(is_commit);
        let there = match breaks {
            Some(Break::InFlight) => here().draw_time(Duration::ZERO..Duration::from_millis(1500)),
            _ if self.faults.strikes(FaultKind::Silent) => {
                here().draw_time(self.timeout / 2..self.timeout * 2)
            }
            _ => self.faults.latency(FaultKind::Slow),
        };
        let back = self.faults.latency(FaultKind::Slow);
        if breaks == Some(Break::Before) {
            runtime::sleep(there).await;
            return Err(lost("the connection broke before the request arrived"));
        }
        let (before, turn) = queue.enter();
        let answer = Process::SERVERS.spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            runtime::sleep(there).await;
            let done = work.await;
            drop(turn);
            runtime::sleep(back).await;
            done
        });
        if breaks == Some(Break::InFlight) {
            return Err(lost("the connection broke while the request was in flight"));
        }
        match runtime::timeout(self.timeout, answer).await {
            Some(Ok(_)) if breaks.is_some() => {
                Err(lost("the connection broke before the response arrived"))
            }
            Some(Ok(done)) => done,
            Some(Err(_)) | None => Err(lost("the database did not answer in time")),
        }
    }

    /// Injects a statement error at the server.
    fn statement(&self, txn: TxnId) -> StoreResult<()> {
        if self.faults.strikes(FaultKind::Deadlock) {
            self.database.roll_back(txn);
            return Err(StoreError::new(Fault::Deadlock, "drawn"));
        }
        if self.faults.strikes(FaultKind::LockWait) {
            return Err(StoreError::new(Fault::LockWait, "drawn"));
        }
        if self.faults.strikes(FaultKind::Refused) {
            return Err(StoreError::new(Fault::Fatal, "drawn"));
        }
        Ok(())
    }

    async fn lock(&self, txn: TxnId, what: LockKey) -> StoreResult<()> {
        self.database.lock(txn, what, self.lock_wait).await
    }

    /// Takes a connection from the pool.
    async fn connect(&self) -> StoreResult<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.connections).acquire_owned();
        let permit = runtime::timeout(self.timeout, permit).await;
        let Some(Ok(permit)) = permit else { return Err(lost("no connection was free in time")) };
        if self.faults.strikes(FaultKind::NoConnection) {
            let latency = self.faults.latency(FaultKind::Slow);
            runtime::sleep(latency).await;
            return Err(lost("connection rejected"));
        }
        Ok(permit)
    }

    /// Runs one SELECT on its own connection; returns the result and the server's
    /// time.
    async fn select<T: Send + 'static>(
        &self,
        read: impl Fn(&Tables) -> T + Send + 'static,
    ) -> StoreResult<(T, Timestamp)> {
        let database = Arc::clone(&self.database);
        self.round_trip(&ConnectionQueue::default(), false, async move {
            Ok((database.read(read), clock()))
        })
        .await
    }

    async fn read_product(&self, id: ProductId) -> StoreResult<Option<(CachedProduct, Timestamp)>> {
        let (row, now) = self.select(move |tables| tables.products.get(&id).cloned()).await?;
        let Some(mut row) = row else { return Ok(None) };
        if row.next_due.is_some_and(|at| at <= now) {
            let (fresh, _) = self.select(move |tables| due_as_returned(tables, id, now)).await?;
            row = fresh.unwrap_or(row);
        }
        Ok(Some((row.into(), now)))
    }

    async fn due(&self, limit: u32) -> StoreResult<DueProducts> {
        let read = move |tables: &Tables| {
            let rows = tables.products.values();
            let mut due: Vec<_> =
                rows.filter_map(|row| Some((row.product.id, row.next_due?))).collect();
            due.sort_by_key(|(_, at)| *at);
            due.truncate(limit as usize);
            due
        };
        let (mut products, now) = self.select(read).await?;
        let next = products.first().map(|(_, at)| *at);
        products.retain(|(_, at)| *at <= now);
        Ok(DueProducts { products, next, now })
    }
}

/// Returns the product with its expired holds and orders counted as returned.
fn due_as_returned(tables: &Tables, id: ProductId, now: Timestamp) -> Option<ProductRow> {
    let mut row = tables.products.get(&id)?.clone();
    let (holds, orders, next) = due_of(tables, id, now);
    let held: u64 = holds.iter().map(|hold| u64::from(hold.quantity)).sum();
    let lines = orders.iter().flat_map(|row| row.order.lines.iter());
    let pending: u64 =
        lines.filter(|line| line.product_id == id).map(|line| u64::from(line.quantity)).sum();
    row.product.held = row.product.held.saturating_sub(held);
    row.product.pending = row.product.pending.saturating_sub(pending);
    row.product.set_in_stock(row.product.in_stock + held + pending);
    row.next_due = next;
    Some(row)
}

/// Returns the product's expired holds and orders, oldest first, and the next
/// expiry after `now`.
fn due_of(
    tables: &Tables,
    id: ProductId,
    now: Timestamp,
) -> (Vec<HoldRow>, Vec<OrderRow>, Option<Timestamp>) {
    let active = |hold: &&HoldRow| hold.product_id == id && hold.status == HoldStatus::Active;
    let (mut holds, later): (Vec<_>, Vec<_>) =
        tables.holds.values().filter(active).cloned().partition(|hold| hold.expires_at <= now);
    let (mut orders, unpaid): (Vec<_>, Vec<_>) =
        tables.unpaid_of(id).partition(|(due_at, _)| *due_at <= now);
    holds.sort_by_key(|hold| hold.expires_at);
    orders.sort_by_key(|(due_at, _)| *due_at);
    let later = later.into_iter().map(|hold| hold.expires_at);
    let next = later.chain(unpaid.into_iter().map(|(due_at, _)| due_at)).min();
    (holds, orders.into_iter().map(|(_, row)| row.clone()).collect(), next)
}

impl Store for SimulatedStore {
    fn connection_usage(&self) -> ConnectionUsage {
        ConnectionUsage::default()
    }

    fn single_writer(&self) -> bool {
        false
    }

    fn session(&self) -> BoxFuture<'_, StoreResult<Box<dyn Session>>> {
        Box::pin(async move {
            let connection = self.connect().await?;
            let session: Box<dyn Session> =
                Box::new(SimulatedSession::new(self.clone(), connection));
            Ok(session)
        })
    }

    fn draw(&self, sequence: Sequence, count: u64) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(with_retries(self.retries, move || async move {
            let _connection = self.connect().await?;
            let database = Arc::clone(&self.database);
            let draw = async move { Ok(database.draw(sequence, count)) };
            self.round_trip(&ConnectionQueue::default(), false, draw).await
        }))
    }

    fn identity(&self) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move { self.select(|_| ()).await.map(drop) })
    }

    fn product(
        &self,
        id: ProductId,
    ) -> BoxFuture<'_, StoreResult<Option<(CachedProduct, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || self.read_product(id)))
    }

    fn products(&self, after: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<CachedProduct>>> {
        let page = move |tables: &Tables| {
            let rows = tables.products.values().filter(|row| row.product.id.0 > after);
            rows.take(limit as usize).cloned().map(CachedProduct::from).collect()
        };
        Box::pin(async move { Ok(self.select(page).await?.0) })
    }

    fn products_of_skus<'a>(
        &'a self,
        skus: &'a [String],
    ) -> BoxFuture<'a, StoreResult<HashMap<String, ProductId>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let skus = skus.to_vec();
            let read = move |tables: &Tables| {
                let of = |sku: &String| Some((sku.clone(), tables.product_of_sku(sku)?));
                skus.iter().filter_map(of).collect()
            };
            Ok(self.select(read).await?.0)
        }))
    }

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let (hold, now) = self.select(move |tables| tables.holds.get(&id).copied()).await?;
            Ok(hold.map(|hold| (hold.to_hold(), now)))
        }))
    }

    fn holds<'a>(
        &'a self,
        query: &'a HoldQuery,
        after: u64,
        _wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Hold>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let after = (Bound::Excluded(HoldId(after)), Bound::Unbounded);
            let read = move |tables: &Tables| {
                tables.holds.range(after).map(|(_, hold)| hold.to_hold()).collect::<Vec<_>>()
            };
            let (mut holds, now) = self.select(read).await?;
            holds.iter_mut().for_each(|hold| hold.end_if_due(now));
            holds.retain(|hold| query.matches(hold.product_id, hold.status, hold.created_at));
            Ok(Listed { items: holds, next: None })
        }))
    }

    fn orders<'a>(
        &'a self,
        query: &'a OrderQuery,
        after: u64,
        _wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Order>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let after = (Bound::Excluded(OrderId(after)), Bound::Unbounded);
            let read = move |tables: &Tables| {
                tables.orders.range(after).map(|(_, row)| row.order.clone()).collect::<Vec<_>>()
            };
            let (mut orders, now) = self.select(read).await?;
            orders.iter_mut().for_each(|order| order.end_if_due(now));
            orders.retain(|order| query.matches(order));
            Ok(Listed { items: orders, next: None })
        }))
    }

    fn waiting_payments<'a>(
        &'a self,
        _: Option<(Timestamp, &'a str)>,
        _: usize,
    ) -> BoxFuture<'a, StoreResult<(Vec<PaymentRow>, Timestamp)>> {
        Box::pin(async { Ok((Vec::new(), clock())) })
    }

    fn remove_waiting<'a>(&'a self, _: &'a str) -> BoxFuture<'a, StoreResult<Option<PaymentRow>>> {
        Box::pin(async { Ok(None) })
    }

    fn erase_customer<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: (u64, Option<&'a str>),
    ) -> BoxFuture<'a, StoreResult<Erased>> {
        let why = "the callers of a simulation erase no customer";
        Box::pin(async move { Err(StoreError::new(Fault::Fatal, why)) })
    }

    fn first_created(&self, _: Owned, _: Timestamp, after: u64) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async move { Ok(after) })
    }

    fn cart(&self, id: CartId) -> BoxFuture<'_, StoreResult<Option<(Cart, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let read = move |tables: &Tables| {
                let of_cart = tables.holds.values().filter(|hold| hold.cart_id == Some(id));
                let mut holds: Vec<Hold> = of_cart.map(|hold| hold.to_hold()).collect();
                holds.sort_by_key(|hold| hold.product_id);
                Some(Cart { id, token: Some(*tables.cart_tokens.get(&id)?), holds })
            };
            let (cart, now) = self.select(read).await?;
            Ok(cart.map(|cart| (cart, now)))
        }))
    }

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let (row, now) = self.select(move |tables| tables.orders.get(&id).cloned()).await?;
            Ok(row.map(|row| (row, now)))
        }))
    }

    fn order_of_reference<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let reference = reference.to_owned();
            let read = move |tables: &Tables| tables.order_references.get(&reference).copied();
            Ok(self.select(read).await?.0)
        }))
    }

    fn order_of_payment<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let reference = reference.to_owned();
            let read = move |tables: &Tables| tables.payment_references.get(&reference).copied();
            Ok(self.select(read).await?.0)
        }))
    }

    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, Products>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let ids = ids.to_vec();
            let read = move |tables: &Tables| {
                let owner = |id: &u64| match kind {
                    Owned::Hold => {
                        let hold = tables.holds.get(&HoldId(*id))?;
                        Some(Products::from_iter([hold.product_id]))
                    }
                    Owned::Order => {
                        let row = tables.orders.get(&OrderId(*id))?;
                        Some(row.order.lines.iter().map(|line| line.product_id).collect())
                    }
                };
                ids.iter().filter_map(|id| Some((*id, owner(id)?))).collect()
            };
            Ok(self.select(read).await?.0)
        }))
    }

    fn due_products(&self, limit: u32) -> BoxFuture<'_, StoreResult<DueProducts>> {
        Box::pin(with_retries(self.retries, move || self.due(limit)))
    }

    fn events_after(&self, _: u64, _: u32) -> BoxFuture<'_, StoreResult<Vec<Event>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn purge(&self, purge: Purge) -> BoxFuture<'_, StoreResult<PurgeStep>> {
        Box::pin(async move {
            // A simulation does not last for as long as other history is kept.
            let Purge::Keys { older_than } = purge else { return Ok(PurgeStep::default()) };
            let rows = self.database.purge_keys(clock().before(older_than));
            Ok(PurgeStep { rows, next: None })
        })
    }

    fn claim_scan(&self, _: Duration, _: Duration) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(async { Ok(true) })
    }

    fn audit(&self) -> BoxFuture<'_, StoreResult<AuditReport>> {
        Box::pin(async { Ok(AuditReport::empty()) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(clock().micros() + self.skew)
    }

    fn speculative_now(&self) -> Option<Timestamp> {
        Some(self.now())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
