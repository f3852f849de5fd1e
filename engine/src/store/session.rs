//! A transaction: begin, lock and read; write; commit.
//!
//! What stands under a product's locked row is read plainly after it: at READ
//! COMMITTED such a read sees all that was committed before the lock was had,
//! and whoever changes these rows has the same lock. The writes repeat each
//! guard all the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::connection::{Connection, Database, Keep, Use, one, read_clock};
use super::error::{Fault, StoreError, StoreResult};
use super::statements::{self, Part};
use super::time::Timekeeper;
use super::writes::{self, Statement};
use super::{Batch, CommitError, Loaded, ReadSet, Session};
use crate::ledger::{Due, ProductRow, Rows};
use crate::model::{Hold, HoldId, HoldStatus, Product, ProductId, Timestamp};

pub(super) struct SqlSession<D> {
    database: std::marker::PhantomData<D>,
    time: Arc<Timekeeper>,
    connection: Box<dyn Connection>,
    /// Whether a transaction may be open.
    is_open: bool,
}

impl<D> Drop for SqlSession<D> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.give_up();
        }
    }
}

impl<D: Database> SqlSession<D> {
    pub async fn take(database: &D, time: Arc<Timekeeper>) -> StoreResult<Self> {
        let connection = database.take(Use::Write).await?;
        Ok(Self { database: std::marker::PhantomData, time, connection, is_open: false })
    }

    pub async fn run(&mut self, sql: String, keep: Keep<'_>) -> StoreResult<Vec<u64>> {
        self.connection.run(sql, keep).await
    }

    /// Runs the statements that begin a transaction.
    pub async fn open(&mut self, sql: String, keep: Keep<'_>) -> StoreResult<Vec<u64>> {
        self.is_open = true;
        self.run(sql, keep).await
    }

    pub async fn finish(&mut self, word: &str) -> StoreResult<()> {
        if self.is_open {
            self.run(word.to_owned(), &mut |_, _| Ok(())).await?;
            self.is_open = false;
        }
        Ok(())
    }

    async fn load(&mut self, read_set: &ReadSet) -> StoreResult<Loaded> {
        let asked = self.time.asks();
        let mut rows = Rows::default();
        let early_inserts =
            writes::insert_holds(&read_set.early_inserts.iter().collect::<Vec<_>>());
        let mut first = vec![D::BEGIN];
        first.extend(early_inserts.iter().map(|statement| statement.sql.as_str()));
        let products = Self::select_products(&read_set.products);
        let others = statements::select_needs(read_set, D::LOCK);
        self.is_open = true;
        let parts = products.into_iter().chain(others);
        let (time, rows_affected) = self.read_parts(&first, parts, &mut rows).await?;
        // What BEGIN is said to hit means nothing.
        check_rows_affected(&early_inserts, rows_affected.get(1..).unwrap_or_default())?;
        if D::SINGLE_WRITER {
            // No one else writes, so the order is free: what the commands
            // name tells which further products are concerned.
            let mut further: Vec<ProductId> = rows
                .holds
                .values()
                .map(|hold| hold.product_id)
                .chain(rows.orders.values().map(|row| row.order.product_id))
                .filter(|id| !rows.products.contains_key(id))
                .collect();
            further.sort_unstable();
            further.dedup();
            let further = Self::select_products(&further);
            self.read_parts(&[], further, &mut rows).await?;
        }
        let time = match time {
            // No product was there to tell it.
            None => self.read_clock().await?,
            told => told,
        };
        let now = self.time.hear(time, asked);
        self.load_due(&mut rows, read_set, now).await?;
        Ok(Loaded { rows, now })
    }

    /// Each row of a product tells when it was locked.
    fn select_products(ids: &[ProductId]) -> Option<(Part, String)> {
        statements::select_products(ids, D::NOW.unwrap_or("NULL"), D::LOCK)
    }

    pub async fn read_clock(&mut self) -> StoreResult<Option<Timestamp>> {
        read_clock::<D>(self.connection.as_mut()).await
    }

