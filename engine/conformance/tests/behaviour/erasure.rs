//! Customers whose names are erased.

use stockade::{
    Engine, EventKind, HoldId, HoldQuery, HoldRequest, OrderQuery, OrderRequest, Outcome,
    ProductId, RefundRequest,
};

use crate::crowd::{at_once, engines, pick};
use crate::steps::{all_events, code, deliver, order, secs, sql};
use crate::world::{Backend, World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("erasure";
    an_erased_name_is_nowhere_and_the_next_who_has_it_is_new,
    an_answer_is_kept_without_a_name_and_repeated_with_it,
    erasing_nobody_changes_nothing,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("erasure";
    a_name_is_stored_once,
    names_are_new_once_however_many_ask_at_once,
    a_name_is_deleted_with_the_last_hold_and_order_of_its_customer,
);

fn ask(engine: &Engine, id: ProductId, customer: &str) -> HoldId {
    let request = HoldRequest::new(id, 1).customer(customer);
    engine.create_hold(request).expect("held").value.id
}

fn limited(world: &World) -> Engine {
    let builder = world.builder().set("max_per_customer", "2");
    let builder = builder.and_then(|builder| builder.set("customer_window", "7days"));
    builder.expect("settings").open().expect("opens")
}

fn an_erased_name_is_nowhere_and_the_next_who_has_it_is_new(world: &World) {
    let engine = limited(world);
    let id = product(&engine, 50);
    let (kept, used) = (ask(&engine, id, "ann"), ask(&engine, id, "ann"));
    let made = engine.create_order(OrderRequest::new(used, id)).expect("ordered").value;
    deliver(&engine, made.id, Outcome::Success, "paid");
    order(&engine, id, 1);
    let full = HoldRequest::new(id, 1).customer("ann");
    assert_eq!(code(engine.create_hold(&full)), "quantity_limit");
    let erased = engine.erase_customer("ann".to_owned()).expect("erased");
    assert_eq!((erased.holds, erased.orders), (2, 1));
    let name = engine.hold(kept).expect("reads").customer.expect("a name");
    assert!(name.starts_with("erased-") && name.len() == 39, "{name}");
    assert_eq!(engine.order(made.id).expect("reads").customer.as_ref(), Some(&name));
    assert!(engine.holds(HoldQuery::new(9).customer("ann")).expect("reads").items.is_empty());
    assert!(engine.orders(OrderQuery::new(9).customer("ann")).expect("reads").items.is_empty());
    assert_eq!(engine.orders(OrderQuery::new(9).customer(&name)).expect("reads").items.len(), 1);
    let events = all_events(&engine);
    assert!(events.iter().all(|event| event.customer.as_deref() != Some("ann")));
    let of_them = events.iter().filter(|event| event.customer.as_ref() == Some(&name));
    assert_eq!(of_them.count(), 5, "two holds, an order, its payment, the erasure");
    let last = events.last().expect("an event");
    assert_eq!((last.kind, last.product_id.0), (EventKind::CustomerErased, 0));
    assert_eq!((last.quantity, last.version, last.hold_id), (0, 0, None));
    // By the same name it is another customer.
    engine.create_hold(&full).expect("held");
    engine.create_hold(&full).expect("held");
    assert_eq!(code(engine.create_hold(&full)), "quantity_limit");
    // What is known of the old one goes on.
    engine.refund_order(RefundRequest::new(made.id)).expect("refunded");
    engine.release_hold(kept).expect("released");
    assert_clean(&engine);
}

fn an_answer_is_kept_without_a_name_and_repeated_with_it(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 50);
    let answers = || sql(world, "SELECT CAST(answer AS CHAR) FROM stockade_idempotency_keys");
    let has_sql = world.backend != Backend::SqliteMemory;
    // The client of a running engine has keyed the making of the product.
    let before = if has_sql { answers().len() } else { 0 };
    let request = HoldRequest::new(id, 1).customer("ann").key("hold");
    let first = engine.create_hold(&request).expect("held").value;
    assert_eq!(first.customer.as_deref(), Some("ann"));
    let ordering = OrderRequest::new(first.id, id).key("order");
    let made = engine.create_order(&ordering).expect("ordered").value;
    assert_eq!(made.customer.as_deref(), Some("ann"));
    deliver(&engine, made.id, Outcome::Success, "paid");
    let refund = RefundRequest::new(made.id).key("refund");
    let refunded = engine.refund_order(&refund).expect("refunded").value;
    assert_eq!(refunded.customer.as_deref(), Some("ann"));
    let again = || {
        let held = engine.create_hold(&request).expect("again");
        let ordered = engine.create_order(&ordering).expect("again");
        let refunded = engine.refund_order(&refund).expect("again");
        assert!(held.replayed && ordered.replayed && refunded.replayed);
        (held.value, ordered.value, refunded.value)
    };
    assert_eq!(again(), (first.clone(), made.clone(), refunded));
    if has_sql {
        let kept = answers();
        assert_eq!(kept.len(), before + 3, "{kept:?}");
        assert!(kept.iter().flatten().all(|answer| !answer.contains("ann")), "{kept:?}");
    }
    engine.erase_customer("ann".to_owned()).expect("erased");
    let (held, ordered, refunded) = again();
    assert_eq!(held, first, "the caller who repeats the request has the name");
    let name = engine.hold(first.id).expect("reads").customer;
    assert_eq!((&ordered.customer, &refunded.customer), (&name, &name));
    assert_clean(&engine);
}

fn erasing_nobody_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 50);
    ask(&engine, id, "ann");
    let before = all_events(&engine).len();
    let erased = engine.erase_customer("bob".to_owned()).expect("nobody");
    assert_eq!((erased.holds, erased.orders), (0, 0));
    assert_eq!(all_events(&engine).len(), before);
    assert_eq!(code(engine.erase_customer(String::new())), "invalid_argument");
    assert_eq!(code(engine.erase_customer("a\0".to_owned())), "invalid_argument");
}

