//! Retries idempotent work.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::error::StoreResult;
use crate::runtime;

pub(crate) fn pauses(retries: u32) -> ExponentialBuilder {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(4))
        .with_max_delay(Duration::from_millis(400))
        .with_max_times(usize::try_from(retries).unwrap_or(usize::MAX))
        .with_jitter();
    match runtime::jitter_seed() {
        Some(seed) => pauses.with_jitter_seed(seed),
        None => pauses,
    }
}

/// Retries `work` while its fault is transient. For reads and idempotent writes.
pub(crate) async fn with_retries<T, Fut>(
    retries: u32,
    work: impl FnMut() -> Fut + Send,
) -> StoreResult<T>
where
    Fut: Future<Output = StoreResult<T>> + Send,
{
    let retry = work.retry(pauses(retries)).sleep(runtime::sleep);
    retry.when(|error| error.fault.is_transient()).await
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder;

    use super::*;

    #[test]
    fn there_are_as_many_pauses_as_retries_and_none_is_long() {
        for retries in [0, 1, 12] {
            let pauses: Vec<Duration> = pauses(retries).build().collect();
            assert_eq!(pauses.len(), retries as usize);
            // Jitter at most doubles a pause.
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(800)), "{pauses:?}");
        }
    }
}
