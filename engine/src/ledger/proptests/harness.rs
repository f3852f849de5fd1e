//! The system under test: the store with the ledger beside the reference model.
//! It checks every invariant on both after every transaction.

pub(super) mod commands;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ledger::{
    Answer, Changes, Command, CommandResult, Decision, Due, LedgerEvent, NewStock, Policy,
    ProductRow, Refusal, Rows, decide,
};
use crate::model::{
    CartId, EventKind, HoldId, HoldStatus, OrderId, OrderStatus, Product, ProductId, Timestamp,
};

use super::consumer::OutboxConsumer;
use super::coverage;
use super::generators::{Setup, Step, Wait};
use super::reference::{OrderState, ReferenceModel};
use super::store::{QueuedCommand, ReadOptions, Store};

pub(super) struct Harness {
    policy: Policy,
    assumes_more: bool,
    stocks: BTreeMap<ProductId, u64>,
    now: Timestamp,
    store: Store,
    pub(super) reference: ReferenceModel,
    consumer: OutboxConsumer,
    /// The last id allocated, and the rows that exist or are being created.
    last_id: u64,
    holds: Vec<(HoldId, ProductId)>,
    orders: Vec<OrderId>,
    last_order: u64,
    last_product: u64,
    /// The carts that exist or are being created, with their holds.
    pub(super) carts: Vec<(CartId, Vec<HoldId>)>,
    /// The situations reached, for the coverage test.
    pub coverage: BTreeSet<&'static str>,
}

impl TransactionLog {
    fn of(rows: &Rows) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let is_settled = |id: &&OrderId| {
            let mut lines = rows.orders[id].order.lines.iter();
            lines.all(|line| rows.products.contains_key(&line.product_id))
        };
        let settled = |due: &Due| due.orders.iter().filter(is_settled).count();
        let counts = |due: &Due| (count(due.holds.len()), count(settled(due)));
        let dues = || rows.due.iter();
        Self {
            reclaimed: dues().map(|(id, due)| (*id, counts(due))).collect(),
            unsettled: dues()
                .filter(|(_, due)| settled(due) < due.orders.len())
                .map(|(id, _)| *id)
                .collect(),
            settled: dues()
                .flat_map(|(_, due)| due.orders.iter().filter(is_settled).copied())
                .collect(),
            due: rows.due.clone(),
            versions: Vec::new(),
            expired: Vec::new(),
        }
    }

    /// Adapts what the model expects of a product to what it does not know.
    fn expect_product(&mut self, command: &Command, answered: &Product, expected: &mut Product) {
        expected.version = answered.version;
        if matches!(command, Command::Adjust { stock: NewStock::By(_), .. }) {
            self.versions.push((answered.id, answered.version));
        }
        if self.leaves_due(answered.id) {
            // Due entries left unloaded have not been reclaimed yet.
            let late = expected.in_stock.saturating_sub(answered.in_stock);
            assert_eq!(answered.held + answered.pending, expected.held + expected.pending + late);
            (expected.held, expected.pending) = (answered.held, answered.pending);
            expected.set_in_stock(expected.in_stock - late);
        }
    }

    /// Whether entries that are due were left as they are.
    fn leaves_due(&self, id: ProductId) -> bool {
        self.due.get(&id).is_some_and(|due| due.more) || self.unsettled.contains(&id)
    }
}

/// Facts about a transaction, loaded before it is decided and gathered while its
/// answers are compared.
struct TransactionLog {
    due: BTreeMap<ProductId, Due>,
    /// Products of due orders that cannot be cancelled: other products of theirs were
    /// not loaded.
    unsettled: BTreeSet<ProductId>,
    /// Due orders that are cancelled first of all.
    settled: Vec<OrderId>,
    reclaimed: BTreeMap<ProductId, (u32, u32)>,
    versions: Vec<(ProductId, u64)>,
    expired: Vec<HoldId>,
}

impl Harness {
    pub fn new(setup: &Setup) -> Self {
        let policy = Policy {
            hold_ttl_max: Duration::from_micros(setup.hold_ttl_max),
            payment_ttl: setup.payment_ttl.map(Duration::from_micros),
            payment_ttl_max: Duration::from_micros(setup.payment_ttl_max),
            failed_payment_grace: Duration::from_micros(setup.failed_payment_grace),
            re_reserve: setup.re_reserve,
            require_hold_token: setup.require_hold_token,
            max_per_customer: setup.max_per_customer,
            customer_window: setup.customer_window.map(Duration::from_micros),
            early_payment_ttl: Duration::from_micros(setup.early_payment_ttl),
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
            last_product: 0,
            carts: Vec::new(),
            coverage: BTreeSet::new(),
        }
    }

