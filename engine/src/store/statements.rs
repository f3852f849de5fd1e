//! Builds the reads of a transaction, in SQL text that SQLite, MySQL and MariaDB
//! share.
//!
//! Text and not prepared statements, because the number of rows differs from
//! batch to batch. It contains only numbers and hexadecimal literals: user input
//! is hexadecimal, so nothing can be injected.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

use super::customers;
use super::hold_batch::HoldBatch;
use super::hold_rows::{HoldRows, select_holds};
use super::statement::{Decode, Statement};
use super::{ReadSet, order_rows, rows};
use crate::ledger::{HoldRow, OrderRow, Rows};
use crate::model::{HoldId, HoldStatus, OrderId, ProductId, Timestamp, TokenSeed};

/// The most ids in one statement. It keeps a statement well below the smallest
/// `max_allowed_packet` that is accepted; several travel as one text where the
/// server accepts it.
pub(super) const IDS_MAX: usize = 2_000;
/// The most bytes of literals in one statement, for the same reason.
pub(super) const LITERALS_MAX: usize = 96 * 1024;

/// The rows of a transaction's first reads, and when the last product was locked.
#[derive(Debug, Default)]
pub(super) struct Loading {
    /// Without holds until [`Loading::unpack_holds`].
    pub rows: Rows,
    pub holds: HoldRows,
    pub customer_holds: Vec<(ProductId, Arc<str>, HoldId)>,
    pub locked_at: Option<Timestamp>,
}

impl AsMut<HoldRows> for Loading {
    fn as_mut(&mut self) -> &mut HoldRows {
        &mut self.holds
    }
}

impl Loading {
    /// Unpacks the holds of the read set and the active ones of its customers.
    pub fn unpack_holds(&mut self, read_set: &ReadSet) {
        for id in &read_set.holds {
            if let Some(hold) = self.holds.hold(*id) {
                // The holds of a cart share its token, which takes a key schedule.
                if hold.cart_id.is_some_and(|cart| !self.rows.cart_tokens.contains_key(&cart)) {
                    self.rows.cart_tokens.extend(self.holds.cart_of(*id));
                }
                self.rows.holds.insert(*id, hold);
                let named = self.holds.customer(*id).map(|name| (*id, name));
                self.rows.hold_customers.extend(named);
                let noted = self.holds.metadata(*id).map(|metadata| (*id, metadata));
                self.rows.hold_metadata.extend(noted);
            }
        }
        for (product, customer, id) in std::mem::take(&mut self.customer_holds) {
            let hold = self.holds.hold(id);
            if let Some(hold) = hold.filter(|hold| hold.status == HoldStatus::Active) {
                let of_product = self.rows.customers.entry(product).or_default();
                let of_customer = of_product.entry(customer).or_default();
                // Two of the reads may have found it.
                if !of_customer.contains(&id) {
                    of_customer.push(id);
                }
                self.rows.holds.entry(id).or_insert(hold);
            }
        }
    }
}

/// Locks and reads products. `now` is the dialect's clock, read as each row is
/// locked; `lock` its suffix of a locking read.
pub(super) fn select_products(
    products: &[ProductId],
    now: &str,
    lock: &str,
) -> Option<Statement<Loading>> {
    (!products.is_empty()).then(|| {
        let ids = list(products);
        let columns = rows::PRODUCT;
        let sql = format!(
            "SELECT {columns}, {now} FROM stockade_products WHERE id IN ({ids}) ORDER BY id{lock}"
        );
        Statement::read(sql, |loading: &mut Loading, row| {
            let product = rows::product(row)?;
            loading.locked_at = loading.locked_at.max(row.opt_time()?);
            loading.rows.products.insert(product.product.id, product);
            Ok(())
        })
    })
}

