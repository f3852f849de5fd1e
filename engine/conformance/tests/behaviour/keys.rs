//! Idempotency keys of holds, carts and orders.

use stockade::{
    CartRequest, Engine, ErrorKind, HoldRequest, HoldStatus, OrderRequest, OrderStatus, Outcome,
    StockAdjustment,
};

use crate::crowd::at_once;
use crate::steps::{assert_numbers, code, deliver, hold, order, secs, story};
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("keys";
    a_hold_is_answered_again_with_its_first_answer,
    a_hold_that_is_over_is_answered_again_as_it_was,
    an_order_is_answered_again_with_its_first_answer,
    a_cart_is_answered_again_with_its_first_answer,
    a_refusal_is_answered_again_with_all_its_details,
    a_key_that_comes_with_another_request_is_refused,
    holds_carts_and_orders_share_their_keys,
    keys_differ_by_every_byte,
    payments_have_keys_of_their_own,
    keys_are_forgotten_by_a_sweep_when_their_time_is_over,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("keys";
    a_key_is_known_to_every_engine_of_the_store,
    a_changed_default_makes_no_other_request_of_a_repeated_one,
);

fn a_hold_is_answered_again_with_its_first_answer(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let request = HoldRequest::new(id, 2).key("k");
    let first = engine.create_hold(&request).expect("held");
    assert!(!first.replayed);
    for _ in 0..3 {
        world.clock.advance(secs(10));
        let again = engine.create_hold(&request).expect("held");
        assert!(again.replayed);
        assert_eq!(again.value, first.value);
    }
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    assert_eq!(story(&engine, id), [("hold.created", 2)]);
    assert_clean(&engine);
}

fn a_hold_that_is_over_is_answered_again_as_it_was(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let requests: Vec<_> =
        ["r", "e", "c"].into_iter().map(|key| HoldRequest::new(id, 2).key(key)).collect();
    let made: Vec<_> =
        requests.iter().map(|r| engine.create_hold(r).expect("held").value).collect();
    engine.release_hold(made[0].id).expect("released");
    engine.create_order(OrderRequest::new(made[2].id, id)).expect("ordered");
    world.clock.set(made[1].expires_at);
    for (request, made) in requests.iter().zip(&made) {
        let again = engine.create_hold(request).expect("held");
        assert!(again.replayed);
        assert_eq!(again.value, *made);
        assert_eq!(again.value.status, HoldStatus::Active, "as it was, not as it is");
    }
    let now = made.iter().map(|made| engine.hold(made.id).expect("is there").status);
    let expected = [HoldStatus::Released, HoldStatus::Expired, HoldStatus::Converted];
    assert_eq!(now.collect::<Vec<_>>(), expected);
    assert_numbers(&engine, id, [7, 0, 2, 0]);
    assert_clean(&engine);
}

fn keys_are_forgotten_by_a_sweep_when_their_time_is_over(world: &World) {
    let builder = world.builder().set("idempotency_ttl", "24h").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, 5_000);
    // More than are forgotten by one statement.
    let request = |at: usize| HoldRequest::new(id, 1).key(format!("k-{at}"));
    at_once(32, |caller| {
        for at in (caller..1_100).step_by(32) {
            engine.create_hold(request(at)).expect("held");
        }
    });
    world.clock.advance(secs(24 * 3_600));
    engine.sweep().expect("sweeps");
    assert!(engine.create_hold(request(0)).expect("held").replayed, "kept for the whole time");
    world.clock.advance(secs(1));
    engine.sweep().expect("sweeps");
    for at in [0, 1, 550, 1_098, 1_099] {
        assert!(!engine.create_hold(request(at)).expect("held").replayed, "{at}");
    }
    assert_clean(&engine);
}

fn an_order_is_answered_again_with_its_first_answer(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    let request = OrderRequest::new(held.id, id).key("k");
    let first = engine.create_order(&request).expect("ordered");
    assert!(!first.replayed);
    deliver(&engine, first.value.id, Outcome::Success, "evt");
    world.clock.advance(secs(4_000));
    let again = engine.create_order(&request).expect("ordered");
    assert!(again.replayed);
    assert_eq!(again.value, first.value);
    assert_eq!(again.value.status, OrderStatus::PendingPayment, "as it was, not as it is");
    assert_eq!(engine.order(first.value.id).expect("is there").status, OrderStatus::Paid);
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    // Without the key it is the second use of a hold.
    assert_eq!(code(engine.create_order(OrderRequest::new(held.id, id))), "hold_already_used");
    assert_clean(&engine);
}

