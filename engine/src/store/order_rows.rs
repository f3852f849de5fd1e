//! The rows of orders: their columns, and the packed form of lines.
//!
//! Nearly all orders have one line and are never refunded: such an order is one row
//! of plain columns. The lines of any other are in `packed_lines`, a JSON array with one
//! array a line: hold, product, units, price in minor units, units refunded, units
//! returned, and 1 once retention has deleted the line's hold. The plain columns then
//! repeat the first line, but `qty` has the units of all lines of its product: a read
//! of the product sums them for the orders that are due. `stockade_order_holds` finds the order of each further hold.

use std::fmt::Display;

use super::customers;
use super::order_lines::StoredLine;
use super::rows;
use super::rows::Cells;
use super::statement::Statement;
use super::statements::{IDS_MAX, hex, list, or_null, put};
use super::writes::insert;
use crate::ledger::{Changes, OrderChange, OrderRow, is_paid_by};
use crate::model::{
    Coded, HoldId, Metadata, Money, Order, OrderId, OrderLine, OrderLines, OrderStatus,
    PaymentDisposition, Timestamp,
};
use crate::product_index::Products;

/// The stored columns.
pub(super) const STORED: &str = "id, hold_id, product_id, qty, price, packed_lines, status, disposition, \
     flags, secret, amount, currency, refunded, reference, paid_by, other_payments, version, created_at, \
     updated_at, due_at, paid_at, metadata, created_by, customer";

/// The columns of a new order that has nothing else than every order: the others have
/// defaults. A statement of half the length takes a server two thirds of the time.
const PLAIN: &str = "id, hold_id, product_id, qty, price, secret, amount, currency, \
     created_at, updated_at, due_at";

/// The SELECT list of [`order`] from the table with this alias.
pub(super) fn columns(alias: &str) -> String {
    let columns = rows::of_alias(STORED, alias);
    let stored = columns.strip_suffix("customer").unwrap_or(&columns);
    let stored = stored.strip_suffix(&format!("{alias}.")).unwrap_or(stored);
    // Most orders have none: then nothing is looked up.
    let name = format!("(SELECT n.name FROM stockade_customers n WHERE n.id = {alias}.customer)");
    format!("{stored}CASE WHEN {alias}.customer IS NOT NULL THEN {name} END")
}

/// Bits of `flags`.
const CLOSED: i64 = 1;
const FAILED_ATTEMPT: i64 = 2;

/// Decodes a row of [`columns`]; `None` for an order of which retention has deleted a
/// part.
pub(super) fn order(row: &mut Cells<'_>) -> sqlx::Result<Option<OrderRow>> {
    let id = OrderId(row.count()?);
    let stored = lines(row)?;
    let (status, payment_disposition, flags) = (row.coded()?, row.coded()?, row.int()?);
    let secret = row.token()?;
    let (amount, currency, refunded) = (row.int()?, row.currency()?, row.int()?);
    let (reference, paid_by) = (row.opt_key()?, row.opt_key()?);
    let (other_payments, version) = (row.opt_json()?.unwrap_or_default(), row.count()?);
    let (created_at, updated_at, pay_until) = (row.time()?, row.time()?, row.opt_time()?);
    let (paid_at, metadata) = (row.int()?, row.opt_key()?);
    let paid_at = (paid_at != 0).then(|| Timestamp::from_micros(paid_at));
    let (created_by, customer) = (row.opt_key()?, row.opt_key()?);
    if stored.iter().any(|line| line.is_purged()) {
        return Ok(None);
    }
    let mut lines = (1..).zip(&stored).map(|(number, line)| OrderLine {
        line: number,
        hold_id: line.hold_id(),
        product_id: line.product_id(),
        sku: None,
        quantity: line.quantity,
        price: Money::from_row(line.price, currency),
        refunded: line.refunded,
        returned: line.returned,
    });
    let first = lines.next().ok_or_else(|| row.invalid_value())?;
    let order = Order {
        id,
        lines: OrderLines::new(first, lines.collect()),
        status,
        payment_token: None,
        payment_disposition,
        amount: Money::from_row(amount, currency),
        currency,
        refunded_amount: Money::from_row(refunded, currency),
        reference,
        customer,
        metadata: metadata.as_deref().map(Metadata::stored),
        created_by,
        pay_until,
        created_at,
        updated_at,
    };
    let (is_closed, has_failed_attempt) = (flags & CLOSED != 0, flags & FAILED_ATTEMPT != 0);
    Ok(Some(OrderRow {
        order,
        secret,
        version,
        is_closed,
        has_failed_attempt,
        paid_by,
        other_payments,
        paid_at,
    }))
}

