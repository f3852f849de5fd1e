//! The state of one endpoint's deliveries, without I/O: which event is sent next, which
//! wait, and what of it the store must know.
//!
//! A lane has the events of one product, of which one is sent at a time. An event that
//! fails is put aside, with the later ones of its lane, and kept in the store: so the
//! endpoint's position goes on, and other products do not wait. The position is the
//! cursor up to which every event is delivered or put aside.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use stockade::{ConsumerChanges, Event, ProductId, Timestamp, Undelivered, UndeliveredState};
use tokio::time::Instant;

/// The most events that are read ahead of the position.
const WINDOW_MAX: usize = 1_000;
/// The most events put aside: beyond it no further ones are read, so that an endpoint
/// that is down costs bounded memory and leaves the rest in the outbox.
const ASIDE_MAX: usize = 10_000;

/// Names a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    /// The events of a product.
    Product(u64),
    /// A dead letter that is sent again: its product has gone on without it.
    Resent(u64),
}

/// An event that is to be sent.
#[derive(Debug)]
pub struct Job {
    pub key: LaneKey,
    pub cursor: u64,
    /// `None` for an event that was put aside, which is read again.
    pub event: Option<Arc<Event>>,
}

/// The present moment, by the clock of this process's timers and by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub at: Timestamp,
}

impl Now {
    pub fn read() -> Self {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = at.map_or(0, |at| i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
        Self { instant: Instant::now(), at: Timestamp::from_micros(micros) }
    }
}

/// Why and until when an attempt failed.
#[derive(Debug)]
pub struct FailedAttempt {
    pub why: String,
    /// How long until the next attempt.
    pub pause: Duration,
    /// For how long after it was put aside an event is retried.
    pub give_up: Duration,
}

#[derive(Debug)]
struct Item {
    cursor: u64,
    product: ProductId,
    event: Option<Arc<Event>>,
    aside: Option<Undelivered>,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Item>,
}

/// The deliveries of one endpoint.
#[derive(Debug)]
pub struct Lanes {
    /// The cursor of the last event that was read.
    cursor: u64,
    /// Events that are read, and neither delivered nor put aside, with their times.
    window: BTreeMap<u64, Timestamp>,
    lanes: HashMap<LaneKey, Lane>,
    ready: VecDeque<LaneKey>,
    waiting: BTreeSet<(Instant, LaneKey)>,
    aside: usize,
    /// What the store does not know yet: events put aside, or none for those that are
    /// delivered now.
    changes: BTreeMap<u64, Option<Undelivered>>,
    saved_position: u64,
}

impl Lanes {
    /// Begins at a position, with what was put aside before it.
    pub fn new(position: u64, aside: Vec<Undelivered>, now: Now) -> Self {
        let mut lanes = Self {
            cursor: position,
            window: BTreeMap::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            aside: 0,
            changes: BTreeMap::new(),
            saved_position: position,
        };
        lanes.restore(aside, now);
        lanes
    }

    /// Adds events that were put aside, in the order of their cursors, unless they are
    /// known.
    pub fn restore(&mut self, aside: Vec<Undelivered>, now: Now) {
        for one in aside {
            let key = match one.state {
                UndeliveredState::Resent => LaneKey::Resent(one.event),
                _ => LaneKey::Product(one.product_id.0),
            };
            if matches!(key, LaneKey::Resent(_)) && self.lanes.contains_key(&key) {
                continue;
            }
            let lane = self.lanes.entry(key).or_default();
            if lane.queue.is_empty() {
                self.waiting.insert((now.instant + now.at.until(one.next_attempt), key));
            }
            let (cursor, product) = (one.event, one.product_id);
            lane.queue.push_back(Item { cursor, product, event: None, aside: Some(one) });
            self.aside += 1;
        }
    }

    /// The cursor after which the next read begins.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether there is room for further events.
    pub fn may_read(&self) -> bool {
        self.window.len() < WINDOW_MAX && self.may_restore()
    }

    /// Whether there is room for further events that are put aside.
    pub fn may_restore(&self) -> bool {
        self.aside < ASIDE_MAX
    }

    /// How many events are put aside.
    pub fn aside(&self) -> usize {
        self.aside
    }

    /// The cursor up to which every event is delivered or put aside.
    pub fn position(&self) -> u64 {
        self.window.first_key_value().map_or(self.cursor, |(cursor, _)| cursor - 1)
    }

    /// The time of the oldest event that is not delivered; for those put aside, when that
    /// was.
    pub fn oldest(&self) -> Option<Timestamp> {
        let aside =
            self.lanes.values().filter_map(|lane| Some(lane.queue.front()?.aside.as_ref()?.since));
        aside.chain(self.window.first_key_value().map(|(_, at)| *at)).min()
    }

    /// Takes an event that was read; one that the endpoint does not get is passed over.
    pub fn offer(&mut self, event: Event, is_wanted: bool, now: Now) {
        let cursor = event.cursor;
        self.cursor = cursor;
        if !is_wanted {
            return;
        }
        let (product, at) = (event.product_id, event.at);
        let key = LaneKey::Product(product.0);
        let lane = self.lanes.entry(key).or_default();
        if lane.queue.is_empty() {
            self.ready.push_back(key);
        }
        let mut item = Item { cursor, product, event: Some(Arc::new(event)), aside: None };
        if lane.queue.back().is_some_and(|before| before.aside.is_some()) {
            self.aside += 1;
            put_aside(&mut item, &mut self.changes, now.at);
        } else {
            self.window.insert(cursor, at);
        }
        lane.queue.push_back(item);
    }

