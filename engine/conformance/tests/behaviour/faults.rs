//! Rows that others keep locked, few connections, and a foreign writer.

use std::thread;
use std::time::Duration;

use stockade::{
    CartRequest, Engine, ErrorKind, ExtendRequest, HoldId, HoldRequest, OrderId, OrderRequest,
    Outcome, PaymentEvent, ProductId, Result,
};
use stockade_testkit::wait_until;

use crate::Scenario;
use crate::crowd::{engines, kind, metric};
use crate::history::{History, assert_exact};
use crate::outsider::{Outsider, wait_for_a_lock_wait};
use crate::scenarios;
use crate::traffic::under_load;
use crate::world::{World, assert_clean, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("faults";
    one_connection_is_enough,
);

pub const SERVERS: &[Scenario] = scenarios!("faults";
    a_locked_product_is_waited_for_and_delays_no_other,
    a_product_locked_for_too_long_is_contention,
    a_cart_that_loses_a_deadlock_is_tried_again,
    a_request_that_loses_a_deadlock_is_tried_again,
);

pub const SQLITE_FILE: &[Scenario] = scenarios!("faults";
    a_foreign_writer_is_waited_for,
    a_foreign_writer_that_stays_is_contention,
    a_newcomer_outlasts_a_foreign_writer,
);

const WITHIN: Duration = Duration::from_secs(30);
const LOCK_WAITS: &str = "stockade_retries_total{cause=\"lock_wait\"}";
const DEADLOCKS: &str = "stockade_retries_total{cause=\"deadlock\"}";

/// Waits for a row lock for one second and tries again so often.
fn impatient(world: &World, retries: u32) -> Engine {
    let builder = world.builder().set("lock_wait", "1s").expect("a setting");
    builder.set("retries", &retries.to_string()).expect("a setting").open().expect("opens")
}

type Call = fn(&Engine, &Prepared) -> Result<()>;

/// What [`CALLS`] work on.
struct Prepared {
    id: ProductId,
    released: HoldId,
    ordered: HoldId,
    extended: HoldId,
    paid: OrderId,
}

/// Every request that moves units of a product or changes a hold.
const CALLS: [(&str, Call); 6] = [
    ("hold", |engine, p| engine.create_hold(HoldRequest::new(p.id, 1)).map(drop)),
    ("release", |engine, p| engine.release_hold(p.released).map(drop)),
    ("order", |engine, p| engine.create_order(OrderRequest::new(p.ordered, p.id)).map(drop)),
    ("extend", |engine, p| {
        let longer = ExtendRequest::new(p.extended).ttl(Duration::from_secs(600));
        engine.extend_hold(&longer).map(drop)
    }),
    ("payment", |engine, p| {
        engine.record_payment(PaymentEvent::for_order(p.paid, Outcome::Success)).map(drop)
    }),
    ("adjust", |engine, p| {
        engine.adjust_stock(stockade::StockAdjustment::new(p.id, 1, "found one")).map(drop)
    }),
];

impl Prepared {
    /// Four units are held and one is pending, of a hundred.
    fn new(engine: &Engine) -> Self {
        let id = product(engine, 100);
        let hold = || engine.create_hold(HoldRequest::new(id, 1)).expect("held").value.id;
        let order = engine.create_order(OrderRequest::new(hold(), id)).expect("ordered").value;
        Self { id, released: hold(), ordered: hold(), extended: hold(), paid: order.id }
    }

    const BEFORE: [u64; 4] = [96, 3, 1, 0];
    /// After each call was made once.
    const AFTER: [u64; 4] = [97, 2, 1, 1];

    /// Makes all calls at once, does something meanwhile, and waits for them.
    fn call_all(
        &self,
        engine: &Engine,
        meanwhile: impl FnOnce(),
    ) -> Vec<(&'static str, Result<()>)> {
        thread::scope(|scope| {
            let begin = |(name, call): (_, Call)| (name, scope.spawn(move || call(engine, self)));
            let calls = CALLS.map(begin);
            meanwhile();
            let join = |(name, call): (_, thread::ScopedJoinHandle<'_, _>)| {
                (name, call.join().expect("no panic"))
            };
            calls.into_iter().map(join).collect()
        })
    }
}

fn a_locked_product_is_waited_for_and_delays_no_other(world: &World) {
    let engine = impatient(world, 5);
    let prepared = Prepared::new(&engine);
    let other = product(&engine, 10);
    let mut outsider = Outsider::new(world);
    outsider.run("START TRANSACTION");
    outsider.lock("products", prepared.id.0);
    let answers = prepared.call_all(&engine, || {
        wait_for_a_lock_wait(world);
        engine.create_hold(HoldRequest::new(other, 1)).expect("another product is not delayed");
        wait_until("a lock wait ran out", WITHIN, || metric(&engine, LOCK_WAITS) >= 1.0);
        outsider.run("ROLLBACK");
    });
    for (name, answer) in answers {
        answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    assert_eq!(numbers(&engine, prepared.id), Prepared::AFTER);
    assert_exact(&engine, &[prepared.id], 101);
}

fn a_product_locked_for_too_long_is_contention(world: &World) {
    let engine = impatient(world, 1);
    let prepared = Prepared::new(&engine);
    let before = History::read(&engine).events.len();
    let mut outsider = Outsider::new(world);
    outsider.run("START TRANSACTION");
    outsider.lock("products", prepared.id.0);
    for (name, answer) in prepared.call_all(&engine, || {}) {
        assert_eq!(kind(&answer), Some(ErrorKind::Contention), "{name}: {answer:?}");
    }
    outsider.run("ROLLBACK");
    assert!(metric(&engine, LOCK_WAITS) >= 2.0);
    assert_eq!(numbers(&engine, prepared.id), Prepared::BEFORE);
    assert_eq!(History::read(&engine).events.len(), before, "nothing changed");
    assert_clean(&engine);
    for (name, call) in CALLS {
        call(&engine, &prepared).unwrap_or_else(|error| panic!("{name} later: {error:?}"));
    }
    assert_eq!(numbers(&engine, prepared.id), Prepared::AFTER);
    assert_exact(&engine, &[prepared.id], 101);
}

fn a_cart_that_loses_a_deadlock_is_tried_again(world: &World) {
    let engine = world.engine();
    let (first, second) = (product(&engine, 10), product(&engine, 10));
    let mut outsider = Outsider::new(world);
    outsider.begin_heavy();
    outsider.lock("products", second.0);
    let cart = CartRequest::new([(first, 1), (second, 2)]);
    thread::scope(|scope| {
        let calling = scope.spawn(|| engine.create_holds(&cart));
        wait_for_a_lock_wait(world);
        outsider.lock("products", first.0);
        outsider.run("ROLLBACK");
        let holds = calling.join().expect("no panic").expect("tried again");
        assert_eq!(holds.value.holds.iter().map(|hold| hold.quantity).collect::<Vec<_>>(), [1, 2]);
    });
    assert_eq!(numbers(&engine, first), [9, 1, 0, 0]);
    assert_eq!(numbers(&engine, second), [8, 2, 0, 0]);
    assert!(metric(&engine, DEADLOCKS) >= 1.0);
    assert_exact(&engine, &[first, second], 10);
}

/// The outsider takes the row of a hold or an order before its product's.
fn a_request_that_loses_a_deadlock_is_tried_again(world: &World) {
    let engine = world.engine();
    let prepared = Prepared::new(&engine);
    let mut lost = 0.0;
    for (name, call) in CALLS {
        let (table, row) = match name {
            "release" => ("hold_batches", prepared.released.0),
            "order" => ("hold_batches", prepared.ordered.0),
            "extend" => ("hold_batches", prepared.extended.0),
            "payment" => ("orders", prepared.paid.0),
            _ => continue,
        };
        let mut outsider = Outsider::new(world);
        outsider.begin_heavy();
        outsider.lock(table, row);
        thread::scope(|scope| {
            let calling = scope.spawn(|| call(&engine, &prepared));
            wait_for_a_lock_wait(world);
            outsider.lock("products", prepared.id.0);
            outsider.run("ROLLBACK");
            let answer = calling.join().expect("no panic");
            answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        });
        assert!(metric(&engine, DEADLOCKS) > lost, "{name} lost no deadlock");
        lost = metric(&engine, DEADLOCKS);
    }
    assert_eq!(numbers(&engine, prepared.id), [97, 1, 1, 1]);
    assert_exact(&engine, &[prepared.id], 100);
}

fn one_connection_is_enough(world: &World) {
    let engine = world.builder().set("connections", "1").expect("a setting").open().expect("opens");
    let products: Vec<ProductId> = (0..3).map(|_| product(&engine, 100_000)).collect();
    let log = under_load(std::slice::from_ref(&engine), 16, &products, |load| {
        for _ in 0..10 {
            load.wait_for(20);
            product(&engine, 1);
            engine.audit().expect("audits");
            engine.events_after(0, 100).expect("reads");
            engine.sweep().expect("sweeps");
            engine.ping().expect("is there");
            engine.product(products[0]).expect("reads");
        }
    });
    log.assert_only(&[]);
    let history = assert_exact(&engine, &products, 100_000);
    log.assert_matches(&history);
}

/// By two engines, which wait for each other as well.
fn a_foreign_writer_is_waited_for(world: &World) {
    let engines = engines(world, 2);
    let products = [product(&engines[0], 100_000)];
    let mut outsider = Outsider::new(world);
    outsider.run("CREATE TABLE outsider (id INTEGER)");
    let log = under_load(&engines, 8, &products, |load| {
        for _ in 0..3 {
            load.wait_for(50);
            outsider.run("PRAGMA busy_timeout = 20000; BEGIN IMMEDIATE");
            outsider.run("INSERT INTO outsider VALUES (1)");
            // Well under `lock_wait`, which is three seconds.
            thread::sleep(Duration::from_secs(1));
            outsider.run("COMMIT");
        }
        load.wait_for(50);
    });
    log.assert_only(&[]);
    let history = assert_exact(&engines[0], &products, 100_000);
    log.assert_matches(&history);
}

fn a_foreign_writer_that_stays_is_contention(world: &World) {
    let engine = impatient(world, 1);
    let prepared = Prepared::new(&engine);
    let mut outsider = Outsider::new(world);
    outsider.run("BEGIN IMMEDIATE");
    for (name, answer) in prepared.call_all(&engine, || {}) {
        assert_eq!(kind(&answer), Some(ErrorKind::Contention), "{name}: {answer:?}");
    }
    assert_eq!(numbers(&engine, prepared.id), Prepared::BEFORE);
    outsider.run("ROLLBACK");
    assert!(metric(&engine, LOCK_WAITS) >= 2.0);
    for (name, call) in CALLS {
        call(&engine, &prepared).unwrap_or_else(|error| panic!("{name} later: {error:?}"));
    }
    assert_eq!(numbers(&engine, prepared.id), Prepared::AFTER);
    assert_exact(&engine, &[prepared.id], 101);
}

fn a_newcomer_outlasts_a_foreign_writer(world: &World) {
    drop(impatient(world, 0));
    let mut outsider = Outsider::new(world);
    outsider.run("BEGIN IMMEDIATE");
    thread::scope(|scope| {
        let newcomer = scope.spawn(|| impatient(world, 5));
        // Longer than `lock_wait`, and not for as long as it is tried again.
        thread::sleep(Duration::from_millis(1_500));
        outsider.run("ROLLBACK");
        product(&newcomer.join().expect("opens"), 1);
    });
}
