//! The catalogue: SKUs and chosen ids, imports and changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use stockade::{
    CartLine, CartRequest, Change, Engine, ErrorKind, Event, EventKind, Hold, HoldQuery,
    HoldRequest, Metadata, Money, NewProduct, OrderRequest, Outcome, Product, ProductChange,
    ProductId, ProductRef, PutProduct, Result, StockAdjustment,
};

use crate::crowd::{at_once, count, engines, pick};
use crate::steps::{Later, code, deliver, every_event, hold, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("catalogue";
    a_sku_names_a_product_wherever_its_id_does,
    a_request_by_sku_has_its_own_key,
    ids_and_skus_are_taken_once,
    drawn_ids_go_around_chosen_ones,
    a_put_makes_a_product_and_then_replaces_what_it_is,
    a_change_changes_what_it_names,
    a_version_guards_puts_and_changes,
    terms_that_cannot_be_are_refused,
    two_products_exchange_their_skus,
    an_import_costs_a_bad_line_only_itself,
    a_count_includes_what_is_due,
    one_sku_goes_to_one_of_many_products,
    holds_by_sku_follow_it_from_product_to_product,
);

/// The same with two engines on one store.
pub const SHARED: &[Scenario] = scenarios!("catalogue";
    one_sku_goes_to_one_of_many_products_of_two_engines,
    holds_by_sku_follow_it_with_two_engines,
);

pub fn money(text: &str) -> Money {
    text.parse().expect("a price")
}

pub fn lamp() -> NewProduct {
    NewProduct::new("Lamp", money("19.99"), 5)
}

pub fn create(engine: &Engine, new: NewProduct) -> Product {
    engine.create_product(new).expect("created").value
}

pub fn sku(sku: &str) -> ProductRef {
    ProductRef::sku(sku)
}

pub fn hold_by(engine: &Engine, product: impl Into<ProductRef>, units: u32) -> Hold {
    engine.create_hold(HoldRequest::new(product, units)).expect("held").value
}

pub fn events_of(engine: &Engine, id: ProductId) -> Vec<Event> {
    every_event(engine).into_iter().filter(|event| event.product_id == id).collect()
}

pub fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn a_sku_names_a_product_wherever_its_id_does(world: &World) {
    let engine = world.engine();
    let made = create(&engine, lamp().sku("L/1 \u{e4}"));
    let other = product(&engine, 5);
    let named = sku("L/1 \u{e4}");
    assert_eq!(made.sku.as_deref(), Some("L/1 \u{e4}"));
    assert_eq!(engine.product(&named).expect("is there"), made);
    let one = hold_by(&engine, &named, 1);
    assert_eq!((one.product_id, one.sku.as_deref()), (made.id, Some("L/1 \u{e4}")));
    assert_eq!(engine.hold(one.id).expect("is there"), one.later());
    let of_both = CartRequest::new([
        CartLine::new(&named, 1),
        CartLine::new(other, 1),
        CartLine::new(made.id, 1),
    ]);
    let cart = engine.create_holds(of_both).expect("held").value;
    let lines: Vec<_> = cart.holds.iter().map(|hold| (hold.product_id, hold.quantity)).collect();
    assert_eq!(lines, [(made.id, 2), (other, 1)], "named twice, summed");
    let read = engine.cart(cart.id).expect("is there");
    assert_eq!(read.holds[0].sku, made.sku);
    let wrong = OrderRequest::new(cart.holds[1].id, &named);
    assert_eq!(code(engine.create_order(wrong)), "product_mismatch");
    let ordered = engine.create_order(OrderRequest::new(one.id, &named)).expect("ordered").value;
    assert_eq!(ordered.lines.first().sku, made.sku);
    let adjusted = StockAdjustment::new(&named, 4, "found");
    assert_eq!(engine.adjust_stock(adjusted).expect("adjusted").value.in_stock, 6);
    let page = engine.holds(HoldQuery::new(9).product(&named)).expect("reads");
    assert_eq!(page.items.len(), 2);
    assert!(page.items.iter().all(|hold| hold.sku == made.sku));
    let batch = [HoldRequest::new(&named, 1), HoldRequest::new(sku("none"), 1)];
    let batch = engine.create_hold_batch(batch.to_vec()).expect("sent");
    assert_eq!(batch[0].as_ref().expect("held").value.product_id, made.id);
    assert_eq!(batch[1].as_ref().expect_err("unknown").code(), "not_found");
    for event in events_of(&engine, made.id) {
        assert_eq!(event.sku, made.sku, "{event:?}");
    }
    let unknown = sku("l/1 \u{e4}");
    assert_eq!(code(engine.product(&unknown)), "not_found", "compared byte by byte");
    assert_eq!(code(engine.create_hold(HoldRequest::new(&unknown, 1))), "not_found");
    let cart = CartRequest::new([CartLine::new(&named, 1), CartLine::new(&unknown, 1)]);
    assert_eq!(code(engine.create_holds(cart)), "not_found");
    assert_eq!(code(engine.adjust_stock(StockAdjustment::new(&unknown, 1, ""))), "not_found");
    assert_eq!(code(engine.change_product(ProductChange::new(&unknown))), "not_found");
    assert!(engine.holds(HoldQuery::new(9).product(&unknown)).expect("reads").items.is_empty());
    assert_clean(&engine);
}

fn a_request_by_sku_has_its_own_key(world: &World) {
    let engine = world.engine();
    let first = create(&engine, lamp().sku("a"));
    let request = HoldRequest::new(sku("a"), 1).key("k");
    let held = engine.create_hold(&request).expect("held");
    // The SKU goes to another product: the request is the same, and so is its answer.
    engine.change_product(ProductChange::new(first.id).sku(Change::Clear)).expect("changed");
    assert_eq!(engine.create_hold(&request).expect("replayed").value, held.value);
    let second = create(&engine, lamp().sku("a"));
    let again = engine.create_hold(&request).expect("replayed");
    assert_eq!((again.value, again.replayed), (held.value, true));
    let by_id = HoldRequest::new(second.id, 1).key("k");
    assert_eq!(code(engine.create_hold(by_id)), "idempotency_mismatch");
    let gone = HoldRequest::new(sku("gone"), 1).key("g");
    assert_eq!(code(engine.create_hold(&gone)), "not_found");
    create(&engine, lamp().sku("gone"));
    let kept = engine.create_hold(&gone).expect_err("the first answer");
    assert_eq!((kept.code(), kept.replayed()), ("not_found", true));
    let cart = CartRequest::new([(sku("a"), 1), (sku("gone"), 1)]).key("c");
    let held = engine.create_holds(&cart).expect("held").value;
    assert_eq!(engine.create_holds(&cart).expect("replayed").value, held);
    let adjust = StockAdjustment::to(sku("a"), 9, "count").key("t");
    assert_eq!(engine.adjust_stock(&adjust).expect("adjusted").value.in_stock, 9);
    hold_by(&engine, second.id, 2);
    let again = engine.adjust_stock(&adjust).expect("replayed");
    assert_eq!((again.value.in_stock, again.replayed), (9, true));
    assert_clean(&engine);
}

fn taken<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, Option<ProductId>) {
    let error = result.expect_err("refused");
    (error.kind(), error.product_id())
}

