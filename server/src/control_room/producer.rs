//! The one producer of the control room's stream: it reads new events and the metrics,
//! and publishes what they tell. It ends with the last viewer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};
use stockade::{AsyncEngine, Event, EventKind, ProductId, Result};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::counters::{Counters, StoreState, rounded};
use super::cursor;
use super::feed::RECENT_MAX;
use super::frame::{Families, Frame, PERIOD, Sample, now_ms};
use crate::app::App;
use crate::event_view::EventView;

/// The events of one read. Two periods of the busiest shop that was measured fit.
const PAGE: u32 = 5_000;

/// The most reads of a period. What is still unread then is skipped: a page of the shop
/// as it is now needs no history.
const READS_MAX: u32 = 4;

/// How long the reads of a period may take.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The most changed products that a frame names.
const CHANGED_MAX: usize = 300;

/// Rates are those of the last readings, so many periods back: one period is too short
/// for a quiet shop.
const RATE_PERIODS: usize = 4;

/// Publishes a frame each period until nobody views it or the server drains.
pub async fn run(app: Arc<App>) {
    let mut producer = Producer::new(app.state.engine.clone());
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if app.state.is_draining() {
            return app.control_room.feed().close();
        }
        let frame = producer.frame().await;
        if !app.control_room.feed().publish(&frame) {
            return;
        }
    }
}

struct Producer {
    engine: AsyncEngine,
    /// The last event that was read; None before the first read.
    cursor: Option<u64>,
    /// Whether events were missed since the last frame.
    has_missed: bool,
    /// The last readings of the metrics, each with the events and the new holds of its
    /// period, the newest last.
    readings: VecDeque<Reading>,
}

struct Reading {
    counters: Counters,
    events: u64,
    holds: u64,
}

impl Producer {
    fn new(engine: AsyncEngine) -> Self {
        Self { engine, cursor: None, has_missed: false, readings: VecDeque::new() }
    }

    async fn frame(&mut self) -> Frame {
        let (is_first, started) = (self.cursor.is_none(), Instant::now());
        let read = match timeout(READ_TIMEOUT, self.read()).await {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the store did not respond within {READ_TIMEOUT:?}")),
        };
        let mut store =
            StoreState { read_ms: rounded(started.elapsed().as_secs_f64() * 1_000.0), error: None };
        let events = read.unwrap_or_else(|why| {
            store.error = Some(why);
            self.has_missed = true;
            Vec::new()
        });
        let mut frame = describe(&events);
        // The first ones are from before the viewer.
        let fresh = if is_first { &[][..] } else { &events[..] };
        let holds = fresh.iter().filter(|event| event.kind == EventKind::HoldCreated).count();
        self.readings.push_back(Reading {
            counters: Counters::read(&self.engine.metrics_text()),
            events: fresh.len() as u64,
            holds: holds as u64,
        });
        self.readings.drain(..self.readings.len().saturating_sub(RATE_PERIODS + 1));
        frame.now_ms = now_ms();
        if let (Some(first), Some(last)) = (self.readings.front(), self.readings.back()) {
            frame.state = last.counters.state(&first.counters, store);
            frame.sample = (self.readings.len() > 1).then(|| self.sample(first, last));
        }
        if store_is_back(&frame) && std::mem::take(&mut self.has_missed) {
            frame.changed_more = true;
        }
        frame
    }

    fn sample(&self, first: &Reading, last: &Reading) -> Sample {
        let seconds = last.counters.seconds_since(&first.counters);
        let sum = |of: fn(&Reading) -> u64| self.readings.iter().skip(1).map(of).sum::<u64>();
        Sample {
            holds: rounded(sum(|one| one.holds) as f64 / seconds),
            events: rounded(sum(|one| one.events) as f64 / seconds),
            refusals: last.counters.refusals(&first.counters),
            p99_ms: last.counters.p99_ms(&first.counters),
            batch: last.counters.batch(&first.counters),
            queue: last.counters.queue(),
        }
    }

    /// Reads the events since the last read; at first the newest ones.
    async fn read(&mut self) -> Result<Vec<Event>> {
        let mut cursor = match self.cursor {
            Some(cursor) => cursor,
            None => self.skip(0).await?,
        };
        let mut all = Vec::new();
        for _ in 0..READS_MAX {
            let page = self.engine.events_after(cursor, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            cursor = page.last().map_or(cursor, |event| event.cursor);
            all.extend(page);
            if is_last {
                self.cursor = Some(cursor);
                return Ok(all);
            }
        }
        self.cursor = Some(self.skip(cursor).await?);
        self.has_missed = true;
        Ok(all)
    }

    /// Returns the cursor before the newest events.
    async fn skip(&self, from: u64) -> Result<u64> {
        let newest = cursor::newest(&self.engine, from).await?;
        Ok(newest.saturating_sub(RECENT_MAX as u64).max(from))
    }
}

/// Whether the read of a frame succeeded: only then is the page told to read again.
fn store_is_back(frame: &Frame) -> bool {
    frame.state.store.error.is_none()
}

/// Summarizes events.
fn describe(events: &[Event]) -> Frame {
    let mut families = Families::default();
    let mut changed: BTreeSet<ProductId> = BTreeSet::new();
    for event in events {
        changed.extend(Some(event.product_id).filter(|id| id.0 > 0));
        let kind = event.kind.as_str();
        let family = match kind.split('.').next() {
            Some("hold") => &mut families.holds,
            Some("order") => &mut families.orders,
            Some("payment") => &mut families.payments,
            _ => &mut families.others,
        };
        *family += 1;
    }
    let newest = &events[events.len().saturating_sub(RECENT_MAX)..];
    Frame {
        families,
        changed_more: changed.len() > CHANGED_MAX,
        changed: changed.into_iter().take(CHANGED_MAX).collect(),
        newest_order: events.iter().filter_map(|event| event.order_id).max(),
        // Texts and numbers only: it cannot fail.
        events: newest.iter().filter_map(render).collect(),
        ..Frame::default()
    }
}

fn render(event: &Event) -> Option<Box<RawValue>> {
    to_raw_value(&EventView::brief(event)).ok()
}
