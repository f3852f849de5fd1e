//! The connection to a running engine, lost at every moment.

use std::thread;
use std::time::{Duration, Instant};

use stockade::{
    CartRequest, Engine, ErrorKind, ExtendRequest, Hold, HoldRequest, HoldStatus, NewProduct,
    OrderRequest, Outcome, PaymentEvent, ProductId, Result, StockAdjustment,
};
use stockade_testkit::{CutWhen, Proxy};

use crate::crowd::at_once;
use crate::history::assert_exact;
use crate::socket::through;
use crate::steps::{Later, hold, order, secs, story};
use crate::traffic::under_load;
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("connection";
    a_call_cut_at_any_moment_is_done_once,
    a_refusal_cut_at_any_moment_is_told,
    a_repeated_key_is_answered_once_more_after_a_cut,
    what_has_no_key_is_sent_again_and_done_once,
    what_was_never_sent_is_known_not_to_be_done,
    cuts_under_load_neither_lose_nor_double_a_call,
    an_engine_that_does_not_answer_is_unavailable_in_time,
    callers_of_an_engine_that_cannot_be_reached_wait_for_one_attempt,
    a_wrong_or_missing_key_is_unauthorized,
    settings_of_the_running_engine_are_refused,
    a_url_of_no_engine_is_refused,
    one_connection_carries_hundreds_of_calls,
);

/// When a connection is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The request never arrives.
    Before,
    /// It arrives, and its sender is gone at once.
    Sent,
    /// It is answered, and nothing of the answer arrives.
    Answered,
    /// A part of the answer arrives.
    HalfAnswered,
}

const CUTS: [Cut; 4] = [Cut::Before, Cut::Sent, Cut::Answered, Cut::HalfAnswered];

/// An engine that is reached by way of a proxy.
struct Far {
    proxy: Proxy,
    url: String,
    engine: Engine,
}

impl Far {
    fn new(world: &World) -> Self {
        Self::with(world, &[])
    }

    fn with(world: &World, settings: &[(&str, &str)]) -> Self {
        let sockets = world.sockets.as_ref().expect("a served world");
        let url = sockets.serve_at_address(world.builder().own, "sesame");
        let upstream = url.strip_prefix("http://").expect("an address");
        let proxy = Proxy::start(upstream.parse().expect("an address"));
        let url = proxy.url(&url).replace("http://", "http://:sesame@");
        let set = |builder: stockade::EngineBuilder, (name, value): &(&str, &str)| {
            builder.set(name, value).expect("a setting")
        };
        let engine = settings.iter().fold(through(&url), set).open().expect("opens");
        Self { proxy, url, engine }
    }

    /// Makes a call, whose answer holds `part`, and cuts it.
    fn cut<T>(&self, when: Cut, part: &str, call: impl FnOnce(&Engine) -> T) -> T {
        // With a connection that has begun: the server's next word is the answer.
        self.engine.ping().expect("is there");
        let before = self.proxy.fired();
        let arm = |when| self.proxy.cut_after_client_sends(b"\"request\":", when);
        match when {
            Cut::Before => arm(CutWhen::BeforeForward),
            Cut::Sent => arm(CutWhen::AfterForward),
            Cut::Answered => arm(CutWhen::AfterReply),
            Cut::HalfAnswered => self.proxy.cut_in_reply_after(part.as_bytes()),
        }
        let answer = call(&self.engine);
        assert_eq!(self.proxy.fired(), before + 1, "{when:?}: nothing was cut");
        answer
    }
}

