//! What the outbox tells, replayed by rules of its own and held against the
//! store's numbers.

use std::collections::{BTreeMap, HashMap};

use stockade::{Engine, Event, EventKind, HoldId, OrderId, ProductId};

use crate::world::{assert_clean, numbers};

const EVENTS_AT_ONCE: u32 = 10_000;

/// Every event there is, in the order of their cursors.
pub struct History {
    pub events: Vec<Event>,
}

/// Where an order stands when its events are replayed.
#[derive(PartialEq)]
enum Stage {
    Pending,
    Paid,
    Cancelled,
}

#[derive(Default)]
struct Replay {
    products: BTreeMap<ProductId, ([i64; 4], u64)>,
    /// Whether a hold is still active.
    holds: HashMap<HoldId, bool>,
    /// The lines of orders, each by its hold.
    orders: HashMap<(OrderId, HoldId), Stage>,
}

impl History {
    pub fn read(engine: &Engine) -> Self {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let cursor = events.last().map_or(0, |event| event.cursor);
            let page = engine.events_after(cursor, EVENTS_AT_ONCE).expect("events");
            if page.is_empty() {
                return Self { events };
            }
            events.extend(page);
        }
    }

    pub fn count(&self, kind: EventKind) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    /// What happened to each hold, and to the order made from it.
    pub fn by_hold(&self) -> HashMap<HoldId, Vec<EventKind>> {
        let mut kinds: HashMap<HoldId, Vec<EventKind>> = HashMap::new();
        for event in &self.events {
            if let Some(id) = event.hold_id {
                kinds.entry(id).or_default().push(event.kind);
            }
        }
        kinds
    }

    pub fn of_hold(&self, id: HoldId) -> Vec<EventKind> {
        self.by_hold().remove(&id).unwrap_or_default()
    }

    /// Each product's stock, held, pending and sold, and its version, as the
    /// events alone tell them. Fails where they contradict each other.
    pub fn replay(&self) -> BTreeMap<ProductId, ([i64; 4], u64)> {
        let mut replay = Replay::default();
        let mut cursor = 0;
        for event in &self.events {
            assert!(event.cursor > cursor, "cursors do not grow: {event:?}");
            cursor = event.cursor;
            replay.apply(event);
        }
        replay.products
    }
}

impl Replay {
    fn apply(&mut self, event: &Event) {
        use EventKind as E;
        let moves = match event.kind {
            E::StockAdjusted => [1, 0, 0, 0],
            E::HoldCreated => {
                let id = event.hold_id.expect("a hold");
                assert!(self.holds.insert(id, true).is_none(), "made twice: {event:?}");
                [-1, 1, 0, 0]
            }
            E::HoldReleased | E::HoldExpired => {
                self.end_hold(event);
                [1, -1, 0, 0]
            }
            E::OrderCreated => {
                self.end_hold(event);
                let known = self.orders.insert(order(event), Stage::Pending);
                assert!(known.is_none(), "ordered twice: {event:?}");
                [0, -1, 1, 0]
            }
            E::OrderPaid => match self.move_order(event, Stage::Paid) {
                Stage::Pending => [0, 0, -1, 1],
                Stage::Cancelled => [-1, 0, 0, 1],
                Stage::Paid => panic!("paid twice: {event:?}"),
            },
            E::OrderCancelled => {
                let before = self.move_order(event, Stage::Cancelled);
                assert!(before == Stage::Pending, "cancelled too late: {event:?}");
                [1, 0, -1, 0]
            }
            E::HoldExtended => {
                let active = self.holds.get(&event.hold_id.expect("a hold"));
                assert_eq!(active, Some(&true), "extended too late: {event:?}");
                [0; 4]
            }
            E::HoldChanged => {
                let active = self.holds.get(&event.hold_id.expect("a hold"));
                assert_eq!(active, Some(&true), "changed too late: {event:?}");
                [-1, 1, 0, 0]
            }
            E::OrderRefunded => [0, 0, 0, -1],
            E::OrderRestocked => [1, 0, 0, 0],
            _ => [0; 4],
        };
        let (units, version) = self.products.entry(event.product_id).or_default();
        for (units, step) in units.iter_mut().zip(moves) {
            *units += step * event.quantity;
            assert!(*units >= 0, "below zero: {event:?}");
        }
        // A product made without stock is at version 1 before its first event.
        let before = if *version == 0 { event.version - 1 } else { *version };
        let step = event.version.checked_sub(before).expect("versions never fall");
        assert!(step <= 1, "a version was left out before {event:?}");
        *version = event.version;
    }

    fn end_hold(&mut self, event: &Event) {
        let active = self.holds.insert(event.hold_id.expect("a hold"), false);
        assert_eq!(active, Some(true), "a hold ended twice: {event:?}");
    }

    fn move_order(&mut self, event: &Event, to: Stage) -> Stage {
        self.orders.insert(order(event), to).unwrap_or_else(|| panic!("no such order: {event:?}"))
    }
}

/// The line of an order that an event is about.
fn order(event: &Event) -> (OrderId, HoldId) {
    (event.order_id.expect("an order"), event.hold_id.expect("a hold"))
}

/// Fails unless books, holds, orders and events of these products agree and
/// add up to what was received. What is due goes back first.
pub fn assert_exact(engine: &Engine, products: &[ProductId], received: u64) -> History {
    engine.sweep().expect("sweeps");
    assert_clean(engine);
    let history = History::read(engine);
    let replayed = history.replay();
    for id in products {
        let stored = numbers(engine, *id);
        assert_eq!(stored.iter().sum::<u64>(), received, "received of product {id}: {stored:?}");
        let (told, version) = replayed.get(id).copied().unwrap_or_default();
        let told = told.map(|units| u64::try_from(units).expect("never below zero"));
        assert_eq!(told, stored, "product {id}: the events tell otherwise");
        let page = engine.products(Some(ProductId(id.0 - 1)), 1).expect("reads");
        assert_eq!(page.items[0].version, version, "product {id}: the version");
    }
    history
}
