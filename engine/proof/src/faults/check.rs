//! After a fault: what the callers were told against what the store tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::thread;
use std::time::Duration;

use stockade::{Engine, ErrorKind, Event, EventKind, HoldId, Product};

use super::found::Found;
use super::journal::{Ask, Entry, Journal, Said, intent_of};
use crate::outcome::StreamError;

const EVENTS_AT_ONCE: u32 = 10_000;
const PRODUCTS_AT_ONCE: u32 = 1_000;
/// Keyed requests with an answer that are asked once more.
const REPLAYS_MAX: usize = 60;
/// How often something is asked that has no answer yet, and the pause between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// Compares all of it. `expires` says whether a hold may fall due meanwhile.
pub fn check(engine: &Engine, journal: &mut Journal, expires: bool, found: &mut Found) {
    found.operations += journal.entries.len() as u64;
    ask_again(engine, journal, found);
    let store = Store::read(engine, found);
    let asked = Asked::of(journal);
    store.check_products(found);
    store.check_courses(expires, found);
    Answers { store: &store, asked: &asked, expires }.check(found);
    check_unanswered(engine, &store, &asked, found);
}

/// Asks again what was never answered for good, and some of what was.
fn ask_again(engine: &Engine, journal: &mut Journal, found: &mut Found) {
    let mut intents: BTreeMap<u64, (Ask, bool)> = BTreeMap::new();
    for entry in &journal.entries {
        let settled = entry.said.as_ref().is_some_and(|said| !said.is_transient());
        let known = intents.entry(entry.intent).or_insert_with(|| (entry.ask.clone(), false));
        known.1 |= settled;
    }
    let is_keyed = |ask: &Ask| {
        matches!(
            ask,
            Ask::Hold { keyed: true, .. }
                | Ask::Cart { keyed: true, .. }
                | Ask::Order { keyed: true, .. }
                | Ask::Pay { .. }
        )
    };
    let is_safe =
        |ask: &Ask| is_keyed(ask) || matches!(ask, Ask::Release { .. } | Ask::Order { .. });
    let open = intents.iter().filter(|(_, (ask, settled))| !settled && is_safe(ask));
    let known = intents.iter().filter(|(_, (ask, settled))| *settled && is_keyed(ask));
    let again: Vec<(u64, Ask)> = open
        .chain(known.take(REPLAYS_MAX))
        .map(|(intent, (ask, _))| (*intent, ask.clone()))
        .collect();
    for (intent, ask) in again {
        let settled = (0..TRIES).any(|attempt| {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            !journal.call(engine, intent, &ask).is_transient()
        });
        if !settled {
            found.blame(StreamError::Unexplained, 1, || format!("no answer to {ask:?} at last"));
        }
    }
}

/// Every event there is, in the order of their cursors.
pub fn all_events(engine: &Engine) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let cursor = events.last().map_or(0, |event| event.cursor);
        let page = engine.events_after(cursor, EVENTS_AT_ONCE).expect("events");
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// What the store tells.
struct Store {
    products: Vec<Product>,
    events: Vec<Event>,
    /// What happened to each hold, and to the order made from it.
    courses: HashMap<u64, Vec<EventKind>>,
    order_of: HashMap<u64, u64>,
    hold_of: HashMap<u64, u64>,
}

impl Store {
    fn read(engine: &Engine, found: &mut Found) -> Self {
        let report = engine.audit().expect("audits");
        for finding in &report.findings {
            found.blame(StreamError::Leaked, 1, || format!("{finding:?}"));
        }
        let products = engine.products(None, PRODUCTS_AT_ONCE).expect("reads").items;
        let events = all_events(engine);
        let mut courses: HashMap<u64, Vec<EventKind>> = HashMap::new();
        let (mut order_of, mut hold_of) = (HashMap::new(), HashMap::new());
        for event in &events {
            let Some(hold) = event.hold_id else { continue };
            courses.entry(hold.0).or_default().push(event.kind);
            if event.kind == EventKind::OrderCreated
                && let Some(order) = event.order_id
            {
                let before = order_of.insert(hold.0, order.0);
                if before.is_some_and(|before| before != order.0) {
                    found.blame(StreamError::Doubled, 1, || format!("two orders of hold {hold}"));
                }
                hold_of.insert(order.0, hold.0);
            }
        }
        Self { products, events, courses, order_of, hold_of }
    }

