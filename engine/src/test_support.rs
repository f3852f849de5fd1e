//! Bounded waits for tests.

use std::time::Duration;

/// Far more than a wait takes, also on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Awaits `work`, and fails the test if that takes longer than [`WAIT_MAX`].
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Polls until `condition` holds, and fails the test as [`in_time`] does.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    in_time(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
