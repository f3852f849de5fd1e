//! The rows of a batch of holds as SQL text: one for each hold, one for their events,
//! and the product's.

use std::fmt::Write;

use super::sql::{self, Ids};

/// Holds per transaction.
pub(super) const BATCH: u64 = 256;

/// The id counters of a ceiling.
#[derive(Debug, Clone)]
pub(super) struct RawIds {
    pub holds: Ids,
    pub batches: Ids,
}

impl RawIds {
    pub fn new() -> Self {
        Self { holds: Ids::new(), batches: Ids::new() }
    }
}

/// Builds the statements of one transaction on product 1: holds, their events
/// in one row, the product.
pub(super) fn statements(ids: &RawIds) -> [String; 3] {
    let now = sql::now();
    let end = sql::end_of_hold(now);
    let (first, batch) = (ids.holds.draw(BATCH), ids.batches.draw(1));
    let mut holds = String::with_capacity(BATCH as usize * 100);
    let mut events = String::with_capacity(BATCH as usize * 40);
    for id in first..first + BATCH {
        let (comma, open) = if id == first { ("", "[") } else { (",", ",") };
        let token: u128 = rand::random();
        // Writing to a String cannot fail.
        let _ = write!(holds, "{comma}({id},1,1,0,{end},{now},x'{token:032x}')");
        let _ = write!(events, "{open}[0,1,{id},0,-1,{batch}]");
    }
    [
        format!(
            "INSERT INTO contender_holds \
             (id, product_id, qty, status, expires_at, created_at, token) VALUES {holds}"
        ),
        format!(
            "INSERT INTO stockade_outbox (batch_id, events, at, body) \
             VALUES ({batch}, {BATCH}, {now}, '{events}]')"
        ),
        format!(
            "UPDATE stockade_products SET stock = stock - {BATCH}, held = held + {BATCH}, \
             version = version + 1 WHERE id = 1"
        ),
    ]
}
