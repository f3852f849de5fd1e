//! The rows of consumers of the outbox: their position and lease, what they have not
//! delivered, and the plain table of events.
//!
//! Every write of a consumer happens under its row's lock and compares the fence of
//! its lease, so that of two processes only the one with the newer lease goes on.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::database::Database;
use super::error::StoreResult;
use super::purge::ROWS_MAX;
use super::reads::SqlStore;
use super::retry::with_retries;
use super::rows::Cells;
use super::session::SqlSession;
use super::statement::{ReadRow, Statement, fetch_all, fetch_optional, run};
use super::statements::{hex, list};
use super::{Purge, PurgeStep};
use crate::consumers::{
    Acquired, ConsumerChanges, ConsumerPosition, ConsumerStatus, EventRow, Lease, Undelivered,
    UndeliveredState,
};
use crate::model::{ProductId, Timestamp};

/// The columns of [`Undelivered`], after the consumer's name.
pub(super) const UNDELIVERED: &str =
    "consumer, event, product_id, state, attempts, since, next_attempt, error";
const UNDELIVERED_READ: &str = "event, product_id, state, attempts, since, next_attempt, error";
pub(super) const EVENT_ROW: &str = "id, aggregatetype, aggregateid, type, at, payload";

/// The most rows of one statement, and the most bytes of text in it: both keep a
/// statement below the smallest packet that is accepted.
const ROWS_AT_ONCE: usize = 200;
const BYTES_AT_ONCE: usize = 96 * 1024;
/// The most bytes of an error that are kept.
const ERROR_MAX: usize = 512;

/// The part of a store that keeps consumers. A trait of its own, which the simulated
/// store has no need for.
pub(crate) trait ConsumerStore: Send + Sync {
    /// Leases a consumer, which is made if there is none, unless another holds it.
    fn acquire<'a>(
        &'a self,
        name: &'a str,
        from: ConsumerPosition,
        ttl: Duration,
    ) -> BoxFuture<'a, StoreResult<Acquired>>;

    /// Writes changes, and prolongs the lease. Returns the consumer's revision; `None`
    /// if the lease is lost, and then nothing is written.
    fn save<'a>(
        &'a self,
        lease: &'a Lease,
        changes: &'a ConsumerChanges,
        ttl: Duration,
    ) -> BoxFuture<'a, StoreResult<Option<u64>>>;

    /// Reads what is undelivered in this state, by ascending cursor.
    fn undelivered<'a>(
        &'a self,
        name: &'a str,
        state: UndeliveredState,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, StoreResult<Vec<Undelivered>>>;

    /// Makes dead letters due again, one or all. Returns how many.
    fn resend<'a>(&'a self, name: &'a str, event: Option<u64>) -> BoxFuture<'a, StoreResult<u64>>;

    /// Reads all consumers by name.
    fn consumers(&self) -> BoxFuture<'_, StoreResult<Vec<ConsumerStatus>>>;
}

struct ConsumerRow {
    position: u64,
    fence: u64,
    revision: u64,
    leased_until: Timestamp,
}

fn consumer_row(row: &mut Cells<'_>) -> sqlx::Result<ConsumerRow> {
    Ok(ConsumerRow {
        position: row.count()?,
        fence: row.count()?,
        revision: row.count()?,
        leased_until: row.time()?,
    })
}

fn undelivered_row(row: &mut Cells<'_>) -> sqlx::Result<Undelivered> {
    Ok(Undelivered {
        event: row.count()?,
        product_id: ProductId(row.count()?),
        state: row.coded()?,
        attempts: row.units()?,
        since: row.time()?,
        next_attempt: row.time()?,
        error: row.key()?,
    })
}

impl<D: Database> SqlStore<D> {
    async fn lock_consumer(
        session: &mut SqlSession<D>,
        name: &str,
    ) -> StoreResult<Option<ConsumerRow>> {
        let (name, lock) = (hex(name.as_bytes()), D::LOCK);
        let sql = format!(
            "SELECT position, fence, revision, leased_until FROM stockade_consumers \
             WHERE name = {name}{lock}"
        );
        fetch_optional(session.connection(), sql, consumer_row).await
    }

