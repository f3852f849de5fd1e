//! A shop: the store with the ledger on one side, the naive world on the
//! other, and every property asked of both after every transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{
    Answer, Changes, Command, CommandResult, Decision, Due, IdempotencyKey, NewHold, Policy,
    ProductRow, Refusal, decide,
};
use crate::model::{
    EventKind, HoldId, HoldStatus, OrderId, OrderStatus, ProductId, Timestamp, Token,
};

use super::naive::{Bought, World};
use super::reader::Reader;
use super::seen;
use super::steps::{Aim, Ask, Key, NOWHERE, Setting, Step, Wait};
use super::store::{Asked, Reading, Store};

pub(super) struct Shop {
    policy: Policy,
    cautious: bool,
    stocks: BTreeMap<ProductId, u64>,
    now: Timestamp,
    store: Store,
    world: World,
    reader: Reader,
    /// Ids drawn so far, and of those the ones that are there or on their way.
    drawn: u64,
    holds: Vec<(HoldId, ProductId)>,
    orders: Vec<OrderId>,
    last_order: u64,
    /// What occurred, for the test of the generator.
    pub seen: BTreeSet<&'static str>,
}

/// What is known of a transaction before it is decided, and gathered while
/// its answers are compared.
struct Notes {
    due: BTreeMap<ProductId, Due>,
    unclaimed: BTreeMap<ProductId, (u32, u32)>,
    versions: Vec<(ProductId, u64)>,
    dead: Vec<HoldId>,
}

impl Shop {
    pub fn new(setting: &Setting) -> Self {
        let policy = Policy {
            hold_ttl_max: Duration::from_micros(setting.hold_ttl_max),
            payment_ttl: setting.payment_ttl.map(Duration::from_micros),
            re_reserve: setting.re_reserve,
            require_hold_token: setting.require_hold_token,
            max_per_customer: setting.max_per_customer,
        };
        let ids = (1..).map(ProductId);
        let stocks: BTreeMap<_, _> = ids.zip(setting.stocks.iter().copied()).collect();
        let now = Timestamp::from_micros(1_000_000);
        Self {
            store: Store::new(&stocks),
            world: World::new(policy.clone(), &stocks, now),
            reader: Reader::new(&stocks),
            cautious: setting.cautious,
            policy,
            stocks,
            now,
            drawn: 0,
            holds: Vec::new(),
            orders: Vec::new(),
            last_order: 0,
            seen: BTreeSet::new(),
        }
    }

    /// Lets the step happen, to the last command that was put off.
    pub fn take(&mut self, step: &Step) {
        self.wait(step.wait);
        let mut batch: Vec<Asked> = Vec::new();
        for ask in &step.batch {
            batch.extend(self.command(ask).map(|command| Asked { command, elsewhere: None }));
        }
        if let Some(micros) = step.lost {
            self.lose(&batch, step);
            self.now = self.now.after(Duration::from_micros(micros));
        }
        let mut transactions = 0;
        while !batch.is_empty() {
            batch = self.transact(batch, step);
            transactions += 1;
            assert!(transactions < 64, "put off for ever: {batch:?}");
        }
        self.holds.retain(|(id, _)| self.world.holds.contains_key(id));
        self.orders.retain(|id| self.world.orders.contains_key(id));
    }

    fn reading(&self, step: &Step) -> Reading {
        let (now, cautious) = (self.now, self.cautious);
        let counts = self.policy.max_per_customer.is_some();
        Reading { now, bound: step.bound, cautious, blind: step.blind, counts }
    }

    /// Decides, and loses all of it; the ledger must not remember.
    fn lose(&mut self, batch: &[Asked], step: &Step) {
        let rows = self.store.load(batch, &self.reading(step));
        let commands: Vec<Command> = batch.iter().map(|asked| asked.command.clone()).collect();
        let once = decide(&self.policy, rows.clone(), &commands, self.now);
        assert_eq!(once, decide(&self.policy, rows, &commands, self.now), "not a function");
        self.seen.insert("a transaction lost");
    }

