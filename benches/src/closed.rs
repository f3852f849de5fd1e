//! The closed loop: each caller sends its next request after the answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, coop};

use crate::contender::Contender;
use crate::run::{Run, Sink, Tally};

/// How long requests in flight may take after a run. Longer than the TTL of any
/// contender's lock.
const DRAIN: Duration = Duration::from_secs(60);

/// The size and duration of a closed loop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ClosedPlan {
    /// The number of concurrent callers.
    pub callers: usize,
    /// Load before counting begins.
    pub warm_up: Duration,
    /// The counted duration.
    pub measured: Duration,
}

#[derive(Default)]
struct Phase {
    counting: AtomicBool,
    /// When counting ended.
    over: OnceLock<Instant>,
}

/// Runs a closed loop. Counts what is answered during the counted duration,
/// then waits for requests in flight, so that the next contender has the
/// machine to itself.
pub(crate) async fn run<C: Contender>(contender: &Arc<C>, plan: ClosedPlan) -> Run {
    let callers = contender.own_callers().unwrap_or(plan.callers);
    contender.prepare(callers).await;
    let phase = Arc::new(Phase::default());
    let sink = Arc::new(Sink::new());
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let (contender, phase, sink) =
            (Arc::clone(contender), Arc::clone(&phase), Arc::clone(&sink));
        let blocks = contender.blocks();
        let asking = async move { ask_until_over(&*contender, caller, &phase, &sink).await };
        if blocks {
            // Not by the runtime's block_on: a caller's thread does not know
            // tokio.
            all.spawn_blocking(move || pollster::block_on(asking));
        } else {
            all.spawn(asking);
        }
    }
    tokio::time::sleep(plan.warm_up).await;
    let since = Instant::now();
    phase.counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(plan.measured).await;
    let over = *phase.over.get_or_init(Instant::now);
    contender.over();
    let tallies = tokio::time::timeout(DRAIN, all.join_all()).await;
    let tallies = tallies.unwrap_or_else(|_| panic!("{} never ends", contender.name()));
    sink.sum(tallies, contender.units(), over - since)
}

async fn ask_until_over<C: Contender>(
    contender: &C,
    caller: usize,
    phase: &Phase,
    sink: &Sink,
) -> Tally {
    let mut tally = Tally::default();
    let mut asked = Instant::now();
    loop {
        let answer = contender.request(caller).await;
        // One clock reading per request: the end of one is the start of the
        // next.
        let answered = Instant::now();
        if let Some(over) = phase.over.get() {
            tally.waited(over.saturating_duration_since(asked));
            return tally;
        }
        if phase.counting.load(Ordering::Relaxed) {
            tally.count(answer, answered - asked, sink);
        }
        asked = answered;
        // A request that never waits would starve the thread's other callers.
        coop::consume_budget().await;
    }
}

/// Lets each caller send `times` requests and returns the total duration.
pub(crate) async fn each<C: Contender>(contender: &Arc<C>, callers: usize, times: u64) -> Duration {
    let callers = contender.own_callers().unwrap_or(callers);
    contender.prepare(callers).await;
    let since = Instant::now();
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let contender = Arc::clone(contender);
        let blocks = contender.blocks();
        let asking = async move {
            for _ in 0..times {
                contender.request(caller).await;
                coop::consume_budget().await;
            }
        };
        if blocks {
            // Not by the runtime's block_on: a caller's thread does not know
            // tokio.
            all.spawn_blocking(move || pollster::block_on(asking));
        } else {
            all.spawn(asking);
        }
    }
    all.join_all().await;
    since.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Answer;
    use crate::erased::erase;

    /// Answers caller 0 and rejects the others, one millisecond each.
    struct Picky;

    impl Contender for Picky {
        fn name(&self) -> &str {
            "picky"
        }

        async fn request(&self, caller: usize) -> Answer {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if caller == 0 { Answer::Done } else { Answer::Refused }
        }
    }

    #[tokio::test]
    async fn every_caller_is_counted() {
        let plan = ClosedPlan {
            callers: 3,
            warm_up: Duration::from_millis(20),
            measured: Duration::from_millis(200),
        };
        let run = erase(Picky).closed(plan).await;
        assert_eq!(run.per_caller.len(), 3);
        assert!(run.per_caller.contains(&run.done), "{run:?}");
        assert_eq!(run.per_caller.iter().sum::<u64>(), run.done + run.refused);
        assert_eq!(run.latency.len(), run.done + run.refused);
        assert!(run.done > 0 && run.failed.is_empty());
    }
}