    async fn acquire_consumer(
        &self,
        name: &str,
        from: ConsumerPosition,
        ttl: Duration,
    ) -> StoreResult<Acquired> {
        let mut session = self.writer().await?;
        session.open().await?;
        let now = self.time_of(&mut session).await?;
        let (literal, until) = (hex(name.as_bytes()), now.after(ttl).micros());
        let (row, write) = match Self::lock_consumer(&mut session, name).await? {
            // A lease further ahead than any is one of a clock that was wrong.
            Some(row) if row.leased_until > now && row.leased_until <= now.after(ttl * 10) => {
                session.finish("ROLLBACK").await?;
                return Ok(Acquired::Held(now.until(row.leased_until)));
            }
            Some(row) => {
                let fence = row.fence + 1;
                let write = format!(
                    "UPDATE stockade_consumers SET fence = {fence}, leased_until = {until} \
                     WHERE name = {literal}"
                );
                (ConsumerRow { fence, ..row }, write)
            }
            None => {
                let position = match from {
                    ConsumerPosition::First => 0,
                    ConsumerPosition::Tail => Self::last_cursor(&mut session).await?,
                };
                let at = now.micros();
                // Of two at once the other fails by the primary key, and is retried.
                let write = format!(
                    "INSERT INTO stockade_consumers \
                     (name, position, fence, revision, leased_until, updated_at) \
                     VALUES ({literal}, {position}, 1, 0, {until}, {at})"
                );
                let row = ConsumerRow { position, fence: 1, revision: 0, leased_until: now };
                (row, write)
            }
        };
        run(session.connection(), &[Statement::new(write)], &mut ()).await?;
        let sql = format!(
            "SELECT {UNDELIVERED_READ} FROM stockade_undelivered WHERE consumer = {literal} \
             AND state = {} ORDER BY event",
            UndeliveredState::Waiting as i64
        );
        let undelivered = fetch_all(session.connection(), sql, undelivered_row).await?;
        session.finish("COMMIT").await?;
        Ok(Acquired::Leased(Lease {
            name: name.to_owned(),
            fence: row.fence,
            position: row.position,
            revision: row.revision,
            undelivered,
        }))
    }

    /// The cursor of the newest event that has one.
    async fn last_cursor(session: &mut SqlSession<D>) -> StoreResult<u64> {
        let sql = "SELECT first_cursor + events - 1 FROM stockade_outbox WHERE first_cursor > 0 \
                   ORDER BY first_cursor DESC LIMIT 1";
        let last = fetch_optional(session.connection(), sql.to_owned(), |row| row.count()).await?;
        Ok(last.unwrap_or(0))
    }

