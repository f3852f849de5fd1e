//! Simulates a database: rows, locks and transactions as in MySQL at READ
//! COMMITTED.
//!
//! A transaction reads committed rows and its own writes. It locks each row that
//! it writes or reads for update until it ends; an insert locks its unique keys.
//! Lock waiters are granted in a random order; a cycle of waiters fails at once
//! as a deadlock. Each COMMIT recounts the written products from their holds and
//! orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::world::here;
use crate::ledger::{HoldRow, KeyRow, LedgerEvent, OrderRow, PaymentRow, ProductRow};
use crate::model::{
    CartId, EventKind, HoldId, HoldStatus, OrderId, OrderStatus, ProductId, Timestamp, Token,
};
use crate::runtime;
use crate::store::{Fault, Sequence, StoreError, StoreResult};

/// Identifies what a lock protects: a row or a unique key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockKey {
    Product(ProductId),
    Hold(HoldId),
    Order(OrderId),
    OrderOfHold(HoldId),
    OrderReference(String),
    Sku(String),
    PaymentReference(String),
    Payment(String),
    Waiting(OrderId, String),
    Key(String),
}

pub(super) type TxnId = u64;

struct LockState {
    holder: TxnId,
    waiting: Vec<(TxnId, oneshot::Sender<()>)>,
}

/// The committed rows.
#[derive(Default)]
pub(super) struct Tables {
    pub products: BTreeMap<ProductId, ProductRow>,
    pub holds: BTreeMap<HoldId, HoldRow>,
    /// What the SQL stores derive from a hold's row.
    pub cart_tokens: BTreeMap<CartId, Token>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    pub order_references: BTreeMap<String, OrderId>,
    pub payment_references: BTreeMap<String, OrderId>,
    pub payments: BTreeMap<String, PaymentRow>,
    /// Payments without an order yet, each with its position in its batch.
    pub waiting: BTreeMap<(OrderId, String), usize>,
    pub keys: BTreeMap<String, (KeyRow, Timestamp)>,
    pub outbox: BTreeMap<u64, Vec<LedgerEvent>>,
    /// Each hold as first inserted.
    pub made: BTreeMap<HoldId, HoldRow>,
    /// The product version that the commit of each hold produced.
    pub made_at: BTreeMap<HoldId, u64>,
}

impl Tables {
    pub fn product_of_sku(&self, sku: &str) -> Option<ProductId> {
        let mut rows = self.products.values();
        rows.find(|row| row.product.sku.as_deref() == Some(sku)).map(|row| row.product.id)
    }
}

/// A transaction's uncommitted writes.
#[derive(Default)]
pub(super) struct WriteSet {
    pub products: BTreeMap<ProductId, ProductRow>,
    pub holds: BTreeMap<HoldId, HoldRow>,
    /// What the SQL stores derive from a hold's row.
    pub cart_tokens: BTreeMap<CartId, Token>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    pub order_references: BTreeMap<String, OrderId>,
    pub payment_references: BTreeMap<String, OrderId>,
    pub payments: BTreeMap<String, PaymentRow>,
    pub waiting: BTreeMap<(OrderId, String), Option<usize>>,
    pub keys: BTreeMap<String, (KeyRow, Timestamp)>,
    pub outbox: Option<(u64, Vec<LedgerEvent>)>,
    /// Whether the transaction wrote a product with a fencing token older than
    /// the row's.
    pub is_overtaken: bool,
}

#[derive(Default)]
struct Txn {
    locks: Vec<LockKey>,
    waits_for: Option<LockKey>,
    write_set: WriteSet,
}

#[derive(Default)]
struct State {
    tables: Tables,
    locks: BTreeMap<LockKey, LockState>,
    open: BTreeMap<TxnId, Txn>,
    next_txn: TxnId,
    sequences: [u64; 4],
    violations: Vec<String>,
}

#[derive(Default)]
pub(super) struct Database {
    state: Mutex<State>,
}

/// The database time at which every simulation starts.
const EPOCH: i64 = 1_700_000_000_000_000;

