//! Implements [`Session`]: one transaction of the simulated store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;

use super::super::database::{Tables, TxnId};
use super::super::fault_schedule::FaultKind;
use super::super::world::{Process, here};
use super::statements::BatchWrites;
use super::{ConnectionQueue, SimulatedStore, due_of, lost};
use crate::ledger::{HoldRow, OrderRow};
use crate::model::Timestamp;
use crate::runtime;
use crate::store::{Batch, CommitError, Loaded, ReadSet, Session, StoreResult};

/// The result of a round trip: the outer error means that no response arrived,
/// the inner one is the server's.
type RoundTrip<T> = StoreResult<StoreResult<T>>;

pub(super) struct SimulatedSession {
    store: SimulatedStore,
    queue: ConnectionQueue,
    /// The transaction that may be open.
    txn: Option<TxnId>,
    is_broken: bool,
    _connection: OwnedSemaphorePermit,
}

impl Drop for SimulatedSession {
    fn drop(&mut self) {
        let Some(txn) = self.txn else { return };
        // The server detects the disconnect after a while and rolls back.
        let later = if self.store.faults.strikes(FaultKind::HalfOpen) { 2_500 } else { 20 };
        let later = here().draw_time(Duration::ZERO..Duration::from_millis(later));
        let (before, _) = self.queue.enter();
        let database = Arc::clone(&self.store.database);
        drop(Process::SERVERS.spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            runtime::sleep(later).await;
            database.roll_back(txn);
        }));
    }
}

impl SimulatedSession {
    pub(super) fn new(store: SimulatedStore, connection: OwnedSemaphorePermit) -> Self {
        let queue = ConnectionQueue::default();
        Self { store, queue, txn: None, is_broken: false, _connection: connection }
    }

    /// Runs `work` in the open transaction, beginning one if necessary.
    async fn run<T, F>(
        &mut self,
        is_commit: bool,
        work: impl FnOnce(SimulatedStore, TxnId) -> F,
    ) -> RoundTrip<T>
    where
        T: Send + 'static,
        F: Future<Output = StoreResult<T>> + Send + 'static,
    {
        if self.is_broken {
            return Err(lost("the connection is broken"));
        }
        let txn = *self.txn.get_or_insert_with(|| self.store.database.begin());
        let work = work(self.store.clone(), txn);
        let result =
            self.store.round_trip(&self.queue, is_commit, async move { Ok(work.await) }).await;
        self.is_broken |= result.is_err();
        result
    }

    async fn load(&mut self, read_set: &ReadSet) -> StoreResult<Loaded> {
        let wanted = read_set.clone();
        let (mut rows, now) =
            self.run(false, |store, txn| async move { store.load(txn, &wanted).await }).await??;
        let due = SimulatedStore::mark_due(&mut rows, read_set, now);
        if due.is_empty() {
            return Ok(Loaded { rows, now });
        }
        let limit = (read_set.due_limit / u32::try_from(due.len()).unwrap_or(u32::MAX)).max(1);
        let limit = limit as usize;
        let read = due.clone();
        let found = self
            .run(false, |store, txn| async move {
                store.statement(txn)?;
                let of = |tables: &Tables| read.iter().map(|id| due_of(tables, *id, now)).collect();
                Ok(store.database.read(of))
            })
            .await??;
        let found: Vec<(Vec<HoldRow>, Vec<OrderRow>, Option<Timestamp>)> = found;
        for (id, (mut holds, mut orders, next)) in due.into_iter().zip(found) {
            let due = rows.due.entry(id).or_default();
            due.more = holds.len() > limit || orders.len() > limit;
            due.next = next;
            holds.truncate(limit);
            orders.truncate(limit);
            due.holds = holds.iter().map(|hold| hold.id).collect();
            due.orders = orders.iter().map(|row| row.order.id).collect();
            rows.holds.extend(holds.into_iter().map(|hold| (hold.id, hold)));
            rows.orders.extend(orders.into_iter().map(|row| (row.order.id, row)));
        }
        Ok(Loaded { rows, now })
    }

    /// Writes and commits in one round trip.
    async fn write_and_commit(&mut self, writes: BatchWrites) -> Result<(), CommitError> {
        let result = self
            .run(true, |store, txn| async move {
                if let Err(error) = store.write_all(txn, &writes).await {
                    return Ok(Err(CommitError::RolledBack(error)));
                }
                Ok(store.commit_now(txn).map_err(CommitError::InDoubt))
            })
            .await;
        let done = match result {
            Ok(Ok(done)) => done,
            Ok(Err(error)) | Err(error) => Err(CommitError::InDoubt(error)),
        };
        if done.is_ok() {
            self.txn = None;
        }
        done
    }
}

impl Session for SimulatedSession {
    fn begin<'a>(&'a mut self, read_set: &'a ReadSet) -> BoxFuture<'a, StoreResult<Loaded>> {
        Box::pin(self.load(read_set))
    }

    fn landed(&mut self, batch_id: u64) -> BoxFuture<'_, StoreResult<bool>> {
        Box::pin(async move {
            self.run(false, |store, txn| async move {
                store.statement(txn)?;
                Ok(store.database.read(|tables| tables.outbox.contains_key(&batch_id)))
            })
            .await?
        })
    }

    fn commit<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(async move {
            let writes = BatchWrites::of(batch);
            if writes.is_self_checking() && !writes.needs_conflict_check() {
                return self.write_and_commit(writes).await;
            }
            let write =
                |store: SimulatedStore, txn| async move { store.write_all(txn, &writes).await };
            let result = self.run(false, write).await;
            result.and_then(|done| done).map_err(CommitError::RolledBack)?;
            let commit = |store: SimulatedStore, txn| async move { store.commit_now(txn) };
            let result = self.run(true, commit).await;
            result.and_then(|done| done).map_err(CommitError::InDoubt)?;
            self.txn = None;
            Ok(())
        })
    }

    fn write<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>> {
        Box::pin(self.write_and_commit(BatchWrites::of(batch)))
    }

    fn rollback(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async move {
            if self.txn.is_none() {
                return Ok(());
            }
            let end = |store: SimulatedStore, txn| async move {
                store.database.roll_back(txn);
                Ok(())
            };
            self.run(false, end).await??;
            self.txn = None;
            Ok(())
        })
    }
}
