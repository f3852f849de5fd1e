//! Who asked for what, and what shops keep with holds and orders.

use stockade::{
    CancelRequest, CartRequest, Engine, Event, EventKind, HoldQuery, HoldRequest, Metadata,
    OrderQuery, OrderRequest, Outcome, PaymentEvent, PaymentStatus, ProductId, RefundRequest,
    StockAdjustment,
};

use crate::steps::{Later, all_events, code, deliver, hold, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("attribution";
    events_name_who_asked_and_why,
    an_order_names_who_made_it,
    what_nobody_asked_for_names_nobody,
    a_name_that_no_event_can_keep_is_refused,
    metadata_is_kept_as_it_came_and_told_by_events,
    metadata_is_a_part_of_the_request_that_a_key_names,
    an_erasure_empties_metadata,
    events_name_the_order_and_the_product_as_the_shop_does,
    a_dispute_is_an_event_and_changes_nothing,
);

fn clerk(engine: &Engine) -> Engine {
    engine.acting_as("clerk").expect("a name")
}

fn metadata(text: &str) -> Metadata {
    text.parse().expect("an object")
}

fn of_kind(engine: &Engine, kind: EventKind) -> Event {
    let found = all_events(engine).into_iter().rfind(|event| event.kind == kind);
    found.unwrap_or_else(|| panic!("no {}", kind.as_str()))
}

fn told(engine: &Engine, kind: EventKind) -> (Option<String>, Option<String>) {
    let event = of_kind(engine, kind);
    (event.actor, event.reason)
}

fn named(actor: &str, reason: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(actor.to_owned()), reason.map(str::to_owned))
}

fn events_name_who_asked_and_why(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let clerk = clerk(&engine);
    clerk.adjust_stock(StockAdjustment::new(id, -1, "broken")).expect("adjusted");
    assert_eq!(told(&engine, EventKind::StockAdjusted), named("clerk", Some("broken")));
    let held = hold(&clerk, id, 1);
    assert_eq!(told(&engine, EventKind::HoldCreated), named("clerk", None));
    engine.release_hold(held.id).expect("released");
    assert_eq!(told(&engine, EventKind::HoldReleased), (None, None));
    let ordered = |by: &Engine| {
        let held = hold(by, id, 1);
        by.create_order(OrderRequest::new(held.id, id)).expect("ordered").value.id
    };
    let cancelled = ordered(&clerk);
    assert_eq!(told(&engine, EventKind::OrderCreated), named("clerk", None));
    let boss = engine.acting_as("boss").expect("a name");
    boss.cancel_order(CancelRequest::new(cancelled).reason("phoned")).expect("cancelled");
    assert_eq!(told(&engine, EventKind::OrderCancelled), named("boss", Some("phoned")));
    let paid = ordered(&engine);
    deliver(&engine, paid, Outcome::Success, "paid");
    boss.refund_order(RefundRequest::new(paid).restock().reason("torn")).expect("refunded");
    assert_eq!(told(&engine, EventKind::OrderRefunded), named("boss", Some("torn")));
    assert_eq!(told(&engine, EventKind::OrderRestocked), named("boss", Some("torn")));
    // One name for many events, and each has its own.
    let requests: Vec<_> = (0..4).map(|_| HoldRequest::new(id, 1)).collect();
    clerk.create_hold_batch(requests).expect("answers");
    hold(&engine, id, 1);
    let created = all_events(&engine).into_iter().filter(|it| it.kind == EventKind::HoldCreated);
    let actors: Vec<_> = created.map(|event| event.actor.is_some()).collect();
    assert_eq!(actors, [true, true, false, true, true, true, true, false]);
    engine.erase_customer("ann".to_owned()).expect("nobody");
    assert_clean(&engine);
}

fn an_order_names_who_made_it(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let clerk = clerk(&engine);
    let request = OrderRequest::new(hold(&engine, id, 1).id, id).key("order");
    let made = clerk.create_order(&request).expect("ordered").value;
    assert_eq!(made.created_by.as_deref(), Some("clerk"));
    assert_eq!(engine.order(made.id).expect("reads"), made.later());
    assert_eq!(clerk.create_order(&request).expect("again").value, made);
    let listed = engine.orders(OrderQuery::new(9)).expect("reads").items;
    assert_eq!(listed, [made.later()]);
    let other = engine.create_order(OrderRequest::new(hold(&clerk, id, 1).id, id));
    assert_eq!(other.expect("ordered").value.created_by, None);
}

