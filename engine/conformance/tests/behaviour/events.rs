//! The outbox: what happened, in order, once each.

use std::collections::{HashMap, HashSet};

use stockade::{
    CartRequest, Engine, Event, EventKind, ExtendRequest, HoldRequest, NewProduct, OrderId,
    OrderRequest, OrderStatus, Outcome, ProductId, StockAdjustment,
};

use crate::steps::{all_events, assert_numbers, deliver, every_event, hold, order, secs, story};
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("events";
    a_long_life_is_told_in_order_and_conserves_every_unit,
    events_are_read_in_pages_of_any_size_without_gaps,
    beyond_the_last_event_there_is_nothing_yet,
    adjustments_are_told_with_their_sign,
    a_product_without_stock_tells_only_that_it_is_made,
    events_of_many_at_once_have_gapless_cursors,
);

/// The numbers that a product's events add up to.
fn replay(events: &[Event], product: ProductId) -> [u64; 4] {
    let [mut stock, mut held, mut pending, mut sold] = [0_i64; 4];
    let mut orders: HashMap<OrderId, OrderStatus> = HashMap::new();
    for event in events.iter().filter(|event| event.product_id == product) {
        let quantity = event.quantity;
        match event.kind {
            EventKind::StockAdjusted => stock += quantity,
            EventKind::HoldCreated => (stock, held) = (stock - quantity, held + quantity),
            EventKind::HoldReleased | EventKind::HoldExpired => {
                (stock, held) = (stock + quantity, held - quantity);
            }
            EventKind::OrderCreated => {
                (held, pending) = (held - quantity, pending + quantity);
                orders.insert(event.order_id.expect("an order"), OrderStatus::PendingPayment);
            }
            EventKind::OrderCancelled => {
                (pending, stock) = (pending - quantity, stock + quantity);
                orders.insert(event.order_id.expect("an order"), OrderStatus::Cancelled);
            }
            EventKind::OrderPaid => {
                let before = orders.insert(event.order_id.expect("an order"), OrderStatus::Paid);
                match before.expect("it was made") {
                    OrderStatus::PendingPayment => pending -= quantity,
                    OrderStatus::Cancelled => stock -= quantity,
                    _ => panic!("paid twice: {event:?}"),
                }
                sold += quantity;
            }
            _ => {}
        }
        let all = [stock, held, pending, sold];
        assert!(all.iter().all(|units| *units >= 0), "{all:?} after {event:?}");
    }
    [stock, held, pending, sold].map(|units| u64::try_from(units).expect("not negative"))
}

/// Fails unless the events stand as they should and add up to each product.
#[track_caller]
fn assert_matches(engine: &Engine, products: &[ProductId]) {
    let events = every_event(engine);
    let cursors: Vec<_> = events.iter().map(|event| event.cursor).collect();
    assert!(cursors.iter().copied().eq(1..=events.len() as u64), "{cursors:?}");
    for id in products {
        assert_eq!(replay(&events, *id), numbers(engine, *id));
        let of_product: Vec<_> = events.iter().filter(|event| event.product_id == *id).collect();
        assert!(
            of_product
                .windows(2)
                .all(|pair| { pair[0].version <= pair[1].version && pair[0].at <= pair[1].at })
        );
        let version = engine.product(*id).expect("is there").version;
        assert_eq!(of_product.last().map(|event| event.version), Some(version));
    }
}

fn a_long_life_is_told_in_order_and_conserves_every_unit(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 20), product(&engine, 5));
    let check = |expected: [u64; 4], received: u64| {
        assert_numbers(&engine, id, expected);
        assert_eq!(engine.product(id).expect("is there").received(), received);
        assert_clean(&engine);
        assert_matches(&engine, &[id, other]);
    };
    check([20, 0, 0, 0], 20);
    let first = hold(&engine, id, 5);
    check([15, 5, 0, 0], 20);
    let cart =
        engine.create_holds(CartRequest::new([(other, 1), (id, 2)])).expect("held").value.holds;
    check([13, 7, 0, 0], 20);
    engine.extend_hold(ExtendRequest::new(first.id).ttl(secs(500))).expect("extended");
    check([13, 7, 0, 0], 20);
    engine.release_hold(cart[0].id).expect("released");
    check([15, 5, 0, 0], 20);
    let made = engine.create_order(OrderRequest::new(first.id, id)).expect("ordered").value;
    check([15, 0, 5, 0], 20);
    deliver(&engine, made.id, Outcome::Failure, "f");
    check([20, 0, 0, 0], 20);
    deliver(&engine, made.id, Outcome::Success, "s");
    check([15, 0, 0, 5], 20);
    deliver(&engine, made.id, Outcome::Failure, "f-2");
    check([15, 0, 0, 5], 20);
    engine.adjust_stock(StockAdjustment::new(id, -5, "broken")).expect("adjusted");
    check([10, 0, 0, 5], 15);
    let unpaid = order(&engine, id, 4);
    let left = hold(&engine, id, 3);
    check([3, 3, 4, 5], 15);
    world.clock.set(left.expires_at);
    engine.sweep().expect("sweeps");
    check([6, 0, 4, 5], 15);
    world.clock.advance(secs(1_800));
    engine.sweep().expect("sweeps");
    check([10, 0, 0, 5], 15);
    engine.adjust_stock(StockAdjustment::new(id, -8, "broken")).expect("adjusted");
    deliver(&engine, unpaid.id, Outcome::Success, "s-2");
    check([2, 0, 0, 5], 7);
    let expected = [
        ("hold.created", 5),
        ("hold.created", 2),
        ("hold.extended", 5),
        ("hold.released", 2),
        ("order.created", 5),
        ("order.cancelled", 5),
        ("order.paid", 5),
        ("payment.conflict", 5),
        ("stock.adjusted", -5),
        ("hold.created", 4),
        ("order.created", 4),
        ("hold.created", 3),
        ("hold.expired", 3),
        ("order.cancelled", 4),
        ("stock.adjusted", -8),
        ("payment.needs_refund", 4),
    ];
    assert_eq!(story(&engine, id), expected);
    assert_eq!(story(&engine, other), [("hold.created", 1), ("hold.expired", 1)]);
}

