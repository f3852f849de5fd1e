//! The system under test: the store with the ledger beside the reference model.
//! It checks every invariant on both after every transaction.

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

use super::consumer::OutboxConsumer;
use super::coverage;
use super::generators::{ABSENT, Action, Key, Setup, Step, Target, Wait};
use super::reference::{OrderState, ReferenceModel};
use super::store::{QueuedCommand, ReadOptions, Store};

pub(super) struct Harness {
    policy: Policy,
    assumes_more: bool,
    stocks: BTreeMap<ProductId, u64>,
    now: Timestamp,
    store: Store,
    reference: ReferenceModel,
    consumer: OutboxConsumer,
    /// The last id allocated, and the rows that exist or are being created.
    last_id: u64,
    holds: Vec<(HoldId, ProductId)>,
    orders: Vec<OrderId>,
    last_order: u64,
    /// The situations reached, for the coverage test.
    pub coverage: BTreeSet<&'static str>,
}

/// Facts about a transaction, loaded before it is decided and gathered while its
/// answers are compared.
struct TransactionLog {
    due: BTreeMap<ProductId, Due>,
    reclaimed: BTreeMap<ProductId, (u32, u32)>,
    versions: Vec<(ProductId, u64)>,
    expired: Vec<HoldId>,
}

impl Harness {
    pub fn new(setup: &Setup) -> Self {
        let policy = Policy {
            hold_ttl_max: Duration::from_micros(setup.hold_ttl_max),
            payment_ttl: setup.payment_ttl.map(Duration::from_micros),
            re_reserve: setup.re_reserve,
            require_hold_token: setup.require_hold_token,
            max_per_customer: setup.max_per_customer,
        };
        let ids = (1..).map(ProductId);
        let stocks: BTreeMap<_, _> = ids.zip(setup.stocks.iter().copied()).collect();
        let now = Timestamp::from_micros(1_000_000);
        Self {
            store: Store::new(&stocks),
            reference: ReferenceModel::new(policy.clone(), &stocks, now),
            consumer: OutboxConsumer::new(&stocks),
            assumes_more: setup.assumes_more,
            policy,
            stocks,
            now,
            last_id: 0,
            holds: Vec::new(),
            orders: Vec::new(),
            last_order: 0,
            coverage: BTreeSet::new(),
        }
    }

    /// Runs a step until no command is deferred.
    pub fn run(&mut self, step: &Step) {
        self.wait(step.wait);
        let mut batch: Vec<QueuedCommand> = Vec::new();
        for action in &step.batch {
            batch.extend(
                self.command(action).map(|command| QueuedCommand { command, missed_product: None }),
            );
        }
        if let Some(micros) = step.lost {
            self.lose(&batch, step);
            self.now = self.now.after(Duration::from_micros(micros));
        }
        let mut transactions = 0;
        while !batch.is_empty() {
            batch = self.transact(batch, step);
            transactions += 1;
            assert!(transactions < 64, "deferred without end: {batch:?}");
        }
        self.holds.retain(|(id, _)| self.reference.holds.contains_key(id));
        self.orders.retain(|id| self.reference.orders.contains_key(id));
    }

    fn read_options(&self, step: &Step) -> ReadOptions {
        let (now, assumes_more) = (self.now, self.assumes_more);
        let with_customers = self.policy.max_per_customer.is_some();
        ReadOptions {
            now,
            due_limit: step.due_limit,
            assumes_more,
            named_only: step.named_only,
            with_customers,
        }
    }

    /// Decides twice and discards the changes: `decide` must be a pure function.
    fn lose(&mut self, batch: &[QueuedCommand], step: &Step) {
        let rows = self.store.load(batch, &self.read_options(step));
        let commands: Vec<Command> = batch.iter().map(|queued| queued.command.clone()).collect();
        let once = decide(&self.policy, rows.clone(), &commands, self.now);
        assert_eq!(once, decide(&self.policy, rows, &commands, self.now), "not a pure function");
        self.coverage.insert("transaction lost");
    }

