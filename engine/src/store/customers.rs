//! The rows of named customers: their names, their holds and their orders.
//!
//! A name is stored once; all else has its id. Only holds and orders of named
//! customers have rows here, so that the others pay for none of their indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use super::ReadSet;
use super::database::Database;
use super::hold_batch::HoldBatch;
use super::hold_rows::{HoldRows, add_batch, add_detached};
use super::hold_writes::first_id_of;
use super::order_rows;
use super::rows;
use super::statement::Statement;
use super::statements::{IDS_MAX, Loading, hex, hex_lists, list, lists, or_null, push_digits, put};
use super::writes::insert;
use crate::ledger::{CustomerHold, CustomerOrder, HoldMove};
use crate::model::{HoldId, HoldStatus, OrderId, ProductId, Timestamp};

/// The expression of the id of the customer with this name; NULL if there is none.
pub(super) fn of_customer(name: &str) -> String {
    format!("(SELECT id FROM stockade_customers WHERE name = {})", hex(name.as_bytes()))
}

/// The statements that write the customers of new holds, with the first ids of their
/// rows in `new`.
pub(super) fn insert_holds<D: Database, T>(
    holds: &[CustomerHold],
    new: &[HoldBatch],
) -> Vec<Statement<T>> {
    let (mut all, insert_new) = (Vec::new(), D::INSERT_NEW);
    // In one order, so that two batches with the same names do not deadlock.
    let names: BTreeSet<&str> = holds.iter().map(|row| &*row.customer).collect();
    let names: Vec<&str> = names.into_iter().collect();
    for some in names.chunks(IDS_MAX / 16) {
        let values = list(some.iter().map(|name| format!("({})", hex(name.as_bytes()))));
        let sql = format!("{insert_new} INTO stockade_customers (name) VALUES {values}");
        all.push(Statement::new(sql));
    }
    for some in holds.chunks(IDS_MAX / 16) {
        let rows = some.iter().map(|row| {
            let CustomerHold { product_id, customer, hold_id, is_active } = row;
            let (first_id, active) = (first_id_of(new, *hold_id), u8::from(*is_active));
            let mut name = String::new();
            push_digits(&mut name, customer.as_bytes());
            if D::JSON_TABLE {
                format!("[{product_id},\"{name}\",{hold_id},{first_id},{active}]")
            } else {
                format!("({product_id},x'{name}',{hold_id},{first_id},{active})")
            }
        });
        // A join, since a subquery in each row takes a server four times as long.
        all.push(Statement::new(insert_joined(D::JSON_TABLE, &list(rows))));
    }
    all
}

/// Builds the insert of customers' holds from rows of product, name, hold, its row and
/// whether it is active. The column `customer` rejects NULL: a name that is erased
/// meanwhile fails the batch.
fn insert_joined(json_table: bool, rows: &str) -> String {
    let (with, from, name) = if json_table {
        (
            String::new(),
            format!(
                "JSON_TABLE('[{rows}]', '$[*]' COLUMNS (p BIGINT PATH '$[0]', \
                 name VARCHAR(1024) PATH '$[1]', h BIGINT PATH '$[2]', f BIGINT PATH '$[3]', \
                 active BIGINT PATH '$[4]')) v"
            ),
            "UNHEX(v.name)",
        )
    } else {
        (format!("WITH v (p, name, h, f, active) AS (VALUES {rows}) "), "v".to_owned(), "v.name")
    };
    format!(
        "INSERT INTO stockade_customer_holds (product_id, customer, hold_id, first_id, active) \
         {with}SELECT v.p, n.id, v.h, v.f, NULLIF(v.active, 0) \
         FROM {from} LEFT JOIN stockade_customers n ON n.name = {name}"
    )
}

/// Takes the holds that are no longer active from those that count for a limit. Those
/// that an order used were read with their customers: most have none.
pub(super) fn end_holds<T>(moves: &[HoldMove], read: &HoldRows) -> Vec<Statement<T>> {
    let mut ended: Vec<HoldId> = Vec::new();
    for moved in moves.iter().filter(|moved| moved.to != HoldStatus::Active) {
        let is_named = |id: &HoldId| moved.to != HoldStatus::Converted || read.has_customer(*id);
        ended.extend(moved.ids.iter().copied().filter(is_named));
    }
    let end = |some: &[HoldId]| {
        let ids = list(some);
        let sql =
            format!("UPDATE stockade_customer_holds SET active = NULL WHERE hold_id IN ({ids})");
        Statement::new(sql)
    };
    ended.chunks(IDS_MAX).map(end).collect()
}

