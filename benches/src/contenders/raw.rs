//! The transactions of the ceilings as SQL text: rows of holds, one for each hold or
//! packed, one row for their events, and the product's.

use std::fmt::Write;

use super::sql::{self, Ids};

/// Holds per transaction of single rows.
const BATCH: u64 = 256;

/// Holds per transaction of packed rows: the most that fit one message of
/// TigerBeetle, for comparison.
pub(super) const PACKED_BATCH: u64 = 8_189;

/// Holds of one packed row.
const ROW: u64 = 256;

/// What a ceiling writes, again and again.
#[derive(Clone, Copy)]
pub(super) struct RawTransaction {
    pub holds: u64,
    /// Builds the rows of holds, their events, and the product.
    pub statements: fn(&RawIds) -> [String; 3],
}

/// One row for each hold.
pub(super) const SINGLE_ROWS: RawTransaction = RawTransaction { holds: BATCH, statements };

/// Rows of many holds, as Stockade writes them.
pub(super) const PACKED_ROWS: RawTransaction =
    RawTransaction { holds: PACKED_BATCH, statements: packed_statements };

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
fn statements(ids: &RawIds) -> [String; 3] {
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

/// Builds the statements of one transaction of [`PACKED_BATCH`] holds on product 1.
fn packed_statements(ids: &RawIds) -> [String; 3] {
    let now = sql::now();
    let end = sql::end_of_hold(now);
    let (first, batch) = (ids.holds.draw(PACKED_BATCH), ids.batches.draw(1));
    let seed: u128 = rand::random();
    let (mut rows, mut events) = (String::new(), String::new());
    let mut at = 0;
    while at < PACKED_BATCH {
        let count = (PACKED_BATCH - at).min(ROW);
        let comma = if at == 0 { "" } else { "," };
        let id = first + at;
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "{comma}({id},1,{count},{count},0,0,0,0,{count},{end},{now},{end},1,x'{seed:032x}',\
             x'{}',x'{}')",
            "01".repeat(count as usize),
            "00".repeat(count as usize),
        );
        let _ = write!(events, "{comma}[0,1,{id},0,-1,{batch},{count}]");
        at += count;
    }
    [
        format!(
            "INSERT INTO stockade_hold_batches (first_id, product_id, count, active, detached, \
             converted, released, expired, active_units, expires_at, created_at, due, version, \
             seed, quantities, statuses) VALUES {rows}"
        ),
        format!(
            "INSERT INTO stockade_outbox (batch_id, events, at, body) \
             VALUES ({batch}, {PACKED_BATCH}, {now}, '[{events}]')"
        ),
        format!(
            "UPDATE stockade_products SET stock = stock - {PACKED_BATCH}, held = held + {PACKED_BATCH}, \
             version = version + 1 WHERE id = 1"
        ),
    ]
}
