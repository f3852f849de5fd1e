//! How much one customer may hold.

use stockade::{
    CartRequest, Engine, Error, ErrorKind, ExtendRequest, Hold, HoldRequest, OrderRequest,
    ProductId,
};

use crate::crowd::{at_once, count, pick};
use crate::history::assert_exact;
use crate::steps::{TICK, assert_numbers, code, hold, order, secs, sql, story};
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("customers";
    a_customer_holds_no_more_than_the_limit_of_a_product,
    what_is_given_back_or_ordered_can_be_held_again,
    a_dead_hold_frees_the_limit_at_its_end_and_an_extended_one_later,
    a_cart_is_within_the_limit_whole_or_not_at_all,
    a_key_keeps_its_answer_and_its_customer,
    the_limit_holds_for_a_crowd_of_one_customer,
    the_limit_holds_where_holds_are_decided_ahead,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("customers";
    the_limit_holds_for_a_crowd_by_two_engines,
    holds_count_that_were_made_without_a_limit,
    only_holds_of_customers_are_kept_beside,
    only_active_holds_of_a_customer_are_counted,
);

fn limited(world: &World, most: u32) -> Engine {
    let builder = world.builder().set("max_per_customer", &most.to_string()).expect("a setting");
    builder.open().expect("opens")
}

fn ask(engine: &Engine, id: ProductId, units: u32, customer: &str) -> Result<Hold, Error> {
    Ok(engine.create_hold(HoldRequest::new(id, units).customer(customer))?.value)
}

#[track_caller]
fn assert_limit(refused: Result<impl std::fmt::Debug, Error>, id: ProductId, most: u32, held: u32) {
    let error = refused.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::QuantityLimit, "{error}");
    let says = format!("may hold {most} units of product {id}, this one holds {held} ");
    assert!(error.message().contains(&says), "{error}");
}

fn a_customer_holds_no_more_than_the_limit_of_a_product(world: &World) {
    let engine = limited(world, 3);
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    assert_limit(ask(&engine, id, 4, "ann"), id, 3, 0);
    ask(&engine, id, 2, "ann").expect("held");
    assert_limit(ask(&engine, id, 2, "ann"), id, 3, 2);
    ask(&engine, id, 1, "ann").expect("held");
    assert_limit(ask(&engine, id, 1, "ann"), id, 3, 3);
    ask(&engine, other, 3, "ann").expect("of another product");
    // By another name it is another customer.
    for name in ["Ann", "ann ", "o'hara", "\u{e4}nn", "x'61'"] {
        ask(&engine, id, 3, name).expect("held");
        assert_limit(ask(&engine, id, 1, name), id, 3, 3);
    }
    hold(&engine, id, 5);
    hold(&engine, id, 5);
    assert_numbers(&engine, id, [22, 28, 0, 0]);
    // What no one may hold is refused so, however little there is.
    let scarce = product(&engine, 1);
    assert_limit(ask(&engine, scarce, 4, "ann"), scarce, 3, 0);
    assert_eq!(code(ask(&engine, scarce, 2, "ann")), "insufficient_stock");
    assert_clean(&engine);
}

fn what_is_given_back_or_ordered_can_be_held_again(world: &World) {
    let engine = limited(world, 2);
    let id = product(&engine, 9);
    let first = ask(&engine, id, 2, "ann").expect("held");
    engine.release_hold(first.id).expect("released");
    let second = ask(&engine, id, 2, "ann").expect("held");
    engine.create_order(OrderRequest::new(second.id, id)).expect("ordered");
    ask(&engine, id, 2, "ann").expect("held");
    assert_limit(ask(&engine, id, 1, "ann"), id, 2, 2);
    assert_numbers(&engine, id, [5, 2, 2, 0]);
    assert_clean(&engine);
}

