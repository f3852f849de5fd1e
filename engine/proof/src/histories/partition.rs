//! Partitions the records into one history per product.
//!
//! Linearizability is local, so each product is checked alone. A cart becomes one
//! hold per line; `accounting` checks its atomicity.

use std::collections::{BTreeMap, HashMap};

use super::checker::Operation;
use super::model::{Act, Command, Keyed};
use super::record::{Answer, Call, Moment, Record, Refused};

/// Bounds the staleness of other processes' writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Staleness {
    /// An `insufficient_stock` rejection reflects a state at most this many
    /// nanoseconds before the call.
    pub refusal_nanos: u64,
    /// Whether a cached product may be arbitrarily stale.
    pub is_cache_stale: bool,
}

/// A product's operations.
pub type History = Vec<Operation<Act>>;

/// The products' histories, and violations that need no history.
pub struct Partition {
    pub histories: BTreeMap<u64, History>,
    pub wrong: Vec<String>,
    /// Indices of payments whose order does not exist yet.
    pub waiting: Vec<usize>,
}

/// The response time of an operation in doubt.
const FOR_EVER: i64 = i64::MAX - 1;

/// Partitions the records by product. `payment_ttl` is in microseconds.
pub fn partition(
    records: &[Record],
    products: &[u64],
    staleness: Staleness,
    payment_ttl: i64,
) -> Partition {
    let owners = Owners::of(records);
    let histories = products.iter().map(|product| (*product, Vec::new())).collect();
    let mut partitioner = Partitioner {
        records,
        owners,
        staleness,
        payment_ttl,
        result: Partition { histories, wrong: Vec::new(), waiting: Vec::new() },
    };
    for (index, record) in records.iter().enumerate() {
        partitioner.add_record(index, record);
    }
    partitioner.result
}

/// Maps holds and orders to their products.
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

    /// Whether the call may write this product.
    fn may_change(&self, call: &Call, product: u64) -> bool {
        match call {
            Call::Hold { product: of, .. }
            | Call::Order { product: of, .. }
            | Call::Adjust { product: of, .. } => *of == product,
            Call::Cart { lines, .. } => lines.iter().any(|(of, _)| *of == product),
            Call::Release { hold }
            | Call::Extend { hold, .. }
            | Call::ChangeQuantity { hold, .. } => self.holds.get(hold) == Some(&product),
            Call::Payment { order, .. }
            | Call::CancelOrder { order }
            | Call::Refund { order, .. }
            | Call::Restock { order, .. } => self.orders.get(order) == Some(&product),
            _ => false,
        }
    }
}

struct Partitioner<'a> {
    records: &'a [Record],
    owners: Owners,
    staleness: Staleness,
    payment_ttl: i64,
    result: Partition,
}