fn what_nobody_asked_for_names_nobody(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 3);
    let clerk = clerk(&engine);
    let short = HoldRequest::new(id, 3).ttl(secs(5));
    clerk.create_hold(&short).expect("held");
    world.clock.advance(secs(6));
    // The transaction of this one reclaims what is due.
    clerk.create_hold(&short).expect("held");
    assert_eq!(told(&engine, EventKind::HoldExpired), (None, None));
    assert_eq!(told(&engine, EventKind::HoldCreated), named("clerk", None));
    world.clock.advance(secs(6));
    let held = hold(&clerk, id, 1);
    let ordering = OrderRequest::new(held.id, id).payment_ttl(secs(9));
    let made = clerk.create_order(ordering).expect("ordered").value;
    world.clock.advance(secs(10));
    clerk.cancel_order(made.id).expect("is cancelled");
    assert_eq!(told(&engine, EventKind::OrderCancelled), (None, None), "it was due");
    // Who makes an order did not send the payment that waited for it.
    let early = PaymentEvent::for_reference("r-1", Outcome::Success).key("early");
    engine.record_payment(&early).expect("kept");
    let held = hold(&clerk, id, 1);
    clerk.create_order(OrderRequest::new(held.id, id).reference("r-1")).expect("ordered");
    assert_eq!(told(&engine, EventKind::OrderPaid), (None, None));
    assert_clean(&engine);
}

fn a_name_that_no_event_can_keep_is_refused(world: &World) {
    let engine = world.engine();
    for bad in ["", "a\0", "a\nb", &"a".repeat(256)] {
        assert_eq!(code(engine.acting_as(bad).map(drop)), "invalid_argument", "{bad:?}");
    }
    assert!(engine.acting_as(&"a".repeat(255)).is_ok());
}

