//! Lists of holds, orders and waiting payments.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade::{
    Engine, HoldId, HoldQuery, HoldRequest, HoldStatus, Order, OrderId, OrderQuery, OrderRequest,
    OrderStatus, Outcome, PaymentDisposition, PaymentEvent, PaymentReference, ProductId,
};

use crate::crowd::at_once;
use crate::steps::{Later, TICK, code, deliver, hold, next_order_id, order, secs};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("lists";
    orders_are_listed_by_customer_product_status_and_time,
    orders_are_listed_by_disposition_and_reference,
    holds_are_listed_by_customer_and_time,
    a_list_pages_through_everything_once_while_others_write,
    a_list_looks_at_a_bounded_number_of_rows,
    a_senseless_query_is_refused,
    waiting_payments_are_listed_by_age_and_removed,
);

fn ask(engine: &Engine, id: ProductId, units: u32, customer: &str) -> HoldId {
    let request = HoldRequest::new(id, units).customer(customer);
    engine.create_hold(request).expect("held").value.id
}

fn buy(engine: &Engine, id: ProductId, customer: &str) -> Order {
    let held = ask(engine, id, 1, customer);
    engine.create_order(OrderRequest::new(held, id)).expect("ordered").value
}

/// All orders of a query, by pages of two.
fn listed(engine: &Engine, mut query: OrderQuery) -> Vec<OrderId> {
    let mut found = Vec::new();
    loop {
        let page = engine.orders(&query).expect("reads");
        assert!(page.items.len() <= 2);
        found.extend(page.items.iter().map(|order| order.id));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert!(found.is_sorted(), "{found:?}");
    found
}

fn held(engine: &Engine, mut query: HoldQuery) -> Vec<HoldId> {
    let mut found = Vec::new();
    loop {
        let page = engine.holds(&query).expect("reads");
        found.extend(page.items.iter().map(|hold| hold.id));
        let Some(next) = page.next else { return found };
        query.after = Some(next);
    }
}

fn all() -> OrderQuery {
    OrderQuery::new(2)
}

fn orders_are_listed_by_customer_product_status_and_time(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    let first = buy(&engine, id, "ann");
    let nobodys = order(&engine, id, 1);
    world.clock.advance(secs(60));
    let second = buy(&engine, other, "ann");
    let bobs = buy(&engine, id, "bob");
    deliver(&engine, second.id, Outcome::Success, "paid");
    let everything = [first.id, nobodys.id, second.id, bobs.id];
    assert_eq!(listed(&engine, all()), everything);
    assert_eq!(listed(&engine, all().customer("ann")), [first.id, second.id]);
    assert_eq!(listed(&engine, all().customer("bob")), [bobs.id]);
    assert!(listed(&engine, all().customer("nobody")).is_empty());
    assert_eq!(listed(&engine, all().product(id)), [first.id, nobodys.id, bobs.id]);
    assert_eq!(listed(&engine, all().product(other).customer("ann")), [second.id]);
    assert_eq!(listed(&engine, all().status(OrderStatus::Paid)), [second.id]);
    let since = second.created_at;
    assert_eq!(listed(&engine, all().created_after(since)), [second.id, bobs.id]);
    assert_eq!(listed(&engine, all().created_before(since)), [first.id, nobodys.id]);
    let page = engine.orders(all().customer("ann")).expect("reads");
    assert!(page.items.iter().all(|order| order.customer.as_deref() == Some("ann")));
    assert_eq!(page.items[0], engine.order(first.id).expect("reads"));
    assert_eq!((page.items[0].payment_token, first.payment_token.is_some()), (None, true));
    // One that is due is cancelled, swept or not.
    world.clock.advance(secs(1_800));
    let over = [first.id, nobodys.id, bobs.id];
    assert_eq!(listed(&engine, all().status(OrderStatus::Cancelled)), over);
    assert!(listed(&engine, all().status(OrderStatus::PendingPayment)).is_empty());
    assert_clean(&engine);
}

fn orders_are_listed_by_disposition_and_reference(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 50);
    let wrong = order(&engine, id, 1);
    let event = PaymentEvent::for_order(wrong.id, Outcome::Success).key("wrong");
    let amount = "1".parse().expect("an amount");
    engine.record_payment(event.amount(amount)).expect("taken");
    let named = {
        let held = hold(&engine, id, 1);
        let request = OrderRequest::new(held.id, id).reference("shop-1");
        engine.create_order(request).expect("ordered").value
    };
    let tie = PaymentReference::new(named.id, "stripe", "pi_1");
    engine.set_payment_reference(tie).expect("tied");
    let owed = order(&engine, id, 1);
    engine.cancel_order(owed.id).expect("cancelled");
    deliver(&engine, owed.id, Outcome::Success, "late");
    let of = |disposition| listed(&engine, all().disposition(disposition));
    assert_eq!(of(PaymentDisposition::AmountMismatch), [wrong.id]);
    assert_eq!(of(PaymentDisposition::NeedsRefund), [owed.id]);
    assert_eq!(of(PaymentDisposition::None), [named.id]);
    assert_eq!(listed(&engine, all().reference("shop-1")), [named.id]);
    assert_eq!(listed(&engine, all().payment_reference("stripe/pi_1")), [named.id]);
    assert!(listed(&engine, all().reference("shop-2")).is_empty());
    assert!(listed(&engine, all().reference("shop-1").payment_reference("a/b")).is_empty());
    let paid = all().reference("shop-1").status(OrderStatus::Paid);
    assert!(listed(&engine, paid).is_empty());
    // Money of a wrong amount is owed once the order is due.
    world.clock.advance(secs(1_800));
    assert_eq!(of(PaymentDisposition::NeedsRefund), [wrong.id, owed.id]);
    assert!(of(PaymentDisposition::AmountMismatch).is_empty());
    engine.sweep().expect("sweeps");
    assert_eq!(of(PaymentDisposition::NeedsRefund), [wrong.id, owed.id]);
    let settle = stockade::RefundRequest::new(owed.id).owed();
    engine.refund_order(settle).expect("settled");
    assert_eq!(of(PaymentDisposition::NeedsRefund), [wrong.id]);
    assert_eq!(of(PaymentDisposition::Refunded), [owed.id]);
    assert_clean(&engine);
}