fn ids_and_skus_are_taken_once(world: &World) {
    let engine = world.engine();
    let most = (1 << 53) - 1;
    let made = create(&engine, lamp().id(most).sku("a"));
    assert_eq!((made.id, made.version), (ProductId(most), 1));
    let exists = (ErrorKind::AlreadyExists, Some(made.id));
    assert_eq!(taken(engine.create_product(lamp().id(most))), exists);
    assert_eq!(taken(engine.create_product(lamp().sku("a"))), exists);
    assert_eq!(taken(engine.create_product(lamp().id(77).sku("a"))), exists);
    let other = create(&engine, lamp());
    assert_eq!(
        taken(engine.change_product(ProductChange::new(other.id).sku("a".to_owned()))),
        exists
    );
    let put = PutProduct::new(other.id, "Lamp", money("1")).sku("a");
    assert_eq!(taken(engine.put_product(put)), exists);
    assert_eq!(engine.product(other.id).expect("is there"), other, "nothing changed");
    for bad in [0, most + 1, u64::MAX] {
        assert_eq!(code(engine.create_product(lamp().id(bad))), "invalid_argument", "{bad}");
        let put = PutProduct::new(bad, "Lamp", money("1"));
        let refused = engine.put_product(put).expect_err("refused");
        assert!(matches!(refused.code(), "invalid_argument" | "not_found"), "{refused}");
    }
    let key = lamp().id(5).sku("keyed").key("k");
    let first = engine.create_product(&key).expect("created");
    let again = engine.create_product(&key).expect("replayed");
    assert_eq!((again.value, again.replayed), (first.value, true));
    assert_eq!(code(engine.create_product(key.sku("other"))), "idempotency_mismatch");
    assert_clean(&engine);
}