    async fn save_consumer(
        &self,
        lease: &Lease,
        changes: &ConsumerChanges,
        ttl: Duration,
    ) -> StoreResult<Option<u64>> {
        let mut session = self.writer().await?;
        session.open().await?;
        let now = self.time_of(&mut session).await?;
        let row = Self::lock_consumer(&mut session, &lease.name).await?;
        let Some(row) = row.filter(|row| row.fence == lease.fence) else {
            session.finish("ROLLBACK").await?;
            return Ok(None);
        };
        let name = hex(lease.name.as_bytes());
        let mut writes = Vec::new();
        for events in changes.delivered.chunks(ROWS_AT_ONCE) {
            let events = list(events);
            writes.push(Statement::new(format!(
                "DELETE FROM stockade_undelivered WHERE consumer = {name} AND event IN ({events})"
            )));
        }
        let undelivered = changes.undelivered.iter().map(|one| undelivered_values(&name, one));
        writes.extend(insert("REPLACE", "undelivered", UNDELIVERED, undelivered));
        let rows = changes.rows.iter().map(event_values);
        writes.extend(insert("REPLACE", "event_rows", EVENT_ROW, rows));
        let (until, at) = (now.after(ttl).micros(), now.micros());
        let position = changes.position;
        writes.push(Statement::new(format!(
            "UPDATE stockade_consumers SET position = {position}, leased_until = {until}, \
             updated_at = {at} WHERE name = {name}"
        )));
        run(session.connection(), &writes, &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(Some(row.revision))
    }

    /// Deletes old rows of the plain table of events: by ascending id, which ascends
    /// with time but for what committed at once.
    pub(super) async fn purge_event_rows(
        &self,
        purge: Purge,
        before: Timestamp,
    ) -> StoreResult<PurgeStep> {
        let sql = format!("SELECT id, at FROM stockade_event_rows ORDER BY id LIMIT {ROWS_MAX}");
        let read: ReadRow<(u64, Timestamp)> = |row| Ok((row.count()?, row.time()?));
        let (rows, _) = self.select_all(sql, read).await?;
        let old = rows.iter().take_while(|(_, at)| *at < before);
        let Some((last, _)) = old.last() else { return Ok(PurgeStep::default()) };
        let delete = format!("DELETE FROM stockade_event_rows WHERE id <= {last}");
        let rows = self.transact(&[Statement::new(delete)]).await?.into_iter().sum();
        Ok(PurgeStep { rows, next: (rows == u64::from(ROWS_MAX)).then_some(purge) })
    }

    /// Deletes dead letters that were given up long ago.
    pub(super) async fn purge_dead_letters(
        &self,
        purge: Purge,
        before: Timestamp,
    ) -> StoreResult<PurgeStep> {
        let (dead, before) = (UndeliveredState::Dead as i64, before.micros());
        let old = format!("state = {dead} AND since < {before}");
        let sql = format!(
            "SELECT consumer, event FROM stockade_undelivered WHERE {old} ORDER BY since \
             LIMIT {ROWS_MAX}"
        );
        let read: ReadRow<(String, u64)> = |row| Ok((row.key()?, row.count()?));
        let (rows, _) = self.select_all(sql, read).await?;
        let delete = |(consumer, event): &(String, u64)| {
            let consumer = hex(consumer.as_bytes());
            Statement::new(format!(
                "DELETE FROM stockade_undelivered WHERE consumer = {consumer} \
                 AND event = {event} AND {old}"
            ))
        };
        let deletes: Vec<_> = rows.iter().map(delete).collect();
        if deletes.is_empty() {
            return Ok(PurgeStep::default());
        }
        let is_full = deletes.len() == ROWS_MAX as usize;
        let rows = self.transact(&deletes).await?.into_iter().sum();
        Ok(PurgeStep { rows, next: is_full.then_some(purge) })
    }

    async fn resend_undelivered(&self, name: &str, event: Option<u64>) -> StoreResult<u64> {
        let mut session = self.writer().await?;
        session.open().await?;
        let now = self.time_of(&mut session).await?.micros();
        if Self::lock_consumer(&mut session, name).await?.is_none() {
            session.finish("ROLLBACK").await?;
            return Ok(0);
        }
        let name = hex(name.as_bytes());
        let (dead, resent) = (UndeliveredState::Dead as i64, UndeliveredState::Resent as i64);
        let which = event.map(|event| format!(" AND event = {event}")).unwrap_or_default();
        let writes = [
            Statement::new(format!(
                "UPDATE stockade_undelivered SET state = {resent}, attempts = 0, since = {now}, \
                 next_attempt = {now} WHERE consumer = {name} AND state = {dead}{which}"
            )),
            // The relay that has the lease reads them when it sees this.
            Statement::new(format!(
                "UPDATE stockade_consumers SET revision = revision + 1 WHERE name = {name}"
            )),
        ];
        let affected = run::<()>(session.connection(), &writes, &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(affected.first().copied().unwrap_or(0))
    }
}

fn undelivered_values(name: &str, one: &Undelivered) -> String {
    let Undelivered { event, product_id, state, attempts, since, next_attempt, error } = one;
    let end = (0..=ERROR_MAX.min(error.len())).rev().find(|end| error.is_char_boundary(*end));
    let error = hex(error.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes());
    let (state, since, next) = (*state as i64, since.micros(), next_attempt.micros());
    format!("({name}, {event}, {product_id}, {state}, {attempts}, {since}, {next}, {error})")
}

fn event_values(row: &EventRow) -> String {
    let EventRow { cursor, product_id, kind, at, payload } = row;
    let aggregate = kind.as_str().split('.').next().unwrap_or_default();
    let payload = hex(payload.as_bytes());
    let at = at.micros();
    // A hexadecimal literal is binary; the column's type is text.
    format!("({cursor}, '{aggregate}', {product_id}, '{kind}', {at}, CAST({payload} AS CHAR))")
}

fn insert(
    verb: &str,
    table: &str,
    columns: &str,
    values: impl Iterator<Item = String>,
) -> Vec<Statement<()>> {
    let mut statements = Vec::new();
    let (mut sql, mut rows) = (String::new(), 0);
    for value in values {
        if rows == ROWS_AT_ONCE || sql.len() + value.len() > BYTES_AT_ONCE {
            statements.extend((rows > 0).then(|| Statement::new(std::mem::take(&mut sql))));
            rows = 0;
        }
        if rows == 0 {
            sql = format!("{verb} INTO stockade_{table} ({columns}) VALUES {value}");
        } else {
            sql.push(',');
            sql.push_str(&value);
        }
        rows += 1;
    }
    statements.extend((rows > 0).then(|| Statement::new(sql)));
    statements
}

impl<D: Database> ConsumerStore for SqlStore<D> {
    fn acquire<'a>(
        &'a self,
        name: &'a str,
        from: ConsumerPosition,
        ttl: Duration,
    ) -> BoxFuture<'a, StoreResult<Acquired>> {
        Box::pin(with_retries(self.retries, move || self.acquire_consumer(name, from, ttl)))
    }

