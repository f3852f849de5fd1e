//! Operator endpoints: sweeps, audits, events, and the erasure of a customer.

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::event_view::EventView;
use crate::reply::{HandlerResult, Reply};

/// `POST /api/admin/sweep`
pub async fn sweep(call: &Call<'_>) -> HandlerResult {
    call.no_fields()?;
    Reply::json(&call.engine.sweep().await?)
}

/// `GET /api/admin/audit`
pub async fn audit(call: &Call<'_>) -> HandlerResult {
    Reply::json(&call.engine.audit().await?)
}

#[derive(Serialize)]
struct EventsView<'a> {
    events: Vec<EventView<'a>>,
    next: u64,
}

/// `GET /api/admin/events?after=…&limit=…`
pub async fn events(call: &Call<'_>) -> HandlerResult {
    call.known_query(&["after", "limit"])?;
    let after = call.after()?.unwrap_or(0);
    let events = call.engine.events_after(after, call.limit()?).await?;
    // Without new events, the next request repeats the cursor.
    let next = events.last().map_or(after, |event| event.cursor);
    Reply::json(&EventsView { events: events.iter().map(EventView::of).collect(), next })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EraseBody {
    customer: String,
}

/// `POST /api/admin/customers/erase`
pub async fn erase_customer(call: &Call<'_>) -> HandlerResult {
    let EraseBody { customer } = call.object()?;
    Reply::json(&call.engine.erase_customer(customer).await?)
}
