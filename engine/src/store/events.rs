//! Reading the outbox.

use super::connection::{Database, each, one};
use super::error::{Fault, StoreError, StoreResult};
use super::outbox::unpack;
use super::rows::{Cells, wrong};
use super::session::SqlSession;
use crate::model::Event;

/// Rows that get their cursors in one go.
const NUMBERED_AT_ONCE: u32 = 1_000;

/// Numbers what is visible and has no cursor yet, then reads after `cursor`.
///
/// A row is committed later than its id was drawn, so reading on from the last
/// id seen would skip the rows that were still under way. Instead the reader
/// numbers rows once they are visible, one reader at a time. Rows of one
/// product become visible in the order of their ids, since each is inserted
/// under the product's lock.
pub(super) async fn read_events<D: Database>(
    session: &mut SqlSession<D>,
    cursor: u64,
    limit: u32,
) -> StoreResult<Vec<Event>> {
    number_rows(session).await?;
    let mut events = Vec::new();
    let sql = format!(
        "SELECT first_cursor, at, body FROM stockade_outbox \
         WHERE first_cursor + events > {cursor} + 1 AND first_cursor > {} \
         ORDER BY first_cursor LIMIT {limit}",
        // A row is read whole from its first event, which may stand before
        // the cursor by no more than a batch has events.
        cursor.saturating_sub(EVENTS_IN_A_ROW)
    );
    session
        .run(sql, &mut |_, row| {
            let (first, at, body) = (row.count(0)?, row.time(1)?, row.text(2)?);
            let read: Vec<Event> = unpack(first, at, &body).ok_or_else(|| wrong(2))?;
            events.extend(read.into_iter().filter(|event| event.cursor > cursor));
            Ok(())
        })
        .await?;
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

/// More events than any transaction has.
const EVENTS_IN_A_ROW: u64 = 1 << 20;

async fn number_rows<D: Database>(session: &mut SqlSession<D>) -> StoreResult<()> {
    let fresh = format!(
        "SELECT id, events FROM stockade_outbox WHERE first_cursor IS NULL \
         ORDER BY id LIMIT {NUMBERED_AT_ONCE}"
    );
    // Most often there is nothing new, which needs no lock to see.
    let mut rows: Vec<(u64, u64)> = Vec::new();
    let read = |row: Cells<'_>| Ok((row.count(0)?, row.count(1)?));
    session.run(fresh.clone(), &mut each(&mut rows, read)).await?;
    if rows.is_empty() {
        return Ok(());
    }
    session.open(D::BEGIN.to_owned(), &mut |_, _| Ok(())).await?;
    let mut next = None;
    let lock = format!("SELECT next FROM stockade_sequences WHERE name = 'cursor'{}", D::LOCK);
    session.run(lock, &mut one(&mut next, |row| row.count(0))).await?;
    let Some(mut next) = next else {
        return Err(StoreError::new(Fault::Fatal, "the sequence cursor is missing"));
    };
    // Another reader may have numbered them since.
    rows.clear();
    session.run(fresh, &mut each(&mut rows, read)).await?;
    let mut sql = Vec::new();
    for (id, events) in rows {
        sql.push(format!(
            "UPDATE stockade_outbox SET first_cursor = {next} WHERE id = {id} AND first_cursor IS NULL"
        ));
        next += events;
    }
    sql.push(format!("UPDATE stockade_sequences SET next = {next} WHERE name = 'cursor'"));
    session.run(sql.join("; "), &mut |_, _| Ok(())).await?;
    session.finish("COMMIT").await
}
