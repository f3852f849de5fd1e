//! Compares the callers' responses with the store after a fault.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::thread;
use std::time::Duration;

use stockade::{Engine, ErrorKind, Event, EventKind, HoldId, Product};

use super::findings::Findings;
use super::journal::{Entry, Journal, Request, Response, intent_of};
use crate::results::Violation;

const EVENTS_AT_ONCE: u32 = 10_000;
const PRODUCTS_AT_ONCE: u32 = 1_000;
/// Bounds the answered keyed requests that are replayed.
const REPLAYS_MAX: usize = 60;
/// Attempts at an open request, and the pause between them.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// Runs all checks. `expires` says whether holds may expire during the case.
pub fn check(engine: &Engine, journal: &mut Journal, expires: bool, findings: &mut Findings) {
    findings.operations += journal.entries.len() as u64;
    replay(engine, journal, findings);
    let store = StoreRecords::read(engine, findings);
    let call_index = CallIndex::of(journal);
    store.check_products(findings);
    store.check_transitions(expires, findings);
    ResponseCheck { store: &store, call_index: &call_index, expires }.check(findings);
    check_unanswered(engine, &store, &call_index, findings);
}

/// Retries every request without a definite response, and replays some of the
/// others.
fn replay(engine: &Engine, journal: &mut Journal, findings: &mut Findings) {
    let mut intents: BTreeMap<u64, (Request, bool)> = BTreeMap::new();
    for entry in &journal.entries {
        let settled = entry.response.as_ref().is_some_and(|response| !response.is_transient());
        let known = intents.entry(entry.intent).or_insert_with(|| (entry.request.clone(), false));
        known.1 |= settled;
    }
    let is_keyed = |request: &Request| {
        matches!(
            request,
            Request::Hold { keyed: true, .. }
                | Request::Cart { keyed: true, .. }
                | Request::Order { keyed: true, .. }
                | Request::Pay { .. }
        )
    };
    let is_safe = |request: &Request| {
        is_keyed(request) || matches!(request, Request::Release { .. } | Request::Order { .. })
    };
    let open = intents.iter().filter(|(_, (request, settled))| !settled && is_safe(request));
    let known = intents.iter().filter(|(_, (request, settled))| *settled && is_keyed(request));
    let again: Vec<(u64, Request)> = open
        .chain(known.take(REPLAYS_MAX))
        .map(|(intent, (request, _))| (*intent, request.clone()))
        .collect();
    for (intent, request) in again {
        let settled = (0..TRIES).any(|attempt| {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            !journal.call(engine, intent, &request).is_transient()
        });
        if !settled {
            findings.blame(Violation::Unexplained, 1, || {
                format!("no definite response to {request:?}")
            });
        }
    }
}

/// Returns all events in cursor order.
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

/// The store's rows and events.
struct StoreRecords {
    products: Vec<Product>,
    events: Vec<Event>,
    /// The event kinds of each hold and of its order.
    transitions: HashMap<u64, Vec<EventKind>>,
    order_of: HashMap<u64, u64>,
    hold_of: HashMap<u64, u64>,
}

impl StoreRecords {
    fn read(engine: &Engine, findings: &mut Findings) -> Self {
        let report = engine.audit().expect("audits");
        for finding in &report.findings {
            findings.blame(Violation::Leaked, 1, || format!("{finding:?}"));
        }
        let products = engine.products(None, PRODUCTS_AT_ONCE).expect("reads").items;
        let events = all_events(engine);
        let mut transitions: HashMap<u64, Vec<EventKind>> = HashMap::new();
        let (mut order_of, mut hold_of) = (HashMap::new(), HashMap::new());
        for event in &events {
            let Some(hold) = event.hold_id else { continue };
            transitions.entry(hold.0).or_default().push(event.kind);
            if event.kind == EventKind::OrderCreated
                && let Some(order) = event.order_id
            {
                let before = order_of.insert(hold.0, order.0);
                if before.is_some_and(|before| before != order.0) {
                    findings.blame(Violation::Doubled, 1, || format!("two orders of hold {hold}"));
                }
                hold_of.insert(order.0, hold.0);
            }
        }
        Self { products, events, transitions, order_of, hold_of }
    }

