//! What a cart can do with its holds: change quantities, take what is left, and be
//! released and extended as a whole.

use stockade::{
    CartId, CartLine, CartRequest, ChangeQuantityRequest, Engine, ExtendCartRequest, ExtendRequest,
    Hold, HoldId, HoldRequest, HoldStatus, OrderRequest, ProductId, ReleaseCartRequest,
    ReleaseRequest,
};

use crate::crowd::at_once;
use crate::history::assert_exact;
use crate::steps::{Later, TICK, assert_numbers, code, hold, secs, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("changing";
    a_hold_takes_more_units_and_gives_units_back,
    a_quantity_is_packed_in_a_greater_width_where_it_must_be,
    a_quantity_takes_back_what_is_due,
    an_extended_hold_changes_its_quantity,
    a_hold_that_is_over_keeps_its_quantity,
    a_hold_is_changed_or_ordered,
    what_is_left_is_taken,
    what_is_left_includes_what_is_due,
    what_is_left_is_shared_out_to_the_last_unit,
    a_cart_is_read_with_its_holds,
    the_token_of_a_cart_opens_its_holds_and_no_others,
    a_cart_that_is_released_names_what_it_could_not_release,
    the_holds_of_a_cart_share_an_end_after_its_extension,
    a_cart_with_a_hold_that_is_over_is_not_extended,
    a_cart_is_deleted_with_its_holds,
);

fn change(engine: &Engine, hold: HoldId, quantity: u32) -> Hold {
    let request = ChangeQuantityRequest::new(hold, quantity);
    engine.change_quantity(request).expect("changed").value
}

/// The hold as it is with another quantity.
fn of_units(hold: &Hold, quantity: u32) -> Hold {
    let mut hold = hold.later();
    hold.quantity = quantity;
    hold
}

fn a_hold_takes_more_units_and_gives_units_back(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 2);
    world.clock.advance(secs(1));
    let more = change(&engine, held.id, 4);
    assert_eq!(more, of_units(&held, 4));
    assert_eq!(engine.hold(held.id).expect("is there"), more);
    assert_numbers(&engine, id, [1, 4, 0, 0]);
    let too_many = ChangeQuantityRequest::new(held.id, 6);
    let error = engine.change_quantity(too_many).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(1)));
    assert_eq!(error.short()[0].requested, 2, "beyond those held");
    assert_eq!(engine.hold(held.id).expect("is there"), more);
    assert_eq!(change(&engine, held.id, 5).quantity, 5, "the last unit");
    assert_eq!(change(&engine, held.id, 1).quantity, 1);
    assert_eq!(change(&engine, held.id, 1).quantity, 1, "as it is");
    assert_numbers(&engine, id, [4, 1, 0, 0]);
    let changes =
        [("hold.created", 2), ("hold.changed", 2), ("hold.changed", 1), ("hold.changed", -4)];
    assert_eq!(story(&engine, id), changes);
    let order = engine.create_order(OrderRequest::new(held.id, id)).expect("ordered").value;
    assert_eq!(order.lines.first().quantity, 1);
    assert_exact(&engine, &[id], 5);
}

fn a_quantity_is_packed_in_a_greater_width_where_it_must_be(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1_000_000);
    let requests = (1..=5).map(|units| HoldRequest::new(id, units)).collect();
    let holds = engine.create_hold_batch(requests).expect("runs").into_iter();
    let holds: Vec<Hold> = holds.map(|hold| hold.expect("held").value).collect();
    for quantity in [255, 256, 65_535, 65_536, 300, 7] {
        change(&engine, holds[2].id, quantity);
        let read = |hold: &Hold| engine.hold(hold.id).expect("is there").quantity;
        assert_eq!(holds.iter().map(read).collect::<Vec<_>>(), [1, 2, quantity, 4, 5]);
        assert_clean(&engine);
    }
    world.clock.set(holds[0].expires_at);
    engine.sweep().expect("sweeps");
    assert_exact(&engine, &[id], 1_000_000);
}

fn a_quantity_takes_back_what_is_due(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    engine.create_hold(HoldRequest::new(id, 3).ttl(secs(60))).expect("held");
    let held = hold(&engine, id, 2);
    let more = ChangeQuantityRequest::new(held.id, 5);
    assert_eq!(code(engine.change_quantity(&more)), "insufficient_stock");
    world.clock.advance(secs(60));
    assert_eq!(change(&engine, held.id, 5).quantity, 5);
    assert_numbers(&engine, id, [0, 5, 0, 0]);
    assert_exact(&engine, &[id], 5);
}