fn drawn_ids_go_around_chosen_ones(world: &World) {
    let engine = world.engine();
    let first = create(&engine, lamp()).id.0;
    for id in [first + 1, first + 2, first + 4, (1 << 53) - 1] {
        create(&engine, lamp().id(id));
    }
    let mut drawn: Vec<u64> = (0..4).map(|_| create(&engine, lamp()).id.0).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 4);
    assert!(drawn.iter().all(|id| *id > first && *id < first + 50), "{drawn:?}");
    assert!(drawn.iter().all(|id| ![1, 2, 4].contains(&(id - first))), "{drawn:?}");
}

fn a_put_makes_a_product_and_then_replaces_what_it_is(world: &World) {
    let engine = world.engine();
    let metadata: Metadata = r#"{"shelf": 4, "x":"'\\"}"#.parse().expect("an object");
    let until = world.clock.time().after(secs(3_600));
    let put = PutProduct::new(sku("a"), "Lamp", money("19.99")).stock(40).safety_stock(3);
    let put = put.metadata(metadata.clone()).on_sale_until(until);
    let first = engine.put_product(&put).expect("put");
    assert!(first.created);
    let made = first.product;
    assert_eq!((made.in_stock, made.stock, made.safety_stock, made.version), (40, 37, 3, 1));
    assert_eq!((made.sku.as_deref(), made.on_sale_until), (Some("a"), Some(until)));
    assert_eq!(made.metadata, Some(metadata.clone()));
    assert_eq!(engine.product(made.id).expect("is there"), made);
    // Of another engine, which has not cached it.
    let page = engine.products(None, 9).expect("reads");
    assert!(page.items.contains(&made), "{page:?}");
    let again = engine.put_product(&put).expect("put");
    assert_eq!((again.created, again.product), (false, made.clone()), "nothing changed");
    hold(&engine, made.id, 2);
    let bare =
        PutProduct::new(made.id, "Lamp II", money("5")).currency("KWD".parse().expect("KWD"));
    let bare = engine.put_product(bare).expect("put").product;
    assert_eq!(
        (bare.name.as_str(), bare.price, bare.currency.code()),
        ("Lamp II", money("5"), "KWD")
    );
    let reset = (bare.sku.clone(), bare.metadata.clone(), bare.on_sale_until, bare.safety_stock);
    assert_eq!(reset, (None, None, None, 0));
    assert_eq!((bare.in_stock, bare.stock, bare.held), (38, 38, 2), "the stock stays");
    assert_eq!(bare.version, 3, "a hold and a put");
    assert_eq!(code(engine.product(sku("a"))), "not_found");
    let by_id = PutProduct::new(4_711, "Shade", money("1")).sku("b").stock(7);
    assert!(engine.put_product(&by_id).expect("put").created);
    assert_eq!(engine.product(4_711).expect("is there").sku.as_deref(), Some("b"));
    engine.put_product(by_id.stock(5)).expect("put");
    let events = events_of(&engine, ProductId(4_711));
    assert_eq!(kinds(&events), ["product.created", "stock.adjusted", "stock.adjusted"]);
    let moved: Vec<_> = events.iter().map(|event| event.quantity).collect();
    assert_eq!(moved, [0, 7, -2]);
    assert!(events[1..].iter().all(|event| event.reason.as_deref() == Some("import")));
    let events = events_of(&engine, made.id);
    let wanted = ["product.created", "stock.adjusted", "hold.created", "product.changed"];
    assert_eq!(kinds(&events), wanted);
    assert_eq!((&events[0].metadata, events[0].sku.as_deref()), (&Some(metadata), Some("a")));
    assert_eq!((&events[3].metadata, &events[3].sku), (&None, &None));
    assert_clean(&engine);
}

