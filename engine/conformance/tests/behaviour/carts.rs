//! Holding several products at once.

use stockade::{CartRequest, HoldStatus, OrderRequest};

use crate::steps::{Later, TICK, all_events, assert_numbers, code, hold, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("carts";
    a_cart_holds_every_line_by_ascending_product,
    a_cart_sums_the_lines_of_a_product,
    a_cart_that_is_short_lists_every_short_line_and_takes_nothing,
    a_cart_with_an_unknown_product_takes_nothing,
    a_cart_takes_back_what_is_due_of_each_of_its_products,
    the_holds_of_a_cart_are_independent_afterwards,
    a_cart_may_have_a_hundred_products,
);

fn a_cart_holds_every_line_by_ascending_product(world: &World) {
    let engine = world.engine();
    let (a, b, c) = (product(&engine, 5), product(&engine, 5), product(&engine, 5));
    let cart = CartRequest::new([(c, 3), (a, 1), (b, 5)]).ttl(secs(60));
    let held = engine.create_holds(&cart).expect("held");
    assert!(!held.replayed);
    let lines: Vec<_> =
        held.value.holds.iter().map(|hold| (hold.product_id, hold.quantity)).collect();
    assert_eq!(lines, [(a, 1), (b, 5), (c, 3)]);
    for hold in &held.value.holds {
        assert_eq!(hold.status, HoldStatus::Active);
        assert_eq!(hold.created_at, world.clock.time());
        assert_eq!(hold.expires_at, world.clock.time().after(secs(60)));
        assert_eq!(engine.hold(hold.id).expect("is there"), hold.later());
    }
    let [first, second, _] = held.value.holds.as_slice() else { panic!("three holds") };
    assert!(first.id != second.id && first.token != second.token);
    assert_numbers(&engine, a, [4, 1, 0, 0]);
    assert_numbers(&engine, b, [0, 5, 0, 0]);
    assert_numbers(&engine, c, [2, 3, 0, 0]);
    for (id, units) in [(a, 1), (b, 5), (c, 3)] {
        assert_eq!(story(&engine, id), [("hold.created", units)]);
    }
    assert_clean(&engine);
}

fn a_cart_sums_the_lines_of_a_product(world: &World) {
    let engine = world.engine();
    let (a, b) = (product(&engine, 5), product(&engine, 5));
    let held =
        engine.create_holds(CartRequest::new([(a, 2), (b, 1), (a, 3)])).expect("held").value.holds;
    let lines: Vec<_> = held.iter().map(|hold| (hold.product_id, hold.quantity)).collect();
    assert_eq!(lines, [(a, 5), (b, 1)]);
    assert_numbers(&engine, a, [0, 5, 0, 0]);
    let error = engine.create_holds(CartRequest::new([(b, 2), (b, 3)])).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(4)));
    assert_eq!(error.short()[0].requested, 5);
    assert_clean(&engine);
}

fn a_cart_that_is_short_lists_every_short_line_and_takes_nothing(world: &World) {
    let engine = world.engine();
    let ids = [5, 2, 5, 0].map(|stock| product(&engine, stock));
    let cart = CartRequest::new([(ids[3], 1), (ids[2], 5), (ids[1], 3), (ids[0], 5)]);
    let error = engine.create_holds(&cart).expect_err("refused");
    assert_eq!(error.code(), "insufficient_stock");
    let short: Vec<_> = error
        .short()
        .iter()
        .map(|line| (line.product_id, line.requested, line.available))
        .collect();
    assert_eq!(short, [(ids[1], 3, 2), (ids[3], 1, 0)]);
    assert_eq!(error.available(), None, "there is no one number for two lines");
    for (id, stock) in ids.iter().zip([5, 2, 5, 0]) {
        assert_numbers(&engine, *id, [stock, 0, 0, 0]);
    }
    assert_eq!(all_events(&engine).len(), 3, "only the goods received");
    assert_clean(&engine);
    engine.create_holds(CartRequest::new([(ids[0], 5), (ids[1], 2), (ids[2], 5)])).expect("held");
    assert_clean(&engine);
}

fn a_cart_with_an_unknown_product_takes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    for nowhere in [0, id.0 + 1, u64::MAX] {
        let cart = CartRequest::new([(id.0, 1), (nowhere, 1)]);
        assert_eq!(code(engine.create_holds(&cart)), "not_found", "{nowhere}");
    }
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_cart_takes_back_what_is_due_of_each_of_its_products(world: &World) {
    let engine = world.builder().set("sweep_batch", "2").expect("a setting");
    let engine = engine.open().expect("opens");
    let (a, b) = (product(&engine, 5), product(&engine, 3));
    for _ in 0..5 {
        hold(&engine, a, 1);
    }
    hold(&engine, b, 3);
    world.clock.advance(secs(120) - TICK);
    let cart = CartRequest::new([(a, 5), (b, 2)]);
    let error = engine.create_holds(&cart).expect_err("refused");
    assert_eq!(error.short().len(), 2);
    world.clock.advance(TICK);
    engine.create_holds(&cart).expect("held");
    assert_numbers(&engine, a, [0, 5, 0, 0]);
    assert_numbers(&engine, b, [1, 2, 0, 0]);
    assert_clean(&engine);
}

fn the_holds_of_a_cart_are_independent_afterwards(world: &World) {
    let engine = world.engine();
    let (a, b, c) = (product(&engine, 5), product(&engine, 5), product(&engine, 5));
    let held =
        engine.create_holds(CartRequest::new([(a, 1), (b, 2), (c, 3)])).expect("held").value.holds;
    engine.create_order(OrderRequest::new(held[0].id, a)).expect("ordered");
    engine.release_hold(held[1].id).expect("released");
    world.clock.advance(secs(120));
    assert_numbers(&engine, a, [4, 0, 1, 0]);
    assert_numbers(&engine, b, [5, 0, 0, 0]);
    assert_numbers(&engine, c, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_cart_may_have_a_hundred_products(world: &World) {
    let engine = world.engine();
    let ids: Vec<_> = (0..100).map(|_| product(&engine, 2)).collect();
    let held =
        engine.create_holds(CartRequest::new(ids.iter().rev().map(|id| (*id, 1)))).expect("held");
    assert!(held.value.holds.iter().map(|hold| hold.product_id).eq(ids.iter().copied()));
    assert!(held.value.holds.windows(2).all(|pair| pair[0].id < pair[1].id));
    let units = assert_clean(&engine).units;
    assert_eq!((units.stock, units.held, units.received), (100, 100, 200));
    world.clock.advance(secs(120));
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 100);
    let report = assert_clean(&engine);
    assert_eq!((report.products, report.units.stock, report.products_due), (100, 200, 0));
}