    /// Runs the parts in one round trip, after the `first` statements. Returns
    /// when the last product was locked, if the database is to tell, and the
    /// rows that each statement hit.
    async fn read_parts(
        &mut self,
        first: &[&str],
        parts: impl IntoIterator<Item = (Part, String)>,
        rows: &mut Rows,
    ) -> StoreResult<(Option<Timestamp>, Vec<u64>)> {
        let (kinds, parts): (Vec<Part>, Vec<String>) = parts.into_iter().unzip();
        let before = first.len();
        let mut sql = first.to_vec();
        sql.extend(parts.iter().map(String::as_str));
        if sql.is_empty() {
            return Ok((None, Vec::new()));
        }
        let mut time = None;
        let mut keep = |at: usize, row: super::rows::Cells<'_>| {
            let Some(part) = at.checked_sub(before).and_then(|at| kinds.get(at)) else {
                return Ok(());
            };
            if *part == Part::Products {
                time = time.max(row.opt_time(super::rows::PRODUCT_TIME)?);
            }
            statements::keep(*part, row, rows)
        };
        let rows_affected = self.run(sql.join("; "), &mut keep).await?;
        Ok((time, rows_affected))
    }

    /// Loads what is due where it may be needed. Elsewhere it is left to the
    /// sweeper, so that buyers do not wait for what they can do without.
    async fn load_due(
        &mut self,
        rows: &mut Rows,
        read_set: &ReadSet,
        now: Timestamp,
    ) -> StoreResult<()> {
        let is_dead = |hold: &&Hold| hold.status == HoldStatus::Active && hold.expires_at <= now;
        let paid = read_set.orders.iter().filter_map(|id| rows.orders.get(id));
        let dead = rows.holds.values().filter(is_dead);
        let named: BTreeSet<ProductId> =
            paid.map(|row| row.order.product_id).chain(dead.map(|hold| hold.product_id)).collect();
        let is_needed = |row: &&ProductRow| {
            let Product { id, stock, .. } = row.product;
            let is_short = read_set.wanted.get(&id).is_some_and(|wanted| stock < *wanted);
            is_short || read_set.due.contains(&id) || named.contains(&id)
        };
        let is_due = |row: &&ProductRow| row.next_due.is_some_and(|at| at <= now);
        let (due, left): (Vec<&ProductRow>, _) =
            rows.products.values().filter(is_due).partition(is_needed);
        let ids = |rows: Vec<&ProductRow>| rows.into_iter().map(|row| row.product.id).collect();
        let (due, left): (Vec<ProductId>, Vec<ProductId>) = (ids(due), ids(left));
        let unread = || Due { more: true, ..Due::default() };
        rows.due.extend(left.into_iter().map(|id| (id, unread())));
        if due.is_empty() {
            return Ok(());
        }
        // All of them together, or a batch of many products would be long.
        let limit = (read_set.due_limit / u32::try_from(due.len()).unwrap_or(u32::MAX)).max(1);
        let sql: Vec<String> =
            due.iter().flat_map(|id| statements::select_due(*id, now, limit)).collect();
        let mut found: Vec<(Vec<_>, Vec<_>, Option<Timestamp>)> =
            due.iter().map(|_| (Vec::new(), Vec::new(), None)).collect();
        self.run(sql.join("; "), &mut |at, row| {
            let Some((holds, orders, next)) = found.get_mut(at / 3) else { return Ok(()) };
            match at % 3 {
                0 => holds.push(super::rows::hold(row)?),
                1 => orders.push(super::rows::order(row)?),
                _ => *next = [row.opt_time(0)?, row.opt_time(1)?].into_iter().flatten().min(),
            }
            Ok(())
        })
        .await?;
        // What this transaction wrote ahead is there already, and may be due by
        // now; it is not part of the product until it is decided.
        let early_inserts: Vec<HoldId> =
            read_set.early_inserts.iter().map(|hold| hold.id).collect();
        for (id, (holds, orders, next)) in due.into_iter().zip(found) {
            statements::keep_due(rows, id, limit, (holds, &early_inserts), orders, next);
        }
        Ok(())
    }

    async fn write_and_commit(
        &mut self,
        batch: &Batch<'_>,
        at_commit: &(dyn Fn() + Sync),
    ) -> Result<(), CommitError> {
        let writes = writes::writes(batch, D::ROWS_AFFECTED, D::CURSOR);
        let conflict_checks =
            if D::SINGLE_WRITER { Vec::new() } else { writes::conflict_checks(batch) };
        if conflict_checks.is_empty() && writes.iter().all(|statement| statement.is_self_checking) {
            at_commit();
            return self.commit_with(&[], &writes).await;
        }
        self.write(&writes, &conflict_checks).await.map_err(CommitError::RolledBack)?;
        failpoint!(AfterWrite);
        at_commit();
        self.commit().await
    }

    async fn commit(&mut self) -> Result<(), CommitError> {
        failpoint!(BeforeCommit);
        self.finish("COMMIT").await.map_err(|error| failed(error, 0))?;
        failpoint!(AfterCommit);
        Ok(())
    }

    /// Writes and commits in one round trip: a statement that fails keeps those
    /// after it from being run.
    async fn commit_with(
        &mut self,
        first: &[&str],
        writes: &[Statement],
    ) -> Result<(), CommitError> {
        let mut sql = first.to_vec();
        sql.extend(writes.iter().map(|statement| statement.sql.as_str()));
        #[cfg(feature = "failpoints")]
        if crate::failpoints::splits() {
            let written = self.run(sql.join("; "), &mut |_, _| Ok(())).await;
            written.map_err(CommitError::RolledBack)?;
            failpoint!(AfterWrite);
            return self.commit().await;
        }
        let commit = sql.len();
        sql.push("COMMIT");
        failpoint!(BeforeCommit);
        match self.run(sql.join("; "), &mut |_, _| Ok(())).await {
            Ok(_) => {
                self.is_open = false;
                failpoint!(AfterCommit);
                Ok(())
            }
            Err(error) => Err(failed(error, commit)),
        }
    }

    async fn write(&mut self, writes: &[Statement], conflict_checks: &[String]) -> StoreResult<()> {
        let mut sql: Vec<&str> = writes.iter().map(|statement| statement.sql.as_str()).collect();
        sql.extend(conflict_checks.iter().map(String::as_str));
        let mut met = false;
        let rows_affected = self
            .run(sql.join("; "), &mut |at, _| {
                met |= at >= writes.len();
                Ok(())
            })
            .await?;
        check_rows_affected(writes, &rows_affected)?;
        if met {
            return Err(StoreError::new(
                Fault::Conflict,
                "an order met an event that waits for it",
            ));
        }
        Ok(())
    }
}