fn holds_are_listed_by_customer_and_time(world: &World) {
    let engine = world.engine();
    let (id, other) = (product(&engine, 50), product(&engine, 50));
    let first = ask(&engine, id, 1, "ann");
    hold(&engine, id, 1);
    let second = ask(&engine, other, 1, "ann");
    world.clock.advance(secs(10));
    let third = ask(&engine, id, 1, "ann");
    ask(&engine, id, 1, "bob");
    let extended = stockade::ExtendRequest::new(second).ttl(secs(900));
    engine.extend_hold(extended).expect("extended");
    let made = engine.create_order(OrderRequest::new(first, id)).expect("ordered").value;
    let query = || HoldQuery::new(2);
    assert_eq!(held(&engine, query().customer("ann")), [first, second, third]);
    assert_eq!(held(&engine, query().customer("ann").product(id)), [first, third]);
    let created_at = engine.hold(third).expect("reads").created_at;
    assert_eq!(held(&engine, query().customer("ann").created_after(created_at)), [third]);
    assert_eq!(held(&engine, query().created_before(created_at)).len(), 3);
    assert_eq!(held(&engine, query().created_after(created_at)).len(), 2);
    let page = engine.holds(HoldQuery::new(9).customer("ann")).expect("reads").items;
    assert_eq!(page[0].order_id, Some(made.id));
    for one in &page {
        assert_eq!(one.customer.as_deref(), Some("ann"));
        assert_eq!(engine.hold(one.id).expect("reads"), one.later());
    }
    let everyone = engine.holds(HoldQuery::new(9)).expect("reads").items;
    let named = everyone.iter().filter(|hold| hold.customer.is_some()).count();
    assert_eq!((everyone.len(), named), (5, 4));
    world.clock.advance(secs(120));
    let expired = query().customer("ann").status(HoldStatus::Expired);
    assert_eq!(held(&engine, expired), [third]);
    assert_eq!(held(&engine, query().customer("ann").status(HoldStatus::Active)), [second]);
    assert_clean(&engine);
}

fn a_list_pages_through_everything_once_while_others_write(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 10_000);
    let there: BTreeSet<OrderId> = (0..40).map(|_| buy(&engine, id, "ann").id).collect();
    let seen = at_once(5, |at| {
        if at == 0 {
            return [all(), all().customer("ann")].map(|query| listed(&engine, query)).to_vec();
        }
        for turn in 0..20 {
            let made = buy(&engine, id, ["ann", "bob"][turn % 2]);
            deliver(&engine, made.id, Outcome::Success, &format!("{at}-{turn}"));
        }
        Vec::new()
    });
    for found in seen.into_iter().flatten() {
        let once: BTreeSet<OrderId> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "no order comes twice");
        assert!(there.is_subset(&once), "none that was there is left out");
    }
    assert_clean(&engine);
}

