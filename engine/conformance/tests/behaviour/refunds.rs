//! What happens to an order after it was made: extended, cancelled, refunded,
//! restocked.

use stockade::{
    Engine, ExtendOrderRequest, LatePayment, LineUnits, Order, OrderRequest, OrderStatus,
    OrderedHold, Outcome, PaymentDisposition, PaymentEvent, PaymentReference, ProductId,
    RefundRequest, ReportedRefund, RestockRequest,
};

use crate::crowd::{at_once, engines, pick};
use crate::steps::{assert_numbers, code, deliver, hold, order, secs, shown, story};
use crate::world::{World, assert_clean, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("refunds";
    a_shops_cancellation_is_for_good,
    a_paid_order_cannot_be_cancelled,
    a_pending_order_is_extended_up_to_its_longest_life,
    a_whole_refund_returns_or_restocks_all_units,
    a_refund_in_parts_ends_when_no_money_is_left,
    more_than_is_left_is_never_refunded,
    returned_units_are_restocked_once,
    money_that_is_owed_is_settled,
    late_money_of_a_second_payment_is_owed_too,
    money_of_a_wrong_amount_is_told_from_further_money,
    a_reported_refund_is_of_the_payment_that_it_names,
    a_reported_refund_is_the_same_request_whatever_became_of_its_order,
    a_refund_key_moves_units_once,
    a_refund_that_shows_a_wrong_payment_token_is_refused,
    a_payment_reference_names_one_order,
    a_crowd_refunds_and_restocks_once,
    a_cancellation_and_a_payment_at_once_leave_one_truth,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("refunds";
    a_crowd_refunds_and_restocks_once_by_two_engines,
    a_cancellation_and_a_payment_at_once_by_two_engines,
);

fn paid(engine: &Engine, id: ProductId, units: u32) -> Order {
    let made = order(engine, id, units);
    deliver(engine, made.id, Outcome::Success, &format!("paid-{}", made.id));
    made
}

fn returned(engine: &Engine, id: ProductId) -> u64 {
    engine.product(id).expect("is there").returned
}

fn a_shops_cancellation_is_for_good(world: &World) {
    let engine = world.builder().late_payment(LatePayment::ReReserve).open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    let cancelled = engine.cancel_order(made.id).expect("cancelled");
    assert_eq!(cancelled.status, OrderStatus::Cancelled);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_eq!(engine.cancel_order(made.id).expect("as before"), cancelled);
    // Late money would pay an order that was cancelled by time, and never this one.
    deliver(&engine, made.id, Outcome::Success, "late");
    let now = engine.order(made.id).expect("is there");
    let expected = (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund);
    assert_eq!((now.status, now.payment_disposition), expected);
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_paid_order_cannot_be_cancelled(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5);
    let made = paid(&engine, id, 2);
    assert_eq!(code(engine.cancel_order(made.id)), "already_paid");
    assert_eq!(code(engine.extend_order(ExtendOrderRequest::new(made.id))), "already_paid");
    assert_eq!(code(engine.cancel_order(stockade::OrderId(999_999))), "not_found");
    assert_numbers(&engine, id, [3, 0, 0, 2]);
    assert_clean(&engine);
}

fn a_pending_order_is_extended_up_to_its_longest_life(world: &World) {
    let builder = world.builder().payment_ttl(secs(60)).set("payment_ttl_max", "100s");
    let engine = builder.expect("a setting").open().expect("opens");
    let id = product(&engine, 5);
    let made = order(&engine, id, 2);
    let longer = |seconds| engine.extend_order(ExtendOrderRequest::new(made.id).ttl(secs(seconds)));
    assert_eq!(longer(30).expect("as it was").pay_until, made.pay_until, "never shortened");
    world.clock.advance(secs(20));
    let end = |seconds| Some(made.created_at.after(secs(seconds)));
    assert_eq!(longer(70).expect("extended").pay_until, end(90));
    assert_eq!(longer(100).expect("extended").pay_until, end(100), "the longest life");
    assert_eq!(code(longer(101)), "invalid_argument");
    world.clock.advance(secs(70));
    assert_eq!(engine.sweep().expect("sweeps").orders_cancelled, 0);
    world.clock.advance(secs(10));
    assert_eq!(code(longer(50)), "order_cancelled");
    assert_numbers(&engine, id, [5, 0, 0, 0]);
    assert_clean(&engine);
}

fn a_whole_refund_returns_or_restocks_all_units(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let (first, second) = (paid(&engine, id, 2), paid(&engine, id, 3));
    let refunded = engine.refund_order(RefundRequest::new(first.id)).expect("refunded").value;
    assert_eq!((refunded.status, refunded.refunded_amount), (OrderStatus::Refunded, first.amount));
    let line = refunded.lines.first();
    assert_eq!((line.refunded, line.returned), (2, 2));
    assert_numbers(&engine, id, [4, 0, 0, 3]);
    assert_eq!(returned(&engine, id), 2);
    engine.refund_order(RefundRequest::new(second.id).restock()).expect("refunded");
    assert_numbers(&engine, id, [7, 0, 0, 0]);
    assert_eq!(engine.order(second.id).expect("is there").lines.first().returned, 0);
    assert_clean(&engine);
}

fn a_refund_in_parts_ends_when_no_money_is_left(world: &World) {
    let engine = world.engine();
    let ids = [product(&engine, 9), product(&engine, 9)];
    let holds = [hold(&engine, ids[0], 1), hold(&engine, ids[1], 2)];
    let request = OrderRequest::of(holds.map(|hold| OrderedHold::new(hold.id)));
    let made = engine.create_order(request).expect("ordered").value;
    deliver(&engine, made.id, Outcome::Success, "evt");
    let part = RefundRequest::new(made.id).lines([LineUnits::new(2, 1)]);
    let now = engine.refund_order(part).expect("refunded").value;
    assert_eq!(
        (now.status, now.refunded_amount.to_string().as_str()),
        (OrderStatus::PartiallyRefunded, "19.99")
    );
    assert_eq!(returned(&engine, ids[1]), 1);
    let money = RefundRequest::new(made.id).amount("9.99".parse().expect("an amount"));
    let now = engine.refund_order(money).expect("refunded").value;
    assert_eq!(
        (now.status, now.refunded_amount.to_string().as_str()),
        (OrderStatus::PartiallyRefunded, "29.98")
    );
    assert_numbers(&engine, ids[0], [8, 0, 0, 1]);
    let rest = engine.refund_order(RefundRequest::new(made.id).restock()).expect("refunded").value;
    assert_eq!((rest.status, rest.refunded_amount), (OrderStatus::Refunded, made.amount));
    assert_numbers(&engine, ids[0], [9, 0, 0, 0]);
    assert_numbers(&engine, ids[1], [8, 0, 0, 0]);
    assert_clean(&engine);
}

fn more_than_is_left_is_never_refunded(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let pending = order(&engine, id, 1);
    assert_eq!(code(engine.refund_order(RefundRequest::new(pending.id))), "not_paid");
    let made = paid(&engine, id, 2);
    let refuse = |request: RefundRequest| {
        assert_eq!(code(engine.refund_order(request)), "refund_too_large");
    };
    let of = || RefundRequest::new(made.id);
    refuse(of().lines([LineUnits::new(1, 3)]));
    refuse(of().lines([LineUnits::new(2, 1)]));
    refuse(of().amount("39.99".parse().expect("an amount")));
    refuse(of().owed());
    assert_eq!(
        code(engine.refund_order(of().amount("0.001".parse().expect("an amount")))),
        "invalid_argument"
    );
    engine.refund_order(of()).expect("refunded");
    refuse(of());
    refuse(of().amount("0.01".parse().expect("an amount")));
    assert_numbers(&engine, id, [6, 0, 1, 0]);
    assert_clean(&engine);
}

fn returned_units_are_restocked_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let made = paid(&engine, id, 3);
    let restock =
        |lines: Vec<LineUnits>| engine.restock_order(RestockRequest::new(made.id).lines(lines));
    assert_eq!(code(restock(vec![])), "nothing_returned");
    engine.refund_order(RefundRequest::new(made.id)).expect("refunded");
    restock(vec![LineUnits::new(1, 1)]).expect("restocked");
    assert_eq!(code(restock(vec![LineUnits::new(1, 3)])), "nothing_returned");
    assert_numbers(&engine, id, [7, 0, 0, 0]);
    assert_eq!(returned(&engine, id), 2);
    restock(vec![]).expect("restocked");
    assert_eq!(code(restock(vec![])), "nothing_returned");
    assert_numbers(&engine, id, [9, 0, 0, 0]);
    assert_clean(&engine);
}

fn money_that_is_owed_is_settled(world: &World) {
    let engine = world.builder().late_payment(LatePayment::Refund).open().expect("opens");
    let id = product(&engine, 9);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Failure, "f");
    deliver(&engine, made.id, Outcome::Success, "s");
    let settled = engine.refund_order(RefundRequest::new(made.id).owed()).expect("settled").value;
    let expected = (OrderStatus::Cancelled, PaymentDisposition::Refunded);
    assert_eq!((settled.status, settled.payment_disposition), expected);
    assert_eq!(code(engine.refund_order(RefundRequest::new(made.id).owed())), "refund_too_large");
    // The same money, told again, buys nothing.
    deliver(&engine, made.id, Outcome::Success, "s-2");
    assert_eq!(engine.order(made.id).expect("is there"), settled);
    assert_numbers(&engine, id, [9, 0, 0, 0]);
    assert_clean(&engine);
}

