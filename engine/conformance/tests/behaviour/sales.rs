//! Sales: their windows, archived products and safety stock.

use stockade::{
    CartRequest, Change, ChangeQuantityRequest, Error, HoldRequest, NewProduct, OffSale,
    OrderRequest, OrderStatus, Outcome, PaymentDisposition, ProductChange, ProductId, PutProduct,
    Result, StockAdjustment,
};

use crate::catalogue::{create, events_of, hold_by, kinds, lamp, money, sku};
use crate::crowd::engines;
use crate::steps::{TICK, code, deliver, hold, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("sales";
    safety_stock_is_not_held,
    late_money_takes_safety_stock_and_archived_products,
    a_sale_begins_and_ends_to_the_microsecond,
    an_archived_product_is_not_sold_and_all_else_goes_on,
);

/// The same with two engines on one store.
pub const SHARED: &[Scenario] = scenarios!("sales";
    another_engine_honours_a_change_at_once,
);

fn safety_stock_is_not_held(world: &World) {
    let engine = world.engine();
    let id = create(&engine, lamp().safety_stock(2)).id;
    let read = engine.product(id).expect("is there");
    assert_eq!((read.in_stock, read.stock, read.received()), (5, 3, 5));
    let short = engine.create_hold(HoldRequest::new(id, 4)).expect_err("refused");
    assert_eq!((short.code(), short.available()), ("insufficient_stock", Some(3)));
    let rest = engine.create_hold(HoldRequest::new(id, 9).at_most()).expect("held").value;
    assert_eq!(rest.quantity, 3);
    for _ in 0..3 {
        let refused = engine.create_hold(HoldRequest::new(id, 1)).expect_err("sold out");
        assert_eq!((refused.code(), refused.available()), ("insufficient_stock", Some(0)));
    }
    let more = ChangeQuantityRequest::new(rest.id, 4);
    assert_eq!(code(engine.change_quantity(more)), "insufficient_stock");
    let cart = CartRequest::new([(id, 1)]);
    assert_eq!(engine.create_holds(cart).expect_err("refused").short()[0].available, 0);
    // As soon as less is kept back, more is for sale.
    engine.change_product(ProductChange::new(id).safety_stock(1)).expect("changed");
    hold(&engine, id, 1);
    let more = engine.change_product(ProductChange::new(id).safety_stock(7)).expect("changed");
    assert_eq!((more.in_stock, more.stock), (1, 0), "never below zero");
    engine.release_hold(rest.id).expect("released");
    let read = engine.product(id).expect("is there");
    assert_eq!((read.in_stock, read.stock, read.held), (4, 0, 1));
    let gone = engine.adjust_stock(StockAdjustment::new(id, -4, "lost")).expect("all of it");
    assert_eq!((gone.value.in_stock, gone.value.stock), (0, 0));
    assert_clean(&engine);
}

fn late_money_takes_safety_stock_and_archived_products(world: &World) {
    let engine = world.engine();
    let id = create(&engine, lamp().safety_stock(5).on_sale_until(world.clock.time())).id;
    let open = ProductChange::new(id).safety_stock(0).on_sale_until(Change::Clear);
    engine.change_product(open).expect("changed");
    let late = order(&engine, id, 5);
    deliver(&engine, late.id, Outcome::Failure, "f");
    let close = ProductChange::new(id).safety_stock(5).archived(true);
    engine.change_product(close.on_sale_until(world.clock.time())).expect("changed");
    deliver(&engine, late.id, Outcome::Success, "s");
    let paid = engine.order(late.id).expect("is there");
    let wanted = (OrderStatus::Paid, PaymentDisposition::ReReserved);
    assert_eq!((paid.status, paid.payment_disposition), wanted);
    assert_eq!(engine.product(id).expect("is there").in_stock, 0);
    assert_clean(&engine);
}

#[track_caller]
fn off_sale<T: std::fmt::Debug>(result: Result<T>, id: ProductId) -> OffSale {
    let error: Error = result.expect_err("not for sale");
    assert_eq!((error.code(), error.product_id()), ("not_on_sale", Some(id)), "{error}");
    error.off_sale().expect("a reason")
}

fn a_sale_begins_and_ends_to_the_microsecond(world: &World) {
    let engine = world.engine();
    let now = world.clock.time();
    let (from, until) = (now.after(secs(10)), now.after(secs(20)));
    let id = create(&engine, lamp().on_sale_from(from).on_sale_until(until)).id;
    let other = product(&engine, 5);
    let one = || engine.create_hold(HoldRequest::new(id, 1));
    let cart = || engine.create_holds(CartRequest::new([(other, 1), (id, 1)]));
    assert_eq!(off_sale(one(), id), OffSale::Before(from));
    world.clock.set(from.before(TICK));
    assert_eq!(off_sale(one(), id), OffSale::Before(from));
    assert_eq!(off_sale(cart(), id), OffSale::Before(from));
    world.clock.set(from);
    let first = one().expect("held").value;
    world.clock.advance(secs(5));
    for _ in 0..3 {
        one().expect("held");
    }
    let refused = engine.create_hold(HoldRequest::new(id, 2)).expect_err("one is left");
    assert_eq!(refused.code(), "insufficient_stock");
    world.clock.set(until.before(TICK));
    let last = one().expect("held").value;
    world.clock.set(until);
    assert_eq!(off_sale(one(), id), OffSale::Since(until));
    assert_eq!(off_sale(cart(), id), OffSale::Since(until));
    let batch = engine.create_hold_batch(vec![HoldRequest::new(id, 1); 3]).expect("sent");
    for answer in batch {
        assert_eq!(off_sale(answer, id), OffSale::Since(until));
    }
    let keyed = HoldRequest::new(id, 1).key("k");
    assert_eq!(off_sale(engine.create_hold(&keyed), id), OffSale::Since(until));
    let longer = ProductChange::new(id).on_sale_until(Change::Clear).stock(5);
    engine.release_hold(last.id).expect("released");
    let more = ChangeQuantityRequest::new(first.id, 2);
    assert_eq!(off_sale(engine.change_quantity(&more), id), OffSale::Since(until));
    engine.create_order(OrderRequest::new(first.id, id)).expect("held in time");
    engine.change_product(longer).expect("changed");
    hold(&engine, id, 2);
    let kept = engine.create_hold(&keyed).expect_err("the first answer");
    assert_eq!((kept.off_sale(), kept.replayed()), (Some(OffSale::Since(until)), true));
    assert_clean(&engine);
}

fn an_archived_product_is_not_sold_and_all_else_goes_on(world: &World) {
    let engine = world.engine();
    let id = create(&engine, lamp().sku("a")).id;
    let held = hold(&engine, id, 3);
    let ordered = order(&engine, id, 1);
    let archive = ProductChange::new(id).archived(true);
    let archived = engine.change_product(&archive).expect("archived");
    assert!(archived.archived);
    let again = engine.change_product(&archive).expect("archived");
    assert_eq!(again, archived, "once is enough");
    assert_eq!(off_sale(engine.create_hold(HoldRequest::new(sku("a"), 1)), id), OffSale::Archived);
    let page = engine.products(None, 9).expect("reads");
    assert!(page.items.iter().any(|product| product.id == id && product.archived));
    let fewer = ChangeQuantityRequest::new(held.id, 2);
    engine.change_quantity(fewer).expect("fewer units");
    engine.create_order(OrderRequest::new(held.id, id)).expect("ordered");
    assert_eq!(deliver(&engine, ordered.id, Outcome::Success, "k").as_str(), "applied");
    engine.adjust_stock(StockAdjustment::new(id, 1, "found")).expect("adjusted");
    // Sold out before: the refusal says what is so.
    engine.adjust_stock(StockAdjustment::to(id, 0, "lost")).expect("adjusted");
    let put = PutProduct::new(id, "Lamp", money("1"));
    assert!(engine.put_product(put).expect("put").product.archived, "an import revives nothing");
    assert_eq!(off_sale(engine.create_hold(HoldRequest::new(id, 1)), id), OffSale::Archived);
    let revived = engine.change_product(ProductChange::new(id).archived(false)).expect("revived");
    assert!(!revived.archived);
    for _ in 0..2 {
        assert_eq!(code(engine.create_hold(HoldRequest::new(id, 1))), "insufficient_stock");
    }
    engine.change_product(&archive).expect("archived");
    assert_eq!(off_sale(engine.create_hold(HoldRequest::new(id, 1)), id), OffSale::Archived);
    let events = events_of(&engine, id);
    let about: Vec<_> = kinds(&events).into_iter().filter(|it| it.starts_with("product")).collect();
    let wanted = ["created", "archived", "changed", "changed", "archived"];
    assert_eq!(about, wanted.map(|kind| format!("product.{kind}")));
    assert_clean(&engine);
}

/// What another engine has in memory of a product grants nothing that the product no
/// longer allows.
fn another_engine_honours_a_change_at_once(world: &World) {
    let both = engines(world, 2);
    let (one, other) = (&both[0], &both[1]);
    let id = create(one, NewProduct::new("Lamp", money("1"), 1_000).sku("a")).id;
    for round in 0..10 {
        // The other engine is the last to write it, and decides on its memory.
        for _ in 0..5 {
            hold_by(other, sku("a"), 1);
        }
        one.change_product(ProductChange::new(id).archived(true)).expect("archived");
        assert_eq!(off_sale(other.create_hold(HoldRequest::new(id, 1)), id), OffSale::Archived);
        let in_stock = one.product(id).expect("is there").in_stock;
        let kept = ProductChange::new(id).archived(false).safety_stock(in_stock);
        one.change_product(kept).expect("changed");
        let short = other.create_hold(HoldRequest::new(id, 1)).expect_err("all is kept back");
        assert_eq!((short.code(), short.available()), ("insufficient_stock", Some(0)), "{round}");
        one.change_product(ProductChange::new(id).safety_stock(0)).expect("changed");
    }
    assert_clean(one);
}
