//! The same idempotency key from many callers at once.

use std::collections::BTreeSet;

use stockade::{
    CartRequest, Engine, ErrorKind, HoldRequest, OrderRequest, ProductId, Replayable, Result,
};

use crate::Scenario;
use crate::crowd::{at_once, engines, pick};
use crate::history::assert_exact;
use crate::scenarios;
use crate::steps::Later;
use crate::world::{World, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("races";
    one_key_makes_one_hold,
    one_key_makes_one_cart,
    one_key_makes_one_order,
    one_key_remembers_one_refusal,
    one_key_for_several_requests_serves_the_first,
);

/// The same with two engines on one store.
pub const SHARED: &[Scenario] = scenarios!("races";
    one_key_makes_one_hold_by_two_engines,
    one_key_makes_one_cart_by_two_engines,
    one_key_makes_one_order_by_two_engines,
    one_key_for_several_requests_serves_the_first_by_two_engines,
);

const CALLERS: usize = 16;
const ROUNDS: usize = 12;

/// All got the same answer, and exactly one of them had it made.
fn the_one_answer<T: Clone + PartialEq + std::fmt::Debug>(answers: &[Result<Replayable<T>>]) -> T {
    let answers: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().expect("an answer")).collect();
    assert!(answers.iter().all(|answer| answer.value == answers[0].value), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
    answers[0].value.clone()
}

fn one_key_makes_one_hold(world: &World) {
    one_hold(&engines(world, 1));
}

fn one_key_makes_one_hold_by_two_engines(world: &World) {
    one_hold(&engines(world, 2));
}

fn one_hold(engines: &[Engine]) {
    let id = product(&engines[0], 1_000);
    for round in 0..ROUNDS {
        let request = HoldRequest::new(id, 2).key(format!("hold-{round}"));
        let answers = at_once(CALLERS, |at| pick(engines, at).create_hold(&request));
        let hold = the_one_answer(&answers);
        assert_eq!(pick(engines, 1).hold(hold.id).expect("is there"), hold.later());
        assert_eq!(numbers(&engines[0], id)[1], 2 * (round as u64 + 1));
    }
    assert_exact(&engines[0], &[id], 1_000);
}

fn one_key_makes_one_cart(world: &World) {
    one_cart(&engines(world, 1));
}

fn one_key_makes_one_cart_by_two_engines(world: &World) {
    one_cart(&engines(world, 2));
}

fn one_cart(engines: &[Engine]) {
    let products: Vec<ProductId> = (0..4).map(|_| product(&engines[0], 100)).collect();
    for round in 0..ROUNDS {
        let items = products.iter().map(|id| (*id, 1));
        let request = CartRequest::new(items).key(format!("cart-{round}"));
        let answers = at_once(CALLERS, |at| pick(engines, at).create_holds(&request));
        assert_eq!(the_one_answer(&answers).holds.len(), 4);
        for id in &products {
            assert_eq!(numbers(&engines[0], *id)[1], round as u64 + 1, "product {id}");
        }
    }
    assert_exact(&engines[0], &products, 100);
}

fn one_key_makes_one_order(world: &World) {
    one_order(&engines(world, 1));
}

fn one_key_makes_one_order_by_two_engines(world: &World) {
    one_order(&engines(world, 2));
}

fn one_order(engines: &[Engine]) {
    let id = product(&engines[0], 1_000);
    for round in 0..ROUNDS {
        let hold = engines[0].create_hold(HoldRequest::new(id, 2)).expect("held").value;
        let request = OrderRequest::new(hold.id, id).key(format!("order-{round}"));
        let answers = at_once(CALLERS, |at| pick(engines, at).create_order(&request));
        let order = the_one_answer(&answers);
        assert_eq!(pick(engines, 1).order(order.id).expect("is there"), order.later());
        assert_eq!(numbers(&engines[0], id)[2], 2 * (round as u64 + 1));
    }
    assert_exact(&engines[0], &[id], 1_000);
}

fn one_key_remembers_one_refusal(world: &World) {
    let engine = world.engine();
    for round in 0..ROUNDS {
        let id = product(&engine, 1);
        let request = HoldRequest::new(id, 2).key(format!("refused-{round}"));
        let answers = at_once(CALLERS, |_| engine.create_hold(&request).expect_err("too many"));
        for error in &answers {
            assert_eq!(error.kind(), ErrorKind::InsufficientStock);
            assert_eq!(error.available(), Some(1));
        }
        assert_eq!(answers.iter().filter(|error| !error.replayed()).count(), 1);
        assert_eq!(numbers(&engine, id), [1, 0, 0, 0]);
    }
}

fn one_key_for_several_requests_serves_the_first(world: &World) {
    first_come(&engines(world, 1));
}

fn one_key_for_several_requests_serves_the_first_by_two_engines(world: &World) {
    first_come(&engines(world, 2));
}

/// The requests are for different products, so nothing but the key itself
/// keeps them apart.
fn first_come(engines: &[Engine]) {
    let products: Vec<ProductId> = (0..4).map(|_| product(&engines[0], 100)).collect();
    for round in 0..ROUNDS {
        let answers = at_once(CALLERS, |at| {
            let request = HoldRequest::new(products[at % 4], 1).key(format!("first-{round}"));
            pick(engines, at / 4).create_hold(&request)
        });
        let held: BTreeSet<_> = answers.iter().flatten().map(|hold| hold.value.id).collect();
        assert_eq!(held.len(), 1, "{answers:?}");
        let made = answers.iter().flatten().filter(|hold| !hold.replayed).count();
        assert_eq!(made, 1, "{answers:?}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::IdempotencyMismatch, "{error:?}");
        }
        let of_the_first = answers.iter().flatten().count();
        assert_eq!(of_the_first, CALLERS / 4, "{answers:?}");
    }
    let held: u64 = products.iter().map(|id| numbers(&engines[0], *id)[1]).sum();
    assert_eq!(held, ROUNDS as u64);
    assert_exact(&engines[0], &products, 100);
}
