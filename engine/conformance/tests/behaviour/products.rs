//! Products: making, reading and adjusting them.

use stockade::{Money, NewProduct, ProductId, StockAdjustment};

use stockade_testkit::wait_until;

use crate::outsider::Outsider;
use crate::steps::{SOON, all_events, assert_numbers, code, deliver, hold, order};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("products";
    a_new_product_is_as_it_was_described,
    a_key_creates_a_product_once,
    names_are_kept_to_the_letter,
    prices_are_kept_to_the_minor_unit,
    a_product_that_cannot_be_is_refused,
    pages_follow_each_other_without_gaps,
    stock_is_adjusted_up_and_down_but_never_below_zero,
    stock_is_never_more_than_can_be_counted,
    an_adjustment_with_a_key_is_done_once,
    an_adjustment_with_a_stale_version_is_refused,
    many_great_products_can_still_be_audited,
    a_product_is_read_as_soon_as_it_is_there,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("products";
    what_another_engine_wrote_is_read_soon_and_never_forgotten_again,
    a_store_put_back_to_an_earlier_state_is_believed,
);

/// A backup of a row is written back while the engine runs: nothing that is
/// remembered outlives its time.
fn a_store_put_back_to_an_earlier_state_is_believed(world: &World) {
    let engine = world.builder().set("cache_ttl", "100ms").expect("a setting");
    let engine = engine.open().expect("opens");
    let id = product(&engine, 10);
    for _ in 0..10 {
        hold(&engine, id, 1);
    }
    assert_eq!(engine.product(id).expect("reads").stock, 0);
    let refused = engine.create_hold(stockade::HoldRequest::new(id, 1)).expect_err("sold out");
    assert_eq!(refused.code(), "insufficient_stock");
    let mut outsider = Outsider::new(world);
    outsider.run(&format!("DELETE FROM stockade_hold_batches WHERE product_id = {id}"));
    outsider.run(&format!(
        "UPDATE stockade_products SET stock = 10, held = 0, version = 1, next_due = NULL WHERE id = {id}"
    ));
    wait_until("the store's row is read", SOON, || engine.product(id).expect("reads").stock == 10);
    hold(&engine, id, 4);
    assert_eq!(engine.product(id).expect("reads").stock, 6);
}

fn money(text: &str) -> Money {
    text.parse().expect("a price")
}

fn a_new_product_is_as_it_was_described(world: &World) {
    let engine = world.engine();
    let first =
        engine.create_product(NewProduct::new("Lamp", money("19.99"), 5)).expect("created").value;
    assert_eq!((first.name.as_str(), first.price), ("Lamp", money("19.99")));
    assert_eq!((first.stock, first.held, first.pending, first.sold), (5, 0, 0, 0));
    assert_eq!((first.version, first.received()), (1, 5));
    let second =
        engine.create_product(NewProduct::new("Lamp", money("1"), 0)).expect("created").value;
    assert!(second.id > first.id, "the same name twice is two products");
    assert_eq!(engine.product(first.id).expect("is there"), first);
    assert_eq!(engine.product(second.id).expect("is there"), second);
    assert_eq!(engine.products(None, 10).expect("reads").items, [first, second]);
    assert_clean(&engine);
}

fn a_key_creates_a_product_once(world: &World) {
    let engine = world.engine();
    let lamp = NewProduct::new("Lamp", money("19.99"), 5).key("import-7");
    let first = engine.create_product(&lamp).expect("created");
    assert!(!first.replayed);
    // The answer is the first one, whatever became of the product meanwhile.
    hold(&engine, first.value.id, 2);
    for _ in 0..2 {
        let again = engine.create_product(&lamp).expect("replayed");
        assert_eq!((again.replayed, &again.value), (true, &first.value));
    }
    for other in [
        NewProduct::new("Lamb", money("19.99"), 5),
        NewProduct::new("Lamp", money("19.98"), 5),
        NewProduct::new("Lamp", money("19.99"), 6),
    ] {
        assert_eq!(code(engine.create_product(other.key("import-7"))), "idempotency_mismatch");
    }
    let held = stockade::HoldRequest::new(first.value.id, 1).key("import-7");
    assert_eq!(code(engine.create_hold(&held)), "idempotency_mismatch");
    assert_eq!(code(engine.create_product(lamp.clone().key(""))), "invalid_argument");
    assert_eq!(engine.products(None, 10).expect("reads").items.len(), 1);
    // Without a key, and with another, each is a product of its own.
    engine.create_product(NewProduct::new("Lamp", money("19.99"), 5)).expect("created");
    engine.create_product(lamp.key("import-8")).expect("created");
    assert_eq!(engine.products(None, 10).expect("reads").items.len(), 3);
    // Callers at the same time create one.
    let rug = NewProduct::new("Rug", money("1"), 1).key("import-9");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let create = || engine.create_product(&rug).expect("created").value.id;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(engine.products(None, 10).expect("reads").items.len(), 4);
    assert_clean(&engine);
}

fn names_are_kept_to_the_letter(world: &World) {
    let engine = world.engine();
    let longest = "é".repeat(255);
    let longest_in_bytes = "🪔".repeat(255);
    let names = [
        "Öllampe „Größe XL“",
        "灯 — ランプ — مصباح",
        "👩‍👩‍👧‍👦 🪔",
        "O'Hara \\ \"x\"; DROP TABLE stockade_products; -- %_`$1?",
        " spaces around ",
        "line\nbreak\tand tab",
        "e\u{301} is not é",
        &longest,
        &longest_in_bytes,
    ];
    for name in names {
        let made =
            engine.create_product(NewProduct::new(name, money("1"), 1)).expect("created").value;
        assert_eq!(made.name, name);
        assert_eq!(engine.product(made.id).expect("is there").name, name);
    }
    let read = engine.products(None, 100).expect("reads").items;
    assert!(read.iter().map(|product| product.name.as_str()).eq(names));
    // A commit writes the row anew and leaves the name alone.
    hold(&engine, read[8].id, 1);
    assert_eq!(engine.product(read[8].id).expect("is there").name, longest_in_bytes);
    assert_clean(&engine);
}

fn prices_are_kept_to_the_minor_unit(world: &World) {
    let engine = world.engine();
    for text in ["0", "0.01", "0.1", "19.99", "200", "92233720368547758.07"] {
        let made =
            engine.create_product(NewProduct::new("Lamp", money(text), 1)).expect("created").value;
        assert_eq!(engine.product(made.id).expect("is there").price.to_string(), text);
    }
    assert!(Money::from_minor(-1).is_err());
    assert_clean(&engine);
}

fn a_product_that_cannot_be_is_refused(world: &World) {
    let engine = world.engine();
    for name in ["", "   ", "\t\n", &"é".repeat(256)] {
        let new = NewProduct::new(name, money("1"), 1);
        assert_eq!(code(engine.create_product(&new)), "invalid_argument", "{name:?}");
    }
    for stock in [i64::MAX as u64 + 1, u64::MAX] {
        let new = NewProduct::new("Sand", money("1"), stock);
        assert_eq!(code(engine.create_product(&new)), "invalid_argument", "{stock}");
    }
    assert_eq!(engine.products(None, 10).expect("reads").items, []);
    assert!(all_events(&engine).is_empty());
    assert_clean(&engine);
}

fn pages_follow_each_other_without_gaps(world: &World) {
    let engine = world.engine();
    let empty = engine.products(None, 5).expect("reads");
    assert_eq!((empty.items.len(), empty.next), (0, None));
    let ids: Vec<_> = (0..7).map(|stock| product(&engine, stock)).collect();
    for limit in [1, 2, 3, 6, 7, 8, 1_000] {
        let (mut read, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = engine.products(after, limit).expect("reads");
            pages += 1;
            read.extend(page.items.iter().map(|product| product.id));
            assert!(page.next.is_none() || page.next == read.last().copied());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, ids, "in pages of {limit}");
        assert_eq!(pages, 7_u32.div_ceil(limit), "no empty page at the end");
    }
    let rest = engine.products(Some(ids[4]), 10).expect("reads").items;
    assert_eq!(rest.iter().map(|product| product.id).collect::<Vec<_>>(), ids[5..]);
    for beyond in [ids[6], ProductId(i64::MAX as u64), ProductId(u64::MAX)] {
        let page = engine.products(Some(beyond), 10).expect("reads");
        assert_eq!((page.items.len(), page.next), (0, None));
    }
    assert_eq!(engine.products(Some(ProductId(0)), 10).expect("reads").items.len(), 7);
    assert_clean(&engine);
}

fn an_adjustment_with_a_key_is_done_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let received = StockAdjustment::new(id, 10, "delivery").key("delivery-7");
    let first = engine.adjust_stock(&received).expect("adjusted");
    assert!(!first.replayed);
    let again = engine.adjust_stock(&received).expect("replayed");
    assert!(again.replayed);
    assert_eq!(again.value, first.value);
    let other = StockAdjustment::new(id, 11, "delivery").key("delivery-7");
    assert_eq!(code(engine.adjust_stock(&other)), "idempotency_mismatch");
    // A refusal is kept as well: its repetition stays refused.
    let lost = StockAdjustment::new(id, -16, "lost").key("lost-1");
    assert_eq!(code(engine.adjust_stock(&lost)), "insufficient_stock");
    engine.adjust_stock(StockAdjustment::new(id, 1, "found")).expect("adjusted");
    let error = engine.adjust_stock(&lost).expect_err("replayed");
    assert!(error.replayed() && error.code() == "insufficient_stock", "{error:?}");
    assert_numbers(&engine, id, [16, 0, 0, 0]);
    assert_clean(&engine);
}

