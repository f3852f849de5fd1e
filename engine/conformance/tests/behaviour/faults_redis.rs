//! Redis goes away, stands still and forgets, while many buy.

use std::time::Duration;

use stockade::{Engine, ErrorKind, HoldRequest, ProductId};
use stockade_testkit::{Proxy, Redis, wait_until};

use crate::Scenario;
use crate::crowd::metric;
use crate::history::assert_exact;
use crate::scenarios;
use crate::traffic::{Log, under_load};
use crate::world::{Backend, Builder, World, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("faults";
    redis_killed_and_restarted_under_load,
    redis_stopped_for_a_while_under_load,
    redis_forgetting_everything_under_load,
    redis_cut_off_under_load,
    redis_missing_at_the_start,
    strict_mode_refuses_while_redis_is_down,
    redis_refusing_a_user_keeps_an_engine_from_opening_and_later_degrades_it,
    shops_with_a_store_each_share_a_redis_under_one_prefix,
);

const STOCK: u64 = 1_000_000;
const SHOPPERS: usize = 16;
const WITHIN: Duration = Duration::from_secs(20);
/// No one shall notice more of a Redis that is gone.
const LONGEST: Duration = Duration::from_secs(5);

/// On a Redis of the test's own, which may be killed.
fn builder<'w>(world: &'w World, redis: &str) -> Builder<'w> {
    world.builder().redis(redis)
}

fn two(world: &World, redis: &str) -> Vec<Engine> {
    (0..2).map(|_| builder(world, redis).open().expect("opens")).collect()
}

fn products(engine: &Engine) -> Vec<ProductId> {
    (0..2).map(|_| product(engine, STOCK)).collect()
}

fn wait_for_degraded(engines: &[Engine], degraded: f64) {
    wait_until("all engines know how Redis is", WITHIN, || {
        engines.iter().all(|engine| metric(engine, "stockade_degraded") == degraded)
    });
}

fn assert_unharmed(engines: &[Engine], products: &[ProductId], log: &Log) {
    log.assert_only(&[]);
    assert!(log.longest < LONGEST, "someone waited for {:?}", log.longest);
    let history = assert_exact(&engines[0], products, STOCK);
    log.assert_matches(&history);
}

/// Takes Redis away twice under load, each time until all have noticed, and
/// gives it back.
fn gone_twice(world: &World, go: fn(&Redis), come_back: fn(&Redis)) -> Vec<Engine> {
    let redis = Redis::start();
    let engines = two(world, &redis.url());
    let products = products(&engines[0]);
    let log = under_load(&engines, SHOPPERS, &products, |load| {
        for _ in 0..2 {
            load.wait_for(50);
            go(&redis);
            wait_for_degraded(&engines, 1.0);
            load.wait_for(100);
            come_back(&redis);
            wait_for_degraded(&engines, 0.0);
        }
        load.wait_for(100);
    });
    assert_unharmed(&engines, &products, &log);
    engines
}

fn redis_killed_and_restarted_under_load(world: &World) {
    let engines = gone_twice(world, Redis::kill, Redis::restart);
    assert!(engines.iter().all(|engine| metric(engine, "stockade_redis_reconnects_total") >= 2.0));
}

fn redis_stopped_for_a_while_under_load(world: &World) {
    gone_twice(world, Redis::pause, Redis::resume);
}

/// Locks are lost in the middle of transactions, and fences begin anew.
fn redis_forgetting_everything_under_load(world: &World) {
    let redis = Redis::start();
    let engines = two(world, &redis.url());
    let products = products(&engines[0]);
    let log = under_load(&engines, SHOPPERS, &products, |load| {
        for _ in 0..30 {
            redis.flush();
            std::thread::sleep(Duration::from_millis(50));
        }
        load.wait_for(100);
    });
    assert_unharmed(&engines, &products, &log);
}

fn redis_cut_off_under_load(world: &World) {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.addr());
    let engines = two(world, &proxy.url(&redis.url()));
    let products = products(&engines[0]);
    let log = under_load(&engines, SHOPPERS, &products, |load| {
        for _ in 0..10 {
            load.wait_for(30);
            proxy.cut();
        }
        // Redis does what it is told, and no one hears of it.
        proxy.swallow_replies(true);
        load.wait_for(100);
        proxy.swallow_replies(false);
        load.wait_for(100);
    });
    wait_for_degraded(&engines, 0.0);
    assert_unharmed(&engines, &products, &log);
}

