//! From what callers saw to one history for each product.
//!
//! A cart counts as one hold for each of its lines, so that it is checked
//! product by product; that its lines are held all or none is left to the books.

use std::collections::{BTreeMap, HashMap};

use super::checker::Operation;
use super::model::{Act, Keyed, What};
use super::record::{Answer, Call, Moment, Record, Refused};

/// How late a caller may hear of what other processes did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lateness {
    /// A refusal for want of stock tells of a moment at most so many
    /// nanoseconds before the call.
    pub refusal_nanos: u64,
    /// Whether a cached product may be as it was at any time before.
    pub is_cache_late: bool,
}

/// A product's operations.
pub type History = Vec<Operation<Act>>;

/// The histories of these products, and what needs no history to be wrong.
pub struct Partition {
    pub histories: BTreeMap<u64, History>,
    pub wrong: Vec<String>,
    /// Places of payments whose order is not there yet.
    pub waiting: Vec<usize>,
}

/// What would be a time, beyond all times.
const FOR_EVER: i64 = i64::MAX - 1;

/// Parts what callers saw by products. `late` is what other processes may be
/// late with, `payment_ttl` in microseconds.
pub fn partition(
    records: &[Record],
    products: &[u64],
    late: Lateness,
    payment_ttl: i64,
) -> Partition {
    let owners = Owners::of(records);
    let histories = products.iter().map(|product| (*product, Vec::new())).collect();
    let mut sorter = Sorter {
        owners,
        late,
        payment_ttl,
        found: Partition { histories, wrong: Vec::new(), waiting: Vec::new() },
    };
    for (place, record) in records.iter().enumerate() {
        sorter.sort(place, record);
    }
    sorter.found
}

/// Which product holds and orders are of.
#[derive(Default)]
struct Owners {
    holds: HashMap<u64, u64>,
    orders: HashMap<u64, u64>,
}

impl Owners {
    fn of(records: &[Record]) -> Self {
        let mut owners = Self::default();
        for record in records {
            match &record.answer {
                Answer::Held(held) => drop(owners.holds.insert(held.id, held.product)),
                Answer::Cart(lines) => {
                    owners.holds.extend(lines.iter().map(|held| (held.id, held.product)));
                }
                Answer::Ordered(order) => drop(owners.orders.insert(order.id, order.product)),
                _ => {}
            }
        }
        owners
    }
}

struct Sorter {
    owners: Owners,
    late: Lateness,
    payment_ttl: i64,
    found: Partition,
}

impl Sorter {
    fn sort(&mut self, place: usize, record: &Record) {
        if let Answer::Refused(refused) = &record.answer {
            match refused.code.as_str() {
                // Nothing was done.
                "contention" => return,
                "product_mismatch" => return self.check_mismatch(place, record),
                "insufficient_stock"
                | "hold_expired"
                | "hold_already_used"
                | "idempotency_mismatch" => {}
                code => {
                    return self.wrong(place, record, &format!("{code} was not to be expected"));
                }
            }
        }
        match &record.call {
            Call::Hold { product, qty, ttl, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                self.add_hold(place, record, *product, *qty, *ttl, key);
            }
            Call::Cart { lines, ttl, key } => self.add_cart(place, record, lines, *ttl, key),
            Call::Release { hold } => {
                self.add_of_hold(place, record, *hold, What::Release { hold: *hold }, None);
            }
            Call::Extend { hold, ttl } => self.add_extend(place, record, *hold, *ttl),
            Call::Order { hold, product, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                self.add_order(place, record, *hold, *product, key);
            }
            Call::Payment { order, success, key, body, by_token } => {
                let essence = format!("{order} {success} {by_token}");
                // A key stands for a body, if one comes with it.
                let (key, request) = match (key, body) {
                    (Some(key), Some(body)) => (key.clone(), format!("body {body}")),
                    (Some(key), None) => (key.clone(), essence),
                    (None, _) => (format!("derived {essence}"), String::new()),
                };
                let key = Keyed { key, request, replayed: record.replayed };
                let what = What::Payment { order: *order, success: *success };
                match self.owners.orders.get(order).copied() {
                    Some(product) => self.add(product, place, record, what, Some(key)),
                    None => self.found.waiting.push(place),
                }
            }
            Call::Adjust { product, delta } => {
                self.add(*product, place, record, What::Adjust { delta: *delta }, None);
            }
            Call::Read { product } => self.add(*product, place, record, What::Read, None),
            Call::ReadCached { product } => self.add_cached(place, record, *product),
            Call::ReadHold { hold } => {
                self.add_of_hold(place, record, *hold, What::ReadHold { hold: *hold }, None);
            }
            Call::ReadOrder { order } => match self.owners.orders.get(order).copied() {
                Some(product) => {
                    self.add(product, place, record, What::ReadOrder { order: *order }, None);
                }
                None => self.wrong(place, record, "nobody made that order"),
            },
            Call::Sweep => {}
        }
    }

    fn wrong(&mut self, place: usize, record: &Record, why: &str) {
        self.found.wrong.push(format!("#{place}: {why}: {record:?}"));
    }

    fn check_mismatch(&mut self, place: usize, record: &Record) {
        let Call::Order { hold, product, .. } = &record.call else {
            return self.wrong(place, record, "only an order names a hold and a product");
        };
        if self.owners.holds.get(hold) == Some(product) {
            self.wrong(place, record, "the hold is of that product");
        }
    }