fn a_change_changes_what_it_names(world: &World) {
    let engine = world.engine();
    let metadata: Metadata = r#"{"a":1}"#.parse().expect("an object");
    let made = create(&engine, lamp().sku("a").metadata(metadata.clone()).safety_stock(1));
    let ordered = order(&engine, made.id, 1);
    let cheaper = ProductChange::new(sku("a")).price(money("9.5")).name("Lamp II").stock(9);
    let changed = engine.change_product(cheaper).expect("changed");
    assert_eq!((changed.name.as_str(), changed.price), ("Lamp II", money("9.5")));
    assert_eq!((changed.in_stock, changed.stock, changed.pending), (9, 8, 1));
    assert_eq!((&changed.sku, &changed.metadata), (&made.sku, &Some(metadata)));
    assert_eq!(engine.product(made.id).expect("is there"), changed);
    let frozen = engine.order(ordered.id).expect("is there");
    assert_eq!((frozen.lines.first().price, frozen.amount), (money("19.99"), money("19.99")));
    let cleared = ProductChange::new(made.id).sku(Change::Clear).metadata(Change::Clear);
    let cleared = engine.change_product(cleared).expect("changed");
    assert_eq!((&cleared.sku, &cleared.metadata), (&None, &None));
    assert_eq!(cleared.version, changed.version + 1);
    let nothing = engine.change_product(ProductChange::new(made.id)).expect("no change");
    assert_eq!(nothing, cleared);
    // An order of it is in the currency that it had.
    let yen = ProductChange::new(made.id).price(money("900")).currency("JPY".parse().expect("JPY"));
    engine.change_product(yen).expect("changed");
    assert_eq!(engine.order(ordered.id).expect("is there"), frozen_without_sku(frozen));
    assert_eq!(deliver(&engine, ordered.id, Outcome::Success, "k").as_str(), "applied");
    assert_clean(&engine);
}

fn frozen_without_sku(order: stockade::Order) -> stockade::Order {
    // An order shows the SKUs that its products have now.
    let json = serde_json::to_value(order).expect("JSON");
    let mut json = json;
    json["lines"][0].as_object_mut().expect("a line").remove("sku");
    serde_json::from_value(json).expect("an order")
}

fn a_version_guards_puts_and_changes(world: &World) {
    let engine = world.engine();
    let made = create(&engine, lamp());
    let named = |version| ProductChange::new(made.id).name(format!("{version}")).version(version);
    assert_eq!(code(engine.change_product(named(2))), "version_mismatch");
    assert_eq!(engine.change_product(named(1)).expect("changed").version, 2);
    assert_eq!(code(engine.change_product(named(1))), "version_mismatch");
    let put = |version| PutProduct::new(made.id, "Lamp", money("1")).version(version);
    assert_eq!(code(engine.put_product(put(1))), "version_mismatch");
    assert_eq!(engine.put_product(put(2)).expect("put").product.version, 3);
    hold(&engine, made.id, 1);
    assert_eq!(code(engine.put_product(put(3))), "version_mismatch");
    let absent = PutProduct::new(sku("none"), "Lamp", money("1")).version(1);
    assert_eq!(code(engine.put_product(absent)), "version_mismatch");
    assert_eq!(code(engine.product(sku("none"))), "not_found");
}

fn terms_that_cannot_be_are_refused(world: &World) {
    let engine = world.engine();
    let made = create(&engine, lamp());
    let (now, bad) = (world.clock.time(), "invalid_argument");
    let jpy = "JPY".parse().expect("JPY");
    for new in [
        lamp().sku(""),
        lamp().sku("x".repeat(129)),
        lamp().sku("a\0"),
        lamp().currency(jpy),
        lamp().safety_stock(u64::MAX),
        lamp().on_sale_from(now).on_sale_until(now),
    ] {
        assert_eq!(code(engine.create_product(new)), bad);
    }
    create(&engine, lamp().sku("\u{1f4a1}".repeat(128)));
    for change in [
        ProductChange::new(made.id).currency(jpy),
        ProductChange::new(made.id).price(money("1.001")),
        ProductChange::new(made.id).name(" "),
        ProductChange::new(made.id).sku(String::new()),
        ProductChange::new(made.id).stock(u64::MAX),
    ] {
        assert_eq!(code(engine.change_product(change)), bad);
    }
    let from = ProductChange::new(made.id).on_sale_from(now.after(secs(9)));
    let changed = engine.change_product(from).expect("changed");
    let until = ProductChange::new(made.id).on_sale_until(now.after(secs(9)));
    assert_eq!(code(engine.change_product(until)), bad, "it would end as it begins");
    assert_eq!(engine.product(made.id).expect("is there"), changed);
    assert_eq!(code(engine.product(sku(""))), bad);
    assert_eq!(code(engine.create_hold(HoldRequest::new(sku(&"x".repeat(129)), 1))), bad);
    let mut both = StockAdjustment::new(made.id, 1, "");
    both.to = Some(7);
    assert_eq!(code(engine.adjust_stock(&both)), bad);
    (both.to, both.delta) = (None, None);
    assert_eq!(code(engine.adjust_stock(&both)), bad);
}