    /// Runs one transaction; returns the deferred commands.
    fn transact(&mut self, batch: Vec<QueuedCommand>, step: &Step) -> Vec<QueuedCommand> {
        let rows = self.store.load(&batch, &self.read_options(step));
        let loaded: BTreeSet<ProductId> = rows.products.keys().copied().collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let counts = |due: &Due| (count(due.holds.len()), count(due.orders.len()));
        let mut log = TransactionLog {
            reclaimed: rows.due.iter().map(|(id, due)| (*id, counts(due))).collect(),
            due: rows.due.clone(),
            versions: Vec::new(),
            expired: Vec::new(),
        };
        let commands: Vec<Command> = batch.iter().map(|queued| queued.command.clone()).collect();
        let (decisions, changes) = decide(&self.policy, rows, &commands, self.now);
        assert_eq!(decisions.len(), commands.len());

        self.reference.advance_to(self.now);
        self.reference.events.clear();
        let before = (self.reference.inbox.len(), self.reference.keys.len());
        let mut deferred = Vec::new();
        for (mut queued, decision) in batch.into_iter().zip(decisions) {
            self.coverage.extend(coverage::names(&queued.command, &decision));
            match decision {
                Decision::Done { answer, replayed } => {
                    self.compare(&queued.command, &answer, replayed, &mut log);
                }
                Decision::Deferred => {
                    assert!(
                        log.due.values().any(|due| due.more),
                        "{queued:?} deferred without reason"
                    );
                    deferred.push(queued);
                }
                Decision::ReadSetMiss(id) => {
                    assert!(!loaded.contains(&id) && queued.missed_product.is_none(), "{queued:?}");
                    queued.missed_product = Some(id);
                    deferred.push(queued);
                }
            }
        }
        let after = (self.reference.inbox.len(), self.reference.keys.len());
        if log.due.is_empty() && self.reference.events.is_empty() && before == after {
            assert!(changes.is_empty(), "nothing happened, yet {changes:?}");
            self.coverage.insert("nothing to write");
        }
        self.write(changes);
        self.verify(&log);
        deferred
    }

    /// Compares the ledger's answer with the reference model's.
    fn compare(
        &mut self,
        command: &Command,
        answer: &CommandResult,
        replayed: bool,
        log: &mut TransactionLog,
    ) {
        let (mut expected, expected_replay) = self.reference.execute(command);
        self.coverage.extend(coverage::boundary(&self.reference, self.now, command, answer));
        if let Command::Reclaim { product_id } = command {
            let (holds, orders) = log.reclaimed.remove(product_id).unwrap_or_default();
            let more = log.due.get(product_id).is_some_and(|due| due.more);
            expected = Ok(Answer::Reclaimed { holds, orders, more });
        }
        if let (Ok(Answer::Product(answered)), Ok(Answer::Product(product))) =
            (answer, &mut expected)
        {
            product.version = answered.version;
            log.versions.push((answered.id, answered.version));
            if log.due.get(&answered.id).is_some_and(|due| due.more) {
                // Due entries left unloaded have not been reclaimed yet.
                let late = product.stock.saturating_sub(answered.stock);
                assert_eq!(answered.held + answered.pending, product.held + product.pending + late);
                (product.held, product.pending) = (answered.held, answered.pending);
                product.stock -= late;
            }
        }
        if let (Err(Refusal::HoldExpired(id)), false) = (answer, replayed) {
            log.expired.push(*id);
        }
        assert_eq!((answer, replayed), (&expected, expected_replay), "{command:?} at {}", self.now);
    }

    fn write(&mut self, changes: Changes) {
        let products: BTreeMap<ProductId, ProductRow> = self.store.products.clone();
        let first_event = self.store.outbox.len();
        self.coverage.extend(coverage::settlement(&changes));
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
        let events = &self.store.outbox[first_event..];
        for (id, row) in &self.store.products {
            let moved = events.iter().any(|it| it.product_id == *id && moves_units(it.kind));
            let (was, is) = (&products[id].product, &row.product);
            assert_eq!(is.version, was.version + u64::from(moved), "version of product {id}");
            let units = |it: &crate::model::Product| (it.stock, it.held, it.pending, it.sold);
            assert!(moved || units(was) == units(is), "product {id} moved without an event");
        }
        for event in events {
            self.coverage.insert(event.kind.as_str());
            self.consumer.apply(event);
            let version = self.store.products[&event.product_id].product.version;
            assert_eq!(event.version, version, "{event:?}");
        }
        self.consumer.assert_matches(&self.store);
        let late = |kind| matches!(kind, EventKind::HoldExpired | EventKind::OrderCancelled);
        let events = events.iter().filter(|event| !late(event.kind)).map(|event| {
            (event.kind, event.product_id, event.hold_id, event.order_id, event.quantity)
        });
        let events: Vec<_> = events.collect();
        assert_eq!(events, self.reference.events, "events");
    }

