//! Checks conservation and idempotency after a history: every unit is accounted
//! for, each hold is used once, no acknowledged write is lost and none is
//! executed twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use stockade::{Engine, Event, EventKind, HoldId, HoldStatus, OrderId, OrderStatus, Result};

use super::caller::stored;
use super::record::{Answer, Call, Record};
use crate::results::Violation;

const EVENTS_AT_ONCE: u32 = 10_000;

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub broken: Violation,
    /// Number of affected units, holds or orders.
    pub count: u64,
    pub why: String,
}

impl Finding {
    pub fn new(broken: Violation, count: u64, why: String) -> Self {
        Self { broken, count, why }
    }
}

/// Reads the events after `cursor` and advances it.
pub fn read_events(engine: &Engine, cursor: &mut u64) -> Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let page = engine.events_after(*cursor, EVENTS_AT_ONCE)?;
        let Some(last) = page.last() else { return Ok(events) };
        *cursor = last.cursor;
        events.extend(page);
    }
}

/// Compares the responses, the outbox events and the store's rows of these
/// products.
pub fn compare(
    engine: &Engine,
    products: &[u64],
    records: &[Record],
    events: &[Event],
) -> Result<Vec<Finding>> {
    let mut accounting = Accounting::default();
    for event in events.iter().filter(|event| products.contains(&event.product_id.0)) {
        accounting.apply(event);
    }
    accounting.compare_with_answers(records);
    accounting.compare_tokens(records);
    for product in products {
        accounting.compare_with_store(engine, *product)?;
    }
    accounting.compare_rows(engine)?;
    let audit = engine.audit()?;
    for finding in &audit.findings {
        let why = format!("the audit found {finding:?}");
        accounting.findings.push(Finding::new(Violation::Leaked, 1, why));
    }
    Ok(accounting.findings)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    product: u64,
    quantity: i64,
}

#[derive(Default)]
struct Accounting {
    /// Each product's stock, held, pending, sold, returned, and its version.
    products: BTreeMap<u64, ([i64; 5], u64)>,
    holds: HashMap<u64, (Made, HoldStatus)>,
    orders: HashMap<u64, (Made, OrderStatus, u64)>,
    refunds: HashSet<u64>,
    findings: Vec<Finding>,
}

impl Accounting {
    fn find(&mut self, broken: Violation, count: i64, why: String) {
        let count = count.unsigned_abs().max(1);
        self.findings.push(Finding::new(broken, count, why));
    }

    fn apply(&mut self, event: &Event) {
        use EventKind as E;
        let quantity = event.quantity;
        let moves = match event.kind {
            E::StockAdjusted => [1, 0, 0, 0, 0],
            E::HoldCreated => {
                let made = Made { product: event.product_id.0, quantity };
                let id = event.hold_id.map_or(0, |id| id.0);
                if self.holds.insert(id, (made, HoldStatus::Active)).is_some() {
                    self.find(Violation::Doubled, 1, format!("hold created twice: {event:?}"));
                }
                [-1, 1, 0, 0, 0]
            }
            E::HoldReleased => self.end_hold(event, HoldStatus::Released, [1, -1, 0, 0, 0]),
            E::HoldExpired => self.end_hold(event, HoldStatus::Expired, [1, -1, 0, 0, 0]),
            E::OrderCreated => {
                let made = Made { product: event.product_id.0, quantity };
                let id = event.order_id.map_or(0, |id| id.0);
                let hold = event.hold_id.map_or(0, |id| id.0);
                let order = (made, OrderStatus::PendingPayment, hold);
                if self.orders.insert(id, order).is_some() {
                    self.find(Violation::Doubled, 1, format!("order created twice: {event:?}"));
                }
                self.end_hold(event, HoldStatus::Converted, [0, -1, 1, 0, 0])
            }
            E::OrderPaid => match self.move_order(event, OrderStatus::Paid) {
                Some(OrderStatus::PendingPayment) => [0, 0, -1, 1, 0],
                Some(OrderStatus::Cancelled) => [-1, 0, 0, 1, 0],
                _ => self.twice(event),
            },
            E::OrderCancelled => match self.move_order(event, OrderStatus::Cancelled) {
                Some(OrderStatus::PendingPayment) => [1, 0, -1, 0, 0],
                _ => self.twice(event),
            },
            E::OrderRefunded => [0, 0, 0, -1, 1],
            E::OrderRestocked => [1, 0, 0, 0, -1],
            E::HoldExtended => self.expect_active(event, [0; 5]),
            E::HoldChanged => self.expect_active(event, [-1, 1, 0, 0, 0]),
            E::PaymentNeedsRefund => {
                let id = event.order_id.map_or(0, |id| id.0);
                if !self.refunds.insert(id) {
                    let why = format!("order marked for refund twice: {event:?}");
                    self.find(Violation::Doubled, 1, why);
                }
                [0; 5]
            }
            _ => [0; 5],
        };
        self.post(event, moves);
    }

