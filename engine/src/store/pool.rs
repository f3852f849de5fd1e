//! Connection pools, and the connections that they lend.
//!
//! Dropping a connection returns it at once, without a task and without a ping,
//! so the next batch finds it idle. A connection that broke meanwhile fails at its
//! first statement, which is retried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType,
    Timeouts,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::ConnectionUsage;
use super::connection::{Connection, OnRow};
use super::error::{Fault, StoreError, StoreResult};

/// NATs and proxies drop idle connections after some minutes, and servers close
/// old ones.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
const AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long after a commit a readiness check counts a fully used pool as working.
const RECENT_COMMIT: Duration = Duration::from_secs(2);
/// How long a readiness check waits for a connection of a pool that commits
/// nothing.
const PROBE_WAIT: Duration = Duration::from_secs(2);

/// Opens, recycles and closes a dialect's sessions, and sends texts to them.
pub(super) trait Driver: Manager<Error = StoreError> + Clone + 'static {
    /// Joins statements into texts, each of which takes one round trip.
    fn join(&self, statements: &[&str]) -> StoreResult<Vec<String>>;

    /// Sends a text and appends the rows that each of its statements affected,
    /// as [`drain`](super::connection::drain) does.
    fn send(
        session: &mut Self::Type,
        text: String,
        timeout: Duration,
        rows_affected: &mut Vec<u64>,
        on_row: OnRow<'_>,
    ) -> impl Future<Output = StoreResult<()>> + Send;

    fn close(session: Self::Type) -> impl Future<Output = ()> + Send;

    fn prepare(&self, _: &mut Self::Type) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Records that all texts of a list succeeded.
    fn record_success(&self, _: &mut Self::Type) {}

    /// Records that a text of `_length` bytes failed. Returns whether the session
    /// must be discarded.
    fn record_failure(&self, error: &StoreError, _length: usize) -> bool {
        error.statement.is_none()
    }

    /// Closes a session instead of returning it to the pool: dropping it ends
    /// what is in flight.
    fn discard(&self, session: Object<Self>) {
        drop(Object::take(session));
    }
}

/// A database's writing and reading connections, opened when first needed.
pub(super) struct Pools<D: Driver> {
    pub writers: Pool<D>,
    readers: Pool<D>,
    /// Whether `readers` is another pool than `writers`.
    has_readers: bool,
    timeout: Duration,
    /// When a commit last succeeded. A plain mutex: each critical section copies
    /// the instant.
    committed_at: Arc<Mutex<Option<Instant>>>,
}

impl<D: Driver> Pools<D> {
    /// Prepares pools of these sizes; without `readers`, the writers read too.
    /// `timeout` bounds the wait for a connection, its opening, and each text.
    pub fn new(
        driver: D,
        writers: u32,
        readers: Option<u32>,
        timeout: Duration,
    ) -> StoreResult<Self> {
        let pool = |size: u32| {
            Pool::builder(driver.clone())
                .max_size(usize::try_from(size).unwrap_or(usize::MAX))
                .wait_timeout(Some(timeout))
                .create_timeout(Some(timeout))
                // The one used last has the warmest caches.
                .queue_mode(QueueMode::Lifo)
                .runtime(deadpool::Runtime::Tokio1)
                .build()
                .map_err(|error| StoreError::new(Fault::Fatal, error))
        };
        let (writers, has_readers) = (pool(writers)?, readers.is_some());
        let readers = readers.map_or_else(|| Ok(writers.clone()), pool)?;
        Ok(Self { writers, readers, has_readers, timeout, committed_at: Arc::default() })
    }

    pub async fn writer(&self) -> StoreResult<Box<dyn Connection>> {
        let session = self.writers.get().await.map_err(pool_error)?;
        Ok(self.lend(&self.writers, session).await)
    }

    pub async fn reader(&self) -> StoreResult<Box<dyn Connection>> {
        let session = self.readers.get().await.map_err(pool_error)?;
        Ok(self.lend(&self.readers, session).await)
    }

    /// Acquires a writing connection for a readiness check, which does not queue
    /// behind load. `None` if all are in use and commits succeed: the store is
    /// busy and ready.
    pub async fn probe(&self) -> StoreResult<Option<Box<dyn Connection>>> {
        for wait in [Duration::ZERO, PROBE_WAIT] {
            let timeouts = Timeouts { wait: Some(wait), ..self.writers.timeouts() };
            match self.writers.timeout_get(&timeouts).await {
                Err(PoolError::Timeout(TimeoutType::Wait)) => {
                    if self.committed_at.lock().is_some_and(|at| at.elapsed() < RECENT_COMMIT) {
                        return Ok(None);
                    }
                }
                session => {
                    let session = session.map_err(pool_error)?;
                    return Ok(Some(self.lend(&self.writers, session).await));
                }
            }
        }
        Err(StoreError::new(Fault::Lost, "all connections are in use and none commits"))
    }

