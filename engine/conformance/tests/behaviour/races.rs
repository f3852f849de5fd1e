//! Many threads at once want the same units.

use std::time::Duration;

use stockade::{CartRequest, Engine, ErrorKind, EventKind, HoldRequest, HoldStatus, ProductId};

use crate::Scenario;
use crate::crowd::{Dice, at_once, count, engines, kind, metric, pick};
use crate::history::assert_exact;
use crate::scenarios;
use crate::traffic::{Log, sell_out};
use crate::world::{World, assert_clean, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("races";
    the_last_units_go_to_as_many_as_there_are,
    mixed_quantities_never_take_more_than_there_is,
    sold_out_to_the_last_unit,
    carts_in_opposite_order_never_block_each_other,
    carts_and_single_holds_share_products,
    a_full_queue_refuses_and_the_engine_lives_on,
    a_storm_of_expiry_returns_everything_while_others_buy,
);

/// The same with two engines on one store.
pub const SHARED: &[Scenario] = scenarios!("races";
    the_last_units_go_to_as_many_as_there_are_by_two_engines,
    sold_out_to_the_last_unit_by_two_engines,
    carts_in_opposite_order_by_two_engines,
    carts_and_single_holds_by_two_engines,
    a_storm_of_expiry_is_swept_by_two_engines,
);

fn the_last_units_go_to_as_many_as_there_are(world: &World) {
    last_units(&engines(world, 1));
}

fn the_last_units_go_to_as_many_as_there_are_by_two_engines(world: &World) {
    last_units(&engines(world, 2));
}

fn last_units(engines: &[Engine]) {
    for _ in 0..5 {
        let id = product(&engines[0], 50);
        let answers = at_once(64, |at| pick(engines, at).create_hold(HoldRequest::new(id, 1)));
        let mut held: Vec<_> = answers.iter().flatten().map(|hold| hold.value.id).collect();
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), 50);
        assert_eq!(count(&answers, ErrorKind::InsufficientStock), 14);
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.available(), Some(0));
        }
        assert_eq!(numbers(&engines[0], id), [0, 50, 0, 0]);
        assert_exact(&engines[0], &[id], 50);
    }
}

fn mixed_quantities_never_take_more_than_there_is(world: &World) {
    let engine = world.engine();
    for _ in 0..5 {
        let id = product(&engine, 50);
        let quantity = |at: usize| [1, 2, 3][at % 3];
        let answers = at_once(64, |at| engine.create_hold(HoldRequest::new(id, quantity(at))));
        let held: u32 = answers.iter().flatten().map(|hold| hold.value.quantity).sum();
        let left = 50 - u64::from(held);
        assert_eq!(numbers(&engine, id), [left, u64::from(held), 0, 0]);
        for (at, answer) in answers.iter().enumerate() {
            let Err(error) = answer else { continue };
            let asked = u64::from(quantity(at));
            assert_eq!(error.kind(), ErrorKind::InsufficientStock);
            // Stock only fell, so what did not fit then does not fit now.
            assert!(error.available().is_some_and(|stock| left <= stock && stock < asked));
        }
        assert_exact(&engine, &[id], 50);
    }
}

fn sold_out_to_the_last_unit(world: &World) {
    sell(&engines(world, 1));
}

fn sold_out_to_the_last_unit_by_two_engines(world: &World) {
    sell(&engines(world, 2));
}

fn sell(engines: &[Engine]) {
    const STOCK: u64 = 300;
    let id = product(&engines[0], STOCK);
    let log = Log::of(at_once(64, |at| sell_out(pick(engines, at), id, &mut Dice::new(at))));
    assert_eq!(log.paid, STOCK);
    assert_eq!(numbers(&engines[0], id), [0, 0, 0, STOCK]);
    let history = assert_exact(&engines[0], &[id], STOCK);
    log.assert_matches(&history);
}

fn carts_in_opposite_order_never_block_each_other(world: &World) {
    carts(&engines(world, 1), 16);
}

fn carts_in_opposite_order_by_two_engines(world: &World) {
    carts(&engines(world, 2), 16);
}

fn carts_and_single_holds_share_products(world: &World) {
    carts(&engines(world, 1), 8);
}

fn carts_and_single_holds_by_two_engines(world: &World) {
    carts(&engines(world, 2), 8);
}

