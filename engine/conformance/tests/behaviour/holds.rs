//! Making holds and giving them back.

use stockade::{
    Engine, ExtendRequest, Hold, HoldId, HoldQuery, HoldRequest, HoldStatus, NewProduct,
    OrderRequest, ShortLine,
};

use crate::steps::{Later, all_events, assert_numbers, code, hold, order, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("holds";
    a_hold_takes_stock_and_tells_all_about_itself,
    a_hold_for_more_than_there_is_says_how_much_there_is,
    a_released_hold_gives_its_stock_back_once,
    an_expired_hold_is_released_without_effect,
    a_converted_hold_is_not_released,
    the_greatest_numbers_are_held_and_counted,
    holds_are_listed_as_they_stand_by_ascending_id,
    a_page_of_holds_ends_where_the_next_begins,
);

/// Reads all pages of a query.
fn listed(engine: &Engine, mut query: HoldQuery) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    loop {
        let page = engine.holds(query.clone()).expect("reads");
        assert!(page.items.len() <= query.limit as usize);
        holds.extend(page.items);
        assert!(holds.is_sorted_by_key(|hold| hold.id));
        match page.next {
            Some(next) => query = query.after(next),
            None => return holds,
        }
    }
}

fn holds_are_listed_as_they_stand_by_ascending_id(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 2_000), product(&engine, 9));
    // Rows of holds of several, and of one.
    let requests = vec![HoldRequest::new(id, 2).ttl(secs(10)); 300];
    let batch = engine.create_hold_batch(requests).expect("runs");
    let batch: Vec<Hold> = batch.into_iter().map(|hold| hold.expect("held").value).collect();
    let (lone, elsewhere) = (hold(&engine, id, 3), hold(&engine, other, 1));
    world.clock.advance(secs(1));
    engine.release_hold(batch[7].id).expect("released");
    engine.extend_hold(ExtendRequest::new(batch[8].id).ttl(secs(50))).expect("extended");
    let made = engine.create_order(OrderRequest::new(batch[9].id, id)).expect("ordered").value;
    world.clock.advance(secs(10));
    let all = listed(&engine, HoldQuery::new(1_000));
    assert_eq!(all.len(), 302);
    // Each is as it is when it is read alone, due ones have expired.
    for at in [0, 7, 8, 9, 299, 300, 301] {
        assert_eq!(all[at], engine.hold(all[at].id).expect("is there"), "{at}");
    }
    assert_eq!((all[0].status, all[8].status), (HoldStatus::Expired, HoldStatus::Active));
    assert_eq!(all[9].order_id, Some(made.id));
    let ids = |query: HoldQuery| -> Vec<HoldId> {
        listed(&engine, query).into_iter().map(|hold| hold.id).collect()
    };
    for limit in [1, 7, 1_000] {
        let query = HoldQuery::new(limit);
        let active = query.clone().status(HoldStatus::Active);
        assert_eq!(ids(active.clone()), [batch[8].id, lone.id, elsewhere.id], "{limit}");
        assert_eq!(ids(active.product(other)), [elsewhere.id], "{limit}");
        assert_eq!(ids(query.clone().status(HoldStatus::Released)), [batch[7].id], "{limit}");
        assert_eq!(ids(query.clone().product(other.0 + 1)), [], "{limit}");
        assert_eq!(ids(query.after(lone.id)), [elsewhere.id], "{limit}");
    }
    assert_clean(&engine);
}

fn a_page_of_holds_ends_where_the_next_begins(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 2_000);
    // More rows than one read of the store looks at.
    let made: Vec<HoldId> = (0..150).map(|_| hold(&engine, id, 1).id).collect();
    for (limit, pages) in [(1_000, 1), (100, 2), (75, 2), (50, 3)] {
        let mut query = HoldQuery::new(limit);
        let mut read = Vec::new();
        for page in 1..=pages {
            let found = engine.holds(query.clone()).expect("reads");
            read.extend(found.items.iter().map(|hold| hold.id));
            assert_eq!(found.next.is_none(), page == pages, "{limit}: {page}");
            query.after = found.next;
        }
        assert_eq!(read, made, "{limit}");
    }
    for limit in [0, 1_001] {
        assert_eq!(code(engine.holds(HoldQuery::new(limit))), "invalid_argument");
    }
    let beyond = engine.holds(HoldQuery::new(1).after(u64::MAX)).expect("reads");
    assert!(beyond.items.is_empty() && beyond.next.is_none());
}

