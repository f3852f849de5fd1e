//! Decisions at boundaries that generated histories seldom reach: the microsecond
//! at which something is due, and the last unit.

use std::time::Duration;

use super::*;
use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, Money, Order, OrderId, OrderStatus, Outcome,
    PaymentDisposition, PaymentStatus, PaymentToken, Product, ProductId, ShortLine, Token,
};

impl Policy {
    /// A policy for tests whose subject is something else.
    pub const PLAIN: Self = Self {
        hold_ttl_max: Duration::from_secs(60),
        payment_ttl: None,
        re_reserve: true,
        require_hold_token: false,
        max_per_customer: None,
    };
}

const PRODUCT: ProductId = ProductId(7);
const HOLD: HoldId = HoldId(11);
const ORDER: OrderId = OrderId(21);
const NOW: Timestamp = Timestamp::from_micros(5_000_000);
const TTL: Duration = Duration::from_secs(60);
const MICRO: Duration = Duration::from_micros(1);
const POLICY: Policy =
    Policy { payment_ttl: Some(TTL), max_per_customer: Some(3), ..Policy::PLAIN };

fn rows(stock: u64, next_due: Option<Timestamp>) -> Rows {
    let price = Money::from_minor(100).expect("a price");
    let (name, held, pending, sold) = ("Lamp".to_owned(), 2, 2, 0);
    let product = Product { id: PRODUCT, name, price, stock, held, pending, sold, version: 8 };
    let row = ProductRow { product, received: stock + 4, fence: 0, next_due };
    Rows { products: [(PRODUCT, row)].into(), ..Rows::default() }
}

fn hold(expires_at: Timestamp) -> Hold {
    let (status, token, created_at) = (HoldStatus::Active, Token(1), Timestamp::from_micros(0));
    Hold {
        id: HOLD,
        product_id: PRODUCT,
        quantity: 2,
        status,
        expires_at,
        created_at,
        token,
        order_id: None,
    }
}

fn order(status: OrderStatus) -> Order {
    let payment_token = PaymentToken { order_id: ORDER, secret: Token(2) };
    let (payment_disposition, created_at) = (PaymentDisposition::None, Timestamp::from_micros(0));
    Order {
        id: ORDER,
        hold_id: HOLD,
        product_id: PRODUCT,
        quantity: 2,
        status,
        payment_disposition,
        payment_token,
        created_at,
        updated_at: created_at,
    }
}

fn decide_one(rows: Rows, command: Command) -> (Decision, Changes) {
    let (mut decisions, changes) = decide(&POLICY, rows, &[command], NOW);
    (decisions.remove(0), changes)
}

