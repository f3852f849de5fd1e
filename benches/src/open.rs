//! The open loop: a fixed rate of requests, independent of the answers.
//!
//! A closed loop sends less while answers are late, and so hides the worst of
//! them (coordinated omission). Here each request has a scheduled time, and its
//! latency counts from that time even if it was sent later.
//! its latency counts from that moment, also where it could only be sent later.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::contender::Contender;
use crate::run::{Run, Sink, Tally};

/// How often due requests are released. Tokio's timer has a resolution of a
/// millisecond, so a thread does it.
const TICK: Duration = Duration::from_micros(200);
/// How long requests in flight may take after a run.
const DRAIN: Duration = Duration::from_secs(60);

/// The rate and duration of an open loop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct OpenPlan {
    /// Requests per second.
    pub rate: f64,
    /// The most requests in flight; due requests beyond it wait, and their wait
    /// counts.
    pub in_flight: usize,
    /// Load before counting begins.
    pub warm_up: Duration,
    /// The counted duration.
    pub measured: Duration,
}

struct Schedule {
    plan: OpenPlan,
    since: Instant,
    /// The number of the next request.
    next: AtomicU64,
    /// One permit per request that is due and not sent.
    due: Semaphore,
    over: AtomicBool,
}

impl Schedule {
    fn when(&self, number: u64) -> Instant {
        self.since + Duration::from_secs_f64(number as f64 / self.plan.rate)
    }

    /// Releases due requests until the end; returns when that was.
    fn keep_time(&self) -> Duration {
        let length = self.plan.warm_up + self.plan.measured;
        let mut sent = 0;
        while self.since.elapsed() < length && !self.over.load(Ordering::Relaxed) {
            let due = (self.since.elapsed().as_secs_f64() * self.plan.rate) as u64;
            let more = usize::try_from(due - sent).unwrap_or(0);
            // A late request costs one permit, so unbounded lateness costs no
            // memory.
            self.due.add_permits(more.min(Semaphore::MAX_PERMITS - self.due.available_permits()));
            sent = due;
            std::thread::sleep(TICK);
        }
        let ended = self.since.elapsed();
        self.over.store(true, Ordering::Relaxed);
        self.due.close();
        ended
    }
}

/// Runs an open loop. Counts requests sent after the warm-up; those due but
/// unsent at the end count as waits.
pub(crate) async fn run<C: Contender>(contender: &Arc<C>, plan: OpenPlan) -> Run {
    run_until(contender, plan, pending()).await
}

/// Runs an open loop that ends with `end`, if that is earlier than the plan.
///
/// # Panics
/// When requests never finish.
pub async fn run_until<C: Contender>(
    contender: &Arc<C>,
    plan: OpenPlan,
    end: impl Future<Output = ()>,
) -> Run {
    let callers = plan.in_flight.min(contender.most_callers());
    contender.prepare(callers).await;
    let schedule = Arc::new(Schedule {
        plan,
        since: Instant::now(),
        next: AtomicU64::new(0),
        due: Semaphore::new(0),
        over: AtomicBool::new(false),
    });
    let sink = Arc::new(Sink::new());
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let (contender, schedule, sink) =
            (Arc::clone(contender), Arc::clone(&schedule), Arc::clone(&sink));
        all.spawn(async move { ask_when_due(&*contender, caller, &schedule, &sink).await });
    }
    let keeper = Arc::clone(&schedule);
    let mut keeping = tokio::task::spawn_blocking(move || keeper.keep_time());
    let ended = tokio::select! {
        ended = &mut keeping => ended,
        () = end => {
            schedule.over.store(true, Ordering::Relaxed);
            keeping.await
        }
    };
    let ended = ended.expect("keeping time does not panic");
    contender.over();
    let tallies = tokio::time::timeout(DRAIN, all.join_all()).await;
    let mut tallies = tallies.unwrap_or_else(|_| panic!("{} never ends", contender.name()));
    // The oldest unsent request waited at least until the end.
    let mut unsent = Tally::default();
    let oldest = schedule.when(schedule.next.load(Ordering::Relaxed)) - schedule.since;
    unsent.waited(ended.saturating_sub(oldest));
    tallies.push(unsent);
    let mut run = sink.sum(tallies, contender.units(), ended.saturating_sub(plan.warm_up));
    run.per_caller.pop();
    run
}

async fn ask_when_due<C: Contender>(
    contender: &C,
    caller: usize,
    schedule: &Schedule,
    sink: &Sink,
) -> Tally {
    let mut tally = Tally::default();
    let counted_from = schedule.since + schedule.plan.warm_up;
    while let Ok(permit) = schedule.due.acquire().await {
        permit.forget();
        let due = schedule.when(schedule.next.fetch_add(1, Ordering::Relaxed));
        let answer = contender.request(caller).await;
        if due >= counted_from {
            tally.count(answer, due.elapsed(), sink);
        }
        if schedule.over.load(Ordering::Relaxed) {
            break;
        }
        // Yields, as writing an immediate answer to a socket would.
        tokio::task::yield_now().await;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Answer;
    use crate::erased::erase;

    const TAKES: Duration = Duration::from_millis(20);

    struct Slow;

    impl Contender for Slow {
        fn name(&self) -> &str {
            "slow"
        }

        async fn request(&self, _caller: usize) -> Answer {
            tokio::time::sleep(TAKES).await;
            Answer::Done
        }
    }

    #[tokio::test]
    async fn a_request_sent_late_has_waited_since_it_was_due() {
        // Requests come twice as fast as it answers, one at a time.
        let plan = OpenPlan {
            rate: 100.0,
            in_flight: 1,
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(400),
        };
        let run = erase(Slow).open(plan).await;
        assert!(run.done >= 5, "{run:?}");
        assert!(run.longest > TAKES * 4, "{:?}", run.longest);
        assert!(run.latency.max() > 4 * TAKES.as_nanos() as u64);
    }

    #[tokio::test]
    async fn a_run_may_be_over_early() {
        let plan = OpenPlan {
            rate: 100.0,
            in_flight: 4,
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(60),
        };
        let end = tokio::time::sleep(TAKES * 10);
        let run = run_until(&Arc::new(Slow), plan, end).await;
        assert!(run.elapsed >= TAKES * 10 && run.elapsed < Duration::from_secs(30), "{run:?}");
    }
}