/// The columns of [`lines`].
pub(super) const LINES: &str = "hold_id, product_id, qty, price, packed_lines";

/// Decodes the lines of an order from the columns [`LINES`].
pub(super) fn lines(row: &mut Cells<'_>) -> sqlx::Result<Vec<StoredLine>> {
    let (hold, product) = (row.count()?, row.count()?);
    let (units, price) = (row.count()?, row.int()?);
    match row.opt_key()? {
        None => {
            let quantity = u32::try_from(units).map_err(|_| row.invalid_value())?;
            Ok(vec![StoredLine::new(hold, product, quantity, price)])
        }
        Some(packed) => StoredLine::unpack(&packed).ok_or_else(|| row.invalid_value()),
    }
}

/// Decodes an order's id and products from the columns `id` and [`LINES`].
pub(super) fn order_products(row: &mut Cells<'_>) -> sqlx::Result<(u64, Products)> {
    let id = row.count()?;
    Ok((id, lines(row)?.iter().map(StoredLine::product_id).collect()))
}

/// The text that selects the orders of the holds that meet a condition on `hold_id`,
/// each with its hold.
pub(super) fn select_orders_of(which: impl Display) -> String {
    format!(
        "SELECT hold_id, id FROM stockade_orders WHERE hold_id {which} \
         UNION ALL SELECT hold_id, order_id FROM stockade_order_holds WHERE hold_id {which}"
    )
}

/// Decodes a row of [`select_orders_of`].
pub(super) fn order_of_hold(row: &mut Cells<'_>) -> sqlx::Result<(HoldId, OrderId)> {
    Ok((HoldId(row.count()?), OrderId(row.count()?)))
}

/// The statements that write new orders, changes of stored ones, and the names by
/// which they are found.
pub(super) fn write_orders<T>(changes: &Changes, now: Timestamp) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let (plain, others): (Vec<&OrderRow>, Vec<&OrderRow>) =
        changes.new_orders.iter().partition(|row| is_plain(row));
    insert(&mut all, &format!("stockade_orders ({PLAIN})"), &plain, |sql, row| {
        plain_values(sql, row);
    });
    insert(&mut all, &format!("stockade_orders ({STORED})"), &others, |sql, row| {
        order_values(sql, row);
    });
    let orders = || changes.new_orders.iter().map(|row| &row.order);
    let further: Vec<(HoldId, OrderId)> = orders()
        .flat_map(|order| order.lines.rest().iter().map(|line| (line.hold_id, order.id)))
        .collect();
    insert(&mut all, "stockade_order_holds (hold_id, order_id)", &further, |sql, (hold, order)| {
        put(sql, format_args!("({hold},{order})"));
    });
    let named: Vec<(&str, OrderId)> =
        orders().filter_map(|order| Some((order.reference.as_deref()?, order.id))).collect();
    let columns = "stockade_order_references (reference, order_id)";
    insert(&mut all, columns, &named, |sql, (reference, id)| {
        put(sql, format_args!("({},{id})", hex(reference.as_bytes())));
    });
    let columns = "stockade_payment_references (reference, order_id)";
    insert(&mut all, columns, &changes.payment_references, |sql, (reference, id)| {
        put(sql, format_args!("({},{id})", hex(reference.as_bytes())));
    });
    for moved in &changes.order_moves {
        let (status, disposition) = (moved.to.0.code(), moved.to.1.code());
        let (from, before, now) = (moved.from.0.code(), moved.from.1.code(), now.micros());
        let paid = if is_paid_by(moved.from.0, moved.to.0) {
            format!("paid_at = {now}, ")
        } else {
            String::new()
        };
        all.extend(moved.ids.chunks(IDS_MAX).map(|some| {
            let ids = list(some);
            let sql = format!(
                "UPDATE stockade_orders SET status = {status}, disposition = {disposition}, \
                 {paid}updated_at = {now}, version = version + 1 \
                 WHERE id IN ({ids}) AND status = {from} AND disposition = {before}"
            );
            Statement::guarded(sql, some.len())
        }));
    }
    all.extend(changes.order_changes.iter().map(change_order));
    all.extend(customers::write_orders(&changes.customer_orders));
    all.extend(write_dispositions(changes));
    all
}