    /// One transaction; returns what was put off.
    fn transact(&mut self, batch: Vec<Asked>, step: &Step) -> Vec<Asked> {
        let rows = self.store.load(&batch, &self.reading(step));
        let loaded: BTreeSet<ProductId> = rows.products.keys().copied().collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let counts = |due: &Due| (count(due.holds.len()), count(due.orders.len()));
        let mut notes = Notes {
            unclaimed: rows.due.iter().map(|(id, due)| (*id, counts(due))).collect(),
            due: rows.due.clone(),
            versions: Vec::new(),
            dead: Vec::new(),
        };
        let commands: Vec<Command> = batch.iter().map(|asked| asked.command.clone()).collect();
        let (decisions, changes) = decide(&self.policy, rows, &commands, self.now);
        assert_eq!(decisions.len(), commands.len());

        self.world.pass_to(self.now);
        self.world.told.clear();
        let before = (self.world.inbox.len(), self.world.keys.len());
        let mut put_off = Vec::new();
        for (mut asked, decision) in batch.into_iter().zip(decisions) {
            self.seen.extend(seen::names(&asked.command, &decision));
            match decision {
                Decision::Done { answer, replayed } => {
                    self.compare(&asked.command, &answer, replayed, &mut notes);
                }
                Decision::Deferred => {
                    assert!(
                        notes.due.values().any(|due| due.more),
                        "{asked:?} put off for nothing"
                    );
                    put_off.push(asked);
                }
                Decision::ReadSetMiss(id) => {
                    assert!(!loaded.contains(&id) && asked.elsewhere.is_none(), "{asked:?}");
                    asked.elsewhere = Some(id);
                    put_off.push(asked);
                }
            }
        }
        let after = (self.world.inbox.len(), self.world.keys.len());
        if notes.due.is_empty() && self.world.told.is_empty() && before == after {
            assert!(changes.is_empty(), "nothing happened, yet {changes:?}");
            self.seen.insert("nothing to write");
        }
        self.write(changes);
        self.verify(&notes);
        put_off
    }

    /// Holds the ledger's answer against the world's.
    fn compare(
        &mut self,
        command: &Command,
        answer: &CommandResult,
        replayed: bool,
        notes: &mut Notes,
    ) {
        let (mut expected, again) = self.world.ask(command);
        self.seen.extend(seen::moment(&self.world, self.now, command, answer));
        if let Command::Reclaim { product_id } = command {
            let (holds, orders) = notes.unclaimed.remove(product_id).unwrap_or_default();
            let more = notes.due.get(product_id).is_some_and(|due| due.more);
            expected = Ok(Answer::Reclaimed { holds, orders, more });
        }
        if let (Ok(Answer::Product(told)), Ok(Answer::Product(product))) = (answer, &mut expected) {
            product.version = told.version;
            notes.versions.push((told.id, told.version));
            if notes.due.get(&told.id).is_some_and(|due| due.more) {
                // What is due but was not loaded has not come back yet.
                let late = product.stock.saturating_sub(told.stock);
                assert_eq!(told.held + told.pending, product.held + product.pending + late);
                (product.held, product.pending) = (told.held, told.pending);
                product.stock -= late;
            }
        }
        if let (Err(Refusal::HoldExpired(id)), false) = (answer, replayed) {
            notes.dead.push(*id);
        }
        assert_eq!((answer, replayed), (&expected, again), "{command:?} at {}", self.now);
    }

