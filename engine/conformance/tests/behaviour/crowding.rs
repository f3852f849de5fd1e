//! The combiner's fast paths: speculation, and fast refusal from memory.

use std::time::{Duration, Instant};

use stockade::{Engine, HoldRequest, ProductId, StockAdjustment};

use crate::crowd::{at_once, metric};
use crate::steps::{assert_numbers, code, hold, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("crowding";
    refusals_of_a_sold_out_product_need_no_transactions,
    stock_that_comes_back_is_for_sale_at_once,
    a_hold_that_falls_due_is_for_sale_at_its_moment,
    a_keyed_refusal_is_kept_however_sold_out_the_product_is,
    a_smaller_quantity_than_is_left_is_never_refused_from_memory,
);

/// On stores that several processes can open.
pub const SHARED: &[Scenario] = scenarios!("crowding";
    stock_that_another_process_returns_is_for_sale_soon,
);

/// On servers, where another process may write between two batches.
pub const SERVERS: &[Scenario] = scenarios!("crowding";
    stock_that_another_process_took_is_refused_whatever_is_cached,
    carts_are_created_whole_or_not_at_all_whatever_is_cached,
);

fn transactions(engine: &Engine) -> f64 {
    metric(engine, "stockade_batch_size_count")
}

fn refused(engine: &Engine, id: ProductId) {
    let error = engine.create_hold(HoldRequest::new(id, 1)).expect_err("sold out");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
}

/// An engine that shares no memory with this world's others, as one of another
/// process would not: the same store by another URL.
fn of_another_process(world: &World) -> Engine {
    let mark = if world.url.starts_with("sqlite") { "?mode=rwc" } else { "?ssl-mode=PREFERRED" };
    world.builder().store(&format!("{}{mark}", world.url)).open().expect("opens")
}

fn refusals_of_a_sold_out_product_need_no_transactions(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 2);
    hold(&engine, id, 2);
    let before = transactions(&engine);
    let since = Instant::now();
    at_once(8, |_| (0..250).for_each(|_| refused(&engine, id)));
    // One for each 50 ms, and those that found nothing remembered at once.
    let most = 16.0 + since.elapsed().as_secs_f64() * 20.0 * 8.0;
    let spent = transactions(&engine) - before;
    assert!(spent <= most, "{spent} transactions, at most {most}");
    assert!(metric(&engine, "stockade_refused_at_once_total") >= 2_000.0 - 8.0 * most);
    assert_numbers(&engine, id, [0, 2, 0, 0]);
    assert_clean(&engine);
}

fn stock_that_comes_back_is_for_sale_at_once(world: &World) {
    let (engine, sibling) = match world.backend.is_shared() {
        true => (world.engine(), world.engine()),
        false => {
            let engine = world.engine();
            (engine.clone(), engine)
        }
    };
    let id = product(&engine, 1);
    for _ in 0..20 {
        let held = hold(&engine, id, 1);
        refused(&engine, id);
        refused(&sibling, id);
        engine.release_hold(held.id).expect("released");
        let held = sibling.create_hold(HoldRequest::new(id, 1)).expect("held").value;
        refused(&engine, id);
        sibling.release_hold(held.id).expect("released");
    }
    let made = order(&engine, id, 1);
    refused(&engine, id);
    crate::steps::deliver(&engine, made.id, stockade::Outcome::Failure, "evt");
    hold(&engine, id, 1);
    refused(&engine, id);
    engine.adjust_stock(StockAdjustment::new(id, 1, "received")).expect("adjusted");
    hold(&engine, id, 1);
    assert_clean(&engine);
}

fn a_hold_that_falls_due_is_for_sale_at_its_moment(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    for _ in 0..10 {
        let held = hold(&engine, id, 1);
        refused(&engine, id);
        world.clock.set(held.expires_at);
    }
    hold(&engine, id, 1);
    assert_numbers(&engine, id, [0, 1, 0, 0]);
    assert_clean(&engine);
}

fn a_keyed_refusal_is_kept_however_sold_out_the_product_is(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let held = hold(&engine, id, 1);
    refused(&engine, id);
    let keyed = HoldRequest::new(id, 1).key("k");
    assert_eq!(code(engine.create_hold(&keyed)), "insufficient_stock");
    engine.release_hold(held.id).expect("released");
    let again = engine.create_hold(&keyed).expect_err("as before");
    assert_eq!((again.code(), again.replayed()), ("insufficient_stock", true));
    hold(&engine, id, 1);
}

fn a_smaller_quantity_than_is_left_is_never_refused_from_memory(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 3);
    for (left, held) in [(3, 1), (2, 2)] {
        for _ in 0..3 {
            let error = engine.create_hold(HoldRequest::new(id, 4)).expect_err("too many");
            assert_eq!(error.available(), Some(left));
        }
        hold(&engine, id, held);
    }
    refused(&engine, id);
}

fn stock_that_another_process_returns_is_for_sale_soon(world: &World) {
    let (here, there) = (world.engine(), of_another_process(world));
    let id = product(&here, 1);
    for _ in 0..10 {
        let held = there.create_hold(HoldRequest::new(id, 1)).expect("held").value;
        let error = here.create_hold(HoldRequest::new(id, 1)).expect_err("sold out");
        assert_eq!(error.code(), "insufficient_stock");
        there.release_hold(held.id).expect("released");
        let since = Instant::now();
        let held = loop {
            match here.create_hold(HoldRequest::new(id, 1)) {
                Ok(held) => break held,
                // The bound is 100 ms; a loaded machine may be slower to ask.
                Err(error) => assert!(since.elapsed() < secs(5), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        here.release_hold(held.value.id).expect("released");
    }
    assert_clean(&here);
}

fn stock_that_another_process_took_is_refused_whatever_is_cached(world: &World) {
    let (here, there) = (world.engine(), of_another_process(world));
    let id = product(&here, 101);
    let first = hold(&here, id, 1);
    there.create_hold(HoldRequest::new(id, 98)).expect("held");
    let error = here.create_hold(HoldRequest::new(id, 5)).expect_err("too many");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(2)));
    let last = hold(&here, id, 2);
    assert_eq!((last.created_at, first.created_at), (world.clock.time(), world.clock.time()));
    assert_numbers(&here, id, [0, 101, 0, 0]);
    assert_clean(&here);
    world.clock.set(last.expires_at);
    assert_numbers(&here, id, [101, 0, 0, 0]);
    here.sweep().expect("sweeps");
    assert_clean(&here);
}

fn carts_are_created_whole_or_not_at_all_whatever_is_cached(world: &World) {
    let (here, there) = (world.engine(), of_another_process(world));
    let (a, b) = (product(&here, 100), product(&here, 100));
    hold(&here, a, 1);
    hold(&here, b, 1);
    there.create_hold(HoldRequest::new(b, 95)).expect("held");
    let cart = |count| stockade::CartRequest::new([(a, count), (b, count)]);
    let error = here.create_holds(cart(5)).expect_err("short");
    assert_eq!((error.code(), error.short().len()), ("insufficient_stock", 1));
    assert_eq!(here.create_holds(cart(4)).expect("held").value.holds.len(), 2);
    assert_numbers(&here, a, [95, 5, 0, 0]);
    assert_numbers(&here, b, [0, 100, 0, 0]);
    assert_clean(&here);
}