    /// Returns how the connections are used now.
    pub fn usage(&self) -> ConnectionUsage {
        let mut usage = ConnectionUsage::default();
        for pool in [Some(&self.writers), self.has_readers.then_some(&self.readers)] {
            let Some(status) = pool.map(Pool::status) else { continue };
            usage.open += status.size;
            usage.in_use += status.size.saturating_sub(status.available);
            usage.waiting += status.waiting;
        }
        usage
    }

    /// Closes the idle connections; the others close when they are returned.
    pub async fn close(&self) {
        for pool in [&self.readers, &self.writers] {
            let idle = pool.retain(|_, _| false).removed;
            pool.close();
            for session in idle {
                D::close(session).await;
            }
        }
    }

    async fn lend(&self, pool: &Pool<D>, mut session: Object<D>) -> Box<dyn Connection> {
        pool.manager().prepare(&mut session).await;
        Box::new(PooledConnection {
            session: Some(session),
            pool: pool.clone(),
            timeout: self.timeout,
            committed_at: Arc::clone(&self.committed_at),
            is_busy: false,
        })
    }
}

pub(super) fn pool_error(error: PoolError<StoreError>) -> StoreError {
    match error {
        PoolError::Backend(error) => error,
        error => StoreError::new(Fault::Lost, error.to_string()),
    }
}

struct PooledConnection<D: Driver> {
    /// `None` once it was discarded.
    session: Option<Object<D>>,
    pool: Pool<D>,
    timeout: Duration,
    committed_at: Arc<Mutex<Option<Instant>>>,
    /// Whether statements are in flight.
    is_busy: bool,
}

impl<D: Driver> Drop for PooledConnection<D> {
    fn drop(&mut self) {
        // The caller was cancelled: the rest of the response must not reach the
        // next one.
        if self.is_busy {
            self.discard();
        }
    }
}

impl<D: Driver> Connection for PooledConnection<D> {
    fn run<'a>(
        &'a mut self,
        statements: &'a [&'a str],
        on_row: OnRow<'a>,
    ) -> BoxFuture<'a, StoreResult<Vec<u64>>> {
        Box::pin(async move {
            let Some(session) = &mut self.session else {
                return Err(StoreError::new(Fault::Lost, "the connection was discarded"));
            };
            let driver = self.pool.manager();
            let texts = driver.join(statements)?;
            let mut rows_affected = Vec::with_capacity(statements.len());
            self.is_busy = true;
            for text in texts {
                let length = text.len();
                let on_row = &mut *on_row;
                let sent = D::send(session, text, self.timeout, &mut rows_affected, on_row).await;
                if let Err(error) = sent {
                    self.is_busy = false;
                    if driver.record_failure(&error, length) {
                        self.discard();
                    }
                    return Err(error);
                }
            }
            self.is_busy = false;
            driver.record_success(session);
            if statements.last() == Some(&"COMMIT") {
                *self.committed_at.lock() = Some(Instant::now());
            }
            Ok(rows_affected)
        })
    }

    fn discard(&mut self) {
        if let Some(session) = self.session.take() {
            self.pool.manager().discard(session);
        }
    }
}

/// Reuses a network connection unless it has been idle or open for too long.
pub(super) fn while_fresh(metrics: &Metrics) -> RecycleResult<StoreError> {
    if metrics.last_used() > IDLE_MAX || metrics.age() > AGE_MAX {
        return Err(RecycleError::message("too old"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_old_or_long_idle_connection_is_not_reused() {
        let is_lent = |age: Duration, idle: Duration| {
            let ago = |time| Instant::now().checked_sub(time).expect("the machine runs for longer");
            let (created, recycled) = (ago(age), Some(ago(idle)));
            while_fresh(&Metrics { created, recycled, recycle_count: 1 }).is_ok()
        };
        let minutes = |count: u64| Duration::from_secs(count * 60);
        assert!(is_lent(minutes(29), minutes(4)));
        assert!(!is_lent(minutes(31), minutes(1)));
        assert!(!is_lent(minutes(29), minutes(6)));
    }
}