fn an_extended_hold_changes_its_quantity(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let held = hold(&engine, id, 2);
    world.clock.advance(secs(1));
    let longer = engine.extend_hold(ExtendRequest::new(held.id).ttl(secs(500))).expect("extended");
    assert_eq!(change(&engine, held.id, 7), of_units(&longer, 7));
    assert_clean(&engine);
    change(&engine, held.id, 3);
    world.clock.set(held.expires_at);
    assert_numbers(&engine, id, [6, 3, 0, 0]);
    assert_clean(&engine);
    world.clock.set(longer.expires_at);
    engine.sweep().expect("sweeps");
    assert_exact(&engine, &[id], 9);
}

fn a_hold_that_is_over_keeps_its_quantity(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let [released, used, expired] = [1, 2, 3].map(|units| hold(&engine, id, units));
    engine.release_hold(released.id).expect("released");
    engine.create_order(OrderRequest::new(used.id, id)).expect("ordered");
    let refused =
        |hold: &Hold| code(engine.change_quantity(ChangeQuantityRequest::new(hold.id, 1)));
    assert_eq!((refused(&released), refused(&used)), ("hold_expired", "hold_already_used"));
    world.clock.set(expired.expires_at);
    assert_eq!(refused(&expired), "hold_expired");
    // The refusal gave the stock back itself.
    assert_eq!(story(&engine, id).last(), Some(&("hold.expired", 3)));
    assert_eq!(
        code(engine.change_quantity(ChangeQuantityRequest::new(9_000_000_000_000, 1))),
        "not_found"
    );
    assert_numbers(&engine, id, [7, 0, 2, 0]);
    assert_clean(&engine);
}

fn a_hold_is_changed_or_ordered(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1_000);
    for _ in 0..20 {
        let held = hold(&engine, id, 2);
        at_once(4, |at| match at {
            0 => engine.create_order(OrderRequest::new(held.id, id)).map(drop),
            at => {
                let quantity = u32::try_from(at).expect("few") * 2 - 1;
                let change = ChangeQuantityRequest::new(held.id, quantity);
                engine.change_quantity(change).map(drop)
            }
        });
        let order = engine.hold(held.id).expect("is there").order_id.expect("ordered");
        let ordered = engine.order(order).expect("is there").lines.first().quantity;
        assert_eq!(engine.hold(held.id).expect("is there").quantity, ordered);
    }
    assert_exact(&engine, &[id], 1_000);
}

fn what_is_left_is_taken(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 5), product(&engine, 1));
    let most = |units| HoldRequest::new(id, units).at_most();
    assert_eq!(engine.create_hold(most(3)).expect("held").value.quantity, 3);
    let rest = engine.create_hold(most(3).key("k")).expect("held");
    assert_eq!((rest.value.quantity, rest.replayed), (2, false));
    for _ in 0..3 {
        // Also once the engine knows that nothing is left.
        let error = engine.create_hold(most(3)).expect_err("refused");
        assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
    }
    engine.release_hold(rest.value.id).expect("released");
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 3))), "insufficient_stock");
    assert_eq!(engine.create_hold(most(3)).expect("held").value.quantity, 2, "no fast refusal");
    let again = engine.create_hold(most(3).key("k")).expect("the answer again");
    assert_eq!((again.value, again.replayed), (rest.value, true));
    let exact = HoldRequest::new(id, 3).key("k");
    assert_eq!(code(engine.create_hold(exact)), "idempotency_mismatch");
    let lines = [CartLine::new(other, 4).at_most(), CartLine::new(id, 1)];
    let error = engine.create_holds(CartRequest::new(lines.clone())).expect_err("refused");
    assert_eq!(error.short().len(), 1, "the line that takes what is left is not short");
    let cart =
        engine.create_holds(CartRequest::new(lines[..1].iter().cloned())).expect("held").value;
    assert_eq!(cart.holds[0].quantity, 1);
    assert_exact(&engine, &[id], 5);
}

fn what_is_left_includes_what_is_due(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    engine.create_hold(HoldRequest::new(id, 4).ttl(secs(60))).expect("held");
    world.clock.advance(secs(60) - TICK);
    let most = HoldRequest::new(id, 9).at_most();
    let one = engine.create_hold(&most).expect("held").value;
    assert_eq!(one.quantity, 1);
    world.clock.advance(TICK);
    assert_eq!(engine.create_hold(&most).expect("held").value.quantity, 4);
    assert_exact(&engine, &[id], 5);
}