/// What statements leave behind of which one failed, where that at `commit` is
/// COMMIT. A server that answers COMMIT with a deadlock has found the
/// transaction in conflict with another of its cluster and rolled it back
/// before it answered. After anything else it must be looked for.
fn failed(error: StoreError, commit: usize) -> CommitError {
    match error.statement {
        Some(at) if at < commit && matches!(error.fault, Fault::Duplicate | Fault::Conflict) => {
            CommitError::Rejected(error)
        }
        Some(at) if at < commit || error.fault == Fault::Deadlock => CommitError::RolledBack(error),
        _ => CommitError::InDoubt(error),
    }
}

/// Each guard must have let all of its rows through.
fn check_rows_affected(statements: &[Statement], rows_affected: &[u64]) -> StoreResult<()> {
    for (statement, hit) in statements.iter().zip(rows_affected) {
        let Some(rows) = statement.rows else { continue };
        if u64::try_from(rows).ok() != Some(*hit) {
            let head: String = statement.sql.chars().take(60).collect();
            let why = format!("`{head}…` hit {hit} rows instead of {rows}");
            return Err(StoreError::new(Fault::Conflict, why));
        }
    }
    Ok(())
}

impl<D: Database> Session for SqlSession<D> {
    fn begin<'a>(&'a mut self, read_set: &'a ReadSet) -> BoxFuture<'a, StoreResult<Loaded>> {
        Box::pin(self.load(read_set))
    }

    fn landed(&mut self, batch_id: u64) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(async move {
            let mut landed = None;
            let sql = format!("SELECT id FROM stockade_outbox WHERE batch_id = {batch_id}");
            self.run(sql, &mut one(&mut landed, |row| row.count(0))).await?;
            Ok(landed.is_some())
        })
    }

    fn commit<'a>(
        &'a mut self,
        batch: &'a Batch<'a>,
        at_commit: &'a (dyn Fn() + Sync),
    ) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(self.write_and_commit(batch, at_commit))
    }

    fn write<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(async move {
            let writes = writes::writes(batch, D::ROWS_AFFECTED, D::CURSOR);
            debug_assert!(writes.iter().all(|statement| statement.is_self_checking));
            self.is_open = true;
            self.commit_with(&[D::BEGIN], &writes).await
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.finish("ROLLBACK"))
    }
}

#[cfg(test)]
mod tests;