    fn add_hold(
        &mut self,
        place: usize,
        record: &Record,
        product: u64,
        qty: u32,
        ttl: i64,
        key: Option<Keyed>,
    ) {
        // What has a key is never refused from memory.
        let late = if key.is_none() { self.late.refusal_nanos } else { 0 };
        let is_short = matches!(record.answer, Answer::Refused(_));
        self.add(product, place, record, What::Hold { qty, ttl }, key);
        if is_short {
            self.call_earlier(product, late);
        }
        if record.answer == Answer::Unknown {
            // Whoever does not know the hold does not know its end.
            let hold = u64::MAX - u64::try_from(record.invoked.time).unwrap_or(0);
            self.add_lapse(place, record, product, hold, ttl);
        }
    }

    fn add_cart(
        &mut self,
        place: usize,
        record: &Record,
        lines: &[(u64, u32)],
        ttl: i64,
        key: &Option<String>,
    ) {
        for (product, qty) in lines {
            let mut line = record.clone();
            let mut what = What::Hold { qty: *qty, ttl };
            match &record.answer {
                Answer::Cart(holds) => match holds.iter().find(|held| held.product == *product) {
                    Some(held) => line.answer = Answer::Held(*held),
                    None => return self.wrong(place, record, "a line is missing"),
                },
                Answer::Refused(Refused { short, code, .. })
                    if code == "insufficient_stock"
                        && !short.iter().any(|(id, ..)| id == product) =>
                {
                    what = What::Spare { qty: *qty };
                }
                _ => {}
            }
            let key = keyed(key.as_ref(), &record.call, record);
            if let What::Hold { .. } = what {
                // A cart is always decided by the store.
                self.add(*product, place, &line, what, key);
                if line.answer == Answer::Unknown {
                    let hold = u64::MAX - u64::try_from(record.invoked.time).unwrap_or(0);
                    self.add_lapse(place, record, *product, hold, ttl);
                }
            } else {
                self.add(*product, place, &line, what, key);
            }
        }
    }

    fn add_extend(&mut self, place: usize, record: &Record, hold: u64, ttl: i64) {
        self.add_of_hold(place, record, hold, What::Extend { hold, ttl }, None);
        if record.answer == Answer::Unknown
            && let Some(product) = self.owners.holds.get(&hold).copied()
        {
            self.add_lapse(place, record, product, hold, ttl);
        }
    }

    fn add_order(
        &mut self,
        place: usize,
        record: &Record,
        hold: u64,
        product: u64,
        key: Option<Keyed>,
    ) {
        match self.owners.holds.get(&hold).copied() {
            Some(owner) if owner != product => {
                if record.answer != Answer::Unknown {
                    self.wrong(place, record, "the hold is of another product");
                }
                return;
            }
            _ => self.add_of_hold(place, record, hold, What::Order { hold }, key),
        }
        if record.answer == Answer::Unknown {
            self.add_lapse(place, record, product, hold, self.payment_ttl);
        }
    }

    fn add_of_hold(
        &mut self,
        place: usize,
        record: &Record,
        hold: u64,
        what: What,
        key: Option<Keyed>,
    ) {
        match self.owners.holds.get(&hold).copied() {
            Some(product) => self.add(product, place, record, what, key),
            None => self.wrong(place, record, "nobody made that hold"),
        }
    }

    fn add_cached(&mut self, place: usize, record: &Record, product: u64) {
        self.add(product, place, record, What::ReadCached, None);
        if self.late.is_cache_late {
            self.call_earlier(product, u64::MAX);
        }
    }

    fn add_lapse(&mut self, place: usize, record: &Record, product: u64, hold: u64, ttl: i64) {
        let mut lapse = record.clone();
        lapse.answer = Answer::Unknown;
        lapse.invoked.time = record.invoked.time.saturating_add(ttl);
        self.add(product, place, &lapse, What::Lapse { hold }, None);
    }

    /// Lets the operation that was added last tell of an earlier moment.
    fn call_earlier(&mut self, product: u64, nanos: u64) {
        let last = self.found.histories.get_mut(&product).and_then(|history| history.last_mut());
        if let Some(operation) = last {
            operation.called = operation.called.saturating_sub(nanos);
            let micros = i64::try_from(nanos / 1_000).unwrap_or(i64::MAX);
            operation.act.from = operation.act.from.saturating_sub(micros).max(0);
        }
    }

    fn add(&mut self, product: u64, place: usize, record: &Record, what: What, key: Option<Keyed>) {
        let Some(history) = self.found.histories.get_mut(&product) else {
            return self.wrong(place, record, "of a product that it was not to touch");
        };
        let answer = record.answer.clone();
        let is_open = answer == Answer::Unknown;
        let Moment { nanos: called, time: from } = record.invoked;
        let to = if is_open { FOR_EVER } else { record.answered.time };
        let answered = (!is_open).then_some(record.answered.nanos);
        history.push(Operation {
            act: Act { what, key, answer, from, to },
            called,
            answered,
            record: place,
        });
    }
}

fn keyed(key: Option<&String>, call: &Call, record: &Record) -> Option<Keyed> {
    let key = key?.clone();
    Some(Keyed { key, request: format!("{call:?}"), replayed: record.replayed })
}
