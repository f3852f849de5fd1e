//! Orders of several holds: one order, one payment, all or nothing.

use std::time::Duration;

use stockade::{
    CartRequest, Engine, ErrorKind, Hold, HoldRequest, HoldStatus, Order, OrderRequest,
    OrderStatus, OrderedHold, Outcome, PaymentDisposition, ProductId,
};

use crate::crowd::{at_once, engines, pick};
use crate::history::assert_exact;
use crate::steps::{Later, TICK, assert_numbers, code, deliver, hold, secs, story};
use crate::world::{World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("order_lines";
    an_order_of_a_cart_has_a_line_for_each_hold_and_one_amount,
    an_order_of_holds_is_all_or_nothing_and_names_each_that_cannot_be_used,
    an_order_of_one_product_twice_moves_the_units_of_both_lines,
    a_cart_becomes_an_order_with_its_token,
    a_payment_pays_all_lines_at_once,
    a_failure_returns_the_units_of_all_lines,
    an_unpaid_order_of_several_products_is_cancelled_at_its_end,
    late_money_takes_the_units_of_all_lines_or_none,
    an_amount_and_a_reference_are_the_shops_own,
    a_reference_is_taken_by_one_order,
    a_key_makes_one_order_of_several_holds,
    crowds_order_overlapping_carts,
    one_reference_is_given_once,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("order_lines";
    crowds_order_overlapping_carts_by_two_engines,
    one_reference_is_given_once_by_two_engines,
    an_order_is_paid_by_an_engine_that_did_not_make_it,
);

/// Holds one unit of the first product, two of the second and so on.
fn cart(engine: &Engine, products: &[ProductId]) -> Vec<Hold> {
    let lines = products.iter().copied().zip(1..);
    engine.create_holds(CartRequest::new(lines)).expect("held").value.holds
}

fn order_of(engine: &Engine, holds: &[Hold]) -> Order {
    let holds = holds.iter().map(|hold| OrderedHold::new(hold.id));
    engine.create_order(OrderRequest::of(holds)).expect("ordered").value
}

fn products(engine: &Engine, count: usize, stock: u64) -> Vec<ProductId> {
    (0..count).map(|_| product(engine, stock)).collect()
}

fn an_order_of_a_cart_has_a_line_for_each_hold_and_one_amount(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 3, 9);
    let holds = cart(&engine, &ids);
    // In the order of the request, which is not that of the products.
    let turned: Vec<Hold> = holds.iter().rev().cloned().collect();
    let made = order_of(&engine, &turned);
    let lines: Vec<_> = made
        .lines
        .iter()
        .map(|line| (line.line, line.hold_id, line.product_id, line.quantity))
        .collect();
    let expected =
        [(1, holds[2].id, ids[2], 3), (2, holds[1].id, ids[1], 2), (3, holds[0].id, ids[0], 1)];
    assert_eq!(lines, expected);
    assert_eq!(made.amount.to_string(), "119.94", "six times 19.99");
    assert_eq!((made.status, made.lines.count()), (OrderStatus::PendingPayment, 3));
    assert_eq!(made.pay_until, Some(world.clock.time().after(secs(1_800))));
    assert_eq!(engine.order(made.id).expect("is there"), made.later());
    let cart = engine.cart(holds[0].cart_id.expect("of a cart")).expect("is there");
    assert!(cart.holds.iter().all(|hold| hold.order_id == Some(made.id)), "{:?}", cart.holds);
    let listed = engine.holds(stockade::HoldQuery::new(10)).expect("lists").items;
    assert!(listed.iter().all(|hold| hold.order_id == Some(made.id)), "{listed:?}");
    for (hold, id) in holds.iter().zip(&ids) {
        let now = engine.hold(hold.id).expect("is there");
        assert_eq!((now.status, now.order_id), (HoldStatus::Converted, Some(made.id)));
        let units = u64::from(hold.quantity);
        assert_numbers(&engine, *id, [9 - units, 0, units, 0]);
        let units = i64::from(hold.quantity);
        assert_eq!(story(&engine, *id), [("hold.created", units), ("order.created", units)]);
    }
    assert_clean(&engine);
}

fn an_order_of_holds_is_all_or_nothing_and_names_each_that_cannot_be_used(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 4, 9);
    let good = hold(&engine, ids[0], 2);
    let used = hold(&engine, ids[1], 1);
    let earlier = order_of(&engine, std::slice::from_ref(&used));
    let request = HoldRequest::new(ids[2], 3).ttl(secs(10));
    let short = engine.create_hold(request).expect("held").value;
    let released = hold(&engine, ids[3], 4);
    engine.release_hold(released.id).expect("released");
    world.clock.advance(secs(10));
    let all = [good.id, used.id, short.id, released.id, stockade::HoldId(999_999)];
    let refused = engine
        .create_order(OrderRequest::of(all.map(OrderedHold::new)))
        .expect_err("some cannot be used");
    assert_eq!(refused.kind(), ErrorKind::HoldAlreadyUsed, "as the first of them");
    assert_eq!(refused.order_id(), Some(earlier.id));
    let named: Vec<_> =
        refused.holds().iter().map(|hold| (hold.hold_id, hold.code.as_str())).collect();
    let expected = [
        (used.id, "hold_already_used"),
        (short.id, "hold_expired"),
        (released.id, "hold_expired"),
        (all[4], "not_found"),
    ];
    assert_eq!(named, expected);
    assert_eq!(engine.hold(good.id).expect("is there"), good.later());
    assert_numbers(&engine, ids[0], [7, 2, 0, 0]);
    // What was due has given its stock back in the same transaction.
    assert_numbers(&engine, ids[2], [9, 0, 0, 0]);
    assert_clean(&engine);
    order_of(&engine, &[good]);
    assert_clean(&engine);
}