    /// Compares the store with the reference model, and checks its invariants.
    fn verify(&self, log: &TransactionLog) {
        for (id, row) in &self.store.products {
            let product = &row.product;
            let now = self.now;
            let (mut held, mut pending, mut sold, mut late) = (0u64, 0u64, 0u64, 0u64);
            for hold in self.store.holds.values().filter(|hold| hold.product_id == *id) {
                let units = u64::from(hold.quantity);
                if hold.status == HoldStatus::Active {
                    held += units;
                    late += if now >= hold.expires_at { units } else { 0 };
                }
            }
            for row in self.store.orders.values().filter(|row| row.order.product_id == *id) {
                let units = u64::from(row.order.quantity);
                match row.order.status {
                    OrderStatus::PendingPayment => {
                        pending += units;
                        late += if row.due_at.is_some_and(|at| now >= at) { units } else { 0 };
                    }
                    OrderStatus::Paid => sold += units,
                    OrderStatus::Cancelled => {}
                }
            }
            let sums = (held, pending, sold);
            assert_eq!((product.held, product.pending, product.sold), sums, "product {id}");
            assert_eq!(row.received, product.stock + held + pending + sold, "product {id}");
            let model = &self.reference.products[id];
            assert_eq!(i128::from(row.received), model.received, "received of product {id}");
            assert_eq!(i128::from(product.stock + late), model.stock, "stock of product {id}");
            if let Some(first) = self.store.first_due(*id) {
                let next_due = row.next_due;
                assert!(next_due.is_some_and(|at| at <= first), "{first} precedes {next_due:?}");
            }
        }
        self.verify_statuses();
        self.verify_customers();
        assert_eq!(self.store.payments, self.reference.inbox);
        assert_eq!(self.store.keys, self.reference.keys);
        for (id, version) in &log.versions {
            assert_eq!(self.store.products[id].product.version, *version, "answered version");
        }
        for id in &log.expired {
            let status = self.store.holds[id].status;
            assert_eq!(status, HoldStatus::Expired, "refused, but its stock was not returned");
        }
    }

    /// Checks the customer of each hold, and the limit.
    fn verify_customers(&self) {
        let is_active =
            |id: &HoldId| self.store.holds.get(id).is_some_and(|h| h.status == HoldStatus::Active);
        let mut expected = self.reference.customers.clone();
        expected.retain(|id, _| is_active(id));
        assert_eq!(self.store.customers, expected, "ended holds have no customer row");
        let mut units: BTreeMap<(ProductId, &str), u64> = BTreeMap::new();
        for (id, (product_id, customer)) in &self.store.customers {
            let hold = &self.store.holds[id];
            assert_eq!(hold.product_id, *product_id, "{hold:?}");
            if hold.status == HoldStatus::Active && self.now < hold.expires_at {
                *units.entry((*product_id, &**customer)).or_default() += u64::from(hold.quantity);
            }
        }
        let most = self.policy.max_per_customer.map_or(u64::MAX, u64::from);
        assert!(units.values().all(|held| *held <= most), "over {most}: {units:?}");
    }

    /// Compares the effective status of every hold and order, reclaimed or not.
    fn verify_statuses(&self) {
        assert_eq!(self.store.holds.len(), self.reference.holds.len(), "holds");
        for (hold, expected) in self.store.holds.values().zip(self.reference.holds.values()) {
            let mut counts = hold.clone();
            if hold.status == HoldStatus::Active && self.now >= hold.expires_at {
                counts.status = HoldStatus::Expired;
            }
            assert_eq!(counts, *expected, "{hold:?} at {}", self.now);
        }
        assert_eq!(self.store.orders.len(), self.reference.orders.len(), "orders");
        for (row, expected) in self.store.orders.values().zip(self.reference.orders.values()) {
            let mut counts = row.order.clone();
            if counts.status == OrderStatus::PendingPayment
                && row.due_at.is_some_and(|at| self.now >= at)
            {
                counts.status = OrderStatus::Cancelled;
            }
            // The reference model does not track when the store updated it.
            counts.updated_at = counts.created_at;
            assert_eq!(counts, expected.order, "{row:?} at {}", self.now);
            assert_eq!(row.due_at, expected.due, "{row:?}");
        }
    }

    /// Checks the end of a history.
    pub fn close(&self) {
        OutboxConsumer::replay(&self.stocks, &self.store);
    }