/// The statements that keep the few orders with a disposition beside the others.
fn write_dispositions<T>(changes: &Changes) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    for some in changes.dispositions.chunks(IDS_MAX) {
        let ids = list(some.iter().map(|(id, _)| *id));
        let sql = format!("DELETE FROM stockade_order_dispositions WHERE order_id IN ({ids})");
        all.push(Statement::new(sql));
    }
    let kept = changes.dispositions.iter().filter(|(_, it)| *it != PaymentDisposition::None);
    let kept: Vec<_> = kept.collect();
    let columns = "stockade_order_dispositions (order_id, disposition)";
    insert(&mut all, columns, &kept, |sql, (id, disposition)| {
        put(sql, format_args!("({id},{})", disposition.code()));
    });
    all
}

/// Whether the columns [`PLAIN`] have all of a new order.
fn is_plain(row: &OrderRow) -> bool {
    let OrderRow { order, version, is_closed, has_failed_attempt, .. } = row;
    let OrderRow { paid_by, other_payments, paid_at, .. } = row;
    let Order { status, payment_disposition, refunded_amount, .. } = order;
    let Order { reference, customer, metadata, created_by, .. } = order;
    (*status, *payment_disposition) == (OrderStatus::PendingPayment, PaymentDisposition::None)
        && order.lines.only().is_some()
        && (*version, *refunded_amount) == (1, Money::ZERO)
        && !is_closed
        && !has_failed_attempt
        && paid_by.is_none()
        && other_payments.is_empty()
        && paid_at.is_none()
        && reference.is_none()
        && customer.is_none()
        && metadata.is_none()
        && created_by.is_none()
}

fn plain_values(sql: &mut String, row: &OrderRow) {
    let OrderRow { order, secret, .. } = row;
    let (line, currency) = (order.lines.first(), order.currency);
    let (hold, product, quantity) = (line.hold_id, line.product_id, line.quantity);
    let (price, amount) = (minor(line.price, order), minor(order.amount, order));
    let due = or_null(order.pay_until.map(Timestamp::micros));
    let (created, updated) = (order.created_at.micros(), order.updated_at.micros());
    put(sql, format_args!("({},{hold},{product},{quantity},{price},", order.id));
    put(sql, format_args!("x'{secret}',{amount},'{currency}',{created},{updated},{due})"));
}