    fn has(&self, hold: u64, kind: EventKind) -> bool {
        self.courses.get(&hold).is_some_and(|course| course.contains(&kind))
    }

    /// The events add up to the products' numbers, which add up to what was
    /// received, and at no moment was more taken than there was.
    fn check_products(&self, found: &mut Found) {
        use EventKind as E;
        let mut units: HashMap<u64, [i64; 4]> = HashMap::new();
        for event in &self.events {
            let moves = match event.kind {
                E::StockAdjusted => [1, 0, 0, 0],
                E::HoldCreated => [-1, 1, 0, 0],
                E::HoldReleased | E::HoldExpired => [1, -1, 0, 0],
                E::OrderCreated => [0, -1, 1, 0],
                E::OrderPaid => [0, 0, -1, 1],
                E::OrderCancelled => [1, 0, -1, 0],
                _ => [0; 4],
            };
            let product = units.entry(event.product_id.0).or_default();
            for (units, step) in product.iter_mut().zip(moves) {
                *units += step * event.qty;
            }
            let [stock, ..] = *product;
            if stock < 0 {
                let over = stock.unsigned_abs();
                found.blame(StreamError::Oversold, over, || format!("below zero at {event:?}"));
            }
        }
        for product in &self.products {
            let Product { id, stock, held, pending, sold, .. } = product;
            let received = units.get(&id.0).map_or(0, |units| units.iter().sum::<i64>());
            let received = u64::try_from(received).unwrap_or_default();
            let taken = held + pending + sold;
            if taken > received {
                found.blame(StreamError::Oversold, taken - received, || format!("{product:?}"));
            }
            let told = units.get(&id.0).copied().unwrap_or_default();
            let stored = [*stock, *held, *pending, *sold];
            for (told, stored) in told.into_iter().zip(stored) {
                let stored = i64::try_from(stored).unwrap_or(i64::MAX);
                if told != stored {
                    let units = told.abs_diff(stored);
                    let why = || format!("the events tell {told} where {product:?} has {stored}");
                    found.blame(StreamError::Leaked, units, why);
                }
            }
        }
    }

    /// Each hold goes one of the ways that a hold can go.
    fn check_courses(&self, expires: bool, found: &mut Found) {
        use EventKind as E;
        for (hold, course) in &self.courses {
            let is_fine = match course.as_slice() {
                [E::HoldCreated] | [E::HoldCreated, E::HoldReleased] => true,
                [E::HoldCreated, E::HoldExpired] => expires,
                [E::HoldCreated, E::OrderCreated, rest @ ..] => {
                    matches!(rest, [] | [E::OrderPaid | E::OrderCancelled])
                }
                _ => false,
            };
            if !is_fine {
                found.blame(StreamError::Doubled, 1, || format!("hold {hold} went {course:?}"));
            }
        }
    }
}

/// The calls by what was wanted.
struct Asked<'a> {
    intents: BTreeMap<u64, Vec<&'a Entry>>,
}

impl<'a> Asked<'a> {
    fn of(journal: &'a Journal) -> Self {
        let mut intents: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
        for entry in &journal.entries {
            intents.entry(entry.intent).or_default().push(entry);
        }
        Self { intents }
    }
}

/// Whether it may have been done without its caller knowing.
fn is_open(entry: &Entry) -> bool {
    entry.said.as_ref().is_none_or(Said::is_unsure)
}

/// Checks what callers were answered.
struct Answers<'a> {
    store: &'a Store,
    asked: &'a Asked<'a>,
    expires: bool,
}