    /// Makes lanes ready that have waited for long enough.
    pub fn wake(&mut self, now: Instant) {
        while self.waiting.first().is_some_and(|(due, _)| *due <= now) {
            self.wake_first();
        }
    }

    /// Makes all lanes ready: the endpoint answers again.
    pub fn wake_all(&mut self) {
        while !self.waiting.is_empty() {
            self.wake_first();
        }
    }

    fn wake_first(&mut self) {
        self.ready.extend(self.waiting.pop_first().map(|(_, key)| key));
    }

    /// When the next lane that waits is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The next event to send. Its lane is busy until [`Lanes::delivered`],
    /// [`Lanes::failed`], [`Lanes::bury`] or [`Lanes::postpone`].
    pub fn next(&mut self) -> Option<Job> {
        let key = self.ready.pop_front()?;
        let item = self.lanes.get(&key)?.queue.front()?;
        Some(Job { key, cursor: item.cursor, event: item.event.clone() })
    }

    /// Notes that the event of a lane is delivered.
    pub fn delivered(&mut self, key: LaneKey) {
        let Some(item) = self.pop(key) else { return };
        if item.aside.is_some() {
            self.aside -= 1;
            self.changes.insert(item.cursor, None);
        } else {
            self.window.remove(&item.cursor);
        }
    }

    /// Notes that the event of a lane was not delivered. Returns whether it is given up.
    pub fn failed(&mut self, key: LaneKey, failure: FailedAttempt, now: Now) -> bool {
        let Some(lane) = self.lanes.get_mut(&key) else { return false };
        for item in &mut lane.queue {
            if item.aside.is_none() {
                self.window.remove(&item.cursor);
                self.aside += 1;
                put_aside(item, &mut self.changes, now.at);
            }
        }
        let Some(head) = lane.queue.front_mut() else { return false };
        let Some(aside) = &mut head.aside else { return false };
        aside.attempts = aside.attempts.saturating_add(1);
        aside.error = failure.why;
        aside.next_attempt = now.at.after(failure.pause);
        let is_over = now.at >= aside.since.after(failure.give_up);
        if is_over {
            aside.state = UndeliveredState::Dead;
        }
        self.changes.insert(head.cursor, Some(aside.clone()));
        if is_over {
            self.aside -= 1;
            self.pop(key);
        } else {
            self.postpone(key, failure.pause, now);
        }
        is_over
    }

    /// Lets a lane wait.
    pub fn postpone(&mut self, key: LaneKey, pause: Duration, now: Now) {
        self.waiting.insert((now.instant + pause, key));
    }

    /// How many attempts to send the event of a lane have failed.
    pub fn attempts(&self, key: LaneKey) -> u32 {
        let head = self.lanes.get(&key).and_then(|lane| lane.queue.front());
        head.and_then(|item| item.aside.as_ref()).map_or(0, |aside| aside.attempts)
    }

    /// Takes the first event off a lane, which goes on with the next one.
    fn pop(&mut self, key: LaneKey) -> Option<Item> {
        let lane = self.lanes.get_mut(&key)?;
        let item = lane.queue.pop_front();
        if lane.queue.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.ready.push_back(key);
        }
        item
    }

    /// Whether the store does not know all yet.
    pub fn is_unsaved(&self) -> bool {
        !self.changes.is_empty() || self.position() != self.saved_position
    }

    /// Takes what the store does not know. After a failure it must be put back by
    /// [`Lanes::put_back`].
    pub fn take_changes(&mut self) -> ConsumerChanges {
        let mut changes = ConsumerChanges { position: self.position(), ..Default::default() };
        for (cursor, change) in std::mem::take(&mut self.changes) {
            match change {
                Some(aside) => changes.undelivered.push(aside),
                None => changes.delivered.push(cursor),
            }
        }
        self.saved_position = changes.position;
        changes
    }

    /// Takes changes back that could not be saved.
    pub fn put_back(&mut self, changes: ConsumerChanges) {
        // Position 0 differs from any but that of a new consumer, which has changed nothing.
        self.saved_position = u64::MAX;
        let aside = changes.undelivered.into_iter().map(|one| (one.event, Some(one)));
        for (cursor, change) in aside.chain(changes.delivered.into_iter().map(|at| (at, None))) {
            self.changes.entry(cursor).or_insert(change);
        }
    }
}

/// Puts an event aside, which is read again when its turn comes: memory keeps its cursor.
fn put_aside(item: &mut Item, changes: &mut BTreeMap<u64, Option<Undelivered>>, at: Timestamp) {
    let aside = Undelivered::new(item.cursor, item.product, at);
    changes.insert(item.cursor, Some(aside.clone()));
    item.aside = Some(aside);
    item.event = None;
}

#[cfg(test)]
mod tests;
