//! A transaction: begin, lock and read; write; commit.
//!
//! Rows that belong to a locked product are read by plain SELECTs after it: at
//! READ COMMITTED such a read sees all that was committed before the lock was
//! acquired, and every writer of these rows holds the same lock. The writes repeat
//! each guard all the same (optimistic concurrency).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::connection::Connection;
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::hold_rows::HoldRows;
use super::statement::{Statement, execute, fetch_optional, read_clock, run, run_checked};
use super::statements::{self, DueRows, Loading};
use super::time::Timekeeper;
use super::writes::{self, Conflict};
use super::{Batch, CommitError, Loaded, ReadSet, Session};
use crate::ledger::{Due, HoldRow, ProductRow, Rows};
use crate::model::{HoldId, HoldStatus, Product, ProductId, Timestamp};

pub(super) struct SqlSession<D> {
    database: std::marker::PhantomData<D>,
    time: Arc<Timekeeper>,
    connection: Box<dyn Connection>,
    /// Whether a transaction may be open.
    is_open: bool,
    /// The rows of holds that the transaction has read; its writes start from them.
    holds: HoldRows,
}

impl<D> Drop for SqlSession<D> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.discard();
        }
    }
}

impl<D: Database> SqlSession<D> {
    pub async fn acquire(database: &D, time: Arc<Timekeeper>) -> StoreResult<Self> {
        let connection = database.pools().writer().await?;
        Ok(Self {
            database: std::marker::PhantomData,
            time,
            connection,
            is_open: false,
            holds: HoldRows::default(),
        })
    }

    pub fn connection(&mut self) -> &mut dyn Connection {
        self.connection.as_mut()
    }

    pub async fn open(&mut self) -> StoreResult<()> {
        self.is_open = true;
        execute(self.connection(), &[D::BEGIN]).await
    }

    /// Ends the transaction, if one is open, by COMMIT or ROLLBACK.
    pub async fn finish(&mut self, statement: &str) -> StoreResult<()> {
        if self.is_open {
            execute(self.connection(), &[statement]).await?;
            self.is_open = false;
        }
        Ok(())
    }

    async fn load(&mut self, read_set: &ReadSet) -> StoreResult<Loaded> {
        let started = self.time.start_observation();
        let mut loading = Loading::default();
        let mut statements = vec![Statement::new(D::BEGIN)];
        statements.extend(Self::select_products(&read_set.products));
        // The earlier of the store's clock and of the time to decide by, which may be
        // another: what an earlier moment reads is more.
        let estimate = self.time.estimate().micros();
        let now = match D::NOW {
            Some(now) => format!("LEAST({now}, {estimate})"),
            None => estimate.to_string(),
        };
        statements.extend(statements::select_read_set(read_set, D::LOCK, &now, D::JOIN_IN_ORDER));
        self.is_open = true;
        run_checked(self.connection(), &statements, &mut loading).await?;
        let time = loading.locked_at;
        loading.unpack_holds(read_set);
        if D::SINGLE_WRITER {
            // The only writer may lock in any order: the holds and orders of the
            // read set may belong to further products.
            let rows = &loading.rows;
            let further = products_beyond(rows, rows.holds.values().map(|hold| hold.product_id));
            let further: Vec<_> = Self::select_products(&further).into_iter().collect();
            run(self.connection(), &further, &mut loading).await?;
        }
        let time = match time {
            // No product was locked, so no row has read the clock.
            None => read_clock::<D>(self.connection()).await?,
            locked_at => locked_at,
        };
        let now = self.time.observe(time, started);
        let mut rows = std::mem::take(&mut loading.rows);
        self.holds = std::mem::take(&mut loading.holds);
        self.load_orders_of_holds(&mut rows, read_set).await?;
        self.load_due(&mut rows, read_set, now).await?;
        if D::SINGLE_WRITER {
            // Due orders have further products as well.
            let further = products_beyond(&rows, std::iter::empty());
            let further: Vec<_> = Self::select_products(&further).into_iter().collect();
            run(self.connection(), &further, &mut loading).await?;
            for (id, row) in loading.rows.products {
                if row.next_due.is_some_and(|at| at <= now) {
                    rows.due.insert(id, Due { more: true, ..Due::default() });
                }
                rows.products.insert(id, row);
            }
        }
        Ok(Loaded { rows, now })
    }

