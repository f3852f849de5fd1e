//! Compares the final rows with the responses that buyers received.

use std::collections::{HashMap, HashSet};

use stockade::{Engine, ProductId};

use super::load::Journal;
use crate::results::Row;

/// All rows of one server, read through `query`.
pub(super) struct StoreDump {
    /// Received, stock, held, pending, sold of each product's row.
    products: HashMap<u64, [i64; 5]>,
    /// Product, units, status.
    holds: HashMap<u64, [i64; 3]>,
    /// Hold, units, status.
    orders: HashMap<u64, (u64, [i64; 2])>,
    /// Each transaction's outbox events: kind, product, hold, order, units,
    /// version.
    events: Vec<Vec<[i64; 6]>>,
    /// All rows as text, to compare servers.
    text: String,
}

const ACTIVE: i64 = 0;
const PENDING: i64 = 0;
const PAID: i64 = 1;
const CANCELLED: i64 = 2;
const HOLD_CREATED: i64 = 0;

/// Expands an entry of an outbox row: kind, product, hold or 0, order or 0, units and
/// version of an event, and for a run of them their number.
fn events_of(run: &[i64]) -> impl Iterator<Item = [i64; 6]> {
    let first: [i64; 6] = run[..6].try_into().expect("six numbers");
    let nth = |id: i64, at: i64| if id == 0 { 0 } else { id + at };
    (0..run.get(6).copied().unwrap_or(1)).map(move |at| {
        let [kind, product, hold, order, units, version] = first;
        [kind, product, nth(hold, at), nth(order, at), units, version]
    })
}

/// Unpacks a row of holds: first id, product, quantities and statuses in
/// hexadecimal.
fn unpack(row: &str) -> Vec<(u64, [i64; 3])> {
    let mut cells = row.split('\t');
    let mut cell = || cells.next().unwrap_or_default();
    let first: u64 = cell().parse().expect("an id");
    let product: i64 = cell().parse().expect("a product");
    let (quantities, statuses) = (cell(), cell());
    let count = statuses.len() / 2;
    let hex = |digits: &str| i64::from_str_radix(digits, 16).expect("hexadecimal");
    let width = quantities.len() / count;
    let hold = |at: usize| {
        let quantity = hex(&quantities[at * width..(at + 1) * width]);
        [product, quantity, hex(&statuses[at * 2..at * 2 + 2])]
    };
    (first..).zip((0..count).map(hold)).collect()
}

impl StoreDump {
    pub fn read(database: &str, query: impl Fn(&str) -> String) -> Self {
        let table = |columns: &str, table: &str, by: &str| {
            query(&format!("SELECT {columns} FROM {database}.{table} ORDER BY {by}"))
        };
        let products =
            table("id, received, stock, held, pending, sold, version", "stockade_products", "id");
        let batches = table(
            "first_id, product_id, HEX(quantities), HEX(statuses)",
            "stockade_hold_batches",
            "first_id",
        );
        let detached =
            table("hold_id, product_id, qty, status", "stockade_detached_holds", "hold_id");
        let orders = table("id, hold_id, qty, status, disposition", "stockade_orders", "id");
        let payments = table(
            "HEX(idempotency_key), order_id, outcome, answer",
            "stockade_payments",
            "idempotency_key",
        );
        let keys = table(
            "HEX(idempotency_key), HEX(answer)",
            "stockade_idempotency_keys",
            "idempotency_key",
        );
        let events = table("batch_id, body", "stockade_outbox", "batch_id");
        let cells = |line: &str| -> Vec<i64> {
            line.split('\t').map(|cell| cell.parse().unwrap_or(-1)).collect()
        };
        let id = |cells: &[i64], at: usize| u64::try_from(cells[at]).expect("an id");
        let mut dump = Self {
            products: HashMap::new(),
            holds: HashMap::new(),
            orders: HashMap::new(),
            events: Vec::new(),
            text: String::new(),
        };
        for row in products.lines().map(cells) {
            dump.products.insert(id(&row, 0), [row[1], row[2], row[3], row[4], row[5]]);
        }
        for row in batches.lines() {
            dump.holds.extend(unpack(row));
        }
        // The status of an extended hold is in a row of its own.
        for row in detached.lines().map(cells) {
            dump.holds.insert(id(&row, 0), [row[1], row[2], row[3]]);
        }
        for row in orders.lines().map(cells) {
            dump.orders.insert(id(&row, 0), (id(&row, 1), [row[2], row[3]]));
        }
        for row in events.lines() {
            let body = row.split('\t').nth(1).unwrap_or_default();
            let runs: Vec<Vec<i64>> = serde_json::from_str(body).expect("events");
            dump.events.push(runs.iter().flat_map(|run| events_of(run)).collect());
        }
        dump.text = [products, batches, detached, orders, payments, keys, events].join("\n--\n");
        dump
    }

