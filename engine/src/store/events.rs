//! Reads the transactional outbox.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::connection::Connection;
use super::customers::select_names;
use super::database::Database;
use super::error::StoreResult;
use super::hold_metadata::select_metadata;
use super::hold_rows::HoldRows;
use super::outbox::unpack;
use super::rows::Cells;
use super::session::SqlSession;
use super::statement::{ReadRow, Statement, fetch_all, run};
use super::statements::{list, lists, set_sequence};
use super::time::Timekeeper;
use crate::model::{Event, EventKind, HoldId, Metadata, OrderId};

/// The most rows that one transaction numbers: it bounds the time for which the
/// sequence is locked.
const NUMBERED_AT_ONCE: u32 = 1_000;

/// Reads the events after `cursor`, and at most one row before it, however long
/// the history is.
///
/// With a single writer, rows are numbered as they are inserted. Elsewhere ids
/// are drawn before the commit and become visible out of order, so a reader that
/// continued after the last id would skip rows in flight. There the reader numbers
/// rows once they are visible, one reader at a time. Rows of one product become
/// visible in the order of their ids, since each is inserted under the product's
/// row lock.
pub(super) async fn read_events<D: Database>(
    database: &D,
    time: &Arc<Timekeeper>,
    cursor: u64,
    limit: u32,
) -> StoreResult<Vec<Event>> {
    let mut connection = database.pools().reader().await?;
    let (mut events, has_unnumbered) = read::<D>(connection.as_mut(), cursor, limit).await?;
    if has_unnumbered {
        number_rows(&mut SqlSession::acquire(database, Arc::clone(time)).await?).await?;
        events = read::<D>(connection.as_mut(), cursor, limit).await?.0;
    }
    describe(connection.as_mut(), &mut events).await?;
    Ok(events)
}

/// What the store knows now of the holds, orders and customers of events.
#[derive(Default)]
struct EventContext {
    holds: HoldRows,
    /// The shop's numbers and the metadata of those orders that have some.
    orders: HashMap<OrderId, (Option<String>, Option<Metadata>)>,
    /// The names that replaced those of erased customers.
    erased: HashMap<i64, String>,
}

impl AsMut<HoldRows> for EventContext {
    fn as_mut(&mut self) -> &mut HoldRows {
        &mut self.holds
    }
}

/// Adds to events what the store knows of their holds, orders and customers now.
async fn describe(connection: &mut dyn Connection, events: &mut [Event]) -> StoreResult<()> {
    let holds: BTreeSet<HoldId> = events.iter().filter_map(|event| event.hold_id).collect();
    let orders: BTreeSet<OrderId> = events.iter().filter_map(|event| event.order_id).collect();
    let is_erasure = |event: &Event| event.kind == EventKind::CustomerErased;
    let erased = list(events.iter().filter(|event| is_erasure(event)).map(|event| event.quantity));
    let mut reads = Vec::new();
    for ids in lists(&Vec::from_iter(holds)) {
        let these = format!("IN ({ids})");
        reads.extend([select_names(&these), select_metadata(&these)]);
    }
    reads.extend(lists(&Vec::from_iter(orders)).iter().map(select_orders));
    if !erased.is_empty() {
        reads.push(select_erased(&erased));
    }
    let mut context = EventContext::default();
    run(connection, &reads, &mut context).await?;
    for event in events {
        if is_erasure(event) {
            // It has the customer's id for its reader alone.
            event.customer = context.erased.get(&std::mem::take(&mut event.quantity)).cloned();
            continue;
        }
        event.customer = event.hold_id.and_then(|id| context.holds.customer(id));
        match (event.order_id, event.hold_id) {
            (Some(order), _) => {
                if let Some((reference, metadata)) = context.orders.get(&order) {
                    event.reference.clone_from(reference);
                    event.metadata.clone_from(metadata);
                }
            }
            (None, Some(hold)) => event.metadata = context.holds.metadata(hold),
            (None, None) => {}
        }
    }
    Ok(())
}

