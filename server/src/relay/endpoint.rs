//! Delivers to one webhook endpoint: reads ahead, sends several events at a time, one of
//! each product, and saves what came of it.

use std::sync::Arc;
use std::time::Duration;

use stockade::{Error, Event, UndeliveredState};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::lanes::{FailedAttempt, Job, LaneKey, Lanes, Now};
use super::lease::{Held, Saved};
use super::metrics::TargetMetrics;
use super::plan::Target;
use super::sender::{Attempt, Sender, pause_after};
use super::{PAGE, POLL_MAX, POLL_MIN, Shared};

/// How often what was delivered is saved: after a crash so much is sent again.
const SAVE_PAUSE: Duration = Duration::from_millis(200);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// After so many failures in a row an endpoint counts as down: with its next success all
/// that waits is due at once.
const DOWN_AFTER: u32 = 3;
/// How many dead letters that are sent again are read at once.
const RESENT_PAGE: u32 = 1_000;

/// What sending led to.
enum Outcome {
    Attempted(Attempt),
    /// The event could not be read from the store.
    Unread(Error),
    /// Retention has deleted the event.
    Gone,
}

/// Delivers until the relay stops.
pub async fn run(shared: Arc<Shared>, target: Target, sender: Sender) {
    let metrics = shared.metrics.of(&target.name);
    while let Some(held) = Held::acquire(&shared, &target).await {
        let mut endpoint = Endpoint::new(&shared, &target, &sender, &metrics, held);
        if endpoint.deliver().await.is_stopped() {
            endpoint.end().await;
            return;
        }
    }
}

enum Ended {
    Stopped,
    LeaseLost,
}

impl Ended {
    fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

struct Endpoint<'a> {
    shared: &'a Shared,
    target: &'a Target,
    sender: &'a Sender,
    metrics: &'a TargetMetrics,
    held: Held,
    lanes: Lanes,
    sending: JoinSet<(LaneKey, Outcome)>,
    poll_at: Instant,
    poll_pause: Duration,
    save_at: Instant,
    failures_in_row: u32,
    /// Whether there may be dead letters to send again that are not read.
    has_resent: bool,
}

impl<'a> Endpoint<'a> {
    fn new(
        shared: &'a Shared,
        target: &'a Target,
        sender: &'a Sender,
        metrics: &'a TargetMetrics,
        mut held: Held,
    ) -> Self {
        let now = Now::read();
        let aside = std::mem::take(&mut held.lease.undelivered);
        Self {
            lanes: Lanes::new(held.lease.position, aside, now),
            shared,
            target,
            sender,
            metrics,
            held,
            sending: JoinSet::new(),
            poll_at: now.instant,
            poll_pause: POLL_MIN,
            save_at: now.instant,
            failures_in_row: 0,
            has_resent: true,
        }
    }