impl Partitioner<'_> {
    fn add_record(&mut self, index: usize, record: &Record) {
        if let Answer::Refused(refused) = &record.answer {
            match refused.code.as_str() {
                // A definite rollback.
                "contention" => return,
                "product_mismatch" => return self.check_mismatch(index, record),
                "insufficient_stock"
                | "hold_expired"
                | "hold_already_used"
                | "already_paid"
                | "not_paid"
                | "refund_too_large"
                | "nothing_returned"
                | "idempotency_mismatch" => {}
                "quantity_limit" if may_have_a_customer(&record.call) => {}
                code => {
                    return self.wrong(index, record, &format!("unexpected error {code}"));
                }
            }
        }
        match &record.call {
            Call::Hold { product, quantity, ttl, customer, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                let command = Command::Hold { quantity: *quantity, ttl: *ttl, customer: *customer };
                self.add_hold(index, record, *product, command, key);
            }
            Call::Cart { .. } => self.add_cart(index, record),
            Call::Release { hold } => {
                self.add_of_hold(index, record, *hold, Command::Release { hold: *hold }, None);
            }
            Call::Extend { hold, ttl } => self.add_extend(index, record, *hold, *ttl),
            Call::ChangeQuantity { hold, quantity, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                let command = Command::ChangeQuantity { hold: *hold, quantity: *quantity };
                self.add_of_hold(index, record, *hold, command, key);
            }
            Call::Order { hold, product, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                self.add_order(index, record, *hold, *product, key);
            }
            Call::Payment { order, success, key, amount, by_token } => {
                let essence = format!("{order} {success} {by_token} {amount:?}");
                let (key, request) = match key {
                    Some(key) => (key.clone(), essence),
                    None => (format!("derived {essence}"), String::new()),
                };
                let key = Keyed { key, request, replayed: record.replayed };
                let command =
                    Command::Payment { order: *order, success: *success, amount: *amount };
                match self.owners.orders.get(order).copied() {
                    Some(product) => self.add(product, index, record, command, Some(key)),
                    None => self.result.waiting.push(index),
                }
            }
            Call::CancelOrder { order } => {
                self.add_of_order(
                    index,
                    record,
                    *order,
                    Command::CancelOrder { order: *order },
                    None,
                );
            }
            Call::Refund { order, quantity, restock, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                let command =
                    Command::Refund { order: *order, quantity: *quantity, restock: *restock };
                self.add_of_order(index, record, *order, command, key);
            }
            Call::Restock { order, quantity, key } => {
                let key = keyed(key.as_ref(), &record.call, record);
                let command = Command::Restock { order: *order, quantity: *quantity };
                self.add_of_order(index, record, *order, command, key);
            }
            Call::Adjust { product, delta } => {
                self.add(*product, index, record, Command::Adjust { delta: *delta }, None);
            }
            Call::Read { product } => self.add(*product, index, record, Command::Read, None),
            Call::ReadCached { product } => self.add_cached(index, record, *product),
            Call::ReadHold { hold } => {
                self.add_of_hold(index, record, *hold, Command::ReadHold { hold: *hold }, None);
            }
            Call::ReadOrder { order } => {
                self.add_of_order(
                    index,
                    record,
                    *order,
                    Command::ReadOrder { order: *order },
                    None,
                );
            }
            Call::Sweep => {}
        }
    }

    fn wrong(&mut self, index: usize, record: &Record, why: &str) {
        self.result.wrong.push(format!("#{index}: {why}: {record:?}"));
    }

    fn check_mismatch(&mut self, index: usize, record: &Record) {
        let Call::Order { hold, product, .. } = &record.call else {
            return self.wrong(index, record, "only an order names a hold and a product");
        };
        if self.owners.holds.get(hold) == Some(product) {
            self.wrong(index, record, "the hold is of that product");
        }
    }

    fn add_hold(
        &mut self,
        index: usize,
        record: &Record,
        product: u64,
        command: Command,
        key: Option<Keyed>,
    ) {
        // The sold-out cache never rejects requests with a key, nor with
        // `quantity_limit`.
        let is_short = matches!(&record.answer, Answer::Refused(refused) if refused.code == "insufficient_stock");
        let late = if is_short && key.is_none() { self.staleness.refusal_nanos } else { 0 };
        self.add_line(product, index, record, command, key);
        self.call_earlier(product, late);
    }

    /// Adds a hold; if it is in doubt, adds its unobserved expiry as well.
    fn add_line(
        &mut self,
        product: u64,
        index: usize,
        record: &Record,
        command: Command,
        key: Option<Keyed>,
    ) {
        let life = if let Command::Hold { ttl, .. } = command { Some(ttl) } else { None };
        self.add(product, index, record, command, key);
        if let Some(ttl) = life.filter(|_| record.answer == Answer::Unknown) {
            let hold = u64::MAX - u64::try_from(record.invoked.time).unwrap_or(0);
            self.add_unobserved_expiry(index, record, product, hold, ttl);
        }
    }

    /// Adds a cart: the store decides every cart, and lines of one product count
    /// as one.
    fn add_cart(&mut self, index: usize, record: &Record) {
        let Call::Cart { lines, ttl, customer, key } = &record.call else { return };
        let (ttl, customer) = (*ttl, *customer);
        let mut sums: BTreeMap<u64, u32> = BTreeMap::new();
        lines.iter().for_each(|(product, quantity)| *sums.entry(*product).or_default() += quantity);
        if matches!(&record.answer, Answer::Cart(holds) if holds.len() != sums.len()) {
            return self.wrong(index, record, "not one hold for each product");
        }
        let request = Call::Cart {
            lines: sums.iter().map(|(product, quantity)| (*product, *quantity)).collect(),
            ttl,
            customer,
            key: key.clone(),
        };
        for (product, quantity) in sums {
            let mut line = record.clone();
            let mut command = Command::Hold { quantity, ttl, customer };
            match &record.answer {
                Answer::Cart(holds) => match holds.iter().find(|held| held.product == product) {
                    Some(held) => line.answer = Answer::Held(*held),
                    None => return self.wrong(index, record, "a line is missing"),
                },
                Answer::Refused(Refused { short, code, .. })
                    if code == "insufficient_stock"
                        && !short.iter().any(|(id, ..)| *id == product) =>
                {
                    command = Command::CartLineInStock { quantity, customer };
                }
                Answer::Refused(Refused { code, .. }) if code == "quantity_limit" => {
                    command = Command::CartLineOverLimit;
                }
                _ => {}
            }
            let key = keyed(key.as_ref(), &request, record);
            self.add_line(product, index, &line, command, key);
        }
    }

    fn add_extend(&mut self, index: usize, record: &Record, hold: u64, ttl: i64) {
        self.add_of_hold(index, record, hold, Command::Extend { hold, ttl }, None);
        if record.answer == Answer::Unknown
            && let Some(product) = self.owners.holds.get(&hold).copied()
        {
            self.add_unobserved_expiry(index, record, product, hold, ttl);
        }
    }

    fn add_order(
        &mut self,
        index: usize,
        record: &Record,
        hold: u64,
        product: u64,
        key: Option<Keyed>,
    ) {
        match self.owners.holds.get(&hold).copied() {
            Some(owner) if owner != product => {
                if record.answer != Answer::Unknown {
                    self.wrong(index, record, "the hold is of another product");
                }
                return;
            }
            _ => self.add_of_hold(index, record, hold, Command::Order { hold }, key),
        }
        if record.answer == Answer::Unknown {
            self.add_unobserved_expiry(index, record, product, hold, self.payment_ttl);
        }
    }

    fn add_of_order(
        &mut self,
        index: usize,
        record: &Record,
        order: u64,
        command: Command,
        key: Option<Keyed>,
    ) {
        match self.owners.orders.get(&order).copied() {
            Some(product) => self.add(product, index, record, command, key),
            None => self.wrong(index, record, "unknown order"),
        }
    }

    fn add_of_hold(
        &mut self,
        index: usize,
        record: &Record,
        hold: u64,
        command: Command,
        key: Option<Keyed>,
    ) {
        match self.owners.holds.get(&hold).copied() {
            Some(product) => self.add(product, index, record, command, key),
            None => self.wrong(index, record, "unknown hold"),
        }
    }

    /// Adds a cached read. A writer updates the cache after its COMMIT and before
    /// its response, so a concurrent read may return the state before that
    /// write's invocation.
    fn add_cached(&mut self, index: usize, record: &Record, product: u64) {
        self.add(product, index, record, Command::ReadCached, None);
        if self.staleness.is_cache_stale {
            return self.call_earlier(product, u64::MAX);
        }
        let at = record.invoked.nanos;
        let is_under_way = |other: &&Record| {
            let is_done = other.answer != Answer::Unknown && other.answered.nanos <= at;
            other.invoked.nanos <= at && !is_done && self.owners.may_change(&other.call, product)
        };
        let under_way = self.records.iter().filter(is_under_way).map(|other| other.invoked);
        let first = under_way.min_by_key(|moment| moment.nanos);
        let added = self.result.histories.get_mut(&product).and_then(|history| history.last_mut());
        if let (Some(first), Some(operation)) = (first, added) {
            operation.called = operation.called.min(first.nanos);
            operation.act.from = operation.act.from.min(first.time);
        }
    }

    fn add_unobserved_expiry(
        &mut self,
        index: usize,
        record: &Record,
        product: u64,
        hold: u64,
        ttl: i64,
    ) {
        let mut expiry = record.clone();
        expiry.answer = Answer::Unknown;
        expiry.invoked.time = record.invoked.time.saturating_add(ttl);
        self.add(product, index, &expiry, Command::UnobservedExpiry { hold }, None);
    }

    /// Moves the invocation of the last added operation back by its allowed
    /// staleness.
    fn call_earlier(&mut self, product: u64, nanos: u64) {
        let last = self.result.histories.get_mut(&product).and_then(|history| history.last_mut());
        if let Some(operation) = last {
            operation.called = operation.called.saturating_sub(nanos);
            let micros = i64::try_from(nanos / 1_000).unwrap_or(i64::MAX);
            operation.act.from = operation.act.from.saturating_sub(micros).max(0);
        }
    }

    fn add(
        &mut self,
        product: u64,
        index: usize,
        record: &Record,
        command: Command,
        key: Option<Keyed>,
    ) {
        let Some(history) = self.result.histories.get_mut(&product) else {
            return self.wrong(index, record, "unknown product");
        };
        let answer = record.answer.clone();
        let is_open = answer == Answer::Unknown;
        let Moment { nanos: called, time: from } = record.invoked;
        let to = if is_open { FOR_EVER } else { record.answered.time };
        let answered = (!is_open).then_some(record.answered.nanos);
        history.push(Operation {
            act: Act { command, key, answer, from, to },
            called,
            answered,
            record: index,
        });
    }
}

fn may_have_a_customer(call: &Call) -> bool {
    // Whether a hold that is changed has one, the model knows.
    matches!(
        call,
        Call::Hold { customer: Some(_), .. }
            | Call::Cart { customer: Some(_), .. }
            | Call::ChangeQuantity { .. }
    )
}

fn keyed(key: Option<&String>, call: &Call, record: &Record) -> Option<Keyed> {
    let key = key?.clone();
    Some(Keyed { key, request: format!("{call:?}"), replayed: record.replayed })
}