fn an_order_of_one_product_twice_moves_the_units_of_both_lines(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let holds = [hold(&engine, id, 2), hold(&engine, id, 3)];
    let made = order_of(&engine, &holds);
    assert_numbers(&engine, id, [4, 0, 5, 0]);
    deliver(&engine, made.id, Outcome::Failure, "f");
    assert_numbers(&engine, id, [9, 0, 0, 0]);
    assert_eq!(deliver(&engine, made.id, Outcome::Success, "s").as_str(), "applied");
    assert_numbers(&engine, id, [4, 0, 0, 5]);
    assert_clean(&engine);
    // A read counts the units of both lines as returned before a sweep returns them.
    let holds = [hold(&engine, id, 1), hold(&engine, id, 2)];
    order_of(&engine, &holds);
    assert_numbers(&engine, id, [1, 0, 3, 5]);
    world.clock.advance(secs(1_800));
    assert_numbers(&engine, id, [4, 0, 0, 5]);
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 1);
    assert_numbers(&engine, id, [4, 0, 0, 5]);
    assert_clean(&engine);
}

fn a_cart_becomes_an_order_with_its_token(world: &World) {
    let builder = world.builder().set("require_hold_token", "true").expect("a setting");
    let engine = builder.open().expect("opens");
    let ids = products(&engine, 3, 9);
    let cart = engine.create_holds(CartRequest::new(ids.iter().map(|id| (*id, 1)))).expect("held");
    let cart = cart.value;
    let bare = OrderRequest::of_cart(cart.id);
    assert_eq!(code(engine.create_order(&bare)), "unauthorized");
    let wrong = bare.clone().token(cart.holds[0].token);
    assert_eq!(code(engine.create_order(&wrong)), "unauthorized");
    let right = bare.token(cart.token).key("order");
    engine
        .release_hold(stockade::ReleaseRequest::new(cart.holds[1].id).token(cart.token))
        .expect("released");
    let made = engine.create_order(&right).expect("ordered").value;
    let of: Vec<_> = made.lines.iter().map(|line| line.product_id).collect();
    assert_eq!(of, [ids[0], ids[2]], "what was not released");
    assert!(engine.create_order(&right).expect("again").replayed);
    assert_clean(&engine);
}

fn a_payment_pays_all_lines_at_once(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 3, 9);
    let made = order_of(&engine, &cart(&engine, &ids));
    deliver(&engine, made.id, Outcome::Success, "evt");
    assert_eq!(engine.order(made.id).expect("is there").status, OrderStatus::Paid);
    for (id, units) in ids.iter().zip(1..) {
        assert_numbers(&engine, *id, [9 - units, 0, 0, units]);
    }
    assert_clean(&engine);
}

fn a_failure_returns_the_units_of_all_lines(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 3, 9);
    let made = order_of(&engine, &cart(&engine, &ids));
    deliver(&engine, made.id, Outcome::Failure, "evt");
    assert_eq!(engine.order(made.id).expect("is there").status, OrderStatus::Cancelled);
    for id in &ids {
        assert_numbers(&engine, *id, [9, 0, 0, 0]);
    }
    assert_clean(&engine);
}

