//! Showing whose hold it is.

use stockade::{
    CancelRequest, CartRequest, ChangeQuantityRequest, Engine, Error, ExtendCartRequest,
    ExtendOrderRequest, ExtendRequest, Hold, HoldId, HoldQuery, HoldRequest, HoldStatus, Order,
    OrderQuery, OrderRequest, ProductId, ReleaseRequest, Replayable, Token,
};

use crate::steps::{Later, assert_numbers, code, hold, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("tokens";
    under_the_setting_a_hold_is_used_with_its_token_only,
    a_token_that_is_shown_must_be_the_hold_s_in_any_case,
    a_token_is_looked_at_before_anything_else_of_the_hold,
    an_unknown_hold_is_not_found_whatever_is_shown,
    without_the_token_a_key_is_neither_answered_nor_used_up,
    a_request_with_a_token_is_the_same_request,
    only_the_answer_that_makes_something_shows_its_token,
    an_operator_releases_a_hold_without_its_token,
);

fn strict(world: &World) -> Engine {
    let builder = world.builder().set("require_hold_token", "true").expect("a setting");
    builder.open().expect("opens")
}

fn wrong() -> Token {
    "00000000000000000000000000000001".parse().expect("a token")
}

type Use = fn(&Engine, &Hold, Option<Token>) -> Result<(), Error>;

/// All that is asked of a hold.
const USES: [Use; 3] = [
    |engine, hold, token| {
        let mut request = ReleaseRequest::new(hold.id);
        request.token = token;
        engine.release_hold(request).map(drop)
    },
    |engine, hold, token| {
        let mut request = ExtendRequest::new(hold.id).ttl(secs(500));
        request.token = token;
        engine.extend_hold(&request).map(drop)
    },
    |engine, hold, token| order(engine, hold, hold.product_id, token, None).map(drop),
];

fn order(
    engine: &Engine,
    hold: &Hold,
    product: ProductId,
    token: Option<Token>,
    key: Option<&str>,
) -> Result<Replayable<Order>, Error> {
    let mut request = OrderRequest::new(hold.id, product);
    request.holds[0].token = token;
    request.key = key.map(str::to_owned);
    engine.create_order(&request)
}

fn under_the_setting_a_hold_is_used_with_its_token_only(world: &World) {
    let engine = strict(world);
    let id = product(&engine, 9);
    let (held, other) = (hold(&engine, id, 2), hold(&engine, id, 1));
    world.clock.advance(secs(1));
    let before = story(&engine, id);
    for shown in [None, Some(wrong()), other.token] {
        for ask in USES {
            assert_eq!(code(ask(&engine, &held, shown)), "unauthorized");
        }
        assert_eq!(code(engine.release_hold(held.id)), "unauthorized");
    }
    assert_eq!(engine.hold(held.id).expect("is there"), held.later(), "it is as it was");
    assert_eq!(story(&engine, id), before);
    assert_numbers(&engine, id, [6, 3, 0, 0]);
    let longer = ExtendRequest::new(held.id).ttl(secs(500)).token(held.token);
    assert!(engine.extend_hold(&longer).expect("extended").expires_at > held.expires_at);
    order(&engine, &held, id, held.token, None).expect("ordered");
    let given_back = ReleaseRequest::new(other.id).token(other.token);
    assert_eq!(engine.release_hold(given_back).expect("released").status, HoldStatus::Released);
    assert_numbers(&engine, id, [7, 0, 2, 0]);
    assert_clean(&engine);
}

fn a_token_that_is_shown_must_be_the_hold_s_in_any_case(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    for ask in USES {
        let held = hold(&engine, id, 1);
        assert_eq!(code(ask(&engine, &held, Some(wrong()))), "unauthorized");
        assert_eq!(engine.hold(held.id).expect("is there"), held.later());
        ask(&engine, &held, held.token).expect("done");
        ask(&engine, &hold(&engine, id, 1), None).expect("done");
    }
    assert_numbers(&engine, id, [5, 2, 2, 0]);
    assert_clean(&engine);
}

fn a_token_is_looked_at_before_anything_else_of_the_hold(world: &World) {
    let engine = strict(world);
    let (id, elsewhere) = (product(&engine, 9), product(&engine, 9));
    let [dead, used, alive] = [1, 2, 3].map(|units| hold(&engine, id, units));
    let made = order(&engine, &used, id, used.token, None).expect("ordered").value;
    for shown in [None, Some(wrong())] {
        assert_eq!(code(order(&engine, &alive, elsewhere, shown, None)), "unauthorized");
        for ask in USES {
            assert_eq!(code(ask(&engine, &used, shown)), "unauthorized", "nor told of its order");
        }
    }
    let mismatch = order(&engine, &alive, elsewhere, alive.token, None);
    assert_eq!(code(mismatch), "product_mismatch");
    let again = order(&engine, &used, id, used.token, None).expect_err("refused");
    assert_eq!((again.code(), again.order_id()), ("hold_already_used", Some(made.id)));
    world.clock.set(dead.expires_at);
    for ask in USES {
        assert_eq!(code(ask(&engine, &dead, Some(wrong()))), "unauthorized");
    }
    assert_eq!(code(order(&engine, &dead, id, dead.token, None)), "hold_expired");
    assert_numbers(&engine, id, [7, 0, 2, 0]);
    assert_clean(&engine);
}

fn an_unknown_hold_is_not_found_whatever_is_shown(world: &World) {
    let engine = strict(world);
    let id = product(&engine, 1);
    let mut nowhere = hold(&engine, id, 1);
    nowhere.id = HoldId(9_000_000_000_000);
    for ask in USES {
        for shown in [None, Some(wrong())] {
            assert_eq!(code(ask(&engine, &nowhere, shown)), "not_found");
        }
    }
}

fn without_the_token_a_key_is_neither_answered_nor_used_up(world: &World) {
    let engine = strict(world);
    let id = product(&engine, 5);
    let held = engine.create_hold(HoldRequest::new(id, 2).key("hold")).expect("held").value;
    let (right, key) = (held.token, Some("order"));
    for shown in [None, Some(wrong()), None] {
        assert_eq!(code(order(&engine, &held, id, shown, key)), "unauthorized");
    }
    let made = order(&engine, &held, id, right, key).expect("ordered");
    assert!(!made.replayed);
    for shown in [None, Some(wrong())] {
        assert_eq!(code(order(&engine, &held, id, shown, key)), "unauthorized");
    }
    let again = order(&engine, &held, id, right, key).expect("the answer again");
    assert_eq!((again.value, again.replayed), (made.value, true));
    // Who has the key of a hold made it, and is told its token again.
    let again = engine.create_hold(HoldRequest::new(id, 2).key("hold")).expect("the answer again");
    assert_eq!((again.value.token, again.replayed), (held.token, true));
    assert_numbers(&engine, id, [3, 0, 2, 0]);
    assert_clean(&engine);
}

fn a_request_with_a_token_is_the_same_request(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    let made = order(&engine, &held, id, None, Some("order")).expect("ordered").value;
    for shown in [held.token, None] {
        let again = order(&engine, &held, id, shown, Some("order")).expect("the answer again");
        assert_eq!((&again.value, again.replayed), (&made, true));
    }
    assert_clean(&engine);
}

fn only_the_answer_that_makes_something_shows_its_token(world: &World) {
    let engine = world.engine();
    let (a, b) = (product(&engine, 9), product(&engine, 9));
    let held = engine.create_hold(HoldRequest::new(a, 2)).expect("held").value;
    let cart = engine.create_holds(CartRequest::new([(a, 1), (b, 1)])).expect("held").value;
    assert!(held.token.is_some() && cart.token.is_some());
    assert!(cart.holds.iter().all(|hold| hold.token.is_some()));
    let longer = ExtendRequest::new(held.id).ttl(secs(500));
    let fewer = ChangeQuantityRequest::new(held.id, 1);
    let later = [
        engine.hold(held.id).expect("reads"),
        engine.extend_hold(&longer).expect("extended"),
        engine.change_quantity(&fewer).expect("changed").value,
        engine.release_hold(held.id).expect("released"),
    ];
    let listed = engine.holds(HoldQuery::new(9)).expect("reads").items;
    let longer = ExtendCartRequest::new(cart.id).ttl(secs(500));
    let carts =
        [engine.cart(cart.id).expect("reads"), engine.extend_cart(longer).expect("extended")];
    assert!(carts.iter().all(|cart| cart.token.is_none()));
    let in_carts = carts.into_iter().flatten();
    assert!(later.into_iter().chain(listed).chain(in_carts).all(|hold| hold.token.is_none()));
    let made = engine.create_order(OrderRequest::of_cart(cart.id)).expect("ordered").value;
    assert!(made.payment_token.is_some());
    let longer = ExtendOrderRequest::new(made.id).ttl(secs(4_000));
    let later = [
        engine.order(made.id).expect("reads"),
        engine.extend_order(longer).expect("extended"),
        engine.cancel_order(CancelRequest::new(made.id)).expect("cancelled"),
    ];
    let listed = engine.orders(OrderQuery::new(9)).expect("reads").items;
    assert!(later.into_iter().chain(listed).all(|order| order.payment_token.is_none()));
    assert_clean(&engine);
}

fn an_operator_releases_a_hold_without_its_token(world: &World) {
    let engine = strict(world);
    let id = product(&engine, 5);
    let (held, other) = (hold(&engine, id, 2), hold(&engine, id, 1));
    let nowhere = ReleaseRequest::new(HoldId(other.id.0 + 1_000)).by_operator();
    assert_eq!(code(engine.release_hold(nowhere)), "not_found");
    let wrongly = ReleaseRequest::new(held.id).token(wrong()).by_operator();
    assert_eq!(code(engine.release_hold(wrongly)), "unauthorized");
    let released = engine.release_hold(ReleaseRequest::new(held.id).by_operator());
    let released = released.expect("released");
    assert_eq!((released.status, released.token), (HoldStatus::Released, None));
    assert_numbers(&engine, id, [4, 1, 0, 0]);
    assert_clean(&engine);
}