    fn save<'a>(
        &'a self,
        lease: &'a Lease,
        changes: &'a ConsumerChanges,
        ttl: Duration,
    ) -> BoxFuture<'a, StoreResult<Option<u64>>> {
        // Repeating it changes nothing: every row is written as a whole.
        Box::pin(with_retries(self.retries, move || self.save_consumer(lease, changes, ttl)))
    }

    fn undelivered<'a>(
        &'a self,
        name: &'a str,
        state: UndeliveredState,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, StoreResult<Vec<Undelivered>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let (name, state) = (hex(name.as_bytes()), state as i64);
            let sql = format!(
                "SELECT {UNDELIVERED_READ} FROM stockade_undelivered WHERE consumer = {name} \
                 AND state = {state} AND event > {after} ORDER BY event LIMIT {limit}"
            );
            Ok(self.select_all(sql, undelivered_row).await?.0)
        }))
    }

    fn resend<'a>(&'a self, name: &'a str, event: Option<u64>) -> BoxFuture<'a, StoreResult<u64>> {
        Box::pin(with_retries(self.retries, move || self.resend_undelivered(name, event)))
    }

    fn consumers(&self) -> BoxFuture<'_, StoreResult<Vec<ConsumerStatus>>> {
        Box::pin(with_retries(self.retries, move || async move {
            let count = |state: UndeliveredState| {
                format!(
                    "(SELECT COUNT(*) FROM stockade_undelivered u WHERE u.consumer = c.name \
                     AND u.state = {})",
                    state as i64
                )
            };
            let (waiting, dead) = (count(UndeliveredState::Waiting), count(UndeliveredState::Dead));
            let sql = format!(
                "SELECT name, position, leased_until, updated_at, {waiting}, {dead} \
                 FROM stockade_consumers c ORDER BY name"
            );
            let read: ReadRow<ConsumerStatus> = |row| {
                Ok(ConsumerStatus {
                    name: row.key()?,
                    position: row.count()?,
                    leased_until: row.time()?,
                    updated_at: row.time()?,
                    waiting: row.count()?,
                    dead_letters: row.count()?,
                })
            };
            Ok(self.select_all(sql, read).await?.0)
        }))
    }
}
