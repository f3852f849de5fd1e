//! The statements that a batch writes.

use std::collections::BTreeMap;

use super::*;
use crate::ledger::{Changes, CustomerHold, HoldRow, PaymentTerms};
use crate::model::{
    HoldId, HoldStatus, Outcome, PaymentStatus, Product, ProductId, Token, TokenSeed,
};
use crate::store::sqlite::SqliteDatabase;
use crate::test_support::lamp;

const AT: Timestamp = Timestamp::from_micros(17);

fn before(id: u64) -> ProductRow {
    let product =
        Product { held: 12, pending: 13, sold: 14, version: 15, ..lamp(ProductId(id), 11) };
    ProductRow { product, received: 50, fence: 16, next_due: Some(AT) }
}

/// One unit is held.
fn change(before: ProductRow) -> ProductRowChange {
    let mut after = before.clone();
    after.product.set_in_stock(after.product.in_stock - 1);
    after.product.held += 1;
    after.product.version += 1;
    ProductRowChange { before, after }
}

fn batch<'a>(
    changes: &'a Changes,
    fences: &'a BTreeMap<ProductId, u64>,
    is_speculative: bool,
) -> Batch<'a> {
    Batch { id: 1, now: AT, changes, seed: TokenSeed(1), fences, is_speculative }
}

/// The UPDATE of these changes, with product 7 under a lease.
fn update(products: Vec<ProductRowChange>, lease: u64, is_speculative: bool) -> String {
    let changes = Changes { products, ..Changes::default() };
    let fences = BTreeMap::from([(ProductId(7), lease)]);
    let statement = update_products::<()>(&batch(&changes, &fences, is_speculative));
    statement.expect("a statement").sql.into_owned()
}

#[test]
fn a_speculative_update_guards_all_numbers_of_a_product() {
    let guarded = "UPDATE stockade_products SET stock = 10, held = 13, version = version + 1 \
                   WHERE id IN (7) AND version = 15 AND stock = 11 AND held = 12 \
                   AND pending = 13 AND sold = 14 AND returned = 0 AND received = 50 \
                   AND fence = 16 AND";
    let sql = update(vec![change(before(7))], 16, true);
    let terms = "AND safety_stock = 0 AND archived = 0 \
                 AND COALESCE(on_sale_from, on_sale_until) IS NULL";
    assert_eq!(sql, format!("{guarded} COALESCE(next_due, -1) = 17 {terms}"));
    let none_due = ProductRow { next_due: None, ..before(7) };
    let sql = update(vec![change(none_due)], 16, true);
    assert_eq!(sql, format!("{guarded} COALESCE(next_due, -1) = -1 {terms}"));
    let mut on_sale = before(7);
    on_sale.product.on_sale_until = Some(Timestamp::from_micros(99));
    let sql = update(vec![change(on_sale)], 16, true);
    let ends = "AND COALESCE(on_sale_from, -9223372036854775808) = -9223372036854775808 \
                AND COALESCE(on_sale_until, -9223372036854775808) = 99";
    assert!(sql.ends_with(ends), "{sql}");
}

#[test]
fn a_newer_lease_is_written_and_an_older_one_changes_nothing() {
    let written = |lease| update(vec![change(before(7))], lease, false);
    let plain = "UPDATE stockade_products SET stock = 10, held = 13, version = version + 1 \
                 WHERE id IN (7) AND version = 15";
    assert_eq!(written(15), plain);
    assert_eq!(written(16), plain);
    assert_eq!(written(17), plain.replace(", version =", ", fence = 17, version ="));
}

#[test]
fn several_products_are_written_at_once() {
    let mut twice = change(before(9));
    twice.after.product.version += 1;
    twice.after.next_due = None;
    let sql = update(vec![change(before(7)), twice], 20, false);
    let of = |seven: &str, nine: &str| format!("CASE WHEN id < 9 THEN {seven} ELSE {nine} END");
    let (stock, held, fence) = ("10", "13", of("20", "16"));
    let (due, step, version) = (of("17", "NULL"), of("1", "2"), "15");
    assert_eq!(
        sql,
        format!(
            "UPDATE stockade_products SET stock = {stock}, held = {held}, fence = {fence}, \
             next_due = {due}, version = version + {step} \
             WHERE id IN (7,9) AND version = {version}"
        )
    );
}