fn two_products_exchange_their_skus(world: &World) {
    let engine = world.engine();
    let (a, b) = (create(&engine, lamp().sku("a")).id, create(&engine, lamp().sku("b")).id);
    let set = |id, sku: &str| engine.change_product(ProductChange::new(id).sku(sku.to_owned()));
    for _ in 0..3 {
        assert_eq!(taken(set(a, "b")), (ErrorKind::AlreadyExists, Some(b)));
        engine.change_product(ProductChange::new(b).sku(Change::Clear)).expect("cleared");
        set(a, "b").expect("changed");
        set(b, "a").expect("changed");
        assert_eq!(hold_by(&engine, sku("a"), 1).product_id, b);
        assert_eq!(engine.product(sku("b")).expect("is there").id, a);
        engine.change_product(ProductChange::new(a).sku(Change::Clear)).expect("cleared");
        set(b, "b").expect("changed");
        set(a, "a").expect("changed");
        assert_eq!(engine.product(sku("b")).expect("is there").id, b);
    }
    assert_clean(&engine);
}

fn an_import_costs_a_bad_line_only_itself(world: &World) {
    let engine = world.engine();
    create(&engine, lamp().id(50).sku("taken"));
    let line = |at: u64| match at % 100 {
        7 => PutProduct::new(sku(&format!("s{at}")), "", money("1")),
        9 => PutProduct::new(1_000_000 + at, "Lamp", money("1")).sku("taken"),
        _ if at.is_multiple_of(2) => {
            PutProduct::new(sku(&format!("s{at}")), format!("Lamp {at}"), money("1")).stock(at)
        }
        _ => PutProduct::new(1_000_000 + at, format!("Lamp {at}"), money("1")).stock(at),
    };
    let lines: Vec<PutProduct> = (0..500).map(line).collect();
    for created in [true, false] {
        let results = engine.put_products(lines.clone()).expect("sent");
        assert_eq!(results.len(), lines.len());
        for (at, result) in (0_u64..).zip(&results) {
            match at % 100 {
                7 => assert_eq!(result.as_ref().expect_err("no name").code(), "invalid_argument"),
                9 => {
                    let error = result.as_ref().expect_err("taken");
                    let wanted = (ErrorKind::AlreadyExists, Some(ProductId(50)));
                    assert_eq!((error.kind(), error.product_id()), wanted);
                }
                _ => {
                    let outcome = result.as_ref().expect("put");
                    assert_eq!((outcome.created, outcome.product.in_stock), (created, at));
                    assert_eq!(outcome.product.version, 1, "the second import changes nothing");
                }
            }
        }
    }
    let read = engine.product(sku("s498")).expect("is there");
    assert_eq!((read.name.as_str(), read.in_stock), ("Lamp 498", 498));
    let twice = [5, 6].map(|stock| PutProduct::new(sku("new"), "Lamp", money("1")).stock(stock));
    let twice = engine.put_products(twice.to_vec()).expect("sent");
    let created = twice.iter().filter(|result| result.as_ref().expect("put").created).count();
    assert_eq!(created, 1, "the same SKU twice is one product");
    assert_clean(&engine);
}

fn a_count_includes_what_is_due(world: &World) {
    let builder = world.builder().set("sweep_batch", "2").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, 10);
    for _ in 0..7 {
        hold(&engine, id, 1);
    }
    world.clock.advance(secs(120));
    let counted = engine.adjust_stock(StockAdjustment::to(id, 8, "count")).expect("adjusted");
    assert_eq!((counted.value.in_stock, counted.value.held), (8, 0));
    let adjusted = events_of(&engine, id).pop().expect("an event");
    assert_eq!((adjusted.quantity, adjusted.reason.as_deref()), (-2, Some("count")));
    let same = engine.adjust_stock(StockAdjustment::to(id, 8, "count")).expect("adjusted");
    assert_eq!(same.value, counted.value, "nothing to adjust");
    let zero = engine.change_product(ProductChange::new(id).stock(0)).expect("changed");
    assert_eq!((zero.in_stock, zero.stock), (0, 0));
    assert_clean(&engine);
}