    /// Runs a step until no command is deferred.
    pub fn run(&mut self, step: &Step) {
        self.wait(step.wait);
        let mut batch: Vec<QueuedCommand> = Vec::new();
        for action in &step.batch {
            batch.extend(
                self.command(action)
                    .map(|command| QueuedCommand { command, missed_products: BTreeSet::new() }),
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
        self.carts.retain(|(id, _)| self.reference.holds.contains_key(&HoldId(id.0)));
    }

    fn read_options(&self, step: &Step) -> ReadOptions {
        let (now, assumes_more) = (self.now, self.assumes_more);
        let with_customers = self.policy.max_per_customer.is_some();
        ReadOptions {
            now,
            due_limit: step.due_limit,
            assumes_more,
            reads: step.reads,
            with_customers,
            customer_window: self.policy.customer_window,
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
        let mut log = TransactionLog::of(&rows);
        let commands: Vec<Command> = batch.iter().map(|queued| queued.command.clone()).collect();
        let (decisions, changes) = decide(&self.policy, rows, &commands, self.now);
        assert_eq!(decisions.len(), commands.len());

        self.reference.advance_to(self.now);
        self.reference.events.clear();
        for id in &log.settled {
            if self.reference.orders[id].is_lingering {
                self.coverage.insert("due order cancelled later at another product");
            }
            self.reference.settle(*id);
        }
        let lengths = |it: &ReferenceModel| {
            let closed = it.orders.values().filter(|state| state.is_closed).count();
            (it.inbox.len(), it.keys.len(), it.payment_names.len(), closed)
        };
        let before = lengths(&self.reference);
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
                Decision::StaleName => {
                    assert!(self.reference.is_stale(&queued.command), "{queued:?}");
                }
                Decision::ReadSetMiss(ids) => {
                    assert!(ids.iter().any(|id| !loaded.contains(id)), "{queued:?}");
                    if ids.iter().collect::<BTreeSet<_>>().len() > 1 {
                        self.coverage.insert("read set miss of several products");
                    }
                    queued.missed_products.extend(ids);
                    deferred.push(queued);
                }
            }
        }
        let after = lengths(&self.reference);
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
            log.expect_product(command, answered, product);
        }
        if let (Ok(Answer::Put { product: answered, .. }), Ok(Answer::Put { product, .. })) =
            (answer, &mut expected)
        {
            log.expect_product(command, answered, product);
        }
        if let (Err(refusal), false) = (answer, replayed) {
            let all = match refusal {
                Refusal::UnusableHolds(all) => all.as_slice(),
                one => std::slice::from_ref(one),
            };
            log.expired.extend(all.iter().filter_map(|refusal| match refusal {
                Refusal::HoldExpired(id) => Some(*id),
                _ => None,
            }));
        }
        if let Ok(Answer::Order(order)) = answer {
            assert!((order.created_at..=self.now).contains(&order.updated_at), "{order:?}");
        }
        let (mut answer, mut expected) = (plain(answer), plain(&expected));
        if replayed {
            // Requests share keys here, which take their customers with them.
            for answer in [&mut answer, &mut expected].into_iter().flatten() {
                answer.set_erasable(|_| (None, None));
            }
        }
        assert_eq!((answer, replayed), (expected, expected_replay), "{command:?} at {}", self.now);
    }

    fn write(&mut self, changes: Changes) {
        let products: BTreeMap<ProductId, ProductRow> = self.store.products.clone();
        let first_event = self.store.outbox.len();
        self.coverage.extend(coverage::settlement(&changes));
        self.store.write(changes, self.now);
        let events = &self.store.outbox[first_event..];
        for (id, row) in &self.store.products {
            let moved = events.iter().any(|it| it.product_id == *id && moves_units(it));
            let is = &row.product;
            let Some(was) = products.get(id).map(|row| &row.product) else {
                assert_eq!(is.version, 1, "version of the new product {id}");
                continue;
            };
            assert_eq!(is.version, was.version + u64::from(moved), "version of product {id}");
            let units = |it: &Product| (it.in_stock, it.held, it.pending, it.sold, it.returned);
            assert!(moved || units(was) == units(is), "product {id} moved without an event");
        }
        let mut seen = Vec::new();
        for event in events {
            self.coverage.insert(event.kind.as_str());
            if !self.consumer.apply(event) {
                seen.push((
                    event.kind,
                    event.product_id,
                    event.hold_id,
                    event.order_id,
                    event.quantity,
                ));
            }
            let version = self.store.products[&event.product_id].product.version;
            assert_eq!(event.version, version, "{event:?}");
        }
        self.consumer.assert_matches(&self.store);
        assert_eq!(seen, self.reference.events, "events");
    }

    /// Checks the end of a history.
    pub fn close(&self) {
        OutboxConsumer::replay(&self.stocks, &self.store);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Counts the products that were drawn.
    pub(super) fn next_product(&mut self) -> u64 {
        self.last_product += 1;
        self.last_product
    }

    fn wait(&mut self, wait: Wait) {
        let pick = |nth: usize| {
            let holds = self.reference.holds.values().filter(|it| it.status == HoldStatus::Active);
            let pending = |it: &&OrderState| it.order.status == OrderStatus::PendingPayment;
            let orders = self.reference.orders.values().filter(pending);
            let dues = orders.filter_map(|it| it.order.pay_until);
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
}

fn moves_units(event: &LedgerEvent) -> bool {
    match event.kind {
        EventKind::HoldExtended
        | EventKind::OrderExtended
        | EventKind::PaymentConflict
        | EventKind::PaymentNeedsRefund
        | EventKind::PaymentAttemptFailed
        | EventKind::PaymentAmountMismatch
        | EventKind::PaymentDuplicate
        | EventKind::PaymentDisputed
        | EventKind::CustomerErased => false,
        EventKind::OrderRefunded => event.quantity > 0,
        EventKind::HoldCreated
        | EventKind::HoldReleased
        | EventKind::HoldExpired
        | EventKind::OrderCreated
        | EventKind::OrderPaid
        | EventKind::OrderCancelled
        | EventKind::OrderRestocked
        | EventKind::HoldChanged
        | EventKind::ProductCreated
        | EventKind::ProductChanged
        | EventKind::ProductArchived
        | EventKind::StockAdjusted => true,
    }
}

/// A result without what the model does not know: the words of a refusal, and when the
/// store last changed an order.
fn plain(result: &CommandResult) -> CommandResult {
    let mut result = result.clone();
    match &mut result {
        Ok(Answer::Order(order)) => order.updated_at = order.created_at,
        Err(Refusal::RefundTooLarge(_, words)) => words.clear(),
        _ => {}
    }
    result
}