fn late_money_of_a_second_payment_is_owed_too(world: &World) {
    let engine = world.builder().late_payment(LatePayment::Refund).open().expect("opens");
    let id = product(&engine, 9);
    let made = order(&engine, id, 2);
    deliver(&engine, made.id, Outcome::Failure, "f");
    let late = |payment: &str, key: &str| {
        let mut event = PaymentEvent::for_order(made.id, Outcome::Success).key(key);
        event.payment_reference = Some(payment.to_owned());
        engine.record_payment(&event).expect("taken");
        let disposition = engine.order(made.id).expect("is there").payment_disposition;
        (disposition, story(&engine, id).pop().expect("an event").0)
    };
    let owed = PaymentDisposition::NeedsRefund;
    assert_eq!(late("stripe/pi_1", "s-1"), (owed, "payment.needs_refund"));
    assert_eq!(late("stripe/pi_1", "s-2"), (owed, "payment.needs_refund"), "the same money");
    assert_eq!(late("stripe/pi_2", "s-3"), (owed, "payment.duplicate"));
    engine.refund_order(RefundRequest::new(made.id).owed()).expect("settled");
    let settled = (PaymentDisposition::Refunded, "order.refunded");
    assert_eq!(late("stripe/pi_1", "s-4"), settled, "told again");
    assert_eq!(late("stripe/pi_3", "s-5"), (owed, "payment.duplicate"));
    assert_numbers(&engine, id, [9, 0, 0, 0]);
    assert_clean(&engine);
}

