//! A SQL database as a [`Store`]: single reads, small writes, and sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::audit::{SCAN_ROWS, read_report};
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::events::read_events;
use super::retry::with_retries;
use super::session::SqlSession;
use super::statement::{
    Collect, ReadRow, Statement, execute, fetch_optional, read_clock, run, run_timed,
};
use super::statements::{hex, set_sequence};
use super::time::Timekeeper;
use super::{
    ConnectionUsage, ConsumerStore, DueProducts, Listed, Owned, Purge, PurgeStep, Sequence,
    Session, Store, StoreOptions, order_rows, schema,
};
use crate::audit::AuditReport;
use crate::cache::CachedProduct;
use crate::ledger::{OrderRow, PaymentRow};
use crate::model::{
    Cart, CartId, EXACT_ID_MAX, Erased, Event, Hold, HoldId, HoldQuery, Order, OrderId, OrderQuery,
    ProductId, Timestamp,
};
use crate::product_index::Products;
use crate::runtime;
use futures_util::future::BoxFuture;

/// The row of the sequences that holds the store's own id.
pub(super) const IDENTITY: &str = "store_id";

/// How long an audit waits for another audit of this engine.
const AUDIT_WAIT: Duration = Duration::from_secs(10);

/// The most probes for free ids in one draw. Each probe doubles the span, so that
/// 64 reach the end of all ids.
const FREE_ID_PROBES: u32 = 64;

pub(crate) struct SqlStore<D> {
    database: D,
    time: Arc<Timekeeper>,
    pub(super) retries: u32,
    /// Held by the running audit. An async mutex: it is held across its reads.
    auditing: tokio::sync::Mutex<()>,
}

impl<D: Database> SqlStore<D> {
    /// Opens a store whose migrations are applied, and checks its tables.
    pub async fn open(database: D, options: &StoreOptions) -> StoreResult<Self> {
        let StoreOptions { config, clock, host, clock_steps } = options;
        let retries = config.retries;
        let time = Timekeeper::new(Arc::clone(clock), Arc::clone(host), clock_steps.clone());
        let auditing = tokio::sync::Mutex::default();
        let store = Self { database, time: Arc::new(time), retries, auditing };
        let ready = match with_retries(retries, || store.check_tables()).await {
            Ok(()) if D::NOW.is_none() => with_retries(retries, || store.resume_time()).await,
            checked => checked.map_err(schema::table_error),
        };
        if ready.is_err() {
            store.close().await;
        }
        ready.map(|()| store)
    }

    /// Fails unless every table exists with the columns that are needed.
    async fn check_tables(&self) -> StoreResult<()> {
        let mut connection = self.database.pools().reader().await?;
        let checked = execute(connection.as_mut(), &schema::probes()).await;
        checked.inspect_err(|_| connection.discard())
    }

    /// Resumes the host's clock from the newest commit, so that time does not run
    /// backwards over a restart.
    async fn resume_time(&self) -> StoreResult<()> {
        let sql = "SELECT at FROM stockade_outbox ORDER BY id DESC LIMIT 1".to_owned();
        let mut connection = self.database.pools().reader().await?;
        let newest = fetch_optional(connection.as_mut(), sql, |row| row.time()).await?;
        if let Some(newest) = newest {
            self.time.resume(newest);
        }
        Ok(())
    }

    pub(super) async fn writer(&self) -> StoreResult<SqlSession<D>> {
        SqlSession::acquire(&self.database, Arc::clone(&self.time)).await
    }

    /// Reads the store's time in a transaction.
    pub(super) async fn time_of(&self, session: &mut SqlSession<D>) -> StoreResult<Timestamp> {
        let started = self.time.start_observation();
        let now = read_clock::<D>(session.connection()).await?;
        Ok(self.time.observe(now, started))
    }