    fn post(&mut self, event: &Event, moves: [i64; 5]) {
        let (units, version) = self.products.entry(event.product_id.0).or_default();
        for (units, step) in units.iter_mut().zip(moves) {
            *units += step * event.quantity;
        }
        let (below, is_left_out) = (units[0], event.version.wrapping_sub(*version) > 1);
        *version = event.version;
        // Only events that take stock can oversell; others at a negative stock
        // are not reported again.
        if below < 0 && moves[0] < 0 {
            self.find(
                Violation::Oversold,
                below,
                format!("negative stock {below} after {event:?}"),
            );
        }
        if is_left_out {
            let why = format!("version gap at {event:?}");
            self.find(Violation::Lost, 1, why);
        }
    }

    fn twice(&mut self, event: &Event) -> [i64; 5] {
        self.find(Violation::Doubled, 1, format!("order settled twice: {event:?}"));
        [0; 5]
    }

    fn expect_active(&mut self, event: &Event, moves: [i64; 5]) -> [i64; 5] {
        let hold = event.hold_id.and_then(|id| self.holds.get(&id.0));
        if hold.is_none_or(|(_, status)| *status != HoldStatus::Active) {
            self.find(Violation::Doubled, 1, format!("ended hold changed: {event:?}"));
        }
        moves
    }

    fn end_hold(&mut self, event: &Event, to: HoldStatus, moves: [i64; 5]) -> [i64; 5] {
        let id = event.hold_id.map_or(0, |id| id.0);
        match self.holds.get_mut(&id) {
            Some((_, status)) if *status == HoldStatus::Active => *status = to,
            Some(_) => self.find(Violation::Doubled, 1, format!("hold ended twice: {event:?}")),
            None => self.find(Violation::Lost, 1, format!("unknown hold: {event:?}")),
        }
        moves
    }

    fn move_order(&mut self, event: &Event, to: OrderStatus) -> Option<OrderStatus> {
        let id = event.order_id.map_or(0, |id| id.0);
        let order = self.orders.get_mut(&id)?;
        Some(std::mem::replace(&mut order.1, to))
    }

    /// Checks that exactly the acknowledged holds and orders exist, once each.
    fn compare_with_answers(&mut self, records: &[Record]) {
        let made = records.iter().filter(|record| !record.replayed);
        let (mut holds, mut orders) = (HashMap::new(), HashMap::new());
        let mut by_hold: HashMap<u64, u64> = HashMap::new();
        let mut answered_twice = Vec::new();
        for record in made {
            let lines = match (&record.call, &record.answer) {
                (Call::Hold { .. }, Answer::Held(held)) => std::slice::from_ref(held),
                (Call::Cart { .. }, Answer::Cart(lines)) => lines,
                (Call::Order { .. }, Answer::Ordered(order)) => {
                    let made = Made { product: order.product, quantity: order.quantity.into() };
                    let other = by_hold.insert(order.hold, order.id);
                    if orders.insert(order.id, made).is_some() || other.is_some() {
                        answered_twice.push(format!("two orders of one hold: {record:?}"));
                    }
                    &[]
                }
                _ => &[],
            };
            for held in lines {
                let made = Made { product: held.product, quantity: held.quantity.into() };
                if holds.insert(held.id, made).is_some() {
                    answered_twice.push(format!("one hold returned to two callers: {record:?}"));
                }
            }
        }
        answered_twice.into_iter().for_each(|why| self.find(Violation::Doubled, 1, why));
        let is_unknown = records.iter().any(|record| record.answer == Answer::Unknown);
        let known: HashMap<u64, Made> = self.holds.iter().map(|(id, one)| (*id, one.0)).collect();
        self.same(&holds, &known, "hold", is_unknown);
        let known: HashMap<u64, Made> = self.orders.iter().map(|(id, one)| (*id, one.0)).collect();
        self.same(&orders, &known, "order", is_unknown);
    }

