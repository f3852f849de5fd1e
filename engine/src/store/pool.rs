//! Connection pools.
//!
//! Dropping a connection returns it at once, without a task and without a ping,
//! so the next batch finds it idle. A connection that broke meanwhile fails at its
//! first statement, which is retried.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType,
    Timeouts,
};

use super::error::{Fault, StoreError, StoreResult};

/// NATs and proxies drop idle connections after some minutes, and servers close
/// old ones.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
const AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// A pool of at most `size` connections, opened when they are first needed.
/// `timeout` bounds the wait for a connection and its opening.
pub(super) fn pool<M: Manager>(maker: M, size: u32, timeout: Duration) -> StoreResult<Pool<M>> {
    Pool::builder(maker)
        .max_size(usize::try_from(size).unwrap_or(usize::MAX))
        .wait_timeout(Some(timeout))
        .create_timeout(Some(timeout))
        // The one used last has the warmest caches.
        .queue_mode(QueueMode::Lifo)
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::new(Fault::Fatal, error))
}

pub(super) async fn checkout<M>(pool: &Pool<M>) -> StoreResult<Object<M>>
where
    M: Manager<Error = StoreError>,
{
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        error => StoreError::new(Fault::Lost, error.to_string()),
    })
}

/// How long after a commit a fully used pool counts as working.
const AT_WORK: Duration = Duration::from_secs(2);
/// How long a readiness check waits for a connection of a pool that commits
/// nothing.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// When something last succeeded. A plain mutex: each critical section copies the
/// instant.
#[derive(Debug, Default)]
pub(super) struct LastSuccess(Mutex<Option<Instant>>);

impl LastSuccess {
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_within(&self, bound: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < bound)
    }
}

/// What a readiness check gets from a pool.
pub(super) enum Acquired<M: Manager> {
    Connection(Object<M>),
    /// All connections are in use, and commits succeed.
    BusyAtWork,
}

/// Acquires a connection for a readiness check, which does not queue behind load:
/// a pool that is busy with `commits` is ready.
pub(super) async fn checkout_unless_busy<M>(
    pool: &Pool<M>,
    commits: &LastSuccess,
) -> StoreResult<Acquired<M>>
where
    M: Manager<Error = StoreError>,
{
    for wait in [Duration::ZERO, BUSY_MAX] {
        let timeouts = Timeouts { wait: Some(wait), ..pool.timeouts() };
        match pool.timeout_get(&timeouts).await {
            Ok(connection) => return Ok(Acquired::Connection(connection)),
            Err(PoolError::Timeout(TimeoutType::Wait)) if commits.is_within(AT_WORK) => {
                return Ok(Acquired::BusyAtWork);
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => {}
            Err(PoolError::Backend(error)) => return Err(error),
            Err(error) => return Err(StoreError::new(Fault::Lost, error.to_string())),
        }
    }
    Err(StoreError::new(Fault::Lost, "all connections are busy, and none has committed lately"))
}

/// Closes a pool and returns its idle connections; the others close when they are
/// returned.
pub(super) fn close<M: Manager>(pool: &Pool<M>) -> Vec<M::Type> {
    let idle = pool.retain(|_, _| false).removed;
    pool.close();
    idle
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
    fn a_connection_that_is_old_or_was_silent_for_long_is_not_lent_again() {
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
