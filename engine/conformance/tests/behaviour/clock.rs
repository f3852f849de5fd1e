//! The clock of a test's engine: the setting `clock` and moving it.

use std::time::Duration;

use stockade::{
    AsyncEngine, Config, Engine, EventKind, ExtendRequest, HoldRequest, HoldStatus, NewProduct,
    OrderId, OrderStatus, Outcome, PaymentEvent, ProductChange,
};

use crate::steps::{TICK, all_events, assert_numbers, code, hold, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

/// On every combination, also through a socket.
pub const SCENARIOS: &[Scenario] = scenarios!("clock";
    the_clock_of_a_store_is_not_moved,
    a_manual_clock_is_refused_on_a_store_that_lasts,
);

/// What the setting does.
pub const IN_MEMORY: &[Scenario] = scenarios!("clock";
    moving_the_clock_past_a_hold_returns_its_stock,
    moving_the_clock_past_an_order_cancels_it,
    moving_the_clock_opens_and_ends_a_sale,
    moving_the_clock_ends_what_waits_for_an_order,
    a_clock_that_is_moved_by_nothing_returns_what_is_due_now,
    a_clock_is_moved_by_at_most_ten_years_and_not_beyond_its_last_time,
    the_async_engine_moves_its_clock,
    a_clock_of_the_builder_is_moved_as_well,
    a_closed_engine_does_not_move_its_clock,
);

const DEFAULT_TTL: Duration = Duration::from_secs(120);

fn manual(settings: &[(&str, &str)]) -> Engine {
    let memory = [("store", "sqlite::memory:"), ("clock", "manual")];
    let settings = memory.iter().chain(settings).copied();
    let config = Config::from_pairs(settings).expect("settings");
    Engine::builder().config(config).open().expect("opens")
}

/// The kinds of all events but those that made products.
fn kinds(engine: &Engine) -> Vec<EventKind> {
    all_events(engine).iter().map(|event| event.kind).collect()
}

fn the_clock_of_a_store_is_not_moved(world: &World) {
    let engine = world.real_time_builder().open().expect("opens");
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    let refused = engine.advance_clock(DEFAULT_TTL).expect_err("refused");
    assert_eq!(refused.code(), "misuse");
    assert!(refused.message().contains("sqlite::memory: with clock=manual"), "{refused}");
    assert_eq!(engine.hold(held.id).expect("reads").status, HoldStatus::Active);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
}

fn a_manual_clock_is_refused_on_a_store_that_lasts(world: &World) {
    let builder = world.real_time_builder().set("clock", "manual").expect("a setting");
    match builder.open() {
        Ok(_) => assert!(!world.backend.is_shared()),
        Err(refused) => {
            assert!(world.backend.is_shared());
            assert_eq!(refused.code(), "invalid_argument");
            assert!(refused.message().contains("open that store, or set clock=store"), "{refused}");
        }
    }
}

fn moving_the_clock_past_a_hold_returns_its_stock(_: &World) {
    // With the sweeper in the background and without: the call does not wait for it.
    for sweeper in ["true", "false"] {
        let engine = manual(&[("sweeper", sweeper)]);
        let id = product(&engine, 5);
        let (held, other) = (hold(&engine, id, 2), hold(&engine, id, 1));
        // The cache has the product from now on.
        assert_numbers(&engine, id, [2, 3, 0, 0]);
        let before = engine.advance_clock(DEFAULT_TTL - TICK).expect("moves");
        assert_eq!(before, held.expires_at.before(TICK));
        assert_numbers(&engine, id, [2, 3, 0, 0]);
        engine.extend_hold(ExtendRequest::new(other.id)).expect("extended");
        assert_eq!(engine.advance_clock(TICK).expect("moves"), held.expires_at);
        assert_numbers(&engine, id, [4, 1, 0, 0]);
        let hold_now = engine.hold(held.id).expect("reads");
        assert_eq!(hold_now.status, HoldStatus::Expired);
        let last = all_events(&engine).pop().expect("events");
        assert_eq!((last.kind, last.hold_id), (EventKind::HoldExpired, Some(held.id)));
        assert_eq!(last.at, held.expires_at);
        assert_eq!(engine.sweep().expect("sweeps").holds_expired, 0);
        assert_clean(&engine);
    }
}

fn moving_the_clock_past_an_order_cancels_it(_: &World) {
    let engine = manual(&[("payment_ttl", "10m")]);
    let id = product(&engine, 5);
    let (unpaid, paid) = (order(&engine, id, 2), order(&engine, id, 1));
    engine.record_payment(PaymentEvent::for_order(paid.id, Outcome::Success)).expect("taken");
    engine.advance_clock(secs(600) - TICK).expect("moves");
    assert_numbers(&engine, id, [2, 0, 2, 1]);
    let now = engine.advance_clock(TICK).expect("moves");
    assert_numbers(&engine, id, [4, 0, 0, 1]);
    let cancelled = engine.order(unpaid.id).expect("reads");
    assert_eq!((cancelled.status, cancelled.updated_at), (OrderStatus::Cancelled, now));
    assert_eq!(engine.order(paid.id).expect("reads").status, OrderStatus::Paid);
    assert!(kinds(&engine).contains(&EventKind::OrderCancelled));
    assert_clean(&engine);
}

fn moving_the_clock_opens_and_ends_a_sale(_: &World) {
    let engine = manual(&[]);
    let id = product(&engine, 5);
    let now = engine.advance_clock(Duration::ZERO).expect("moves");
    let sale = ProductChange::new(id).on_sale_from(now.after(secs(60)));
    engine.change_product(sale.on_sale_until(now.after(secs(120)))).expect("changed");
    let ask = || engine.create_hold(HoldRequest::new(id, 1));
    assert_eq!(code(ask()), "not_on_sale");
    engine.advance_clock(secs(60)).expect("moves");
    ask().expect("held");
    engine.advance_clock(secs(60)).expect("moves");
    assert_eq!(code(ask()), "not_on_sale");
}

fn moving_the_clock_ends_what_waits_for_an_order(_: &World) {
    let engine = manual(&[]);
    let early = PaymentEvent::for_order(OrderId(9), Outcome::Success).key("early");
    engine.record_payment(early).expect("waits");
    let waiting = || engine.waiting_payments(None, 10).expect("reads").items.len();
    assert_eq!(waiting(), 1);
    engine.advance_clock(secs(601)).expect("moves");
    assert_eq!(waiting(), 0);
}

fn a_clock_that_is_moved_by_nothing_returns_what_is_due_now(_: &World) {
    let engine = manual(&[]);
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    let now = engine.advance_clock(Duration::ZERO).expect("moves");
    assert_eq!(now, held.created_at);
    assert_eq!(engine.advance_clock(Duration::from_nanos(999)).expect("moves"), now);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
}

fn a_clock_is_moved_by_at_most_ten_years_and_not_beyond_its_last_time(_: &World) {
    let ten_years = secs(10 * 366 * 86_400);
    let engine = manual(&[("retention", "0")]);
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    for by in [ten_years + TICK, secs(u64::MAX), Duration::MAX] {
        assert_eq!(code(engine.advance_clock(by)), "invalid_argument");
    }
    assert_eq!(engine.advance_clock(Duration::ZERO).expect("moves"), held.created_at);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    let mut moves = 0;
    let refused = loop {
        match engine.advance_clock(ten_years) {
            Ok(_) => moves += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), "invalid_argument");
    assert!(moves > 700, "{moves} moves");
    // It can be used in its last year, too.
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let last = hold(&engine, id, 5);
    engine.advance_clock(DEFAULT_TTL).expect("moves");
    assert_eq!(engine.hold(last.id).expect("reads").status, HoldStatus::Expired);
    assert_clean(&engine);
}

fn the_async_engine_moves_its_clock(_: &World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let settings = [("store", "sqlite::memory:"), ("clock", "manual")];
        let config = Config::from_pairs(settings).expect("settings");
        let engine = AsyncEngine::with_config(config).await.expect("opens");
        let lamp = NewProduct::new("Lamp", "1".parse().expect("a price"), 5);
        let id = engine.create_product(lamp).await.expect("created").value.id;
        engine.create_hold(HoldRequest::new(id, 5)).await.expect("held");
        assert_eq!(engine.product(id).await.expect("reads").stock, 0);
        engine.advance_clock(DEFAULT_TTL).await.expect("moves");
        assert_eq!(engine.product(id).await.expect("reads").stock, 5);
        engine.close().await;
        assert_eq!(code(engine.advance_clock(TICK).await), "misuse");
    });
}

fn a_clock_of_the_builder_is_moved_as_well(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    let now = engine.advance_clock(DEFAULT_TTL).expect("moves");
    assert_eq!((now, world.clock.time()), (held.expires_at, held.expires_at));
    assert_numbers(&engine, id, [5, 0, 0, 0]);
}

fn a_closed_engine_does_not_move_its_clock(_: &World) {
    let engine = manual(&[]);
    engine.close().expect("closes");
    assert_eq!(code(engine.advance_clock(TICK)), "misuse");
}