fn an_unpaid_order_of_several_products_is_cancelled_at_its_end(world: &World) {
    let engine = world.builder().payment_ttl(secs(60)).open().expect("opens");
    let ids = products(&engine, 3, 3);
    let holds = cart(&engine, &ids);
    let turned: Vec<Hold> = holds.iter().rev().cloned().collect();
    let made = order_of(&engine, &turned);
    world.clock.advance(secs(60) - TICK);
    assert_eq!(engine.order(made.id).expect("is there").status, OrderStatus::PendingPayment);
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    world.clock.advance(TICK);
    assert_eq!(engine.order(made.id).expect("is there").status, OrderStatus::Cancelled);
    assert_clean(&engine);
    // A buyer of the first line's product gets its units without a sweep.
    hold(&engine, ids[2], 3);
    assert_eq!(engine.sweep().expect("sweeps").holds_expired, 0);
    for id in &ids[..2] {
        assert_numbers(&engine, *id, [3, 0, 0, 0]);
    }
    assert_clean(&engine);
    // And a sweep brings back what nobody asked for.
    engine
        .release_hold(
            engine
                .holds(stockade::HoldQuery::new(10).status(HoldStatus::Active))
                .expect("lists")
                .items[0]
                .id,
        )
        .expect("released");
    let again = order_of(&engine, &cart(&engine, &ids));
    world.clock.advance(secs(60));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 1);
    assert_eq!(engine.order(again.id).expect("is there").status, OrderStatus::Cancelled);
    for id in &ids {
        assert_numbers(&engine, *id, [3, 0, 0, 0]);
    }
    assert_clean(&engine);
}

fn late_money_takes_the_units_of_all_lines_or_none(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 2, 2);
    let made = order_of(&engine, &cart(&engine, &ids));
    let other = order_of(&engine, &[hold(&engine, ids[0], 1)]);
    deliver(&engine, made.id, Outcome::Failure, "f");
    let rival = hold(&engine, ids[1], 1);
    deliver(&engine, made.id, Outcome::Success, "s");
    let now = engine.order(made.id).expect("is there");
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!((now.status, now.payment_disposition), expected);
    assert_eq!(numbers(&engine, ids[0]), [1, 0, 1, 0], "nothing of the first line was taken");
    engine.release_hold(rival.id).expect("released");
    deliver(&engine, other.id, Outcome::Failure, "f-2");
    let second = order_of(&engine, &cart(&engine, &ids));
    deliver(&engine, second.id, Outcome::Failure, "f-3");
    deliver(&engine, second.id, Outcome::Success, "s-2");
    let now = engine.order(second.id).expect("is there");
    assert_eq!(
        (now.status, now.payment_disposition),
        (OrderStatus::Paid, PaymentDisposition::ReReserved)
    );
    assert_eq!([numbers(&engine, ids[0]), numbers(&engine, ids[1])], [[1, 0, 0, 1], [0, 0, 0, 2]]);
    assert_clean(&engine);
}

fn an_amount_and_a_reference_are_the_shops_own(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let held = hold(&engine, id, 1);
    let request = OrderRequest::of([OrderedHold::new(held.id)])
        .amount("24.98".parse().expect("an amount"))
        .reference("2026-1004")
        .payment_ttl(Duration::from_secs(86_400));
    let made = engine.create_order(&request).expect("ordered").value;
    assert_eq!(
        (made.amount.to_string().as_str(), made.reference.as_deref()),
        ("24.98", Some("2026-1004"))
    );
    assert_eq!(made.pay_until, Some(world.clock.time().after(secs(86_400))));
    assert_eq!(engine.order_by_reference("2026-1004".to_owned()).expect("is there"), made.later());
    assert_eq!(code(engine.order_by_reference("2026-1005".to_owned())), "not_found");
    let other = hold(&engine, id, 1);
    for (wrong, why) in [
        (
            OrderRequest::new(other.id, id).amount("1.999".parse().expect("an amount")),
            "invalid_argument",
        ),
        (
            OrderRequest::new(other.id, id).currency("USD".parse().expect("a currency")),
            "invalid_argument",
        ),
        (
            OrderRequest::new(other.id, id).payment_ttl(Duration::from_secs(8 * 86_400)),
            "invalid_argument",
        ),
        (OrderRequest::of([other.id, other.id].map(OrderedHold::new)), "invalid_argument"),
    ] {
        assert_eq!(code(engine.create_order(&wrong)), why);
        assert_eq!(engine.hold(other.id).expect("is there"), other.later());
    }
    assert_clean(&engine);
}