fn a_dead_hold_frees_the_limit_at_its_end_and_an_extended_one_later(world: &World) {
    let engine = limited(world, 2);
    let id = product(&engine, 9);
    let (short, long) = (ask(&engine, id, 1, "ann"), ask(&engine, id, 1, "ann"));
    let (short, long) = (short.expect("held"), long.expect("held"));
    let long = engine.extend_hold(ExtendRequest::new(long.id).ttl(secs(500))).expect("extended");
    world.clock.advance(secs(120) - TICK);
    assert_limit(ask(&engine, id, 1, "ann"), id, 2, 2);
    world.clock.set(short.expires_at);
    ask(&engine, id, 1, "ann").expect("held");
    // The dead one was given back by the hold that took its place.
    let told = [("hold.expired", 1), ("hold.created", 1)];
    assert_eq!(story(&engine, id)[3..], told);
    assert_limit(ask(&engine, id, 1, "ann"), id, 2, 2);
    world.clock.set(long.expires_at);
    ask(&engine, id, 2, "ann").expect("held");
    assert_numbers(&engine, id, [7, 2, 0, 0]);
    assert_clean(&engine);
}

fn a_cart_is_within_the_limit_whole_or_not_at_all(world: &World) {
    let engine = limited(world, 3);
    let (a, b) = (product(&engine, 9), product(&engine, 9));
    let cart = |items: &[(ProductId, u32)]| {
        engine.create_holds(CartRequest::new(items.iter().copied()).customer("ann"))
    };
    ask(&engine, b, 2, "ann").expect("held");
    assert_limit(cart(&[(a, 3), (b, 2)]), b, 3, 2);
    assert_limit(cart(&[(a, 2), (b, 1), (a, 2)]), a, 3, 0);
    assert_numbers(&engine, a, [9, 0, 0, 0]);
    cart(&[(a, 1), (b, 1), (a, 2)]).expect("held");
    assert_limit(cart(&[(a, 1)]), a, 3, 3);
    assert_limit(ask(&engine, b, 1, "ann"), b, 3, 3);
    engine.create_holds(CartRequest::new([(a, 5), (b, 5)])).expect("nobody's is not counted");
    assert_numbers(&engine, a, [1, 8, 0, 0]);
    assert_numbers(&engine, b, [1, 8, 0, 0]);
    assert_clean(&engine);
}

fn a_key_keeps_its_answer_and_its_customer(world: &World) {
    let engine = limited(world, 2);
    let id = product(&engine, 9);
    let request = HoldRequest::new(id, 2).key("k").customer("ann");
    let held = engine.create_hold(&request).expect("held");
    let again = engine.create_hold(&request).expect("the answer again");
    assert_eq!((again.value, again.replayed), (held.value.clone(), true));
    for other in [HoldRequest::new(id, 2).key("k"), request.clone().customer("bob")] {
        assert_eq!(code(engine.create_hold(&other)), "idempotency_mismatch");
    }
    let refused = HoldRequest::new(id, 1).key("more").customer("ann");
    assert_limit(engine.create_hold(&refused), id, 2, 2);
    engine.release_hold(held.value.id).expect("released");
    let again = engine.create_hold(&refused).expect_err("the answer again");
    assert!(again.kind() == ErrorKind::QuantityLimit && again.replayed(), "{again:?}");
    let cart = CartRequest::new([(id, 1)]).key("cart").customer("ann");
    engine.create_holds(&cart).expect("held");
    assert!(engine.create_holds(&cart).expect("the answer again").replayed);
    let other = CartRequest::new([(id, 1)]).key("cart");
    assert_eq!(code(engine.create_holds(&other)), "idempotency_mismatch");
    assert_numbers(&engine, id, [8, 1, 0, 0]);
    assert_clean(&engine);
}

fn the_limit_holds_for_a_crowd_of_one_customer(world: &World) {
    crowd(&[limited(world, 5)]);
}

fn the_limit_holds_for_a_crowd_by_two_engines(world: &World) {
    crowd(&[limited(world, 5), limited(world, 5)]);
}