fn select_orders(ids: &String) -> Statement<EventContext> {
    let sql = format!(
        "SELECT id, reference, metadata FROM stockade_orders WHERE id IN ({ids}) \
         AND (reference IS NOT NULL OR metadata IS NOT NULL)"
    );
    Statement::read(sql, |context: &mut EventContext, row| {
        let (id, reference, metadata) = (OrderId(row.count()?), row.opt_key()?, row.opt_key()?);
        context.orders.insert(id, (reference, metadata.as_deref().map(Metadata::stored)));
        Ok(())
    })
}

fn select_erased(ids: &str) -> Statement<EventContext> {
    let sql = format!("SELECT id, name FROM stockade_customers WHERE id IN ({ids})");
    Statement::read(sql, |context: &mut EventContext, row| {
        context.erased.insert(row.int()?, row.key()?);
        Ok(())
    })
}

/// Reads the numbered events after `cursor`, and whether rows without a number
/// are visible.
async fn read<D: Database>(
    connection: &mut dyn Connection,
    cursor: u64,
    limit: u32,
) -> StoreResult<(Vec<Event>, bool)> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Page { cursor, limit, events: Vec::new(), has_unnumbered: false };
    run(connection, &select_events::<D>(cursor, limit), &mut page).await?;
    Ok((page.events, page.has_unnumbered))
}

struct Page {
    cursor: u64,
    limit: usize,
    events: Vec<Event>,
    /// Whether rows are visible that have no cursor yet.
    has_unnumbered: bool,
}

/// Reads the row that the cursor points into, which may hold later events; then
/// the rows after it; then whether there are rows without a number.
fn select_events<D: Database>(cursor: u64, limit: usize) -> Vec<Statement<Page>> {
    let has_later = format!("CASE WHEN first_cursor + events > {cursor} + 1 THEN");
    let current = format!(
        "SELECT first_cursor, {has_later} events ELSE 0 END, at, {has_later} body ELSE '[]' END \
         FROM stockade_outbox WHERE first_cursor > 0 AND first_cursor <= {cursor} \
         ORDER BY first_cursor DESC LIMIT 1"
    );
    let later = format!(
        "SELECT first_cursor, events, at, body FROM stockade_outbox WHERE first_cursor > {cursor} \
         ORDER BY first_cursor LIMIT {limit}"
    );
    let mut reads = vec![Statement::read(current, add_events), Statement::read(later, add_events)];
    if !D::SINGLE_WRITER {
        let unnumbered = "SELECT id FROM stockade_outbox WHERE first_cursor IS NULL LIMIT 1";
        reads.push(Statement::read(unnumbered.to_owned(), |page: &mut Page, _| {
            page.has_unnumbered = true;
            Ok(())
        }));
    }
    reads
}

fn add_events(page: &mut Page, row: &mut Cells<'_>) -> sqlx::Result<()> {
    if page.events.len() >= page.limit {
        return Ok(());
    }
    let (first, count) = (row.count()?, row.count()?);
    let (at, body) = (row.time()?, row.text()?);
    let wanted = (page.cursor, page.limit - page.events.len());
    let events = unpack(first, count, at, &body, wanted).ok_or_else(|| row.invalid_value())?;
    page.events.extend(events);
    Ok(())
}

/// Numbers the first visible rows that have no cursor yet.
pub(super) async fn number_rows<D: Database>(session: &mut SqlSession<D>) -> StoreResult<()> {
    session.open().await?;
    let mut next = session.lock_sequence("cursor").await?;
    // Read under the lock: another reader may have numbered rows meanwhile.
    let unnumbered = format!(
        "SELECT id, events FROM stockade_outbox WHERE first_cursor IS NULL \
         ORDER BY id LIMIT {NUMBERED_AT_ONCE}"
    );
    let read: ReadRow<(u64, u64)> = |row| Ok((row.count()?, row.count()?));
    let mut updates = Vec::new();
    for (id, events) in fetch_all(session.connection(), unnumbered, read).await? {
        updates.push(Statement::new(format!(
            "UPDATE stockade_outbox SET first_cursor = {next} WHERE id = {id} AND first_cursor IS NULL"
        )));
        next += events;
    }
    updates.push(set_sequence("cursor", next));
    run(session.connection(), &updates, &mut ()).await?;
    session.finish("COMMIT").await
}

#[cfg(test)]
mod tests;