fn events_are_read_in_pages_of_any_size_without_gaps(world: &World) {
    let engine = world.engine();
    let ids: Vec<_> = (0..4).map(|_| product(&engine, 9)).collect();
    // Some transactions have one event, some have many.
    engine.create_holds(CartRequest::new(ids.iter().map(|id| (*id, 2)))).expect("held");
    for id in &ids {
        hold(&engine, *id, 1);
    }
    world.clock.advance(secs(120));
    engine.sweep().expect("sweeps");
    engine.create_holds(CartRequest::new(ids.iter().map(|id| (*id, 9)))).expect("held");
    let all = engine.events_after(0, 10_000).expect("reads");
    assert_eq!(all.len(), 8 + 4 + 4 + 8 + 4);
    for limit in [1, 2, 3, 5, 7] {
        let mut read: Vec<Event> = Vec::new();
        loop {
            let after = read.last().map_or(0, |event| event.cursor);
            let page = engine.events_after(after, limit).expect("reads");
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            read.extend(page);
        }
        assert_eq!(read, all, "in pages of {limit}");
    }
    for event in &all {
        let next = engine.events_after(event.cursor, 1).expect("reads");
        assert_eq!(next.first(), all.iter().find(|other| other.cursor == event.cursor + 1));
    }
    assert_matches(&engine, &ids);
    assert_clean(&engine);
}

fn beyond_the_last_event_there_is_nothing_yet(world: &World) {
    let engine = world.engine();
    assert_eq!(engine.events_after(0, 10).expect("reads"), []);
    let id = product(&engine, 9);
    assert_eq!(engine.events_after(0, 10).expect("reads").len(), 2);
    for beyond in [2, 3, 1_000_000, i64::MAX as u64, u64::MAX] {
        assert_eq!(engine.events_after(beyond, 10).expect("reads"), [], "{beyond}");
    }
    hold(&engine, id, 1);
    let next = engine.events_after(2, 10).expect("reads");
    assert_eq!(next.iter().map(|event| event.cursor).collect::<Vec<_>>(), [3]);
    assert_clean(&engine);
}

fn adjustments_are_told_with_their_sign(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    for delta in [5, -3, 1, -12] {
        engine.adjust_stock(StockAdjustment::new(id, delta, "counted")).expect("adjusted");
    }
    let told = all_events(&engine);
    let deltas: Vec<_> =
        told.iter().map(|event| (event.kind, event.quantity, event.version)).collect();
    let kind = EventKind::StockAdjusted;
    let expected = [(kind, 9, 1), (kind, 5, 2), (kind, -3, 3), (kind, 1, 4), (kind, -12, 5)];
    assert_eq!(deltas, expected);
    assert!(told.iter().all(|event| event.hold_id.is_none() && event.order_id.is_none()));
    assert_numbers(&engine, id, [0, 0, 0, 0]);
    assert_matches(&engine, &[id]);
    assert_clean(&engine);
}

fn a_product_without_stock_tells_only_that_it_is_made(world: &World) {
    let engine = world.engine();
    let price = "1".parse().expect("a price");
    let made = engine.create_product(NewProduct::new("Idea", price, 0)).expect("created").value;
    let told = engine.events_after(0, 10).expect("reads");
    let kinds: Vec<_> = told.iter().map(|event| (event.kind, event.quantity)).collect();
    assert_eq!(kinds, [(EventKind::ProductCreated, 0)]);
    let product = engine.adjust_stock(StockAdjustment::new(made.id, 3, "received"));
    assert_eq!(product.expect("adjusted").value.version, made.version + 1);
    assert_matches(&engine, &[made.id]);
    assert_clean(&engine);
}

fn events_of_many_at_once_have_gapless_cursors(world: &World) {
    let engine = world.engine();
    let ids: Vec<_> = (0..3).map(|_| product(&engine, 200)).collect();
    let holds: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|maker: usize| {
                let (engine, ids) = (&engine, &ids);
                scope.spawn(move || {
                    let make = |at: usize| {
                        let id = ids[(maker + at) % ids.len()];
                        engine.create_hold(HoldRequest::new(id, 1)).expect("held").value.id
                    };
                    (0..12).map(make).collect::<Vec<_>>()
                })
            })
            .collect();
        makers.into_iter().flat_map(|maker| maker.join().expect("made")).collect()
    });
    assert_eq!(holds.len(), 96);
    assert_matches(&engine, &ids);
    let told: HashSet<_> = all_events(&engine).iter().filter_map(|event| event.hold_id).collect();
    assert_eq!(told, holds.iter().copied().collect());
    assert_eq!(all_events(&engine).len(), 3 + 96);
    assert_clean(&engine);
}
