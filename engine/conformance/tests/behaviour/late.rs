//! Orders never paid, and money that comes too late.

use std::time::Duration;

use stockade::{
    Engine, LatePayment, Order, OrderStatus, Outcome, PaymentDisposition, PaymentEvent,
    PaymentStatus, StockAdjustment,
};

use crate::steps::{TICK, all_events, assert_numbers, deliver, hold, order, secs, shown, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("late";
    money_after_a_cancellation_takes_the_units_again,
    money_after_a_cancellation_without_stock_needs_a_refund,
    money_after_a_cancellation_always_needs_a_refund_where_the_shop_says_so,
    a_refund_once_asked_for_stays,
    late_money_takes_stock_that_is_due,
    an_unpaid_order_is_cancelled_at_exactly_its_time,
    an_unpaid_order_returns_its_stock_to_who_asks,
    an_order_is_paid_in_its_last_microsecond_and_late_at_its_end,
    a_failure_after_the_end_is_no_conflict,
    an_unpaid_order_waits_for_ever_where_the_shop_says_so,
);

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

fn order_now(engine: &Engine, order: &Order) -> (OrderStatus, PaymentDisposition) {
    let order = engine.order(order.id).expect("is there");
    (order.status, order.payment_disposition)
}

fn money_after_a_cancellation_takes_the_units_again(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Failure, "f");
    world.clock.advance(secs(60));
    assert_eq!(deliver(&engine, made.id, Outcome::Success, "s"), PaymentStatus::Applied);
    assert_eq!(order_now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::ReReserved));
    assert_eq!(engine.order(made.id).expect("is there").updated_at, world.clock.time());
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    // Paid is paid: more money takes nothing, and a failure is a conflict.
    deliver(&engine, made.id, Outcome::Success, "s-2");
    deliver(&engine, made.id, Outcome::Failure, "f-2");
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    let expected = [("order.cancelled", 2), ("order.paid", 2), ("payment.conflict", 2)];
    assert_eq!(story(&engine, id)[2..], expected);
    assert_clean(&engine);
}

fn money_after_a_cancellation_without_stock_needs_a_refund(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 4);
    deliver(&engine, made.id, Outcome::Failure, "f");
    hold(&engine, id, 2);
    assert_eq!(deliver(&engine, made.id, Outcome::Success, "s"), PaymentStatus::Recorded);
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!(order_now(&engine, &made), expected);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    assert_eq!(story(&engine, id).last(), Some(&("payment.needs_refund", 4)));
    let told = all_events(&engine).pop().expect("an event");
    assert_eq!((told.order_id, told.hold_id), (Some(made.id), Some(made.lines.first().hold_id)));
    assert_eq!(told.version, engine.product(id).expect("is there").version);
    assert_clean(&engine);
}

fn money_after_a_cancellation_always_needs_a_refund_where_the_shop_says_so(world: &World) {
    let engine = world.builder().late_payment(LatePayment::Refund).open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Failure, "f");
    deliver(&engine, made.id, Outcome::Success, "s");
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!(order_now(&engine, &made), expected);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let expected = [("order.cancelled", 2), ("payment.needs_refund", 2)];
    assert_eq!(story(&engine, id)[2..], expected);
    assert_clean(&engine);
}

fn a_refund_once_asked_for_stays(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 2);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Failure, "f");
    let in_the_way = hold(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Success, "s");
    engine.release_hold(in_the_way.id).expect("released");
    engine.adjust_stock(StockAdjustment::new(id, 10, "received")).expect("adjusted");
    deliver(&engine, made.id, Outcome::Success, "s-2");
    deliver(&engine, made.id, Outcome::Failure, "f-2");
    let by_token = PaymentEvent::for_token(shown(&made), Outcome::Success);
    engine.record_payment(&by_token).expect("taken");
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!(order_now(&engine, &made), expected);
    assert_numbers(&engine, id, [12, 0, 0, 0]);
    assert_eq!(story(&engine, id).last(), Some(&("stock.adjusted", 10)), "told once");
    assert_clean(&engine);
}