fn a_reference_is_taken_by_one_order(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 2, 5);
    let request = |hold: &Hold| OrderRequest::of([OrderedHold::new(hold.id)]).reference("A-1");
    let first = engine.create_order(request(&hold(&engine, ids[0], 1))).expect("ordered").value;
    let other = hold(&engine, ids[1], 1);
    let refused = engine.create_order(request(&other)).expect_err("taken");
    assert_eq!((refused.code(), refused.order_id()), ("already_exists", Some(first.id)));
    assert_eq!(engine.hold(other.id).expect("is there"), other.later());
    // A cancelled order keeps its number.
    deliver(&engine, first.id, Outcome::Failure, "f");
    assert_eq!(code(engine.create_order(request(&other))), "already_exists");
    assert_clean(&engine);
}

fn a_key_makes_one_order_of_several_holds(world: &World) {
    let engine = world.engine();
    let ids = products(&engine, 2, 5);
    let holds = cart(&engine, &ids);
    let request = OrderRequest::of(holds.iter().map(|hold| OrderedHold::new(hold.id))).key("k");
    let first = engine.create_order(&request).expect("ordered");
    let again = engine.create_order(&request).expect("ordered");
    assert_eq!((again.replayed, again.value), (true, first.value));
    let one = OrderRequest::of([OrderedHold::new(holds[0].id)]).key("k");
    assert_eq!(code(engine.create_order(&one)), "idempotency_mismatch");
    assert_clean(&engine);
}

fn crowds_order_overlapping_carts(world: &World) {
    overlapping(&engines(world, 1));
}

fn crowds_order_overlapping_carts_by_two_engines(world: &World) {
    overlapping(&engines(world, 2));
}

/// Callers order carts of two of four products at once, and pay or fail them: each
/// hold is used once, by an order that has all of its cart.
fn overlapping(engines: &[Engine]) {
    let ids = products(&engines[0], 4, 1_000);
    for _ in 0..3 {
        let carts: Vec<Vec<Hold>> =
            (0..8).map(|at| cart(&engines[0], &[ids[at % 4], ids[(at + 1) % 4]])).collect();
        let answers = at_once(16, |at| {
            let holds = &carts[at / 2];
            let turned = holds.iter().rev().map(|hold| OrderedHold::new(hold.id));
            let engine = pick(engines, at);
            match at % 2 {
                0 => engine.create_order(OrderRequest::of(turned)),
                _ => engine.create_order(OrderRequest::of(
                    holds.iter().map(|hold| OrderedHold::new(hold.id)),
                )),
            }
        });
        for pair in answers.chunks(2) {
            assert_eq!(pair.iter().flatten().count(), 1, "{pair:?}");
        }
        let made: Vec<Order> = answers.into_iter().flatten().map(|made| made.value).collect();
        at_once(made.len(), |at| {
            let outcome = if at % 2 == 0 { Outcome::Success } else { Outcome::Cancelled };
            let event = stockade::PaymentEvent::for_order(made[at].id, outcome);
            pick(engines, at + 1).record_payment(event).expect("taken")
        });
    }
    for id in &ids {
        let [stock, held, pending, sold] = numbers(&engines[0], *id);
        assert_eq!((stock + sold, held, pending), (1_000, 0, 0));
    }
    assert_exact(&engines[0], &ids, 1_000);
}

fn one_reference_is_given_once(world: &World) {
    reference_once(&engines(world, 1));
}

fn one_reference_is_given_once_by_two_engines(world: &World) {
    reference_once(&engines(world, 2));
}

/// The orders are of different products, so that nothing but the reference itself
/// keeps them apart.
fn reference_once(engines: &[Engine]) {
    let ids = products(&engines[0], 8, 100);
    for round in 0..5 {
        let holds: Vec<Hold> = ids.iter().map(|id| hold(&engines[0], *id, 1)).collect();
        let answers = at_once(holds.len(), |at| {
            let request = OrderRequest::new(holds[at].id, holds[at].product_id);
            pick(engines, at).create_order(request.reference(format!("R-{round}")))
        });
        let made: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let named = (refused.code(), refused.order_id());
            assert_eq!(named, ("already_exists", Some(made[0].value.id)));
        }
    }
    assert_clean(&engines[0]);
}

fn an_order_is_paid_by_an_engine_that_did_not_make_it(world: &World) {
    let engines = engines(world, 2);
    let ids = products(&engines[0], 3, 9);
    let made = order_of(&engines[0], &cart(&engines[0], &ids));
    deliver(&engines[1], made.id, Outcome::Success, "evt");
    assert_eq!(engines[1].order(made.id).expect("is there").status, OrderStatus::Paid);
    let refunded = engines[1].refund_order(stockade::RefundRequest::new(made.id).restock());
    assert_eq!(refunded.expect("refunded").value.status, OrderStatus::Refunded);
    for id in &ids {
        assert_numbers(&engines[0], *id, [9, 0, 0, 0]);
    }
    assert_clean(&engines[0]);
}
