//! History goes once it is old, and the books stay exact.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stockade::{
    Engine, ExtendRequest, HoldRequest, LatePayment, Order, OrderId, OrderRequest, Outcome,
    PaymentEvent, PaymentStatus, ProductId,
};

use crate::crowd::at_once;
use crate::steps::{TICK, all_events, assert_numbers, code, deliver, hold, order, secs};
use crate::world::{Builder, World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("retention";
    ended_holds_are_deleted_when_retention_is_over,
    a_row_with_an_active_hold_is_kept_whole,
    an_extended_hold_is_deleted_after_its_own_end,
    orders_are_deleted_with_their_holds_and_sold_units_stay,
    an_unpaid_order_keeps_its_row,
    events_are_deleted_but_for_the_newest,
    payment_events_are_kept_for_a_week_at_least,
    a_payment_event_that_waited_is_kept_as_long_as_others,
    zero_keeps_history_for_ever,
    late_payments_and_the_deletion_of_their_orders_keep_the_books,
    late_payments_to_be_refunded_keep_their_orders,
);

const DAY: Duration = Duration::from_secs(86_400);

fn builder<'w>(world: &'w World, retention: &str, order_retention: &str) -> Builder<'w> {
    let builder = world.builder().set("retention", retention).expect("a setting");
    let builder = builder.set("order_retention", order_retention).expect("a setting");
    builder.payment_ttl(secs(3_600))
}

fn engine(world: &World, retention: &str, order_retention: &str) -> Engine {
    builder(world, retention, order_retention).open().expect("opens")
}

fn sweep(engine: &Engine) {
    engine.sweep().expect("sweeps");
}

/// Holds units by one transaction, so that the holds share a row.
fn hold_together(engine: &Engine, id: ProductId, holds: usize) -> Vec<stockade::Hold> {
    let requests = vec![HoldRequest::new(id, 2); holds];
    let results = engine.create_hold_batch(requests).expect("runs");
    results.into_iter().map(|result| result.expect("held").value).collect()
}

fn ended_holds_are_deleted_when_retention_is_over(world: &World) {
    let engine = engine(world, "10days", "10days");
    let id = product(&engine, 1_000);
    let released = hold(&engine, id, 1);
    engine.release_hold(released.id).expect("released");
    let expired = hold_together(&engine, id, 300);
    let last = &expired[299];
    world.clock.set(last.expires_at);
    sweep(&engine);
    world.clock.set(last.expires_at.after(10 * DAY));
    sweep(&engine);
    assert!(engine.hold(released.id).is_ok() && engine.hold(last.id).is_ok(), "kept all the time");
    assert_clean(&engine);
    world.clock.advance(TICK);
    sweep(&engine);
    for hold in expired.iter().chain([&released]) {
        assert_eq!(code(engine.hold(hold.id)), "not_found");
        assert_eq!(code(engine.release_hold(hold.id)), "not_found");
    }
    assert_numbers(&engine, id, [1_000, 0, 0, 0]);
    assert_clean(&engine);
    let next = hold(&engine, id, 1);
    assert!(next.id > last.id, "no id comes twice");
    assert_clean(&engine);
}

fn a_row_with_an_active_hold_is_kept_whole(world: &World) {
    let builder = builder(world, "1h", "1h").set("idempotency_ttl", "1h").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, 100);
    let holds = hold_together(&engine, id, 3);
    engine.release_hold(holds[0].id).expect("released");
    engine.extend_hold(ExtendRequest::new(holds[1].id).ttl(20 * secs(3_600))).expect("extended");
    world.clock.advance(19 * secs(3_600));
    sweep(&engine);
    assert!(holds.iter().all(|hold| engine.hold(hold.id).is_ok()));
    assert_numbers(&engine, id, [98, 2, 0, 0]);
    assert_clean(&engine);
}

fn an_extended_hold_is_deleted_after_its_own_end(world: &World) {
    let engine = engine(world, "10days", "10days");
    let id = product(&engine, 10);
    let held = hold(&engine, id, 3);
    let longer = ExtendRequest::new(held.id).ttl(secs(3_600));
    let longer = engine.extend_hold(longer).expect("extended");
    world.clock.set(longer.expires_at);
    sweep(&engine);
    world.clock.set(longer.expires_at.after(10 * DAY));
    sweep(&engine);
    assert!(engine.hold(held.id).is_ok());
    world.clock.advance(TICK);
    sweep(&engine);
    assert_eq!(code(engine.hold(held.id)), "not_found");
    assert_numbers(&engine, id, [10, 0, 0, 0]);
    assert_clean(&engine);
}