/// The database's clock.
pub(super) fn clock() -> Timestamp {
    Timestamp::from_micros(EPOCH).after(here().time())
}

fn fault(fault: Fault, why: &str) -> StoreError {
    StoreError::new(fault, why)
}

impl Database {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is committed.
    pub fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        read(&self.state().tables)
    }

    pub fn add_product(&self, row: ProductRow) {
        self.state().tables.products.insert(row.product.id, row);
    }

    /// The violations that the recounts found.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub fn draw(&self, sequence: Sequence, count: u64) -> u64 {
        let place = match sequence {
            Sequence::Product => 0,
            Sequence::Hold => 1,
            Sequence::Order => 2,
            Sequence::Batch => 3,
        };
        let next = &mut self.state().sequences[place];
        let first = (*next).max(1);
        *next = first + count;
        first
    }

    pub fn purge_keys(&self, before: Timestamp) -> u64 {
        let keys = &mut self.state().tables.keys;
        let had = keys.len();
        keys.retain(|_, (_, at)| *at >= before);
        (had - keys.len()) as u64
    }

    pub fn begin(&self) -> TxnId {
        let mut state = self.state();
        state.next_txn += 1;
        let id = state.next_txn;
        state.open.insert(id, Txn::default());
        id
    }

    /// Locks until the transaction ends; waits for at most `bound`.
    pub async fn lock(&self, txn: TxnId, what: LockKey, bound: Duration) -> StoreResult<()> {
        let turn = {
            let mut state = self.state();
            if !state.open.contains_key(&txn) {
                return Err(fault(Fault::Lost, "the transaction is over"));
            }
            match state.locks.get(&what).map(|lock| lock.holder) {
                None => {
                    let lock = LockState { holder: txn, waiting: Vec::new() };
                    state.locks.insert(what.clone(), lock);
                    state.keep(txn, what);
                    return Ok(());
                }
                Some(holder) if holder == txn => return Ok(()),
                Some(holder) if state.waits_for(holder, txn) => {
                    state.end(txn);
                    return Err(fault(Fault::Deadlock, "lock cycle"));
                }
                Some(_) => {}
            }
            let (turn, mine) = oneshot::channel();
            if let Some(lock) = state.locks.get_mut(&what) {
                lock.waiting.push((txn, turn));
            }
            if let Some(open) = state.open.get_mut(&txn) {
                open.waits_for = Some(what.clone());
            }
            mine
        };
        if runtime::timeout(bound, turn).await.is_some_and(|turn| turn.is_ok()) {
            return Ok(());
        }
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(&txn) {
            if open.locks.contains(&what) {
                // The lock was granted while the timeout fired.
                return Ok(());
            }
            open.waits_for = None;
        }
        if let Some(lock) = state.locks.get_mut(&what) {
            lock.waiting.retain(|(waiter, _)| *waiter != txn);
        }
        Err(fault(Fault::LockWait, "row lock wait timed out"))
    }

    /// Releases the lock of a row that does not exist.
    fn unlock(&self, txn: TxnId, what: &LockKey) {
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(&txn) {
            open.locks.retain(|held| held != what);
        }
        state.grant_next(what);
    }

    /// Runs a locking read of one row: waits for the transaction that writes or
    /// inserts it.
    pub async fn lock_if_there(
        &self,
        txn: TxnId,
        what: LockKey,
        bound: Duration,
        is_there: impl FnOnce(&Tables, &WriteSet) -> bool,
    ) -> StoreResult<bool> {
        let had = self.state().open.get(&txn).is_some_and(|open| open.locks.contains(&what));
        self.lock(txn, what.clone(), bound).await?;
        let there = self.with(txn, |tables, write_set| is_there(tables, write_set))?;
        if !there && !had {
            self.unlock(txn, &what);
        }
        Ok(there)
    }

    /// Lock keys of the payments that wait for this order: committed rows and
    /// inserts in progress.
    pub fn waiting_for(&self, order: OrderId) -> Vec<LockKey> {
        let state = self.state();
        let committed = state.tables.waiting.keys().filter(|(id, _)| *id == order);
        let mut all: BTreeSet<LockKey> =
            committed.map(|(id, key)| LockKey::Waiting(*id, key.clone())).collect();
        let inserted = state
            .locks
            .keys()
            .filter(|what| matches!(what, LockKey::Waiting(id, _) if *id == order));
        all.extend(inserted.cloned());
        all.into_iter().collect()
    }

    /// Runs `work` on the committed rows and the transaction's write set.
    pub fn with<T>(
        &self,
        txn: TxnId,
        work: impl FnOnce(&Tables, &mut WriteSet) -> T,
    ) -> StoreResult<T> {
        let state = &mut *self.state();
        let open = state.open.get_mut(&txn);
        let open = open.ok_or_else(|| fault(Fault::Lost, "the transaction is over"))?;
        Ok(work(&state.tables, &mut open.write_set))
    }

    pub fn roll_back(&self, txn: TxnId) {
        self.state().end(txn);
    }

    /// Commits and returns the written products with their versions.
    pub fn commit(&self, txn: TxnId) -> StoreResult<Vec<(ProductId, u64)>> {
        let state = &mut *self.state();
        let Some(open) = state.open.get_mut(&txn) else {
            return Err(fault(Fault::Lost, "the transaction is over"));
        };
        let write_set = std::mem::take(&mut open.write_set);
        let products = write_set.products.iter();
        let products = products.map(|(id, row)| (*id, row.product.version)).collect();
        state.tables.apply(write_set, &mut state.violations);
        state.end(txn);
        Ok(products)
    }
}