    /// Each row has the time at which its product was locked.
    fn select_products(ids: &[ProductId]) -> Option<Statement<Loading>> {
        statements::select_products(ids, D::NOW.unwrap_or("NULL"), D::LOCK)
    }

    pub async fn lock_sequence(&mut self, name: &str) -> StoreResult<u64> {
        let lock = D::LOCK;
        let sql = format!("SELECT next FROM stockade_sequences WHERE name = '{name}'{lock}");
        let next = fetch_optional(self.connection(), sql, |row| row.count()).await?;
        next.ok_or_else(|| {
            let why = format!("stockade_sequences has no row `{name}`: restore it");
            StoreError::new(Fault::Fatal, why)
        })
    }

    /// Loads which orders the holds became. Hardly a request names a hold that did.
    async fn load_orders_of_holds(
        &mut self,
        rows: &mut Rows,
        read_set: &ReadSet,
    ) -> StoreResult<()> {
        let is_converted = |id: &&HoldId| {
            rows.holds.get(*id).is_some_and(|hold| hold.status == HoldStatus::Converted)
        };
        let converted: Vec<HoldId> = read_set.holds.iter().filter(is_converted).copied().collect();
        if !converted.is_empty() {
            let statements = statements::select_orders_of(&converted);
            run(self.connection(), &statements, rows).await?;
        }
        Ok(())
    }

    /// Loads due holds and orders of products that need them. Those of other
    /// products are left to the sweeper, so that buyers do not wait for it.
    async fn load_due(
        &mut self,
        rows: &mut Rows,
        read_set: &ReadSet,
        now: Timestamp,
    ) -> StoreResult<()> {
        let is_expired =
            |hold: &&HoldRow| hold.status == HoldStatus::Active && hold.expires_at <= now;
        let orders = read_set.orders.iter().filter_map(|id| rows.orders.get(id));
        let expired = rows.holds.values().filter(is_expired).map(|hold| hold.product_id);
        let named: BTreeSet<ProductId> =
            orders.flat_map(|row| row.order.products()).chain(expired).collect();
        let resized = rows.units_added(&read_set.resized);
        let is_needed = |product: &Product| {
            let wanted = read_set.wanted.get(&product.id).copied().unwrap_or(0)
                + resized.get(&product.id).copied().unwrap_or(0);
            let is_short = product.stock < wanted;
            is_short || read_set.due.contains(&product.id) || named.contains(&product.id)
        };
        let mut needed = Vec::new();
        for ProductRow { product, next_due, .. } in rows.products.values() {
            if next_due.is_none_or(|at| at > now) {
                continue;
            }
            if is_needed(product) {
                needed.push(product.id);
            } else {
                rows.due.insert(product.id, Due { more: true, ..Due::default() });
            }
        }
        if needed.is_empty() {
            return Ok(());
        }
        // The limit is shared, or a batch of many products would be long.
        let limit = (read_set.due_limit / u32::try_from(needed.len()).unwrap_or(u32::MAX)).max(1);
        let statements: Vec<_> =
            needed.iter().flat_map(|id| statements::select_due(*id, now, limit)).collect();
        let mut found: BTreeMap<ProductId, DueRows> = BTreeMap::new();
        run(self.connection(), &statements, &mut found).await?;
        for id in needed {
            let due = found.remove(&id).unwrap_or_default();
            statements::merge_due(rows, &mut self.holds, id, limit, due);
        }
        Ok(())
    }

