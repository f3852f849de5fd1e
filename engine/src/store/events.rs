//! Reads the transactional outbox.

use std::sync::Arc;

use super::connection::{Connection, Database, Use};
use super::error::{Fault, StoreError, StoreResult};
use super::outbox::unpack;
use super::rows::Cells;
use super::session::SqlSession;
use super::statement::{Statement, execute, fetch_optional, run};
use super::time::Timekeeper;
use crate::model::Event;

/// The most rows that one transaction numbers: it bounds the time for which the
/// sequence is locked.
const NUMBERED_AT_ONCE: u32 = 1_000;

/// Reads the events after `cursor`: what is new and at most one row before it,
/// however long the history is.
///
/// With a single writer, rows are numbered as they are inserted. Elsewhere ids
/// are drawn before the commit and become visible out of order, so a reader that
/// goes on from the last id would skip rows in flight. There the reader numbers
/// rows once they are visible, one reader at a time. Rows of one product become
/// visible in the order of their ids, since each is inserted under the product's
/// row lock.
pub(super) async fn read_events<D: Database>(
    database: &D,
    time: &Arc<Timekeeper>,
    cursor: u64,
    limit: u32,
) -> StoreResult<Vec<Event>> {
    let mut connection = database.acquire(Use::Read).await?;
    let (events, is_fresh) = read::<D>(connection.as_mut(), cursor, limit).await?;
    if !is_fresh {
        return Ok(events);
    }
    number_rows(&mut SqlSession::acquire(database, Arc::clone(time)).await?).await?;
    Ok(read::<D>(connection.as_mut(), cursor, limit).await?.0)
}

/// Reads the events after `cursor` that are numbered; says whether there are
/// others.
async fn read<D: Database>(
    connection: &mut dyn Connection,
    cursor: u64,
    limit: u32,
) -> StoreResult<(Vec<Event>, bool)> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Page { cursor, limit, events: Vec::new(), has_unnumbered: false };
    run(connection, &select_events::<D>(cursor, limit), &mut page).await?;
    page.events.truncate(limit);
    Ok((page.events, page.has_unnumbered))
}

/// Events after a cursor.
struct Page {
    cursor: u64,
    limit: usize,
    events: Vec<Event>,
    /// Whether rows are visible that have no cursor yet.
    has_unnumbered: bool,
}

/// Reads the row that the cursor may stand in, of which later events may be
/// left; then the rows behind it; then whether there are rows to be numbered.
fn select_events<D: Database>(cursor: u64, limit: usize) -> Vec<Statement<Page>> {
    let current = format!(
        "SELECT first_cursor, at, CASE WHEN first_cursor + events > {cursor} + 1 THEN body \
         ELSE '[]' END FROM stockade_outbox WHERE first_cursor > 0 AND first_cursor <= {cursor} \
         ORDER BY first_cursor DESC LIMIT 1"
    );
    let later = format!(
        "SELECT first_cursor, at, body FROM stockade_outbox WHERE first_cursor > {cursor} \
         ORDER BY first_cursor LIMIT {limit}"
    );
    let mut reads = vec![Statement::read(current, keep), Statement::read(later, keep)];
    if !D::SINGLE_WRITER {
        let unnumbered = "SELECT id FROM stockade_outbox WHERE first_cursor IS NULL LIMIT 1";
        reads.push(Statement::read(unnumbered.to_owned(), |page: &mut Page, _| {
            page.has_unnumbered = true;
            Ok(())
        }));
    }
    reads
}

fn keep(page: &mut Page, row: &mut Cells<'_>) -> sqlx::Result<()> {
    if page.events.len() >= page.limit {
        return Ok(());
    }
    let (first, at, body) = (row.count()?, row.time()?, row.text()?);
    let events: Vec<Event> = unpack(first, at, &body).ok_or_else(|| row.wrong())?;
    page.events.extend(events.into_iter().filter(|event| event.cursor > page.cursor));
    Ok(())
}

/// Numbers rows that are visible and have no cursor yet, the first of them.
async fn number_rows<D: Database>(session: &mut SqlSession<D>) -> StoreResult<()> {
    let fresh = format!(
        "SELECT id, events FROM stockade_outbox WHERE first_cursor IS NULL \
         ORDER BY id LIMIT {NUMBERED_AT_ONCE}"
    );
    session.open().await?;
    let lock = format!("SELECT next FROM stockade_sequences WHERE name = 'cursor'{}", D::LOCK);
    let next = fetch_optional(session.connection(), lock, |row| row.count()).await?;
    let Some(mut next) = next else {
        return Err(StoreError::new(Fault::Fatal, "the sequence cursor is missing"));
    };
    // Only now: another reader may have numbered them since they were seen.
    let mut rows: Vec<(u64, u64)> = Vec::new();
    let fresh = Statement::read(fresh, |rows: &mut Vec<(u64, u64)>, row| {
        rows.push((row.count()?, row.count()?));
        Ok(())
    });
    run(session.connection(), &[fresh], &mut rows).await?;
    let mut sql = Vec::new();
    for (id, events) in rows {
        sql.push(format!(
            "UPDATE stockade_outbox SET first_cursor = {next} WHERE id = {id} AND first_cursor IS NULL"
        ));
        next += events;
    }
    sql.push(format!("UPDATE stockade_sequences SET next = {next} WHERE name = 'cursor'"));
    execute(session.connection(), &sql).await?;
    session.finish("COMMIT").await
}

#[cfg(test)]
mod tests;