fn a_cart_is_answered_again_with_its_first_answer(world: &World) {
    let engine = world.engine();
    let (a, b) = (product(&engine, 5), product(&engine, 5));
    let first = engine.create_holds(CartRequest::new([(a, 1), (b, 3)]).key("k")).expect("held");
    assert!(!first.replayed);
    engine.release_hold(first.value.holds[0].id).expect("released");
    // The same cart, however its lines are arranged.
    for cart in [
        CartRequest::new([(a, 1), (b, 3)]),
        CartRequest::new([(b, 3), (a, 1)]),
        CartRequest::new([(b, 1), (a, 1), (b, 2)]),
    ] {
        let again = engine.create_holds(cart.key("k")).expect("held");
        assert!(again.replayed);
        assert_eq!(again.value, first.value);
    }
    assert_numbers(&engine, a, [5, 0, 0, 0]);
    assert_numbers(&engine, b, [2, 3, 0, 0]);
    assert_clean(&engine);
}

fn a_refusal_is_answered_again_with_all_its_details(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 5), product(&engine, 1));
    let used = order(&engine, id, 1);
    let (expired, active) = (hold(&engine, id, 1), hold(&engine, id, 1));
    let next_product = other.0 + 1;
    let greedy = HoldRequest::new(id, 3).key("greedy");
    let nowhere = HoldRequest::new(next_product, 1).key("nowhere");
    let cart = CartRequest::new([(id, 4), (other, 2)]).key("cart");
    let twice = OrderRequest::new(used.lines.first().hold_id, id).key("twice");
    let mismatch = OrderRequest::new(active.id, other).key("mismatch");
    let over = OrderRequest::new(expired.id, id).key("over");
    let refusals = |engine: &Engine| {
        [
            engine.create_hold(&greedy).map(drop).expect_err("refused"),
            engine.create_hold(&nowhere).map(drop).expect_err("refused"),
            engine.create_holds(&cart).map(drop).expect_err("refused"),
            engine.create_order(&twice).map(drop).expect_err("refused"),
            engine.create_order(&mismatch).map(drop).expect_err("refused"),
        ]
    };
    let first = refusals(&engine);
    let codes = first.each_ref().map(|error| (error.code(), error.replayed()));
    assert_eq!(
        codes,
        [
            ("insufficient_stock", false),
            ("not_found", false),
            ("insufficient_stock", false),
            ("hold_already_used", false),
            ("product_mismatch", false),
        ]
    );
    world.clock.set(expired.expires_at);
    assert_eq!(code(engine.create_order(&over)), "hold_expired");
    // By now each of them could be done, but for the two last.
    engine.adjust_stock(StockAdjustment::new(id, 50, "received")).expect("adjusted");
    engine.adjust_stock(StockAdjustment::new(other, 50, "received")).expect("adjusted");
    assert_eq!(product(&engine, 9).0, next_product);
    for (first, again) in first.iter().zip(refusals(&engine)) {
        assert!(again.replayed());
        assert_eq!((again.code(), again.message()), (first.code(), first.message()));
        assert_eq!((again.short(), again.available()), (first.short(), first.available()));
        assert_eq!(again.order_id(), first.order_id());
    }
    assert_eq!(first[0].available(), Some(2));
    assert_eq!(first[2].short().len(), 2);
    assert_eq!(first[3].order_id(), Some(used.id));
    let again = engine.create_order(&over).expect_err("refused");
    assert_eq!((again.code(), again.replayed()), ("hold_expired", true));
    assert_numbers(&engine, id, [54, 0, 1, 0]);
    assert_clean(&engine);
}

fn a_key_that_comes_with_another_request_is_refused(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 9), product(&engine, 9));
    let request = HoldRequest::new(id, 2).key("k");
    let first = engine.create_hold(&request).expect("held").value;
    for request in [
        HoldRequest::new(id, 3).key("k"),
        HoldRequest::new(other, 2).key("k"),
        HoldRequest::new(id, 2).ttl(secs(60)).key("k"),
        HoldRequest::new(other.0 + 7, 2).key("k"),
    ] {
        assert_eq!(code(engine.create_hold(&request)), "idempotency_mismatch");
    }
    assert_eq!(engine.create_hold(&request).expect("held").value, first);
    let (one, two) = (hold(&engine, id, 1), hold(&engine, id, 1));
    engine.create_order(OrderRequest::new(one.id, id).key("o")).expect("ordered");
    for request in
        [OrderRequest::new(two.id, id).key("o"), OrderRequest::new(one.id, other).key("o")]
    {
        assert_eq!(code(engine.create_order(&request)), "idempotency_mismatch");
    }
    engine.create_holds(CartRequest::new([(id, 1), (other, 1)]).key("c")).expect("held");
    for cart in [
        CartRequest::new([(id, 1), (other, 2)]).key("c"),
        CartRequest::new([(id, 1)]).key("c"),
        CartRequest::new([(id, 1), (other, 1)]).ttl(secs(60)).key("c"),
    ] {
        assert_eq!(code(engine.create_holds(&cart)), "idempotency_mismatch");
    }
    // A refusal is remembered for its own request only, too.
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 99).key("r"))), "insufficient_stock");
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 1).key("r"))), "idempotency_mismatch");
    assert_numbers(&engine, id, [4, 4, 1, 0]);
    assert_numbers(&engine, other, [8, 1, 0, 0]);
    assert_clean(&engine);
}