fn an_adjustment_with_a_stale_version_is_refused(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let seen = engine.product(id).expect("is there").version;
    hold(&engine, id, 1);
    let counted = StockAdjustment::new(id, 3, "counted");
    assert_eq!(code(engine.adjust_stock(counted.clone().version(seen))), "version_mismatch");
    assert_numbers(&engine, id, [4, 1, 0, 0]);
    let now = engine.products(None, 1).expect("reads").items[0].version;
    let after = engine.adjust_stock(counted.version(now)).expect("adjusted").value;
    assert_eq!((after.stock, after.version), (7, now + 1));
    assert_clean(&engine);
}

fn stock_is_adjusted_up_and_down_but_never_below_zero(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    hold(&engine, id, 1);
    let sold = order(&engine, id, 1);
    deliver(&engine, sold.id, stockade::Outcome::Success, "evt");
    order(&engine, id, 1);
    let before = engine.product(id).expect("is there");
    let adjust = |delta| engine.adjust_stock(StockAdjustment::new(id, delta, "counted"));
    let after = adjust(10).expect("adjusted");
    assert_eq!((after.value.stock, after.value.version), (12, before.version + 1));
    assert_eq!(engine.product(id).expect("is there"), after.value);
    assert_eq!(adjust(-5).expect("adjusted").value.stock, 7);
    let error = adjust(-8).expect_err("refused");
    assert_eq!((error.code(), error.available()), ("insufficient_stock", Some(7)));
    assert_eq!(error.short()[0].requested, 8);
    let error = adjust(i64::MIN).expect_err("refused");
    assert_eq!((error.code(), error.short()[0].requested), ("insufficient_stock", 1 << 63));
    assert_numbers(&engine, id, [7, 1, 1, 1]);
    // What is held, ordered or sold cannot be written off.
    assert_eq!(adjust(-7).expect("adjusted").value.stock, 0);
    assert_eq!(code(adjust(-1)), "insufficient_stock");
    assert_numbers(&engine, id, [0, 1, 1, 1]);
    assert_eq!(assert_clean(&engine).units.received, 3);
}

