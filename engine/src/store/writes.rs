//! Builds the writes of a transaction, in the same common SQL as its reads.

use std::fmt::Display;

use super::error::StoreResult;
use super::hold_batch::HoldBatch;
use super::hold_rows::HoldRows;
use super::hold_writes::{change_holds, first_id_of, insert_batches};
use super::statement::Statement;
use super::statements::{IDS_MAX, LITERALS_MAX, hex, hex_list, list, or_null, put};
use super::{Batch, ProductInsert, outbox, rows};
use crate::ledger::{
    CustomerHold, HoldMove, KeyRow, LedgerEvent, OrderMove, OrderRow, PaymentRow, ProductChange,
    ProductRow,
};
use crate::model::Coded;
use crate::model::{EventKind, HoldStatus, Order, OrderId, Timestamp};

/// The table of idempotency keys, with its columns as [`key_values`] writes them.
const KEYS: &str = "stockade_idempotency_keys (idempotency_key, fingerprint, answer, created_at)";

/// Lists all writes of a batch, keys first so that a taken one fails at once. The
/// number of statements does not grow with the number of requests.
/// `read` has the rows of holds that the transaction has read. `rows_affected` is
/// the dialect's expression of the rows that the statement before affected,
/// `cursor` that of an outbox row's first cursor.
///
/// # Errors
/// `Fault::Conflict` for a hold that was not read, or not as it was decided on.
pub(super) fn writes<T>(
    batch: &Batch<'_>,
    read: &HoldRows,
    rows_affected: &str,
    cursor: &str,
) -> StoreResult<Vec<Statement<T>>> {
    let changes = batch.changes;
    let now = batch.now;
    let mut all = Vec::new();
    insert(&mut all, KEYS, &changes.new_keys, |sql, row| key_values(sql, row, now));
    insert(
        &mut all,
        &format!("stockade_payments ({})", rows::PAYMENT),
        &changes.new_payments,
        payment_values,
    );
    let waiting = changes.new_payments.iter().filter(|row| row.waiting);
    let waiting: Vec<_> = waiting.enumerate().collect();
    let columns = "stockade_payments_waiting (order_id, idempotency_key, position)";
    insert(&mut all, columns, &waiting, |sql, (position, row)| {
        put(sql, format_args!("({}, {}, {position})", row.order_id, hex(row.key.as_bytes())));
    });
    let new = HoldBatch::pack(&changes.new_holds, batch.seed);
    all.extend(insert_batches(&new));
    all.extend(insert_customers(batch, &new));
    all.extend(change_holds(changes, read)?);
    all.extend(delete_customers(&changes.hold_moves));
    insert(
        &mut all,
        &format!("stockade_orders ({})", rows::ORDER),
        &changes.new_orders,
        order_values,
    );
    all.extend(changes.order_moves.iter().flat_map(|m| move_orders(m, now)));
    all.extend(settle_payments(batch));
    all.extend(update_products(batch));
    // Also without events: the row resolves an in-doubt commit.
    if !changes.is_empty() {
        let count = changes.events.len();
        // The row follows the update of the products and repeats its guard: the
        // column rejects NULL.
        let guarded = match changes.products.len() {
            0 => count.to_string(),
            products => format!("CASE {rows_affected} WHEN {products} THEN {count} END"),
        };
        let sql = insert_outbox(batch.id, cursor, &guarded, now, &changes.events);
        all.push(Statement::self_checking(sql, 1));
    }
    Ok(all)
}

/// Inserts the customers of new holds, with the first ids of their rows in `new`.
fn insert_customers<T>(batch: &Batch<'_>, new: &[HoldBatch]) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let columns = "stockade_customer_holds (product_id, customer, hold_id, first_id)";
    insert(&mut all, columns, &batch.changes.customer_holds, |sql, row| {
        let CustomerHold { product_id, customer, hold_id } = row;
        let (customer, first_id) = (hex(customer.as_bytes()), first_id_of(new, *hold_id));
        put(sql, format_args!("({product_id},{customer},{hold_id},{first_id})"));
    });
    all
}