/// Reads everything of a read set but products, in lock order.
/// `now` is the expression of the store's clock, `join` a join in the order of its tables.
pub(super) fn select_read_set(
    read_set: &ReadSet,
    lock: &str,
    now: &str,
    join: &str,
) -> Vec<Statement<Loading>> {
    let mut all = select_holds(&read_set.holds);
    let mut by_key = |(columns, table, key): (&str, &str, &str),
                      lists: Vec<String>,
                      lock: &str,
                      decode: Decode<Loading>| {
        all.extend(lists.iter().map(|list| {
            let sql = format!(
                "SELECT {columns} FROM stockade_{table} WHERE {key} IN ({list}) \
                 ORDER BY {key}{lock}"
            );
            Statement::read(sql, decode)
        }));
    };
    let columns = order_rows::columns("stockade_orders");
    by_key(("id, sku", "products", "sku"), hex_lists(&read_set.skus), "", |into, row| {
        let (id, sku) = (ProductId(row.count()?), row.key()?);
        into.rows.product_by_sku.insert(sku, id);
        Ok(())
    });
    by_key((&columns, "orders", "id"), lists(&read_set.orders), lock, |into, row| {
        if let Some(row) = order_rows::order(row)? {
            into.rows.orders.insert(row.order.id, row);
        }
        Ok(())
    });
    let references = ("reference, order_id", "order_references", "reference");
    by_key(references, hex_lists(&read_set.references), "", |into, row| {
        let (reference, order) = (row.key()?, OrderId(row.count()?));
        into.rows.order_by_reference.insert(reference, order);
        Ok(())
    });
    let references = ("reference, order_id", "payment_references", "reference");
    by_key(references, hex_lists(&read_set.payment_references), "", |into, row| {
        let (reference, order) = (row.key()?, OrderId(row.count()?));
        into.rows.order_by_payment.insert(reference, order);
        Ok(())
    });
    let payments = (rows::PAYMENT, "payments", "idempotency_key");
    by_key(payments, hex_lists(&read_set.payments), "", |into, row| {
        let row = rows::payment(row)?;
        into.rows.payments.insert(row.key.clone(), row);
        Ok(())
    });
    let keys = (rows::KEY, "idempotency_keys", "idempotency_key");
    by_key(keys, hex_lists(&read_set.keys), "", |into, row| {
        let row = rows::key(row)?;
        into.rows.keys.insert(row.key.clone(), row);
        Ok(())
    });
    let columns = rows::PAYMENT;
    all.extend(lists(&read_set.awaited_orders).into_iter().map(|ids| {
        let sql = format!(
            "SELECT {columns} FROM stockade_payments e WHERE idempotency_key IN \
             (SELECT idempotency_key FROM stockade_payments_waiting WHERE order_id IN ({ids})) \
             AND waiting = 1 ORDER BY received_at, (SELECT w.position \
             FROM stockade_payments_waiting w WHERE w.order_id = e.order_id \
             AND w.idempotency_key = e.idempotency_key)"
        );
        Statement::read(sql, |into: &mut Loading, row| {
            let row = rows::payment(row)?;
            into.rows.waiting.entry(row.order_id).or_default().push(row.clone());
            into.rows.payments.insert(row.key.clone(), row);
            Ok(())
        })
    }));
    all.extend(
        lists(&read_set.ordered_holds)
            .iter()
            .map(|ids| customers::select_names(format_args!("IN ({ids})"))),
    );
    all.extend(customers::select_counted(read_set, now, join));
    all
}

/// Reads which orders the holds became.
pub(super) fn select_orders_of(holds: &[HoldId]) -> Vec<Statement<Rows>> {
    let of = |holds| {
        let sql = order_rows::select_orders_of(format_args!("IN ({holds})"));
        Statement::read(sql, |into: &mut Rows, row| {
            let (hold, order) = order_rows::order_of_hold(row)?;
            into.order_by_hold.insert(hold, order);
            Ok(())
        })
    };
    lists(holds).into_iter().map(of).collect()
}

/// One product's due holds and orders, and when the next falls due.
#[derive(Debug, Default)]
pub(super) struct DueRows {
    pub batches: Vec<HoldBatch>,
    pub detached: Vec<(HoldRow, TokenSeed)>,
    pub orders: Vec<OrderRow>,
    pub next: Option<Timestamp>,
}

/// Reads one product's due holds, its due orders, and when the next of each falls
/// due after `now`. Plain reads: every writer of these rows holds the product's
/// row lock.
pub(super) fn select_due(
    product: ProductId,
    now: Timestamp,
    limit: u32,
) -> [Statement<BTreeMap<ProductId, DueRows>>; 4] {
    let (now, batch, hold) = (now.micros(), rows::HOLD_BATCH, rows::DETACHED_HOLD);
    let order = order_rows::columns("stockade_orders");
    // One row beyond the limit shows that more is due.
    let limit = u64::from(limit) + 1;
    let which = format!("product_id = {product} AND status = 0");
    let batches = format!(
        "SELECT {batch} FROM stockade_hold_batches WHERE product_id = {product} AND due <= {now} \
             ORDER BY due LIMIT {limit}"
    );
    let detached = format!(
        "SELECT {hold} FROM stockade_detached_holds WHERE {which} AND expires_at <= {now} \
             ORDER BY expires_at LIMIT {limit}"
    );
    let orders = format!(
        "SELECT {order} FROM stockade_orders WHERE {which} AND due_at <= {now} \
             ORDER BY due_at LIMIT {limit}"
    );
    let next = format!(
        "SELECT {product}, (SELECT MIN(due) FROM stockade_hold_batches \
             WHERE product_id = {product} AND due > {now}), \
         (SELECT MIN(expires_at) FROM stockade_detached_holds \
             WHERE {which} AND expires_at > {now}), \
         (SELECT MIN(due_at) FROM stockade_orders WHERE {which} AND due_at > {now})"
    );
    [
        Statement::read(batches, |due, row| {
            let batch = rows::hold_batch(row)?;
            due.entry(batch.product_id).or_default().batches.push(batch);
            Ok(())
        }),
        Statement::read(detached, |due, row| {
            let (hold, seed) = rows::detached_hold(row)?;
            due.entry(hold.product_id).or_default().detached.push((hold, seed));
            Ok(())
        }),
        Statement::read(orders, |due, row| {
            if let Some(row) = order_rows::order(row)? {
                due.entry(row.order.home()).or_default().orders.push(row);
            }
            Ok(())
        }),
        Statement::read(next, |due, row| {
            let product = ProductId(row.count()?);
            let moments = [row.opt_time()?, row.opt_time()?, row.opt_time()?];
            due.entry(product).or_default().next = moments.into_iter().flatten().min();
            Ok(())
        }),
    ]
}

