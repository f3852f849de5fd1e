//! What is due is dead, whether or not a sweep has been by.

use stockade::{Engine, HoldRequest, HoldStatus, ProductId, StockAdjustment};

use crate::steps::{TICK, assert_numbers, code, deliver, hold, order, secs, story};
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("expiry";
    a_hold_is_dead_at_exactly_its_end_without_a_sweep,
    a_request_takes_back_what_is_due_before_it_is_refused,
    a_request_takes_back_more_than_one_batch_if_it_needs_it,
    a_request_that_is_refused_all_the_same_names_all_there_is,
    a_hold_made_while_others_are_taken_back_falls_due_in_its_turn,
    goods_are_written_off_from_stock_that_is_due,
    what_is_due_is_counted_as_returned_wherever_it_is_read,
    holds_of_different_lives_end_one_after_another,
    due_holds_and_due_orders_go_back_together,
    a_product_read_before_the_end_is_read_anew_after_it,
);

/// A product with seven holds, of which a transaction takes back but two.
fn seven_holds(world: &World, stock: u64) -> (Engine, ProductId) {
    let builder = world.builder().set("sweep_batch", "2").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, stock);
    for _ in 0..7 {
        hold(&engine, id, 1);
    }
    (engine, id)
}

fn a_hold_is_dead_at_exactly_its_end_without_a_sweep(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let hold = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value;
    world.clock.advance(secs(120) - TICK);
    assert_eq!(engine.hold(hold.id).expect("is there").status, HoldStatus::Active);
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 1))), "insufficient_stock");
    world.clock.set(hold.expires_at);
    assert_eq!(engine.hold(hold.id).expect("is there").status, HoldStatus::Expired);
    assert_eq!(numbers(&engine, id), [1, 0, 0, 0]);
    engine.create_hold(HoldRequest::new(id, 1)).expect("its stock is back");
    assert_clean(&engine);
}

fn a_request_takes_back_what_is_due_before_it_is_refused(world: &World) {
    let (engine, id) = seven_holds(world, 7);
    world.clock.advance(secs(120));
    hold(&engine, id, 1);
    assert_numbers(&engine, id, [6, 1, 0, 0]);
    // No more than one batch went back, as that was enough.
    let expired = story(&engine, id).iter().filter(|(kind, _)| *kind == "hold.expired").count();
    assert_eq!(expired, 2);
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.units.held, report.products_due), (1, 6, 1));
}

fn a_request_takes_back_more_than_one_batch_if_it_needs_it(world: &World) {
    let (engine, id) = seven_holds(world, 7);
    world.clock.advance(secs(120));
    let held = hold(&engine, id, 7);
    assert_eq!((held.quantity, held.created_at), (7, world.clock.time()));
    assert_numbers(&engine, id, [0, 7, 0, 0]);
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.units.held), (0, 7));
    assert_eq!(story(&engine, id).last(), Some(&("hold.created", 7)));
    world.clock.advance(secs(120));
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 1);
    assert_numbers(&engine, id, [7, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_request_that_is_refused_all_the_same_names_all_there_is(world: &World) {
    let (engine, id) = seven_holds(world, 8);
    world.clock.advance(secs(60));
    let alive = hold(&engine, id, 1);
    world.clock.advance(secs(60));
    let error = engine.create_hold(HoldRequest::new(id, 8).key("k")).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(7)));
    assert_eq!(engine.hold(alive.id).expect("is there").status, HoldStatus::Active);
    assert_numbers(&engine, id, [7, 1, 0, 0]);
    assert_clean(&engine);
}

fn a_hold_made_while_others_are_taken_back_falls_due_in_its_turn(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    for round in 0..4 {
        let held = hold(&engine, id, 1);
        assert_eq!(held.expires_at, world.clock.time().after(secs(120)), "{round}");
        assert_clean(&engine);
        world.clock.set(held.expires_at);
        assert_numbers(&engine, id, [1, 0, 0, 0]);
    }
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 1);
    let made = order(&engine, id, 1);
    world.clock.advance(secs(1_800));
    let again = order(&engine, id, 1);
    assert_clean(&engine);
    assert!(again.id > made.id);
    world.clock.advance(secs(1_800));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 1);
    assert_numbers(&engine, id, [1, 0, 0, 0]);
    assert_clean(&engine);
}