/// A page may be short, or empty, and say where to go on.
fn a_list_looks_at_a_bounded_number_of_rows(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 10_000);
    let made: Vec<OrderId> = (0..30).map(|_| order(&engine, id, 1).id).collect();
    deliver(&engine, made[29], Outcome::Success, "paid");
    assert_eq!(listed(&engine, all().status(OrderStatus::Paid)), [made[29]]);
    let page = engine.orders(OrderQuery::new(1_000)).expect("reads");
    assert_eq!((page.items.len(), page.next), (30, None));
    let last = OrderQuery::new(1).after(made[28]);
    assert_eq!(engine.orders(last).expect("reads").next, None);
    let beyond = OrderQuery::new(1).after(u64::MAX);
    assert!(engine.orders(beyond).expect("reads").items.is_empty());
}

fn a_senseless_query_is_refused(world: &World) {
    let engine = world.engine();
    for query in [
        OrderQuery::new(0),
        OrderQuery::new(1_001),
        all().customer(""),
        all().customer("c".repeat(256)),
        all().reference(""),
        all().payment_reference(""),
    ] {
        assert_eq!(code(engine.orders(query)), "invalid_argument");
    }
    assert_eq!(code(engine.holds(HoldQuery::new(1).customer(""))), "invalid_argument");
    for id in [0, 1 << 63] {
        assert_eq!(code(engine.holds(HoldQuery::new(1).product(id))), "invalid_argument");
        assert_eq!(code(engine.orders(OrderQuery::new(1).product(id))), "invalid_argument");
    }
    assert_eq!(code(engine.waiting_payments(None, 0)), "invalid_argument");
    assert_eq!(code(engine.waiting_payments(Some("x".to_owned()), 1)), "invalid_argument");
}

fn waiting_payments_are_listed_by_age_and_removed(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 50);
    let next = next_order_id(&engine);
    let far = |beyond: u64| OrderId(next.0 + beyond);
    let token = order(&engine, id, 1).payment_token.expect("shown");
    let token: stockade::PaymentToken = {
        // The token of an order that is not there yet.
        let text =
            token.to_string().replacen(&token.order_id().to_string(), &far(50).to_string(), 1);
        text.parse().expect("a token")
    };
    let amount = "19.99".parse().expect("an amount");
    let by_id = PaymentEvent::for_order(far(40), Outcome::Success).amount(amount);
    engine.record_payment(by_id.key("b")).expect("kept");
    world.clock.advance(TICK);
    for key in ["c", "a"] {
        engine
            .record_payment(PaymentEvent::for_token(token, Outcome::Failure).key(key))
            .expect("kept");
    }
    let unkeyed = PaymentEvent::for_order(far(41), Outcome::Success);
    engine.record_payment(unkeyed).expect("kept");
    let pages = |engine: &Engine| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = engine.waiting_payments(after, 1).expect("reads");
            found.extend(page.items);
            let Some(next) = page.next else { return found };
            after = Some(next);
        }
    };
    let found = pages(&engine);
    assert_eq!(found.len(), 4);
    assert_eq!(
        (found[0].key.as_str(), found[0].order_id, found[0].amount),
        ("b", Some(far(40)), Some(amount))
    );
    let told = found.iter().map(|event| (event.by_token, event.received_at.until(event.ends_at)));
    let (ten_minutes, three_days) = (Duration::from_secs(600), Duration::from_secs(3 * 86_400));
    assert_eq!(told.filter(|it| *it == (false, ten_minutes)).count(), 2);
    let told = found.iter().map(|event| (event.by_token, event.received_at.until(event.ends_at)));
    assert_eq!(told.filter(|it| *it == (true, three_days)).count(), 2);
    for event in &found[1..] {
        assert_eq!(engine.remove_waiting_payment(event.key.clone()).expect("removed"), *event);
    }
    assert_eq!(code(engine.remove_waiting_payment("a".to_owned())), "not_found");
    assert_eq!(pages(&engine).len(), 1);
    // It stays recorded: a repeat changes nothing.
    let again = PaymentEvent::for_token(token, Outcome::Failure).key("a");
    assert!(engine.record_payment(again).expect("taken").replayed);
    assert_eq!(pages(&engine).len(), 1);
    world.clock.advance(ten_minutes - TICK);
    assert!(pages(&engine).is_empty(), "nobody has swept");
    engine.sweep().expect("sweeps");
    assert_eq!(assert_clean(&engine).waiting_events, 0);
}