fn answer(decision: Decision) -> CommandResult {
    match decision {
        Decision::Done { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn customer_limit_counts_a_hold_until_it_expires() {
    let hold_two_more = |expires_at| {
        let mut rows = rows(9, None);
        rows.holds = [(HOLD, hold(expires_at))].into_iter().collect();
        rows.customers = [(PRODUCT, [("c".into(), vec![HOLD])].into())].into();
        let id = HoldId(12);
        let hold = NewHold { id, token: Token(1), product_id: PRODUCT, quantity: 2 };
        let command = Command::Hold { hold, ttl: TTL, customer: Some("c".into()), key: None };
        answer(decide_one(rows, command).0)
    };
    let too_many = Refusal::CustomerLimit { product_id: PRODUCT, held: 2, requested: 2, most: 3 };
    assert_eq!(hold_two_more(NOW.after(MICRO)), Err(too_many));
    assert!(hold_two_more(NOW).is_ok(), "it has expired");
}

#[test]
fn payment_cancels_an_order_that_is_exactly_due() {
    let paid_when_due = |due_at| {
        let mut rows = rows(0, None);
        let row = OrderRow { order: order(OrderStatus::PendingPayment), due_at: Some(due_at) };
        rows.orders = [(ORDER, row)].into();
        let payment = |outcome| Command::Payment {
            key: "p".to_owned(),
            body_hash: [0; 32],
            order_id: ORDER,
            secret: None,
            outcome,
        };
        let (_, changes) = decide_one(rows, payment(Outcome::Success));
        changes.events.iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(paid_when_due(NOW.after(MICRO)), [EventKind::OrderPaid]);
    assert_eq!(paid_when_due(NOW), [EventKind::OrderCancelled, EventKind::OrderPaid]);
}

#[test]
fn late_payment_takes_the_last_units_and_is_deferred_when_more_is_due() {
    let paid = |stock, more| {
        let mut rows = rows(stock, Some(NOW));
        rows.orders =
            [(ORDER, OrderRow { order: order(OrderStatus::Cancelled), due_at: None })].into();
        rows.due = [(PRODUCT, Due { more, ..Due::default() })].into();
        let key = "p".to_owned();
        let (body_hash, secret, outcome) = ([0; 32], None, Outcome::Success);
        let command = Command::Payment { key, body_hash, order_id: ORDER, secret, outcome };
        let (decision, changes) = decide_one(rows, command);
        let moved = changes.order_moves.first().map(|moved| moved.to.1);
        (decision == Decision::Deferred, moved)
    };
    for more in [false, true] {
        assert_eq!(paid(2, more), (false, Some(PaymentDisposition::ReReserved)));
    }
    assert_eq!(paid(1, false), (false, Some(PaymentDisposition::NeedsRefund)));
    assert_eq!(paid(1, true), (true, None));
}

#[test]
fn early_payment_with_a_wrong_token_pays_nothing() {
    let ordered = |secret| {
        let mut rows = rows(0, None);
        rows.holds = [(HOLD, hold(NOW.after(TTL)))].into_iter().collect();
        let (key, outcome, answer) = ("p".to_owned(), Outcome::Success, PaymentStatus::Waiting);
        let (body_hash, order_id, waiting, received_at) = ([0; 32], ORDER, true, NOW);
        let event =
            PaymentRow { key, body_hash, order_id, secret, outcome, answer, waiting, received_at };
        rows.payments = [("p".to_owned(), event.clone())].into();
        rows.waiting = [(ORDER, vec![event])].into();
        let (order_id, secret, hold_id, product_id) = (ORDER, Token(2), HOLD, PRODUCT);
        let command =
            Command::Order { order_id, secret, hold_id, product_id, token: None, key: None };
        let (decision, changes) = decide_one(rows, command);
        assert_eq!(changes.settled_payments, [(ORDER, "p".to_owned())], "it is settled");
        let Ok(Answer::Order(order)) = self::answer(decision) else { panic!("no order") };
        let events = changes.events.iter().map(|event| event.kind).collect::<Vec<_>>();
        (order.status, events)
    };
    let paid = (OrderStatus::Paid, vec![EventKind::OrderCreated, EventKind::OrderPaid]);
    assert_eq!(ordered(None), paid);
    assert_eq!(ordered(Some(Token(2))), paid);
    let events = vec![EventKind::OrderCreated, EventKind::PaymentConflict];
    assert_eq!(ordered(Some(Token(3))), (OrderStatus::PendingPayment, events));
}

#[test]
fn extend_emits_no_event_when_it_adds_nothing() {
    let extended = |ttl| {
        let end = NOW.after(TTL / 2);
        let mut rows = rows(0, None);
        rows.holds = [(HOLD, hold(end))].into_iter().collect();
        let (decision, changes) =
            decide_one(rows, Command::Extend { hold_id: HOLD, ttl, token: None });
        let Ok(Answer::Hold(hold)) = answer(decision) else { panic!("not extended") };
        (end.until(hold.expires_at), changes.events.len())
    };
    assert_eq!(extended(TTL / 2), (Duration::ZERO, 0));
    assert_eq!(extended(TTL / 2 + MICRO), (MICRO, 1));
    // It was created five seconds ago and may live for a minute.
    let longest = TTL / 2 - Duration::from_secs(5);
    assert_eq!(extended(TTL), (longest, 1));
    assert_eq!(extended(TTL * 9), (longest, 1));
}

#[test]
fn adjust_writes_off_the_last_unit_and_stays_within_the_column_range() {
    let adjusted = |delta, more| {
        let mut rows = rows(5, Some(NOW));
        rows.due = [(PRODUCT, Due { more, ..Due::default() })].into();
        decide_one(rows, Command::Adjust { product_id: PRODUCT, delta, version: None, key: None })
    };
    let (decision, changes) = adjusted(-5, false);
    let Ok(Answer::Product(product)) = answer(decision) else { panic!("not adjusted") };
    assert_eq!((product.stock, product.version), (0, 9));
    assert_eq!(changes.products[0].after.product.version, 9, "as answered");
    let short = ShortLine { product_id: PRODUCT, requested: 6, available: 5 };
    assert_eq!(answer(adjusted(-6, false).0), Err(Refusal::Insufficient(vec![short])));
    assert_eq!(adjusted(-6, true).0, Decision::Deferred, "due units may suffice");
    let received = 9;
    assert!(answer(adjusted(i64::MAX - received, false).0).is_ok());
    let too_large = Err(Refusal::StockTooLarge(PRODUCT));
    assert_eq!(answer(adjusted(i64::MAX - received + 1, false).0), too_large);
    assert_eq!(answer(adjusted(i64::MAX, false).0), too_large);
}

#[test]
fn adjust_stores_its_answer_under_its_key() {
    let adjust = |delta, fingerprint: u8| {
        let (key, fingerprint) = ("k".to_owned(), [fingerprint; 32]);
        let key = IdempotencyKey { key, fingerprint, keeps_refusals: true, is_fresh: false };
        Command::Adjust { product_id: PRODUCT, delta, version: None, key: Some(key) }
    };
    let commands = [adjust(2, 1), adjust(2, 1), adjust(3, 2)];
    let (decisions, changes) = decide(&POLICY, rows(5, None), &commands, NOW);
    let [first, again, other] = decisions.try_into().expect("three");
    let Decision::Done { answer: repeated, replayed: true } = again else { panic!("a replay") };
    assert_eq!(answer(first), repeated);
    assert_eq!(answer(other), Err(Refusal::KeyMismatch));
    assert_eq!((changes.products[0].after.product.stock, changes.new_keys.len()), (7, 1));
}

#[test]
fn adjust_refuses_another_version() {
    let adjusted = |version| {
        let command = Command::Adjust { product_id: PRODUCT, delta: 1, version, key: None };
        answer(decide_one(rows(5, None), command).0)
    };
    assert!(adjusted(None).is_ok() && adjusted(Some(8)).is_ok());
    for asked in [7, 9] {
        let refusal = Refusal::VersionMismatch { product_id: PRODUCT, asked, version: 8 };
        assert_eq!(adjusted(Some(asked)), Err(refusal));
    }
    // The first command of a batch raises the version for those after it.
    let adjust = |version| Command::Adjust { product_id: PRODUCT, delta: 1, version, key: None };
    let commands = [adjust(Some(8)), adjust(Some(8)), adjust(Some(9))];
    let (decisions, changes) = decide(&POLICY, rows(5, None), &commands, NOW);
    let answers: Vec<_> = decisions.into_iter().map(answer).collect();
    let refusal = Refusal::VersionMismatch { product_id: PRODUCT, asked: 8, version: 9 };
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1], Err(refusal));
    assert_eq!(changes.products[0].after.product.stock, 7);
}

#[test]
fn changes_group_orders_by_transition() {
    let mut rows = rows(0, Some(NOW));
    let pending = |id| {
        let payment_token = PaymentToken { order_id: OrderId(id), secret: Token(2) };
        let order = Order {
            id: OrderId(id),
            quantity: 1,
            payment_token,
            ..order(OrderStatus::PendingPayment)
        };
        OrderRow { order, due_at: Some(if id < 30 { NOW } else { NOW.after(TTL) }) }
    };
    rows.orders = [21, 22, 31].map(|id| (OrderId(id), pending(id))).into();
    if let Some(row) = rows.products.get_mut(&PRODUCT) {
        row.product.pending = 3;
    }
    let due = Due { orders: vec![OrderId(21), OrderId(22)], ..Due::default() };
    rows.due = [(PRODUCT, due)].into();
    let (key, body_hash, secret) = ("p".to_owned(), [0; 32], None);
    let (order_id, outcome) = (OrderId(31), Outcome::Success);
    let (_, changes) =
        decide_one(rows, Command::Payment { key, body_hash, order_id, secret, outcome });
    let moved = |to, ids| OrderMove {
        from: (OrderStatus::PendingPayment, PaymentDisposition::None),
        to: (to, PaymentDisposition::None),
        ids,
    };
    let cancelled = moved(OrderStatus::Cancelled, vec![OrderId(21), OrderId(22)]);
    assert_eq!(changes.order_moves, [cancelled, moved(OrderStatus::Paid, vec![OrderId(31)])]);
}

#[test]
fn changes_are_not_empty_when_anything_changed() {
    assert!(Changes::default().is_empty());
    let ids = vec![HOLD];
    let (from, to) = (HoldStatus::Active, HoldStatus::Released);
    let event = LedgerEvent {
        kind: EventKind::PaymentConflict,
        product_id: PRODUCT,
        hold_id: None,
        order_id: None,
        quantity: 0,
        version: 1,
    };
    let none = Changes::default;
    for changes in [
        Changes { new_holds: vec![hold(NOW)], ..none() },
        Changes { hold_moves: vec![HoldMove { from, to, ids }], ..none() },
        Changes { extensions: vec![(HOLD, NOW)], ..none() },
        Changes { settled_payments: vec![(ORDER, "p".to_owned())], ..none() },
        Changes { events: vec![event], ..none() },
    ] {
        assert!(!changes.is_empty(), "{changes:?}");
    }
}