/// The statements that write what orders of named customers count.
pub(super) fn write_orders<T>(orders: &[CustomerOrder]) -> Vec<Statement<T>> {
    let mut all = Vec::new();
    let new: Vec<_> =
        orders.iter().filter_map(|row| Some((row, row.customer.as_deref()?))).collect();
    let columns = "stockade_customer_orders (order_id, product_id, customer, counted)";
    insert(&mut all, columns, &new, |sql, (row, customer)| {
        let counted = or_null(row.counted.map(Timestamp::micros));
        let (order, product, customer) = (row.order_id, row.product_id, of_customer(customer));
        put(sql, format_args!("({order},{product},{customer},{counted})"));
    });
    let mut changed: BTreeMap<(ProductId, Option<Timestamp>), Vec<OrderId>> = BTreeMap::new();
    for row in orders.iter().filter(|row| row.customer.is_none()) {
        changed.entry((row.product_id, row.counted)).or_default().push(row.order_id);
    }
    for ((product, counted), ids) in changed {
        let counted = or_null(counted.map(Timestamp::micros));
        all.extend(ids.chunks(IDS_MAX).map(|some| {
            let ids = list(some);
            let sql = format!(
                "UPDATE stockade_customer_orders SET counted = {counted} \
                 WHERE product_id = {product} AND order_id IN ({ids})"
            );
            Statement::guarded(sql, some.len())
        }));
    }
    all
}

/// Reads the customers of the holds whose ids meet a condition.
pub(super) fn select_names<T: AsMut<HoldRows>>(which: impl Display) -> Statement<T> {
    let sql = format!(
        "SELECT h.hold_id, n.name FROM stockade_customer_holds h \
         JOIN stockade_customers n ON n.id = h.customer WHERE h.hold_id {which}"
    );
    Statement::read(sql, |into: &mut T, row| {
        into.as_mut().add_customer(HoldId(row.count()?), row.key()?);
        Ok(())
    })
}

/// Reads what counts for the limits of the read set's customers. Plain reads: every
/// writer of these rows holds the product's row lock. `now` is the expression of the
/// store's clock, `join` a join that keeps the order of its tables: an optimizer without
/// statistics may begin with all holds of the product.
pub(super) fn select_counted(read_set: &ReadSet, now: &str, join: &str) -> Vec<Statement<Loading>> {
    let mut all = Vec::new();
    for (product, customers) in &read_set.customers {
        for names in hex_lists(customers) {
            let of_customers = format!(
                "(SELECT h.hold_id AS id, h.first_id AS batch, n.name AS customer \
                 FROM stockade_customers n {join} stockade_customer_holds h ON h.customer = n.id \
                 WHERE n.name IN ({names}) AND h.product_id = {product} AND h.active = 1) c"
            );
            all.extend(select_holds_of(&product.to_string(), &of_customers));
            all.extend(read_set.customer_window.map(|window| {
                let from = format!(
                    "stockade_customers n {join} stockade_customer_orders x ON x.customer = n.id"
                );
                let which = format!("n.name IN ({names}) AND x.product_id = {product}");
                select_orders_of(&from, &which, (now, window))
            }));
        }
    }
    for ids in lists(&read_set.holds_of_customers) {
        // The first ones with the customers, the others with all of their holds.
        let of_customers = format!(
            "(SELECT h.hold_id AS id, h.first_id AS batch, n.name AS customer, h.product_id \
             FROM stockade_customer_holds o {join} stockade_customer_holds h \
             ON h.product_id = o.product_id AND h.customer = o.customer AND h.active = 1 \
             JOIN stockade_customers n ON n.id = h.customer WHERE o.hold_id IN ({ids})) c"
        );
        all.extend(select_holds_of("c.product_id", &of_customers));
        all.extend(read_set.customer_window.map(|window| {
            let from = format!(
                "stockade_customer_holds h {join} stockade_customer_orders x \
                 ON x.product_id = h.product_id AND x.customer = h.customer"
            );
            select_orders_of(&from, &format!("h.hold_id IN ({ids})"), (now, window))
        }));
    }
    all
}

/// Reads the holds of customers that a subquery `c` lists by id and row.
fn select_holds_of(product: &str, of_customers: &str) -> [Statement<Loading>; 2] {
    let columns = rows::of_alias(rows::HOLD_BATCH, "b");
    let batches = format!(
        "SELECT {product}, id, customer, {columns} FROM {of_customers} \
         JOIN stockade_hold_batches b ON b.first_id = c.batch"
    );
    let columns = rows::of_alias(rows::DETACHED_HOLD, "d");
    let detached = format!(
        "SELECT {columns} FROM {of_customers} JOIN stockade_detached_holds d ON d.hold_id = c.id"
    );
    let batches = Statement::read(batches, |into: &mut Loading, row| {
        let (product, id, customer) = (ProductId(row.count()?), HoldId(row.count()?), row.key()?);
        into.customer_holds.push((product, customer.into(), id));
        add_batch(into, row)
    });
    [batches, Statement::read(detached, add_detached)]
}

/// Reads the orders `x` of customers that are not paid, or were paid within the window.
/// The clock of this read may be behind the one that decides: then it reads more.
fn select_orders_of(
    from: &str,
    which: &str,
    (now, window): (&str, Duration),
) -> Statement<Loading> {
    let (columns, window) = (order_rows::columns("o"), window.as_micros());
    let sql = format!(
        "SELECT {columns} FROM {from} JOIN stockade_orders o ON o.id = x.order_id \
         WHERE {which} AND x.counted > {now} - {window}"
    );
    Statement::read(sql, |into: &mut Loading, row| {
        if let Some(row) = order_rows::order(row)? {
            into.rows.orders.entry(row.order.id).or_insert(row);
        }
        Ok(())
    })
}
