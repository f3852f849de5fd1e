//! Connections on loan.
//!
//! A loan ends where it is dropped, without a task and without a ping: the next
//! batch finds the connection there at once. One that broke meanwhile shows at
//! its first statement, and that is tried again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType,
    Timeouts,
};

use super::error::{Fault, StoreError, StoreResult};

/// What stands between may forget a connection that is silent for long, and
/// servers close old ones.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
const AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// A pool of at most `size` connections, made when they are first needed.
/// `timeout` bounds the wait for one as well as its making.
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

pub(super) async fn lend<M>(pool: &Pool<M>) -> StoreResult<Object<M>>
where
    M: Manager<Error = StoreError>,
{
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        error => StoreError::new(Fault::Lost, error.to_string()),
    })
}

/// How long a commit shows that a pool whose connections are all on loan is at
/// work.
const AT_WORK: Duration = Duration::from_secs(2);
/// How long a connection is waited for where nothing shows that.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// When something last happened.
#[derive(Debug, Default)]
pub(super) struct Recently(Mutex<Option<Instant>>);

impl Recently {
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_within(&self, bound: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < bound)
    }
}

/// What a check of readiness gets of a pool.
pub(super) enum Lending<M: Manager> {
    Lent(Object<M>),
    /// All connections are on loan, and commits are answered.
    BusyAtWork,
}

/// Lends a connection to a check of readiness, which does not queue behind load:
/// a pool that is busy with `commits` is ready.
pub(super) async fn lend_unless_busy<M>(
    pool: &Pool<M>,
    commits: &Recently,
) -> StoreResult<Lending<M>>
where
    M: Manager<Error = StoreError>,
{
    for wait in [Duration::ZERO, BUSY_MAX] {
        let timeouts = Timeouts { wait: Some(wait), ..pool.timeouts() };
        match pool.timeout_get(&timeouts).await {
            Ok(connection) => return Ok(Lending::Lent(connection)),
            Err(PoolError::Timeout(TimeoutType::Wait)) if commits.is_within(AT_WORK) => {
                return Ok(Lending::BusyAtWork);
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => {}
            Err(PoolError::Backend(error)) => return Err(error),
            Err(error) => return Err(StoreError::new(Fault::Lost, error.to_string())),
        }
    }
    Err(StoreError::new(Fault::Lost, "all connections are busy, and none has committed of late"))
}

/// Closes a pool and hands over its connections that are not on loan; the others
/// go when they come back.
pub(super) fn close<M: Manager>(pool: &Pool<M>) -> Vec<M::Type> {
    let idle = pool.retain(|_, _| false).removed;
    pool.close();
    idle
}

/// Lends a connection over a network out again unless it is too old for that.
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