fn late_money_takes_stock_that_is_due(world: &World) {
    let engine = world.builder().set("sweep_batch", "2").expect("a setting");
    let engine = engine.open().expect("opens");
    let id = product(&engine, 7);
    let made = order(&engine, id, 7);
    deliver(&engine, made.id, Outcome::Failure, "f");
    for _ in 0..7 {
        hold(&engine, id, 1);
    }
    world.clock.advance(secs(120) - TICK);
    assert_numbers(&engine, id, [0, 7, 0, 0]);
    world.clock.advance(TICK);
    // More is due than one transaction takes back, and all of it is needed.
    deliver(&engine, made.id, Outcome::Success, "s");
    assert_eq!(order_now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::ReReserved));
    assert_numbers(&engine, id, [0, 0, 0, 7]);
    assert_clean(&engine);
}

fn an_unpaid_order_is_cancelled_at_exactly_its_time(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    world.clock.advance(HALF_AN_HOUR - TICK);
    assert_eq!(order_now(&engine, &made).0, OrderStatus::PendingPayment);
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    world.clock.advance(TICK);
    assert_eq!(order_now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::None));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(assert_clean(&engine).products_due, 1, "no sweep has been by");
    let report = engine.sweep().expect("sweeps");
    assert_eq!((report.holds_expired, report.orders_cancelled), (0, 1));
    assert_eq!(order_now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::None));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(story(&engine, id)[2..], [("order.cancelled", 2)]);
    assert_eq!(assert_clean(&engine).products_due, 0);
    deliver(&engine, made.id, Outcome::Success, "s");
    assert_eq!(order_now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::ReReserved));
    assert_clean(&engine);
}

fn an_unpaid_order_returns_its_stock_to_who_asks(world: &World) {
    let engine = world.builder().payment_ttl(secs(60)).open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 5);
    world.clock.advance(secs(60));
    hold(&engine, id, 4);
    assert_numbers(&engine, id, [1, 4, 0, 0]);
    let expected = [("order.cancelled", 5), ("hold.created", 4)];
    assert_eq!(story(&engine, id)[2..], expected);
    assert_clean(&engine);
    deliver(&engine, made.id, Outcome::Success, "s");
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!(order_now(&engine, &made), expected);
    assert_numbers(&engine, id, [1, 4, 0, 0]);
    assert_clean(&engine);
}

fn an_order_is_paid_in_its_last_microsecond_and_late_at_its_end(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (in_time, late) = (order(&engine, id, 1), order(&engine, id, 2));
    world.clock.advance(HALF_AN_HOUR - TICK);
    deliver(&engine, in_time.id, Outcome::Success, "s");
    assert_eq!(order_now(&engine, &in_time), (OrderStatus::Paid, PaymentDisposition::None));
    world.clock.advance(TICK);
    deliver(&engine, late.id, Outcome::Success, "s-2");
    assert_eq!(order_now(&engine, &late), (OrderStatus::Paid, PaymentDisposition::ReReserved));
    assert_numbers(&engine, id, [2, 0, 0, 3]);
    let expected = [("order.paid", 1), ("order.cancelled", 2), ("order.paid", 2)];
    assert_eq!(story(&engine, id)[4..], expected);
    assert_clean(&engine);
}

fn a_failure_after_the_end_is_no_conflict(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    world.clock.advance(HALF_AN_HOUR);
    assert_eq!(deliver(&engine, made.id, Outcome::Failure, "f"), PaymentStatus::Recorded);
    assert_eq!(order_now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::None));
    assert_eq!(story(&engine, id)[2..], [("order.cancelled", 2)]);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn an_unpaid_order_waits_for_ever_where_the_shop_says_so(world: &World) {
    let engine = world.builder().payment_ttl(Duration::ZERO).open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    world.clock.advance(secs(20 * 366 * 86_400));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    assert_eq!(order_now(&engine, &made).0, OrderStatus::PendingPayment);
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_clean(&engine);
    deliver(&engine, made.id, Outcome::Success, "s");
    assert_eq!(order_now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::None));
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}