/// Inserts a batch's outbox row, where `count` is the number of its events.
fn insert_outbox(
    batch_id: u64,
    cursor: &str,
    count: &str,
    now: Timestamp,
    events: &[LedgerEvent],
) -> String {
    // Readers skip rows without events.
    let cursor = if events.is_empty() { "0" } else { cursor };
    let (at, body) = (now.micros(), outbox::pack(events));
    format!(
        "INSERT INTO stockade_outbox (batch_id, first_cursor, events, at, body) \
         VALUES ({batch_id}, {cursor}, {count}, {at}, '{body}')"
    )
}

/// Lists the inserts of a new product: its idempotency key first, the product,
/// and the outbox row of its batch with the `stock_adjusted` event if it has
/// units.
pub(super) fn insert_product(
    new: &ProductInsert<'_>,
    now: Timestamp,
    cursor: &str,
) -> Vec<Statement<()>> {
    let ProductInsert { id, name, price, stock, batch_id, key } = new;
    let key = key.map(|row| {
        let mut sql = format!("INSERT INTO {KEYS} VALUES ");
        key_values(&mut sql, row, now);
        sql
    });
    let (name, price, at) = (hex(name.as_bytes()), price.minor(), now.micros());
    let product = format!(
        "INSERT INTO stockade_products ({}, created_at) VALUES \
         ({id}, CAST({name} AS CHAR), {price}, {stock}, 0, 0, 0, 1, {stock}, 0, NULL, {at})",
        rows::PRODUCT
    );
    let received = LedgerEvent {
        kind: EventKind::StockAdjusted,
        product_id: *id,
        hold_id: None,
        order_id: None,
        quantity: i64::try_from(*stock).unwrap_or(i64::MAX),
        version: 1,
    };
    let events = if *stock == 0 { Vec::new() } else { vec![received] };
    let outbox = insert_outbox(*batch_id, cursor, &events.len().to_string(), now, &events);
    key.into_iter().chain([product, outbox]).map(|sql| Statement::self_checking(sql, 1)).collect()
}

pub(super) fn insert<T, I>(
    all: &mut Vec<Statement<T>>,
    into: &str,
    items: &[I],
    values: impl Fn(&mut String, &I),
) {
    let mut rest = items.len();
    let mut open: Option<(String, usize)> = None;
    for item in items {
        let (sql, count) = open.get_or_insert_with(|| {
            let mut sql = String::with_capacity(64 + (rest * 96).min(LITERALS_MAX));
            put(&mut sql, format_args!("INSERT INTO {into} VALUES "));
            (sql, 0)
        });
        if *count > 0 {
            sql.push(',');
        }
        values(sql, item);
        *count += 1;
        rest -= 1;
        if sql.len() > LITERALS_MAX {
            all.extend(open.take().map(inserted));
        }
    }
    all.extend(open.map(inserted));
}

fn inserted<T>((sql, count): (String, usize)) -> Statement<T> {
    Statement::self_checking(sql, count)
}

fn order_values(sql: &mut String, row: &OrderRow) {
    let Order { id, hold_id, product_id, quantity, status, payment_disposition, .. } = &row.order;
    put(sql, format_args!("({id},{hold_id},{product_id},{quantity},{},", status.code()));
    let (disposition, secret) = (payment_disposition.code(), row.order.payment_token.secret);
    let (created, updated) = (row.order.created_at.micros(), row.order.updated_at.micros());
    let due = or_null(row.due_at.map(Timestamp::micros));
    put(sql, format_args!("{disposition},x'{secret}',{created},{updated},{due})"));
}

fn payment_values(sql: &mut String, row: &PaymentRow) {
    let PaymentRow { order_id, outcome, answer, waiting, received_at, .. } = row;
    let (key, hash) = (hex(row.key.as_bytes()), hex(&row.body_hash));
    let secret = or_null(row.secret.map(|secret| format!("x'{secret}'")));
    put(sql, format_args!("({key},{hash},{order_id},{secret},{},", outcome.code()));
    let (answer, waiting) = (answer.code(), i32::from(*waiting));
    put(sql, format_args!("{answer},{waiting},{})", received_at.micros()));
}