    async fn deliver(&mut self) -> Ended {
        loop {
            self.lanes.wake(Instant::now());
            self.send();
            let wake_at = self.wake_at();
            tokio::select! {
                () = self.shared.stop.cancelled() => return Ended::Stopped,
                Some(sent) = self.sending.join_next() => {
                    self.note(sent);
                    while let Some(sent) = self.sending.try_join_next() {
                        self.note(sent);
                    }
                }
                () = sleep_until(wake_at) => {}
            }
            let now = Instant::now();
            if now >= self.poll_at && self.lanes.may_read() {
                self.read().await;
            }
            let must_save = now >= self.save_at && self.lanes.is_unsaved();
            if (must_save || now >= self.held.renew_at()) && self.save().await == Saved::Lost {
                return Ended::LeaseLost;
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let mut at = self.held.renew_at();
        if self.lanes.may_read() {
            at = at.min(self.poll_at);
        }
        if self.lanes.is_unsaved() {
            at = at.min(self.save_at);
        }
        if self.sending.len() < self.target.in_flight {
            at = self.lanes.next_due().map_or(at, |due| at.min(due));
        }
        at
    }

    /// Starts to send what may be.
    fn send(&mut self) {
        while self.sending.len() < self.target.in_flight {
            let Some(Job { key, cursor, event }) = self.lanes.next() else { return };
            let (sender, engine) = (self.sender.clone(), self.shared.engine.clone());
            self.sending.spawn(async move {
                let event = match event {
                    Some(event) => event,
                    None => match engine.events_after(cursor - 1, 1).await {
                        Ok(events) => match events.into_iter().find(|one| one.cursor == cursor) {
                            Some(event) => Arc::new(event),
                            None => return (key, Outcome::Gone),
                        },
                        Err(error) => return (key, Outcome::Unread(error)),
                    },
                };
                (key, Outcome::Attempted(sender.send(&event).await))
            });
        }
    }

    fn note(&mut self, sent: Result<(LaneKey, Outcome), tokio::task::JoinError>) {
        // Sending has no panic of its own; a lane whose task is lost waits for a restart.
        let Ok((key, outcome)) = sent else { return };
        let now = Now::read();
        let name = &self.target.name;
        let failed = self.lanes.attempts(key).saturating_add(1);
        let failure = match outcome {
            Outcome::Attempted(Attempt::Delivered) => {
                self.metrics.delivered.inc();
                self.lanes.delivered(key);
                if self.failures_in_row >= DOWN_AFTER {
                    tracing::info!(endpoint = name, "relay: the endpoint answers again");
                    self.lanes.wake_all();
                }
                self.failures_in_row = 0;
                return;
            }
            Outcome::Unread(error) => {
                tracing::warn!(%error, endpoint = name, "relay: cannot read an event");
                self.lanes.postpone(key, STORE_PAUSE, now);
                return;
            }
            Outcome::Gone => {
                let why = "retention deleted the event before it was delivered".to_owned();
                FailedAttempt { why, pause: Duration::ZERO, give_up: Duration::ZERO }
            }
            Outcome::Attempted(Attempt::Failed(why, asked)) => {
                self.metrics.failed_attempts.inc();
                self.failures_in_row = self.failures_in_row.saturating_add(1);
                // One line for each time it goes down, not for each event.
                if self.failures_in_row == 1 {
                    tracing::warn!(endpoint = name, why, "relay: an attempt failed");
                }
                let (pause, give_up) = (pause_after(failed, asked), self.target.give_up);
                FailedAttempt { why, pause, give_up }
            }
        };
        if self.lanes.failed(key, failure, now) {
            self.metrics.dead_letters.inc();
            tracing::warn!(endpoint = name, ?key, "relay: gave an event up: it is a dead letter");
        }
    }

    /// Reads the next events.
    async fn read(&mut self) {
        let after = self.lanes.cursor();
        let events = match self.shared.engine.events_after(after, PAGE).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, endpoint = self.target.name, "relay: cannot read events");
                self.poll_at = Instant::now() + STORE_PAUSE;
                return;
            }
        };
        note_missed(self.metrics, &self.target.name, after, &events);
        let is_full = events.len() >= PAGE as usize;
        self.poll_pause =
            if events.is_empty() { (self.poll_pause * 2).min(POLL_MAX) } else { POLL_MIN };
        let now = Now::read();
        for event in events {
            let is_wanted = self.target.filter.passes(&event);
            self.lanes.offer(event, is_wanted, now);
        }
        self.poll_at = now.instant + if is_full { Duration::ZERO } else { self.poll_pause };
    }

    async fn save(&mut self) -> Saved {
        let changes = self.lanes.take_changes();
        let saved = self.held.save(self.shared, &changes).await;
        self.save_at = Instant::now() + SAVE_PAUSE;
        match &saved {
            Saved::Written { is_revised } => self.has_resent |= is_revised,
            Saved::Failed => {
                self.lanes.put_back(changes);
                self.save_at = Instant::now() + STORE_PAUSE;
            }
            Saved::Lost => {}
        }
        self.show();
        if self.has_resent && self.lanes.may_restore() {
            self.read_resent().await;
        }
        saved
    }

    /// Reads dead letters that are sent again.
    async fn read_resent(&mut self) {
        let (name, state) = (&self.target.name, UndeliveredState::Resent);
        match self.shared.consumers.undelivered(name, state, 0, RESENT_PAGE).await {
            Ok(resent) => {
                self.has_resent = resent.len() >= RESENT_PAGE as usize;
                self.lanes.restore(resent, Now::read());
            }
            Err(error) => {
                tracing::warn!(%error, endpoint = name, "relay: cannot read dead letters");
            }
        }
    }

    fn show(&self) {
        let waiting = i64::try_from(self.lanes.aside()).unwrap_or(i64::MAX);
        self.metrics.waiting.set(waiting);
        let age = self.lanes.oldest().map_or(0, |at| at.until(Now::read().at).as_secs());
        self.metrics.oldest_seconds.set(i64::try_from(age).unwrap_or(i64::MAX));
    }

    /// Lets what is in flight finish, then saves it and returns the lease.
    async fn end(mut self) {
        while let Some(sent) = self.sending.join_next().await {
            self.note(sent);
        }
        let changes = self.lanes.take_changes();
        self.held.give_back(self.shared, &changes).await;
    }
}

/// Counts events that retention deleted before they were read: cursors have no gaps.
pub fn note_missed(metrics: &TargetMetrics, name: &str, after: u64, events: &[Event]) {
    let missed = events.first().map_or(0, |first| first.cursor.saturating_sub(after + 1));
    // A consumer that begins with the first event there is misses none.
    if missed > 0 && after > 0 {
        metrics.missed.inc_by(missed);
        tracing::error!(endpoint = name, missed, "relay: retention deleted events before delivery");
    }
}
