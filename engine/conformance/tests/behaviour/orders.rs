//! Turning holds into orders.

use stockade::{
    HoldStatus, OrderRequest, OrderStatus, PaymentDisposition, PaymentToken, ProductId,
};

use crate::steps::{Later, TICK, all_events, assert_numbers, code, hold, order, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("orders";
    an_order_takes_its_hold_over_and_tells_all_about_itself,
    an_order_for_another_product_leaves_the_hold_untouched,
    a_hold_is_never_used_twice,
    a_hold_is_good_until_its_last_microsecond,
    an_order_from_an_expired_hold_gives_its_stock_back_at_once,
    an_order_from_a_hold_that_was_swept_is_refused_alike,
    a_released_hold_cannot_be_ordered,
);

fn an_order_takes_its_hold_over_and_tells_all_about_itself(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    world.clock.advance(secs(10));
    let made = engine.create_order(OrderRequest::new(held.id, id)).expect("ordered");
    assert!(!made.replayed);
    let made = made.value;
    let line = made.lines.only().expect("one line");
    assert_eq!((line.hold_id, line.product_id, line.quantity), (held.id, id, 2));
    assert_eq!(made.status, OrderStatus::PendingPayment);
    assert_eq!(made.payment_disposition, PaymentDisposition::None);
    assert_eq!((made.created_at, made.updated_at), (world.clock.time(), world.clock.time()));
    let token = made.payment_token.expect("shown");
    assert_eq!(token.order_id(), made.id);
    let text = token.to_string();
    assert!(text.starts_with(&format!("pt_{}_", made.id)), "{text}");
    assert_eq!(text.parse::<PaymentToken>().expect("reads"), token);
    assert_eq!(engine.order(made.id).expect("is there"), made.later());
    assert_eq!(engine.hold(held.id).expect("is there").status, HoldStatus::Converted);
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_eq!(story(&engine, id), [("hold.created", 2), ("order.created", 2)]);
    let told = all_events(&engine).pop().expect("an event");
    assert_eq!((told.hold_id, told.order_id), (Some(held.id), Some(made.id)));
    assert_eq!((told.version, told.at), (3, made.created_at));
    assert_clean(&engine);
}

fn an_order_for_another_product_leaves_the_hold_untouched(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 5), product(&engine, 5));
    let held = hold(&engine, id, 2);
    let nowhere = [ProductId(0), ProductId(999_999), ProductId(u64::MAX)];
    for wrong in [other].into_iter().chain(nowhere) {
        let request = OrderRequest::new(held.id, wrong);
        assert_eq!(code(engine.create_order(&request)), "product_mismatch", "{wrong}");
        assert_eq!(engine.hold(held.id).expect("is there"), held.later());
    }
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    assert_numbers(&engine, other, [5, 0, 0, 0]);
    assert_clean(&engine);
    engine.create_order(OrderRequest::new(held.id, id)).expect("ordered");
    assert_eq!(code(engine.create_order(OrderRequest::new(held.id, other))), "product_mismatch");
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_clean(&engine);
}

fn a_hold_is_never_used_twice(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    let request = OrderRequest::new(made.lines.first().hold_id, id);
    for request in [request.clone(), request.clone(), request.clone().key("again")] {
        let error = engine.create_order(&request).expect_err("refused");
        assert_eq!((error.code(), error.order_id()), ("hold_already_used", Some(made.id)));
    }
    // Not after its time either, and not once the order is cancelled.
    world.clock.advance(secs(3_600));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 1);
    let error = engine.create_order(&request).expect_err("refused");
    assert_eq!((error.code(), error.order_id()), ("hold_already_used", Some(made.id)));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let expected = [("hold.created", 2), ("order.created", 2), ("order.cancelled", 2)];
    assert_eq!(story(&engine, id), expected);
    assert_clean(&engine);
}

fn a_hold_is_good_until_its_last_microsecond(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 2);
    let (first, second) = (hold(&engine, id, 1), hold(&engine, id, 1));
    world.clock.advance(secs(120) - TICK);
    engine.create_order(OrderRequest::new(first.id, id)).expect("ordered");
    world.clock.advance(TICK);
    assert_eq!(code(engine.create_order(OrderRequest::new(second.id, id))), "hold_expired");
    assert_numbers(&engine, id, [1, 0, 1, 0]);
    assert_clean(&engine);
}

fn an_order_from_an_expired_hold_gives_its_stock_back_at_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    world.clock.set(held.expires_at);
    for _ in 0..2 {
        assert_eq!(code(engine.create_order(OrderRequest::new(held.id, id))), "hold_expired");
        assert_eq!(engine.hold(held.id).expect("is there").status, HoldStatus::Expired);
        assert_numbers(&engine, id, [5, 0, 0, 0]);
        // What was due is not only counted as returned, it is returned.
        let report = assert_clean(&engine);
        assert_eq!((report.products_due, report.units.stock, report.units.held), (0, 5, 0));
    }
    assert_eq!(story(&engine, id), [("hold.created", 2), ("hold.expired", 2)]);
    let expired = all_events(&engine).pop().expect("an event");
    assert_eq!((expired.hold_id, expired.at), (Some(held.id), held.expires_at));
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 0);
    hold(&engine, id, 5);
    assert_clean(&engine);
}

fn an_order_from_a_hold_that_was_swept_is_refused_alike(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    world.clock.advance(secs(500));
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 1);
    assert_eq!(code(engine.create_order(OrderRequest::new(held.id, id))), "hold_expired");
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_released_hold_cannot_be_ordered(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    engine.release_hold(held.id).expect("released");
    for _ in 0..2 {
        assert_eq!(code(engine.create_order(OrderRequest::new(held.id, id))), "hold_expired");
    }
    assert_eq!(engine.hold(held.id).expect("is there").status, HoldStatus::Released);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}