fn redis_missing_at_the_start(world: &World) {
    let redis = Redis::start();
    redis.kill();
    let engine = builder(world, &redis.url()).open().expect("opens without");
    let id = product(&engine, 10);
    engine.create_hold(HoldRequest::new(id, 1)).expect("held without");
    assert_eq!(engine.product(id).expect("reads").stock, 9);
    assert_eq!(metric(&engine, "stockade_degraded"), 1.0);
    redis.restart();
    wait_for_degraded(std::slice::from_ref(&engine), 0.0);
    engine.create_hold(HoldRequest::new(id, 1)).expect("held with");
    assert_eq!(engine.product(id).expect("reads").stock, 8);
    assert_exact(&engine, &[id], 10);
}

fn strict_mode_refuses_while_redis_is_down(world: &World) {
    let redis = Redis::start();
    let engine = builder(world, &redis.url()).strict(true).open().expect("opens");
    let id = product(&engine, 10);
    let hold = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value.id;
    redis.kill();
    wait_for_degraded(std::slice::from_ref(&engine), 1.0);
    for _ in 0..5 {
        let error = engine.create_hold(HoldRequest::new(id, 1)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some());
        let error = engine.release_hold(hold).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    assert_eq!(numbers(&engine, id), [9, 1, 0, 0]);
    redis.restart();
    wait_until("the engine takes requests again", WITHIN, || {
        engine.create_hold(HoldRequest::new(id, 1)).is_ok()
    });
    engine.release_hold(hold).expect("released");
    assert_eq!(numbers(&engine, id), [9, 1, 0, 0]);
    assert_exact(&engine, &[id], 10);
}

fn redis_refusing_a_user_keeps_an_engine_from_opening_and_later_degrades_it(world: &World) {
    let redis = Redis::start();
    let rights = |rights: &[&str]| {
        let user = ["ACL", "SETUSER", "shop", "on", ">hush", "~*", "&*", "+@all"];
        redis.command(&[&user, rights].concat())
    };
    rights(&["-evalsha"]);
    let url = redis.url().replace("redis://", "redis://shop:hush@");
    let error = builder(world, &url).open().expect_err("refused");
    assert_eq!(error.code(), "invalid_argument");
    assert!(error.message().contains("evalsha"), "{error}");
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    let error = builder(world, &url.replace("hush", "push")).open().expect_err("refused");
    assert!(error.message().contains("user and password"), "{error}");

    rights(&[]);
    let engine = builder(world, &url).strict(true).open().expect("opens");
    let id = product(&engine, 10);
    engine.create_hold(HoldRequest::new(id, 1)).expect("held");
    rights(&["-evalsha", "-eval", "-set"]);
    wait_for_degraded(std::slice::from_ref(&engine), 1.0);
    let error = engine.create_hold(HoldRequest::new(id, 1)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    rights(&[]);
    wait_for_degraded(std::slice::from_ref(&engine), 0.0);
    wait_until("the engine takes requests again", WITHIN, || {
        engine.create_hold(HoldRequest::new(id, 1)).is_ok()
    });
}

/// With the default prefix: what their keys and channels are called begins with
/// the store's own id.
fn shops_with_a_store_each_share_a_redis_under_one_prefix(world: &World) {
    let redis = Redis::start();
    let other = World::new(Backend::MariaDb);
    let open = |world: &World| {
        let builder = Engine::builder().store(&world.url).redis(&redis.url());
        builder.open().expect("opens")
    };
    let (shop, same, other) = (open(world), open(world), open(&other));
    let prefix = |engine: &Engine| engine.redis_prefix().expect("with Redis");
    assert_eq!(prefix(&shop), prefix(&same));
    assert_ne!(prefix(&shop), prefix(&other));
    assert!(prefix(&shop).starts_with("stockade:"), "{}", prefix(&shop));
    let ids = [&shop, &other].map(|engine| product(engine, 3));
    assert_eq!(ids[0], ids[1], "each store draws from its beginning");
    for (engine, id) in [(&shop, ids[0]), (&other, ids[1])] {
        wait_until("the product is in Redis", WITHIN, || {
            let key = format!("{}:{{{id}}}:row", prefix(engine));
            redis.command(&["EXISTS", &key]) == "1"
        });
    }
}
