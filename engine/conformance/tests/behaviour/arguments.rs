//! Requests that are refused for what they are.

use std::time::Duration;

use stockade::{
    CartRequest, Engine, ExtendRequest, HoldId, HoldRequest, OrderId, OrderRequest, Outcome,
    PaymentEvent, PaymentStatus, PaymentToken, ProductId, StockAdjustment,
};

use crate::steps::{Later, TICK, all_events, assert_numbers, code, hold, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("arguments";
    a_senseless_hold_is_refused_and_changes_nothing,
    a_senseless_cart_is_refused_and_changes_nothing,
    a_senseless_payment_is_refused_and_changes_nothing,
    a_senseless_adjustment_is_refused_and_changes_nothing,
    a_senseless_request_uses_up_no_key,
    a_key_has_from_1_to_255_bytes_and_no_control_characters,
    more_units_than_a_hold_may_have_are_over_the_quantity_limit,
    what_is_not_there_is_not_found,
    a_page_has_a_least_and_a_greatest_size,
);

/// Ids that no row has: those that could be and those that could not.
const NOWHERE: [u64; 5] = [0, 999_999, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];

/// Fails unless nothing happened since `product` was made with 5 units.
#[track_caller]
fn assert_untouched(engine: &Engine, product: ProductId) {
    assert_numbers(engine, product, [5, 0, 0, 0]);
    assert_eq!(engine.product(product).expect("is there").version, 1);
    assert_eq!(all_events(engine).len(), 1);
    assert_clean(engine);
}

fn a_senseless_hold_is_refused_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 0))), "invalid_argument");
    let day = secs(86_400);
    for ttl in [Duration::ZERO, Duration::from_nanos(999), day + TICK, Duration::MAX] {
        let request = HoldRequest::new(id, 1).ttl(ttl);
        assert_eq!(code(engine.create_hold(&request)), "invalid_argument", "{ttl:?}");
        let cart = CartRequest::new([(id, 1)]).ttl(ttl);
        assert_eq!(code(engine.create_holds(&cart)), "invalid_argument", "{ttl:?}");
    }
    assert_untouched(&engine, id);
    let longest = engine.create_hold(HoldRequest::new(id, 1).ttl(day)).expect("held").value;
    assert_eq!(longest.expires_at, world.clock.time().after(day));
    let shortest = engine.create_hold(HoldRequest::new(id, 1).ttl(TICK)).expect("held").value;
    assert_eq!(shortest.expires_at, world.clock.time().after(TICK));
    let bad = ExtendRequest::new(longest.id).ttl(day + TICK);
    assert_eq!(code(engine.extend_hold(&bad)), "invalid_argument");
    let bad = ExtendRequest::new(longest.id).ttl(Duration::ZERO);
    assert_eq!(code(engine.extend_hold(&bad)), "invalid_argument");
    assert_clean(&engine);
}

fn a_senseless_cart_is_refused_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let nothing = CartRequest::new(Vec::<(ProductId, u32)>::new());
    assert_eq!(code(engine.create_holds(&nothing)), "invalid_argument");
    let with_zero = CartRequest::new([(id, 1), (id, 0)]);
    assert_eq!(code(engine.create_holds(&with_zero)), "invalid_argument");
    let too_many = CartRequest::new((0..101).map(|_| (id, 1)));
    assert_eq!(code(engine.create_holds(&too_many)), "invalid_argument");
    assert_untouched(&engine, id);
    let just_enough = CartRequest::new((0..100).map(|_| (id, 1)));
    assert_eq!(code(engine.create_holds(&just_enough)), "insufficient_stock");
    assert_untouched(&engine, id);
    engine.close().expect("closes");
    let small = world.builder().set("cart_lines_max", "2").expect("a setting");
    let engine = small.open().expect("opens");
    let id = product(&engine, 5);
    let three = CartRequest::new([(id, 1), (id, 1), (id, 1)]);
    assert_eq!(code(engine.create_holds(&three)), "invalid_argument");
    assert_eq!(
        engine.create_holds(CartRequest::new([(id, 1), (id, 1)])).expect("held").value.holds[0]
            .quantity,
        2
    );
    assert_clean(&engine);
}

fn a_senseless_payment_is_refused_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    for nowhere in [0, i64::MAX as u64 + 1, u64::MAX] {
        let event = PaymentEvent::for_order(nowhere, Outcome::Success).key("evt");
        assert_eq!(code(engine.record_payment(&event)), "invalid_argument", "{nowhere}");
    }
    let mut nameless = PaymentEvent::for_order(1, Outcome::Success).key("evt");
    nameless.order_id = None;
    assert_eq!(code(engine.record_payment(&nameless)), "invalid_argument");
    let token: PaymentToken = format!("pt_7_{:032x}", 9).parse().expect("a token");
    let of_two = PaymentEvent::for_order(8, Outcome::Success).token(token).key("evt");
    assert_eq!(code(engine.record_payment(&of_two)), "invalid_argument");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
    assert_untouched(&engine, id);
    let farthest = PaymentEvent::for_order(i64::MAX as u64, Outcome::Success).key("evt");
    assert_eq!(
        engine.record_payment(&farthest).expect("kept").value.status,
        PaymentStatus::Waiting
    );
    assert_eq!(assert_clean(&engine).waiting_events, 1);
}

fn a_senseless_adjustment_is_refused_and_changes_nothing(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    assert_eq!(code(engine.adjust_stock(StockAdjustment::new(id, 0, "none"))), "invalid_argument");
    let wordy = StockAdjustment::new(id, 1, "é".repeat(256));
    assert_eq!(code(engine.adjust_stock(&wordy)), "invalid_argument");
    assert_untouched(&engine, id);
    let wordy = StockAdjustment::new(id, 1, "é".repeat(255));
    assert_eq!(engine.adjust_stock(&wordy).expect("adjusted").value.stock, 6);
    assert_clean(&engine);
}