fn orders_are_deleted_with_their_holds_and_sold_units_stay(world: &World) {
    let engine = engine(world, "10days", "100days");
    let (a, b) = (product(&engine, 100), product(&engine, 100));
    let mut orders: Vec<Order> = Vec::new();
    for id in [a, b] {
        for held in hold_together(&engine, id, 3) {
            let order = OrderRequest::new(held.id, id);
            orders.push(engine.create_order(order).expect("ordered").value);
        }
    }
    // An extended hold is ordered, too.
    let held = hold(&engine, a, 5);
    engine.extend_hold(ExtendRequest::new(held.id).ttl(secs(600))).expect("extended");
    orders.push(engine.create_order(OrderRequest::new(held.id, a)).expect("ordered").value);
    for (at, order) in orders.iter().enumerate() {
        let outcome = if at % 3 == 2 { Outcome::Failure } else { Outcome::Success };
        deliver(&engine, order.id, outcome, &format!("evt-{at}"));
    }
    assert_numbers(&engine, a, [91, 0, 0, 9]);
    assert_numbers(&engine, b, [96, 0, 0, 4]);
    world.clock.advance(50 * DAY);
    sweep(&engine);
    for order in &orders {
        assert!(engine.order(order.id).is_ok() && engine.hold(order.lines.first().hold_id).is_ok());
    }
    assert_clean(&engine);
    world.clock.advance(51 * DAY);
    sweep(&engine);
    for order in &orders {
        assert_eq!(code(engine.order(order.id)), "not_found");
        assert_eq!(code(engine.hold(order.lines.first().hold_id)), "not_found");
    }
    assert_numbers(&engine, a, [91, 0, 0, 9]);
    assert_numbers(&engine, b, [96, 0, 0, 4]);
    let report = assert_clean(&engine);
    assert_eq!(report.units.sold, 13);
    // What is paid for a deleted order waits like that of an order yet to come.
    let late = PaymentEvent::for_order(orders[2].id, Outcome::Success).key("late");
    let answer = engine.record_payment(late).expect("taken").value;
    assert_eq!(answer.status, PaymentStatus::Waiting);
    assert_clean(&engine);
}

fn an_unpaid_order_keeps_its_row(world: &World) {
    let builder = builder(world, "1h", "1h").payment_ttl(Duration::ZERO);
    let engine = builder.open().expect("opens");
    let id = product(&engine, 100);
    let holds = hold_together(&engine, id, 3);
    let order = |at: usize| {
        engine.create_order(OrderRequest::new(holds[at].id, id)).expect("ordered").value
    };
    let (paid, unpaid) = (order(0), order(1));
    deliver(&engine, paid.id, Outcome::Success, "evt");
    world.clock.advance(400 * DAY);
    sweep(&engine);
    assert!(engine.order(paid.id).is_ok() && engine.order(unpaid.id).is_ok());
    deliver(&engine, unpaid.id, Outcome::Success, "at last");
    sweep(&engine);
    assert!(engine.order(paid.id).is_ok(), "the other is new");
    world.clock.advance(8 * DAY);
    sweep(&engine);
    assert_eq!(code(engine.order(paid.id)), "not_found");
    assert_numbers(&engine, id, [96, 0, 0, 4]);
    assert_clean(&engine);
}

fn events_are_deleted_but_for_the_newest(world: &World) {
    let engine = engine(world, "10days", "10days");
    let id = product(&engine, 1_000);
    for _ in 0..20 {
        hold(&engine, id, 1);
    }
    let last = all_events(&engine).last().expect("is there").cursor;
    world.clock.advance(11 * DAY);
    hold(&engine, id, 1);
    hold(&engine, id, 1);
    sweep(&engine);
    let cursors: Vec<u64> = all_events(&engine).iter().map(|event| event.cursor).collect();
    // The request that came after the others has expired them.
    let new = engine.events_after(last, 1_000).expect("reads");
    // Where readers number the rows, the last one with a number is kept.
    assert!(!new.is_empty() && cursors.iter().all(|cursor| *cursor >= last), "{cursors:?}");
    // The newest row with events stays, so that cursors go on from it, also where
    // a newer row has none.
    let last = cursors[cursors.len() - 1];
    let refused = HoldRequest::new(id, 1_000_000).key("too many");
    assert_eq!(code(engine.create_hold(&refused)), "insufficient_stock");
    for _ in 0..2 {
        world.clock.advance(11 * DAY);
        sweep(&engine);
    }
    let newer = all_events(&engine);
    let kept = newer[newer.len() - 1].cursor;
    assert!(kept >= last, "{newer:?}");
    hold(&engine, id, 1);
    let new = engine.events_after(kept, 1_000).expect("reads");
    assert_eq!(new.first().map(|event| event.cursor), Some(kept + 1));
    assert_clean(&engine);
}

