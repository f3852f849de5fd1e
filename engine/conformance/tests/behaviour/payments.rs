//! The payment event on orders that are there.

use std::str::FromStr;

use stockade::{
    Engine, Order, OrderStatus, Outcome, PaymentDisposition, PaymentEvent, PaymentStatus,
    PaymentToken,
};

use crate::steps::{all_events, assert_numbers, code, deliver, order, secs, shown, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("payments";
    a_success_pays_the_order,
    a_failure_cancels_the_order_and_its_stock_is_back_once,
    an_event_counts_once_however_often_it_comes,
    an_event_without_a_key_counts_once_too,
    a_key_that_returns_with_another_event_is_refused,
    the_same_word_under_other_keys_changes_nothing,
    a_failure_after_the_payment_is_a_conflict_and_nothing_else,
    a_payment_token_names_its_order,
    a_wrong_payment_token_is_refused,
    every_word_of_a_provider_has_an_outcome_in_any_case,
    a_neutral_event_is_recorded_and_changes_nothing,
);

fn order_now(engine: &Engine, order: &Order) -> (OrderStatus, PaymentDisposition) {
    let order = engine.order(order.id).expect("is there");
    (order.status, order.payment_disposition)
}

fn a_success_pays_the_order(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    world.clock.advance(secs(10));
    assert_eq!(deliver(&engine, made.id, Outcome::Success, "evt"), PaymentStatus::Applied);
    let paid = engine.order(made.id).expect("is there");
    assert_eq!(
        (paid.status, paid.payment_disposition),
        (OrderStatus::Paid, PaymentDisposition::None)
    );
    assert_eq!((paid.created_at, paid.updated_at), (made.created_at, world.clock.time()));
    assert_eq!(paid.payment_token, None, "shown once");
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    // Sold for good: neither the hold's nor the order's time matters any more.
    world.clock.advance(secs(86_400));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    assert_eq!(engine.order(made.id).expect("is there"), paid);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    let expected = [("hold.created", 2), ("order.created", 2), ("order.paid", 2)];
    assert_eq!(story(&engine, id), expected);
    let told = all_events(&engine).pop().expect("an event");
    assert_eq!((told.hold_id, told.order_id), (Some(made.lines.first().hold_id), Some(made.id)));
    assert_clean(&engine);
}

fn a_failure_cancels_the_order_and_its_stock_is_back_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    world.clock.advance(secs(10));
    assert_eq!(deliver(&engine, made.id, Outcome::Failure, "evt"), PaymentStatus::Applied);
    assert_eq!(order_now(&engine, &made), (OrderStatus::Cancelled, PaymentDisposition::None));
    assert_eq!(engine.order(made.id).expect("is there").updated_at, world.clock.time());
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(deliver(&engine, made.id, Outcome::Failure, "evt-2"), PaymentStatus::Recorded);
    world.clock.advance(secs(86_400));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let expected = [("hold.created", 2), ("order.created", 2), ("order.cancelled", 2)];
    assert_eq!(story(&engine, id), expected);
    assert_clean(&engine);
}

fn an_event_counts_once_however_often_it_comes(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (paid, cancelled) = (order(&engine, id, 2), order(&engine, id, 1));
    let success = PaymentEvent::for_order(paid.id, Outcome::Success).key("evt");
    let failure = PaymentEvent::for_order(cancelled.id, Outcome::Failure).key("evt-2");
    for event in [&success, &failure] {
        let first = engine.record_payment(event).expect("taken");
        assert_eq!((first.value.status, first.replayed), (PaymentStatus::Applied, false));
    }
    for event in [&success, &failure] {
        for later in [0, 0, 1, 4_000] {
            world.clock.advance(secs(later));
            let again = engine.record_payment(event).expect("taken");
            assert_eq!((again.value.status, again.replayed), (PaymentStatus::Applied, true));
        }
    }
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_eq!(order_now(&engine, &paid).0, OrderStatus::Paid);
    assert_eq!(order_now(&engine, &cancelled).0, OrderStatus::Cancelled);
    assert_clean(&engine);
}