#[test]
fn an_order_and_an_event_that_waits_for_it_check_for_each_other() {
    let payment = |order: u64, waiting| {
        let (key, order_id, outcome) = (format!("k{order}"), OrderId(order), Outcome::Success);
        let (secret, answer, received_at) = (None, PaymentStatus::Recorded, AT);
        PaymentRow {
            key,
            fingerprint: [0; 32],
            order_id,
            secret,
            outcome,
            terms: PaymentTerms::default(),
            answer,
            waiting,
            received_at,
        }
    };
    let fences = BTreeMap::new();
    let checked_for = |changes: &Changes| -> Vec<String> {
        let checks = conflict_checks(&batch(changes, &fences, false));
        checks.into_iter().map(|check| check.sql.into_owned()).collect()
    };
    assert!(checked_for(&Changes::default()).is_empty());
    let new_payments = vec![payment(3, true), payment(4, false), payment(5, true)];
    assert_eq!(
        checked_for(&Changes { new_payments, ..Changes::default() }),
        ["SELECT id FROM stockade_orders WHERE id IN (3,5) FOR UPDATE"]
    );
    let settled = Changes { new_payments: vec![payment(4, false)], ..Changes::default() };
    assert!(checked_for(&settled).is_empty());
}

/// The tables that a batch with a hold, with or without a customer, writes in turn.
fn written(customer: Option<&str>) -> Vec<String> {
    let (id, product_id) = (HoldId(7), ProductId(1));
    let at = Timestamp::from_micros(1);
    let (status, token) = (HoldStatus::Active, Token(1));
    let (expires_at, created_at) = (at, at);
    let hold = HoldRow {
        id,
        product_id,
        quantity: 1,
        status,
        expires_at,
        created_at,
        token,
        cart_id: None,
    };
    let for_customer = |customer: &str| CustomerHold {
        product_id,
        customer: customer.into(),
        hold_id: id,
        is_active: true,
    };
    let changes = Changes {
        new_holds: vec![hold],
        customer_holds: customer.map(for_customer).into_iter().collect(),
        ..Changes::default()
    };
    let fences = BTreeMap::new();
    let batch = batch(&changes, &fences, false);
    let statements = writes::<SqliteDatabase, ()>(&batch, &HoldRows::default());
    let statements = statements.expect("no hold is moved");
    assert!(
        statements.iter().all(|statement| statement.is_self_checking),
        "it needs no second round trip"
    );
    let table =
        |it: &Statement<()>| it.sql.split(" INTO ").nth(1)?.split(' ').next().map(str::to_owned);
    statements.iter().filter_map(table).collect()
}

#[test]
fn only_a_hold_with_a_customer_writes_one() {
    let without = ["stockade_hold_batches", "stockade_outbox"];
    assert_eq!(written(None), without);
    let with = [
        "stockade_hold_batches",
        "stockade_customers",
        "stockade_customer_holds",
        "stockade_outbox",
    ];
    assert_eq!(written(Some("o'hara")), with);
}

#[test]
fn a_value_is_chosen_by_id() {
    assert_eq!(cases("id", [(7, 1)].into_iter()), "1");
    assert_eq!(cases("id", std::iter::empty::<(u64, i64)>()), "NULL");
    assert_eq!(cases("id", [(2, "a"), (5, "a")].into_iter()), "a", "all are equal");
    let sql = cases("id", [(2, "a"), (5, "b"), (9, "c")].into_iter());
    assert_eq!(sql, "CASE WHEN id < 5 THEN a ELSE CASE WHEN id < 9 THEN b ELSE c END END");
}
