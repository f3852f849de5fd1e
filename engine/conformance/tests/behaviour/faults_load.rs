//! Connections and servers that die while many buy.

use std::thread;
use std::time::Duration;

use stockade::{Engine, ErrorKind, EventKind, ProductId};
use stockade_testkit::{CutWhen, Proxy, wait_until};

use crate::Scenario;
use crate::crowd::Dice;
use crate::history::{History, assert_exact};
use crate::scenarios;
use crate::traffic::{Log, under_load};
use crate::world::{Builder, World, product};

pub const SERVERS: &[Scenario] = scenarios!("faults";
    cuts_at_random_under_load_lose_nothing,
    connections_killed_by_the_server_lose_nothing,
    replies_that_never_come_lose_nothing,
    a_killed_database_comes_back_with_every_answer,
);

const STOCK: u64 = 1_000_000;
const SHOPPERS: usize = 16;

/// Gives up on a silent store early, and queues for as long as it takes.
fn builder(world: &World) -> Builder<'_> {
    let settings = [("lock_wait", "1s"), ("store_timeout", "2s"), ("queue_wait", "60s")];
    settings.iter().fold(world.builder(), |builder, (name, value)| {
        builder.set(name, value).expect("a setting")
    })
}

fn products(engine: &Engine) -> Vec<ProductId> {
    (0..3).map(|_| product(engine, STOCK)).collect()
}

/// Every success is in the store once, and nothing that was refused is.
fn assert_nothing_lost(engine: &Engine, products: &[ProductId], log: &Log) -> History {
    let history = assert_exact(engine, products, STOCK);
    log.assert_matches(&history);
    assert!(history.count(EventKind::OrderPaid) as u64 >= log.paid);
    history
}

fn cuts_at_random_under_load_lose_nothing(world: &World) {
    const NEEDLES: [&str; 5] =
        ["COMMIT", "COMMIT", "FOR UPDATE", "INSERT INTO", "UPDATE stockade_hold_batches"];
    const WHEN: [CutWhen; 3] = [CutWhen::BeforeForward, CutWhen::AfterForward, CutWhen::AfterReply];
    let proxy = Proxy::start(world.backend.server().addr());
    // On a busy machine a transaction that is retried is a large part of the traffic,
    // so that chance may well cut it six times in a row.
    let builder = builder(world).set("retries", "12").expect("a setting");
    let engine = builder.store(&proxy.url(&world.url)).open().expect("opens");
    let products = products(&engine);
    let mut dice = Dice::new(SHOPPERS);
    let log = under_load(std::slice::from_ref(&engine), SHOPPERS, &products, |load| {
        for _ in 0..80 {
            load.wait_for(dice.below(8));
            let before = proxy.fired();
            proxy.cut_after_client_sends(dice.one_of(&NEEDLES).as_bytes(), dice.one_of(&WHEN));
            wait_until("the shot fired", Duration::from_secs(20), || proxy.fired() > before);
        }
        load.wait_for(100);
    });
    log.assert_only(&[ErrorKind::Unavailable]);
    assert_nothing_lost(&engine, &products, &log);
    // The store was there all the time, so trying again must have helped.
    log.assert_only(&[]);
}

fn connections_killed_by_the_server_lose_nothing(world: &World) {
    let server = world.backend.server();
    // As above: each round may well hit the retry of the one before.
    let engine = builder(world).set("retries", "12").expect("a setting").open().expect("opens");
    let products = products(&engine);
    let log = under_load(std::slice::from_ref(&engine), SHOPPERS, &products, |load| {
        for _ in 0..10 {
            load.wait_for(30);
            for id in server.connections_to(world.database()) {
                // It may be gone by itself.
                let _ = server.try_query(&format!("KILL CONNECTION {id}"));
            }
        }
        load.wait_for(100);
    });
    log.assert_only(&[ErrorKind::Unavailable]);
    assert_nothing_lost(&engine, &products, &log);
    log.assert_only(&[]);
}

fn replies_that_never_come_lose_nothing(world: &World) {
    let proxy = Proxy::start(world.backend.server().addr());
    let engine = builder(world).store(&proxy.url(&world.url)).open().expect("opens");
    let products = products(&engine);
    let log = under_load(std::slice::from_ref(&engine), SHOPPERS, &products, |load| {
        for _ in 0..3 {
            load.wait_for(50);
            proxy.swallow_replies(true);
            // Long enough for answers to have been swallowed, commits' among them.
            thread::sleep(Duration::from_millis(100));
            proxy.swallow_replies(false);
        }
        load.wait_for(100);
    });
    log.assert_only(&[ErrorKind::Unavailable]);
    assert_nothing_lost(&engine, &products, &log);
}

fn a_killed_database_comes_back_with_every_answer(world: &World) {
    let server = world.backend.start_server();
    let builder = builder(world).store(&server.fresh_database());
    let engine = builder.set("retries", "1").expect("a setting").open().expect("opens");
    let products = products(&engine);
    let log = under_load(std::slice::from_ref(&engine), SHOPPERS, &products, |load| {
        for _ in 0..2 {
            load.wait_for(100);
            server.kill();
            let gone = || engine.ping().is_err_and(|error| error.kind() == ErrorKind::Unavailable);
            wait_until("the engine finds out", Duration::from_secs(30), gone);
            server.restart();
        }
        // Nobody did anything to the engine.
        load.wait_for(100);
    });
    log.assert_only(&[ErrorKind::Unavailable]);
    assert_nothing_lost(&engine, &products, &log);
}