fn metadata_is_kept_as_it_came_and_told_by_events(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 9), product(&engine, 9));
    let of_hold = metadata(r#"{"seat": "A1", "a'\\": 1.10}"#);
    let request = HoldRequest::new(id, 1).metadata(of_hold.clone()).key("hold");
    let held = engine.create_hold(&request).expect("held").value;
    assert_eq!(held.metadata.as_ref(), Some(&of_hold));
    assert_eq!(engine.create_hold(&request).expect("again").value, held);
    assert_eq!(engine.hold(held.id).expect("reads").metadata.as_ref(), Some(&of_hold));
    assert_eq!(of_kind(&engine, EventKind::HoldCreated).metadata.as_ref(), Some(&of_hold));
    let of_cart = metadata("{}");
    let cart = CartRequest::new([(id, 1), (other, 2)]).metadata(of_cart.clone());
    let cart = engine.create_holds(&cart).expect("held").value;
    let read = engine.cart(cart.id).expect("reads");
    for hold in cart.holds.iter().chain(&read.holds) {
        assert_eq!(hold.metadata.as_ref(), Some(&of_cart));
    }
    let plain = hold(&engine, id, 1);
    let listed = engine.holds(HoldQuery::new(9)).expect("reads").items;
    let listed: Vec<_> = listed.iter().map(|hold| hold.metadata.as_ref()).collect();
    assert_eq!(listed, [Some(&of_hold), Some(&of_cart), Some(&of_cart), None]);
    let of_order = metadata(r#"{"gift":true}"#);
    let ordering = OrderRequest::new(held.id, id).metadata(of_order.clone()).key("order");
    let made = engine.create_order(&ordering).expect("ordered").value;
    assert_eq!(made.metadata.as_ref(), Some(&of_order));
    assert_eq!(engine.order(made.id).expect("reads"), made.later());
    assert_eq!(engine.create_order(&ordering).expect("again").value, made);
    deliver(&engine, made.id, Outcome::Success, "paid");
    assert_eq!(of_kind(&engine, EventKind::OrderPaid).metadata.as_ref(), Some(&of_order));
    engine.release_hold(plain.id).expect("released");
    assert_eq!(of_kind(&engine, EventKind::HoldReleased).metadata, None);
    assert_clean(&engine);
}

fn metadata_is_a_part_of_the_request_that_a_key_names(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let request = HoldRequest::new(id, 1).key("hold");
    let with = |request: &HoldRequest, text| request.clone().metadata(metadata(text));
    engine.create_hold(with(&request, r#"{"a":1}"#)).expect("held");
    for other in [request.clone(), with(&request, "{}"), request.customer(r#"{"a":1}"#)] {
        assert_eq!(code(engine.create_hold(&other)), "idempotency_mismatch", "{other:?}");
    }
    let held = hold(&engine, id, 1);
    let ordering = OrderRequest::new(held.id, id).reference("r").key("order");
    engine.create_order(ordering.clone().metadata(metadata("{}"))).expect("ordered");
    assert_eq!(code(engine.create_order(&ordering)), "idempotency_mismatch");
}

fn an_erasure_empties_metadata(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let kept = metadata(r#"{"mail":"ann@example.com"}"#);
    let asked = |customer: &str| HoldRequest::new(id, 1).customer(customer).metadata(kept.clone());
    let held = engine.create_hold(asked("ann")).expect("held").value.id;
    let used = engine.create_hold(asked("ann")).expect("held").value.id;
    let theirs = engine.create_hold(asked("bob")).expect("held").value.id;
    let ordering = OrderRequest::new(used, id).metadata(kept.clone()).key("order");
    let made = engine.create_order(&ordering).expect("ordered").value.id;
    let erased = clerk(&engine).erase_customer("ann".to_owned()).expect("erased");
    assert_eq!((erased.holds, erased.orders), (2, 1));
    assert_eq!(told(&engine, EventKind::CustomerErased), named("clerk", None));
    for id in [held, used] {
        assert_eq!(engine.hold(id).expect("reads").metadata, None);
    }
    assert_eq!(engine.order(made).expect("reads").metadata, None);
    let again = engine.create_order(&ordering).expect("again").value.metadata;
    assert_eq!(again.as_ref(), Some(&kept), "the caller who repeats the request has it");
    assert_eq!(engine.hold(theirs).expect("reads").metadata, Some(kept));
    let of_them = all_events(&engine).into_iter().filter(|event| event.hold_id != Some(theirs));
    assert!(of_them.into_iter().all(|event| event.metadata.is_none()));
    deliver(&engine, made, Outcome::Success, "paid");
    assert_clean(&engine);
}

fn events_name_the_order_and_the_product_as_the_shop_does(world: &World) {
    let engine = world.engine();
    let lamp = stockade::NewProduct::new("Lamp", "1".parse().expect("a price"), 9).sku("LAMP");
    let id: ProductId = engine.create_product(lamp).expect("made").value.id;
    let held = hold(&engine, id, 1);
    let ordering = OrderRequest::new(held.id, id).reference("2026-1");
    let made = engine.create_order(ordering).expect("ordered").value;
    deliver(&engine, made.id, Outcome::Success, "paid");
    for kind in [EventKind::OrderCreated, EventKind::OrderPaid] {
        let event = of_kind(&engine, kind);
        assert_eq!(event.reference.as_deref(), Some("2026-1"), "{event:?}");
        assert_eq!(event.sku.as_deref(), Some("LAMP"), "{event:?}");
    }
    assert_eq!(of_kind(&engine, EventKind::HoldCreated).reference, None);
    let error = engine.create_hold(HoldRequest::new(id, 99)).expect_err("short");
    let skus: Vec<_> = error.short().iter().map(|line| line.sku.as_deref()).collect();
    assert_eq!(skus, [Some("LAMP")]);
    // Now from memory.
    let error = engine.create_hold(HoldRequest::new(id, 98)).expect_err("short");
    assert_eq!(error.short().first().and_then(|line| line.sku.as_deref()), Some("LAMP"));
}

fn a_dispute_is_an_event_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let held = hold(&engine, id, 1);
    let made = engine.create_order(OrderRequest::new(held.id, id)).expect("ordered").value.id;
    deliver(&engine, made, Outcome::Success, "paid");
    let before = engine.order(made).expect("reads");
    let version = engine.product(id).expect("reads").version;
    let dispute = PaymentEvent::for_order(made, Outcome::Disputed).key("dispute");
    for is_again in [false, true] {
        let receipt = engine.record_payment(&dispute).expect("taken");
        assert_eq!((receipt.value.status, receipt.replayed), (PaymentStatus::Recorded, is_again));
    }
    assert_eq!(engine.order(made).expect("reads"), before);
    assert_eq!(engine.product(id).expect("reads").version, version);
    let disputes =
        all_events(&engine).into_iter().filter(|it| it.kind.as_str() == "payment.disputed");
    assert_eq!(disputes.map(|event| event.order_id).collect::<Vec<_>>(), [Some(made)]);
    // It waits for no order.
    let next = stockade::OrderId(made.0 + 1);
    assert_eq!(deliver(&engine, next, Outcome::Disputed, "early"), PaymentStatus::Recorded);
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}
