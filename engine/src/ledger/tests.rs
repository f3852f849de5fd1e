//! Decisions at boundaries that generated histories seldom reach: the microsecond
//! at which something is due, and the last unit.

use std::time::Duration;

use super::*;
use crate::model::{
    EventKind, HoldId, HoldStatus, OrderId, OrderStatus, OrderedHold, Outcome, PaymentDisposition,
    PaymentStatus, Product, ProductId, ShortLine, Token,
};
use crate::test_support::{adjustment, lamp, order_of};

impl Policy {
    /// A policy for tests whose subject is something else.
    pub const PLAIN: Self = Self {
        hold_ttl_max: Duration::from_secs(60),
        payment_ttl: None,
        payment_ttl_max: Duration::from_secs(600),
        failed_payment_grace: Duration::ZERO,
        re_reserve: true,
        require_hold_token: false,
        max_per_customer: None,
        customer_window: None,
        early_payment_ttl: Duration::from_secs(600),
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
    let product = Product { held: 2, pending: 2, version: 8, ..lamp(PRODUCT, stock) };
    let row = ProductRow { product, received: stock + 4, fence: 0, next_due };
    Rows { products: [(PRODUCT, row)].into(), ..Rows::default() }
}

fn hold(expires_at: Timestamp) -> HoldRow {
    let (status, token, created_at) = (HoldStatus::Active, Token(1), Timestamp::from_micros(0));
    HoldRow {
        id: HOLD,
        product_id: PRODUCT,
        quantity: 2,
        status,
        expires_at,
        created_at,
        token,
        cart_id: None,
    }
}

fn order(status: OrderStatus, pay_until: Option<Timestamp>) -> OrderRow {
    let mut row = order_of(ORDER, &[(HOLD, PRODUCT, 2)]);
    (row.order.status, row.order.pay_until) = (status, pay_until);
    row
}

fn payment(order_id: OrderId, outcome: Outcome) -> Command {
    let (key, fingerprint) = ("p".to_owned(), [0; 32]);
    let (is_named, secret) = (false, None);
    Command::Payment { key, fingerprint, order_id, is_named, secret, outcome, terms: None }
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
        let hold =
            NewHold { id, token: Token(1), product_id: PRODUCT, sku: None, quantity: 2, least: 2 };
        let command =
            Command::Hold { hold, ttl: TTL, customer: Some("c".into()), metadata: None, key: None };
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
        rows.orders =
            [(ORDER, order(OrderStatus::PendingPayment, Some(due_at)))].into_iter().collect();
        let (_, changes) = decide_one(rows, payment(ORDER, Outcome::Success));
        changes.events.iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(paid_when_due(NOW.after(MICRO)), [EventKind::OrderPaid]);
    assert_eq!(paid_when_due(NOW), [EventKind::OrderCancelled, EventKind::OrderPaid]);
}

#[test]
fn late_payment_takes_the_last_units_and_is_deferred_when_more_is_due() {
    let paid = |stock, more| {
        let mut rows = rows(stock, Some(NOW));
        rows.orders = [(ORDER, order(OrderStatus::Cancelled, None))].into_iter().collect();
        rows.due = [(PRODUCT, Due { more, ..Due::default() })].into();
        let (decision, changes) = decide_one(rows, payment(ORDER, Outcome::Success));
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
fn early_payment_with_a_wrong_token_or_of_long_ago_pays_nothing() {
    let ordered = |secret, age: Duration| {
        let mut rows = rows(0, None);
        rows.holds = [(HOLD, hold(NOW.after(TTL)))].into_iter().collect();
        let (key, outcome, answer) = ("p".to_owned(), Outcome::Success, PaymentStatus::Waiting);
        let (fingerprint, order_id, waiting) = ([0; 32], ORDER, true);
        let received_at = NOW.before(age);
        let terms = PaymentTerms::default();
        let event = PaymentRow {
            key,
            fingerprint,
            order_id,
            secret,
            outcome,
            terms,
            answer,
            waiting,
            received_at,
        };
        rows.payments = [("p".to_owned(), event.clone())].into();
        rows.waiting = [(ORDER, vec![event])].into_iter().collect();
        let (order_id, secret) = (ORDER, Token(2));
        let holds = [OrderedHold::new(HOLD).product(PRODUCT)].into();
        let command = Command::Order { order_id, secret, holds, terms: None, key: None };
        let (decision, changes) = decide_one(rows, command);
        assert_eq!(changes.settled_payments, [(ORDER, "p".to_owned())], "it is settled");
        let Ok(Answer::Order(order)) = self::answer(decision) else { panic!("no order") };
        let events = changes.events.iter().map(|event| event.kind).collect::<Vec<_>>();
        (order.status, events)
    };
    let paid = (OrderStatus::Paid, vec![EventKind::OrderCreated, EventKind::OrderPaid]);
    let (by_id, by_token) = (Duration::from_secs(600), Duration::from_secs(3 * 86_400));
    assert_eq!(ordered(None, by_id - MICRO), paid);
    assert_eq!(ordered(Some(Token(2)), by_token - MICRO), paid);
    let pending = OrderStatus::PendingPayment;
    let events = vec![EventKind::OrderCreated, EventKind::PaymentConflict];
    assert_eq!(ordered(Some(Token(3)), MICRO), (pending, events));
    let untouched = (pending, vec![EventKind::OrderCreated]);
    for (secret, age) in [(None, by_id), (Some(Token(2)), by_token), (Some(Token(3)), by_token)] {
        assert_eq!(ordered(secret, age), untouched);
    }
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
        decide_one(rows, adjustment(PRODUCT, delta, None, None))
    };
    let (decision, changes) = adjusted(-5, false);
    let Ok(Answer::Product(product)) = answer(decision) else { panic!("not adjusted") };
    assert_eq!((product.stock, product.version), (0, 9));
    assert_eq!(changes.products[0].after.product.version, 9, "as answered");
    let short = ShortLine { product_id: PRODUCT, sku: None, requested: 6, available: 5 };
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
        adjustment(PRODUCT, delta, None, Some(Box::new(key)))
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
        let command = adjustment(PRODUCT, 1, version, None);
        answer(decide_one(rows(5, None), command).0)
    };
    assert!(adjusted(None).is_ok() && adjusted(Some(8)).is_ok());
    for asked in [7, 9] {
        let refusal = Refusal::VersionMismatch { product_id: PRODUCT, asked, version: 8 };
        assert_eq!(adjusted(Some(asked)), Err(refusal));
    }
    // The first command of a batch raises the version for those after it.
    let adjust = |version| adjustment(PRODUCT, 1, version, None);
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
        let mut row = order_of(OrderId(id), &[(HoldId(id), PRODUCT, 1)]);
        row.order.pay_until = Some(if id < 30 { NOW } else { NOW.after(TTL) });
        row
    };
    rows.orders = [21, 22, 31].map(|id| (OrderId(id), pending(id))).into_iter().collect();
    if let Some(row) = rows.products.get_mut(&PRODUCT) {
        row.product.pending = 3;
    }
    let due = Due { orders: vec![OrderId(21), OrderId(22)], ..Due::default() };
    rows.due = [(PRODUCT, due)].into();
    let (_, changes) = decide_one(rows, payment(OrderId(31), Outcome::Success));
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
        details: None,
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

/// A row of the product after this change.
fn rows_with(stock: u64, change: impl FnOnce(&mut crate::model::Product)) -> Rows {
    let mut rows = rows(stock, None);
    let row = rows.products.get_mut(&PRODUCT).expect("the product");
    change(&mut row.product);
    row.product.set_in_stock(stock);
    rows
}

fn hold_by(sku: Option<&str>, quantity: u32) -> Command {
    let (id, token, product_id, least) = (HoldId(12), Token(1), PRODUCT, quantity);
    let hold = NewHold { id, token, product_id, sku: sku.map(Into::into), quantity, least };
    Command::Hold { hold, ttl: TTL, customer: None, metadata: None, key: None }
}

#[test]
fn hold_by_sku_is_stale_when_the_product_has_another() {
    let decide_by = |sku| {
        let rows = rows_with(5, |product| product.sku = Some("a".to_owned()));
        decide_one(rows, hold_by(sku, 1))
    };
    for sku in [None, Some("a")] {
        let Ok(Answer::Hold(hold)) = answer(decide_by(sku).0) else { panic!("not held") };
        assert_eq!(hold.sku.as_deref(), Some("a"));
    }
    let (decision, changes) = decide_by(Some("b"));
    assert_eq!(decision, Decision::StaleName);
    assert!(changes.is_empty());
}

#[test]
fn hold_takes_no_safety_stock_and_late_money_does() {
    let kept = |product: &mut crate::model::Product| product.safety_stock = 3;
    assert!(answer(decide_one(rows_with(5, kept), hold_by(None, 2)).0).is_ok());
    let short = ShortLine { product_id: PRODUCT, sku: None, requested: 3, available: 2 };
    let refused = answer(decide_one(rows_with(5, kept), hold_by(None, 3)).0);
    assert_eq!(refused, Err(Refusal::Insufficient(vec![short])));
    let mut rows = rows_with(2, |product| {
        kept(product);
        product.archived = true;
    });
    rows.orders = [(ORDER, order(OrderStatus::Cancelled, None))].into_iter().collect();
    let (_, changes) = decide_one(rows, payment(ORDER, Outcome::Success));
    let kinds: Vec<_> = changes.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::OrderPaid]);
}