    fn same(
        &mut self,
        answered: &HashMap<u64, Made>,
        done: &HashMap<u64, Made>,
        what: &str,
        is_unknown: bool,
    ) {
        for (id, made) in answered {
            if done.get(id) != Some(made) {
                let why =
                    format!("{what} {id} was acknowledged as {made:?} and is {:?}", done.get(id));
                self.find(Violation::Lost, 1, why);
            }
        }
        for (id, made) in done {
            if !answered.contains_key(id) && !is_unknown {
                let why = format!("{what} {id}, {made:?}, exists without a request");
                self.find(Violation::Doubled, 1, why);
            }
        }
    }

    fn compare_with_store(&mut self, engine: &Engine, product: u64) -> Result<()> {
        let units = stored(engine, product)?;
        let there = [units.stock, units.held, units.pending, units.sold, units.returned];
        let there = there.map(|units| i64::try_from(units).unwrap_or(i64::MAX));
        let (from_events, _) = self.products.get(&product).copied().unwrap_or_default();
        let missing = from_events.iter().sum::<i64>() - there.iter().sum::<i64>();
        if missing != 0 {
            let why = format!(
                "product {product}: events add up to {from_events:?}, the store has {there:?}"
            );
            self.find(Violation::Leaked, missing, why);
        } else if from_events != there {
            let why = format!(
                "product {product}: events add up to {from_events:?}, the store has {there:?}"
            );
            self.find(Violation::Leaked, from_events[0] - there[0], why);
        }
        if there[1] + there[2] != 0 {
            let why = format!("product {product}: expired stock did not return: {there:?}");
            self.find(Violation::Leaked, there[1] + there[2], why);
        }
        Ok(())
    }

    /// Checks that no two holds have the same token.
    fn compare_tokens(&mut self, records: &[Record]) {
        let mut of_token = HashMap::new();
        for record in records.iter().filter(|record| !record.replayed) {
            let made = match &record.answer {
                Answer::Held(held) => std::slice::from_ref(held),
                Answer::Cart(holds) => holds,
                _ => continue,
            };
            for (held, token) in made.iter().zip(&record.tokens) {
                if let Some(other) = of_token.insert(*token, held.id) {
                    let why = format!("the holds {other} and {} have the same token", held.id);
                    self.find(Violation::Unexplained, 1, why);
                }
            }
        }
    }

    /// Checks that every hold and order has the status that its events imply.
    fn compare_rows(&mut self, engine: &Engine) -> Result<()> {
        for (id, (_, from_events)) in self.holds.clone() {
            let hold = engine.hold(HoldId(id))?;
            let there = hold.status;
            if there != from_events {
                let why = format!("hold {id} is {there:?}, its events imply {from_events:?}");
                self.find(Violation::Lost, 1, why);
            }
        }
        for (id, (_, from_events, _)) in self.orders.clone() {
            let there = engine.order(OrderId(id))?.status;
            // An event of a refund has its units alone.
            let of_units = if there.was_paid() { OrderStatus::Paid } else { there };
            if of_units != from_events {
                let why = format!("order {id} is {there:?}, its events imply {from_events:?}");
                self.find(Violation::Lost, 1, why);
            }
        }
        Ok(())
    }
}