impl State {
    /// Whether `waiter` waits for `holder`, directly or transitively.
    fn waits_for(&self, waiter: TxnId, holder: TxnId) -> bool {
        let mut at = waiter;
        // Terminates: [`Database::lock`] rejects every wait that would close a
        // cycle.
        while let Some(what) = self.open.get(&at).and_then(|open| open.waits_for.as_ref()) {
            let Some(lock) = self.locks.get(what) else { return false };
            at = lock.holder;
            if at == holder {
                return true;
            }
        }
        false
    }

    fn keep(&mut self, txn: TxnId, what: LockKey) {
        if let Some(open) = self.open.get_mut(&txn) {
            open.waits_for = None;
            open.locks.push(what);
        }
    }

    /// Grants a lock to one of its waiters, drawn at random.
    fn grant_next(&mut self, what: &LockKey) {
        while let Some(lock) = self.locks.get_mut(what) {
            if lock.waiting.is_empty() {
                self.locks.remove(what);
                return;
            }
            let at = here().draw(0..lock.waiting.len() as u64);
            let (next, turn) = lock.waiting.remove(usize::try_from(at).unwrap_or(0));
            lock.holder = next;
            if turn.send(()).is_ok() && self.open.contains_key(&next) {
                self.keep(next, what.clone());
                return;
            }
        }
    }

    fn end(&mut self, txn: TxnId) {
        let Some(open) = self.open.remove(&txn) else { return };
        for what in open.locks {
            self.grant_next(&what);
        }
    }
}

impl Tables {
    fn apply(&mut self, write_set: WriteSet, violations: &mut Vec<String>) {
        let touched: Vec<ProductId> = write_set.products.keys().copied().collect();
        for (id, hold) in &write_set.holds {
            self.made.entry(*id).or_insert_with(|| *hold);
        }
        self.products.extend(write_set.products);
        self.holds.extend(write_set.holds);
        self.cart_tokens.extend(write_set.cart_tokens);
        self.orders.extend(write_set.orders);
        self.order_references.extend(write_set.order_references);
        self.payment_references.extend(write_set.payment_references);
        self.payments.extend(write_set.payments);
        self.keys.extend(write_set.keys);
        for (which, position) in write_set.waiting {
            match position {
                Some(position) => drop(self.waiting.insert(which, position)),
                None => drop(self.waiting.remove(&which)),
            }
        }
        if let Some((batch_id, events)) = write_set.outbox {
            violations.extend(touched.iter().filter_map(|id| self.sold_safety_stock(*id, &events)));
            let created = events.iter().filter(|event| event.kind == EventKind::HoldCreated);
            self.made_at.extend(created.filter_map(|event| Some((event.hold_id?, event.version))));
            self.outbox.insert(batch_id, events);
        }
        if write_set.is_overtaken {
            violations.push(format!("{touched:?} were written under an overtaken lock"));
        }
        for id in touched {
            violations.extend(self.recount(id));
            violations.extend(self.shared_sku(id));
        }
    }