#[test]
fn sku_goes_on_within_a_batch() {
    let set = |id: u64, to: crate::model::Change<String>| {
        let change = crate::model::ProductChange::new(id).sku(to);
        let (id, is_drawn, named_sku) = (ProductId(id), false, None);
        let write = ProductWrite::Change(change);
        let product = Box::new(ProductCommand { id, is_drawn, named_sku, write });
        Command::WriteProduct { product, key: None }
    };
    let give = |id| set(id, crate::model::Change::Set("a".to_owned()));
    let mut rows = rows_with(5, |product| product.sku = Some("a".to_owned()));
    let other = ProductRow { product: lamp(ProductId(99), 0), ..rows.products[&PRODUCT].clone() };
    rows.products.insert(ProductId(99), other);
    rows.product_by_sku.insert("a".to_owned(), PRODUCT);
    let commands =
        [give(99), set(PRODUCT.0, crate::model::Change::Clear), give(99), give(PRODUCT.0)];
    let (decisions, changes) = decide(&POLICY, rows, &commands, NOW);
    let answers: Vec<_> = decisions.into_iter().map(answer).collect();
    assert_eq!(answers[0], Err(Refusal::SkuTaken(PRODUCT, "a".to_owned())));
    assert!(answers[1].is_ok() && answers[2].is_ok());
    assert_eq!(answers[3], Err(Refusal::SkuTaken(ProductId(99), "a".to_owned())));
    let skus: Vec<_> = changes.products.iter().map(|it| it.after.product.sku.as_deref()).collect();
    assert_eq!(skus, [None, Some("a")]);
}
