//! The audit finds what was broken behind the engine's back.
//!
//! Each fault is planted with SQL, so the store must be one that others can
//! reach. The engine keeps no cache, which would be found wrong as well.

use std::collections::BTreeSet;

use stockade::{
    AuditReport, Check, Engine, ExtendRequest, HoldRequest, OrderRequest, Outcome, PaymentEvent,
};

use crate::steps::{deliver, hold, order, secs, sql};
use crate::world::{Backend, World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("audit";
    an_audit_counts_everything,
);

/// On stores that can be reached with SQL.
pub const SHARED: &[Scenario] = scenarios!("audit";
    an_audit_finds_units_that_do_not_add_up,
    an_audit_finds_numbers_that_its_holds_and_orders_contradict,
    an_audit_finds_a_hold_or_an_order_that_was_changed,
    an_audit_finds_a_deleted_order,
    an_audit_finds_a_deleted_hold,
    an_audit_finds_rows_of_holds_that_share_ids,
    an_audit_finds_an_extended_hold_that_was_changed,
    an_audit_finds_a_deleted_product,
    an_audit_finds_what_is_kept_of_no_hold_of_a_customer,
    an_audit_finds_what_is_kept_of_an_order_beside_it,
    an_audit_finds_events_that_wait_for_nothing,
    an_audit_finds_what_would_never_fall_due,
    an_audit_finds_a_cached_product_that_is_wrong,
);

fn uncached(world: &World) -> Engine {
    let builder = world.builder().set("cache_ttl", "0").expect("a setting");
    builder.open().expect("opens")
}

/// What an audit found wrong: which check and the id of what.
fn findings(report: &AuditReport) -> BTreeSet<(String, u64)> {
    assert_eq!(report.consistent, report.findings.is_empty());
    report.findings.iter().map(|f| (format!("{:?}", f.check), f.id)).collect()
}

/// Plants a fault, fails unless the audit finds exactly it, and undoes it.
#[track_caller]
fn assert_found(world: &World, engine: &Engine, fault: &str, undo: &str, found: &[(Check, u64)]) {
    sql(world, fault);
    let report = engine.audit().expect("audits");
    assert!(!report.consistent, "not found: {fault}");
    let expected = found.iter().map(|(check, id)| (format!("{check:?}"), *id)).collect();
    assert_eq!(findings(&report), expected, "{fault}");
    if !undo.is_empty() {
        sql(world, undo);
        assert_clean(engine);
    }
}

fn an_audit_counts_everything(world: &World) {
    let engine = world.engine();
    let report = assert_clean(&engine);
    assert_eq!((report.products, report.units.received, report.waiting_events), (0, 0, 0));
    let (id, other) = (product(&engine, 20), product(&engine, 10));
    hold(&engine, id, 1);
    order(&engine, id, 2);
    let paid = order(&engine, id, 3);
    deliver(&engine, paid.id, Outcome::Success, "evt");
    hold(&engine, other, 4);
    engine.record_payment(PaymentEvent::for_order(70_000, Outcome::Success)).expect("kept");
    let report = assert_clean(&engine);
    assert_eq!(report.products, 2);
    let units = report.units;
    assert_eq!([units.stock, units.held, units.pending, units.sold], [20, 5, 2, 3]);
    assert_eq!((units.received, report.waiting_events, report.products_due), (30, 1, 0));
    assert_eq!(report.oldest_waiting_event, Some(world.clock.time()));
    world.clock.advance(secs(120));
    let report = assert_clean(&engine);
    assert_eq!((report.products_due, report.units.held), (2, 5), "as the rows stand");
}

fn an_audit_finds_units_that_do_not_add_up(world: &World) {
    let engine = uncached(world);
    product(&engine, 5);
    let id = product(&engine, 5);
    // The schema forbids it, so the check is switched off for a moment.
    let unchecked = match world.backend {
        Backend::SqliteFile | Backend::SqliteMemory => "PRAGMA ignore_check_constraints = ON",
        Backend::MySql | Backend::MySqlRedis => {
            "ALTER TABLE stockade_products ALTER CHECK stockade_products_conserved NOT ENFORCED"
        }
        _ => "SET SESSION check_constraint_checks = 0",
    };
    for column in ["stock", "received"] {
        let change = |by: &str| {
            format!(
                "{unchecked}; UPDATE stockade_products SET {column} = {column} {by} WHERE id = {id}"
            )
        };
        let expected = [(Check::Conservation, id.0)];
        assert_found(world, &engine, &change("+ 1"), &change("- 1"), &expected);
        assert_found(world, &engine, &change("- 1"), &change("+ 1"), &expected);
    }
}

fn an_audit_finds_numbers_that_its_holds_and_orders_contradict(world: &World) {
    let engine = uncached(world);
    let (id, _) = (product(&engine, 20), product(&engine, 20));
    hold(&engine, id, 2);
    order(&engine, id, 2);
    let paid = order(&engine, id, 2);
    deliver(&engine, paid.id, Outcome::Success, "evt");
    let checks = [("held", Check::Held), ("pending", Check::Pending), ("sold", Check::Sold)];
    for (column, check) in checks {
        let change = |by: i64| {
            format!(
                "UPDATE stockade_products SET {column} = {column} + {by}, stock = stock - {by} \
                 WHERE id = {id}"
            )
        };
        for by in [1, -1, -2] {
            assert_found(world, &engine, &change(by), &change(-by), &[(check, id.0)]);
        }
    }
}

/// Sets the status of a batch of one hold, with its counts: active, detached,
/// converted, released and expired.
fn status(code: u8, counts: [u8; 5], units: u8, is_due: bool) -> String {
    let [active, detached, converted, released, expired] = counts;
    let due = if is_due { "expires_at" } else { "NULL" };
    format!(
        "statuses = x'0{code}', active = {active}, detached = {detached}, \
         converted = {converted}, released = {released}, expired = {expired}, \
         active_units = {units}, due = {due}"
    )
}

/// Sets a status other than active.
fn ended(code: u8, counts: [u8; 5]) -> String {
    status(code, counts, 0, false)
}

fn batch(what: &str, first_id: u64) -> String {
    format!("UPDATE stockade_hold_batches SET {what} WHERE first_id = {first_id}")
}

fn an_audit_finds_a_hold_or_an_order_that_was_changed(world: &World) {
    let engine = uncached(world);
    let (id, other) = (product(&engine, 20), product(&engine, 20));
    let held = hold(&engine, id, 2);
    let pending = order(&engine, id, 2);
    let paid = order(&engine, id, 2);
    deliver(&engine, paid.id, Outcome::Success, "evt");
    let set = |table: &str, what: &str, id: u64| {
        format!("UPDATE stockade_{table} SET {what} WHERE id = {id}")
    };
    let (h, p) = (held.id.0, pending.id.0);
    let found = [(Check::Held, id.0)];
    let active = [1, 0, 0, 0, 0];
    for (fault, undo) in [
        ("quantities = x'03', active_units = 3".to_owned(), "quantities = x'02', active_units = 2"),
        (ended(2, [0, 0, 0, 1, 0]), ""),
        (ended(3, [0, 0, 0, 0, 1]), ""),
    ] {
        let undo = if undo.is_empty() { status(0, active, 2, true) } else { undo.to_owned() };
        assert_found(world, &engine, &batch(&fault, h), &batch(&undo, h), &found);
    }
    let undo = batch(&status(0, active, 2, true), h);
    let found = [(Check::Held, id.0), (Check::GhostHold, h)];
    let fault = batch(&ended(1, [0, 0, 1, 0, 0]), h);
    assert_found(world, &engine, &fault, &undo, &found);
    // It looks extended, and has no row of its own.
    let fault = batch(&ended(4, [0, 1, 0, 0, 0]), h);
    assert_found(world, &engine, &fault, &undo, &found);
    // Counts and statuses that contradict each other.
    let found = [(Check::HoldBatch, h)];
    for (fault, undo) in [
        ("active = 0, released = 1, due = NULL", "active = 1, released = 0, due = expires_at"),
        ("active_units = 3", "active_units = 2"),
    ] {
        assert_found(world, &engine, &batch(fault, h), &batch(undo, h), &found);
    }
    let found = [(Check::Pending, id.0), (Check::OrphanOrder, p)];
    let undo = set("orders", "qty = 2", p);
    assert_found(world, &engine, &set("orders", "qty = 1", p), &undo, &found);
    let found = [(Check::Pending, id.0), (Check::Sold, id.0)];
    let undo = set("orders", "status = 0", p);
    assert_found(world, &engine, &set("orders", "status = 1", p), &undo, &found);
    let found = [(Check::Pending, id.0)];
    assert_found(world, &engine, &set("orders", "status = 2", p), &undo, &found);
    // A used hold that looks unused could be used again.
    let hold_id = pending.lines.first().hold_id.0;
    let found = [(Check::OrphanOrder, p)];
    let undo = batch(&ended(1, [0, 0, 1, 0, 0]), hold_id);
    let fault = batch(&ended(2, [0, 0, 0, 1, 0]), hold_id);
    assert_found(world, &engine, &fault, &undo, &found);
    let found = [(Check::Sold, id.0), (Check::Sold, other.0), (Check::OrphanOrder, paid.id.0)];
    let fault = set("orders", &format!("product_id = {other}"), paid.id.0);
    assert_found(world, &engine, &fault, "", &found);
}

fn an_audit_finds_a_deleted_order(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let (pending, paid, gone) =
        (order(&engine, id, 1), order(&engine, id, 2), order(&engine, id, 3));
    deliver(&engine, paid.id, Outcome::Success, "s");
    deliver(&engine, gone.id, Outcome::Failure, "f");
    let fault = format!("DELETE FROM stockade_orders WHERE id = {}", gone.id);
    let mut found = vec![(Check::GhostHold, gone.lines.first().hold_id.0)];
    assert_found(world, &engine, &fault, "", &found);
    found.extend([(Check::GhostHold, paid.lines.first().hold_id.0), (Check::Sold, id.0)]);
    let fault = format!("DELETE FROM stockade_orders WHERE id = {}", paid.id);
    assert_found(world, &engine, &fault, "", &found);
    found.extend([(Check::GhostHold, pending.lines.first().hold_id.0), (Check::Pending, id.0)]);
    let fault = format!("DELETE FROM stockade_orders WHERE id = {}", pending.id);
    assert_found(world, &engine, &fault, "", &found);
}

fn an_audit_finds_a_deleted_hold(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let held = hold(&engine, id, 1);
    let made = order(&engine, id, 2);
    let fault = format!("DELETE FROM stockade_hold_batches WHERE first_id = {}", held.id);
    let mut found = vec![(Check::Held, id.0)];
    assert_found(world, &engine, &fault, "", &found);
    found.push((Check::OrphanOrder, made.id.0));
    let fault = format!(
        "DELETE FROM stockade_hold_batches WHERE first_id = {}",
        made.lines.first().hold_id
    );
    assert_found(world, &engine, &fault, "", &found);
}

/// Two processes that were given the same ids would write such rows.
fn an_audit_finds_rows_of_holds_that_share_ids(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let (first, second) = (hold(&engine, id, 1).id.0, hold(&engine, id, 1).id.0);
    assert_eq!(second, first + 1);
    // The row of the first also has a released hold with the id of the second.
    let fault = "count = 2, released = 1, quantities = x'0101', statuses = x'0002'";
    let undo = "count = 1, released = 0, quantities = x'01', statuses = x'00'";
    let found = [(Check::HoldBatch, second)];
    assert_found(world, &engine, &batch(fault, first), &batch(undo, first), &found);
}

fn an_audit_finds_an_extended_hold_that_was_changed(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let held = engine.create_hold(HoldRequest::new(id, 2).ttl(secs(60))).expect("held").value;
    engine.extend_hold(ExtendRequest::new(held.id).ttl(secs(100))).expect("extended");
    assert_clean(&engine);
    let h = held.id.0;
    let set = |what: &str| format!("UPDATE stockade_detached_holds SET {what} WHERE hold_id = {h}");
    let found = [(Check::Held, id.0)];
    assert_found(world, &engine, &set("status = 2"), &set("status = 0"), &found);
    assert_found(world, &engine, &set("qty = 3"), &set("qty = 2"), &found);
    let found = [(Check::Held, id.0), (Check::GhostHold, h)];
    let stray = "INSERT INTO stockade_detached_holds \
         SELECT 999999, product_id, qty, status, expires_at, created_at, seed \
         FROM stockade_detached_holds";
    let undo = "DELETE FROM stockade_detached_holds WHERE hold_id = 999999";
    assert_found(world, &engine, stray, undo, &[(Check::GhostHold, 999_999)]);
    assert_found(world, &engine, "DELETE FROM stockade_detached_holds", "", &found);
}

fn an_audit_finds_a_deleted_product(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let (first, second) = (hold(&engine, id, 1), hold(&engine, id, 2));
    engine.release_hold(second.id).expect("released");
    let fault = format!("DELETE FROM stockade_products WHERE id = {id}");
    let found = [(Check::GhostHold, first.id.0), (Check::GhostHold, second.id.0)];
    assert_found(world, &engine, &fault, "", &found);
}

fn an_audit_finds_what_is_kept_of_no_hold_of_a_customer(world: &World) {
    let engine = uncached(world);
    let (id, other) = (product(&engine, 20), product(&engine, 20));
    let theirs =
        engine.create_hold(HoldRequest::new(id, 1).customer("ann")).expect("held").value.id;
    assert_clean(&engine);
    let fault = "INSERT INTO stockade_customer_holds \
                 (hold_id, product_id, customer, first_id) VALUES (999999, 1, 1, 999999)";
    let undo = "DELETE FROM stockade_customer_holds WHERE hold_id = 999999";
    assert_found(world, &engine, fault, undo, &[(Check::GhostHold, 999_999)]);
    let moved = |to| format!("UPDATE stockade_customer_holds SET product_id = {to}");
    assert_found(world, &engine, &moved(other), &moved(id), &[(Check::GhostHold, theirs.0)]);
    let active = |active| format!("UPDATE stockade_customer_holds SET active = {active}");
    assert_found(world, &engine, &active("NULL"), &active("1"), &[(Check::GhostHold, theirs.0)]);
}

fn an_audit_finds_what_is_kept_of_an_order_beside_it(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let theirs = engine.create_hold(HoldRequest::new(id, 2).customer("ann")).expect("held").value;
    let made = engine.create_order(OrderRequest::new(theirs.id, id)).expect("ordered").value;
    deliver(&engine, made.id, Outcome::Success, "paid");
    assert_clean(&engine);
    let found = [(Check::OrphanOrder, made.id.0)];
    let paid_at = sql(world, "SELECT CAST(paid_at AS CHAR) FROM stockade_orders");
    let counted = |at: &str| format!("UPDATE stockade_customer_orders SET counted = {at}");
    assert_found(world, &engine, &counted("NULL"), &counted(&paid_at[0][0]), &found);
    let disposition = format!(
        "INSERT INTO stockade_order_dispositions (order_id, disposition) VALUES ({}, 2)",
        made.id
    );
    let undo = "DELETE FROM stockade_order_dispositions";
    assert_found(world, &engine, &disposition, undo, &found);
    let lost = "INSERT INTO stockade_order_dispositions (order_id, disposition) VALUES (999999, 2)";
    assert_found(world, &engine, lost, undo, &[(Check::OrphanOrder, 999_999)]);
    assert_found(world, &engine, "DELETE FROM stockade_customer_orders", "", &found);
}

fn an_audit_finds_events_that_wait_for_nothing(world: &World) {
    let engine = uncached(world);
    let id = product(&engine, 20);
    let made = order(&engine, id, 1);
    deliver(&engine, made.id, Outcome::Success, "here");
    for key in ["a", "b"] {
        engine
            .record_payment(PaymentEvent::for_order(70_000, Outcome::Success).key(key))
            .expect("kept");
    }
    assert_eq!(assert_clean(&engine).waiting_events, 2);
    let wait = |yes: u8, key: &str| {
        format!("UPDATE stockade_payments SET waiting = {yes} WHERE idempotency_key = x'{key}'")
    };
    let (a, found) = ("61", [(Check::StuckEvent, 70_000)]);
    assert_found(world, &engine, &wait(0, a), &wait(1, a), &found);
    let forget = "DELETE FROM stockade_payments_waiting WHERE idempotency_key = x'61'";
    let undo =
        "INSERT INTO stockade_payments_waiting (order_id, idempotency_key) VALUES (70000, x'61')";
    assert_found(world, &engine, forget, undo, &found);
    // An event that says it waits for an order which is there.
    let (here, found) = ("68657265", [(Check::StuckEvent, made.id.0)]);
    assert_found(world, &engine, &wait(1, here), &wait(0, here), &found);
    let fault = format!(
        "{}; INSERT INTO stockade_payments_waiting (order_id, idempotency_key) VALUES ({}, x'{here}')",
        wait(1, here),
        made.id
    );
    let undo = format!(
        "{}; DELETE FROM stockade_payments_waiting WHERE idempotency_key = x'{here}'",
        wait(0, here)
    );
    assert_found(world, &engine, &fault, &undo, &found);
    let fault = "DELETE FROM stockade_payments WHERE idempotency_key = x'62'";
    assert_found(world, &engine, fault, "", &[(Check::StuckEvent, 70_000)]);
}

fn an_audit_finds_what_would_never_fall_due(world: &World) {
    let engine = uncached(world);
    let (by_hold, by_order) = (product(&engine, 20), product(&engine, 20));
    let held = engine.create_hold(HoldRequest::new(by_hold, 1).ttl(secs(60))).expect("held").value;
    let made = order(&engine, by_order, 1);
    let dues = [(by_hold, held.expires_at), (by_order, made.created_at.after(secs(1_800)))];
    for (id, due) in dues {
        let set =
            |to: &str| format!("UPDATE stockade_products SET next_due = {to} WHERE id = {id}");
        let right = due.micros().to_string();
        let found = [(Check::NextDue, id.0)];
        assert_found(world, &engine, &set("NULL"), &set(&right), &found);
        let too_late = (due.micros() + 1).to_string();
        assert_found(world, &engine, &set(&too_late), &set(&right), &found);
        sql(world, &set(&(due.micros() - 1).to_string()));
        assert_clean(&engine);
    }
}

fn an_audit_finds_a_cached_product_that_is_wrong(world: &World) {
    let engine = world.builder().set("cache_ttl", "1h").expect("a setting");
    let engine = engine.open().expect("opens");
    let (id, other) = (product(&engine, 20), product(&engine, 20));
    for id in [id, other] {
        assert_eq!(engine.product(id).expect("is there").stock, 20);
    }
    // Consistent by itself, but not what the version stood for.
    let change = |by: &str| {
        format!(
            "UPDATE stockade_products SET stock = stock {by}, received = received {by} WHERE id = {id}"
        )
    };
    assert_found(world, &engine, &change("- 1"), &change("+ 1"), &[(Check::CacheDrift, id.0)]);
}
