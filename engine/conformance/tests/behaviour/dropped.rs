//! Callers who go before their answer comes.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use stockade::{
    AsyncEngine, CartRequest, EventKind, HoldRequest, HoldStatus, OrderRequest, Outcome,
    PaymentEvent, ProductId,
};

use crate::steps::secs;
use crate::world::World;
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("dropped";
    calls_dropped_at_once_leave_every_unit_accounted_for,
    calls_dropped_at_any_moment_leave_every_unit_accounted_for,
    a_dropped_call_leaves_no_lock_behind,
);

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
}

/// Starts a call and leaves at once.
fn begin(call: impl Future) {
    let _ = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
}

async fn new_product(engine: &AsyncEngine, stock: u64) -> ProductId {
    let new = stockade::NewProduct::new("Lamp", "1".parse().expect("a price"), stock);
    engine.create_product(&new).await.expect("created").value.id
}

async fn numbers(engine: &AsyncEngine, id: ProductId) -> [u64; 4] {
    let page = engine.products(Some(ProductId(id.0 - 1)), 1).await.expect("reads");
    let product = &page.items[0];
    [product.stock, product.held, product.pending, product.sold]
}

/// Fails unless nothing is half done, all comes back in time, and events and
/// numbers agree.
async fn assert_accounted_for(world: &World, engine: &AsyncEngine, id: ProductId, stock: u64) {
    // It waits behind whatever was taken up before.
    let last = engine.create_hold(HoldRequest::new(id, 1)).await.expect("held").value;
    engine.release_hold(last.id).await.expect("released");
    let report = engine.audit().await.expect("audits");
    assert!(report.consistent, "{:#?}", report.findings);
    let [left, held, pending, sold] = numbers(engine, id).await;
    assert_eq!(left + held + pending + sold, stock);
    let events = engine.events_after(0, 10_000).await.expect("reads");
    let units = |kind| {
        let of_kind = events.iter().filter(|event| event.kind == kind && event.product_id == id);
        of_kind.map(|event| event.quantity.unsigned_abs()).sum::<u64>()
    };
    let made = units(EventKind::HoldCreated);
    let gone = units(EventKind::HoldReleased) + units(EventKind::OrderCreated);
    assert_eq!(made - gone, held);
    assert_eq!(units(EventKind::OrderPaid), sold);
    // Nobody knows these holds and orders, so all that is unpaid comes back.
    world.clock.advance(secs(1_800));
    assert_eq!(numbers(engine, id).await, [stock - sold, 0, 0, sold]);
    engine.sweep().await.expect("sweeps");
    assert_eq!(numbers(engine, id).await, [stock - sold, 0, 0, sold]);
    let report = engine.audit().await.expect("audits");
    assert!(report.consistent, "{:#?}", report.findings);
    assert_eq!((report.units.held, report.units.pending, report.products_due), (0, 0, 0));
}

fn calls_dropped_at_once_leave_every_unit_accounted_for(world: &World) {
    runtime().block_on(async {
        let engine = world.builder().open_async().await.expect("opens");
        let id = new_product(&engine, 1_000).await;
        for round in 0..150 {
            begin(engine.create_hold(HoldRequest::new(id, 1)));
            begin(engine.create_hold(HoldRequest::new(id, 1).key(format!("k-{}", round % 7))));
            begin(engine.create_holds(CartRequest::new([(id, 1)])));
            if round % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..10 {
            let held = engine.create_hold(HoldRequest::new(id, 1)).await.expect("held");
            begin(engine.create_order(OrderRequest::new(held.value.id, id)));
            let held = engine.create_hold(HoldRequest::new(id, 1)).await.expect("held").value;
            begin(engine.release_hold(held.id));
            let now = engine.hold(held.id).await.expect("is there").status;
            assert!(matches!(now, HoldStatus::Active | HoldStatus::Released));
        }
        assert_accounted_for(world, &engine, id, 1_000).await;
        engine.close().await;
    });
}

fn calls_dropped_at_any_moment_leave_every_unit_accounted_for(world: &World) {
    runtime().block_on(async {
        let engine = world.builder().open_async().await.expect("opens");
        let id = new_product(&engine, 1_000).await;
        for round in 0..60_u64 {
            let patience = Duration::from_micros(round * 97 % 3_000);
            let request = HoldRequest::new(id, 1);
            let held = match tokio::time::timeout(patience, engine.create_hold(&request)).await {
                Ok(held) => held.expect("held"),
                Err(_) => engine.create_hold(&request).await.expect("held"),
            };
            let request = OrderRequest::new(held.value.id, id);
            let ordered = tokio::time::timeout(patience, engine.create_order(&request)).await;
            let Ok(order) = ordered else {
                // Whether it was made or not, it is not made again.
                match engine.create_order(&request).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.code(), "hold_already_used"),
                }
                continue;
            };
            let order = order.expect("ordered");
            let event =
                PaymentEvent::for_order(order.value.id, Outcome::Success).key(format!("{round}"));
            if tokio::time::timeout(patience, engine.record_payment(&event)).await.is_err() {
                engine.record_payment(&event).await.expect("taken");
            }
        }
        assert_accounted_for(world, &engine, id, 1_000).await;
        engine.close().await;
    });
}

fn a_dropped_call_leaves_no_lock_behind(world: &World) {
    runtime().block_on(async {
        // Who finds a lock that no one gives back waits for so long.
        let builder = world.builder().set("lock_ttl", "8s").expect("a setting");
        let engine = builder.open_async().await.expect("opens");
        let id = new_product(&engine, 1_000).await;
        let request = HoldRequest::new(id, 1);
        for round in 0..60 {
            let (caller, asked) = (engine.clone(), request.clone());
            let served = tokio::spawn(async move { caller.create_hold(&asked).await });
            // While that is in flight, another caller is cancelled: the lock is
            // kept for one who is not there when its turn comes.
            std::thread::sleep(Duration::from_micros(round * 43 % 1_000));
            begin(engine.create_hold(&request));
            served.await.expect("no panic").expect("held");
            let since = Instant::now();
            engine.create_hold(&request).await.expect("held");
            let waited = since.elapsed();
            assert!(waited < secs(4), "it waited {waited:?} for its lock in round {round}");
        }
        assert_accounted_for(world, &engine, id, 1_000).await;
        engine.close().await;
    });
}