/// A success by a payment of this name.
fn success(order: &Order, payment: &str, key: &str) -> PaymentEvent {
    let event = PaymentEvent::for_order(order.id, Outcome::Success).key(key);
    event.payment_reference(payment)
}

fn money_of_a_wrong_amount_is_told_from_further_money(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let made = order(&engine, id, 2);
    let take = |event| {
        engine.record_payment(event).expect("taken");
        let disposition = engine.order(made.id).expect("is there").payment_disposition;
        (disposition, story(&engine, id).pop().expect("an event").0)
    };
    let wrong = success(&made, "stripe/A", "a").amount("1".parse().expect("money"));
    let mismatch = (PaymentDisposition::AmountMismatch, "payment.amount_mismatch");
    assert_eq!(take(wrong), mismatch);
    engine.cancel_order(made.id).expect("cancelled");
    let owed = (PaymentDisposition::NeedsRefund, "payment.duplicate");
    assert_eq!(take(success(&made, "stripe/B", "b")), owed);
    engine.refund_order(RefundRequest::new(made.id).owed()).expect("settled");
    assert_eq!(take(success(&made, "stripe/A", "a-2")).0, PaymentDisposition::Refunded, "known");
    assert_eq!(take(success(&made, "stripe/B", "b-2")).0, PaymentDisposition::Refunded, "known");
    assert_eq!(take(success(&made, "stripe/C", "c")), owed);
    assert_numbers(&engine, id, [9, 0, 0, 0]);
    assert_clean(&engine);
}

