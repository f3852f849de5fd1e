//! Several processes on one store, some of which are killed.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade::{Engine, ErrorKind, EventKind, HoldId, HoldRequest, ProductId};
use stockade_testkit::wait_until;

use crate::Scenario;
use crate::child::{Child, Orders, Role};
use crate::crowd::metric;
use crate::history::{History, assert_exact};
use crate::scenarios;
use crate::traffic::Log;
use crate::world::{World, assert_clean, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("processes";
    four_processes_sell_out_one_product,
    eight_processes_open_a_fresh_store_at_once,
    processes_killed_in_mid_load_lose_nothing,
    several_sweepers_return_each_hold_once,
);

const WITHIN: Duration = Duration::from_secs(30);

/// The parent's own engine, on the real clock as its children's are.
fn watcher(world: &World) -> Engine {
    world.real_time_builder().sweeper(false).open().expect("opens")
}

fn four_processes_sell_out_one_product(world: &World) {
    const STOCK: u64 = 400;
    let engine = watcher(world);
    let id = product(&engine, STOCK);
    let orders = Orders::new(Role::SellOut, world, &[id], 16).through(world);
    let mut children = Child::start_all(4, &orders);
    let log = Log::of(children.iter_mut().map(|child| child.finish().log));
    assert_eq!(log.paid, STOCK);
    assert_eq!(numbers(&engine, id), [0, 0, 0, STOCK]);
    let history = assert_exact(&engine, &[id], STOCK);
    log.assert_matches(&history);
}

fn eight_processes_open_a_fresh_store_at_once(world: &World) {
    let orders = Orders::new(Role::Open, world, &[], 1).through(world);
    let mut children = Child::start_all(8, &orders);
    let reports: Vec<_> = children.iter_mut().map(Child::finish).collect();
    let products: BTreeSet<ProductId> =
        reports.iter().filter_map(|report| report.product).collect();
    assert_eq!(products.len(), 8, "ids collide: {products:?}");
    let log = Log::of(reports.into_iter().map(|report| report.log));
    log.assert_only(&[]);
    let engine = watcher(world);
    let products: Vec<ProductId> = products.into_iter().collect();
    let history = assert_exact(&engine, &products, 10);
    log.assert_matches(&history);
}

fn processes_killed_in_mid_load_lose_nothing(world: &World) {
    const STOCK: u64 = 100_000;
    let engine = watcher(world);
    let products: Vec<ProductId> = (0..3).map(|_| product(&engine, STOCK)).collect();
    let orders = Orders::new(Role::Shop, world, &products, 4);
    let orders = orders.set("hold_ttl", "2s").set("payment_ttl", "5s").through(world);
    let mut living = Child::start_all(2, &orders);
    let mut answered: Vec<HoldId> = Vec::new();
    for number in 2..6 {
        let mut doomed = Child::start(&orders.clone().number(number));
        doomed.go();
        doomed.wait_for("hold", 20);
        doomed.kill();
        answered.extend(doomed.said("hold").iter().map(|id| id.parse::<HoldId>().expect("an id")));
    }
    let log = Log::of(living.iter_mut().map(|child| child.finish().log));
    // On a slow machine a hold of two seconds may end before its order.
    log.assert_only(&[ErrorKind::HoldExpired]);
    assert_clean(&engine);
    let total = |at: usize| products.iter().map(|id| numbers(&engine, *id)[at]).sum::<u64>();
    wait_until("what the dead had held is back", WITHIN, || {
        engine.sweep().expect("sweeps");
        total(1) + total(2) == 0
    });
    let history = assert_exact(&engine, &products, STOCK);
    log.assert_contained_in(&history);
    assert_eq!(total(3), history.count(EventKind::OrderPaid) as u64);
    let told = history.by_hold();
    assert!(answered.iter().all(|id| told.contains_key(id)), "an answered hold is missing");
    let mut ids: Vec<HoldId> = log.bought.iter().map(|bought| bought.hold).collect();
    ids.extend(&answered);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two callers had the same hold");
}

fn several_sweepers_return_each_hold_once(world: &World) {
    const HOLDS: u64 = 60;
    let engine = watcher(world);
    let products: Vec<ProductId> = (0..5).map(|_| product(&engine, HOLDS)).collect();
    let mut children = Child::start_all(4, &Orders::new(Role::Sweep, world, &[], 1));
    children.iter().for_each(|child| child.wait_for("sweeping", 1));
    for id in &products {
        let hold = HoldRequest::new(*id, 1).ttl(Duration::from_secs(1));
        for _ in 0..HOLDS {
            engine.create_hold(&hold).expect("held");
        }
    }
    let expired = || History::read(&engine).count(EventKind::HoldExpired) as u64;
    wait_until("all is back", WITHIN, || expired() == 5 * HOLDS);
    let swept: f64 = children.iter_mut().map(|child| child.finish().holds_expired).sum();
    // The engine that made them does not sweep, but may have met some that
    // were over when it made others.
    let met = metric(&engine, "stockade_holds_expired_total");
    assert_eq!(swept + met, 300.0);
    let history = assert_exact(&engine, &products, HOLDS);
    assert_eq!(history.count(EventKind::HoldExpired), 300);
    for id in &products {
        assert_eq!(numbers(&engine, *id), [HOLDS, 0, 0, 0]);
    }
}
