//! A SQL database as a [`Store`]: single reads, small writes, and sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::audit::{SCAN_ROWS, read_report};
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::events::read_events;
use super::hold_rows::{HoldRows, Owners, owner, select_holds, select_owners};
use super::retry::with_retries;
use super::session::SqlSession;
use super::statement::{
    Collect, ReadRow, Statement, execute, fetch_optional, read_clock, run, run_checked, run_timed,
};
use super::statements::{IDS_MAX, list, put, set_sequence};
use super::time::Timekeeper;
use super::writes::insert_product;
use super::{
    DueProducts, ListedHolds, Owned, ProductInsert, Purge, PurgeStep, Sequence, Session, Store,
    StoreOptions, rows, schema,
};
use crate::audit::AuditReport;
use crate::cache::CachedProduct;
use crate::ledger::{OrderRow, ProductRow};
use crate::model::{Event, Hold, HoldId, HoldQuery, HoldStatus, OrderId, ProductId, Timestamp};
use crate::runtime;

/// The row of the sequences that holds the store's own id.
const IDENTITY: &str = "store_id";

/// How long an audit waits for another audit of this engine.
const AUDIT_WAIT: Duration = Duration::from_secs(10);

/// The most probes for free ids in one draw. Each probe doubles the span, so that
/// 64 reach the end of all ids.
const FREE_ID_PROBES: u32 = 64;

pub(crate) struct SqlStore<D> {
    database: D,
    time: Arc<Timekeeper>,
    retries: u32,
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

    /// Reads the products that meet a condition, and the store's time.
    async fn select_products(&self, which: &str) -> StoreResult<(Vec<CachedProduct>, Timestamp)> {
        let columns = rows::PRODUCT;
        let sql = format!("SELECT {columns} FROM stockade_products WHERE {which}");
        let (mut products, now) = self.select_all(sql, rows::product).await?;
        let due = products.iter().filter(|row| row.next_due.is_some_and(|at| at <= now));
        let due = list(due.map(|row| row.product.id));
        if !due.is_empty() {
            for fresh in self.select_with_due_returned(&due, now).await? {
                let stale = products.iter_mut().find(|row| row.product.id == fresh.product.id);
                if let Some(stale) = stale {
                    *stale = fresh;
                }
            }
        }
        Ok((products.into_iter().map(CachedProduct::from).collect(), now))
    }

    /// Reads products with their due holds and orders, and counts these as
    /// returned, whether or not a sweep has returned them. The products are read
    /// again: they may have changed since the read that found them due.
    async fn select_with_due_returned(
        &self,
        ids: &str,
        now: Timestamp,
    ) -> StoreResult<Vec<ProductRow>> {
        let (columns, now) = (rows::PRODUCT, now.micros());
        let aggregate = |table: &str, which: &str, column: &str, edge: &str, value: &str| {
            format!(
                "(SELECT {value} FROM stockade_{table} d WHERE d.product_id = p.id{which} \
                 AND d.{column} {edge} {now})"
            )
        };
        let sum = |units: &str| format!("CAST(COALESCE(SUM({units}), 0) AS SIGNED)");
        let mut columns = columns.to_owned();
        for (table, which, column, units) in [
            ("hold_batches", "", "due", "active_units"),
            ("detached_holds", " AND d.status = 0", "expires_at", "qty"),
            ("orders", " AND d.status = 0", "due_at", "qty"),
        ] {
            let due = aggregate(table, which, column, "<=", &sum(units));
            let next = aggregate(table, which, column, ">", &format!("MIN({column})"));
            put(&mut columns, format_args!(", {due}, {next}"));
        }
        let sql = format!("SELECT {columns} FROM stockade_products p WHERE id IN ({ids})");
        let read: ReadRow<ProductRow> = |row| {
            let mut fresh = rows::product(row)?;
            let (in_batches, first) = (row.count()?, row.opt_time()?);
            let (detached, second) = (row.count()?, row.opt_time()?);
            let (orders, third) = (row.count()?, row.opt_time()?);
            let holds = in_batches + detached;
            let product = &mut fresh.product;
            product.held = product.held.saturating_sub(holds);
            product.pending = product.pending.saturating_sub(orders);
            product.stock += holds + orders;
            fresh.next_due = [first, second, third].into_iter().flatten().min();
            Ok(fresh)
        };
        Ok(self.select_all(sql, read).await?.0)
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
            let end = from.saturating_add(span).min(i64::MAX.unsigned_abs());
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

    async fn select_identity(&self) -> StoreResult<Option<u64>> {
        let sql = format!("SELECT next FROM stockade_sequences WHERE name = '{IDENTITY}'");
        Ok(self.select_one(sql, |row| row.count()).await?.0)
    }
}

impl<D: Database> Store for SqlStore<D> {
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

    fn insert_product<'a>(&'a self, product: ProductInsert<'a>) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async move {
            let mut session = self.writer().await?;
            session.open().await?;
            let started = self.time.start_observation();
            let now = read_clock::<D>(session.connection()).await?;
            let inserts = insert_product(&product, self.time.observe(now, started), D::CURSOR);
            run_checked(session.connection(), &inserts, &mut ()).await?;
            session.finish("COMMIT").await
        })
    }

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>> {
        self.retried(move || async move {
            let mut read = HoldRows::default();
            let now = self.select(&select_holds(&[id]), &mut read).await?;
            let mut hold = read.hold(id);
            if let Some(hold) = hold.as_mut().filter(|hold| hold.status == HoldStatus::Converted) {
                // The transaction that converted the hold inserted its order.
                let sql = format!("SELECT id FROM stockade_orders WHERE hold_id = {id}");
                hold.order_id = self.select_one(sql, |row| row.count().map(OrderId)).await?.0;
            }
            Ok(hold.map(|hold| (hold, now)))
        })
    }

    fn holds<'a>(
        &'a self,
        query: &'a HoldQuery,
        after: u64,
        wanted: usize,
    ) -> BoxFuture<'a, StoreResult<ListedHolds>> {
        self.retried(move || self.list_holds(query, after, wanted))
    }

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>> {
        self.retried(move || async move {
            let sql = format!("SELECT {} FROM stockade_orders WHERE id = {id}", rows::ORDER);
            let (order, now) = self.select_one(sql, rows::order).await?;
            Ok(order.map(|row| (row, now)))
        })
    }

    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, ProductId>>> {
        let select = move |ids: &[u64]| {
            let ids = list(ids);
            let sql = format!("SELECT id, product_id FROM stockade_orders WHERE id IN ({ids})");
            Statement::read(sql, |owners: &mut HashMap<u64, ProductId>, row| {
                owners.insert(row.count()?, ProductId(row.count()?));
                Ok(())
            })
        };
        self.retried(move || async move {
            if kind == Owned::Hold {
                let mut ids = ids.to_vec();
                ids.sort_unstable();
                let mut owners = Owners::new();
                self.select(&select_owners(&ids), &mut owners).await?;
                return Ok(ids.iter().filter_map(|id| Some((*id, owner(&owners, *id)?))).collect());
            }
            let reads: Vec<_> = ids.chunks(IDS_MAX).map(select).collect();
            let mut owners = HashMap::with_capacity(ids.len());
            self.select(&reads, &mut owners).await?;
            Ok(owners)
        })
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
        self.retried(move || read_events(&self.database, &self.time, cursor, limit))
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
