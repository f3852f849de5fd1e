//! The payment provider speaks many times at once, and before its order.

use stockade::{
    Engine, ErrorKind, EventKind, HoldRequest, LatePayment, Order, OrderId, OrderRequest,
    OrderStatus, Outcome, PaymentDisposition, PaymentEvent, PaymentStatus, ProductId,
};

use crate::Scenario;
use crate::crowd::{at_once, count, engines, pick};
use crate::history::{History, assert_exact};
use crate::scenarios;
use crate::world::{World, assert_clean, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("races";
    one_event_counts_once,
    many_successes_sell_once,
    one_event_key_for_several_amounts_counts_once,
    one_event_key_for_several_orders_counts_once,
    success_and_failure_at_once_with_refunds,
    success_and_failure_at_once_with_late_payment,
    an_event_races_with_its_order,
);

/// The same with two engines on one store.
pub const SHARED: &[Scenario] = scenarios!("races";
    one_event_counts_once_by_two_engines,
    one_event_key_for_several_orders_counts_once_by_two_engines,
    success_and_failure_at_once_by_two_engines,
    an_event_races_with_its_order_by_two_engines,
);

const CALLERS: usize = 16;
const ROUNDS: usize = 12;

fn ordered(engine: &Engine, id: ProductId, quantity: u32) -> Order {
    let hold = engine.create_hold(HoldRequest::new(id, quantity)).expect("held").value;
    engine.create_order(OrderRequest::new(hold.id, id)).expect("ordered").value
}

fn one_event_counts_once(world: &World) {
    one_event(&engines(world, 1));
}

fn one_event_counts_once_by_two_engines(world: &World) {
    one_event(&engines(world, 2));
}

fn one_event(engines: &[Engine]) {
    let id = product(&engines[0], 1_000);
    for round in 0..ROUNDS {
        let order = ordered(&engines[0], id, 2);
        let outcome = [Outcome::Success, Outcome::Failure][round % 2];
        let event = PaymentEvent::for_order(order.id, outcome).key(format!("evt-{round}"));
        let answers =
            at_once(CALLERS, |at| pick(engines, at).record_payment(&event).expect("taken"));
        assert!(answers.iter().all(|answer| answer.value.status == PaymentStatus::Applied));
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
        let sold = 2 * (round as u64 / 2 + 1);
        assert_eq!(numbers(&engines[0], id), [1_000 - sold, 0, 0, sold]);
    }
    assert_exact(&engines[0], &[id], 1_000);
}

fn many_successes_sell_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 100);
    for round in 1..=ROUNDS as u64 {
        let order = ordered(&engine, id, 2);
        let answers = at_once(CALLERS, |at| {
            let event = PaymentEvent::for_order(order.id, Outcome::Success);
            engine.record_payment(event.key(format!("evt-{round}-{at}"))).expect("taken")
        });
        let count = |status| answers.iter().filter(|it| it.value.status == status).count();
        let counts = (count(PaymentStatus::Applied), count(PaymentStatus::Recorded));
        assert_eq!(counts, (1, CALLERS - 1), "{round}");
        assert!(answers.iter().all(|answer| !answer.replayed));
        assert_eq!(numbers(&engine, id), [100 - 2 * round, 0, 0, 2 * round]);
    }
    let history = assert_exact(&engine, &[id], 100);
    assert_eq!(history.count(EventKind::OrderPaid), ROUNDS);
    assert_eq!(history.count(EventKind::PaymentConflict), 0);
}

fn one_event_key_for_several_amounts_counts_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 100);
    for round in 0..ROUNDS {
        let order = ordered(&engine, id, 1);
        let answers = at_once(CALLERS, |at| {
            let event = PaymentEvent::for_order(order.id, Outcome::Success);
            // The order's own amount, or none, or none that it has.
            let event = match at % 4 {
                0 => event,
                1 => event.amount(order.amount),
                other => event.amount(format!("{other}00").parse().expect("an amount")),
            };
            engine.record_payment(event.key(format!("evt-{round}")))
        });
        assert_eq!(answers.iter().flatten().count(), CALLERS / 4, "{answers:?}");
        assert_eq!(count(&answers, ErrorKind::IdempotencyMismatch), CALLERS / 4 * 3);
        let now = engine.order(order.id).expect("is there");
        let is_paid = now.status == OrderStatus::Paid;
        assert_ne!(is_paid, now.payment_disposition == PaymentDisposition::AmountMismatch);
        if !is_paid {
            engine
                .record_payment(PaymentEvent::for_order(order.id, Outcome::Success))
                .expect("taken");
        }
    }
    assert_exact(&engine, &[id], 100);
}

fn one_event_key_for_several_orders_counts_once(world: &World) {
    several_orders(&engines(world, 1));
}

fn one_event_key_for_several_orders_counts_once_by_two_engines(world: &World) {
    several_orders(&engines(world, 2));
}

