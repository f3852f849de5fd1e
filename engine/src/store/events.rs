//! Reading the outbox.

use std::sync::Arc;

use super::connection::{Connection, Database, Use, each, one};
use super::error::{Fault, StoreError, StoreResult};
use super::outbox::unpack;
use super::rows::{Cells, wrong};
use super::session::SqlSession;
use super::time::Timekeeper;
use crate::model::Event;

/// Rows that get their cursors in one go.
const NUMBERED_AT_ONCE: u32 = 1_000;

/// Reads the events after `cursor`: what is new and at most one row before it,
/// however long the history is.
///
/// Where there is one writer, rows are numbered as they are written. Elsewhere
/// a row is committed later than its id was drawn, so reading on from the last
/// id seen would skip the rows that were still under way. There the reader
/// numbers rows once they are visible, one reader at a time. Rows of one
/// product become visible in the order of their ids, since each is inserted
/// under the product's lock.
pub(super) async fn read_events<D: Database>(
    database: &D,
    time: &Arc<Timekeeper>,
    cursor: u64,
    limit: u32,
) -> StoreResult<Vec<Event>> {
    let mut connection = database.take(Use::Read).await?;
    let (events, is_fresh) = read::<D>(connection.as_mut(), cursor, limit).await?;
    if !is_fresh {
        return Ok(events);
    }
    number_rows(&mut SqlSession::take(database, Arc::clone(time)).await?).await?;
    Ok(read::<D>(connection.as_mut(), cursor, limit).await?.0)
}

/// Reads the events after `cursor` that are numbered; says whether there are
/// others.
async fn read<D: Database>(
    connection: &mut dyn Connection,
    cursor: u64,
    limit: u32,
) -> StoreResult<(Vec<Event>, bool)> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut events, mut is_fresh) = (Vec::new(), false);
    let mut keep = |at: usize, row: Cells<'_>| {
        if at == READS_OF_EVENTS {
            is_fresh = true;
            return Ok(());
        }
        if events.len() >= most {
            return Ok(());
        }
        let (first, at, body) = (row.count(0)?, row.time(1)?, row.text(2)?);
        let read: Vec<Event> = unpack(first, at, &body).ok_or_else(|| wrong(2))?;
        events.extend(read.into_iter().filter(|event| event.cursor > cursor));
        Ok(())
    };
    connection.run(select_events::<D>(cursor, limit), &mut keep).await?;
    events.truncate(most);
    Ok((events, is_fresh))
}

/// The statements of [`select_events`] that read events.
const READS_OF_EVENTS: usize = 2;

/// Reads the row that the cursor may stand in, of which later events may be
/// left; then the rows behind it; then whether there are rows to be numbered.
fn select_events<D: Database>(cursor: u64, limit: u32) -> String {
    let mut sql = format!(
        "SELECT first_cursor, at, CASE WHEN first_cursor + events > {cursor} + 1 THEN body \
         ELSE '[]' END FROM stockade_outbox WHERE first_cursor > 0 AND first_cursor <= {cursor} \
         ORDER BY first_cursor DESC LIMIT 1; \
         SELECT first_cursor, at, body FROM stockade_outbox WHERE first_cursor > {cursor} \
         ORDER BY first_cursor LIMIT {limit}"
    );
    if !D::SINGLE_WRITER {
        sql.push_str("; SELECT id FROM stockade_outbox WHERE first_cursor IS NULL LIMIT 1");
    }
    sql
}

/// Numbers rows that are visible and have no cursor yet, the first of them.
async fn number_rows<D: Database>(session: &mut SqlSession<D>) -> StoreResult<()> {
    let fresh = format!(
        "SELECT id, events FROM stockade_outbox WHERE first_cursor IS NULL \
         ORDER BY id LIMIT {NUMBERED_AT_ONCE}"
    );
    session.open(D::BEGIN.to_owned(), &mut |_, _| Ok(())).await?;
    let mut next = None;
    let lock = format!("SELECT next FROM stockade_sequences WHERE name = 'cursor'{}", D::LOCK);
    session.run(lock, &mut one(&mut next, |row| row.count(0))).await?;
    let Some(mut next) = next else {
        return Err(StoreError::new(Fault::Fatal, "the sequence cursor is missing"));
    };
    // Only now: another reader may have numbered them since they were seen.
    let mut rows: Vec<(u64, u64)> = Vec::new();
    let read = |row: Cells<'_>| Ok((row.count(0)?, row.count(1)?));
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

#[cfg(test)]
mod tests;
