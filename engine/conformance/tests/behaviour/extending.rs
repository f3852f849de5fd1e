//! Making holds live longer.

use std::time::Duration;

use stockade::{Engine, ExtendRequest, Hold, HoldStatus, OrderRequest};

use crate::steps::{Later, TICK, all_events, assert_numbers, code, hold, order, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("extending";
    an_extended_hold_lives_exactly_to_its_new_end,
    a_hold_never_gets_shorter,
    a_hold_never_gets_older_than_the_maximum,
    a_hold_that_is_over_is_not_extended,
    a_converted_hold_is_not_extended,
    an_extended_hold_is_ordered_after_its_old_end,
);

fn extend(engine: &Engine, hold: &Hold, ttl: Duration) -> Hold {
    engine.extend_hold(ExtendRequest::new(hold.id).ttl(ttl)).expect("extended")
}

fn an_extended_hold_lives_exactly_to_its_new_end(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let held = hold(&engine, id, 1);
    world.clock.advance(secs(60));
    let longer = engine.extend_hold(ExtendRequest::new(held.id)).expect("extended");
    assert_eq!(longer.expires_at, held.created_at.after(secs(180)));
    assert_eq!((longer.status, longer.created_at), (HoldStatus::Active, held.created_at));
    assert_eq!(engine.hold(held.id).expect("is there"), longer);
    world.clock.set(held.expires_at);
    assert_numbers(&engine, id, [0, 1, 0, 0]);
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 0);
    assert_clean(&engine);
    world.clock.set(longer.expires_at);
    assert_numbers(&engine, id, [1, 0, 0, 0]);
    assert_eq!(engine.hold(held.id).expect("is there").status, HoldStatus::Expired);
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 1);
    let expected = [("hold.created", 1), ("hold.extended", 1), ("hold.expired", 1)];
    assert_eq!(story(&engine, id), expected);
    let versions: Vec<_> = all_events(&engine).iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 2, 3], "an extension moves no units");
    assert_clean(&engine);
}

fn a_hold_never_gets_shorter(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let held = hold(&engine, id, 1);
    world.clock.advance(secs(60));
    for ttl in [TICK, secs(30), secs(60)] {
        assert_eq!(extend(&engine, &held, ttl), held.later());
    }
    assert_eq!(story(&engine, id), [("hold.created", 1)], "what changes nothing is not told");
    assert_eq!(extend(&engine, &held, secs(60) + TICK).expires_at, held.expires_at.after(TICK));
    assert_clean(&engine);
}

fn a_hold_never_gets_older_than_the_maximum(world: &World) {
    let engine = world.builder().set("hold_ttl_max", "10m").expect("a setting");
    let engine = engine.open().expect("opens");
    let id = product(&engine, 1);
    let held = hold(&engine, id, 1);
    world.clock.advance(secs(60));
    let longest = extend(&engine, &held, secs(600));
    assert_eq!(longest.expires_at, held.created_at.after(secs(600)));
    world.clock.advance(secs(300));
    assert_eq!(extend(&engine, &held, secs(600)), longest);
    if world.backend.is_shared() {
        // Under a smaller maximum a hold keeps the life it has.
        let strict = world.builder().set("hold_ttl_max", "5m").expect("a setting");
        let strict = strict.open().expect("opens");
        assert_eq!(extend(&strict, &held, secs(300)), longest);
    }
    world.clock.set(held.created_at.after(secs(600)));
    let over = ExtendRequest::new(held.id).ttl(secs(600));
    assert_eq!(code(engine.extend_hold(&over)), "hold_expired");
    assert_numbers(&engine, id, [1, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_hold_that_is_over_is_not_extended(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 2);
    let (expired, released) = (hold(&engine, id, 1), hold(&engine, id, 1));
    engine.release_hold(released.id).expect("released");
    assert_eq!(code(engine.extend_hold(ExtendRequest::new(released.id))), "hold_expired");
    world.clock.set(expired.expires_at);
    for _ in 0..2 {
        assert_eq!(code(engine.extend_hold(ExtendRequest::new(expired.id))), "hold_expired");
    }
    assert_eq!(engine.hold(released.id).expect("is there").status, HoldStatus::Released);
    assert_eq!(engine.hold(expired.id).expect("is there").status, HoldStatus::Expired);
    assert_numbers(&engine, id, [2, 0, 0, 0]);
    // The refusal gave the stock back itself.
    assert_eq!(story(&engine, id).last(), Some(&("hold.expired", 1)));
    assert_clean(&engine);
}

fn a_converted_hold_is_not_extended(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let ordered = order(&engine, id, 1);
    let error =
        engine.extend_hold(ExtendRequest::new(ordered.lines.first().hold_id)).expect_err("refused");
    assert_eq!((error.code(), error.order_id()), ("hold_already_used", Some(ordered.id)));
    assert_numbers(&engine, id, [0, 0, 1, 0]);
    assert_clean(&engine);
}

fn an_extended_hold_is_ordered_after_its_old_end(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1);
    let held = hold(&engine, id, 1);
    let longer = extend(&engine, &held, secs(500));
    world.clock.advance(secs(500) - TICK);
    assert!(world.clock.time() < longer.expires_at);
    engine.create_order(OrderRequest::new(held.id, id)).expect("ordered");
    world.clock.advance(secs(1));
    assert_numbers(&engine, id, [0, 0, 1, 0]);
    assert_clean(&engine);
}