    fn has(&self, hold: u64, kind: EventKind) -> bool {
        self.transitions.get(&hold).is_some_and(|sequence| sequence.contains(&kind))
    }

    /// Checks that the events add up to the products' counters, that these add up
    /// to the received units, and that stock was never negative.
    fn check_products(&self, findings: &mut Findings) {
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
                *units += step * event.quantity;
            }
            let [stock, ..] = *product;
            if stock < 0 {
                let over = stock.unsigned_abs();
                findings
                    .blame(Violation::Oversold, over, || format!("negative stock at {event:?}"));
            }
        }
        for product in &self.products {
            let Product { id, stock, held, pending, sold, .. } = product;
            let received = units.get(&id.0).map_or(0, |units| units.iter().sum::<i64>());
            let received = u64::try_from(received).unwrap_or_default();
            let taken = held + pending + sold;
            if taken > received {
                findings.blame(Violation::Oversold, taken - received, || format!("{product:?}"));
            }
            let from_events = units.get(&id.0).copied().unwrap_or_default();
            let stored = [*stock, *held, *pending, *sold];
            for (from_events, stored) in from_events.into_iter().zip(stored) {
                let stored = i64::try_from(stored).unwrap_or(i64::MAX);
                if from_events != stored {
                    let units = from_events.abs_diff(stored);
                    let why = || {
                        format!("the events add up to {from_events} where {product:?} has {stored}")
                    };
                    findings.blame(Violation::Leaked, units, why);
                }
            }
        }
    }

    /// Checks that each hold followed the state machine.
    fn check_transitions(&self, expires: bool, findings: &mut Findings) {
        use EventKind as E;
        for (hold, sequence) in &self.transitions {
            let is_fine = match sequence.as_slice() {
                [E::HoldCreated] | [E::HoldCreated, E::HoldReleased] => true,
                [E::HoldCreated, E::HoldExpired] => expires,
                [E::HoldCreated, E::OrderCreated, rest @ ..] => {
                    matches!(rest, [] | [E::OrderPaid | E::OrderCancelled])
                }
                _ => false,
            };
            if !is_fine {
                findings.blame(Violation::Doubled, 1, || {
                    format!("hold {hold} had the events {sequence:?}")
                });
            }
        }
    }
}

/// Indexes the calls by intent.
struct CallIndex<'a> {
    intents: BTreeMap<u64, Vec<&'a Entry>>,
}

impl<'a> CallIndex<'a> {
    fn of(journal: &'a Journal) -> Self {
        let mut intents: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
        for entry in &journal.entries {
            intents.entry(entry.intent).or_default().push(entry);
        }
        Self { intents }
    }
}

/// Whether the call is in doubt.
fn is_open(entry: &Entry) -> bool {
    entry.response.as_ref().is_none_or(Response::is_in_doubt)
}

/// Checks the responses.
struct ResponseCheck<'a> {
    store: &'a StoreRecords,
    call_index: &'a CallIndex<'a>,
    expires: bool,
}