fn what_is_left_is_shared_out_to_the_last_unit(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 100);
    let taken = at_once(64, |_| match engine.create_hold(HoldRequest::new(id, 3).at_most()) {
        Ok(hold) => u64::from(hold.value.quantity),
        Err(error) => {
            assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(0)));
            0
        }
    });
    assert_eq!(taken.iter().sum::<u64>(), 100);
    assert_numbers(&engine, id, [0, 100, 0, 0]);
    assert_exact(&engine, &[id], 100);
}

fn products(engine: &Engine) -> [ProductId; 3] {
    [9, 9, 9].map(|stock| product(engine, stock))
}

fn a_cart_is_read_with_its_holds(world: &World) {
    let engine = world.engine();
    let [a, b, c] = products(&engine);
    let lone = hold(&engine, a, 1);
    assert_eq!(lone.cart_id, None);
    assert_eq!(code(engine.cart(CartId(lone.id.0))), "not_found");
    let made = engine.create_holds(CartRequest::new([(c, 3), (a, 1), (b, 2)])).expect("held").value;
    let smallest = made.holds.iter().map(|hold| hold.id.0).min();
    assert_eq!(Some(made.id.0), smallest);
    assert!(made.holds.iter().all(|hold| hold.cart_id == Some(made.id)));
    assert_eq!(engine.cart(made.id).expect("is there"), made.later());
    let single = engine.create_holds(CartRequest::new([(a, 1)])).expect("held").value;
    assert_eq!(engine.cart(single.id).expect("is there"), single.later());
    assert_ne!(single.token, made.token);
    for hold in &made.holds {
        assert_eq!(engine.hold(hold.id).expect("is there"), hold.later());
        assert_ne!(hold.token, made.token);
    }
    let listed = engine.holds(stockade::HoldQuery::new(9).product(b)).expect("reads").items;
    assert_eq!(listed[0].cart_id, Some(made.id));
    world.clock.set(made.holds[0].expires_at);
    let due = engine.cart(made.id).expect("is there");
    assert!(due.holds.iter().all(|hold| hold.status == HoldStatus::Expired));
    assert_clean(&engine);
}

fn the_token_of_a_cart_opens_its_holds_and_no_others(world: &World) {
    let builder = world.builder().set("require_hold_token", "true").expect("a setting");
    let engine = builder.open().expect("opens");
    let [a, b, c] = products(&engine);
    let cart =
        || engine.create_holds(CartRequest::new([(a, 1), (b, 1), (c, 1)])).expect("held").value;
    let (mine, theirs) = (cart(), cart());
    let [first, second, third] = [0, 1, 2].map(|at| mine.holds[at].clone());
    let release =
        |hold: &Hold, token| engine.release_hold(ReleaseRequest::new(hold.id).token(token));
    assert_eq!(code(release(&first, theirs.token)), "unauthorized");
    assert_eq!(code(release(&first, second.token)), "unauthorized");
    world.clock.advance(secs(1));
    // Also once it has left its batch.
    let longer = ExtendRequest::new(first.id).ttl(secs(500)).token(mine.token);
    assert!(engine.extend_hold(&longer).expect("extended").expires_at > first.expires_at);
    let released = release(&first, mine.token).expect("released");
    assert_eq!((released.status, released.cart_id), (HoldStatus::Released, Some(mine.id)));
    let changed = ChangeQuantityRequest::new(second.id, 2).token(mine.token);
    engine.change_quantity(changed).expect("changed");
    engine.create_order(OrderRequest::new(third.id, c).token(mine.token)).expect("ordered");
    for shown in [theirs.token, second.token] {
        let request = ReleaseCartRequest::new(mine.id).token(shown);
        assert_eq!(code(engine.release_cart(request)), "unauthorized");
        let request = ExtendCartRequest::new(mine.id).token(shown);
        assert_eq!(code(engine.extend_cart(request)), "unauthorized");
    }
    assert_eq!(code(engine.release_cart(mine.id)), "unauthorized");
    engine.release_cart(ReleaseCartRequest::new(mine.id).token(mine.token)).expect("released");
    assert_exact(&engine, &[a, b, c], 9);
}