/// The orders are of different products, so nothing but the key itself keeps
/// the events apart. One of them is not there at all.
fn several_orders(engines: &[Engine]) {
    let products: Vec<ProductId> = (0..3).map(|_| product(&engines[0], 100)).collect();
    for round in 0..ROUNDS {
        let mut orders: Vec<OrderId> =
            products.iter().map(|id| ordered(&engines[0], *id, 1).id).collect();
        orders.push(OrderId(1_000_000 + round as u64));
        let answers = at_once(CALLERS, |at| {
            let event = PaymentEvent::for_order(orders[at % 4], Outcome::Success);
            pick(engines, at / 4).record_payment(event.key(format!("evt-{round}")))
        });
        assert_eq!(answers.iter().flatten().count(), CALLERS / 4, "{answers:?}");
        assert_eq!(count(&answers, ErrorKind::IdempotencyMismatch), CALLERS / 4 * 3);
        let paid =
            |id: &&OrderId| engines[0].order(**id).expect("is there").status == OrderStatus::Paid;
        assert!(orders[..3].iter().filter(paid).count() <= 1);
    }
    assert_exact(&engines[0], &products, 100);
}

fn success_and_failure_at_once_with_refunds(world: &World) {
    let engine = world.builder().late_payment(LatePayment::Refund).open().expect("opens");
    contradict(&[engine]);
}

fn success_and_failure_at_once_with_late_payment(world: &World) {
    contradict(&engines(world, 1));
}

fn success_and_failure_at_once_by_two_engines(world: &World) {
    contradict(&engines(world, 2));
}

/// Half the callers bring success and half failure; what came first decides,
/// and the rest is recorded.
fn contradict(engines: &[Engine]) {
    let id = product(&engines[0], 1_000);
    let mut sold = 0;
    for round in 0..ROUNDS {
        let order = ordered(&engines[0], id, 1);
        at_once(CALLERS, |at| {
            let outcome = [Outcome::Success, Outcome::Failure][at % 2];
            let event = PaymentEvent::for_order(order.id, outcome).key(format!("{round}-{at}"));
            let answer = pick(engines, at / 2).record_payment(&event).expect("taken").value;
            assert_ne!(answer.status, PaymentStatus::Waiting);
        });
        let order = engines[0].order(order.id).expect("is there");
        let told = History::read(&engines[0]).of_hold(order.lines.first().hold_id);
        let told_of = |kind| told.iter().filter(|told| **told == kind).count();
        let paid = told_of(EventKind::OrderPaid);
        match (order.status, order.payment_disposition) {
            (OrderStatus::Paid, PaymentDisposition::None) => {
                assert_eq!((paid, told_of(EventKind::OrderCancelled)), (1, 0), "{told:?}");
                assert_eq!(told_of(EventKind::PaymentConflict), CALLERS / 2, "{told:?}");
            }
            (OrderStatus::Paid, PaymentDisposition::ReReserved) => {
                assert_eq!((paid, told_of(EventKind::OrderCancelled)), (1, 1), "{told:?}");
            }
            (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund) => {
                assert_eq!((paid, told_of(EventKind::OrderCancelled)), (0, 1), "{told:?}");
                assert_eq!(told_of(EventKind::PaymentNeedsRefund), 1, "{told:?}");
            }
            other => panic!("{other:?} after both outcomes"),
        }
        sold += u64::from(order.status == OrderStatus::Paid);
        assert_eq!(numbers(&engines[0], id), [1_000 - sold, 0, 0, sold]);
    }
    assert_exact(&engines[0], &[id], 1_000);
}

fn an_event_races_with_its_order(world: &World) {
    early(&engines(world, 1));
}

fn an_event_races_with_its_order_by_two_engines(world: &World) {
    early(&engines(world, 2));
}

/// The id of the next order is the one after the last, as long as the engine
/// that makes them draws no other block in between.
fn early(engines: &[Engine]) {
    const EVENTS: usize = 60;
    let id = product(&engines[0], 1_000);
    let mut last = ordered(&engines[0], id, 1).id;
    let (mut met, mut waited) = (0, 0);
    for round in 0..EVENTS {
        let hold = engines[0].create_hold(HoldRequest::new(id, 1)).expect("held").value;
        let awaited = OrderId(last.0 + 1);
        let answers = at_once(4, |at| {
            if at == 0 {
                return Err(engines[0]
                    .create_order(OrderRequest::new(hold.id, id))
                    .expect("ordered")
                    .value
                    .id);
            }
            let event = PaymentEvent::for_order(awaited, Outcome::Success);
            let answer = pick(engines, at).record_payment(event.key(format!("evt-{round}-{at}")));
            Ok(answer.expect("taken").value.status)
        });
        let made = answers.iter().find_map(|answer| answer.as_ref().err()).expect("an order");
        last = *made;
        if last != awaited {
            continue;
        }
        met += 1;
        waited += answers.iter().filter(|a| matches!(a, Ok(PaymentStatus::Waiting))).count();
        let order = engines[0].order(last).expect("is there");
        assert_eq!(order.status, OrderStatus::Paid, "round {round}, {waited} waited: {answers:?}");
    }
    assert!(met > EVENTS / 2, "only {met} events met their order");
    assert_clean(&engines[0]);
    assert_exact(&engines[0], &[id], 1_000);
    let history = History::read(&engines[0]);
    assert!(history.count(EventKind::OrderPaid) >= met);
}