fn a_name_is_stored_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 50);
    let held = ask(&engine, id, "Annabel Lee");
    engine.create_order(OrderRequest::new(held, id)).expect("ordered");
    ask(&engine, id, "Annabel Lee");
    let named = "SELECT CAST(COUNT(*) AS CHAR) FROM stockade_customers";
    assert_eq!(sql(world, named), [["1"]]);
    let bodies = sql(world, "SELECT body FROM stockade_outbox");
    assert!(bodies.iter().flatten().all(|body| !body.contains("Annabel")));
    assert_clean(&engine);
}

/// Several engines meet the same new names at once, on several products.
fn names_are_new_once_however_many_ask_at_once(world: &World) {
    let engines = engines(world, 3);
    let products: Vec<ProductId> = (0..4).map(|_| product(&engines[0], 500)).collect();
    let held = at_once(24, |at| {
        let engine = pick(&engines, at);
        let names = (0..10).map(|turn| format!("c{}", (at + turn) % 7));
        names.map(|name| (ask(engine, products[at % 4], &name), name)).collect::<Vec<_>>()
    });
    for (id, name) in held.into_iter().flatten() {
        assert_eq!(engines[0].hold(id).expect("reads").customer, Some(name));
    }
    let named = "SELECT CAST(COUNT(*) AS CHAR) FROM stockade_customers";
    assert_eq!(sql(world, named), [["7"]]);
    assert_clean(&engines[0]);
}

fn a_name_is_deleted_with_the_last_hold_and_order_of_its_customer(world: &World) {
    let builder = world.builder().set("retention", "10days");
    let builder = builder.and_then(|builder| builder.set("order_retention", "20days"));
    let engine = builder.expect("settings").open().expect("opens");
    let id = product(&engine, 50);
    let days = |number: u64| secs(number * 86_400);
    ask(&engine, id, "ann");
    let used = ask(&engine, id, "bob");
    let made = engine.create_order(OrderRequest::new(used, id)).expect("ordered").value;
    deliver(&engine, made.id, Outcome::Success, "paid");
    let named = || {
        let names = sql(world, "SELECT CAST(name AS CHAR) FROM stockade_customers ORDER BY name");
        names.into_iter().flatten().collect::<Vec<_>>()
    };
    world.clock.advance(days(9));
    ask(&engine, id, "cid");
    engine.sweep().expect("sweeps");
    assert_eq!(named(), ["ann", "bob", "cid"]);
    world.clock.advance(days(2));
    engine.sweep().expect("sweeps");
    assert_eq!(named(), ["bob", "cid"], "an order of one is kept");
    world.clock.advance(days(10));
    engine.sweep().expect("sweeps");
    assert!(named().is_empty());
    ask(&engine, id, "ann");
    assert_eq!(named(), ["ann"]);
    assert_clean(&engine);
}