/// A refund that a provider reports, of this payment.
fn reported(order: &Order, payment: &str, amount: &str, is_full: Option<bool>) -> RefundRequest {
    let mut reported = ReportedRefund::default();
    (reported.payment, reported.is_full) = (Some(payment.to_owned()), is_full);
    reported.amount = Some(amount.parse().expect("money"));
    RefundRequest::reported(order.id, reported)
}

fn a_reported_refund_is_of_the_payment_that_it_names(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let made = order(&engine, id, 1);
    for (payment, key) in [("stripe/A", "a"), ("stripe/B", "b")] {
        engine.record_payment(success(&made, payment, key)).expect("taken");
    }
    let state = |order: Order| (order.status, order.payment_disposition, order.refunded_amount);
    let refund = |request: RefundRequest| engine.refund_order(request);
    let (all, part) = ("19.99", "5");
    // A part of what is owed leaves it owed.
    let refused = refund(reported(&made, "stripe/B", part, Some(false)));
    assert_eq!(code(refused), "refund_too_large");
    // One of the payment that paid leaves it owed, too.
    let parted = refund(reported(&made, "stripe/A", part, None)).expect("booked").value;
    let owed = PaymentDisposition::NeedsRefund;
    let five = part.parse().expect("money");
    assert_eq!(state(parted), (OrderStatus::PartiallyRefunded, owed, five));
    let settled = refund(reported(&made, "stripe/B", all, None)).expect("settled").value;
    let refunded = PaymentDisposition::Refunded;
    assert_eq!(state(settled), (OrderStatus::PartiallyRefunded, refunded, five));
    assert_eq!(code(refund(reported(&made, "stripe/B", all, None))), "not_paid");
    assert_numbers(&engine, id, [8, 0, 0, 1]);
    // A full one, which says so or has the order's amount, returns the units.
    for is_full in [None, Some(true)] {
        let made = order(&engine, id, 1);
        engine.record_payment(success(&made, "stripe/D", &format!("d{is_full:?}"))).expect("taken");
        let whole = refund(reported(&made, "stripe/D", all, is_full)).expect("booked").value;
        assert_eq!((whole.status, whole.lines.first().returned), (OrderStatus::Refunded, 1));
    }
    assert_eq!(returned(&engine, id), 2);
    assert_clean(&engine);
}

fn a_reported_refund_is_the_same_request_whatever_became_of_its_order(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let made = order(&engine, id, 1);
    engine.record_payment(success(&made, "stripe/A", "a")).expect("taken");
    let part = reported(&made, "stripe/A", "5", Some(false)).key("part");
    assert!(!engine.refund_order(&part).expect("booked").replayed);
    engine.record_payment(success(&made, "stripe/B", "b")).expect("taken");
    assert!(engine.refund_order(&part).expect("told again").replayed);
    let whole = reported(&made, "stripe/B", "19.99", Some(true)).key("whole");
    assert!(!engine.refund_order(&whole).expect("settled").replayed);
    assert!(engine.refund_order(&whole).expect("told again").replayed);
    let order = engine.order(made.id).expect("is there");
    assert_eq!(order.payment_disposition, PaymentDisposition::Refunded);
    assert_clean(&engine);
}

fn a_refund_key_moves_units_once(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let made = paid(&engine, id, 3);
    let request = RefundRequest::new(made.id).lines([LineUnits::new(1, 1)]).key("refund");
    let first = engine.refund_order(&request).expect("refunded");
    let again = engine.refund_order(&request).expect("refunded");
    assert_eq!((again.replayed, &again.value), (true, &first.value));
    assert_eq!(
        code(engine.refund_order(request.lines([LineUnits::new(1, 2)]))),
        "idempotency_mismatch"
    );
    let request = RestockRequest::new(made.id).key("restock");
    engine.restock_order(&request).expect("restocked");
    assert!(engine.restock_order(&request).expect("restocked").replayed);
    assert_numbers(&engine, id, [7, 0, 0, 2]);
    assert_clean(&engine);
}

