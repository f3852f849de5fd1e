//! Delivers pages of events to a target that takes them in order: a Redis stream, or the
//! plain table of events.

use std::sync::Arc;
use std::time::Duration;

use stockade::{ConsumerChanges, Event, EventRow};
use tokio::time::{Instant, sleep_until};

use super::endpoint::note_missed;
use super::lanes::Now;
use super::lease::{Held, Saved};
use super::metrics::TargetMetrics;
use super::plan::{StreamPlan, Target};
use super::sender::pause_after;
use super::stream::Stream;
use super::{PAGE, POLL_MAX, POLL_MIN, Shared};
use crate::event_view::EventView;

/// The longest pause between two attempts: a Redis that is back goes on soon.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where pages go.
pub enum Sink {
    /// A Redis stream: at least once.
    Stream(Box<Stream>),
    /// The plain table, in the transaction that moves the position: exactly once.
    Rows,
}

impl From<StreamPlan> for Sink {
    fn from(plan: StreamPlan) -> Self {
        Self::Stream(Box::new(plan.into()))
    }
}

/// Delivers until the relay stops.
pub async fn run(shared: Arc<Shared>, target: Target, mut sink: Sink) {
    let metrics = shared.metrics.of(&target.name);
    while let Some(mut held) = Held::acquire(&shared, &target).await {
        let mut position = held.lease.position;
        if deliver(&shared, &target, &metrics, &mut sink, &mut held, &mut position).await {
            let changes = ConsumerChanges { position, ..ConsumerChanges::default() };
            held.give_back(&shared, &changes).await;
            return;
        }
    }
}

/// Delivers until the relay stops, which returns `true`, or the lease is lost.
async fn deliver(
    shared: &Shared,
    target: &Target,
    metrics: &TargetMetrics,
    sink: &mut Sink,
    held: &mut Held,
    position: &mut u64,
) -> bool {
    let (mut pause, mut failed, mut wake_at) = (POLL_MIN, 0, Instant::now());
    loop {
        let at = wake_at.min(held.renew_at());
        if shared.stop.run_until_cancelled(sleep_until(at)).await.is_none() {
            return true;
        }
        if Instant::now() < wake_at {
            let changes = ConsumerChanges { position: *position, ..ConsumerChanges::default() };
            if held.save(shared, &changes).await == Saved::Lost {
                return false;
            }
            continue;
        }
        let page = shared.engine.events_after(*position, PAGE).await;
        let events = page.unwrap_or_else(|error| {
            tracing::warn!(%error, endpoint = target.name, "relay: cannot read events");
            Vec::new()
        });
        let Some(last) = events.last().map(|event| event.cursor) else {
            metrics.oldest_seconds.set(0);
            pause = (pause * 2).min(POLL_MAX);
            wake_at = Instant::now() + pause;
            continue;
        };
        note_missed(metrics, &target.name, *position, &events);
        let age = events.first().map_or(0, |first| first.at.until(Now::read().at).as_secs());
        metrics.oldest_seconds.set(i64::try_from(age).unwrap_or(i64::MAX));
        match write(shared, target, sink, held, &events, last).await {
            Written::All(count) => {
                metrics.delivered.inc_by(count);
                *position = last;
                (pause, failed) = (POLL_MIN, 0);
                let is_full = events.len() >= PAGE as usize;
                wake_at = Instant::now() + if is_full { Duration::ZERO } else { pause };
            }
            Written::Lost => return false,
            Written::Failed(why) => {
                metrics.failed_attempts.inc();
                failed += 1;
                if failed == 1 {
                    tracing::warn!(endpoint = target.name, why, "relay: an attempt failed");
                }
                wake_at = Instant::now() + pause_after(failed, None).min(PAUSE_MAX);
            }
        }
    }
}

enum Written {
    All(u64),
    Lost,
    Failed(String),
}

async fn write(
    shared: &Shared,
    target: &Target,
    sink: &mut Sink,
    held: &mut Held,
    events: &[Event],
    last: u64,
) -> Written {
    let wanted: Vec<&Event> = events.iter().filter(|event| target.filter.passes(event)).collect();
    let count = wanted.len() as u64;
    let mut changes = ConsumerChanges { position: last, ..ConsumerChanges::default() };
    match sink {
        Sink::Stream(stream) if !wanted.is_empty() => {
            if let Err(why) = stream.append(&wanted).await {
                return Written::Failed(why);
            }
        }
        Sink::Stream(_) => {}
        Sink::Rows => {
            let rows: Result<_, serde_json::Error> =
                wanted.iter().map(|event| row(event)).collect();
            match rows {
                Ok(rows) => changes.rows = rows,
                Err(error) => return Written::Failed(error.to_string()),
            }
        }
    }
    match held.save(shared, &changes).await {
        Saved::Written { .. } => Written::All(count),
        Saved::Lost => Written::Lost,
        Saved::Failed => Written::Failed("the position cannot be saved".to_owned()),
    }
}

fn row(event: &Event) -> serde_json::Result<EventRow> {
    Ok(EventRow {
        cursor: event.cursor,
        product_id: event.product_id,
        kind: event.kind,
        at: event.at,
        payload: serde_json::to_string(&EventView::of(event))?,
    })
}