fn a_cart_that_is_released_names_what_it_could_not_release(world: &World) {
    let engine = world.engine();
    let [a, b, c] = products(&engine);
    let cart = engine.create_holds(CartRequest::new([(a, 1), (b, 2), (c, 3)])).expect("held").value;
    let order = engine.create_order(OrderRequest::new(cart.holds[1].id, b)).expect("ordered").value;
    let released = engine.release_cart(cart.id).expect("released");
    let outcomes: Vec<_> = released.holds.iter().map(|hold| (hold.status, hold.order_id)).collect();
    let (over, used) = (HoldStatus::Released, HoldStatus::Converted);
    assert_eq!(outcomes, [(over, None), (used, Some(order.id)), (over, None)]);
    assert_eq!(engine.release_cart(cart.id).expect("released"), released, "again");
    assert_eq!(engine.cart(cart.id).expect("is there"), released);
    assert_numbers(&engine, a, [9, 0, 0, 0]);
    assert_numbers(&engine, b, [7, 0, 2, 0]);
    let due = engine.create_holds(CartRequest::new([(a, 1), (b, 2)])).expect("held").value;
    world.clock.set(due.holds[0].expires_at);
    let expired = engine.release_cart(due.id).expect("released");
    assert!(expired.holds.iter().all(|hold| hold.status == HoldStatus::Expired));
    assert_eq!(code(engine.release_cart(CartId(9_000_000_000_000))), "not_found");
    assert_exact(&engine, &[a, b, c], 9);
}

fn the_holds_of_a_cart_share_an_end_after_its_extension(world: &World) {
    let engine = world.engine();
    let [a, b, c] = products(&engine);
    let cart = engine.create_holds(CartRequest::new([(a, 1), (b, 2), (c, 3)])).expect("held").value;
    let ends = |cart: &stockade::Cart| {
        cart.holds.iter().map(|hold| hold.expires_at).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ends(&cart).len(), 1);
    world.clock.advance(secs(1));
    let short = ExtendCartRequest::new(cart.id).ttl(TICK);
    assert_eq!(engine.extend_cart(short).expect("as it was"), cart.later(), "never shorter");
    let alone =
        engine.extend_hold(ExtendRequest::new(cart.holds[1].id).ttl(secs(300))).expect("extended");
    let longer = ExtendCartRequest::new(cart.id).ttl(secs(200));
    let longer = engine.extend_cart(longer).expect("extended");
    assert_eq!(ends(&longer), [alone.expires_at].into(), "the latest of all");
    assert_eq!(engine.cart(cart.id).expect("is there"), longer);
    assert_eq!(story(&engine, b).len(), 2, "it had that end before");
    world.clock.set(cart.holds[0].expires_at);
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 0);
    world.clock.set(alone.expires_at);
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 3);
    assert_exact(&engine, &[a, b, c], 9);
}

fn a_cart_with_a_hold_that_is_over_is_not_extended(world: &World) {
    let engine = world.engine();
    let [a, b, c] = products(&engine);
    let cart = engine.create_holds(CartRequest::new([(a, 1), (b, 2), (c, 3)])).expect("held").value;
    let order = engine.create_order(OrderRequest::new(cart.holds[2].id, c)).expect("ordered").value;
    let extend = ExtendCartRequest::new(cart.id).ttl(secs(900));
    let error = engine.extend_cart(extend).expect_err("refused");
    assert_eq!((error.code(), error.order_id()), ("hold_already_used", Some(order.id)));
    for hold in &cart.holds[..2] {
        assert_eq!(engine.hold(hold.id).expect("is there"), hold.later(), "none is extended");
    }
    world.clock.set(cart.holds[0].expires_at);
    assert_eq!(code(engine.extend_cart(extend)), "hold_expired");
    // The refusal gave the stock of all back.
    assert_eq!(story(&engine, a).last(), Some(&("hold.expired", 1)));
    assert_eq!(story(&engine, b).last(), Some(&("hold.expired", 2)));
    assert_exact(&engine, &[a, b, c], 9);
}

fn a_cart_is_deleted_with_its_holds(world: &World) {
    let builder = world.builder().set("retention", "10days").expect("a setting");
    let engine = builder.open().expect("opens");
    let [a, b, _] = products(&engine);
    let cart = engine.create_holds(CartRequest::new([(a, 1), (b, 2)])).expect("held").value;
    engine.release_cart(cart.id).expect("released");
    world.clock.advance(secs(40 * 24 * 3_600));
    engine.sweep().expect("sweeps");
    assert_eq!(code(engine.cart(cart.id)), "not_found");
    assert_eq!(code(engine.hold(cart.holds[0].id)), "not_found");
    assert_clean(&engine);
}
