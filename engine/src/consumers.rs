//! Consumers of the outbox that remember their position in the store: for relays.
//!
//! A consumer is leased to one process at a time. Each lease has a fence, which every
//! write compares: a process that lost its lease, because it was stopped for longer
//! than that, writes nothing any more.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventKind, ProductId, Timestamp, named_enum};
use crate::store::{ConsumerStore, Store};

/// The longest name of a consumer.
const NAME_MAX: usize = 64;
/// The most rows of a page of dead letters.
const PAGE_MAX: u32 = 1_000;

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsumerPosition {
    /// At the first event that the store still has.
    #[default]
    First,
    /// After the newest event.
    Tail,
}

named_enum!(
    /// The state of an event that a consumer has not delivered.
    UndeliveredState {
        /// It waits for another attempt, or behind another event of its product.
        Waiting = "waiting",
        /// It was given up: a dead letter.
        Dead = "dead",
        /// A dead letter that is sent again.
        Resent = "resent",
    }
);

/// An event up to a consumer's position that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Undelivered {
    /// The event's cursor.
    pub event: u64,
    /// The event's product.
    pub product_id: ProductId,
    /// The state.
    pub state: UndeliveredState,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the event was put aside; its retries end a fixed time after it.
    pub since: Timestamp,
    /// When the next attempt is due.
    pub next_attempt: Timestamp,
    /// Why the last attempt failed; at most 512 bytes are kept.
    pub error: String,
}

impl Undelivered {
    /// An event that was put aside at `since`, without an attempt so far.
    #[must_use]
    pub fn new(event: u64, product_id: ProductId, since: Timestamp) -> Self {
        Self {
            event,
            product_id,
            state: UndeliveredState::Waiting,
            attempts: 0,
            since,
            next_attempt: since,
            error: String::new(),
        }
    }
}

/// A lease of a consumer, with what it was left with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lease {
    /// The consumer's name.
    pub name: String,
    /// Grows with each lease.
    pub fence: u64,
    /// All events up to this cursor are delivered or [`Undelivered`].
    pub position: u64,
    /// Grows when dead letters are sent again.
    pub revision: u64,
    /// What waits, by ascending cursor.
    pub undelivered: Vec<Undelivered>,
}

/// The answer to a request for a lease.
#[derive(Debug, Clone)]
pub enum Acquired {
    /// The consumer is leased.
    Leased(Lease),
    /// Another process has the lease, for so long unless it prolongs it.
    Held(Duration),
}

/// A row of the plain table of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The event's cursor.
    pub cursor: u64,
    /// The event's product.
    pub product_id: ProductId,
    /// The event's kind.
    pub kind: EventKind,
    /// The event's time.
    pub at: Timestamp,
    /// The event as JSON.
    pub payload: String,
}

/// What a consumer writes, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct ConsumerChanges {
    /// The new position.
    pub position: u64,
    /// Undelivered events that are new, or have changed.
    pub undelivered: Vec<Undelivered>,
    /// Cursors of undelivered events that are delivered now.
    pub delivered: Vec<u64>,
    /// Rows for the plain table of events.
    pub rows: Vec<EventRow>,
}

/// A consumer as an operator sees it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// The name.
    pub name: String,
    /// All events up to this cursor are delivered, waiting or dead letters.
    pub position: u64,
    /// Until when a process has its lease.
    pub leased_until: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// How many events wait for another attempt.
    pub waiting: u64,
    /// How many dead letters there are.
    pub dead_letters: u64,
}

/// The consumers of a store. See [`AsyncEngine::consumers`](crate::AsyncEngine::consumers).
#[derive(Clone)]
pub struct Consumers {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Consumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumers").finish_non_exhaustive()
    }
}

impl Consumers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    fn store(&self) -> Result<&dyn ConsumerStore> {
        self.store.consumers().ok_or_else(|| {
            Error::new(ErrorKind::Misuse, "this store keeps no consumers of its events")
        })
    }

    /// Returns the store's own id, the same for all engines on it.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn store_id(&self) -> Result<u64> {
        Ok(self.store.identity().await?)
    }

    /// Leases a consumer for `ttl`. One that does not exist is made.
    ///
    /// # Errors
    /// `invalid_argument` for a name that no consumer can have, `contention`,
    /// `unavailable`.
    pub async fn acquire(
        &self,
        name: &str,
        from: ConsumerPosition,
        ttl: Duration,
    ) -> Result<Acquired> {
        check_name(name)?;
        Ok(self.store()?.acquire(name, from, ttl).await?)
    }

    /// Writes changes and prolongs the lease to `ttl` from now, in one transaction.
    /// Returns the consumer's revision; `None` if the lease is lost, and then nothing
    /// is written. Repeating it changes nothing.
    ///
    /// # Errors
    /// `contention`, `unavailable`: it is then unknown whether the changes are written.
    pub async fn save(
        &self,
        lease: &Lease,
        changes: &ConsumerChanges,
        ttl: Duration,
    ) -> Result<Option<u64>> {
        Ok(self.store()?.save(lease, changes, ttl).await?)
    }

    /// Reads up to `limit` (1 to 1,000) undelivered events with cursors after `after`.
    ///
    /// # Errors
    /// `invalid_argument` for another limit or a name that no consumer can have,
    /// `unavailable`.
    pub async fn undelivered(
        &self,
        name: &str,
        state: UndeliveredState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Undelivered>> {
        check_name(name)?;
        if limit == 0 || limit > PAGE_MAX {
            let why = format!("limit must be from 1 to {PAGE_MAX}, got {limit}");
            return Err(Error::invalid_argument(why));
        }
        // Stores keep cursors as signed integers: none is larger.
        if after >= i64::MAX.unsigned_abs() {
            return Ok(Vec::new());
        }
        Ok(self.store()?.undelivered(name, state, after, limit).await?)
    }

    /// Makes a consumer's dead letters due again, that of one event or all. Returns how
    /// many.
    ///
    /// # Errors
    /// `invalid_argument` for a name that no consumer can have, `unavailable`.
    pub async fn resend(&self, name: &str, event: Option<u64>) -> Result<u64> {
        check_name(name)?;
        if event.is_some_and(|event| event > i64::MAX.unsigned_abs()) {
            return Ok(0);
        }
        Ok(self.store()?.resend(name, event).await?)
    }

    /// Reads all consumers, by name.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn all(&self) -> Result<Vec<ConsumerStatus>> {
        Ok(self.store()?.consumers().await?)
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_plain) {
        let why = "a consumer's name has 1 to 64 letters, digits, `-`, `_` and `.`";
        return Err(Error::invalid_argument(why));
    }
    Ok(())
}
