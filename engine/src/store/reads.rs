//! A database as the engine sees it: single reads and small writes, and the
//! way to sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::audit::{STEP, read_facts};
use super::connection::{Database, Use};
use super::error::{Fault, StoreError, StoreResult};
use super::events::read_events;
use super::retry::with_retries;
use super::session::SqlSession;
use super::statement::{
    LastRow, ReadRow, Statement, execute, fetch_optional, run, run_checked, run_timed,
};
use super::statements::{self, list};
use super::time::Timekeeper;
use super::{
    DueProducts, Owned, ProductInsert, Sequence, Session, Store, StoreOptions, rows, schema,
};
use crate::audit::AuditFacts;
use crate::cache::CachedProduct;
use crate::ledger::{OrderRow, ProductRow};
use crate::model::{Event, Hold, HoldId, HoldStatus, OrderId, ProductId, Timestamp};
use crate::runtime;

/// The name under which the store's own id stands among the sequences.
const IDENTITY: &str = "store_id";

/// How long an audit waits for another one of this engine.
const AUDIT_TURN: Duration = Duration::from_secs(10);

/// The most probes for free ids in one draw. Each probe doubles the span, so that
/// 64 reach the end of all ids.
const LOOKS_MAX: u32 = 64;

/// A store that speaks SQL.
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
        let StoreOptions { clock, host, clock_steps, retries, .. } = options;
        let time = Timekeeper::new(Arc::clone(clock), Arc::clone(host), clock_steps.clone());
        let auditing = tokio::sync::Mutex::default();
        let store = Self { database, time: Arc::new(time), retries: *retries, auditing };
        let ready = with_retries(*retries, || store.check_tables()).await;
        let ready = match ready {
            Ok(()) if D::NOW.is_none() => with_retries(*retries, || store.resume_time()).await,
            ready => ready.map_err(schema::lacks),
        };
        if ready.is_err() {
            store.database.close().await;
        }
        ready.map(|()| store)
    }

    /// Fails unless every table is there with the columns that are needed.
    async fn check_tables(&self) -> StoreResult<()> {
        let mut connection = self.database.acquire(Use::Read).await?;
        let done = execute(connection.as_mut(), &schema::probes()).await;
        if done.is_err() {
            connection.discard();
        }
        done
    }

    /// Resumes the host's clock from the newest commit, so that time does not run
    /// backwards over a restart.
    async fn resume_time(&self) -> StoreResult<()> {
        let sql = "SELECT at FROM stockade_outbox ORDER BY id DESC LIMIT 1".to_owned();
        let mut connection = self.database.acquire(Use::Read).await?;
        let newest = fetch_optional(connection.as_mut(), sql, |row| row.time()).await?;
        if let Some(newest) = newest {
            self.time.resume(newest);
        }
        Ok(())
    }

    pub(super) async fn writer(&self) -> StoreResult<SqlSession<D>> {
        SqlSession::acquire(&self.database, Arc::clone(&self.time)).await
    }

    /// Runs reading statements and returns the store's time of the read.
    async fn select<T: Send>(
        &self,
        statements: &[Statement<T>],
        into: &mut T,
    ) -> StoreResult<Timestamp> {
        let mut connection = self.database.acquire(Use::Read).await?;
        let asked = self.time.start_observation();
        let done = run_timed::<D, T>(connection.as_mut(), statements, into).await;
        if done.is_err() {
            connection.discard();
        }
        Ok(self.time.observe(done?, asked))
    }

    /// Reads at most one row, and the store's time.
    async fn select_one<T: Send>(
        &self,
        sql: String,
        read: ReadRow<T>,
    ) -> StoreResult<(Option<T>, Timestamp)> {
        let (statement, mut last) = LastRow::of(sql, read);
        let now = self.select(&[statement], &mut last).await?;
        Ok((last.row, now))
    }

    async fn read_products(&self, sql: String) -> StoreResult<(Vec<CachedProduct>, Timestamp)> {
        let mut found: Vec<ProductRow> = Vec::new();
        let read = Statement::read(sql, |found: &mut Vec<ProductRow>, row| {
            found.push(rows::product(row)?);
            Ok(())
        });
        let now = self.select(&[read], &mut found).await?;
        let due = found.iter().filter(|row| row.next_due.is_some_and(|at| at <= now));
        let due = list(due.map(|row| row.product.id));
        if !due.is_empty() {
            self.count_due_as_returned(&mut found, &due, now).await?;
        }
        let cached =
            |row: ProductRow| CachedProduct { product: row.product, next_due: row.next_due };
        Ok((found.into_iter().map(cached).collect(), now))
    }

    /// What is due is dead, whether or not a sweep has been by. The rows may
    /// have moved on since they were read, so they are read again with it.
    async fn count_due_as_returned(
        &self,
        found: &mut Vec<ProductRow>,
        due: &str,
        now: Timestamp,
    ) -> StoreResult<()> {
        let (columns, at) = (rows::PRODUCT, now.micros());
        let due_units = |table: &str, column: &str, edge: &str, what: &str| {
            format!(
                "(SELECT {what} FROM stockade_{table} d WHERE d.product_id = p.id \
                 AND d.status = 0 AND d.{column} {edge} {at})"
            )
        };
        let sql = format!(
            "SELECT {columns}, {}, {}, {}, {} FROM stockade_products p WHERE id IN ({due})",
            due_units("holds", "expires_at", "<=", "CAST(COALESCE(SUM(qty), 0) AS SIGNED)"),
            due_units("orders", "due_at", "<=", "CAST(COALESCE(SUM(qty), 0) AS SIGNED)"),
            due_units("holds", "expires_at", ">", "MIN(expires_at)"),
            due_units("orders", "due_at", ">", "MIN(due_at)"),
        );
        let read = Statement::read(sql, |found: &mut Vec<ProductRow>, row| {
            let mut fresh = rows::product(row)?;
            let (holds, orders) = (row.count()?, row.count()?);
            let product = &mut fresh.product;
            product.held = product.held.saturating_sub(holds);
            product.pending = product.pending.saturating_sub(orders);
            product.stock += holds + orders;
            fresh.next_due = [row.opt_time()?, row.opt_time()?].into_iter().flatten().min();
            if let Some(stale) = found.iter_mut().find(|row| row.product.id == fresh.product.id) {
                *stale = fresh;
            }
            Ok(())
        });
        self.select(&[read], found).await?;
        Ok(())
    }

    /// Whether a hold could be made: the store takes writes and has the tables.
    async fn check_readiness(&self) -> StoreResult<()> {
        let Some(mut connection) = self.database.probe().await? else {
            return Ok(());
        };
        let probes = schema::probes();
        let probes = probes.iter().map(String::as_str);
        let statements: Vec<&str> = schema::WRITE_NOTHING.into_iter().chain(probes).collect();
        match execute(connection.as_mut(), &statements).await {
            // Another process writes, which is load and no fault.
            Err(StoreError { fault: Fault::LockWait, .. }) if D::SINGLE_WRITER => Ok(()),
            Err(error) => {
                connection.discard();
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn draw_ids(&self, sequence: Sequence, count: u64) -> StoreResult<u64> {
        let name = sequence.name();
        let mut session = self.writer().await?;
        session.open().await?;
        let lock = format!("SELECT next FROM stockade_sequences WHERE name = '{name}'{}", D::LOCK);
        let first = fetch_optional(session.connection(), lock, |row| row.count()).await?;
        let Some(first) = first else {
            return Err(StoreError::new(Fault::Fatal, format!("the sequence {name} is missing")));
        };
        let first = self.first_free(&mut session, sequence, first, count).await?;
        let next = first.saturating_add(count);
        let set = format!("UPDATE stockade_sequences SET next = {next} WHERE name = '{name}'");
        execute(session.connection(), &[&set]).await?;
        session.finish("COMMIT").await?;
        Ok(first)
    }

    /// Reads the store's own id, drawn by the first engine that opens it.
    async fn identify(&self) -> StoreResult<u64> {
        if let Some(id) = self.read_identity().await? {
            return Ok(id);
        }
        let id = runtime::random::<u64>() >> 1;
        let mut session = self.writer().await?;
        session.open().await?;
        let insert =
            format!("INSERT INTO stockade_sequences (name, next) VALUES ('{IDENTITY}', {id})");
        match execute(session.connection(), &[&insert]).await {
            Ok(()) => session.finish("COMMIT").await.map(|()| id),
            // Another process was quicker, so it is read when this is tried again.
            Err(error) if error.fault == Fault::Duplicate => {
                drop(session);
                self.read_identity().await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn read_identity(&self) -> StoreResult<Option<u64>> {
        let sql = format!("SELECT next FROM stockade_sequences WHERE name = '{IDENTITY}'");
        Ok(self.select_one(sql, |row| row.count()).await?.0)
    }

    /// The first of `count` ids from `from` on that no row has. Rows that were
    /// imported, or written by a process whose draw a fail-over has lost, are
    /// passed over; the span looked at doubles, so that many cost few looks.
    async fn first_free(
        &self,
        session: &mut SqlSession<D>,
        sequence: Sequence,
        mut from: u64,
        count: u64,
    ) -> StoreResult<u64> {
        let Some(table) = sequence.table() else { return Ok(from) };
        let mut span = count;
        for _ in 0..LOOKS_MAX {
            let end = from.saturating_add(span).min(i64::MAX.unsigned_abs());
            let sql = format!(
                "SELECT id FROM {table} WHERE id >= {from} AND id < {end} ORDER BY id DESC LIMIT 1"
            );
            let taken = fetch_optional(session.connection(), sql, |row| row.count()).await?;
            let Some(taken) = taken else { return Ok(from) };
            from = taken + 1;
            span = span.saturating_mul(2);
        }
        let why = format!("no {count} free ids were found in {table} up to {from}");
        Err(StoreError::new(Fault::Fatal, why))
    }

    async fn insert(&self, new: ProductInsert<'_>) -> StoreResult<()> {
        let mut session = self.writer().await?;
        session.open().await?;
        let asked = self.time.start_observation();
        let now = self.time.observe(session.read_clock().await?, asked);
        let inserts = super::writes::insert_product(&new, now, D::CURSOR);
        run_checked(session.connection(), &inserts, &mut ()).await?;
        session.finish("COMMIT").await
    }

    async fn due(&self, limit: u32) -> StoreResult<DueProducts> {
        // The soonest first, one over the limit, so that the next moment is
        // among them.
        let sql = format!(
            "SELECT id, next_due FROM stockade_products WHERE next_due IS NOT NULL \
             ORDER BY next_due LIMIT {limit}"
        );
        let mut soonest = Vec::new();
        let read = Statement::read(sql, |soonest: &mut Vec<(ProductId, Timestamp)>, row| {
            soonest.push((ProductId(row.count()?), row.time()?));
            Ok(())
        });
        let now = self.select(&[read], &mut soonest).await?;
        let next = soonest.first().map(|(_, at)| *at);
        soonest.retain(|(_, at)| *at <= now);
        Ok(DueProducts { products: soonest, next, now })
    }

    async fn read_product(&self, id: ProductId) -> StoreResult<Option<(CachedProduct, Timestamp)>> {
        let columns = rows::PRODUCT;
        let sql = format!("SELECT {columns} FROM stockade_products WHERE id = {id}");
        let (mut found, now) = self.read_products(sql).await?;
        Ok(found.pop().map(|product| (product, now)))
    }

    async fn read_page(&self, after: u64, limit: u32) -> StoreResult<Vec<CachedProduct>> {
        let columns = rows::PRODUCT;
        let sql = format!(
            "SELECT {columns} FROM stockade_products WHERE id > {after} ORDER BY id LIMIT {limit}"
        );
        Ok(self.read_products(sql).await?.0)
    }

    async fn read_hold(&self, id: HoldId) -> StoreResult<Option<(Hold, Timestamp)>> {
        let sql = format!("SELECT {} FROM stockade_holds WHERE id = {id}", rows::HOLD);
        let (mut found, now) = self.select_one(sql, rows::hold).await?;
        if let Some(hold) = found.as_mut().filter(|hold| hold.status == HoldStatus::Converted) {
            // Written by the transaction that converted the hold, for good.
            let sql = format!("SELECT id FROM stockade_orders WHERE hold_id = {id}");
            hold.order_id = self.select_one(sql, |row| row.count().map(OrderId)).await?.0;
        }
        Ok(found.map(|hold| (hold, now)))
    }

    async fn read_order(&self, id: OrderId) -> StoreResult<Option<(OrderRow, Timestamp)>> {
        let sql = format!("SELECT {} FROM stockade_orders WHERE id = {id}", rows::ORDER);
        let (found, now) = self.select_one(sql, rows::order).await?;
        Ok(found.map(|row| (row, now)))
    }

    async fn read_owners(&self, kind: Owned, ids: &[u64]) -> StoreResult<HashMap<u64, ProductId>> {
        let table = match kind {
            Owned::Hold => "holds",
            Owned::Order => "orders",
        };
        // Many may ask at once; no statement of theirs may be too long.
        let select = |ids: &[u64]| {
            let ids = list(ids);
            let sql = format!("SELECT id, product_id FROM stockade_{table} WHERE id IN ({ids})");
            Statement::read(sql, |found: &mut HashMap<u64, ProductId>, row| {
                found.insert(row.count()?, ProductId(row.count()?));
                Ok(())
            })
        };
        let reads: Vec<_> = ids.chunks(statements::IDS_MAX).map(select).collect();
        let mut found = HashMap::with_capacity(ids.len());
        self.select(&reads, &mut found).await?;
        Ok(found)
    }

    async fn read_audit(&self) -> StoreResult<AuditFacts> {
        let mut connection = self.database.acquire(Use::Read).await?;
        let read = read_facts::<D>(connection.as_mut(), &self.time, STEP).await;
        if read.is_err() {
            connection.discard();
        }
        read
    }

    async fn read_events(&self, cursor: u64, limit: u32) -> StoreResult<Vec<Event>> {
        read_events(&self.database, &self.time, cursor, limit).await
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
        Box::pin(with_retries(self.retries, move || self.draw_ids(sequence, count)))
    }

    fn identity(&self) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(with_retries(self.retries, move || self.identify()))
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        // Once more, since the first may find a connection that was lost.
        Box::pin(with_retries(self.retries.min(1), move || self.check_readiness()))
    }

    fn product(
        &self,
        id: ProductId,
    ) -> BoxFuture<'_, StoreResult<Option<(CachedProduct, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || self.read_product(id)))
    }

    fn products(&self, after: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<CachedProduct>>> {
        Box::pin(with_retries(self.retries, move || self.read_page(after, limit)))
    }

    fn insert_product<'a>(&'a self, product: ProductInsert<'a>) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(self.insert(product))
    }

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || self.read_hold(id)))
    }

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>> {
        Box::pin(with_retries(self.retries, move || self.read_order(id)))
    }

    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, ProductId>>> {
        Box::pin(with_retries(self.retries, move || self.read_owners(kind, ids)))
    }

    fn due_products(&self, limit: u32) -> BoxFuture<'_, StoreResult<DueProducts>> {
        Box::pin(with_retries(self.retries, move || self.due(limit)))
    }

    fn events_after(&self, cursor: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<Event>>> {
        Box::pin(with_retries(self.retries, move || self.read_events(cursor, limit)))
    }

    fn forget_keys(&self, life: Duration, limit: u32) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async move {
            let now = self.select(&[Statement::<()>::new("SELECT 1")], &mut ()).await?;
            let life = i64::try_from(life.as_micros()).unwrap_or(i64::MAX);
            let before = now.micros().saturating_sub(life);
            let mut keys = Vec::new();
            let sql = format!(
                "SELECT idempotency_key FROM stockade_idempotency_keys WHERE created_at < {before} \
                 ORDER BY created_at LIMIT {limit}"
            );
            let read = Statement::read(sql, |keys: &mut Vec<String>, row| {
                keys.push(row.key()?);
                Ok(())
            });
            self.select(&[read], &mut keys).await?;
            if keys.is_empty() {
                return Ok(0);
            }
            let keys = super::statements::hex_list(&keys);
            let mut session = self.writer().await?;
            let sql =
                format!("DELETE FROM stockade_idempotency_keys WHERE idempotency_key IN ({keys})");
            let delete = Statement::<()>::new(sql);
            let deleted = run(session.connection(), &[delete], &mut ()).await?;
            Ok(deleted.first().copied().unwrap_or(0))
        })
    }

    fn audit(&self) -> BoxFuture<'_, StoreResult<AuditFacts>> {
        Box::pin(async move {
            // Each reads every row: many at once would leave the database no
            // time for buyers.
            let turn = tokio::time::timeout(AUDIT_TURN, self.auditing.lock()).await;
            let Ok(_turn) = turn else {
                let why = "another audit is running in this engine; try again when it is done";
                return Err(StoreError::new(Fault::LockWait, why));
            };
            with_retries(self.retries, || self.read_audit()).await
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
        self.database.close()
    }
}