fn order_values(sql: &mut String, row: &OrderRow) {
    let order = &row.order;
    let (line, currency) = (order.lines.first(), order.currency);
    let lines = packed_lines(order);
    put(sql, format_args!("({},{},{}", order.id, line.hold_id, line.product_id));
    let of_product = order.lines.iter().filter(|other| other.product_id == line.product_id);
    let units: u64 = of_product.map(|line| u64::from(line.quantity)).sum();
    put(sql, format_args!(",{units},{},{lines}", minor(line.price, order)));
    let (status, disposition) = (order.status.code(), order.payment_disposition.code());
    put(sql, format_args!(",{status},{disposition},{}", flags(row)));
    let secret = row.secret;
    put(sql, format_args!(",x'{secret}',{},'{currency}'", minor(order.amount, order)));
    let (refunded, reference) = (minor(order.refunded_amount, order), text(&order.reference));
    let (paid_by, others) = (text(&row.paid_by), other_payments(row));
    put(sql, format_args!(",{refunded},{reference},{paid_by},{others},{}", row.version));
    let due = or_null(order.pay_until.map(Timestamp::micros));
    let (created, updated) = (order.created_at.micros(), order.updated_at.micros());
    let (paid_at, customer) = (row.paid_at.map_or(0, Timestamp::micros), customer_id(order));
    let metadata = order.metadata.as_ref().map(|metadata| hex(metadata.as_str().as_bytes()));
    let (metadata, created_by) = (or_null(metadata), text(&order.created_by));
    put(sql, format_args!(",{created},{updated},{due},{paid_at},{metadata},{created_by},"));
    put(sql, format_args!("{customer})"));
}

fn change_order<T>(change: &OrderChange) -> Statement<T> {
    let (row, order) = (&change.after, &change.after.order);
    let (status, disposition) = (order.status.code(), order.payment_disposition.code());
    let (flags, lines, paid_by) = (flags(row), packed_lines(order), text(&row.paid_by));
    let others = other_payments(row);
    let refunded = minor(order.refunded_amount, order);
    let (updated, due) =
        (order.updated_at.micros(), or_null(order.pay_until.map(Timestamp::micros)));
    let OrderChange { version_before, .. } = change;
    let paid_at = row.paid_at.map_or(0, Timestamp::micros);
    let sql = format!(
        "UPDATE stockade_orders SET status = {status}, disposition = {disposition}, \
         flags = {flags}, packed_lines = {lines}, paid_by = {paid_by}, \
         other_payments = {others}, refunded = {refunded}, \
         updated_at = {updated}, due_at = {due}, paid_at = {paid_at}, version = {} \
         WHERE id = {} AND version = {version_before}",
        row.version, order.id
    );
    Statement::guarded(sql, 1)
}

/// The expression of the id of an order's customer.
fn customer_id(order: &Order) -> String {
    order.customer.as_ref().map_or_else(|| "NULL".to_owned(), |name| customers::of_customer(name))
}

/// The packed lines; NULL for an order of one line of which nothing was refunded.
fn packed_lines(order: &Order) -> String {
    if order.lines.only().is_some_and(|line| line.refunded == 0) {
        return "NULL".to_owned();
    }
    let stored: Vec<StoredLine> = order
        .lines
        .iter()
        .map(|line| {
            let (hold, product) = (line.hold_id.0, line.product_id.0);
            let (refunded, returned) = (line.refunded, line.returned);
            let price = line.price.to_minor(order.currency).unwrap_or(i64::MAX);
            StoredLine::new(hold, product, line.quantity, price).refunded(refunded, returned)
        })
        .collect();
    hex(StoredLine::pack(&stored).as_bytes())
}

/// The names of other payments as a JSON array; NULL for none.
fn other_payments(row: &OrderRow) -> String {
    let some = Some(&row.other_payments).filter(|names| !names.is_empty());
    or_null(some.and_then(|names| serde_json::to_vec(names).ok()).map(|json| hex(&json)))
}

fn flags(row: &OrderRow) -> i64 {
    let bit = |is_set: bool, bit: i64| if is_set { bit } else { 0 };
    bit(row.is_closed, CLOSED) | bit(row.has_failed_attempt, FAILED_ATTEMPT)
}

fn text(value: &Option<String>) -> String {
    or_null(value.as_ref().map(|value| hex(value.as_bytes())))
}

/// An amount in minor units of the order's currency. The ledger makes none that does
/// not fit; the column rejects NULL.
fn minor(amount: Money, order: &Order) -> String {
    or_null(amount.to_minor(order.currency).ok())
}