fn key_values(sql: &mut String, row: &KeyRow, now: Timestamp) {
    // A response is plain data: serializing it cannot fail.
    let answer = serde_json::to_vec(&row.answer).unwrap_or_default();
    let (key, fingerprint, answer) = (hex(row.key.as_bytes()), hex(&row.fingerprint), hex(&answer));
    put(sql, format_args!("({key},{fingerprint},{answer},{})", now.micros()));
}

/// Deletes the customers of holds that are no longer active: only active ones
/// count towards a customer's limit.
fn delete_customers<T>(moves: &[HoldMove]) -> impl Iterator<Item = Statement<T>> {
    let ended = moves.iter().filter(|moved| moved.to != HoldStatus::Active);
    ended.flat_map(|moved| moved.ids.chunks(IDS_MAX)).map(|some| {
        let ids = list(some);
        let sql = format!("DELETE FROM stockade_customer_holds WHERE hold_id IN ({ids})");
        Statement::new(sql)
    })
}

fn move_orders<T>(moved: &OrderMove, now: Timestamp) -> impl Iterator<Item = Statement<T>> {
    let (status, disposition) = (moved.to.0.code(), moved.to.1.code());
    let (from, before, now) = (moved.from.0.code(), moved.from.1.code(), now.micros());
    moved.ids.chunks(IDS_MAX).map(move |some| {
        let ids = list(some);
        let sql = format!(
            "UPDATE stockade_orders SET status = {status}, disposition = {disposition}, \
             updated_at = {now} WHERE id IN ({ids}) AND status = {from} AND disposition = {before}"
        );
        Statement::guarded(sql, some.len())
    })
}

fn settle_payments<T>(batch: &Batch<'_>) -> Vec<Statement<T>> {
    // Keys are long, so a statement has room for fewer.
    batch.changes.settled_payments.chunks(IDS_MAX / 16).flat_map(settle_some).collect()
}

fn settle_some<T>(settled: &[(OrderId, String)]) -> [Statement<T>; 2] {
    let keys = hex_list(settled.iter().map(|(_, key)| key));
    let orders = list(settled.iter().map(|(order_id, _)| order_id));
    let rows = settled.len();
    let delete = format!(
        "DELETE FROM stockade_payments_waiting WHERE order_id IN ({orders}) AND idempotency_key IN ({keys})"
    );
    let settle = format!(
        "UPDATE stockade_payments SET waiting = 0 WHERE idempotency_key IN ({keys}) AND waiting = 1"
    );
    [delete, settle].map(|sql| Statement::guarded(sql, rows))
}

/// One statement for all products of the batch, each guarded by its version
/// (optimistic concurrency).
///
/// A speculative batch guards all numbers of a product. Its version alone would not
/// do: a database that was restored, or that failed over to a replica without the
/// last commits, gives versions again that this process remembers.
fn update_products<T>(batch: &Batch<'_>) -> Option<Statement<T>> {
    let changed = &batch.changes.products;
    if changed.is_empty() {
        return None;
    }
    let lease = |c: &ProductChange| batch.fences.get(&c.before.product.id).copied().unwrap_or(0);
    let mut sets = String::new();
    // Columns that no product of the batch changes are left out.
    let mut set = |name: &str,
                   is_changed: &dyn Fn(&ProductChange) -> bool,
                   value: &dyn Fn(&ProductChange) -> String| {
        if changed.iter().any(is_changed) {
            let value = cases("id", changed.iter().map(|c| (c.before.product.id.0, value(c))));
            put(&mut sets, format_args!("{name} = {value}, "));
        }
    };
    let mut units = |name: &str, of: fn(&ProductRow) -> u64| {
        set(name, &|c| of(&c.before) != of(&c.after), &|c| of(&c.after).to_string());
    };
    units("stock", |row| row.product.stock);
    units("held", |row| row.product.held);
    units("pending", |row| row.product.pending);
    units("sold", |row| row.product.sold);
    units("received", |row| row.received);
    set("fence", &|c| lease(c) > c.before.fence, &|c| lease(c).max(c.before.fence).to_string());
    set("next_due", &|c| c.before.next_due != c.after.next_due, &|c| {
        or_null(c.after.next_due.map(Timestamp::micros))
    });
    let ids = list(changed.iter().map(|c| c.before.product.id));
    let before = |of: &dyn Fn(&ProductRow) -> i64| {
        cases("id", changed.iter().map(|c| (c.before.product.id.0, of(&c.before))))
    };
    let mut guard = String::new();
    let mut must_equal = |column: &str, of: &dyn Fn(&ProductRow) -> i64| {
        put(&mut guard, format_args!(" AND {column} = {}", before(of)));
    };
    // Stores keep signed numbers, so each fits.
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    must_equal("version", &|row| signed(row.product.version));
    if batch.is_speculative {
        must_equal("stock", &|row| signed(row.product.stock));
        must_equal("held", &|row| signed(row.product.held));
        must_equal("pending", &|row| signed(row.product.pending));
        must_equal("sold", &|row| signed(row.product.sold));
        must_equal("received", &|row| signed(row.received));
        must_equal("fence", &|row| signed(row.fence));
        must_equal("COALESCE(next_due, -1)", &|row| row.next_due.map_or(-1, Timestamp::micros));
    }
    let step = |c: &ProductChange| c.after.product.version - c.before.product.version;
    let step = if changed.iter().all(|c| step(c) == 1) {
        "1".to_owned()
    } else {
        cases("id", changed.iter().map(|c| (c.before.product.id.0, step(c))))
    };
    // The guard reads the row before any assignment.
    let sql = format!(
        "UPDATE stockade_products SET {sets}version = version + {step} WHERE id IN ({ids}){guard}"
    );
    // The outbox row after it checks the affected rows.
    Some(Statement::self_checking(sql, changed.len()))
}