/// Callers of two customers and of none want one and two units at once, also
/// by carts, while others buy.
fn crowd(engines: &[Engine]) {
    const CUSTOMERS: [Option<&str>; 4] = [Some("ann"), Some("ann"), Some("bob"), None];
    for round in 0..5 {
        let id = product(&engines[0], 500);
        let answers = at_once(48, |at| {
            let (engine, customer) = (pick(engines, at / 4), CUSTOMERS[at % 4]);
            let units = [1, 2][at / 8 % 2];
            if at / 16 == 2 {
                let mut request = CartRequest::new([(id, units)]);
                request.customer = customer.map(str::to_owned);
                return engine.create_holds(&request).map(|mut cart| cart.value.holds.remove(0));
            }
            let mut request = HoldRequest::new(id, units);
            request.customer = customer.map(str::to_owned);
            request.key = (at / 16 == 1).then(|| format!("{round}-{at}"));
            engine.create_hold(&request).map(|hold| hold.value)
        });
        let held = |customer: Option<&str>| {
            let theirs = answers.iter().enumerate().filter(|(at, _)| CUSTOMERS[at % 4] == customer);
            theirs
                .filter_map(|(_, answer)| answer.as_ref().ok())
                .map(|hold| hold.quantity)
                .sum::<u32>()
        };
        // Enough want one unit to fill what those who want two leave.
        assert_eq!((held(Some("ann")), held(Some("bob"))), (5, 5));
        assert_eq!(held(None), 18, "nobody is refused for others");
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(count(&answers, ErrorKind::QuantityLimit), refused);
        assert_eq!(numbers(&engines[0], id), [472, 28, 0, 0]);
        assert_exact(&engines[0], &[id], 500);
    }
}

/// Where one engine holds without end, batches are decided and written before
/// the row is read; what customers hold is read all the same.
fn the_limit_holds_where_holds_are_decided_ahead(world: &World) {
    let engine = limited(world, 3);
    let id = product(&engine, 10_000);
    let answers = at_once(16, |at| {
        let mut kept = 0;
        for turn in 0..40 {
            if at % 2 == 0 {
                hold(&engine, id, 1);
            } else {
                let customer = format!("c{}", turn / 8);
                kept += u32::from(ask(&engine, id, 1, &customer).is_ok());
            }
        }
        kept
    });
    assert_eq!(answers.iter().sum::<u32>(), 5 * 3);
    assert_exact(&engine, &[id], 10_000);
}

fn holds_count_that_were_made_without_a_limit(world: &World) {
    let free = world.engine();
    let id = product(&free, 9);
    ask(&free, id, 3, "ann").expect("held");
    let gone = ask(&free, id, 2, "ann").expect("held");
    let strict = limited(world, 4);
    assert_limit(ask(&strict, id, 1, "ann"), id, 4, 5);
    free.release_hold(gone.id).expect("released");
    ask(&strict, id, 1, "ann").expect("held");
    assert_limit(ask(&strict, id, 1, "ann"), id, 4, 4);
    ask(&free, id, 1, "ann").expect("held");
    assert_clean(&strict);
}

fn only_holds_of_customers_are_kept_beside(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    hold(&engine, id, 1);
    order(&engine, id, 1);
    let theirs = ask(&engine, id, 1, "ann").expect("held");
    let kept = sql(world, "SELECT CAST(hold_id AS CHAR) FROM stockade_customer_holds");
    assert_eq!(kept, [[theirs.id.to_string()]]);
    assert_clean(&engine);
}

/// However much a customer once held, counting looks at what is held now.
fn only_active_holds_of_a_customer_are_counted(world: &World) {
    let engine = limited(world, 4);
    let id = product(&engine, 50);
    let counted = "SELECT CAST(hold_id AS CHAR) FROM stockade_customer_holds WHERE active = 1";
    let kept = || sql(world, counted);
    for _ in 0..5 {
        let gone = ask(&engine, id, 1, "ann").expect("held");
        assert_eq!(kept(), [[gone.id.to_string()]]);
        engine.release_hold(gone.id).expect("released");
        engine.release_hold(gone.id).expect("released already");
        assert!(kept().is_empty());
    }
    let used = ask(&engine, id, 1, "ann").expect("held");
    engine.create_order(OrderRequest::new(used.id, id)).expect("ordered");
    assert!(kept().is_empty());
    ask(&engine, id, 1, "ann").expect("held");
    world.clock.advance(secs(120));
    engine.sweep().expect("sweeps");
    assert!(kept().is_empty());
    let stays = ask(&engine, id, 1, "ann").expect("held");
    assert_eq!(kept(), [[stays.id.to_string()]]);
    assert_clean(&engine);
}
