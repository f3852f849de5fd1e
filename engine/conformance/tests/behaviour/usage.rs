//! How engines are opened, called and closed.

use std::time::{Duration, Instant};

use stockade::{
    AsyncEngine, CartId, CartRequest, ChangeQuantityRequest, Config, Engine, ErrorKind,
    ExtendCartRequest, ExtendRequest, HoldId, HoldQuery, HoldRequest, NewProduct, OrderId,
    OrderQuery, OrderRequest, OrderStatus, Outcome, PaymentEvent, ProductChange, ProductId,
    ProductRef, PutProduct, Result, StockAdjustment,
};

use stockade_testkit::wait_until;

use crate::steps::{Later, SOON, assert_numbers, code, deliver, hold, order, secs};
use crate::world::{Backend, World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("usage";
    blocking_calls_work_inside_a_tokio_runtime,
    an_engine_may_be_dropped_inside_a_tokio_runtime,
    the_async_engine_does_all_that_the_blocking_one_does,
    a_closed_engine_refuses_every_call_as_misuse,
    a_closed_async_engine_refuses_every_call_as_misuse,
    a_closed_or_dropped_async_engine_leaves_no_task_behind,
    closing_serves_what_waits_and_refuses_the_rest,
    a_url_of_no_store_is_refused,
    a_store_that_is_not_there_is_unavailable_soon,
    settings_that_make_no_sense_are_refused,
);

/// It concerns neither files nor Redis.
pub const SERVER: &[Scenario] = scenarios!("usage";
    a_url_without_a_database_is_refused,
    a_store_that_never_answers_is_unavailable_in_time,
);

fn runtimes() -> [tokio::runtime::Runtime; 2] {
    [
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build(),
        tokio::runtime::Builder::new_current_thread().enable_all().build(),
    ]
    .map(|runtime| runtime.expect("a runtime"))
}

fn blocking_calls_work_inside_a_tokio_runtime(world: &World) {
    for runtime in runtimes() {
        runtime.block_on(async {
            let engine = world.engine();
            let id = product(&engine, 5);
            let made = order(&engine, id, 2);
            deliver(&engine, made.id, Outcome::Success, &format!("evt-{}", made.id));
            let (other, clone) = (hold(&engine, id, 1), engine.clone());
            let released = tokio::spawn(async move { clone.release_hold(other.id).is_ok() }).await;
            assert!(released.expect("no panic"));
            assert_numbers(&engine, id, [3, 0, 0, 2]);
            // Far more calls than a task may make before it must yield.
            for _ in 0..300 {
                assert_eq!(code(engine.create_hold(HoldRequest::new(id, 4))), "insufficient_stock");
                engine.ping().expect("answers");
            }
            engine.sweep().expect("sweeps");
            assert_clean(&engine);
            engine.close().expect("closes");
        });
    }
}

fn an_engine_may_be_dropped_inside_a_tokio_runtime(world: &World) {
    for runtime in runtimes() {
        runtime.block_on(async {
            let engine = world.builder().sweeper(true).open().expect("opens");
            let id = product(&engine, 5);
            hold(&engine, id, 2);
            drop(engine);
            let engine = world.engine();
            let task = tokio::spawn(async move { drop(engine) });
            task.await.expect("no panic");
        });
        drop(runtime);
    }
    let engine = world.engine();
    let clone = engine.clone();
    drop(engine);
    let id = product(&clone, 5);
    assert_numbers(&clone, id, [5, 0, 0, 0]);
}

fn the_async_engine_does_all_that_the_blocking_one_does(world: &World) {
    for runtime in runtimes() {
        runtime.block_on(async {
            let engine = world.builder().open_async().await.expect("opens");
            all_async_calls(&engine).await.expect("works");
            let report = engine.audit().await.expect("audits");
            assert!(report.consistent, "{:#?}", report.findings);
            engine.close().await;
        });
        world.clock.advance(secs(4_000));
    }
    let plain = Config::from_pairs([("store", "sqlite::memory:"), ("sweeper", "false")]);
    runtimes()[1].block_on(async {
        let engine = AsyncEngine::with_config(plain.expect("settings")).await.expect("opens");
        all_async_calls(&engine).await.expect("works");
        let engine = AsyncEngine::open("sqlite::memory:").await.expect("opens");
        all_async_calls(&engine).await.expect("works");
    });
}

/// One hold to each end there is.
async fn all_async_calls(engine: &AsyncEngine) -> Result<()> {
    engine.ping().await?;
    let id = engine.create_product(NewProduct::new("Lamp", "1".parse()?, 4)).await?.value.id;
    engine.adjust_stock(StockAdjustment::new(id, 5, "received")).await?;
    let sku = format!("lamp {id}");
    let put = PutProduct::new(id, "Lamp", "1".parse()?).sku(&sku);
    assert!(!engine.put_product(&put).await?.created);
    assert_eq!(engine.put_products(vec![put]).await?.len(), 1);
    engine.change_product(ProductChange::new(ProductRef::sku(&sku)).name("Lamp")).await?;
    let held = engine.create_hold(HoldRequest::new(id, 2)).await?.value;
    assert!(
        engine.extend_hold(ExtendRequest::new(held.id).ttl(secs(500))).await?.expires_at
            > held.expires_at
    );
    let cart = engine.create_holds(CartRequest::new([(id, 3)])).await?.value;
    assert_eq!(engine.cart(cart.id).await?, cart.later());
    assert!(
        engine.extend_cart(ExtendCartRequest::new(cart.id).ttl(secs(500))).await?.holds.len() == 1
    );
    let changed = ChangeQuantityRequest::new(cart.holds[0].id, 2);
    assert_eq!(engine.change_quantity(changed).await?.value.quantity, 2);
    engine.release_cart(cart.id).await?;
    let batch = engine.create_hold_batch(vec![HoldRequest::new(id, 1)]).await?;
    for hold in batch {
        engine.release_hold(hold?.value.id).await?;
    }
    let order = engine.create_order(OrderRequest::new(held.id, id)).await?.value;
    engine.record_payment(PaymentEvent::for_order(order.id, Outcome::Success)).await?;
    assert_eq!(engine.order(order.id).await?.status, OrderStatus::Paid);
    assert_eq!(engine.hold(held.id).await?.quantity, 2);
    let query = HoldQuery::new(1).product(id).after(held.id.0 - 1);
    assert_eq!(engine.holds(query).await?.items[0].order_id, Some(order.id));
    let query = OrderQuery::new(1).product(id).after(order.id.0 - 1);
    assert_eq!(engine.orders(query).await?.items[0].id, order.id);
    assert!(engine.waiting_payments(None, 1).await?.items.is_empty());
    assert!(engine.remove_waiting_payment("k".to_owned()).await.is_err());
    assert_eq!(engine.erase_customer("c".to_owned()).await?.holds, 0);
    let product = engine.product(id).await?;
    assert_eq!((product.stock, product.held, product.pending, product.sold), (7, 0, 0, 2));
    assert_eq!(engine.products(Some(ProductId(id.0 - 1)), 1).await?.items, [product]);
    let events = engine.events_after(0, 1_000).await?;
    assert_eq!(events.iter().filter(|event| event.product_id == id).count(), 14);
    assert_eq!(engine.sweep().await?.holds_expired, 0);
    Ok(())
}

fn a_closed_engine_refuses_every_call_as_misuse(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = order(&engine, id, 1);
    let clone = engine.clone();
    engine.close().expect("closes");
    engine.close().expect("closes again");
    clone.close().expect("closes again");
    for engine in [&engine, &clone] {
        let price = "1".parse().expect("a price");
        let codes = [
            code(engine.product(id)),
            code(engine.products(None, 1)),
            code(engine.holds(HoldQuery::new(1))),
            code(engine.create_product(NewProduct::new("Lamp", price, 1))),
            code(engine.put_product(PutProduct::new(id, "Lamp", price))),
            code(engine.put_products(vec![PutProduct::new(id, "Lamp", price)])),
            code(engine.change_product(ProductChange::new(id).archived(true))),
            code(engine.adjust_stock(StockAdjustment::new(id, 1, "received"))),
            code(engine.create_hold(HoldRequest::new(id, 1))),
            code(engine.create_holds(CartRequest::new([(id, 1)]))),
            code(engine.create_hold_batch(vec![HoldRequest::new(id, 1)])),
            code(engine.release_hold(HoldId(1))),
            code(engine.extend_hold(ExtendRequest::new(1))),
            code(engine.change_quantity(ChangeQuantityRequest::new(1, 1))),
            code(engine.cart(CartId(1))),
            code(engine.release_cart(CartId(1))),
            code(engine.extend_cart(ExtendCartRequest::new(1))),
            code(engine.hold(HoldId(1))),
            code(engine.create_order(OrderRequest::new(1, id))),
            code(engine.order(OrderId(1))),
            code(engine.record_payment(PaymentEvent::for_order(made.id, Outcome::Success))),
            code(engine.sweep()),
            code(engine.audit()),
            code(engine.events_after(0, 1)),
            code(engine.ping()),
            code(engine.orders(OrderQuery::new(1))),
            code(engine.waiting_payments(None, 1)),
            code(engine.remove_waiting_payment("k".to_owned())),
            code(engine.erase_customer("c".to_owned())),
        ];
        assert_eq!(codes, ["misuse"; 29]);
    }
    let counted = engine.metrics_text();
    assert!(!counted.is_empty() && !counted.contains("# EOF"), "{counted}");
    if world.backend.is_shared() {
        let later = world.engine();
        assert_numbers(&later, id, [4, 0, 1, 0]);
        assert_clean(&later);
    }
}

fn a_closed_async_engine_refuses_every_call_as_misuse(world: &World) {
    for runtime in runtimes() {
        runtime.block_on(async {
            let engine = world.builder().sweeper(true).open_async().await.expect("opens");
            all_async_calls(&engine).await.expect("works");
            engine.close().await;
            engine.close().await;
            assert_eq!(code(engine.create_hold(HoldRequest::new(1, 1)).await), "misuse");
            assert_eq!(code(engine.product(ProductId(1)).await), "misuse");
            assert_eq!(code(engine.ping().await), "misuse");
        });
    }
}

fn a_closed_or_dropped_async_engine_leaves_no_task_behind(world: &World) {
    let [runtime, _] = runtimes();
    for is_closed in [true, false] {
        let engine = runtime.block_on(async {
            let engine = world.builder().sweeper(true).open_async().await.expect("opens");
            all_async_calls(&engine).await.expect("works");
            if is_closed {
                engine.close().await;
            }
            engine
        });
        drop(engine);
        wait_until("every task has ended", SOON, || runtime.metrics().num_alive_tasks() == 0);
    }
}

fn closing_serves_what_waits_and_refuses_the_rest(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 1_000);
    let made: u64 = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = 0;
                    loop {
                        match engine.create_hold(HoldRequest::new(id, 1)) {
                            Ok(_) => made += 1,
                            Err(error) => {
                                assert_eq!(error.code(), "misuse", "{error:?}");
                                return made;
                            }
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(30));
        engine.close().expect("closes");
        makers.into_iter().map(|maker| maker.join().expect("no panic")).sum()
    });
    if world.backend.is_shared() {
        let later = world.engine();
        assert_numbers(&later, id, [1_000 - made, made, 0, 0]);
        assert_clean(&later);
    }
}