fn an_event_without_a_key_counts_once_too(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    let event = PaymentEvent::for_order(made.id, Outcome::Success);
    assert!(!engine.record_payment(&event).expect("taken").replayed);
    assert!(engine.record_payment(&event).expect("taken").replayed);
    // The derived key is of order, token, outcome and amount; the payment's name has no
    // part.
    let named = event.clone().payment_reference("stripe/pi_1");
    assert!(engine.record_payment(named).expect("taken").replayed);
    let with_token = event.clone().token(shown(&made));
    assert!(!engine.record_payment(&with_token).expect("taken").replayed);
    assert!(engine.record_payment(&with_token).expect("taken").replayed);
    let failure = PaymentEvent::for_order(made.id, Outcome::Failure);
    assert!(!engine.record_payment(&failure).expect("taken").replayed);
    assert!(engine.record_payment(&failure).expect("taken").replayed);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    let (last, _) = *story(&engine, id).last().expect("an event");
    assert_eq!(last, "payment.conflict");
    assert_clean(&engine);
}

fn a_key_that_returns_with_another_event_is_refused(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (made, other) = (order(&engine, id, 2), order(&engine, id, 1));
    let event = PaymentEvent::for_order(made.id, Outcome::Success).key("evt");
    engine.record_payment(&event).expect("taken");
    let others = [
        event.clone().token(shown(&made)),
        event.clone().amount(made.amount),
        PaymentEvent::for_order(made.id, Outcome::Failure).key("evt"),
        PaymentEvent::for_order(other.id, Outcome::Failure).key("evt"),
        PaymentEvent::for_order(other.id, Outcome::Success).key("evt"),
    ];
    for other in &others {
        assert_eq!(code(engine.record_payment(other)), "idempotency_mismatch");
    }
    assert!(engine.record_payment(&event).expect("taken").replayed);
    assert_eq!(order_now(&engine, &made).0, OrderStatus::Paid);
    assert_eq!(order_now(&engine, &other).0, OrderStatus::PendingPayment);
    assert_numbers(&engine, id, [2, 0, 1, 2]);
    assert_eq!(story(&engine, id).len(), 5);
    assert_clean(&engine);
}

fn the_same_word_under_other_keys_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (paid, cancelled) = (order(&engine, id, 2), order(&engine, id, 1));
    let status = |at| if at == 1 { PaymentStatus::Applied } else { PaymentStatus::Recorded };
    for at in 1..=3 {
        let delivered = deliver(&engine, paid.id, Outcome::Success, &format!("s-{at}"));
        assert_eq!(delivered, status(at));
        let delivered = deliver(&engine, cancelled.id, Outcome::Failure, &format!("f-{at}"));
        assert_eq!(delivered, status(at));
    }
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_eq!(story(&engine, id)[4..], [("order.paid", 2), ("order.cancelled", 1)]);
    assert_clean(&engine);
}

fn a_failure_after_the_payment_is_a_conflict_and_nothing_else(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Success, "s-1");
    let paid = engine.order(made.id).expect("is there");
    let version = engine.product(id).expect("is there").version;
    world.clock.advance(secs(10));
    assert_eq!(deliver(&engine, made.id, Outcome::Failure, "f-1"), PaymentStatus::Recorded);
    assert_eq!(engine.order(made.id).expect("is there"), paid);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_eq!(engine.product(id).expect("is there").version, version);
    let event = PaymentEvent::for_order(made.id, Outcome::Failure).key("f-1");
    assert!(engine.record_payment(&event).expect("taken").replayed);
    let story = story(&engine, id);
    assert_eq!(story[2..], [("order.paid", 2), ("payment.conflict", 2)]);
    let told = all_events(&engine).pop().expect("an event");
    assert_eq!((told.order_id, told.at), (Some(made.id), world.clock.time()));
    assert_clean(&engine);
}

fn a_payment_token_names_its_order(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (first, second) = (order(&engine, id, 2), order(&engine, id, 1));
    let event = PaymentEvent::for_token(shown(&first), Outcome::Success).key("evt");
    assert_eq!(engine.record_payment(&event).expect("taken").value.status, PaymentStatus::Applied);
    assert!(engine.record_payment(&event).expect("taken").replayed);
    let both = PaymentEvent::for_order(second.id, Outcome::Failure).token(shown(&second));
    assert_eq!(engine.record_payment(&both).expect("taken").value.status, PaymentStatus::Applied);
    assert_eq!(order_now(&engine, &first).0, OrderStatus::Paid);
    assert_eq!(order_now(&engine, &second).0, OrderStatus::Cancelled);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}