impl ResponseCheck<'_> {
    fn check(&self, findings: &mut Findings) {
        let mut owners: HashMap<u64, u64> = HashMap::new();
        for (intent, calls) in &self.call_index.intents {
            for (at, entry) in calls.iter().enumerate() {
                let Some(response) = &entry.response else { continue };
                if let Response::Holds { made, .. } = response {
                    for (_, hold) in made {
                        let owner = *owners.entry(*hold).or_insert(*intent);
                        if owner != *intent {
                            let why = || format!("hold {hold} answered to {owner} and {intent}");
                            findings.blame(Violation::Doubled, 1, why);
                        }
                    }
                }
                if let Some((broken, why)) = self.violation(&calls[..at], entry, response) {
                    let detail = || {
                        let before: Vec<_> =
                            calls[..at].iter().map(|call| &call.response).collect();
                        format!("{why}: {:?} said {response:?} after {before:?}", entry.request)
                    };
                    findings.blame(broken, 1, detail);
                }
            }
        }
        self.check_adjustments(findings);
    }

    /// Returns the violation in a response, if there is one.
    fn violation(
        &self,
        before: &[&Entry],
        entry: &Entry,
        response: &Response,
    ) -> Option<(Violation, &'static str)> {
        let was_open = before.iter().any(|call| is_open(call));
        let mut answered = before.iter().filter_map(|call| call.response.as_ref());
        let settled = answered.rfind(|response| !response.is_transient());
        match (&entry.request, response) {
            (_, response) if response.is_transient() => None,
            (Request::Hold { .. } | Request::Cart { .. }, Response::Holds { made, replayed }) => {
                let lost = |hold: &u64| !self.store.transitions.contains_key(hold);
                if made.iter().any(|(_, hold)| lost(hold)) {
                    return Some((Violation::Lost, "the acknowledged hold is missing"));
                }
                match settled {
                    Some(Response::Holds { made: first, .. }) if first != made || !replayed => {
                        Some((Violation::Doubled, "held twice"))
                    }
                    Some(Response::Holds { .. }) => None,
                    Some(_) => Some((Violation::Unexplained, "refused before")),
                    None if *replayed && !was_open => {
                        Some((Violation::Unexplained, "replays a call that got another response"))
                    }
                    None => None,
                }
            }
            (
                Request::Hold { quantity, .. },
                Response::Refused { code, available, replayed, .. },
            ) if code == ErrorKind::InsufficientStock.code() => {
                let is_told_enough = available.is_some_and(|left| left >= u64::from(*quantity));
                if is_told_enough {
                    return Some((
                        Violation::Unexplained,
                        "rejected although the reported stock suffices",
                    ));
                }
                self.refusal_of_stock(settled, *replayed, was_open)
            }
            (Request::Cart { .. }, Response::Refused { code, replayed, .. })
                if code == ErrorKind::InsufficientStock.code() =>
            {
                self.refusal_of_stock(settled, *replayed, was_open)
            }
            (Request::Release { hold }, Response::Released { expired }) => {
                let kind = if *expired { EventKind::HoldExpired } else { EventKind::HoldReleased };
                (!self.store.has(*hold, kind))
                    .then_some((Violation::Lost, "the released hold is still active"))
            }
            (Request::Order { hold, .. }, Response::Order { id, .. }) => {
                if self.store.order_of.get(hold) != Some(id) {
                    return Some((Violation::Lost, "the acknowledged order is missing"));
                }
                match settled {
                    Some(Response::Order { id: first, .. }) if first != id => {
                        Some((Violation::Doubled, "ordered twice"))
                    }
                    _ => None,
                }
            }
            (Request::Order { hold, .. }, Response::Refused { code, order, .. })
                if code == ErrorKind::HoldAlreadyUsed.code() =>
            {
                let is_true = self.store.order_of.get(hold).copied() == *order;
                let is_explained = was_open && is_true;
                (!is_explained)
                    .then_some((Violation::Unexplained, "no earlier attempt used the hold"))
            }
            (Request::Order { .. } | Request::Release { .. }, response)
                if response.is(ErrorKind::HoldExpired) =>
            {
                (!self.expires).then_some((Violation::Unexplained, "expired too early"))
            }
            (Request::Pay { order, succeeds }, Response::Paid { waiting: false, .. }) => {
                let kind = if *succeeds { EventKind::OrderPaid } else { EventKind::OrderCancelled };
                let hold = self.store.hold_of.get(order);
                let is_there = hold.is_some_and(|hold| self.store.has(*hold, kind));
                (!is_there).then_some((Violation::Lost, "the acknowledged payment is missing"))
            }
            (Request::Adjust { .. }, Response::Adjusted) => None,
            _ => Some((Violation::Unexplained, "unexpected response")),
        }
    }

    fn refusal_of_stock(
        &self,
        settled: Option<&Response>,
        replayed: bool,
        was_open: bool,
    ) -> Option<(Violation, &'static str)> {
        match settled {
            Some(Response::Refused { .. }) => None,
            Some(_) => Some((Violation::Unexplained, "granted before")),
            None if replayed && !was_open => {
                Some((Violation::Unexplained, "replays a call that got another response"))
            }
            None => None,
        }
    }

    /// Adjustments have no idempotency key: the executed ones number at least the
    /// acknowledged ones, at most those plus the in-doubt ones.
    fn check_adjustments(&self, findings: &mut Findings) {
        let (mut sure, mut open) = (0_u64, 0_u64);
        let (mut firsts, mut done) = (HashSet::new(), 0_u64);
        for entry in self.call_index.intents.values().flatten() {
            if matches!(entry.request, Request::Adjust { .. }) {
                sure += u64::from(entry.response == Some(Response::Adjusted));
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
            findings.blame(Violation::Lost, sure - done, why);
        }
        if done > sure + open {
            let why = || format!("{sure} adjustments answered, {open} open, {done} done");
            findings.blame(Violation::Doubled, done - sure - open, why);
        }
    }
}