    fn write(&mut self, changes: Changes) {
        let products: BTreeMap<ProductId, ProductRow> = self.store.products.clone();
        let events = self.store.outbox.len();
        self.seen.extend(seen::settlement(&changes));
        self.store.write(changes, self.now);
        let moves_units = |kind: EventKind| match kind {
            EventKind::HoldExtended
            | EventKind::PaymentConflict
            | EventKind::PaymentNeedsRefund => false,
            EventKind::HoldCreated
            | EventKind::HoldReleased
            | EventKind::HoldExpired
            | EventKind::OrderCreated
            | EventKind::OrderPaid
            | EventKind::OrderCancelled
            | EventKind::StockAdjusted => true,
        };
        let told = &self.store.outbox[events..];
        for (id, row) in &self.store.products {
            let moved = told.iter().any(|it| it.product_id == *id && moves_units(it.kind));
            let (was, is) = (&products[id].product, &row.product);
            assert_eq!(is.version, was.version + u64::from(moved), "version of product {id}");
            let places = |it: &crate::model::Product| (it.stock, it.held, it.pending, it.sold);
            assert!(moved || places(was) == places(is), "product {id} moved in silence");
        }
        for event in told {
            self.seen.insert(event.kind.as_str());
            self.reader.read(event);
            let version = self.store.products[&event.product_id].product.version;
            assert_eq!(event.version, version, "{event:?}");
        }
        self.reader.agrees_with(&self.store);
        let late = |kind| matches!(kind, EventKind::HoldExpired | EventKind::OrderCancelled);
        let told = told
            .iter()
            .filter(|event| !late(event.kind))
            .map(|event| (event.kind, event.product_id, event.hold_id, event.order_id, event.qty));
        let told: Vec<_> = told.collect();
        assert_eq!(told, self.world.told, "what was told");
    }

    /// The store against the world, and against itself.
    fn verify(&self, notes: &Notes) {
        for (id, row) in &self.store.products {
            let product = &row.product;
            let now = self.now;
            let (mut held, mut pending, mut sold, mut late) = (0u64, 0u64, 0u64, 0u64);
            for hold in self.store.holds.values().filter(|hold| hold.product_id == *id) {
                let units = u64::from(hold.qty);
                if hold.status == HoldStatus::Active {
                    held += units;
                    late += if now >= hold.expires_at { units } else { 0 };
                }
            }
            for bought in self.store.orders.values().filter(|row| row.order.product_id == *id) {
                let units = u64::from(bought.order.qty);
                match bought.order.status {
                    OrderStatus::PendingPayment => {
                        pending += units;
                        late += if bought.due_at.is_some_and(|at| now >= at) { units } else { 0 };
                    }
                    OrderStatus::Paid => sold += units,
                    OrderStatus::Cancelled => {}
                }
            }
            let sums = (held, pending, sold);
            assert_eq!((product.held, product.pending, product.sold), sums, "product {id}");
            assert_eq!(row.received, product.stock + held + pending + sold, "product {id}");
            let world = &self.world.products[id];
            assert_eq!(i128::from(row.received), world.received, "received of product {id}");
            assert_eq!(i128::from(product.stock + late), world.stock, "stock of product {id}");
            if let Some(first) = self.store.first_due(*id) {
                let known = row.next_due;
                assert!(known.is_some_and(|at| at <= first), "{first} comes before {known:?}");
            }
        }
        self.verify_statuses();
        self.verify_customers();
        assert_eq!(self.store.payments, self.world.inbox);
        assert_eq!(self.store.keys, self.world.keys);
        for (id, version) in &notes.versions {
            assert_eq!(self.store.products[id].product.version, *version, "answered version");
        }
        for id in &notes.dead {
            let status = self.store.holds[id].status;
            assert_eq!(status, HoldStatus::Expired, "refused, but its stock is not back");
        }
    }

