//! The readiness check behind `/readyz`: whether the store is reachable and
//! writable.

use std::time::Duration;

use stockade::Result;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::problem::{Code, Rejection};

/// How long a result is cached. Several load balancers probe every few seconds:
/// one ping serves them all.
const FRESH: Duration = Duration::from_millis(500);

/// The timeout of a ping. Load balancers wait for a few seconds, and a slower
/// store could not serve holds in time either.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Caches the last ping, with single-flight refresh.
#[derive(Debug)]
pub struct Readiness {
    fresh: Duration,
    answer_within: Duration,
    /// Held while a ping runs, so that concurrent probes share its result
    /// (single-flight). Tokio's mutex, because it is held across an await.
    last: Mutex<Option<(Instant, PingResult)>>,
}

/// The result of a ping; none: it timed out.
type PingResult = Option<Result<()>>;

impl Default for Readiness {
    fn default() -> Self {
        Self { fresh: FRESH, answer_within: ANSWER_WITHIN, last: Mutex::default() }
    }
}

impl Readiness {
    /// Pings the store unless the cached result is fresh.
    ///
    /// # Errors
    /// Why the store is not ready.
    pub async fn check(
        &self,
        ask: impl AsyncFnOnce() -> Result<()>,
    ) -> std::result::Result<(), Rejection> {
        let mut last = self.last.lock().await;
        let answered = match &*last {
            Some((at, answered)) if at.elapsed() < self.fresh => answered.clone(),
            _ => {
                let answered = timeout(self.answer_within, ask()).await.ok();
                *last = Some((Instant::now(), answered.clone()));
                answered
            }
        };
        match answered {
            Some(answer) => Ok(answer?),
            None => {
                let why = format!("the store did not respond within {:?}", self.answer_within);
                Err(Rejection::Server(Code::Unavailable, why.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(50);

    fn readiness(fresh: Duration, answer_within: Duration) -> Readiness {
        Readiness { fresh, answer_within, ..Readiness::default() }
    }

    #[tokio::test]
    async fn concurrent_probes_share_one_ping() {
        for (fresh, questions) in [(LONG, 1), (Duration::ZERO, 3)] {
            let (readiness, asked) = (readiness(fresh, LONG), AtomicUsize::new(0));
            let probe = || {
                readiness.check(async || {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(())
                })
            };
            let (one, other) = tokio::join!(probe(), probe());
            assert!(one.is_ok() && other.is_ok() && probe().await.is_ok());
            assert_eq!(asked.load(Ordering::Relaxed), questions);
        }
    }

    #[tokio::test]
    async fn a_hanging_ping_times_out_once() {
        let (readiness, asked) = (readiness(LONG, SHORT), AtomicUsize::new(0));
        let probe = || {
            readiness.check(async || {
                asked.fetch_add(1, Ordering::Relaxed);
                pending().await
            })
        };
        let (one, other) = tokio::join!(probe(), probe());
        for rejected in [one, other] {
            assert_eq!(rejected.unwrap_err().code(), Code::Unavailable);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn check_returns_the_ping_error() {
        let readonly = async || Err(stockade::Error::invalid_argument("read-only"));
        let rejected = Readiness::default().check(readonly).await;
        assert_eq!(rejected.unwrap_err().code(), Code::InvalidArgument);
    }
}