    /// Returns whether holds alone have taken units of the product's safety stock.
    fn sold_safety_stock(&self, id: ProductId, events: &[LedgerEvent]) -> Option<String> {
        let product = &self.products.get(&id)?.product;
        let mut kinds =
            events.iter().filter(|event| event.product_id == id).map(|event| event.kind);
        let held = kinds.clone().any(|kind| kind == EventKind::HoldCreated);
        let other = kinds.any(|kind| {
            use EventKind::{OrderPaid, ProductChanged, StockAdjusted};
            matches!(kind, OrderPaid | ProductChanged | StockAdjusted)
        });
        let is_sold = held && !other && product.in_stock < product.safety_stock;
        is_sold.then(|| format!("the safety stock of {product:?} was held"))
    }

    /// Returns whether another product has the same SKU.
    fn shared_sku(&self, id: ProductId) -> Option<String> {
        let sku = self.products.get(&id)?.product.sku.as_ref()?;
        let mut others = self.products.values().filter(|row| row.product.id != id);
        let other = others.find(|row| row.product.sku.as_ref() == Some(sku))?;
        Some(format!("products {id} and {} have the SKU {sku}", other.product.id))
    }

    /// Returns the pending orders whose first line is of the product, and when each falls
    /// due.
    pub fn unpaid_of(&self, id: ProductId) -> impl Iterator<Item = (Timestamp, &OrderRow)> {
        let orders = self.orders.values().filter(move |row| {
            let order = &row.order;
            order.lines.first().product_id == id && order.status == OrderStatus::PendingPayment
        });
        orders.filter_map(|row| Some((row.order.pay_until?, row)))
    }

    /// Returns the product's counters that differ from a recount of its holds and
    /// orders.
    pub fn recount(&self, id: ProductId) -> Vec<String> {
        let Some(row) = self.products.get(&id) else {
            return vec![format!("product {id} is gone")];
        };
        let holds = self.holds.values().filter(|hold| hold.product_id == id);
        let active = holds.filter(|hold| hold.status == HoldStatus::Active);
        let held: u64 = active.clone().map(|hold| u64::from(hold.quantity)).sum();
        let (mut pending, mut sold, mut returned) = (0, 0, 0);
        for order in self.orders.values().map(|row| &row.order) {
            for line in order.lines.iter().filter(|line| line.product_id == id) {
                match order.status {
                    OrderStatus::PendingPayment => pending += u64::from(line.quantity),
                    OrderStatus::Cancelled => {}
                    OrderStatus::Paid | OrderStatus::PartiallyRefunded | OrderStatus::Refunded => {
                        sold += u64::from(line.quantity - line.refunded);
                        returned += u64::from(line.returned);
                    }
                }
            }
        }
        let dues = active.map(|hold| hold.expires_at).chain(self.unpaid_of(id).map(|(at, _)| at));
        let product = &row.product;
        let mut violations = Vec::new();
        let mut compare = |what: &str, is: u64, counted: u64| {
            if is != counted {
                violations.push(format!("product {id}: {what} is {is}, recounted {counted}"));
            }
        };
        compare("held", product.held, held);
        compare("pending", product.pending, pending);
        compare("sold", product.sold, sold);
        compare("returned", product.returned, returned);
        compare("received", row.received, product.in_stock + held + pending + sold + returned);
        if let Some(soonest) = dues.min()
            && row.next_due.is_none_or(|at| at > soonest)
        {
            violations.push(format!(
                "product {id}: next_due is {:?}, yet {soonest:?} is earlier",
                row.next_due
            ));
        }
        violations
    }
}
