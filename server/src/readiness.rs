//! Whether a hold could be made: what `/readyz` answers.

use std::time::Duration;

use stockade::Result;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::problem::{Code, Refusal};

/// How long an answer of the store counts. Probes come every few seconds, from
/// several load balancers: one question serves all of them.
const FRESH: Duration = Duration::from_millis(500);

/// How long the store may take to answer. Load balancers wait for a few
/// seconds, and what takes longer makes no holds in time either.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The last answer of the store, and when it came.
#[derive(Debug)]
pub struct Readiness {
    fresh: Duration,
    answer_within: Duration,
    /// Held while the store is asked, so that probes that come meanwhile share
    /// the answer (single-flight); tokio's, since it is held over an await.
    last: Mutex<Option<(Instant, Answered)>>,
}

/// What the store answered; none: nothing in time.
type Answered = Option<Result<()>>;

impl Default for Readiness {
    fn default() -> Self {
        Self { fresh: FRESH, answer_within: ANSWER_WITHIN, last: Mutex::default() }
    }
}

impl Readiness {
    /// Asks the store, unless it was asked a moment ago.
    ///
    /// # Errors
    /// Says why no hold could be made.
    pub async fn check(
        &self,
        ask: impl AsyncFnOnce() -> Result<()>,
    ) -> std::result::Result<(), Refusal> {
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
                let why = format!("the store did not answer within {:?}", self.answer_within);
                Err(Refusal::Server(Code::Unavailable, why.into()))
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
    async fn probes_share_one_question_while_its_answer_is_fresh() {
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
    async fn a_store_that_does_not_answer_is_waited_for_once_and_within_the_bound() {
        let (readiness, asked) = (readiness(LONG, SHORT), AtomicUsize::new(0));
        let probe = || {
            readiness.check(async || {
                asked.fetch_add(1, Ordering::Relaxed);
                pending().await
            })
        };
        let (one, other) = tokio::join!(probe(), probe());
        for refused in [one, other] {
            assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_refusal_of_the_store_is_the_answer() {
        let readonly = async || Err(stockade::Error::invalid_argument("read-only"));
        let refused = Readiness::default().check(readonly).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}