fn stock_is_never_more_than_can_be_counted(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    hold(&engine, id, 2);
    let adjust = |delta| engine.adjust_stock(StockAdjustment::new(id, delta, "received"));
    for delta in [i64::MAX, i64::MAX - 1, i64::MAX - 4] {
        assert_eq!(code(adjust(delta)), "invalid_argument", "{delta}");
    }
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    assert_clean(&engine);
    let most = adjust(i64::MAX - 5).expect("adjusted");
    assert_eq!((most.value.stock, most.value.received()), (i64::MAX as u64 - 2, i64::MAX as u64));
    assert_eq!(code(adjust(1)), "invalid_argument");
    assert_numbers(&engine, id, [i64::MAX as u64 - 2, 2, 0, 0]);
    assert_clean(&engine);
}

fn many_great_products_can_still_be_audited(world: &World) {
    let engine = world.engine();
    let sand = |stock| engine.create_product(NewProduct::new("Sand", money("0.01"), stock));
    let third = i64::MAX / 3;
    for _ in 0..3 {
        sand(third.unsigned_abs()).expect("created");
    }
    let report = assert_clean(&engine);
    assert_eq!((report.products, report.units.received), (3, i128::from(third * 3)));
    sand(i64::MAX.unsigned_abs()).expect("created");
    let report = assert_clean(&engine);
    let units = report.units;
    let sum = i128::from(third * 3) + i128::from(i64::MAX);
    assert_eq!((report.products, units.received, units.stock, units.held), (4, sum, sum, 0));
}

fn a_product_is_read_as_soon_as_it_is_there(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    for _ in 0..3 {
        let next = ProductId(engine.products(None, 10).expect("reads").items.len() as u64 + id.0);
        // That there is none may be kept in mind, but not for longer than that.
        assert_eq!(code(engine.product(next)), "not_found");
        assert_eq!(code(engine.product(next)), "not_found");
        assert_eq!(product(&engine, 7), next);
        assert_numbers(&engine, next, [7, 0, 0, 0]);
    }
    assert_clean(&engine);
}

fn what_another_engine_wrote_is_read_soon_and_never_forgotten_again(world: &World) {
    let builder = world.builder().set("cache_ttl", "100ms").expect("a setting");
    let (writer, reader) = (world.engine(), builder.open().expect("opens"));
    let id = product(&writer, 9);
    for round in 1..=3 {
        let before = reader.product(id).expect("is there").version;
        hold(&writer, id, 1);
        let written = writer.product(id).expect("is there");
        assert_eq!((written.stock, written.version), (9 - round, before + 1));
        wait_until("the reader has heard of it", SOON, || {
            let read = reader.product(id).expect("is there");
            assert!(read.version == before || read == written, "{read:?}");
            read == written
        });
        for _ in 0..50 {
            assert_eq!(reader.product(id).expect("is there"), written);
        }
    }
    assert_clean(&writer);
    assert_clean(&reader);
}