fn a_wrong_payment_token_is_refused(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (made, other) = (order(&engine, id, 2), order(&engine, id, 1));
    let wrong: PaymentToken = format!("pt_{}_{:032x}", made.id, 7).parse().expect("a token");
    for outcome in [Outcome::Success, Outcome::Failure] {
        let by_token = PaymentEvent::for_token(wrong, outcome).key("evt");
        assert_eq!(code(engine.record_payment(&by_token)), "invalid_argument");
        let by_both = PaymentEvent::for_order(made.id, outcome).token(wrong).key("evt");
        assert_eq!(code(engine.record_payment(&by_both)), "invalid_argument");
        let of_two = PaymentEvent::for_order(made.id, outcome).token(shown(&other)).key("evt");
        assert_eq!(code(engine.record_payment(&of_two)), "invalid_argument");
    }
    assert_numbers(&engine, id, [2, 0, 3, 0]);
    // What was refused used up no key.
    assert_eq!(deliver(&engine, made.id, Outcome::Success, "evt"), PaymentStatus::Applied);
    assert_numbers(&engine, id, [2, 0, 1, 2]);
    assert_clean(&engine);
}

fn every_word_of_a_provider_has_an_outcome_in_any_case(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 30);
    let good = ["success", "succeeded", "paid", "completed", "captured", "SUCCESS", "Paid"];
    let failed = ["failed", "failure", "declined", "refused", "Declined"];
    let ended = ["cancelled", "canceled", "expired", "voided", "VOIDED"];
    let neutral = ["pending", "processing", "authorized", "requires_action", "Pending"];
    for (words, outcome) in [
        (&good[..], Outcome::Success),
        (&failed, Outcome::Failure),
        (&ended, Outcome::Cancelled),
        (&neutral, Outcome::Neutral),
    ] {
        for word in words {
            let made = order(&engine, id, 1);
            assert_eq!(Outcome::from_str(word), Ok(outcome), "{word}");
            deliver(&engine, made.id, outcome, word);
        }
    }
    assert_numbers(&engine, id, [18, 0, 5, 7]);
    for word in ["", "success ", "refunded", "requires action"] {
        assert!(Outcome::from_str(word).is_err(), "{word:?} was taken");
    }
    assert_clean(&engine);
}

fn a_neutral_event_is_recorded_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let (pending, paid, cancelled) =
        (order(&engine, id, 1), order(&engine, id, 2), order(&engine, id, 3));
    deliver(&engine, paid.id, Outcome::Success, "s");
    deliver(&engine, cancelled.id, Outcome::Cancelled, "c");
    let (events, version) = (all_events(&engine), engine.product(id).expect("is there").version);
    for made in [&pending, &paid, &cancelled] {
        let before = engine.order(made.id).expect("is there");
        let key = format!("n-{}", made.id);
        assert_eq!(deliver(&engine, made.id, Outcome::Neutral, &key), PaymentStatus::Recorded);
        assert_eq!(engine.order(made.id).expect("is there"), before);
    }
    assert_eq!(all_events(&engine), events);
    assert_eq!(engine.product(id).expect("is there").version, version);
    // It waits for no order, and the key counts as any other.
    let next = cancelled.id.0 + 1;
    let early = PaymentEvent::for_order(next, Outcome::Neutral).key("early");
    let first = engine.record_payment(&early).expect("taken");
    assert_eq!((first.value.status, first.replayed), (PaymentStatus::Recorded, false));
    assert!(engine.record_payment(&early).expect("taken").replayed);
    let other = PaymentEvent::for_order(next, Outcome::Success).key("early");
    assert_eq!(code(engine.record_payment(&other)), "idempotency_mismatch");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert_eq!(order(&engine, id, 1).status, OrderStatus::PendingPayment);
    assert_clean(&engine);
}