impl Answers<'_> {
    fn check(&self, found: &mut Found) {
        let mut owners: HashMap<u64, u64> = HashMap::new();
        for (intent, calls) in &self.asked.intents {
            for (at, entry) in calls.iter().enumerate() {
                let Some(said) = &entry.said else { continue };
                if let Said::Holds { made, .. } = said {
                    for (_, hold) in made {
                        let owner = *owners.entry(*hold).or_insert(*intent);
                        if owner != *intent {
                            let why = || format!("hold {hold} answered to {owner} and {intent}");
                            found.blame(StreamError::Doubled, 1, why);
                        }
                    }
                }
                if let Some((broken, why)) = self.wrong(&calls[..at], entry, said) {
                    let tale = || {
                        let before: Vec<_> = calls[..at].iter().map(|call| &call.said).collect();
                        format!("{why}: {:?} said {said:?} after {before:?}", entry.ask)
                    };
                    found.blame(broken, 1, tale);
                }
            }
        }
        self.check_adjustments(found);
    }

    /// What is wrong with an answer, if anything.
    fn wrong(
        &self,
        before: &[&Entry],
        entry: &Entry,
        said: &Said,
    ) -> Option<(StreamError, &'static str)> {
        let was_open = before.iter().any(|call| is_open(call));
        let mut answered = before.iter().filter_map(|call| call.said.as_ref());
        let settled = answered.rfind(|said| !said.is_transient());
        match (&entry.ask, said) {
            (_, said) if said.is_transient() => None,
            (Ask::Hold { .. } | Ask::Cart { .. }, Said::Holds { made, replayed }) => {
                let lost = |hold: &u64| !self.store.courses.contains_key(hold);
                if made.iter().any(|(_, hold)| lost(hold)) {
                    return Some((StreamError::Lost, "the hold is not there"));
                }
                match settled {
                    Some(Said::Holds { made: first, .. }) if first != made || !replayed => {
                        Some((StreamError::Doubled, "held twice"))
                    }
                    Some(Said::Holds { .. }) => None,
                    Some(_) => Some((StreamError::Unexplained, "refused before")),
                    None if *replayed && !was_open => {
                        Some((StreamError::Unexplained, "done by a call that was told otherwise"))
                    }
                    None => None,
                }
            }
            (Ask::Hold { qty, .. }, Said::Refused { code, available, replayed, .. })
                if code == ErrorKind::InsufficientStock.code() =>
            {
                let is_told_enough = available.is_some_and(|left| left >= u64::from(*qty));
                if is_told_enough {
                    return Some((StreamError::Unexplained, "there was enough"));
                }
                self.refusal_of_stock(settled, *replayed, was_open)
            }
            (Ask::Cart { .. }, Said::Refused { code, replayed, .. })
                if code == ErrorKind::InsufficientStock.code() =>
            {
                self.refusal_of_stock(settled, *replayed, was_open)
            }
            (Ask::Release { hold }, Said::Released { expired }) => {
                let kind = if *expired { EventKind::HoldExpired } else { EventKind::HoldReleased };
                (!self.store.has(*hold, kind)).then_some((StreamError::Lost, "it is still held"))
            }
            (Ask::Order { hold, .. }, Said::Order { id, .. }) => {
                if self.store.order_of.get(hold) != Some(id) {
                    return Some((StreamError::Lost, "the order is not there"));
                }
                match settled {
                    Some(Said::Order { id: first, .. }) if first != id => {
                        Some((StreamError::Doubled, "ordered twice"))
                    }
                    _ => None,
                }
            }
            (Ask::Order { hold, .. }, Said::Refused { code, order, .. })
                if code == ErrorKind::HoldAlreadyUsed.code() =>
            {
                let is_true = self.store.order_of.get(hold).copied() == *order;
                let is_explained = was_open && is_true;
                (!is_explained).then_some((StreamError::Unexplained, "no try before it did it"))
            }
            (Ask::Order { .. } | Ask::Release { .. }, said) if said.is(ErrorKind::HoldExpired) => {
                (!self.expires).then_some((StreamError::Unexplained, "its time is not over"))
            }
            (Ask::Pay { order, succeeds }, Said::Paid { waiting: false, .. }) => {
                let kind = if *succeeds { EventKind::OrderPaid } else { EventKind::OrderCancelled };
                let hold = self.store.hold_of.get(order);
                let is_there = hold.is_some_and(|hold| self.store.has(*hold, kind));
                (!is_there).then_some((StreamError::Lost, "the payment is not there"))
            }
            (Ask::Adjust { .. }, Said::Adjusted) => None,
            _ => Some((StreamError::Unexplained, "a wrong answer")),
        }
    }

    fn refusal_of_stock(
        &self,
        settled: Option<&Said>,
        replayed: bool,
        was_open: bool,
    ) -> Option<(StreamError, &'static str)> {
        match settled {
            Some(Said::Refused { .. }) => None,
            Some(_) => Some((StreamError::Unexplained, "granted before")),
            None if replayed && !was_open => {
                Some((StreamError::Unexplained, "decided by a call that was told otherwise"))
            }
            None => None,
        }
    }

    /// Adjustments have no key: those that happened are between those that
    /// were answered and those that were not.
    fn check_adjustments(&self, found: &mut Found) {
        let (mut sure, mut open) = (0_u64, 0_u64);
        let (mut firsts, mut done) = (HashSet::new(), 0_u64);
        for entry in self.asked.intents.values().flatten() {
            if matches!(entry.ask, Ask::Adjust { .. }) {
                sure += u64::from(entry.said == Some(Said::Adjusted));
                open += u64::from(is_open(entry));
            }
        }
        for event in &self.store.events {
            if event.kind == EventKind::StockAdjusted && !firsts.insert(event.product_id) {
                done += 1;
            }
        }
        if done < sure {
            let why = || format!("{sure} adjustments answered, {done} done");
            found.blame(StreamError::Lost, sure - done, why);
        }
        if done > sure + open {
            let why = || format!("{sure} adjustments answered, {open} open, {done} done");
            found.blame(StreamError::Doubled, done - sure - open, why);
        }
    }
}

