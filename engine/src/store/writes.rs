//! Builds the writes of a transaction, in the same common SQL as its reads.

use std::fmt::Display;

use super::customers;
use super::database::Database;
use super::error::StoreResult;
use super::hold_batch::HoldBatch;
use super::hold_metadata::insert_metadata;
use super::hold_rows::HoldRows;
use super::hold_writes::{change_holds, insert_batches, insert_carts};
use super::order_rows::write_orders;
use super::statement::Statement;
use super::statements::{IDS_MAX, LITERALS_MAX, hex, hex_list, list, or_null, put};
use super::{Batch, outbox, rows};
use crate::ledger::{
    KeyRow, LedgerEvent, PaymentRow, PaymentTerms, ProductRow, ProductRowChange,
    awaited_by_payment, awaited_by_reference, is_awaited_by_name,
};
use crate::model::Coded;
use crate::model::{Currency, Metadata, OrderId, Product, ProductId, Timestamp};

/// The table of idempotency keys, with its columns as [`key_values`] writes them.
const KEYS: &str = "stockade_idempotency_keys (idempotency_key, fingerprint, answer, created_at)";

/// Lists all writes of a batch, keys first so that a taken one fails at once. The
/// number of statements does not grow with the number of requests.
/// `read` has the rows of holds that the transaction has read.
///
/// # Errors
/// `Fault::Conflict` for a hold that was not read, or not as it was decided on.
pub(super) fn writes<D: Database, T>(
    batch: &Batch<'_>,
    read: &HoldRows,
) -> StoreResult<Vec<Statement<T>>> {
    let (rows_affected, cursor) = (D::ROWS_AFFECTED, D::CURSOR);
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
    all.extend(insert_carts(&changes.new_holds));
    all.extend(insert_metadata(&changes.hold_metadata));
    all.extend(customers::insert_holds::<D, _>(&changes.customer_holds, &new));
    all.extend(change_holds(changes, read)?);
    all.extend(customers::end_holds(&changes.hold_moves, read));
    all.extend(write_orders(changes, now));
    all.extend(settle_payments(batch));
    all.extend(insert_products(&changes.new_products, now));
    all.extend(update_terms(&changes.products));
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

/// Inserts a batch's outbox row, where `count` is the number of its events.
pub(super) fn insert_outbox(
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

/// Inserts new products, as the batch leaves them.
fn insert_products<T>(new: &[ProductRow], now: Timestamp) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let into = format!("stockade_products ({}, created_at)", rows::PRODUCT);
    insert(&mut all, &into, new, |sql, row| {
        let ProductRow { product, received, fence, next_due } = row;
        let Product { id, in_stock, held, pending, sold, returned, version, .. } = product;
        let next_due = or_null(next_due.map(Timestamp::micros));
        let Terms { sku, name, price, currency, safety, from, until, metadata } =
            Terms::of(product);
        let (archived, at) = (i32::from(product.archived), now.micros());
        put(sql, format_args!("({id},{sku},{name},{price},'{currency}',{in_stock},{held},"));
        put(sql, format_args!("{pending},{sold},{returned},{version},{received},{fence},"));
        put(sql, format_args!("{next_due},{safety},{from},{until},{archived},{metadata},{at})"));
    });
    all
}

/// What a product is, but for its units, as SQL literals.
struct Terms {
    sku: String,
    name: String,
    price: String,
    currency: Currency,
    safety: u64,
    from: String,
    until: String,
    metadata: String,
}

impl Terms {
    fn of(product: &Product) -> Self {
        let hex_or_null = |text: Option<&str>| or_null(text.map(|text| hex(text.as_bytes())));
        let time_or_null = |at: Option<Timestamp>| or_null(at.map(Timestamp::micros));
        Self {
            sku: hex_or_null(product.sku.as_deref()),
            name: format!("CAST({} AS CHAR)", hex(product.name.as_bytes())),
            // A validated price fits: without one, the column rejects NULL.
            price: or_null(product.price.to_minor(product.currency).ok()),
            currency: product.currency,
            safety: product.safety_stock,
            from: time_or_null(product.on_sale_from),
            until: time_or_null(product.on_sale_until),
            metadata: hex_or_null(product.metadata.as_ref().map(Metadata::as_str)),
        }
    }
}

/// Updates what products are, but for their units, each guarded by its version: few
/// batches do, and few products at a time.
///
/// Products that exchange their SKUs first lose them, since the unique index looks at
/// each row as it is written.
fn update_terms<T>(changed: &[ProductRowChange]) -> Vec<Statement<T>> {
    let is_changed = |change: &&ProductRowChange| {
        let (a, b) = (&change.before.product, &change.after.product);
        (&a.sku, &a.name, a.price, a.currency, &a.metadata)
            != (&b.sku, &b.name, b.price, b.currency, &b.metadata)
            || (a.safety_stock, a.on_sale_from, a.on_sale_until, a.archived)
                != (b.safety_stock, b.on_sale_from, b.on_sale_until, b.archived)
    };
    let changed: Vec<&ProductRowChange> = changed.iter().filter(is_changed).collect();
    let loses = |change: &&&ProductRowChange| {
        let (before, after) = (&change.before.product.sku, &change.after.product.sku);
        before.is_some() && before != after
    };
    let losing: Vec<ProductId> =
        changed.iter().filter(loses).map(|change| change.before.product.id).collect();
    let lose = losing.chunks(IDS_MAX).map(|ids| {
        let rows = ids.len();
        let ids = list(ids);
        let sql = format!("UPDATE stockade_products SET sku = NULL WHERE id IN ({ids})");
        Statement::guarded(sql, rows)
    });
    let update = changed.iter().map(|change| {
        let (before, after) = (&change.before.product, &change.after.product);
        let Terms { sku, name, price, currency, safety, from, until, metadata } = Terms::of(after);
        let (id, version, archived) = (before.id, before.version, i32::from(after.archived));
        let sql = format!(
            "UPDATE stockade_products SET sku = {sku}, name = {name}, price = {price}, \
             currency = '{currency}', safety_stock = {safety}, on_sale_from = {from}, \
             on_sale_until = {until}, archived = {archived}, metadata = {metadata} \
             WHERE id = {id} AND version = {version}"
        );
        Statement::guarded(sql, 1)
    });
    lose.chain(update).collect()
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

fn payment_values(sql: &mut String, row: &PaymentRow) {
    let PaymentRow { order_id, outcome, answer, waiting, received_at, .. } = row;
    let (key, hash) = (hex(row.key.as_bytes()), hex(&row.fingerprint));
    let secret = or_null(row.secret.map(|secret| format!("x'{secret}'")));
    put(sql, format_args!("({key},{hash},{order_id},{secret},{},", outcome.code()));
    let (answer, waiting) = (answer.code(), i32::from(*waiting));
    // Plain data: serializing it cannot fail.
    let terms = (row.terms != PaymentTerms::default())
        .then(|| hex(&serde_json::to_vec(&row.terms).unwrap_or_default()));
    let terms = or_null(terms);
    put(sql, format_args!("{terms},{answer},{waiting},{})", received_at.micros()));
}

fn key_values(sql: &mut String, row: &KeyRow, now: Timestamp) {
    // A response is plain data: serializing it cannot fail.
    let answer = serde_json::to_vec(&row.answer).unwrap_or_default();
    let (key, fingerprint, answer) = (hex(row.key.as_bytes()), hex(&row.fingerprint), hex(&answer));
    put(sql, format_args!("({key},{fingerprint},{answer},{})", now.micros()));
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
    let lease = |c: &ProductRowChange| batch.fences.get(&c.before.product.id).copied().unwrap_or(0);
    let mut sets = String::new();
    // Columns that no product of the batch changes are left out.
    let mut set = |name: &str,
                   is_changed: &dyn Fn(&ProductRowChange) -> bool,
                   value: &dyn Fn(&ProductRowChange) -> String| {
        if changed.iter().any(is_changed) {
            let value = cases("id", changed.iter().map(|c| (c.before.product.id.0, value(c))));
            put(&mut sets, format_args!("{name} = {value}, "));
        }
    };
    let mut units = |name: &str, of: fn(&ProductRow) -> u64| {
        set(name, &|c| of(&c.before) != of(&c.after), &|c| of(&c.after).to_string());
    };
    units("stock", |row| row.product.in_stock);
    units("held", |row| row.product.held);
    units("pending", |row| row.product.pending);
    units("sold", |row| row.product.sold);
    units("returned", |row| row.product.returned);
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
        must_equal("stock", &|row| signed(row.product.in_stock));
        must_equal("held", &|row| signed(row.product.held));
        must_equal("pending", &|row| signed(row.product.pending));
        must_equal("sold", &|row| signed(row.product.sold));
        must_equal("returned", &|row| signed(row.product.returned));
        must_equal("received", &|row| signed(row.received));
        must_equal("fence", &|row| signed(row.fence));
        must_equal("COALESCE(next_due, -1)", &|row| row.next_due.map_or(-1, Timestamp::micros));
        must_equal("safety_stock", &|row| signed(row.product.safety_stock));
        must_equal("archived", &|row| i64::from(row.product.archived));
        let has_ends = |row: &ProductRow| {
            row.product.on_sale_from.is_some() || row.product.on_sale_until.is_some()
        };
        if changed.iter().any(|c| has_ends(&c.before)) {
            let end = |at: Option<Timestamp>| at.map_or(i64::MIN, Timestamp::micros);
            let or_min = |column: &str| format!("COALESCE({column}, {})", i64::MIN);
            must_equal(&or_min("on_sale_from"), &|row| end(row.product.on_sale_from));
            must_equal(&or_min("on_sale_until"), &|row| end(row.product.on_sale_until));
        } else {
            put(&mut guard, format_args!(" AND COALESCE(on_sale_from, on_sale_until) IS NULL"));
        }
    }
    let step = |c: &ProductRowChange| c.after.product.version - c.before.product.version;
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
    let mut awaited: Vec<OrderId> = Vec::new();
    let mut must_be_empty = |sql: String| {
        checks.push(Statement::read(sql, |conflict: &mut Conflict, _| {
            conflict.0 = true;
            Ok(())
        }));
    };
    if !changes.new_orders.is_empty() {
        awaited.extend(changes.new_orders.iter().map(|row| row.order.id));
        let references = changes.new_orders.iter().filter_map(|row| row.order.reference.as_ref());
        awaited.extend(references.map(|reference| awaited_by_reference(reference)));
    }
    awaited.extend(changes.payment_references.iter().map(|(name, _)| awaited_by_payment(name)));
    if !awaited.is_empty() {
        let ids = list(awaited);
        must_be_empty(format!(
            "SELECT order_id FROM stockade_payments_waiting WHERE order_id IN ({ids}) FOR UPDATE"
        ));
    }
    let waiting = || changes.new_payments.iter().filter(|row| row.waiting);
    let ids = list(waiting().map(|row| row.order_id).filter(|id| !is_awaited_by_name(*id)));
    if !ids.is_empty() {
        must_be_empty(format!("SELECT id FROM stockade_orders WHERE id IN ({ids}) FOR UPDATE"));
    }
    let named = || waiting().filter(|row| is_awaited_by_name(row.order_id));
    let orders = named().filter_map(|row| row.terms.order_reference.as_deref());
    let payments = named().filter_map(|row| row.terms.reference.as_deref());
    let tables: [(&str, Vec<&str>); 2] =
        [("order_references", orders.collect()), ("payment_references", payments.collect())];
    for (table, names) in tables.into_iter().filter(|(_, names)| !names.is_empty()) {
        let names = hex_list(names);
        must_be_empty(format!(
            "SELECT order_id FROM stockade_{table} WHERE reference IN ({names}) FOR UPDATE"
        ));
    }
    checks
}

#[cfg(test)]
mod tests;
