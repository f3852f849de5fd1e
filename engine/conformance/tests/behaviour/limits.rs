//! What a customer may have of a product within a window, orders included.

use stockade::{
    CartRequest, ChangeQuantityRequest, Engine, Error, ErrorKind, Hold, HoldRequest, LineUnits,
    Order, OrderRequest, OrderStatus, Outcome, PaymentEvent, ProductId, RefundRequest,
};

use crate::crowd::{at_once, count, pick};
use crate::history::assert_exact;
use crate::steps::{TICK, code, deliver, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("limits";
    what_a_customer_has_ordered_and_paid_counts_within_the_window,
    what_is_cancelled_or_refunded_no_longer_counts,
    a_changed_quantity_and_a_cart_count_with_the_orders,
    late_money_is_taken_whatever_the_limit_and_counts,
    a_due_order_no_longer_counts,
    the_limit_holds_for_a_crowd_that_orders_and_pays,
    a_window_beyond_the_retention_of_orders_is_refused,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("limits";
    the_limit_holds_for_a_crowd_that_orders_and_pays_by_two_engines,
    orders_count_that_were_made_without_a_window,
);

const DAY: u64 = 86_400;

fn limited(world: &World, most: u32) -> Engine {
    let builder = world.builder().set("max_per_customer", &most.to_string());
    let builder = builder.and_then(|builder| builder.set("customer_window", "7days"));
    builder.expect("settings").open().expect("opens")
}

fn ask(engine: &Engine, id: ProductId, units: u32) -> Result<Hold, Error> {
    Ok(engine.create_hold(HoldRequest::new(id, units).customer("ann"))?.value)
}

fn buy(engine: &Engine, id: ProductId, units: u32) -> Order {
    let held = ask(engine, id, units).expect("held");
    let order = engine.create_order(OrderRequest::new(held.id, id)).expect("ordered").value;
    assert_eq!(order.customer.as_deref(), Some("ann"));
    order
}

#[track_caller]
fn assert_full(engine: &Engine, id: ProductId) {
    assert_eq!(code(ask(engine, id, 1)), "quantity_limit");
    // Others are not refused for it.
    let other = engine.create_hold(HoldRequest::new(id, 1).customer("bob")).expect("held");
    engine.release_hold(other.value.id).expect("released");
}

fn what_a_customer_has_ordered_and_paid_counts_within_the_window(world: &World) {
    let engine = limited(world, 5);
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    let first = buy(&engine, id, 2);
    deliver(&engine, first.id, Outcome::Success, "first");
    world.clock.advance(secs(DAY));
    let second = buy(&engine, id, 2);
    assert_eq!(code(ask(&engine, id, 2)), "quantity_limit");
    let held = ask(&engine, id, 1).expect("held");
    assert_full(&engine, id);
    ask(&engine, other, 5).expect("of another product");
    engine.release_hold(held.id).expect("released");
    deliver(&engine, second.id, Outcome::Success, "second");
    ask(&engine, id, 1).expect("held");
    assert_full(&engine, id);
    // The first order was paid seven days ago, less a microsecond; then seven.
    world.clock.advance(secs(6 * DAY) - TICK);
    engine.sweep().expect("sweeps");
    ask(&engine, id, 1).expect("the hold has expired");
    assert_full(&engine, id);
    world.clock.advance(TICK);
    ask(&engine, id, 2).expect("held");
    assert_full(&engine, id);
    assert_clean(&engine);
}

fn what_is_cancelled_or_refunded_no_longer_counts(world: &World) {
    let engine = limited(world, 3);
    let id = product(&engine, 50);
    let cancelled = buy(&engine, id, 3);
    assert_full(&engine, id);
    engine.cancel_order(cancelled.id).expect("cancelled");
    let failed = buy(&engine, id, 3);
    deliver(&engine, failed.id, Outcome::Cancelled, "failed");
    let paid = buy(&engine, id, 3);
    deliver(&engine, paid.id, Outcome::Success, "paid");
    assert_full(&engine, id);
    let one = RefundRequest::new(paid.id).lines([LineUnits::new(1, 1)]);
    engine.refund_order(one.restock()).expect("refunded");
    let held = ask(&engine, id, 1).expect("held");
    assert_full(&engine, id);
    engine.release_hold(held.id).expect("released");
    let rest = engine.refund_order(RefundRequest::new(paid.id)).expect("refunded").value;
    assert_eq!(rest.status, OrderStatus::Refunded);
    ask(&engine, id, 3).expect("held");
    assert_full(&engine, id);
    assert_clean(&engine);
}

fn a_changed_quantity_and_a_cart_count_with_the_orders(world: &World) {
    let engine = limited(world, 4);
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    buy(&engine, id, 2);
    let held = ask(&engine, id, 1).expect("held");
    let change = |units| engine.change_quantity(ChangeQuantityRequest::new(held.id, units));
    assert_eq!(code(change(3)), "quantity_limit");
    change(2).expect("changed");
    assert_full(&engine, id);
    change(1).expect("changed");
    let cart = |units| {
        let lines = [(other, 4), (id, units)];
        engine.create_holds(CartRequest::new(lines).customer("ann"))
    };
    assert_eq!(code(cart(2)), "quantity_limit");
    let cart = cart(1).expect("held").value;
    assert!(cart.holds.iter().all(|hold| hold.customer.as_deref() == Some("ann")));
    let order = engine.create_order(OrderRequest::of_cart(cart.id)).expect("ordered").value;
    assert_full(&engine, id);
    assert_full(&engine, other);
    deliver(&engine, order.id, Outcome::Success, "cart");
    assert_full(&engine, id);
    assert_full(&engine, other);
    engine.refund_order(RefundRequest::new(order.id)).expect("refunded");
    ask(&engine, other, 4).expect("held");
    assert_clean(&engine);
}

fn late_money_is_taken_whatever_the_limit_and_counts(world: &World) {
    let engine = limited(world, 2);
    let id = product(&engine, 50);
    let late = buy(&engine, id, 2);
    deliver(&engine, late.id, Outcome::Cancelled, "no");
    let held = ask(&engine, id, 2).expect("held");
    deliver(&engine, late.id, Outcome::Success, "late");
    assert_eq!(engine.order(late.id).expect("reads").status, OrderStatus::Paid);
    assert_full(&engine, id);
    engine.release_hold(held.id).expect("released");
    assert_full(&engine, id);
    assert_clean(&engine);
}

fn a_due_order_no_longer_counts(world: &World) {
    let engine = limited(world, 2);
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    let cart = CartRequest::new([(id, 2), (other, 2)]).customer("ann");
    let cart = engine.create_holds(cart).expect("held").value;
    engine.create_order(OrderRequest::of_cart(cart.id)).expect("ordered");
    world.clock.advance(secs(1_800) - TICK);
    assert_full(&engine, other);
    world.clock.advance(TICK);
    // Nobody has swept.
    ask(&engine, other, 2).expect("held");
    ask(&engine, id, 2).expect("held");
    engine.sweep().expect("sweeps");
    assert_clean(&engine);
}

fn the_limit_holds_for_a_crowd_that_orders_and_pays(world: &World) {
    crowd(&[limited(world, 6)]);
}

fn the_limit_holds_for_a_crowd_that_orders_and_pays_by_two_engines(world: &World) {
    crowd(&[limited(world, 6), limited(world, 6)]);
}

/// Callers of one customer hold, order and pay, each as much as they are given.
fn crowd(engines: &[Engine]) {
    for round in 0..3 {
        let id = product(&engines[0], 500);
        let answers = at_once(24, |at| {
            let engine = pick(engines, at);
            let units = [1, 2][at % 2];
            let held = ask(engine, id, units)?;
            if at % 3 == 0 {
                return Ok(held);
            }
            let order = engine.create_order(OrderRequest::new(held.id, id))?.value;
            if at % 3 == 1 {
                let paid = PaymentEvent::for_order(order.id, Outcome::Success);
                engine.record_payment(paid.key(format!("{round}-{at}")))?;
            }
            Ok::<_, Error>(held)
        });
        let held: u32 = answers.iter().flatten().map(|hold| hold.quantity).sum();
        assert_eq!(held, 6, "enough want one unit to fill what those who want two leave");
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(count(&answers, ErrorKind::QuantityLimit), refused);
        assert_full(&engines[0], id);
        assert_exact(&engines[0], &[id], 500);
    }
}

fn orders_count_that_were_made_without_a_window(world: &World) {
    let free = world.engine();
    let id = product(&free, 50);
    let paid = buy(&free, id, 3);
    deliver(&free, paid.id, Outcome::Success, "paid");
    order(&free, id, 9);
    let strict = limited(world, 4);
    ask(&strict, id, 1).expect("held");
    assert_full(&strict, id);
    ask(&free, id, 4).expect("without a limit");
    assert_clean(&strict);
}

fn a_window_beyond_the_retention_of_orders_is_refused(world: &World) {
    let open = |pairs: &[(&str, &str)]| {
        let mut builder = world.builder();
        for (name, value) in pairs {
            builder = builder.set(name, value).expect("a setting");
        }
        builder.open().map(drop)
    };
    if world.sockets.is_some() {
        return;
    }
    let orders = ("order_retention", "100days");
    assert_eq!(code(open(&[orders, ("customer_window", "101days")])), "invalid_argument");
    open(&[orders, ("customer_window", "100days")]).expect("opens");
    open(&[("order_retention", "0"), ("customer_window", "3000days")]).expect("opens");
}