fn a_senseless_request_uses_up_no_key(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 0).key("k"))), "invalid_argument");
    let held = engine.create_hold(HoldRequest::new(id, 2).key("k")).expect("held");
    assert!(!held.replayed);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    assert_clean(&engine);
}

fn a_key_has_from_1_to_255_bytes_and_no_control_characters(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let long = "k".repeat(256);
    let long_in_bytes = "é".repeat(128);
    for key in ["", "a\nb", "\u{1}", "\u{7f}", "\u{85}", "tab\t", &long, &long_in_bytes] {
        let hold = HoldRequest::new(id, 1).key(key);
        assert_eq!(code(engine.create_hold(&hold)), "invalid_argument", "{key:?}");
        let cart = CartRequest::new([(id, 1)]).key(key);
        assert_eq!(code(engine.create_holds(&cart)), "invalid_argument", "{key:?}");
        let order = OrderRequest::new(1, id).key(key);
        assert_eq!(code(engine.create_order(&order)), "invalid_argument", "{key:?}");
        let event = PaymentEvent::for_order(1, Outcome::Success).key(key);
        assert_eq!(code(engine.record_payment(&event)), "invalid_argument", "{key:?}");
    }
    assert_untouched(&engine, id);
    let longest = "k".repeat(255);
    for key in ["k", " ", "'; DROP TABLE stockade_orders; --", "ключ-🔑", &longest] {
        let request = HoldRequest::new(id, 1).key(key);
        let first = engine.create_hold(&request).expect("held");
        let again = engine.create_hold(&request).expect("held");
        assert!(!first.replayed && again.replayed, "{key:?}");
        assert_eq!(first.value, again.value);
    }
    assert_numbers(&engine, id, [0, 5, 0, 0]);
    assert_clean(&engine);
}

fn more_units_than_a_hold_may_have_are_over_the_quantity_limit(world: &World) {
    let engine = world.builder().max_per_hold(3).open().expect("opens");
    let (a, b) = (product(&engine, 5), product(&engine, 5));
    assert_eq!(code(engine.create_hold(HoldRequest::new(a, 4))), "quantity_limit");
    assert_eq!(code(engine.create_hold(HoldRequest::new(a, u32::MAX))), "quantity_limit");
    let summed = CartRequest::new([(a, 2), (b, 1), (a, 2)]);
    assert_eq!(code(engine.create_holds(&summed)), "quantity_limit");
    let beyond_32_bits = CartRequest::new([(a, u32::MAX), (a, u32::MAX)]);
    assert_eq!(code(engine.create_holds(&beyond_32_bits)), "quantity_limit");
    assert_numbers(&engine, a, [5, 0, 0, 0]);
    assert_numbers(&engine, b, [5, 0, 0, 0]);
    hold(&engine, a, 3);
    let cart = CartRequest::new([(b, 2), (b, 1)]);
    assert_eq!(engine.create_holds(&cart).expect("held").value.holds[0].quantity, 3);
    assert_clean(&engine);
    engine.close().expect("closes");
    let engine = world.engine();
    let id = product(&engine, 2_000_000);
    assert_eq!(code(engine.create_hold(HoldRequest::new(id, 1_000_001))), "quantity_limit");
    hold(&engine, id, 1_000_000);
    assert_numbers(&engine, id, [1_000_000, 1_000_000, 0, 0]);
    assert_clean(&engine);
}

fn what_is_not_there_is_not_found(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let ordered = order(&engine, id, 1);
    for nowhere in NOWHERE {
        let (product_id, hold_id) = (ProductId(nowhere), HoldId(nowhere));
        assert_eq!(code(engine.product(product_id)), "not_found", "{nowhere}");
        assert_eq!(
            code(engine.create_hold(HoldRequest::new(nowhere, 1))),
            "not_found",
            "{nowhere}"
        );
        let cart = CartRequest::new([(id, 1), (product_id, 1)]);
        assert_eq!(code(engine.create_holds(&cart)), "not_found", "{nowhere}");
        let adjustment = StockAdjustment::new(nowhere, 1, "lost");
        assert_eq!(code(engine.adjust_stock(&adjustment)), "not_found", "{nowhere}");
        assert_eq!(code(engine.hold(hold_id)), "not_found", "{nowhere}");
        assert_eq!(code(engine.release_hold(hold_id)), "not_found", "{nowhere}");
        assert_eq!(code(engine.extend_hold(ExtendRequest::new(nowhere))), "not_found", "{nowhere}");
        assert_eq!(
            code(engine.create_order(OrderRequest::new(nowhere, id))),
            "not_found",
            "{nowhere}"
        );
        assert_eq!(code(engine.order(OrderId(nowhere))), "not_found", "{nowhere}");
    }
    assert_numbers(&engine, id, [4, 0, 1, 0]);
    assert_eq!(engine.order(ordered.id).expect("is there"), ordered.later());
    assert_clean(&engine);
}

fn a_page_has_a_least_and_a_greatest_size(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    for limit in [0, 1_001, u32::MAX] {
        assert_eq!(code(engine.products(None, limit)), "invalid_argument", "{limit}");
    }
    for limit in [0, 10_001, u32::MAX] {
        assert_eq!(code(engine.events_after(0, limit)), "invalid_argument", "{limit}");
    }
    for limit in [1, 1_000] {
        assert_eq!(engine.products(None, limit).expect("reads").items[0].id, id);
    }
    for limit in [1, 10_000] {
        assert!(!engine.events_after(0, limit).expect("reads").is_empty());
    }
    assert_untouched(&engine, id);
}