    fn retried<'a, T, F>(
        &'a self,
        work: impl FnMut() -> F + Send + 'a,
    ) -> BoxFuture<'a, StoreResult<T>>
    where
        F: Future<Output = StoreResult<T>> + Send + 'a,
        T: 'a,
    {
        Box::pin(with_retries(self.retries, work))
    }

    /// Runs reading statements and returns the store's time of the read.
    pub(super) async fn select<T: Send>(
        &self,
        statements: &[Statement<T>],
        into: &mut T,
    ) -> StoreResult<Timestamp> {
        let mut connection = self.database.pools().reader().await?;
        let started = self.time.start_observation();
        let time = run_timed::<D, T>(connection.as_mut(), statements, into).await;
        Ok(self.time.observe(time.inspect_err(|_| connection.discard())?, started))
    }

    pub(super) async fn select_all<T: Send>(
        &self,
        sql: String,
        read: ReadRow<T>,
    ) -> StoreResult<(Vec<T>, Timestamp)> {
        let (statement, mut collect) = Collect::new(sql, read);
        let now = self.select(&[statement], &mut collect).await?;
        Ok((collect.rows, now))
    }

    pub(super) async fn select_one<T: Send>(
        &self,
        sql: String,
        read: ReadRow<T>,
    ) -> StoreResult<(Option<T>, Timestamp)> {
        let (mut rows, now) = self.select_all(sql, read).await?;
        Ok((rows.pop(), now))
    }

    /// Returns the first of `count` consecutive ids from `from` on that no row has.
    /// It skips rows that were imported, or written by a process whose draw was
    /// lost in a fail-over; the span doubles, so that many cost few probes.
    async fn first_free(
        session: &mut SqlSession<D>,
        sequence: Sequence,
        mut from: u64,
        count: u64,
    ) -> StoreResult<u64> {
        let Some((table, first, last)) = sequence.table() else { return Ok(from) };
        let mut span = count;
        for _ in 0..FREE_ID_PROBES {
            if from.saturating_add(count) > EXACT_ID_MAX + 1 {
                break;
            }
            let end = from.saturating_add(span).min(EXACT_ID_MAX + 1);
            // Of several ids of one row, the first may lie before these.
            let sql = format!(
                "SELECT {last} FROM {table} WHERE {first} < {end} ORDER BY {first} DESC LIMIT 1"
            );
            let taken = fetch_optional(session.connection(), sql, |row| row.count()).await?;
            let Some(taken) = taken.filter(|taken| *taken >= from) else { return Ok(from) };
            from = taken + 1;
            span = span.saturating_mul(2);
        }
        let why = format!("no {count} consecutive ids are free in {table} up to {from}");
        Err(StoreError::new(Fault::Fatal, why))
    }

    pub(super) async fn order_named(
        &self,
        table: &str,
        reference: &str,
    ) -> StoreResult<Option<OrderId>> {
        let name = hex(reference.as_bytes());
        let sql = format!("SELECT order_id FROM stockade_{table} WHERE reference = {name}");
        Ok(self.select_one(sql, |row| row.count().map(OrderId)).await?.0)
    }

    pub(super) async fn select_identity(&self) -> StoreResult<Option<u64>> {
        let sql = format!("SELECT next FROM stockade_sequences WHERE name = '{IDENTITY}'");
        Ok(self.select_one(sql, |row| row.count()).await?.0)
    }
}

impl<D: Database> Store for SqlStore<D> {
    fn connection_usage(&self) -> ConnectionUsage {
        self.database.pools().usage()
    }

    fn single_writer(&self) -> bool {
        D::SINGLE_WRITER
    }