fn a_url_of_no_store_is_refused(_: &World) {
    let urls = [
        "",
        "postgres://127.0.0.1/shop",
        "shop.db",
        "redis://127.0.0.1",
        "SQLITE:shop.db",
        "mysql://127.0.0.1:port/shop",
        "mysql://root@[::1/shop",
        "sqlite::memory:?mode=wrong",
    ];
    let codes = urls.map(|url| (url, code(Engine::open(url))));
    assert_eq!(codes, urls.map(|url| (url, "invalid_argument")));
}

fn a_store_that_is_not_there_is_unavailable_soon(world: &World) {
    let mut urls = vec![
        "mysql://root@127.0.0.1:1/shop".to_owned(),
        "sqlite:/nowhere/at/all/shop.db".to_owned(),
    ];
    if Backend::SERVERS.contains(&world.backend) {
        urls.push(format!("{}_of_another_name", world.url));
        let (server, _) = world.url.rsplit_once('/').expect("a URL");
        urls.push(server.to_owned());
    }
    for url in urls {
        let since = Instant::now();
        let error = Engine::open(&url).expect_err("refused");
        let gone = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::InvalidArgument);
        assert!(gone, "{url}: {error:?}");
        assert!(since.elapsed() < secs(15), "{url} took {:?}", since.elapsed());
    }
}