    async fn write_and_commit(&mut self, batch: &Batch<'_>) -> Result<(), CommitError> {
        let mut writes =
            writes::writes::<D, _>(batch, &self.holds).map_err(CommitError::RolledBack)?;
        let conflict_checks =
            if D::SINGLE_WRITER { Vec::new() } else { writes::conflict_checks(batch) };
        if conflict_checks.is_empty() && writes.iter().all(|statement| statement.is_self_checking) {
            return self.commit_with(writes).await;
        }
        writes.extend(conflict_checks);
        self.write(&writes).await.map_err(CommitError::RolledBack)?;
        failpoint!(AfterWrite);
        self.commit().await
    }

    async fn commit(&mut self) -> Result<(), CommitError> {
        failpoint!(BeforeCommit);
        self.finish("COMMIT").await.map_err(|error| commit_error(error, 0))?;
        failpoint!(AfterCommit);
        Ok(())
    }

    /// Runs statements and COMMIT in one round trip: after a failed statement none
    /// is run.
    async fn commit_with(
        &mut self,
        mut statements: Vec<Statement<Conflict>>,
    ) -> Result<(), CommitError> {
        #[cfg(feature = "failpoints")]
        if crate::failpoints::splits() {
            self.write(&statements).await.map_err(CommitError::RolledBack)?;
            failpoint!(AfterWrite);
            return self.commit().await;
        }
        let commit = statements.len();
        statements.push(Statement::new("COMMIT"));
        failpoint!(BeforeCommit);
        match run(self.connection(), &statements, &mut Conflict::default()).await {
            Ok(_) => {
                self.is_open = false;
                failpoint!(AfterCommit);
                Ok(())
            }
            Err(error) => Err(commit_error(error, commit)),
        }
    }

    async fn write(&mut self, statements: &[Statement<Conflict>]) -> StoreResult<()> {
        let mut conflict = Conflict::default();
        run_checked(self.connection(), statements, &mut conflict).await?;
        if conflict.0 {
            let why = "an order and a payment event that waits for it were written at once";
            return Err(StoreError::new(Fault::Conflict, why));
        }
        Ok(())
    }
}

/// Returns these products and those of all orders, but for those that were read.
fn products_beyond(rows: &Rows, products: impl Iterator<Item = ProductId>) -> Vec<ProductId> {
    let of_orders = rows.orders.values().flat_map(|row| row.order.products());
    let mut further: Vec<ProductId> =
        products.chain(of_orders).filter(|id| !rows.products.contains_key(id)).collect();
    further.sort_unstable();
    further.dedup();
    further
}

/// Classifies the failure of statements of which that at `commit` is COMMIT. A
/// deadlock at COMMIT means that the server's cluster has certified a conflicting
/// transaction and rolled this one back. Any other failure at COMMIT, and one of
/// an unknown statement, leaves the commit in doubt.
fn commit_error(error: StoreError, commit: usize) -> CommitError {
    match error.statement {
        Some(at) if at < commit && matches!(error.fault, Fault::Duplicate | Fault::Conflict) => {
            CommitError::Rejected(error)
        }
        Some(at) if at < commit || error.fault == Fault::Deadlock => CommitError::RolledBack(error),
        _ => CommitError::InDoubt(error),
    }
}

impl<D: Database> Session for SqlSession<D> {
    fn begin<'a>(&'a mut self, read_set: &'a ReadSet) -> BoxFuture<'a, StoreResult<Loaded>> {
        Box::pin(self.load(read_set))
    }

    fn landed(&mut self, batch_id: u64) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(async move {
            let sql = format!("SELECT id FROM stockade_outbox WHERE batch_id = {batch_id}");
            let landed = fetch_optional(self.connection(), sql, |row| row.count()).await?;
            Ok(landed.is_some())
        })
    }

    fn commit<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(self.write_and_commit(batch))
    }

    fn write<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(async move {
            let writes = writes::writes::<D, _>(batch, &HoldRows::default());
            let mut statements = vec![Statement::new(D::BEGIN)];
            statements.extend(writes.map_err(CommitError::RolledBack)?);
            debug_assert!(statements.iter().all(|statement| statement.is_self_checking));
            self.is_open = true;
            self.commit_with(statements).await
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.finish("ROLLBACK"))
    }
}

#[cfg(test)]
mod tests;