fn a_call_cut_at_any_moment_is_done_once(world: &World) {
    let far = Far::new(world);
    let near = world.engine();
    for when in CUTS {
        let (id, other) = (product(&near, 10), product(&near, 10));
        let ok = "{\"Ok\":";
        let held = far.cut(when, ok, |engine| engine.create_hold(HoldRequest::new(id, 2)));
        let held = held.unwrap_or_else(|error| panic!("{when:?}: {error:?}"));
        assert!(!held.replayed, "{when:?}: its caller asked once");
        assert_eq!(numbers(&near, id), [8, 2, 0, 0], "{when:?}");
        assert_eq!(near.hold(held.value.id).expect("is there"), held.value.later());

        let keyed = HoldRequest::new(id, 1).key(format!("{when:?}"));
        let keyed = far.cut(when, ok, |engine| engine.create_hold(&keyed)).expect("held").value;
        assert_eq!(numbers(&near, id), [7, 3, 0, 0], "{when:?}");

        let cart = CartRequest::new([(id, 1), (other, 1)]);
        let cart = far.cut(when, ok, |engine| engine.create_holds(&cart)).expect("held");
        assert!(!cart.replayed && cart.value.holds.len() == 2, "{when:?}");
        assert_eq!(numbers(&near, other), [9, 1, 0, 0], "{when:?}");

        let made = OrderRequest::new(held.value.id, id);
        let made = far.cut(when, ok, |engine| engine.create_order(&made)).expect("ordered");
        assert!(!made.replayed, "{when:?}");
        let again = near.create_order(OrderRequest::new(held.value.id, id)).expect_err("used");
        assert_eq!(again.order_id(), Some(made.value.id), "{when:?}");

        let given_back =
            far.cut(when, ok, |engine| engine.release_hold(keyed.id)).expect("released");
        assert_eq!(given_back.status, HoldStatus::Released, "{when:?}");
        let longer = ExtendRequest::new(cart.value.holds[0].id).ttl(secs(600));
        let extended = far.cut(when, ok, |engine| engine.extend_hold(&longer)).expect("extended");
        assert_eq!(extended.expires_at, world.clock.time().after(secs(600)), "{when:?}");
        let paid = PaymentEvent::for_order(made.value.id, Outcome::Success);
        let paid = paid.key(format!("evt-{when:?}"));
        far.cut(when, ok, |engine| engine.record_payment(&paid)).expect("taken");
        assert_eq!(numbers(&near, id), [7, 1, 0, 2], "{when:?}");
        // The same event by another way is known by its key and its body.
        assert!(near.record_payment(&paid).expect("taken").replayed, "{when:?}");
        let kinds: Vec<_> = story(&near, id).into_iter().map(|(kind, _)| kind).collect();
        let expected = [
            "hold.created",
            "hold.created",
            "hold.created",
            "order.created",
            "hold.released",
            "hold.extended",
            "order.paid",
        ];
        assert_eq!(kinds, expected, "{when:?}");

        let read = far.cut(when, ok, |engine| engine.product(id)).expect("reads");
        assert_eq!((read.stock, read.sold), (7, 2), "{when:?}");
        let events = far.cut(when, ok, |engine| engine.events_after(0, 10_000)).expect("reads");
        assert_eq!(events, near.events_after(0, 10_000).expect("reads"), "{when:?}");
        let report = far.cut(when, ok, Engine::audit).expect("audits");
        assert_eq!(report, near.audit().expect("audits"), "{when:?}");
        assert!(report.consistent, "{when:?}");
    }
}

fn a_refusal_cut_at_any_moment_is_told(world: &World) {
    let far = Far::new(world);
    for when in CUTS {
        let id = product(&far.engine, 3);
        let used = order(&far.engine, id, 1);
        let error =
            far.cut(when, "{\"Err\":", |engine| engine.create_hold(HoldRequest::new(id, 9)));
        let error = error.expect_err("refused");
        assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(2)), "{when:?}");
        assert_eq!(error.short()[0].requested, 9, "{when:?}");
        assert!(!error.replayed(), "{when:?}");
        let request = OrderRequest::new(used.lines.first().hold_id, id);
        let error = far.cut(when, "{\"Err\":", |engine| engine.create_order(&request));
        let error = error.expect_err("refused");
        let told = (error.code(), error.order_id());
        assert_eq!(told, ("hold_already_used", Some(used.id)), "{when:?}");
        assert_eq!(numbers(&far.engine, id), [2, 0, 1, 0], "{when:?}");
    }
    assert_clean(&far.engine);
}

fn a_repeated_key_is_answered_once_more_after_a_cut(world: &World) {
    let far = Far::new(world);
    let id = product(&far.engine, 3);
    let request = HoldRequest::new(id, 1).key("k");
    let first = far.engine.create_hold(&request).expect("held").value;
    for when in CUTS {
        let again = far.cut(when, "{\"Ok\":", |engine| engine.create_hold(&request)).expect("held");
        assert!(again.replayed, "{when:?}");
        assert_eq!(again.value, first, "{when:?}");
        let other = HoldRequest::new(id, 2).key("k");
        let error = far.cut(when, "{\"Err\":", |engine| engine.create_hold(&other));
        assert_eq!(error.expect_err("refused").code(), "idempotency_mismatch", "{when:?}");
    }
    assert_eq!(numbers(&far.engine, id), [2, 1, 0, 0]);
    assert_clean(&far.engine);
}

