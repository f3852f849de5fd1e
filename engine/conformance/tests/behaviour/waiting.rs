//! Payment events that come before their order.

use std::time::Duration;

use stockade::{
    HoldRequest, OrderRequest, OrderStatus, Outcome, PaymentDisposition, PaymentEvent,
    PaymentStatus, PaymentToken,
};

use crate::outsider::Outsider;
use crate::steps::{
    Later, TICK, assert_numbers, code, deliver, hold, next_order_id, order, secs, story,
};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("waiting";
    a_success_that_comes_first_pays_the_order_as_it_is_made,
    a_failure_that_comes_first_cancels_the_order_as_it_is_made,
    events_that_wait_are_applied_in_the_order_of_their_arrival,
    late_money_among_events_that_wait_may_find_no_stock_to_take,
    an_event_without_a_key_waits_once,
    a_waiting_event_whose_key_returns_with_another_outcome_is_refused,
    a_waiting_event_with_a_wrong_token_is_a_conflict_and_ignored,
    an_event_for_an_order_that_is_never_made_waits_until_its_end,
    an_event_by_id_waits_ten_minutes,
    an_event_from_elsewhere_does_not_pay_who_orders_later,
);

/// With one queue, a call made after another arrives after it.
pub const SQLITE_FILE: &[Scenario] = scenarios!("waiting";
    events_of_one_batch_are_applied_in_the_order_of_their_arrival,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("waiting";
    an_event_waits_for_an_order_of_another_engine,
);

fn a_success_that_comes_first_pays_the_order_as_it_is_made(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let event = PaymentEvent::for_order(next, Outcome::Success).key("evt");
    let first = engine.record_payment(&event).expect("kept");
    assert_eq!((first.value.status, first.replayed), (PaymentStatus::Waiting, false));
    let again = engine.record_payment(&event).expect("kept");
    assert_eq!((again.value.status, again.replayed), (PaymentStatus::Waiting, true));
    let report = assert_clean(&engine);
    assert_eq!(report.waiting_events, 1);
    assert_eq!(report.oldest_waiting_event, Some(world.clock.time()));
    assert_eq!(code(engine.order(next)), "not_found");
    world.clock.advance(secs(10));
    let held = hold(&engine, id, 2);
    let request = OrderRequest::new(held.id, id).key("order");
    let made = engine.create_order(&request).expect("ordered").value;
    assert_eq!((made.id, made.status), (next, OrderStatus::Paid));
    assert_eq!(made.payment_disposition, PaymentDisposition::None);
    assert_eq!(engine.order(next).expect("is there"), made.later());
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    let expected = [("hold.created", 2), ("order.created", 2), ("order.paid", 2)];
    assert_eq!(story(&engine, id), expected);
    // The event's first answer stays its answer, and so does the order's.
    let again = engine.record_payment(&event).expect("taken");
    assert_eq!((again.value.status, again.replayed), (PaymentStatus::Waiting, true));
    assert_eq!(deliver(&engine, next, Outcome::Success, "evt-2"), PaymentStatus::Recorded);
    assert_eq!(engine.create_order(&request).expect("ordered").value, made);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    let report = assert_clean(&engine);
    assert_eq!((report.waiting_events, report.oldest_waiting_event), (0, None));
}

fn a_failure_that_comes_first_cancels_the_order_as_it_is_made(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    assert_eq!(deliver(&engine, next, Outcome::Failure, "evt"), PaymentStatus::Waiting);
    let made = order(&engine, id, 2);
    assert_eq!((made.id, made.status), (next, OrderStatus::Cancelled));
    assert_eq!(engine.order(next).expect("is there"), made.later());
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let expected = [("hold.created", 2), ("order.created", 2), ("order.cancelled", 2)];
    assert_eq!(story(&engine, id), expected);
    let again = OrderRequest::new(made.lines.first().hold_id, id);
    let error = engine.create_order(&again).expect_err("refused");
    assert_eq!((error.code(), error.order_id()), ("hold_already_used", Some(next)));
    // Nothing of it falls due any more.
    world.clock.advance(secs(86_400));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}

fn events_that_wait_are_applied_in_the_order_of_their_arrival(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let next = next_order_id(&engine);
    // Their keys would sort the other way round.
    let arrivals = [(Outcome::Success, "z"), (Outcome::Failure, "a")];
    for (outcome, key) in arrivals {
        assert_eq!(deliver(&engine, next, outcome, key), PaymentStatus::Waiting);
        world.clock.advance(TICK);
    }
    let made = order(&engine, id, 2);
    assert_eq!((made.id, made.status), (next, OrderStatus::Paid));
    let (outcome, key) = (Outcome::Failure, "y");
    let after = stockade::OrderId(next.0 + 1);
    assert_eq!(deliver(&engine, after, outcome, key), PaymentStatus::Waiting);
    world.clock.advance(TICK);
    assert_eq!(deliver(&engine, after, Outcome::Success, "b"), PaymentStatus::Waiting);
    assert_eq!(assert_clean(&engine).waiting_events, 2);
    let made = order(&engine, id, 3);
    assert_eq!((made.id, made.status), (after, OrderStatus::Paid));
    assert_eq!(made.payment_disposition, PaymentDisposition::ReReserved);
    let expected = [
        ("hold.created", 2),
        ("order.created", 2),
        ("order.paid", 2),
        ("payment.conflict", 2),
        ("hold.created", 3),
        ("order.created", 3),
        ("order.cancelled", 3),
        ("order.paid", 3),
    ];
    assert_eq!(story(&engine, id), expected);
    assert_numbers(&engine, id, [4, 0, 0, 5]);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}

fn events_of_one_batch_are_applied_in_the_order_of_their_arrival(world: &World) {
    let id = product(&world.engine(), 9);
    let mut outsider = Outsider::new(world);
    let mut outside = |sql| {
        std::thread::scope(|scope| scope.spawn(|| outsider.run(sql)).join().expect("runs"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let made = runtime.expect("a runtime").block_on(async {
        let engine = world.builder().open_async().await.expect("opens");
        let request = HoldRequest::new(id, 1);
        let held = engine.create_hold(&request).await.expect("held").value;
        let before =
            engine.create_order(OrderRequest::new(held.id, id)).await.expect("ordered").value;
        let next = stockade::OrderId(before.id.0 + 1);
        let event = |outcome, key: &str| PaymentEvent::for_order(next, outcome).key(key);
        // Their keys would sort the other way round.
        let (success, failure) = (event(Outcome::Success, "z"), event(Outcome::Failure, "a"));
        let batches = |engine: &stockade::AsyncEngine| {
            let text = engine.metrics_text();
            text.lines()
                .find(|line| line.starts_with("stockade_batch_size_count"))
                .map(str::to_owned)
        };
        // While someone else writes, a hold is in flight and the events wait
        // together.
        outside("BEGIN IMMEDIATE");
        let so_far = batches(&engine);
        let mut held = std::pin::pin!(engine.create_hold(&request));
        while batches(&engine) == so_far {
            assert!(futures_util::poll!(&mut held).is_pending());
            tokio::task::yield_now().await;
        }
        let mut events = std::pin::pin!(async {
            tokio::join!(engine.record_payment(&success), engine.record_payment(&failure))
        });
        assert!(futures_util::poll!(&mut events).is_pending());
        outside("COMMIT");
        let held = held.await.expect("held").value;
        let (first, second) = events.await;
        assert_eq!(first.expect("kept").value.status, PaymentStatus::Waiting);
        assert_eq!(second.expect("kept").value.status, PaymentStatus::Waiting);
        let made =
            engine.create_order(OrderRequest::new(held.id, id)).await.expect("ordered").value;
        assert_eq!(made.id, next);
        engine.close().await;
        made
    });
    // The other way round it would be cancelled first and then reserved again.
    let expected = (OrderStatus::Paid, PaymentDisposition::None);
    assert_eq!((made.status, made.payment_disposition), expected);
    assert_clean(&world.engine());
}

fn late_money_among_events_that_wait_may_find_no_stock_to_take(world: &World) {
    let engine = world.builder().late_payment(stockade::LatePayment::Refund).open().expect("opens");
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    deliver(&engine, next, Outcome::Failure, "y");
    world.clock.advance(TICK);
    deliver(&engine, next, Outcome::Success, "b");
    let made = order(&engine, id, 2);
    assert_eq!((made.id, made.status), (next, OrderStatus::Cancelled));
    assert_eq!(made.payment_disposition, PaymentDisposition::NeedsRefund);
    assert_eq!(engine.order(next).expect("is there"), made.later());
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(story(&engine, id)[2..], [("order.cancelled", 2), ("payment.needs_refund", 2)]);
    assert_clean(&engine);
}

fn an_event_without_a_key_waits_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let event = PaymentEvent::for_order(next, Outcome::Success);
    assert!(!engine.record_payment(&event).expect("kept").replayed);
    assert!(engine.record_payment(&event).expect("kept").replayed);
    assert_eq!(assert_clean(&engine).waiting_events, 1);
    assert_eq!(order(&engine, id, 2).status, OrderStatus::Paid);
    let again = engine.record_payment(&event).expect("taken");
    assert_eq!((again.value.status, again.replayed), (PaymentStatus::Waiting, true));
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}

fn a_waiting_event_whose_key_returns_with_another_outcome_is_refused(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let event = PaymentEvent::for_order(next, Outcome::Success).key("evt");
    engine.record_payment(&event).expect("kept");
    let other = PaymentEvent::for_order(next, Outcome::Failure).key("evt");
    assert_eq!(code(engine.record_payment(&other)), "idempotency_mismatch");
    assert_eq!(assert_clean(&engine).waiting_events, 1);
    assert_eq!(order(&engine, id, 2).status, OrderStatus::Paid);
    assert_eq!(code(engine.record_payment(&other)), "idempotency_mismatch");
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}

fn a_waiting_event_with_a_wrong_token_is_a_conflict_and_ignored(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let wrong: PaymentToken = format!("pt_{next}_{:032x}", 7).parse().expect("a token");
    let event = PaymentEvent::for_token(wrong, Outcome::Failure).key("evt");
    assert_eq!(engine.record_payment(&event).expect("kept").value.status, PaymentStatus::Waiting);
    let made = order(&engine, id, 2);
    assert_eq!((made.id, made.status), (next, OrderStatus::PendingPayment));
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    let expected = [("hold.created", 2), ("order.created", 2), ("payment.conflict", 2)];
    assert_eq!(story(&engine, id), expected);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert!(engine.record_payment(&event).expect("taken").replayed);
    assert_eq!(deliver(&engine, next, Outcome::Success, "evt-2"), PaymentStatus::Applied);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    // A wrong one does not keep a right one beside it from counting.
    let after = next.0 + 1;
    let wrong: PaymentToken = format!("pt_{after}_{:032x}", 7).parse().expect("a token");
    engine.record_payment(PaymentEvent::for_token(wrong, Outcome::Success).key("a")).expect("kept");
    world.clock.advance(TICK);
    engine.record_payment(PaymentEvent::for_order(after, Outcome::Failure).key("b")).expect("kept");
    assert_eq!(order(&engine, id, 1).status, OrderStatus::Cancelled);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}

fn an_event_waits_for_an_order_of_another_engine(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    let other = world.engine();
    assert_eq!(deliver(&other, next, Outcome::Success, "evt"), PaymentStatus::Waiting);
    other.close().expect("closes");
    let event = PaymentEvent::for_order(next, Outcome::Success).key("evt");
    assert!(engine.record_payment(&event).expect("kept").replayed);
    let made = order(&engine, id, 2);
    assert_eq!((made.id, made.status), (next, OrderStatus::Paid));
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}

fn an_event_for_an_order_that_is_never_made_waits_until_its_end(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let first = world.clock.time();
    for (at, order) in [70_001_u64, 70_002, 70_002].into_iter().enumerate() {
        let event = PaymentEvent::for_order(order, Outcome::Success).key(format!("evt-{at}"));
        assert_eq!(
            engine.record_payment(&event).expect("kept").value.status,
            PaymentStatus::Waiting
        );
        world.clock.advance(secs(1));
    }
    engine.sweep().expect("sweeps");
    assert_eq!(order(&engine, id, 1).status, OrderStatus::PendingPayment);
    let report = assert_clean(&engine);
    assert_eq!((report.waiting_events, report.oldest_waiting_event), (3, Some(first)));
    world.clock.advance(secs(598));
    engine.sweep().expect("sweeps");
    assert_eq!(assert_clean(&engine).waiting_events, 1, "of two the time is over");
}

fn an_event_by_id_waits_ten_minutes(world: &World) {
    let engine = world.builder().set("payment_ttl", "0").expect("a setting").open().expect("opens");
    let id = product(&engine, 50);
    let ttl = Duration::from_secs(600);
    for (wait, status) in [
        (ttl - TICK, OrderStatus::Paid),
        (ttl, OrderStatus::PendingPayment),
        (ttl + secs(60), OrderStatus::PendingPayment),
    ] {
        let next = next_order_id(&engine);
        let key = format!("by id {wait:?}");
        assert_eq!(deliver(&engine, next, Outcome::Success, &key), PaymentStatus::Waiting);
        world.clock.advance(wait);
        let made = order(&engine, id, 1);
        assert_eq!((made.id, made.status), (next, status), "after {wait:?}");
        // It is over for good, and stays recorded.
        let event = PaymentEvent::for_order(next, Outcome::Success).key(&key);
        assert!(engine.record_payment(&event).expect("taken").replayed);
        assert_eq!(engine.order(next).expect("reads").status, status);
        assert_eq!(assert_clean(&engine).waiting_events, 0);
    }
}

/// From a staging system, or of before a restore from a backup.
fn an_event_from_elsewhere_does_not_pay_who_orders_later(world: &World) {
    let builder = world.builder().set("early_payment_ttl", "1h").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, 5);
    let next = next_order_id(&engine);
    assert_eq!(deliver(&engine, next, Outcome::Success, "staging"), PaymentStatus::Waiting);
    world.clock.advance(secs(3_600) - TICK);
    engine.sweep().expect("sweeps");
    assert_eq!(assert_clean(&engine).waiting_events, 1, "it waits");
    world.clock.advance(TICK);
    engine.sweep().expect("sweeps");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    let made = order(&engine, id, 1);
    assert_eq!((made.id, made.status), (next, OrderStatus::PendingPayment));
    assert_numbers(&engine, id, [4, 0, 1, 0]);
    assert_eq!(deliver(&engine, next, Outcome::Success, "real"), PaymentStatus::Applied);
    assert_clean(&engine);
}
