//! Payments that say how much, attempts that fail, and second payments.

use stockade::{
    Engine, Money, Order, OrderStatus, Outcome, PaymentDisposition, PaymentEvent, PaymentStatus,
};

use crate::steps::{TICK, assert_numbers, code, deliver, next_order_id, order, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("amounts";
    a_wrong_amount_pays_nothing_and_the_right_one_clears_it,
    a_wrong_amount_must_be_refunded_once_the_order_is_cancelled,
    a_wrong_currency_pays_nothing,
    a_late_payment_of_a_wrong_amount_must_be_refunded,
    an_amount_that_comes_first_is_compared_as_the_order_is_made,
    a_second_payment_must_be_refunded,
    an_order_lives_on_for_the_grace_after_its_first_failed_attempt,
    a_final_word_ends_the_grace,
    without_grace_a_failed_attempt_cancels_at_once,
);

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn pay(engine: &Engine, order: &Order, amount: Money, key: &str) -> PaymentStatus {
    let event = PaymentEvent::for_order(order.id, Outcome::Success).amount(amount).key(key);
    engine.record_payment(event).expect("taken").value.status
}

fn now(engine: &Engine, order: &Order) -> (OrderStatus, PaymentDisposition) {
    let order = engine.order(order.id).expect("is there");
    (order.status, order.payment_disposition)
}

fn a_wrong_amount_pays_nothing_and_the_right_one_clears_it(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    assert_eq!(made.amount, money("39.98"));
    assert_eq!(pay(&engine, &made, money("0.01"), "cheap"), PaymentStatus::Recorded);
    let expected = (OrderStatus::PendingPayment, PaymentDisposition::AmountMismatch);
    assert_eq!(now(&engine, &made), expected);
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_eq!(pay(&engine, &made, money("39.980"), "right"), PaymentStatus::Applied);
    assert_eq!(now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::None));
    let last: Vec<_> = story(&engine, id).into_iter().skip(2).collect();
    assert_eq!(last, [("payment.amount_mismatch", 2), ("order.paid", 2)]);
    assert_clean(&engine);
}

fn a_wrong_amount_must_be_refunded_once_the_order_is_cancelled(world: &World) {
    let engine = world.builder().payment_ttl(secs(60)).open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    pay(&engine, &made, money("1"), "cheap");
    world.clock.advance(secs(60));
    engine.sweep().expect("sweeps");
    assert_eq!(now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund));
    // Further money buys nothing while that is owed.
    pay(&engine, &made, made.amount, "late");
    assert_eq!(now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_wrong_currency_pays_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    let event = PaymentEvent::for_order(made.id, Outcome::Success).amount(made.amount);
    let dollars = event.clone().currency("USD".parse().expect("a currency")).key("usd");
    engine.record_payment(dollars).expect("taken");
    assert_eq!(now(&engine, &made).1, PaymentDisposition::AmountMismatch);
    engine.record_payment(event.currency(made.currency).key("eur")).expect("taken");
    assert_eq!(now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::None));
    let bare = PaymentEvent::for_order(made.id, Outcome::Success).currency(made.currency);
    assert_eq!(code(engine.record_payment(bare)), "invalid_argument");
    assert_clean(&engine);
}

fn a_late_payment_of_a_wrong_amount_must_be_refunded(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    deliver(&engine, made.id, Outcome::Failure, "f");
    pay(&engine, &made, money("1"), "cheap");
    assert_eq!(now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn an_amount_that_comes_first_is_compared_as_the_order_is_made(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let event = PaymentEvent::for_order(next, Outcome::Success).amount(money("1")).key("early");
    assert_eq!(engine.record_payment(event).expect("kept").value.status, PaymentStatus::Waiting);
    let made = order(&engine, id, 2);
    let expected = (OrderStatus::PendingPayment, PaymentDisposition::AmountMismatch);
    assert_eq!((made.id, now(&engine, &made)), (next, expected));
    assert_clean(&engine);
}

fn a_second_payment_must_be_refunded(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    let success = |name: &str, key: &str| {
        let event = PaymentEvent::for_order(made.id, Outcome::Success).key(key);
        engine.record_payment(event.payment_reference(name)).expect("taken").value.status
    };
    assert_eq!(success("stripe/pi_1", "a"), PaymentStatus::Applied);
    assert_eq!(success("stripe/pi_1", "b"), PaymentStatus::Recorded);
    assert_eq!(now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::None));
    success("stripe/pi_2", "c");
    assert_eq!(now(&engine, &made), (OrderStatus::Paid, PaymentDisposition::NeedsRefund));
    assert_eq!(story(&engine, id).last(), Some(&("payment.duplicate", 1)));
    assert_numbers(&engine, id, [4, 0, 0, 1]);
    assert_clean(&engine);
}

fn with_grace(world: &World) -> Engine {
    let builder = world.builder().payment_ttl(secs(600));
    builder.set("failed_payment_grace", "60s").expect("a setting").open().expect("opens")
}

fn an_order_lives_on_for_the_grace_after_its_first_failed_attempt(world: &World) {
    let engine = with_grace(world);
    let id = product(&engine, 5);
    let (first, second) = (order(&engine, id, 1), order(&engine, id, 2));
    world.clock.advance(secs(10));
    for order in [&first, &second] {
        deliver(&engine, order.id, Outcome::Failure, &format!("f-{}", order.id));
        let now = engine.order(order.id).expect("is there");
        assert_eq!(
            (now.status, now.pay_until),
            (OrderStatus::PendingPayment, Some(world.clock.time().after(secs(60))))
        );
    }
    world.clock.advance(secs(30));
    deliver(&engine, first.id, Outcome::Failure, "again");
    world.clock.advance(secs(30) - TICK);
    assert_eq!(deliver(&engine, second.id, Outcome::Success, "paid"), PaymentStatus::Applied);
    world.clock.advance(TICK);
    assert_eq!(now(&engine, &first).0, OrderStatus::Cancelled, "later attempts do not move it");
    engine.sweep().expect("sweeps");
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
    // The grace never outlives the order's own end.
    let third = order(&engine, id, 1);
    world.clock.advance(secs(570));
    deliver(&engine, third.id, Outcome::Failure, "late");
    assert_eq!(engine.order(third.id).expect("is there").pay_until, third.pay_until);
    assert_clean(&engine);
}

fn a_final_word_ends_the_grace(world: &World) {
    let engine = with_grace(world);
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    deliver(&engine, made.id, Outcome::Failure, "f");
    assert_eq!(deliver(&engine, made.id, Outcome::Cancelled, "c"), PaymentStatus::Applied);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn without_grace_a_failed_attempt_cancels_at_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    assert_eq!(deliver(&engine, made.id, Outcome::Failure, "f"), PaymentStatus::Applied);
    assert_eq!(now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::None));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}