fn what_has_no_key_is_sent_again_and_done_once(world: &World) {
    let far = Far::new(world);
    let near = world.engine();
    let products = || near.products(None, 1_000).expect("reads").items.len();
    for when in CUTS {
        let id = product(&near, 10);
        let known = products();
        let received = StockAdjustment::new(id, 5, "received");
        let adjusted = far.cut(when, "{\"Ok\":", |engine| engine.adjust_stock(&received));
        assert_eq!(adjusted.expect("adjusted once").value.stock, 15, "{when:?}");
        let lamp = NewProduct::new("Lamp", "1".parse().expect("a price"), 1);
        let created = far.cut(when, "{\"Ok\":", |engine| engine.create_product(&lamp));
        let created = created.expect("created once");
        assert!(!created.replayed, "{when:?}");
        let found = near.product(created.value.id).expect("is there");
        assert_eq!((numbers(&near, id)[0], products() - known), (15, 1), "{when:?}");
        assert_eq!(found, created.value, "{when:?}");
    }
    assert_clean(&near);
}

fn what_was_never_sent_is_known_not_to_be_done(world: &World) {
    let far = Far::with(world, &[("remote_reconnect", "200ms")]);
    let id = product(&far.engine, 10);
    let received = StockAdjustment::new(id, 5, "received");
    far.proxy.refuse(true);
    far.proxy.cut();
    // The first call finds the connection lost.
    let error = far.engine.ping().expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let answers = [
        ("adjust_stock", far.engine.adjust_stock(&received).map(drop)),
        ("create_hold", far.engine.create_hold(HoldRequest::new(id, 1)).map(drop)),
    ];
    for (call, answer) in answers {
        let error = answer.expect_err("nobody there");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(&format!("{call} was not executed")), "{error}");
        assert!(error.retry_after().is_some());
    }
    far.proxy.refuse(false);
    assert_eq!(far.engine.adjust_stock(&received).expect("adjusted").value.stock, 15);
    assert_eq!(numbers(&far.engine, id), [15, 0, 0, 0]);
}

fn cuts_under_load_neither_lose_nor_double_a_call(world: &World) {
    const STOCK: u64 = 100_000;
    let far = Far::new(world);
    let products: Vec<ProductId> = (0..3).map(|_| product(&far.engine, STOCK)).collect();
    let log = under_load(std::slice::from_ref(&far.engine), 16, &products, |load| {
        for round in 0..30 {
            load.wait_for(20);
            // As a server that is started anew.
            far.proxy.refuse(round % 10 == 0);
            far.proxy.cut();
            if round % 10 == 0 {
                thread::sleep(Duration::from_millis(300));
                far.proxy.refuse(false);
            }
        }
        load.wait_for(100);
    });
    log.assert_only(&[]);
    let history = assert_exact(&far.engine, &products, STOCK);
    log.assert_matches(&history);
    let counted = far.engine.metrics_text();
    let lost = counted.lines().find(|line| line.starts_with("stockade_remote_connections_lost"));
    assert!(lost.is_some_and(|line| !line.ends_with(" 0")), "{counted}");
}

fn an_engine_that_does_not_answer_is_unavailable_in_time(world: &World) {
    let far = Far::with(world, &[("remote_timeout", "500ms")]);
    let id = product(&far.engine, 10);
    far.proxy.swallow_replies(true);
    let since = Instant::now();
    let error = far.engine.create_hold(HoldRequest::new(id, 1)).expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("create_hold may have been executed"), "{error}");
    assert!(since.elapsed() < secs(10), "it took {:?}", since.elapsed());
    far.proxy.swallow_replies(false);
    far.proxy.cut();
    hold(&far.engine, id, 1);
    let [stock, held, ..] = numbers(&far.engine, id);
    assert!(stock + held == 10 && (1..=2).contains(&held), "{held} held");
    assert_clean(&far.engine);
}