/// Of 16 callers, so many ask for carts and the others for single holds.
fn carts(engines: &[Engine], carts: usize) {
    const STOCK: u64 = 60;
    let products: Vec<ProductId> = (0..6).map(|_| product(&engines[0], STOCK)).collect();
    let taken = at_once(16, |at| {
        let mut dice = Dice::new(at);
        let engine = pick(engines, at / 2);
        let mut taken = Vec::new();
        for _ in 0..12 {
            let mut wanted = products.clone();
            match dice.below(3) {
                0 => {}
                1 => wanted.reverse(),
                _ => dice.shuffle(&mut wanted),
            }
            if at < carts {
                wanted.truncate(2 + usize::try_from(dice.below(5)).expect("small"));
                taken.extend(cart(engine, &wanted, &mut dice));
            } else {
                let answer = engine.create_hold(HoldRequest::new(wanted[0], 1));
                assert!(matches!(kind(&answer), None | Some(ErrorKind::InsufficientStock)));
                taken.extend(answer.map(|hold| hold.value));
            }
        }
        taken
    });
    let taken = taken.concat();
    for id in &products {
        let mine = taken.iter().filter(|hold| hold.product_id == *id);
        let held: u64 = mine.map(|hold| u64::from(hold.quantity)).sum();
        assert_eq!(numbers(&engines[0], *id), [STOCK - held, held, 0, 0], "product {id}");
    }
    assert_clean(&engines[0]);
    at_once(8, |at| {
        for hold in taken.iter().skip(at).step_by(8) {
            let hold = pick(engines, at).release_hold(hold.id).expect("released");
            assert_eq!(hold.status, HoldStatus::Released);
        }
    });
    for id in &products {
        assert_eq!(numbers(&engines[0], *id), [STOCK, 0, 0, 0], "product {id}");
    }
    assert_exact(&engines[0], &products, STOCK);
}

/// One cart: each product once and ascending, or a refusal for want of stock.
fn cart(engine: &Engine, wanted: &[ProductId], dice: &mut Dice) -> Vec<stockade::Hold> {
    let items: Vec<_> =
        wanted.iter().map(|id| (*id, 1 + u32::try_from(dice.below(2)).expect("small"))).collect();
    match engine.create_holds(CartRequest::new(items.clone())) {
        Ok(holds) => {
            let mut asked = items;
            asked.sort_unstable();
            let got: Vec<_> =
                holds.value.holds.iter().map(|hold| (hold.product_id, hold.quantity)).collect();
            assert_eq!(got, asked);
            holds.value.holds
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InsufficientStock, "{error:?}");
            assert!(error.short().iter().all(|line| line.available < line.requested));
            Vec::new()
        }
    }
}

fn a_full_queue_refuses_and_the_engine_lives_on(world: &World) {
    let engine = world.builder().set("queue_limit", "1").expect("a setting").open().expect("opens");
    let id = product(&engine, 1_000_000);
    let (mut held, mut refused) = (0, 0);
    // A fast store may keep up with one crowd, but not with every one.
    for _ in 0..100 {
        let answers = at_once(64, |_| engine.create_hold(HoldRequest::new(id, 1)));
        held += answers.iter().flatten().count();
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::Contention);
            assert!(error.retry_after().is_some());
            refused += 1;
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "no queue was ever full");
    assert!(metric(&engine, "stockade_refusals_total{code=\"contention\"}") <= f64::from(refused));
    assert_eq!(numbers(&engine, id)[1], u64::try_from(held).expect("few"));
    engine.create_hold(HoldRequest::new(id, 1)).expect("the engine lives on");
    assert_exact(&engine, &[id], 1_000_000);
}

fn a_storm_of_expiry_returns_everything_while_others_buy(world: &World) {
    storm(world, 1);
}

fn a_storm_of_expiry_is_swept_by_two_engines(world: &World) {
    storm(world, 2);
}

fn storm(world: &World, count: usize) {
    const HOLDS: u64 = 100;
    let open = || {
        // Far fewer than are due at once.
        let builder = world.builder().sweeper(true).set("sweep_batch", "7").expect("a setting");
        builder.open().expect("opens")
    };
    let engines: Vec<Engine> = (0..count).map(|_| open()).collect();
    let products: Vec<ProductId> = (0..20).map(|_| product(&engines[0], HOLDS)).collect();
    let items = || products.iter().map(|id| (*id, 1));
    at_once(10, |at| {
        for _ in 0..HOLDS / 10 {
            pick(&engines, at).create_holds(CartRequest::new(items())).expect("held");
        }
    });
    for id in &products {
        assert_eq!(numbers(&engines[0], *id), [0, HOLDS, 0, 0]);
    }
    world.clock.advance(Duration::from_secs(120));
    // All that was held is dead, swept or not: no one is refused.
    let bought = at_once(16, |at| {
        let engine = pick(&engines, at);
        let mut dice = Dice::new(at);
        let mut bought = Vec::new();
        for _ in 0..20 {
            let id = dice.one_of(&products);
            let hold =
                engine.create_hold(HoldRequest::new(id, 1)).expect("what was due is back").value;
            bought.push((id, hold.id));
        }
        bought
    });
    let bought = bought.concat();
    for id in &products {
        let held = bought.iter().filter(|(product, _)| product == id).count() as u64;
        assert_eq!(numbers(&engines[0], *id), [HOLDS - held, held, 0, 0], "product {id}");
    }
    let history = assert_exact(&engines[0], &products, HOLDS);
    assert_eq!(history.count(EventKind::HoldExpired), 2000);
    assert_eq!(history.count(EventKind::HoldCreated), 2000 + bought.len());
}