    /// Whom each hold is for, and that nobody has more than may be.
    fn verify_customers(&self) {
        let is_active =
            |id: &HoldId| self.store.holds.get(id).is_some_and(|h| h.status == HoldStatus::Active);
        let mut expected = self.world.customers.clone();
        expected.retain(|id, _| is_active(id));
        assert_eq!(self.store.customers, expected, "ended holds count for nobody");
        let mut units: BTreeMap<(ProductId, &str), u64> = BTreeMap::new();
        for (id, (product_id, customer)) in &self.store.customers {
            let hold = &self.store.holds[id];
            assert_eq!(hold.product_id, *product_id, "{hold:?}");
            if hold.status == HoldStatus::Active && self.now < hold.expires_at {
                *units.entry((*product_id, &**customer)).or_default() += u64::from(hold.qty);
            }
        }
        let most = self.policy.max_per_customer.map_or(u64::MAX, u64::from);
        assert!(units.values().all(|held| *held <= most), "over {most}: {units:?}");
    }

    /// Every hold and order as it counts at this moment, swept or not.
    fn verify_statuses(&self) {
        assert_eq!(self.store.holds.len(), self.world.holds.len(), "holds");
        for (hold, expected) in self.store.holds.values().zip(self.world.holds.values()) {
            let mut counts = hold.clone();
            if hold.status == HoldStatus::Active && self.now >= hold.expires_at {
                counts.status = HoldStatus::Expired;
            }
            assert_eq!(counts, *expected, "{hold:?} at {}", self.now);
        }
        assert_eq!(self.store.orders.len(), self.world.orders.len(), "orders");
        for (row, expected) in self.store.orders.values().zip(self.world.orders.values()) {
            let mut counts = row.order.clone();
            if counts.status == OrderStatus::PendingPayment
                && row.due_at.is_some_and(|at| self.now >= at)
            {
                counts.status = OrderStatus::Cancelled;
            }
            // The world does not keep when the store got to it.
            counts.updated_at = counts.created_at;
            assert_eq!(counts, expected.order, "{row:?} at {}", self.now);
            assert_eq!(row.due_at, expected.due, "{row:?}");
        }
    }

    /// What must hold when a history ends.
    pub fn close(&self) {
        Reader::reread(&self.stocks, &self.store);
    }

    fn wait(&mut self, wait: Wait) {
        let pick = |nth: usize| {
            let holds = self.world.holds.values().filter(|it| it.status == HoldStatus::Active);
            let pending = |it: &&Bought| it.order.status == OrderStatus::PendingPayment;
            let orders = self.world.orders.values().filter(pending);
            let dues = orders.filter_map(|it| it.due);
            let ahead = holds.map(|it| it.expires_at).chain(dues).filter(|at| *at > self.now);
            let moments: BTreeSet<Timestamp> = ahead.collect();
            moments.iter().nth(nth % moments.len().max(1)).copied()
        };
        self.now = match wait {
            Wait::Micros(micros) => self.now.after(Duration::from_micros(micros)),
            Wait::Until(nth) => pick(nth).unwrap_or(self.now),
            Wait::JustBefore(nth) => {
                pick(nth).map_or(self.now, |at| Timestamp::from_micros(at.micros() - 1))
            }
        };
    }