/// Selects a value by the numbers in `column`, which must ascend: one value if all
/// are equal, else a binary tree of comparisons, so that the work for all rows does
/// not grow with their square.
pub(super) fn cases<V: Display>(column: &str, pairs: impl Iterator<Item = (u64, V)>) -> String {
    let pairs: Vec<(u64, String)> = pairs.map(|(id, value)| (id, value.to_string())).collect();
    let mut sql = String::with_capacity(pairs.len() * 32);
    push_cases(&mut sql, column, &pairs);
    sql
}

fn push_cases(sql: &mut String, column: &str, pairs: &[(u64, String)]) {
    match pairs {
        [] => sql.push_str("NULL"),
        [(_, value), rest @ ..] if rest.iter().all(|(_, other)| other == value) => {
            sql.push_str(value);
        }
        _ => {
            let (low, high) = pairs.split_at(pairs.len() / 2);
            put(sql, format_args!("CASE WHEN {column} < {} THEN ", high[0].0));
            push_cases(sql, column, low);
            sql.push_str(" ELSE ");
            push_cases(sql, column, high);
            sql.push_str(" END");
        }
    }
}

/// Whether one of the [`conflict_checks`] found a row.
#[derive(Debug, Default)]
pub(super) struct Conflict(pub bool);

/// Locking reads that must find nothing (a guard against write skew). An order and
/// a payment event that waits for it have no row in common to lock: each
/// transaction writes its own row, then looks for the other's with a locking read,
/// so that one of the two finds it.
pub(super) fn conflict_checks(batch: &Batch<'_>) -> Vec<Statement<Conflict>> {
    let changes = batch.changes;
    let mut checks = Vec::new();
    let mut must_be_empty = |sql: String| {
        checks.push(Statement::read(sql, |conflict: &mut Conflict, _| {
            conflict.0 = true;
            Ok(())
        }));
    };
    if !changes.new_orders.is_empty() {
        let ids = list(changes.new_orders.iter().map(|row| row.order.id));
        must_be_empty(format!(
            "SELECT order_id FROM stockade_payments_waiting WHERE order_id IN ({ids}) FOR UPDATE"
        ));
    }
    let waiting = changes.new_payments.iter().filter(|row| row.waiting).map(|row| row.order_id);
    let ids = list(waiting);
    if !ids.is_empty() {
        must_be_empty(format!("SELECT id FROM stockade_orders WHERE id IN ({ids}) FOR UPDATE"));
    }
    checks
}

#[cfg(test)]
mod tests;
