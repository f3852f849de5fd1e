//! Payment events that name their order by the shop's number, or by the provider's
//! payment that is tied to it.

use stockade::{
    Engine, Order, OrderRequest, OrderStatus, Outcome, PaymentEvent, PaymentReference,
    PaymentStatus, ProductId,
};

use crate::crowd::{at_once, engines, pick};
use crate::steps::{TICK, assert_numbers, code, hold, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("named_payments";
    an_event_finds_its_order_by_either_reference,
    an_event_by_number_waits_for_the_order_that_gets_it,
    an_event_by_payment_waits_until_it_is_tied_to_an_order,
    events_by_number_and_by_token_are_applied_by_their_arrival,
    what_waits_by_a_reference_is_listed_aged_and_removable,
    an_event_of_nothing_and_a_bad_reference_are_refused,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("named_payments";
    an_event_and_its_order_that_meet_always_find_each_other,
);

const PAYMENT: &str = "stripe/pi_1";

fn by_number(reference: &str, outcome: Outcome, key: &str) -> PaymentEvent {
    PaymentEvent::for_reference(reference, outcome).key(key)
}

fn by_payment(outcome: Outcome, key: &str) -> PaymentEvent {
    PaymentEvent::for_payment(PAYMENT, outcome).key(key)
}

fn record(engine: &Engine, event: &PaymentEvent) -> PaymentStatus {
    engine.record_payment(event).expect("taken").value.status
}

fn ordered(engine: &Engine, id: ProductId, reference: &str) -> Order {
    let held = hold(engine, id, 1);
    let request = OrderRequest::new(held.id, id).reference(reference);
    engine.create_order(request).expect("ordered").value
}

fn tie(engine: &Engine, order: &Order) -> Order {
    let request = PaymentReference::new(order.id, "stripe", "pi_1");
    engine.set_payment_reference(request).expect("tied")
}

fn status(engine: &Engine, order: &Order) -> OrderStatus {
    engine.order(order.id).expect("reads").status
}

fn an_event_finds_its_order_by_either_reference(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let first = ordered(&engine, id, "r-1");
    let event = by_number("r-1", Outcome::Success, "a");
    assert_eq!(record(&engine, &event), PaymentStatus::Applied);
    assert!(engine.record_payment(&event).expect("again").replayed);
    assert_eq!(status(&engine, &first), OrderStatus::Paid);
    let second = ordered(&engine, id, "r-2");
    tie(&engine, &second);
    // The payment says more than the number.
    let mut event = by_payment(Outcome::Success, "b");
    event.order_reference = Some("r-1".to_owned());
    assert_eq!(record(&engine, &event), PaymentStatus::Applied);
    assert_eq!(status(&engine, &second), OrderStatus::Paid);
    assert_numbers(&engine, id, [7, 0, 0, 2]);
    assert_clean(&engine);
}

fn an_event_by_number_waits_for_the_order_that_gets_it(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let event = by_number("r-1", Outcome::Success, "early");
    assert_eq!(record(&engine, &event), PaymentStatus::Waiting);
    assert_eq!(record(&engine, &event), PaymentStatus::Waiting);
    assert_eq!(assert_clean(&engine).waiting_events, 1);
    assert_eq!(ordered(&engine, id, "r-2").status, OrderStatus::PendingPayment);
    let made = ordered(&engine, id, "r-1");
    assert_eq!(made.status, OrderStatus::Paid);
    assert_eq!(status(&engine, &made), OrderStatus::Paid);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert!(engine.record_payment(&event).expect("again").replayed);
    assert_numbers(&engine, id, [7, 0, 1, 1]);
}

fn an_event_by_payment_waits_until_it_is_tied_to_an_order(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    assert_eq!(record(&engine, &by_payment(Outcome::Success, "a")), PaymentStatus::Waiting);
    let made = ordered(&engine, id, "r-1");
    assert_eq!(made.status, OrderStatus::PendingPayment);
    assert_eq!(tie(&engine, &made).status, OrderStatus::Paid);
    assert_eq!(tie(&engine, &made).status, OrderStatus::Paid, "tied once");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert_numbers(&engine, id, [8, 0, 0, 1]);
    // From now on it is found at once.
    assert_eq!(record(&engine, &by_payment(Outcome::Success, "b")), PaymentStatus::Recorded);
}

fn events_by_number_and_by_token_are_applied_by_their_arrival(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let next = crate::steps::next_order_id(&engine);
    assert_eq!(record(&engine, &by_number("r", Outcome::Success, "z")), PaymentStatus::Waiting);
    world.clock.advance(TICK);
    let later = PaymentEvent::for_order(next, Outcome::Failure).key("a");
    assert_eq!(record(&engine, &later), PaymentStatus::Waiting);
    let made = ordered(&engine, id, "r");
    // The other way round it would have been cancelled and reserved again.
    assert_eq!((made.id, made.status), (next, OrderStatus::Paid));
    assert_eq!(made.payment_disposition, stockade::PaymentDisposition::None);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}

fn what_waits_by_a_reference_is_listed_aged_and_removable(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    record(&engine, &by_number("r-1", Outcome::Success, "a"));
    record(&engine, &by_payment(Outcome::Success, "b"));
    record(&engine, &by_number("r-3", Outcome::Success, "c"));
    let listed = engine.waiting_payments(None, 9).expect("reads").items;
    let told: Vec<_> = listed
        .iter()
        .map(|event| {
            (event.order_id, event.order_reference.as_deref(), event.payment_reference.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [(None, Some("r-1"), None), (None, None, Some(PAYMENT)), (None, Some("r-3"), None)]
    );
    let removed = engine.remove_waiting_payment("a".to_owned()).expect("removed");
    assert_eq!(removed.order_reference.as_deref(), Some("r-1"));
    assert_eq!(ordered(&engine, id, "r-1").status, OrderStatus::PendingPayment);
    // The others wait as long as those that name an order by its id.
    world.clock.advance(secs(600));
    assert_eq!(ordered(&engine, id, "r-3").status, OrderStatus::PendingPayment);
    engine.sweep().expect("sweeps");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    let made = ordered(&engine, id, "r-4");
    assert_eq!(tie(&engine, &made).status, OrderStatus::PendingPayment);
}

fn an_event_of_nothing_and_a_bad_reference_are_refused(world: &World) {
    let engine = world.engine();
    let mut nothing = by_number("r", Outcome::Success, "a");
    nothing.order_reference = None;
    for bad in [
        nothing,
        by_number("", Outcome::Success, "a"),
        by_number("a\0", Outcome::Success, "a"),
        by_number(&"r".repeat(129), Outcome::Success, "a"),
    ] {
        assert_eq!(code(engine.record_payment(&bad)), "invalid_argument", "{bad:?}");
    }
    // One that would change nothing waits for nothing.
    let neutral = by_number("r", Outcome::Neutral, "n");
    assert_eq!(record(&engine, &neutral), PaymentStatus::Recorded);
    // The same event without a key is one event, and another reference another one.
    let keyless = |reference| PaymentEvent::for_reference(reference, Outcome::Success);
    assert!(!engine.record_payment(keyless("r")).expect("kept").replayed);
    assert!(engine.record_payment(keyless("r")).expect("kept").replayed);
    assert!(!engine.record_payment(keyless("s")).expect("kept").replayed);
    let other = by_number("s", Outcome::Success, "n");
    assert_eq!(code(engine.record_payment(&other)), "idempotency_mismatch");
    assert_eq!(assert_clean(&engine).waiting_events, 2);
}

/// An order is made, or tied to a payment, at the moment at which the event arrives.
fn an_event_and_its_order_that_meet_always_find_each_other(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 500);
    let crowd = engines(world, 2);
    for round in 0..40 {
        let (reference, payment) = (format!("r-{round}"), format!("pi_{round}"));
        let held = hold(&engine, id, 1);
        let tied = ordered(&engine, id, &format!("t-{round}"));
        at_once(4, |at| {
            let engine = pick(&crowd, at);
            match at {
                0 => drop(
                    engine
                        .create_order(OrderRequest::new(held.id, id).reference(&reference))
                        .expect("ordered"),
                ),
                1 => drop(record(engine, &by_number(&reference, Outcome::Success, &reference))),
                2 => drop(
                    engine
                        .set_payment_reference(PaymentReference::new(tied.id, "stripe", &payment))
                        .expect("tied"),
                ),
                _ => {
                    let name = format!("stripe/{payment}");
                    let event = PaymentEvent::for_payment(&name, Outcome::Success).key(&name);
                    record(engine, &event);
                }
            }
        });
        let made = engine.order_by_reference(reference).expect("is there");
        assert_eq!(made.status, OrderStatus::Paid, "round {round}");
        assert_eq!(status(&engine, &tied), OrderStatus::Paid, "round {round}");
    }
    assert_numbers(&engine, id, [420, 0, 0, 80]);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}
