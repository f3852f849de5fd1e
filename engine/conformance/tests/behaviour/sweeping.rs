//! Taking back what is due, asked for and by itself.

use std::time::{Duration, Instant};

use stockade::{CartRequest, Engine, HoldRequest, SweepReport};
use stockade_testkit::wait_until;

use crate::steps::{SOON, TICK, all_events, assert_numbers, hold, order, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("sweeping";
    a_sweep_takes_back_exactly_what_is_due_and_says_how_much,
    a_sweep_goes_on_until_nothing_is_due,
    a_sweep_reaches_every_product,
    the_sweeper_takes_back_what_falls_due,
    the_sweeper_wakes_for_a_hold_shorter_than_its_sleep,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("sweeping";
    the_sweeper_ends_when_the_engine_is_closed_or_dropped,
    two_sweepers_take_everything_back_once,
);

/// What a sweep took back, as holds and orders.
#[track_caller]
fn sweep(engine: &Engine) -> (u64, u64) {
    let SweepReport { holds_expired, orders_cancelled, .. } = engine.sweep().expect("sweeps");
    (holds_expired, orders_cancelled)
}

fn expired(engine: &Engine) -> usize {
    all_events(engine).iter().filter(|event| event.kind.as_str() == "hold.expired").count()
}

fn a_sweep_takes_back_exactly_what_is_due_and_says_how_much(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 10);
    assert_eq!(sweep(&engine), (0, 0));
    let first = hold(&engine, id, 1);
    world.clock.advance(secs(1));
    hold(&engine, id, 2);
    order(&engine, id, 3);
    world.clock.set(first.expires_at);
    assert_eq!(sweep(&engine), (1, 0));
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.units.held, report.units.pending), (5, 2, 3));
    world.clock.advance(secs(1) - TICK);
    assert_eq!(sweep(&engine), (0, 0));
    world.clock.advance(secs(1_800));
    assert_eq!(sweep(&engine), (1, 1));
    assert_eq!(sweep(&engine), (0, 0));
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.units.received, report.products_due), (10, 10, 0));
    assert_numbers(&engine, id, [10, 0, 0, 0]);
}

fn a_sweep_goes_on_until_nothing_is_due(world: &World) {
    let engine = world.builder().set("sweep_batch", "2").expect("a setting");
    let engine = engine.open().expect("opens");
    let (id, other) = (product(&engine, 20), product(&engine, 20));
    for _ in 0..3 {
        order(&engine, id, 1);
        order(&engine, other, 1);
    }
    for _ in 0..5 {
        hold(&engine, id, 2);
        hold(&engine, other, 2);
    }
    world.clock.advance(secs(1_800));
    assert_eq!(sweep(&engine), (10, 6));
    assert_eq!(sweep(&engine), (0, 0));
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.products_due), (40, 0));
}

fn a_sweep_reaches_every_product(world: &World) {
    let engine = world.engine();
    let ids: Vec<_> = (0..140).map(|_| product(&engine, 1)).collect();
    for ids in ids.chunks(70) {
        engine.create_holds(CartRequest::new(ids.iter().map(|id| (*id, 1)))).expect("held");
    }
    world.clock.advance(secs(120));
    assert_eq!(assert_clean(&engine).products_due, 140);
    assert_eq!(sweep(&engine), (140, 0));
    let report = assert_clean(&engine);
    assert_eq!((report.units.stock, report.products_due), (140, 0));
}

fn the_sweeper_takes_back_what_falls_due(world: &World) {
    let engine = world.builder().sweeper(true).open().expect("opens");
    let id = product(&engine, 10);
    hold(&engine, id, 2);
    order(&engine, id, 3);
    world.clock.advance(secs(120));
    wait_until("the hold has expired", SOON, || {
        // Each move of the clock wakes the sweeper.
        world.clock.advance(TICK);
        expired(&engine) == 1
    });
    let report = assert_clean(&engine);
    assert_eq!((report.units.held, report.units.pending), (0, 3));
    world.clock.advance(secs(1_800));
    wait_until("the order is cancelled", SOON, || {
        world.clock.advance(TICK);
        story(&engine, id).last() == Some(&("order.cancelled", 3))
    });
    assert_eq!(assert_clean(&engine).units.stock, 10);
    engine.close().expect("closes");
}

fn the_sweeper_wakes_for_a_hold_shorter_than_its_sleep(world: &World) {
    // On the real clock: nothing else wakes the sweeper, which sleeps for up
    // to five seconds.
    let engine = world.real_time_builder().open().expect("opens");
    let id = product(&engine, 10);
    hold(&engine, id, 1);
    let since = Instant::now();
    engine.create_hold(HoldRequest::new(id, 2).ttl(Duration::from_millis(50))).expect("held");
    wait_until("the short hold has expired", SOON, || expired(&engine) == 1);
    assert!(since.elapsed() < secs(4), "it was not woken: {:?}", since.elapsed());
    assert_numbers(&engine, id, [9, 1, 0, 0]);
    assert_clean(&engine);
    engine.close().expect("closes");
}

fn the_sweeper_ends_when_the_engine_is_closed_or_dropped(world: &World) {
    let witness = world.engine();
    let id = product(&witness, 10);
    for is_closed in [true, false] {
        let engine = world.builder().sweeper(true).open().expect("opens");
        hold(&engine, id, 1);
        let before = expired(&witness);
        if is_closed {
            engine.close().expect("closes");
        }
        drop(engine);
        // Time enough for a task that was not ended to see the clock move.
        std::thread::sleep(Duration::from_millis(20));
        world.clock.advance(secs(120));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(expired(&witness), before);
        assert_eq!(sweep(&witness), (1, 0));
    }
    assert_clean(&witness);
}

fn two_sweepers_take_everything_back_once(world: &World) {
    let engines = [0, 1].map(|_| world.builder().sweeper(true).open().expect("opens"));
    let ids: Vec<_> = (0..10).map(|_| product(&engines[0], 4)).collect();
    for id in &ids {
        for engine in &engines {
            hold(engine, *id, 1);
            hold(engine, *id, 1);
        }
    }
    world.clock.advance(secs(120));
    wait_until("all have expired", SOON, || {
        world.clock.advance(TICK);
        engines[0].sweep().expect("sweeps");
        expired(&engines[0]) >= 40
    });
    assert_eq!(expired(&engines[1]), 40);
    let report = assert_clean(&engines[0]);
    assert_eq!((report.units.stock, report.units.held), (40, 0));
}