/// Merges one product's due rows into `into` and `read`. It takes about `limit`
/// holds, since it takes the active holds of a row together, and at most `limit`
/// orders.
pub(super) fn merge_due(
    into: &mut Rows,
    read: &mut HoldRows,
    product: ProductId,
    limit: u32,
    DueRows { batches, detached, mut orders, next }: DueRows,
) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut holds: Vec<HoldRow> = Vec::new();
    let mut more = batches.len() > limit || detached.len() > limit || orders.len() > limit;
    let has_room =
        |holds: &[HoldRow], added: usize| holds.is_empty() || holds.len() + added <= limit;
    for batch in batches {
        let active: Vec<HoldRow> =
            batch.holds().filter(|(status, _)| *status == 0).map(|(_, hold)| hold).collect();
        if !has_room(&holds, active.len()) {
            more = true;
            break;
        }
        holds.extend(active);
        read.add_batch(batch);
    }
    for (hold, seed) in detached {
        if !has_room(&holds, 1) {
            more = true;
            break;
        }
        holds.push(hold);
        read.add_detached((hold, seed));
    }
    orders.truncate(limit);
    let due = into.due.entry(product).or_default();
    due.more = more;
    due.next = next;
    due.holds = holds.iter().map(|hold| hold.id).collect();
    due.orders = orders.iter().map(|row| row.order.id).collect();
    for hold in holds {
        // One that was read before has its cart, too.
        into.holds.entry(hold.id).or_insert(hold);
    }
    into.orders.extend(orders.into_iter().map(|row| (row.order.id, row)));
}

/// Numbers for an `IN (…)`.
pub(super) fn list<T: Display>(numbers: impl IntoIterator<Item = T>) -> String {
    let mut sql = String::new();
    for number in numbers {
        if !sql.is_empty() {
            sql.push(',');
        }
        put(&mut sql, format_args!("{number}"));
    }
    sql
}

/// Texts for an `IN (…)`, as hexadecimal literals.
pub(super) fn hex_list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    list(texts.into_iter().map(|text| hex(text.as_ref().as_bytes())))
}

/// Numbers for several `IN (…)` of at most [`IDS_MAX`].
pub(super) fn lists<T: Display>(numbers: &[T]) -> Vec<String> {
    numbers.chunks(IDS_MAX).map(list).collect()
}

/// Texts for several `IN (…)` of at most [`LITERALS_MAX`], or one text.
pub(super) fn hex_lists<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for text in texts {
        let literal = hex(text.as_ref().as_bytes());
        match lists.last_mut() {
            Some(list) if list.len() + literal.len() < LITERALS_MAX => {
                list.push(',');
                list.push_str(&literal);
            }
            _ => lists.push(literal),
        }
    }
    lists
}

/// Bytes as a literal that both dialects read as a blob.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut sql = String::with_capacity(3 + bytes.len() * 2);
    sql.push_str("x'");
    push_digits(&mut sql, bytes);
    sql.push('\'');
    sql
}

/// Appends bytes as hexadecimal digits.
pub(super) fn push_digits(sql: &mut String, bytes: &[u8]) {
    // Packed columns are long: formatting each byte was a twentieth of a batch call.
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    for byte in bytes {
        sql.extend([digit(byte >> 4), digit(byte & 0xf)]);
    }
}

pub(super) fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

/// Sets a row of the sequences, which [`SqlSession::lock_sequence`](super::session::SqlSession::lock_sequence)
/// reads.
pub(super) fn set_sequence<T>(name: &str, next: impl Display) -> Statement<T> {
    Statement::new(format!("UPDATE stockade_sequences SET next = {next} WHERE name = '{name}'"))
}