    fn wait(&mut self, wait: Wait) {
        let pick = |nth: usize| {
            let holds = self.reference.holds.values().filter(|it| it.status == HoldStatus::Active);
            let pending = |it: &&OrderState| it.order.status == OrderStatus::PendingPayment;
            let orders = self.reference.orders.values().filter(pending);
            let dues = orders.filter_map(|it| it.due);
            let due_times = holds.map(|it| it.expires_at).chain(dues).filter(|at| *at > self.now);
            let moments: BTreeSet<Timestamp> = due_times.collect();
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

    /// Builds the command of an action with new ids; `None` for an empty cart.
    fn command(&mut self, action: &Action) -> Option<Command> {
        let max = u64::try_from(self.policy.hold_ttl_max.as_micros()).unwrap_or(1);
        let hold_ttl = |ttl: u64| Duration::from_micros(ttl % max + 1);
        Some(match *action {
            Action::Hold { product, quantity, ttl, customer, key } => {
                let product_id = self.product(product);
                let hold = self.new_hold(product_id, quantity);
                let customer = customer.map(name_of);
                Command::Hold { hold, ttl: hold_ttl(ttl), customer, key: key.map(idempotency_key) }
            }
            Action::Cart { lines, ttl, customer, key } => {
                let mut wanted = BTreeMap::new();
                for (position, quantity) in [0, 1, 2, ABSENT].into_iter().zip(lines) {
                    if quantity > 0 {
                        wanted.insert(self.product(position), quantity);
                    }
                }
                let lines: Vec<NewHold> =
                    wanted.into_iter().map(|(id, quantity)| self.new_hold(id, quantity)).collect();
                if lines.is_empty() {
                    return None;
                }
                let customer = customer.map(name_of);
                Command::Cart { lines, ttl: hold_ttl(ttl), customer, key: key.map(idempotency_key) }
            }
            Action::Release { hold, token } => {
                let hold_id = self.hold(hold).0;
                Command::Release { hold_id, token: given_token(token, hold_id) }
            }
            Action::Extend { hold, ttl, token } => {
                let hold_id = self.hold(hold).0;
                Command::Extend { hold_id, ttl: hold_ttl(ttl), token: given_token(token, hold_id) }
            }
            Action::Order { hold, product, token, key } => {
                let (hold_id, right) = self.hold(hold);
                let product_id = match product {
                    Target::Valid => right,
                    Target::Wrong => ProductId(right.0 % 2 + 1),
                    Target::Absent => self.product(ABSENT),
                };
                self.last_order += 1;
                let order_id = OrderId(self.last_order);
                self.orders.push(order_id);
                let (secret, key) = (secret_of(order_id), key.map(idempotency_key));
                let token = given_token(token, hold_id);
                Command::Order { order_id, secret, hold_id, product_id, token, key }
            }
            Action::Payment { order, secret, outcome, key } => {
                let order_id = self.order(order);
                let secret = match secret {
                    Target::Valid => Some(secret_of(order_id)),
                    Target::Wrong => Some(Token(1)),
                    Target::Absent => None,
                };
                self.last_id += 1;
                let new_key = || IdempotencyKey {
                    key: format!("p{}", self.last_id),
                    fingerprint: [9; 32],
                    keeps_refusals: true,
                    is_fresh: false,
                };
                let IdempotencyKey { key, fingerprint, .. } =
                    key.map_or_else(new_key, idempotency_key);
                Command::Payment { key, body_hash: fingerprint, order_id, secret, outcome }
            }
            Action::Adjust { product, delta } => {
                let product_id = self.product(product);
                Command::Adjust { product_id, delta, version: None, key: None }
            }
            Action::Reclaim { product } => Command::Reclaim { product_id: self.product(product) },
        })
    }

    fn product(&self, position: usize) -> ProductId {
        match position {
            ABSENT => ProductId(99),
            _ => ProductId((position % self.stocks.len()) as u64 + 1),
        }
    }

    /// Returns a hold and its product, or one that does not exist.
    fn hold(&self, position: usize) -> (HoldId, ProductId) {
        newest(&self.holds, position).unwrap_or((HoldId(99_999), ProductId(1)))
    }

    /// Returns an order, or the one that the next order command will create.
    fn order(&self, position: usize) -> OrderId {
        newest(&self.orders, position).unwrap_or(OrderId(self.last_order + 1))
    }

    fn new_hold(&mut self, product_id: ProductId, quantity: u32) -> NewHold {
        self.last_id += 1;
        let id = HoldId(self.last_id);
        self.holds.push((id, product_id));
        NewHold { id, token: token_of(id), product_id, quantity }
    }
}

fn newest<T: Copy>(rows: &[T], position: usize) -> Option<T> {
    if position == ABSENT || rows.is_empty() {
        return None;
    }
    rows.iter().rev().nth(position % rows.len()).copied()
}

fn idempotency_key(key: Key) -> IdempotencyKey {
    let (key, fingerprint) = (format!("k{}", key.name), [key.fingerprint; 32]);
    IdempotencyKey { key, fingerprint, keeps_refusals: true, is_fresh: false }
}

fn name_of(customer: u8) -> Arc<str> {
    format!("c{customer}").into()
}

fn token_of(hold_id: HoldId) -> Token {
    Token(u128::from(hold_id.0) << 64)
}

fn given_token(token: Target, hold_id: HoldId) -> Option<Token> {
    match token {
        Target::Valid => Some(token_of(hold_id)),
        Target::Wrong => Some(Token(1)),
        Target::Absent => None,
    }
}

fn secret_of(order_id: OrderId) -> Token {
    Token(u128::from(order_id.0) + 7_000)
}