    fn session(&self) -> BoxFuture<'_, StoreResult<Box<dyn Session>>> {
        Box::pin(async move {
            let session: Box<dyn Session> = Box::new(self.writer().await?);
            Ok(session)
        })
    }

    fn draw(&self, sequence: Sequence, count: u64) -> BoxFuture<'_, StoreResult<u64>> {
        self.retried(move || async move {
            let mut session = self.writer().await?;
            session.open().await?;
            let name = sequence.name();
            let next = session.lock_sequence(name).await?;
            let first = Self::first_free(&mut session, sequence, next, count).await?;
            let next = first.saturating_add(count);
            run(session.connection(), &[set_sequence(name, next)], &mut ()).await?;
            session.finish("COMMIT").await?;
            Ok(first)
        })
    }

    fn identity(&self) -> BoxFuture<'_, StoreResult<u64>> {
        self.retried(move || async move {
            if let Some(id) = self.select_identity().await? {
                return Ok(id);
            }
            let id = runtime::random::<u64>() >> 1;
            let mut session = self.writer().await?;
            session.open().await?;
            let insert =
                format!("INSERT INTO stockade_sequences (name, next) VALUES ('{IDENTITY}', {id})");
            match execute(session.connection(), &[&insert]).await {
                Ok(()) => session.finish("COMMIT").await.map(|()| id),
                // Another process has inserted its id first.
                Err(error) if error.fault == Fault::Duplicate => {
                    drop(session);
                    self.select_identity().await?.ok_or(error)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        let check = move || async move {
            let Some(mut connection) = self.database.pools().probe().await? else {
                return Ok(());
            };
            let probes = schema::probes();
            let probes = probes.iter().map(String::as_str);
            let statements: Vec<&str> = schema::WRITE_NOTHING.into_iter().chain(probes).collect();
            match execute(connection.as_mut(), &statements).await {
                // Another process holds the write lock, which is load and no fault.
                Err(StoreError { fault: Fault::LockWait, .. }) if D::SINGLE_WRITER => Ok(()),
                checked => checked.inspect_err(|_| connection.discard()),
            }
        };
        // One retry, since the first check may get a connection that was lost.
        Box::pin(with_retries(self.retries.min(1), check))
    }

    fn product(
        &self,
        id: ProductId,
    ) -> BoxFuture<'_, StoreResult<Option<(CachedProduct, Timestamp)>>> {
        self.retried(move || async move {
            let (mut products, now) = self.select_products(&format!("id = {id}")).await?;
            Ok(products.pop().map(|product| (product, now)))
        })
    }

    fn products(&self, after: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<CachedProduct>>> {
        self.retried(move || async move {
            let which = format!("id > {after} ORDER BY id LIMIT {limit}");
            Ok(self.select_products(&which).await?.0)
        })
    }

    fn products_of_skus<'a>(
        &'a self,
        skus: &'a [String],
    ) -> BoxFuture<'a, StoreResult<HashMap<String, ProductId>>> {
        self.retried(move || self.find_skus(skus))
    }

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>> {
        self.retried(move || async move {
            let mut read = self.read_hold(id).await?;
            if let Some((hold, _)) = &mut read {
                self.name_holds(std::slice::from_mut(hold)).await?;
            }
            Ok(read)
        })
    }

    fn holds<'a>(
        &'a self,
        query: &'a HoldQuery,
        after: u64,
        wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Hold>>> {
        self.retried(move || async move {
            let mut listed = self.list_holds(query, after, wanted).await?;
            self.name_holds(&mut listed.items).await?;
            Ok(listed)
        })
    }

    fn orders<'a>(
        &'a self,
        query: &'a OrderQuery,
        after: u64,
        wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Order>>> {
        self.retried(move || self.list_orders(query, after, wanted))
    }

    fn waiting_payments<'a>(
        &'a self,
        after: Option<(Timestamp, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, StoreResult<(Vec<PaymentRow>, Timestamp)>> {
        self.retried(move || self.list_waiting(after, limit))
    }

    fn remove_waiting<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<PaymentRow>>> {
        self.retried(move || self.settle_waiting(key))
    }

    fn erase_customer<'a>(
        &'a self,
        name: &'a str,
        replacement: &'a str,
        event: (u64, Option<&'a str>),
    ) -> BoxFuture<'a, StoreResult<Erased>> {
        self.retried(move || self.replace_name(name, replacement, event))
    }

    fn first_created(
        &self,
        kind: Owned,
        at: Timestamp,
        after: u64,
    ) -> BoxFuture<'_, StoreResult<u64>> {
        self.retried(move || self.find_created(kind, at, after))
    }

    fn cart(&self, id: CartId) -> BoxFuture<'_, StoreResult<Option<(Cart, Timestamp)>>> {
        self.retried(move || async move {
            let mut found = self.read_cart(id).await?;
            if let Some((cart, _)) = &mut found {
                self.name_holds(&mut cart.holds).await?;
            }
            Ok(found)
        })
    }

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>> {
        self.retried(move || async move {
            let columns = order_rows::columns("stockade_orders");
            let sql = format!("SELECT {columns} FROM stockade_orders WHERE id = {id}");
            let (order, now) = self.select_one(sql, order_rows::order).await?;
            let Some(mut row) = order.flatten() else { return Ok(None) };
            self.name_products(&mut [&mut row.order]).await?;
            Ok(Some((row, now)))
        })
    }

    fn order_of_reference<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>> {
        self.retried(move || self.order_named("order_references", reference))
    }

    fn order_of_payment<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>> {
        self.retried(move || self.order_named("payment_references", reference))
    }

    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, Products>>> {
        self.retried(move || self.read_owners(kind, ids))
    }

    fn due_products(&self, limit: u32) -> BoxFuture<'_, StoreResult<DueProducts>> {
        self.retried(move || async move {
            let sql = format!(
                "SELECT id, next_due FROM stockade_products WHERE next_due IS NOT NULL \
                 ORDER BY next_due LIMIT {limit}"
            );
            let read: ReadRow<(ProductId, Timestamp)> =
                |row| Ok((ProductId(row.count()?), row.time()?));
            let (mut products, now) = self.select_all(sql, read).await?;
            let next = products.first().map(|(_, at)| *at);
            products.retain(|(_, at)| *at <= now);
            Ok(DueProducts { products, next, now })
        })
    }

    fn events_after(&self, cursor: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<Event>>> {
        self.retried(move || async move {
            let mut events = read_events(&self.database, &self.time, cursor, limit).await?;
            self.name_events(&mut events).await?;
            Ok(events)
        })
    }

    fn consumers(&self) -> Option<&dyn ConsumerStore> {
        Some(self)
    }

    fn purge(&self, purge: Purge) -> BoxFuture<'_, StoreResult<PurgeStep>> {
        self.retried(move || async move { self.purge_step(purge).await })
    }

    fn claim_scan(&self, pause: Duration, longest: Duration) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(self.claim_scan_for(pause, longest))
    }

    fn audit(&self) -> BoxFuture<'_, StoreResult<AuditReport>> {
        let audit = move || async move {
            let mut connection = self.database.pools().reader().await?;
            let report = read_report::<D>(connection.as_mut(), &self.time, SCAN_ROWS).await;
            report.inspect_err(|_| connection.discard())
        };
        Box::pin(async move {
            // Each audit reads every row: several at once would starve buyers.
            let lock = tokio::time::timeout(AUDIT_WAIT, self.auditing.lock()).await;
            let Ok(_lock) = lock else {
                let why = "another audit is running in this engine; try again when it is done";
                return Err(StoreError::new(Fault::LockWait, why));
            };
            with_retries(self.retries, audit).await
        })
    }

    fn now(&self) -> Timestamp {
        self.time.estimate()
    }

    fn speculative_now(&self) -> Option<Timestamp> {
        match D::NOW {
            Some(_) => self.time.speculate(),
            // The host's clock is the store's.
            None => Some(self.time.estimate()),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.database.pools().close())
    }
}