fn a_store_that_never_answers_is_unavailable_in_time(_: &World) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let url = format!("mysql://root@{}/shop", silent.local_addr().expect("an address"));
    let builder = Engine::builder().store(&url).set("lock_wait", "1s").expect("a setting");
    let builder = builder.set("store_timeout", "1100ms").expect("a setting");
    let since = Instant::now();
    assert_eq!(builder.open().expect_err("refused").kind(), ErrorKind::Unavailable);
    assert!(since.elapsed() < secs(10), "it took {:?}", since.elapsed());
}

fn a_url_without_a_database_is_refused(world: &World) {
    let (server, _) = world.url.rsplit_once('/').expect("a database");
    let error = Engine::open(server).map(drop).expect_err("refused");
    assert_eq!(error.code(), "invalid_argument");
    assert!(error.to_string().contains("names no database"), "{error}");
}

fn settings_that_make_no_sense_are_refused(world: &World) {
    for (name, value) in [
        ("hold_tll", "60"),
        ("", "60"),
        ("hold_ttl", "soon"),
        ("max_per_hold", "-1"),
        ("strict", "maybe"),
        ("late_payment", "keep"),
    ] {
        let refused = world.builder().set(name, value).err().expect("refused");
        assert_eq!(refused.code(), "invalid_argument", "{name} = {value}");
    }
    for (name, value) in [
        ("hold_ttl", "0"),
        ("hold_ttl", "25h"),
        ("max_per_hold", "0"),
        ("cart_lines_max", "0"),
        ("sweep_batch", "0"),
        ("queue_limit", "0"),
        ("connections", "0"),
        ("lock_wait", "10s"),
    ] {
        let builder = world.builder().set(name, value).expect("it reads");
        assert_eq!(code(builder.open()), "invalid_argument", "{name} = {value}");
    }
    let engine = world.builder().hold_ttl(secs(7)).open().expect("opens");
    let id = product(&engine, 1);
    assert_eq!(hold(&engine, id, 1).expires_at, world.clock.time().after(secs(7)));
}