fn a_refund_that_shows_a_wrong_payment_token_is_refused(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let (made, other) = (paid(&engine, id, 2), paid(&engine, id, 1));
    let refund = |token: &str| {
        let mut request = RefundRequest::new(made.id).key("refund");
        request.payment_token = Some(token.parse().expect("a token"));
        engine.refund_order(&request)
    };
    let of_other = shown(&other).to_string();
    for wrong in [format!("pt_{}_{:032x}", made.id, 7), of_other] {
        assert_eq!(code(refund(&wrong)), "invalid_argument");
    }
    assert_eq!(returned(&engine, id), 0);
    // It did not use up the key.
    let refunded = refund(&shown(&made).to_string()).expect("refunded").value;
    assert_eq!((refunded.status, returned(&engine, id)), (OrderStatus::Refunded, 2));
    assert_clean(&engine);
}

fn a_payment_reference_names_one_order(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 9);
    let (first, second) = (order(&engine, id, 1), order(&engine, id, 1));
    let tie = |order: &Order| {
        engine.set_payment_reference(PaymentReference::new(order.id, "stripe", "pi_1"))
    };
    assert_eq!(tie(&first).expect("tied").id, first.id);
    assert_eq!(tie(&first).expect("as before").id, first.id);
    let refused = tie(&second).expect_err("taken");
    assert_eq!((refused.code(), refused.order_id()), ("already_exists", Some(first.id)));
    let find = |provider: &str| engine.order_by_payment(provider.to_owned(), "pi_1".to_owned());
    assert_eq!(find("stripe").expect("is there").id, first.id);
    assert_eq!(code(find("adyen")), "not_found");
    assert_clean(&engine);
}

fn a_crowd_refunds_and_restocks_once(world: &World) {
    crowd(&engines(world, 1));
}

fn a_crowd_refunds_and_restocks_once_by_two_engines(world: &World) {
    crowd(&engines(world, 2));
}

fn crowd(engines: &[Engine]) {
    let id = product(&engines[0], 100);
    for _ in 0..5 {
        let made = paid(&engines[0], id, 4);
        let one = || RefundRequest::new(made.id).lines([LineUnits::new(1, 1)]);
        let answers = at_once(8, |at| pick(engines, at).refund_order(one()));
        assert_eq!(answers.iter().flatten().count(), 4, "{answers:?}");
        assert_eq!(engines[0].product(id).expect("is there").returned, 4);
        let answers = at_once(8, |at| {
            pick(engines, at)
                .restock_order(RestockRequest::new(made.id).lines([LineUnits::new(1, 1)]))
        });
        assert_eq!(answers.iter().flatten().count(), 4, "{answers:?}");
        assert_numbers(&engines[0], id, [100, 0, 0, 0]);
    }
    assert_clean(&engines[0]);
}

fn a_cancellation_and_a_payment_at_once_leave_one_truth(world: &World) {
    crossing(&engines(world, 1));
}

fn a_cancellation_and_a_payment_at_once_by_two_engines(world: &World) {
    crossing(&engines(world, 2));
}

fn crossing(engines: &[Engine]) {
    let id = product(&engines[0], 100);
    let mut sold = 0;
    for round in 0..20 {
        let made = order(&engines[0], id, 1);
        at_once(2, |at| match (at + round) % 2 {
            0 => drop(pick(engines, 0).cancel_order(made.id)),
            _ => {
                let event = PaymentEvent::for_order(made.id, Outcome::Success);
                pick(engines, 1).record_payment(event).expect("taken");
            }
        });
        let now = engines[0].order(made.id).expect("is there");
        match (now.status, now.payment_disposition) {
            (OrderStatus::Paid, PaymentDisposition::None) => sold += 1,
            (OrderStatus::Cancelled, PaymentDisposition::NeedsRefund) => {}
            other => panic!("{other:?}"),
        }
        assert_numbers(&engines[0], id, [100 - sold, 0, 0, sold]);
    }
    assert_clean(&engines[0]);
}