    pub fn is_equal_to(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Returns the oversold units and the units that no row accounts for.
    fn units(&self, wanted: &[ProductId]) -> (u64, u64) {
        let (mut over, mut leaked) = (0, 0);
        for id in wanted {
            let Some([received, stock, ..]) = self.products.get(&id.0) else { continue };
            let in_holds: i64 = self
                .holds
                .values()
                .filter(|[product, _, status]| {
                    u64::try_from(*product) == Ok(id.0) && *status == ACTIVE
                })
                .map(|[_, quantity, _]| quantity)
                .sum();
            let is_of = |hold: &u64| {
                self.holds.get(hold).is_some_and(|[of, ..]| u64::try_from(*of) == Ok(id.0))
            };
            let in_orders: i64 = self
                .orders
                .values()
                .filter(|(hold, [_, status])| is_of(hold) && [PENDING, PAID].contains(status))
                .map(|(_, [quantity, _])| quantity)
                .sum();
            let taken = in_holds + in_orders;
            over += u64::try_from(taken - received).unwrap_or(0);
            leaked += (received - stock - taken).unsigned_abs();
        }
        (over, leaked)
    }

    /// Counts product versions that several transactions produced. Every update
    /// is guarded by the previous version, so each duplicate is a lost update of
    /// the database.
    pub fn versions_made_twice(&self) -> usize {
        let mut made: HashMap<(i64, i64), usize> = HashMap::new();
        for transaction in &self.events {
            let versions: HashSet<(i64, i64)> = transaction
                .iter()
                .map(|[_, product, _, _, _, version]| (*product, *version))
                .collect();
            versions.into_iter().for_each(|version| *made.entry(version).or_default() += 1);
        }
        made.values().filter(|times| **times > 1).count()
    }

    /// Counts holds without an event. One transaction writes both, so each is a
    /// torn transaction.
    pub fn holds_without_event(&self) -> usize {
        let told: HashSet<u64> = self
            .events
            .iter()
            .flatten()
            .filter(|[kind, ..]| *kind == HOLD_CREATED)
            .filter_map(|[_, _, hold, ..]| u64::try_from(*hold).ok())
            .collect();
        self.holds.keys().filter(|id| !told.contains(id)).count()
    }

    /// Counts acknowledged holds, orders and payments that are missing.
    fn lost(&self, journal: &Journal) -> u64 {
        let hold_is_lost = |hold: &&stockade::Hold| {
            self.holds.get(&hold.id.0).is_none_or(|[product, quantity, _]| {
                u64::try_from(*product) != Ok(hold.product_id.0)
                    || *quantity != i64::from(hold.quantity)
            })
        };
        let holds = journal.holds.iter().filter(hold_is_lost).count();
        let order_is_lost = |order: &&stockade::Order| {
            self.orders
                .get(&order.id.0)
                .is_none_or(|(hold, _)| *hold != order.lines.first().hold_id.0)
        };
        let orders = journal.orders.iter().filter(order_is_lost).count();
        let payment_is_lost = |(order, is_success): &&(u64, bool)| {
            let wanted = if *is_success { PAID } else { CANCELLED };
            self.orders.get(order).is_none_or(|(_, [_, status])| *status != wanted)
        };
        let payments = journal.paid.iter().filter(payment_is_lost).count();
        (holds + orders + payments) as u64
    }

    /// Counts holds without an acknowledgement, beyond the in-doubt ones, and
    /// holds acknowledged twice.
    fn doubled(&self, journal: &Journal) -> u64 {
        let answered: HashSet<u64> = journal.holds.iter().map(|hold| hold.id.0).collect();
        let twice = journal.holds.len() - answered.len();
        let unanswered = self.holds.keys().filter(|id| !answered.contains(id)).count() as u64;
        twice as u64 + unanswered.saturating_sub(journal.in_doubt)
    }
}

/// Fills in the row's findings; `audit` is an engine on the final data.
pub(super) fn judge(
    row: &mut Row,
    dump: &StoreDump,
    journal: &Journal,
    products: &[ProductId],
    audit: &Engine,
) {
    // Expired holds are void either way; after a sweep the counters need no
    // correction for them.
    audit.sweep().expect("a sweep");
    let report = audit.audit().expect("an audit");
    (row.oversold, row.leaked) = dump.units(products);
    row.lost = dump.lost(journal);
    row.doubled = dump.doubled(journal);
    row.operations = journal.operations;
    row.recovery = Some(journal.gap);
    let mut notes = Vec::new();
    if !report.consistent {
        row.leaked = row.leaked.max(report.findings.len() as u64);
        notes.push(format!("audit: {:?}", report.findings.first()));
    }
    if let Some(unexpected) = journal.unexpected.first() {
        row.unexplained += journal.unexpected.len() as u64;
        notes.push(format!("unexpected answer: {unexpected}"));
    }
    row.note = notes.join("; ");
}