/// What no one was answered must have been asked for, by a call without an
/// answer, and once.
fn check_unanswered(engine: &Engine, store: &Store, asked: &Asked<'_>, found: &mut Found) {
    let mut made: HashMap<(u64, u64), u64> = HashMap::new();
    let (mut answered, mut may) = (HashSet::new(), HashSet::new());
    for (intent, calls) in &asked.intents {
        for entry in calls {
            if let Some(Said::Holds { made: holds, .. }) = &entry.said {
                for (product, hold) in holds {
                    if answered.insert(*hold) {
                        *made.entry((*intent, *product)).or_default() += 1;
                    }
                }
            }
            let is_done =
                entry.said.as_ref().is_none_or(|said| !matches!(said, Said::Refused { .. }));
            if is_done
                || is_open(entry)
                || matches!(&entry.said, Some(Said::Refused { order: Some(_), .. }))
            {
                match entry.ask {
                    Ask::Release { hold } => may.insert((hold, EventKind::HoldReleased)),
                    Ask::Order { hold, .. } => may.insert((hold, EventKind::OrderCreated)),
                    Ask::Pay { order, succeeds } => {
                        let kind = [EventKind::OrderCancelled, EventKind::OrderPaid]
                            [usize::from(succeeds)];
                        store.hold_of.get(&order).is_some_and(|hold| may.insert((*hold, kind)))
                    }
                    _ => false,
                };
            }
        }
    }
    for (hold, course) in &store.courses {
        for kind in course {
            let is_of_itself = matches!(kind, EventKind::HoldCreated | EventKind::HoldExpired);
            if !is_of_itself && !may.contains(&(*hold, *kind)) {
                let why = || format!("hold {hold}: {kind:?}, and no one was to do that");
                found.blame(StreamError::Unexplained, 1, why);
            }
        }
        if answered.contains(hold) {
            continue;
        }
        let row = match engine.get_hold(HoldId(*hold)) {
            Ok(row) => row,
            Err(error) => {
                found.blame(StreamError::Lost, 1, || format!("hold {hold} was made: {error}"));
                continue;
            }
        };
        let intent = intent_of(row.created_at.until(row.expires_at));
        *made.entry((intent, row.product_id.0)).or_default() += 1;
        let calls = asked.intents.get(&intent).map_or(&[][..], Vec::as_slice);
        if !calls.iter().any(|call| is_open(call)) {
            let why = || format!("{row:?} was made for no one; intent {intent}: {calls:?}");
            found.blame(StreamError::Unexplained, 1, why);
        }
    }
    for ((intent, product), times) in made.into_iter().filter(|(_, times)| *times > 1) {
        let why = || format!("{times} holds of product {product} for intent {intent}");
        found.blame(StreamError::Doubled, times - 1, why);
    }
}