fn payment_events_are_kept_for_a_week_at_least(world: &World) {
    let engine = engine(world, "1days", "730days");
    let id = product(&engine, 10);
    let ordered = order(&engine, id, 1);
    let event = PaymentEvent::for_order(ordered.id, Outcome::Success).key("evt");
    assert!(!engine.record_payment(&event).expect("taken").replayed);
    world.clock.advance(7 * DAY);
    sweep(&engine);
    assert!(engine.record_payment(&event).expect("taken").replayed);
    world.clock.advance(TICK);
    sweep(&engine);
    let again = engine.record_payment(&event).expect("taken");
    assert!(!again.replayed && again.value.status == PaymentStatus::Recorded);
    assert_numbers(&engine, id, [9, 0, 0, 1]);
    assert_clean(&engine);
}

fn a_payment_event_that_waited_is_kept_as_long_as_others(world: &World) {
    let engine = engine(world, "10days", "10days");
    let id = product(&engine, 10);
    let held = hold(&engine, id, 1);
    let next = crate::steps::next_order_id(&engine);
    deliver(&engine, next, Outcome::Success, "early");
    let again = || {
        let event = PaymentEvent::for_order(next, Outcome::Success).key("early");
        engine.record_payment(event).expect("taken").replayed
    };
    world.clock.advance(10 * DAY - TICK);
    sweep(&engine);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert!(again(), "it is recorded");
    world.clock.advance(20 * DAY);
    sweep(&engine);
    assert!(!again(), "it is deleted with others of its age");
    assert_eq!(code(engine.release_hold(held.id)), "not_found");
}

fn zero_keeps_history_for_ever(world: &World) {
    let engine = engine(world, "0", "730days");
    let id = product(&engine, 10);
    let ended = hold(&engine, id, 1);
    let paid = order(&engine, id, 1);
    deliver(&engine, paid.id, Outcome::Success, "evt");
    let events = all_events(&engine).len();
    world.clock.advance(4_000 * DAY);
    sweep(&engine);
    assert!(engine.hold(ended.id).is_ok() && engine.order(paid.id).is_ok());
    assert!(all_events(&engine).len() >= events);
    assert_clean(&engine);
}

fn late_payments_and_the_deletion_of_their_orders_keep_the_books(world: &World) {
    late_payments_race(world, LatePayment::ReReserve);
}

fn late_payments_to_be_refunded_keep_their_orders(world: &World) {
    late_payments_race(world, LatePayment::Refund);
}

fn late_payments_race(world: &World, policy: LatePayment) {
    const ORDERS: usize = 240;
    let engine = builder(world, "1h", "1h").late_payment(policy).open().expect("opens");
    let id = product(&engine, 10_000);
    let mut orders = Vec::new();
    for _ in 0..ORDERS / 8 {
        for held in hold_together(&engine, id, 8) {
            let order = OrderRequest::new(held.id, id);
            orders.push(engine.create_order(order).expect("ordered").value);
        }
    }
    world.clock.advance(secs(3_600));
    sweep(&engine);
    assert_numbers(&engine, id, [10_000, 0, 0, 0]);
    world.clock.advance(7 * DAY + TICK);
    // One thread deletes while the others pay for what it deletes.
    let is_done = AtomicBool::new(false);
    let paid: Vec<OrderId> = at_once(5, |caller| {
        if caller == 0 {
            while !is_done.load(Ordering::Acquire) {
                sweep(&engine);
            }
            return Vec::new();
        }
        let mut paid = Vec::new();
        for (at, order) in orders.iter().enumerate().rev().filter(|(at, _)| at % 4 == caller - 1) {
            let event = PaymentEvent::for_order(order.id, Outcome::Success);
            let answer = engine.record_payment(event.key(format!("late-{at}"))).expect("taken");
            if answer.value.status != PaymentStatus::Waiting {
                paid.push(order.id);
            }
        }
        is_done.store(true, Ordering::Release);
        paid
    })
    .into_iter()
    .flatten()
    .collect();
    sweep(&engine);
    let report = assert_clean(&engine);
    let sold = if policy == LatePayment::ReReserve { 2 * paid.len() as i128 } else { 0 };
    assert_eq!(report.units.sold, sold);
    assert_eq!(report.waiting_events, (ORDERS - paid.len()) as u64);
    for id in paid {
        assert!(engine.order(id).is_ok(), "{id} was paid a moment ago");
    }
}