/// Checks that every unacknowledged change stems from exactly one in-doubt call.
fn check_unanswered(
    engine: &Engine,
    store: &StoreRecords,
    call_index: &CallIndex<'_>,
    findings: &mut Findings,
) {
    let mut made: HashMap<(u64, u64), u64> = HashMap::new();
    let (mut answered, mut may) = (HashSet::new(), HashSet::new());
    for (intent, calls) in &call_index.intents {
        for entry in calls {
            if let Some(Response::Holds { made: holds, .. }) = &entry.response {
                for (product, hold) in holds {
                    if answered.insert(*hold) {
                        *made.entry((*intent, *product)).or_default() += 1;
                    }
                }
            }
            let is_done = entry
                .response
                .as_ref()
                .is_none_or(|response| !matches!(response, Response::Refused { .. }));
            if is_done
                || is_open(entry)
                || matches!(&entry.response, Some(Response::Refused { order: Some(_), .. }))
            {
                match entry.request {
                    Request::Release { hold } => may.insert((hold, EventKind::HoldReleased)),
                    Request::Order { hold, .. } => may.insert((hold, EventKind::OrderCreated)),
                    Request::Pay { order, succeeds } => {
                        let kind = [EventKind::OrderCancelled, EventKind::OrderPaid]
                            [usize::from(succeeds)];
                        store.hold_of.get(&order).is_some_and(|hold| may.insert((*hold, kind)))
                    }
                    _ => false,
                };
            }
        }
    }
    for (hold, sequence) in &store.transitions {
        for kind in sequence {
            let is_of_itself = matches!(kind, EventKind::HoldCreated | EventKind::HoldExpired);
            if !is_of_itself && !may.contains(&(*hold, *kind)) {
                let why = || format!("hold {hold}: {kind:?}, without a request for it");
                findings.blame(Violation::Unexplained, 1, why);
            }
        }
        if answered.contains(hold) {
            continue;
        }
        let row = match engine.hold(HoldId(*hold)) {
            Ok(row) => row,
            Err(error) => {
                findings.blame(Violation::Lost, 1, || format!("hold {hold} was made: {error}"));
                continue;
            }
        };
        let intent = intent_of(row.created_at.until(row.expires_at));
        *made.entry((intent, row.product_id.0)).or_default() += 1;
        let calls = call_index.intents.get(&intent).map_or(&[][..], Vec::as_slice);
        if !calls.iter().any(|call| is_open(call)) {
            let why =
                || format!("{row:?} exists without an in-doubt call; intent {intent}: {calls:?}");
            findings.blame(Violation::Unexplained, 1, why);
        }
    }
    for ((intent, product), times) in made.into_iter().filter(|(_, times)| *times > 1) {
        let why = || format!("{times} holds of product {product} for intent {intent}");
        findings.blame(Violation::Doubled, times - 1, why);
    }
}