fn a_hold_takes_stock_and_tells_all_about_itself(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = engine.create_hold(HoldRequest::new(id, 2)).expect("held");
    assert!(!made.replayed);
    let first = made.value;
    assert_eq!((first.product_id, first.quantity), (id, 2));
    assert_eq!(first.status, HoldStatus::Active);
    assert_eq!(first.created_at, world.clock.time());
    assert_eq!(first.expires_at, world.clock.time().after(secs(120)));
    assert_eq!(engine.hold(first.id).expect("is there"), first.later());
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    world.clock.advance(secs(1));
    let second = engine.create_hold(HoldRequest::new(id, 3).ttl(secs(7))).expect("held").value;
    assert_eq!(second.expires_at, world.clock.time().after(secs(7)));
    assert!(second.id > first.id);
    let token = second.token.expect("shown").to_string();
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_ne!(second.token, first.token);
    assert_numbers(&engine, id, [0, 5, 0, 0]);
    assert_eq!(engine.product(id).expect("is there").version, 3);
    let told: Vec<_> = all_events(&engine).into_iter().skip(1).collect();
    assert_eq!(
        told.iter().map(|event| event.hold_id).collect::<Vec<_>>(),
        [Some(first.id), Some(second.id)]
    );
    assert_eq!(told.iter().map(|event| event.version).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((told[0].at, told[1].at), (first.created_at, second.created_at));
    assert_clean(&engine);
}

fn a_hold_for_more_than_there_is_says_how_much_there_is(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    hold(&engine, id, 3);
    let error = engine.create_hold(HoldRequest::new(id, 3)).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(2)));
    let lines: Vec<_> = error
        .short()
        .iter()
        .map(|line: &ShortLine| (line.product_id, line.requested, line.available))
        .collect();
    assert_eq!(lines, [(id, 3, 2)]);
    assert_eq!(error.retry_after(), None);
    assert_numbers(&engine, id, [2, 3, 0, 0]);
    hold(&engine, id, 2);
    let error = engine.create_hold(HoldRequest::new(id, 1)).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
    let empty = product(&engine, 0);
    let error = engine.create_hold(HoldRequest::new(empty, 1)).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
    assert_eq!(story(&engine, id), [("hold.created", 3), ("hold.created", 2)]);
    assert_clean(&engine);
}

fn a_released_hold_gives_its_stock_back_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (kept, given_back) = (hold(&engine, id, 1), hold(&engine, id, 2));
    world.clock.advance(secs(5));
    let released = engine.release_hold(given_back.id).expect("released");
    assert_eq!(released.status, HoldStatus::Released);
    assert_eq!((released.id, released.token, released.quantity), (given_back.id, None, 2));
    assert_numbers(&engine, id, [4, 1, 0, 0]);
    for _ in 0..3 {
        assert_eq!(engine.release_hold(given_back.id).expect("no effect"), released);
    }
    world.clock.advance(secs(1_000));
    assert_eq!(engine.release_hold(given_back.id).expect("no effect"), released);
    assert_eq!(engine.hold(given_back.id).expect("is there"), released);
    assert_eq!(engine.hold(kept.id).expect("is there").status, HoldStatus::Expired);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    let expected = [("hold.created", 1), ("hold.created", 2), ("hold.released", 2)];
    assert_eq!(story(&engine, id)[..3], expected);
    assert_clean(&engine);
}

fn an_expired_hold_is_released_without_effect(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    world.clock.set(held.expires_at);
    for _ in 0..2 {
        let over = engine.release_hold(held.id).expect("no effect");
        assert_eq!(over.status, HoldStatus::Expired);
        assert_numbers(&engine, id, [5, 0, 0, 0]);
    }
    assert_eq!(story(&engine, id), [("hold.created", 2), ("hold.expired", 2)]);
    assert_eq!(engine.product(id).expect("is there").version, 3);
    assert_clean(&engine);
}

fn a_converted_hold_is_not_released(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let ordered = order(&engine, id, 2);
    for _ in 0..2 {
        let error = engine.release_hold(ordered.lines.first().hold_id).expect_err("refused");
        assert_eq!(error.code(), "hold_already_used");
        assert_eq!(error.order_id(), Some(ordered.id));
    }
    // Not at its end either: the order keeps the units now.
    world.clock.advance(secs(120));
    assert_eq!(code(engine.release_hold(ordered.lines.first().hold_id)), "hold_already_used");
    assert_eq!(
        engine.hold(ordered.lines.first().hold_id).expect("is there").status,
        HoldStatus::Converted
    );
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_clean(&engine);
}

fn the_greatest_numbers_are_held_and_counted(world: &World) {
    let engine = world.builder().max_per_hold(u32::MAX).open().expect("opens");
    let most = i64::MAX as u64;
    let price = "92233720368547758.07".parse().expect("a price");
    let made = engine.create_product(NewProduct::new("Sand", price, most)).expect("created").value;
    assert_eq!((made.stock, made.price, made.received()), (most, price, most));
    let units = u64::from(u32::MAX);
    let held = hold(&engine, made.id, u32::MAX);
    assert_eq!(engine.hold(held.id).expect("is there").quantity, u32::MAX);
    assert_numbers(&engine, made.id, [most - units, units, 0, 0]);
    let other = hold(&engine, made.id, u32::MAX);
    engine.release_hold(other.id).expect("released");
    assert_numbers(&engine, made.id, [most - units, units, 0, 0]);
    assert_eq!(assert_clean(&engine).units.received, i128::from(i64::MAX));
}