fn goods_are_written_off_from_stock_that_is_due(world: &World) {
    let (engine, id) = seven_holds(world, 7);
    let broken = StockAdjustment::new(id, -7, "broken");
    let error = engine.adjust_stock(&broken).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
    world.clock.advance(secs(120));
    let left = engine.adjust_stock(&broken).expect("adjusted").value;
    assert_eq!((left.stock, left.held, left.received()), (0, 0, 0));
    assert_numbers(&engine, id, [0, 0, 0, 0]);
    assert_clean(&engine);
}

fn what_is_due_is_counted_as_returned_wherever_it_is_read(world: &World) {
    let engine = world.engine();
    let ids = [product(&engine, 5), product(&engine, 6), product(&engine, 7)];
    for id in ids {
        hold(&engine, id, 2);
    }
    let paid = order(&engine, ids[2], 1);
    deliver(&engine, paid.id, stockade::Outcome::Success, "evt");
    order(&engine, ids[2], 1);
    world.clock.advance(secs(30));
    hold(&engine, ids[1], 1);
    world.clock.advance(secs(90));
    let page = engine.products(None, 10).expect("reads").items;
    let stocks: Vec<_> = page.iter().map(|p| (p.id, p.stock, p.held, p.received())).collect();
    assert_eq!(stocks, [(ids[0], 5, 0, 5), (ids[1], 5, 1, 6), (ids[2], 5, 0, 7)]);
    for read in &page {
        assert_eq!(engine.product(read.id).expect("is there"), *read);
    }
    // Nothing was written for it.
    let report = assert_clean(&engine);
    assert_eq!((report.units.held, report.products_due), (7, 3));
    world.clock.advance(secs(1_800));
    assert_numbers(&engine, ids[1], [6, 0, 0, 0]);
    assert_numbers(&engine, ids[2], [6, 0, 0, 1]);
    let report = engine.sweep().expect("sweeps");
    assert_eq!((report.holds_expired, report.orders_cancelled), (4, 1));
    assert_numbers(&engine, ids[2], [6, 0, 0, 1]);
    assert_eq!(assert_clean(&engine).units.held, 0);
}

fn holds_of_different_lives_end_one_after_another(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 10);
    let lives = [50_u64, 10, 40, 20, 30];
    for life in lives {
        engine.create_hold(HoldRequest::new(id, 2).ttl(secs(life))).expect("held");
    }
    for round in 1..=5 {
        world.clock.advance(secs(10) - TICK);
        let before = 2 * (round - 1);
        assert_numbers(&engine, id, [before, 10 - before, 0, 0]);
        world.clock.advance(TICK);
        assert_numbers(&engine, id, [before + 2, 8 - before, 0, 0]);
        if round % 2 == 0 {
            assert_eq!(engine.sweep().expect("sweeps").holds_expired, 2);
        }
        assert_clean(&engine);
    }
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 1);
    assert_clean(&engine);
}

fn due_holds_and_due_orders_go_back_together(world: &World) {
    let engine = world.builder().payment_ttl(secs(120)).open().expect("opens");
    let id = product(&engine, 6);
    order(&engine, id, 3);
    hold(&engine, id, 3);
    world.clock.advance(secs(120));
    hold(&engine, id, 6);
    assert_numbers(&engine, id, [0, 6, 0, 0]);
    let told = story(&engine, id);
    let mut returned = told[3..5].to_vec();
    returned.sort_unstable();
    assert_eq!(returned, [("hold.expired", 3), ("order.cancelled", 3)]);
    assert_eq!(told[5..], [("hold.created", 6)]);
    assert_clean(&engine);
}

fn a_product_read_before_the_end_is_read_anew_after_it(world: &World) {
    // Not even a cache that keeps products for long shows what is over.
    let engine = world.builder().set("cache_ttl", "1h").expect("a setting");
    let engine = engine.open().expect("opens");
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    for _ in 0..3 {
        assert_numbers(&engine, id, [3, 2, 0, 0]);
    }
    world.clock.set(held.expires_at);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    engine.sweep().expect("sweeps");
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    order(&engine, id, 1);
    assert_numbers(&engine, id, [4, 0, 1, 0]);
    assert_clean(&engine);
}