fn holds_carts_and_orders_share_their_keys(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let held = engine.create_hold(HoldRequest::new(id, 1).key("hold")).expect("held");
    engine.create_holds(CartRequest::new([(id, 1)]).key("cart")).expect("held");
    engine.create_order(OrderRequest::new(held.value.id, id).key("order")).expect("ordered");
    let mismatch = ErrorKind::IdempotencyMismatch.code();
    for key in ["cart", "order"] {
        assert_eq!(code(engine.create_hold(HoldRequest::new(id, 1).key(key))), mismatch, "{key}");
    }
    for key in ["hold", "order"] {
        assert_eq!(
            code(engine.create_holds(CartRequest::new([(id, 1)]).key(key))),
            mismatch,
            "{key}"
        );
    }
    let free = hold(&engine, id, 1);
    for key in ["hold", "cart"] {
        assert_eq!(
            code(engine.create_order(OrderRequest::new(free.id, id).key(key))),
            mismatch,
            "{key}"
        );
    }
    assert_numbers(&engine, id, [6, 2, 1, 0]);
    assert_clean(&engine);
}

fn keys_differ_by_every_byte(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 20);
    let keys = ["k", "K", "k ", " k", "é", "e\u{301}", "e", "É", "kk", "%", "_", "k\\", "'", "''"];
    for key in keys {
        let held = engine.create_hold(HoldRequest::new(id, 1).key(key)).expect("held");
        assert!(!held.replayed, "{key:?}");
    }
    for key in keys {
        let held = engine.create_hold(HoldRequest::new(id, 1).key(key)).expect("held");
        assert!(held.replayed, "{key:?}");
    }
    assert_numbers(&engine, id, [6, 14, 0, 0]);
    assert_clean(&engine);
}

fn payments_have_keys_of_their_own(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = engine.create_hold(HoldRequest::new(id, 1).key("k")).expect("held");
    let made = engine
        .create_order(OrderRequest::new(held.value.id, id).key("k-2"))
        .expect("ordered")
        .value;
    deliver(&engine, made.id, Outcome::Success, "k");
    assert!(engine.create_hold(HoldRequest::new(id, 1).key("k")).expect("held").replayed);
    assert_numbers(&engine, id, [4, 0, 0, 1]);
    assert_clean(&engine);
}

fn a_key_is_known_to_every_engine_of_the_store(world: &World) {
    let (engine, other) = (world.engine(), world.engine());
    let id = product(&engine, 5);
    let request = HoldRequest::new(id, 2).key("k");
    let first = engine.create_hold(&request).expect("held").value;
    let again = other.create_hold(&request).expect("held");
    assert!(again.replayed);
    assert_eq!(again.value, first);
    assert_eq!(code(other.create_hold(HoldRequest::new(id, 1).key("k"))), "idempotency_mismatch");
    let greedy = HoldRequest::new(id, 9).key("greedy");
    assert_eq!(code(engine.create_hold(&greedy)), "insufficient_stock");
    assert!(other.create_hold(&greedy).expect_err("refused").replayed());
    other.release_hold(first.id).expect("released");
    engine.close().expect("closes");
    other.close().expect("closes");
    let later = world.engine();
    let again = later.create_hold(&request).expect("held");
    assert!(again.replayed);
    assert_eq!(again.value, first);
    assert_eq!(numbers(&later, id), [5, 0, 0, 0]);
    assert_clean(&later);
}

fn a_changed_default_makes_no_other_request_of_a_repeated_one(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let (one, cart) = (HoldRequest::new(id, 2).key("k"), CartRequest::new([(id, 1)]).key("c"));
    let (held, made) =
        (engine.create_hold(&one).expect("held"), engine.create_holds(&cart).expect("held"));
    engine.close().expect("closes");
    let later = world.builder().hold_ttl(secs(60)).open().expect("opens");
    let (again, made_again) = (later.create_hold(&one), later.create_holds(&cart));
    let (again, made_again) = (again.expect("held"), made_again.expect("held"));
    assert!(again.replayed && made_again.replayed);
    assert_eq!((again.value, made_again.value), (held.value, made.value));
    let longer = one.ttl(secs(120));
    assert_eq!(
        code(later.create_hold(&longer)),
        "idempotency_mismatch",
        "a life that was asked for"
    );
    assert_eq!(numbers(&later, id), [2, 3, 0, 0]);
    assert_clean(&later);
}