fn one_sku_goes_to_one_of_many_products(world: &World) {
    one_winner(&engines(world, 1));
}

fn one_sku_goes_to_one_of_many_products_of_two_engines(world: &World) {
    one_winner(&engines(world, 2));
}

fn one_winner(engines: &[Engine]) {
    for round in 0..5 {
        let name = format!("sku {round}");
        let answers = at_once(16, |at| {
            let engine = pick(engines, at);
            let put = || PutProduct::new(700 + at as u64 * 10 + round, "Lamp", money("1"));
            match at % 3 {
                0 => engine.create_product(lamp().sku(&name)).map(|made| made.value),
                1 => engine.put_product(put().sku(&name)).map(|made| made.product),
                _ => {
                    let made = engine.create_product(lamp())?.value;
                    engine.change_product(ProductChange::new(made.id).sku(name.clone()))
                }
            }
        });
        let winners: Vec<_> = answers.iter().flatten().map(|product| product.id).collect();
        let [winner] = winners[..] else { panic!("{winners:?}") };
        assert_eq!(count(&answers, ErrorKind::AlreadyExists), 15);
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(error.product_id(), Some(winner), "{error}");
        }
        assert_eq!(engines[0].product(sku(&name)).expect("is there").id, winner);
        let puts = at_once(16, |at| {
            let put = PutProduct::new(sku(&format!("put {round}")), "Lamp", money("1")).stock(3);
            pick(engines, at).put_product(put)
        });
        let created = puts.iter().filter(|put| put.as_ref().expect("put").created).count();
        assert_eq!(created, 1, "one makes it, the others find it");
    }
    assert_clean(&engines[0]);
}

fn holds_by_sku_follow_it_from_product_to_product(world: &World) {
    moving_sku(&engines(world, 1));
}

fn holds_by_sku_follow_it_with_two_engines(world: &World) {
    moving_sku(&engines(world, 2));
}

/// While a SKU goes from product to product, each hold by it is of the product that has
/// it at that moment: the events of a product, which are in the order of its commits,
/// tell which one.
fn moving_sku(engines: &[Engine]) {
    let first = &engines[0];
    let ids = [0, 1].map(|at| {
        let new = NewProduct::new("Lamp", money("1"), 10_000);
        create(first, if at == 0 { new.sku("x") } else { new }).id
    });
    let is_over = AtomicBool::new(false);
    let held: Vec<Hold> = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..4)
            .map(|at| {
                let (engine, is_over) = (pick(engines, at), &is_over);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        match engine.create_hold(HoldRequest::new(sku("x"), 1)) {
                            Ok(hold) => held.push(hold.value),
                            // Between two products, no product has it.
                            Err(error) => assert_eq!(error.code(), "not_found", "{error}"),
                        }
                    }
                    held
                })
            })
            .collect();
        for round in 0..30 {
            let engine = pick(engines, round / 2);
            let (from, to) = (ids[round % 2], ids[(round + 1) % 2]);
            let clear = ProductChange::new(from).sku(Change::Clear);
            engine.change_product(clear).expect("cleared");
            engine.change_product(ProductChange::new(to).sku("x".to_owned())).expect("set");
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        is_over.store(true, Ordering::Relaxed);
        buyers.into_iter().flat_map(|buyer| buyer.join().expect("no panic")).collect()
    });
    assert!(!held.is_empty());
    let by_sku: BTreeMap<_, _> = held.iter().map(|hold| (hold.id, hold.product_id)).collect();
    assert_eq!(by_sku.len(), held.len());
    let mut has_sku = BTreeMap::new();
    for event in every_event(first) {
        match event.kind {
            EventKind::ProductCreated | EventKind::ProductChanged => {
                has_sku.insert(event.product_id, event.sku.as_deref() == Some("x"));
            }
            EventKind::HoldCreated => {
                let id = event.hold_id.expect("a hold");
                assert_eq!(by_sku.get(&id), Some(&event.product_id));
                assert!(has_sku[&event.product_id], "hold {id} is of a product without the SKU");
            }
            _ => {}
        }
    }
    assert!(held.iter().all(|hold| hold.sku.as_deref() == Some("x")));
    assert_clean(first);
}