fn callers_of_an_engine_that_cannot_be_reached_wait_for_one_attempt(world: &World) {
    const CALLERS: usize = 8;
    let settings = [("remote_reconnect", "100ms"), ("remote_timeout", "30s")];
    let far = Far::with(world, &settings);
    let id = product(&far.engine, 10);
    // A new connection gets no response.
    far.proxy.swallow_replies(true);
    far.proxy.cut();
    let retries = || {
        let counted = far.engine.metrics_text();
        let line = counted.lines().find_map(|line| {
            line.strip_prefix("stockade_remote_retries_total ").map(str::to_owned)
        });
        line.expect("is counted").parse::<u64>().expect("a number")
    };
    far.engine.ping().expect_err("no answer");
    let (before, since) = (retries(), Instant::now());
    for answer in at_once(CALLERS, |_| far.engine.create_hold(HoldRequest::new(id, 1))) {
        let error = answer.expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("create_hold was not executed"), "{error}");
    }
    assert_eq!(retries(), before, "one attempt took longer than any of them waits");
    assert!(since.elapsed() < secs(10), "it took {:?}", since.elapsed());
    far.proxy.swallow_replies(false);
    assert_eq!(numbers(&far.engine, id), [10, 0, 0, 0]);
    assert_clean(&far.engine);
}

fn a_wrong_or_missing_key_is_unauthorized(world: &World) {
    let far = Far::new(world);
    for url in [far.url.replace("sesame", "barley"), far.url.replace(":sesame@", "")] {
        let error = through(&url).open().expect_err("refused");
        assert_eq!(error.code(), "unauthorized", "{error:?}");
        assert!(!format!("{error:?}").contains("barley"), "{error:?}");
    }
    let shown = format!("{:?}", far.engine);
    assert!(!shown.contains("sesame"), "{shown}");
}

fn settings_of_the_running_engine_are_refused(world: &World) {
    let url = world.serve(world.builder().own).expect("a served world");
    for (name, value) in [
        ("hold_ttl", "60"),
        ("max_per_hold", "3"),
        ("redis", "redis://127.0.0.1"),
        ("strict", "true"),
        ("retries", "9"),
        ("queue_limit", "0"),
        ("remote_timeout", "0"),
    ] {
        let builder = Engine::builder().store(&url).set(name, value).expect("it reads");
        let error = builder.open().expect_err("refused");
        assert_eq!(error.code(), "invalid_argument", "{name}");
        assert!(error.message().contains(name), "{error}");
    }
    let clock = std::sync::Arc::clone(&world.clock);
    let error = Engine::builder().store(&url).clock(clock).open().expect_err("refused");
    assert_eq!(error.code(), "invalid_argument");
    // It does not sweep anyway.
    let engine = Engine::builder().store(&url).sweeper(false).open().expect("opens");
    engine.ping().expect("is there");
    engine.close().expect("closes");
}

fn a_url_of_no_engine_is_refused(world: &World) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let silent = format!("http://{}", nobody.local_addr().expect("an address"));
    for (url, code) in [
        ("unix://".to_owned(), "invalid_argument"),
        ("unix:run.sock".to_owned(), "invalid_argument"),
        ("https://".to_owned(), "invalid_argument"),
        ("unix:///nowhere/at/all.sock".to_owned(), "unavailable"),
        (silent, "unavailable"),
    ] {
        let builder = Engine::builder().store(&url);
        let builder = builder.set("remote_reconnect", "100ms").expect("a setting");
        let builder = builder.set("remote_timeout", "1s").expect("a setting");
        let since = Instant::now();
        assert_eq!(builder.open().expect_err("refused").code(), code, "{url}");
        assert!(since.elapsed() < secs(10), "{url} took {:?}", since.elapsed());
    }
    let served = world.serve(world.builder().own).expect("a served world");
    let config = stockade::Config::from_pairs([("store", served.as_str())]).expect("settings");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let migrated = runtime.expect("a runtime").block_on(stockade::migrate(&config));
    assert_eq!(migrated.expect_err("refused").code(), "invalid_argument");
}

fn one_connection_carries_hundreds_of_calls(world: &World) {
    const CALLERS: usize = 600;
    let far = Far::new(world);
    let id = product(&far.engine, CALLERS as u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = through(&far.url).open_async().await.expect("opens");
        let request = HoldRequest::new(id, 1);
        let calls = (0..CALLERS).map(|_| engine.create_hold(&request));
        let holds: Result<Vec<_>> =
            futures_util::future::join_all(calls).await.into_iter().collect();
        let mut holds: Vec<Hold> = holds.expect("held").into_iter().map(|h| h.value).collect();
        holds.sort_unstable_by_key(|hold| hold.id);
        holds.dedup_by_key(|hold| hold.id);
        assert_eq!(holds.len(), CALLERS);
        // One for each of the two engines.
        assert_eq!(far.proxy.connections(), 2);
        engine.close().await;
    });
    assert_eq!(numbers(&far.engine, id), [0, CALLERS as u64, 0, 0]);
    assert_clean(&far.engine);
}