    /// Draws the ids of a command. A cart of no lines is none.
    fn command(&mut self, ask: &Ask) -> Option<Command> {
        let max = u64::try_from(self.policy.hold_ttl_max.as_micros()).unwrap_or(1);
        let life = |ttl: u64| Duration::from_micros(ttl % max + 1);
        Some(match *ask {
            Ask::Hold { product, qty, ttl, customer, key } => {
                let product_id = self.product(product);
                let hold = self.new_hold(product_id, qty);
                let customer = customer.map(name_of);
                Command::Hold { hold, ttl: life(ttl), customer, key: key.map(keyed) }
            }
            Ask::Cart { lines, ttl, customer, key } => {
                let mut wanted = BTreeMap::new();
                for (position, qty) in [0, 1, 2, NOWHERE].into_iter().zip(lines) {
                    if qty > 0 {
                        wanted.insert(self.product(position), qty);
                    }
                }
                let lines: Vec<NewHold> =
                    wanted.into_iter().map(|(id, qty)| self.new_hold(id, qty)).collect();
                if lines.is_empty() {
                    return None;
                }
                let customer = customer.map(name_of);
                Command::Cart { lines, ttl: life(ttl), customer, key: key.map(keyed) }
            }
            Ask::Release { hold, token } => {
                let hold_id = self.hold(hold).0;
                Command::Release { hold_id, token: shown(token, hold_id) }
            }
            Ask::Extend { hold, ttl, token } => {
                let hold_id = self.hold(hold).0;
                Command::Extend { hold_id, ttl: life(ttl), token: shown(token, hold_id) }
            }
            Ask::Order { hold, product, token, key } => {
                let (hold_id, right) = self.hold(hold);
                let product_id = match product {
                    Aim::Right => right,
                    Aim::Wrong => ProductId(right.0 % 2 + 1),
                    Aim::Nothing => self.product(NOWHERE),
                };
                self.last_order += 1;
                let order_id = OrderId(self.last_order);
                self.orders.push(order_id);
                let (secret, key) = (secret_of(order_id), key.map(keyed));
                let token = shown(token, hold_id);
                Command::Order { order_id, secret, hold_id, product_id, token, key }
            }
            Ask::Payment { order, secret, outcome, key } => {
                let order_id = self.order(order);
                let secret = match secret {
                    Aim::Right => Some(secret_of(order_id)),
                    Aim::Wrong => Some(Token(1)),
                    Aim::Nothing => None,
                };
                self.drawn += 1;
                let once = || IdempotencyKey {
                    key: format!("p{}", self.drawn),
                    fingerprint: [9; 32],
                    keeps_refusals: true,
                    is_fresh: false,
                };
                let IdempotencyKey { key, fingerprint, .. } = key.map_or_else(once, keyed);
                Command::Payment { key, body_hash: fingerprint, order_id, secret, outcome }
            }
            Ask::Adjust { product, delta } => {
                let product_id = self.product(product);
                Command::Adjust { product_id, delta, version: None, key: None }
            }
            Ask::Reclaim { product } => Command::Reclaim { product_id: self.product(product) },
        })
    }

    fn product(&self, position: usize) -> ProductId {
        match position {
            NOWHERE => ProductId(99),
            _ => ProductId((position % self.stocks.len()) as u64 + 1),
        }
    }

    /// A hold and its product, or one that never was.
    fn hold(&self, position: usize) -> (HoldId, ProductId) {
        let known = newest(&self.holds, position);
        known.unwrap_or((HoldId(99_999), ProductId(1)))
    }

    /// An order, or the one that the next order command will make.
    fn order(&self, position: usize) -> OrderId {
        newest(&self.orders, position).unwrap_or(OrderId(self.last_order + 1))
    }

    fn new_hold(&mut self, product_id: ProductId, qty: u32) -> NewHold {
        self.drawn += 1;
        let id = HoldId(self.drawn);
        self.holds.push((id, product_id));
        NewHold { id, token: token_of(id), product_id, qty, created_at: None }
    }
}

fn newest<T: Copy>(known: &[T], position: usize) -> Option<T> {
    if position == NOWHERE || known.is_empty() {
        return None;
    }
    known.iter().rev().nth(position % known.len()).copied()
}

fn keyed(key: Key) -> IdempotencyKey {
    let (key, fingerprint) = (format!("k{}", key.name), [key.print; 32]);
    IdempotencyKey { key, fingerprint, keeps_refusals: true, is_fresh: false }
}

fn name_of(customer: u8) -> Arc<str> {
    format!("c{customer}").into()
}

fn token_of(hold_id: HoldId) -> Token {
    Token(u128::from(hold_id.0) << 64)
}

fn shown(token: Aim, hold_id: HoldId) -> Option<Token> {
    match token {
        Aim::Right => Some(token_of(hold_id)),
        Aim::Wrong => Some(Token(1)),
        Aim::Nothing => None,
    }
}

fn secret_of(order_id: OrderId) -> Token {
    Token(u128::from(order_id.0) + 7_000)
}