pub(super) fn put(sql: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = sql.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::HoldStatus;
    use crate::test_support::order_of;

    const SEED: TokenSeed = TokenSeed(5);

    fn hold(id: u64) -> HoldRow {
        let at = Timestamp::from_micros(1);
        HoldRow {
            id: HoldId(id),
            product_id: ProductId(1),
            quantity: 1,
            status: HoldStatus::Active,
            expires_at: at,
            created_at: at,
            token: SEED.deriver().token(HoldId(id)),
            cart_id: None,
        }
    }

    fn due_rows(holds: &[u64], orders: &[u64]) -> DueRows {
        let holds: Vec<HoldRow> = holds.iter().copied().map(hold).collect();
        let orders = orders.iter().copied().map(order).collect();
        DueRows { batches: HoldBatch::pack(&holds, SEED), orders, ..DueRows::default() }
    }

    fn order(id: u64) -> OrderRow {
        let mut row = order_of(OrderId(id), &[(HoldId(id), ProductId(1), 1)]);
        row.order.pay_until = Some(Timestamp::from_micros(1));
        row
    }

    #[test]
    fn merge_due_leaves_rows_beyond_the_limit_to_be_read_later() {
        let mut rows = Rows::default();
        let mut read = HoldRows::default();
        let due = due_rows(&[3, 7], &[]);
        merge_due(&mut rows, &mut read, ProductId(1), 1, due);
        let due = &rows.due[&ProductId(1)];
        assert_eq!((due.holds.as_slice(), due.more), (&[HoldId(3)][..], true));
        assert!(!rows.holds.contains_key(&HoldId(7)) && read.hold(HoldId(7)).is_none());
    }

    #[test]
    fn only_the_tables_of_the_read_set_are_read() {
        let (holds, orders) = (vec![HoldId(7)], vec![OrderId(3)]);
        let (payments, keys) = (vec!["p".to_owned()], vec!["k".to_owned()]);
        let of_holds = select_read_set(&ReadSet { holds, ..ReadSet::default() }, "", "0", "JOIN");
        let tables: Vec<_> = of_holds
            .iter()
            .filter_map(|it| it.sql.split("FROM ").nth(1)?.split(' ').next())
            .collect();
        assert_eq!(tables, ["stockade_hold_batches", "stockade_detached_holds"]);
        for (table, read_set) in [
            ("orders WHERE id", ReadSet { orders: orders.clone(), ..ReadSet::default() }),
            ("payments WHERE", ReadSet { payments, ..ReadSet::default() }),
            ("payments e", ReadSet { awaited_orders: orders, ..ReadSet::default() }),
            ("idempotency_keys WHERE", ReadSet { keys, ..ReadSet::default() }),
        ] {
            let [statement] = &select_read_set(&read_set, "", "0", "JOIN")[..] else {
                panic!("{read_set:?}")
            };
            assert!(statement.sql.contains(&format!("FROM stockade_{table}")), "{statement:?}");
        }
        assert!(select_read_set(&ReadSet::default(), "", "0", "JOIN").is_empty());
        assert!(select_products(&[], "NULL", "").is_none());
    }

    #[test]
    fn more_is_due_only_if_more_rows_than_the_limit_were_read() {
        let more = |holds: &[u64], orders: &[u64]| {
            let (mut rows, mut read) = (Rows::default(), HoldRows::default());
            merge_due(&mut rows, &mut read, ProductId(1), 2, due_rows(holds, orders));
            let due = &rows.due[&ProductId(1)];
            assert!(due.holds.len() <= 2 && due.orders.len() <= 2);
            due.more
        };
        assert!(!more(&[], &[]));
        assert!(!more(&[3, 7], &[4, 5]));
        assert!(more(&[3, 7, 9], &[]));
        assert!(more(&[3, 7, 8], &[]), "the row of two does not fit beside another");
        assert!(more(&[], &[4, 5, 6, 7]));
    }

    #[test]
    fn only_customers_that_are_counted_are_read() {
        let (holds, keys) = (vec![HoldId(7)], vec!["k".to_owned()]);
        let mut read_set = ReadSet { holds, keys, ..ReadSet::default() };
        let of_customers = |read_set: &ReadSet| {
            let all = select_read_set(read_set, "", "0", "JOIN");
            all.iter().filter(|one| one.sql.contains("stockade_customer_holds")).count()
        };
        assert_eq!(of_customers(&read_set), 0);
        for product in [3, 5] {
            let customers = BTreeSet::from(["o'hara".into(), "x".into()]);
            read_set.customers.insert(ProductId(product), customers);
        }
        assert_eq!(of_customers(&read_set), 4, "batches and detached holds");
        let sql = select_read_set(&read_set, "", "0", "JOIN").pop().expect("a statement").sql;
        assert!(sql.contains("n.name IN (x'6f2768617261',x'78') AND h.product_id = 5"), "{sql}");
    }
}
