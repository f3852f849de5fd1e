//! Executes the statements of a transaction as SQL does: with their locks, guards
//! and injected faults.

use std::collections::{BTreeMap, BTreeSet};

use super::super::database::{LockKey, Tables, TxnId, WriteSet, clock};
use super::super::fault_schedule::FaultKind;
use super::SimulatedStore;
use crate::ledger::{
    Changes, Due, HoldRow, OrderChange, OrderRow, PaymentRow, ProductRow, Rows, is_paid_by,
};
use crate::model::{HoldId, HoldStatus, OrderId, Product, ProductId, Timestamp, TokenSeed};
use crate::store::{Batch, Fault, ReadSet, StoreError, StoreResult};

/// A batch's writes as sent to the server.
pub(super) struct BatchWrites {
    id: u64,
    now: Timestamp,
    changes: Changes,
    seed: TokenSeed,
    fences: BTreeMap<ProductId, u64>,
}

impl BatchWrites {
    pub(super) fn of(batch: &Batch<'_>) -> Self {
        Self {
            id: batch.id,
            now: batch.now,
            changes: batch.changes.clone(),
            seed: batch.seed,
            fences: batch.fences.clone(),
        }
    }

    /// Whether each statement is self-checking: it affects all of its rows or
    /// fails.
    pub(super) fn is_self_checking(&self) -> bool {
        self.changes.hold_moves.is_empty()
            && self.changes.extensions.is_empty()
            && self.changes.quantities.is_empty()
            && self.changes.order_moves.is_empty()
            && self.changes.order_changes.is_empty()
            && self.changes.settled_payments.is_empty()
    }

    pub(super) fn needs_conflict_check(&self) -> bool {
        !self.changes.new_orders.is_empty() || self.changes.new_payments.iter().any(|p| p.waiting)
    }
}

fn duplicate() -> StoreError {
    StoreError::new(Fault::Duplicate, "a unique key is taken")
}

fn conflict(why: &str) -> StoreError {
    StoreError::new(Fault::Conflict, why)
}

/// Returns the hold as the transaction sees it.
fn visible_hold(tables: &Tables, write_set: &WriteSet, id: HoldId) -> Option<HoldRow> {
    write_set.holds.get(&id).or_else(|| tables.holds.get(&id)).copied()
}

impl SimulatedStore {
    async fn insert_holds(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<()> {
        for hold in &writes.changes.new_holds {
            self.lock(txn, LockKey::Hold(hold.id)).await?;
            let is_new = self.database.with(txn, |tables, write_set| {
                let is_new = visible_hold(tables, write_set, hold.id).is_none();
                if is_new {
                    let tokens = writes.seed.deriver();
                    let cart = hold.cart_id.map(|id| (id, tokens.cart_token(id)));
                    write_set.cart_tokens.extend(cart);
                    write_set.holds.insert(hold.id, *hold);
                }
                is_new
            })?;
            if !is_new {
                return Err(duplicate());
            }
        }
        Ok(())
    }

    async fn insert_others(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<()> {
        let changes = &writes.changes;
        self.write_products(txn, changes).await?;
        for row in &changes.new_keys {
            self.lock(txn, LockKey::Key(row.key.clone())).await?;
            let taken = self.database.with(txn, |tables, write_set| {
                let entry = (row.clone(), writes.now);
                tables.keys.contains_key(&row.key)
                    || write_set.keys.insert(row.key.clone(), entry).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        for row in &changes.new_payments {
            self.lock(txn, LockKey::Payment(row.key.clone())).await?;
            let taken = self.database.with(txn, |tables, write_set| {
                tables.payments.contains_key(&row.key)
                    || write_set.payments.insert(row.key.clone(), row.clone()).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        let waiting = changes.new_payments.iter().filter(|row| row.waiting);
        for (position, row) in waiting.enumerate() {
            self.lock(txn, LockKey::Waiting(row.order_id, row.key.clone())).await?;
            let which = (row.order_id, row.key.clone());
            self.database
                .with(txn, |_, write_set| write_set.waiting.insert(which, Some(position)))?;
        }
        Ok(())
    }

    /// Inserts products and changes what others are; ids and SKUs are unique keys.
    async fn write_products(&self, txn: TxnId, changes: &Changes) -> StoreResult<()> {
        let changed = changes
            .products
            .iter()
            .filter(|change| change.before.product.sku != change.after.product.sku);
        let changed = changed.map(|change| &change.after);
        for row in changes.new_products.iter().chain(changed) {
            let id = row.product.id;
            self.lock(txn, LockKey::Product(id)).await?;
            let Some(sku) = row.product.sku.clone() else { continue };
            self.lock(txn, LockKey::Sku(sku.clone())).await?;
            let loses = |other: ProductId| {
                let mut all = changes.products.iter();
                all.any(|change| {
                    change.after.product.id == other
                        && change.after.product.sku.as_ref() != Some(&sku)
                })
            };
            let taken = self.database.with(txn, |tables, _| {
                let other = tables.product_of_sku(&sku).filter(|other| *other != id);
                other.is_some_and(|other| !loses(other))
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        for row in &changes.new_products {
            let taken = self.database.with(txn, |tables, write_set| {
                let id = row.product.id;
                tables.products.contains_key(&id)
                    || write_set.products.insert(id, row.clone()).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        Ok(())
    }

    /// Inserts the names by which orders are found; each is a unique key.
    async fn insert_references(&self, txn: TxnId, changes: &Changes) -> StoreResult<()> {
        for row in &changes.new_orders {
            let Some(reference) = row.order.reference.clone() else { continue };
            self.lock(txn, LockKey::OrderReference(reference.clone())).await?;
            let taken = self.database.with(txn, |tables, write_set| {
                tables.order_references.contains_key(&reference)
                    || write_set.order_references.insert(reference, row.order.id).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        for (reference, order_id) in &changes.payment_references {
            self.lock(txn, LockKey::PaymentReference(reference.clone())).await?;
            let taken = self.database.with(txn, |tables, write_set| {
                tables.payment_references.contains_key(reference)
                    || write_set.payment_references.insert(reference.clone(), *order_id).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        Ok(())
    }

    /// Inserts orders and updates holds and orders; returns whether every guard
    /// matched all of its rows.
    async fn move_rows(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<bool> {
        let changes = &writes.changes;
        let mut all_hit = true;
        for (id, end) in &changes.extensions {
            self.lock(txn, LockKey::Hold(*id)).await?;
            all_hit &= self.database.with(txn, |tables, write_set| {
                let hold = visible_hold(tables, write_set, *id);
                let hold = hold.filter(|hold| hold.status == HoldStatus::Active);
                hold.map(|hold| write_set.holds.insert(*id, HoldRow { expires_at: *end, ..hold }))
                    .is_some()
            })?;
        }
        for change in &changes.quantities {
            self.lock(txn, LockKey::Hold(change.id)).await?;
            all_hit &= self.database.with(txn, |tables, write_set| {
                let hold = visible_hold(tables, write_set, change.id).filter(|hold| {
                    (hold.status, hold.quantity) == (HoldStatus::Active, change.from)
                });
                let changed = hold.map(|hold| HoldRow { quantity: change.to, ..hold });
                changed.map(|hold| write_set.holds.insert(change.id, hold)).is_some()
            })?;
        }
        for moved in &changes.hold_moves {
            for id in &moved.ids {
                self.lock(txn, LockKey::Hold(*id)).await?;
                all_hit &= self.database.with(txn, |tables, write_set| {
                    let hold = visible_hold(tables, write_set, *id);
                    let hold = hold.filter(|hold| hold.status == moved.from);
                    hold.map(|hold| {
                        write_set.holds.insert(*id, HoldRow { status: moved.to, ..hold })
                    })
                    .is_some()
                })?;
            }
        }
        for row in &changes.new_orders {
            self.lock(txn, LockKey::Order(row.order.id)).await?;
            for line in row.order.lines.iter() {
                self.lock(txn, LockKey::OrderOfHold(line.hold_id)).await?;
            }
            let taken = self.database.with(txn, |tables, write_set| {
                let used = |other: &OrderRow| {
                    let mut holds = row.order.lines.iter().map(|line| line.hold_id);
                    holds.any(|hold| other.order.lines.iter().any(|line| line.hold_id == hold))
                };
                tables.orders.contains_key(&row.order.id)
                    || tables.orders.values().any(used)
                    || write_set.orders.values().any(used)
                    || write_set.orders.insert(row.order.id, row.clone()).is_some()
            })?;
            if taken {
                return Err(duplicate());
            }
        }
        self.insert_references(txn, changes).await?;
        for moved in &changes.order_moves {
            for id in &moved.ids {
                self.lock(txn, LockKey::Order(*id)).await?;
                all_hit &= self.database.with(txn, |tables, write_set| {
                    let row = write_set.orders.get(id).or_else(|| tables.orders.get(id)).cloned();
                    let as_before = |row: &OrderRow| {
                        (row.order.status, row.order.payment_disposition) == moved.from
                    };
                    let Some(mut row) = row.filter(as_before) else { return false };
                    (row.order.status, row.order.payment_disposition) = moved.to;
                    row.order.updated_at = writes.now;
                    row.version += 1;
                    if is_paid_by(moved.from.0, moved.to.0) {
                        row.paid_at = Some(writes.now);
                    }
                    write_set.orders.insert(*id, row);
                    true
                })?;
            }
        }
        for OrderChange { version_before, after } in &changes.order_changes {
            let id = after.order.id;
            self.lock(txn, LockKey::Order(id)).await?;
            all_hit &= self.database.with(txn, |tables, write_set| {
                let row = write_set.orders.get(&id).or_else(|| tables.orders.get(&id));
                let stands = row.is_some_and(|row| row.version == *version_before);
                stands && {
                    write_set.orders.insert(id, after.clone());
                    true
                }
            })?;
        }
        for (order_id, key) in &changes.settled_payments {
            self.lock(txn, LockKey::Waiting(*order_id, key.clone())).await?;
            self.lock(txn, LockKey::Payment(key.clone())).await?;
            all_hit &= self.database.with(txn, |tables, write_set| {
                let which = (*order_id, key.clone());
                let row = tables.payments.get(key).filter(|row| row.waiting);
                let Some(row) = row.filter(|_| tables.waiting.contains_key(&which)) else {
                    return false;
                };
                write_set
                    .payments
                    .insert(key.clone(), PaymentRow { waiting: false, ..row.clone() });
                write_set.waiting.insert(which, None);
                true
            })?;
        }
        Ok(all_hit)
    }

    /// Updates the products under their version guards, then inserts the outbox
    /// row, which fails unless every guard matched.
    async fn update_products(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<()> {
        let changed = &writes.changes.products;
        for change in changed {
            self.lock(txn, LockKey::Product(change.before.product.id)).await?;
        }
        let hit = self.database.with(txn, |tables, write_set| {
            let lease = |id: ProductId| writes.fences.get(&id).copied().unwrap_or(0);
            let any = |differs: &dyn Fn(&ProductRow, &ProductRow) -> bool| {
                changed.iter().any(|change| differs(&change.before, &change.after))
            };
            let stock = any(&|a, b| a.product.in_stock != b.product.in_stock);
            let held = any(&|a, b| a.product.held != b.product.held);
            let pending = any(&|a, b| a.product.pending != b.product.pending);
            let sold = any(&|a, b| a.product.sold != b.product.sold);
            let returned = any(&|a, b| a.product.returned != b.product.returned);
            let received = any(&|a, b| a.received != b.received);
            let fence = any(&|a, _| lease(a.product.id) > a.fence);
            let next_due = any(&|a, b| a.next_due != b.next_due);
            let mut hit = 0;
            for change in changed {
                let (before, after) = (&change.before, &change.after);
                let id = before.product.id;
                let Some(mut row) = tables.products.get(&id).cloned() else { continue };
                let stands = |row: &ProductRow| {
                    let Product { in_stock, held, pending, sold, returned, version, .. } =
                        row.product;
                    let units = (in_stock, held, pending, sold, returned, row.received);
                    (version, units, row.fence, row.next_due)
                };
                if stands(&row) != stands(before) {
                    continue;
                }
                let set = |is_set: bool, to: u64, column: &mut u64| {
                    if is_set {
                        *column = to;
                    }
                };
                let in_stock = if stock { after.product.in_stock } else { row.product.in_stock };
                let Product { held: old, pending: waiting, sold: gone, returned: back, .. } =
                    row.product;
                row.product = Product {
                    held: old,
                    pending: waiting,
                    sold: gone,
                    returned: back,
                    ..after.product.clone()
                };
                row.product.set_in_stock(in_stock);
                set(held, after.product.held, &mut row.product.held);
                set(pending, after.product.pending, &mut row.product.pending);
                set(sold, after.product.sold, &mut row.product.sold);
                set(returned, after.product.returned, &mut row.product.returned);
                set(received, after.received, &mut row.received);
                set(fence, lease(id).max(before.fence), &mut row.fence);
                if next_due {
                    row.next_due = after.next_due;
                }
                if writes.fences.get(&id).is_some_and(|lease| *lease < row.fence) {
                    write_set.is_overtaken = true;
                }
                row.product.version = after.product.version;
                write_set.products.insert(id, row);
                hit += 1;
            }
            hit
        })?;
        if hit != changed.len() {
            return Err(conflict("a product was not as it was read"));
        }
        let events = writes.changes.events.clone();
        let taken = self.database.with(txn, |tables, write_set| {
            write_set.outbox = Some((writes.id, events));
            tables.outbox.contains_key(&writes.id)
        })?;
        if taken { Err(duplicate()) } else { Ok(()) }
    }

    /// Executes all statements of a batch except COMMIT.
    pub(super) async fn write_all(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<()> {
        self.statement(txn)?;
        self.insert_others(txn, writes).await?;
        self.insert_holds(txn, writes).await?;
        self.statement(txn)?;
        let all_hit = self.move_rows(txn, writes).await?;
        self.statement(txn)?;
        self.update_products(txn, writes).await?;
        if !all_hit {
            return Err(conflict("a row was not in the state it comes from"));
        }
        self.check_conflicts(txn, writes).await
    }

    /// Executes the conflict checks: reads that must return no row.
    async fn check_conflicts(&self, txn: TxnId, writes: &BatchWrites) -> StoreResult<()> {
        let mut met = false;
        for row in &writes.changes.new_orders {
            for what in self.database.waiting_for(row.order.id) {
                let LockKey::Waiting(order_id, key) = what.clone() else { continue };
                let which = (order_id, key);
                let is_there =
                    |tables: &Tables, write_set: &WriteSet| match write_set.waiting.get(&which) {
                        Some(position) => position.is_some(),
                        None => tables.waiting.contains_key(&which),
                    };
                met |= self.database.lock_if_there(txn, what, self.lock_wait, is_there).await?;
            }
        }
        for row in writes.changes.new_payments.iter().filter(|row| row.waiting) {
            let id = row.order_id;
            let is_there = |tables: &Tables, write_set: &WriteSet| {
                tables.orders.contains_key(&id) || write_set.orders.contains_key(&id)
            };
            let what = LockKey::Order(id);
            met |= self.database.lock_if_there(txn, what, self.lock_wait, is_there).await?;
        }
        if met { Err(conflict("an order met an event that waits for it")) } else { Ok(()) }
    }

    pub(super) fn commit_now(&self, txn: TxnId) -> StoreResult<()> {
        if self.faults.strikes(FaultKind::CommitRefused) {
            self.database.roll_back(txn);
            return Err(StoreError::new(Fault::Deadlock, "refused at COMMIT"));
        }
        let products = self.database.commit(txn)?;
        self.invalidations.send(&self.faults, self.process, &products);
        Ok(())
    }

    /// Begins: locks the products in id order, then reads the rest of the read set.
    pub(super) async fn load(
        &self,
        txn: TxnId,
        read_set: &ReadSet,
    ) -> StoreResult<(Rows, Timestamp)> {
        self.statement(txn)?;
        let mut rows = Rows::default();
        let mut time = None;
        for id in &read_set.products {
            if !self.database.read(|tables| tables.products.contains_key(id)) {
                continue;
            }
            self.lock(txn, LockKey::Product(*id)).await?;
            time = Some(clock());
            let row = self.database.read(|tables| tables.products.get(id).cloned());
            rows.products.extend(row.map(|row| (*id, row)));
        }
        self.statement(txn)?;
        for id in &read_set.holds {
            let is_there = |tables: &Tables, _: &WriteSet| tables.holds.contains_key(id);
            let what = LockKey::Hold(*id);
            if self.database.lock_if_there(txn, what, self.lock_wait, is_there).await? {
                let hold = self.database.read(|tables| tables.holds.get(id).cloned());
                rows.holds.extend(hold.map(|hold| (*id, hold)));
            }
        }
        self.database.read(|tables| {
            let carts = rows.holds.values().filter_map(|hold| hold.cart_id);
            let tokens = carts.filter_map(|id| Some((id, *tables.cart_tokens.get(&id)?)));
            rows.cart_tokens = tokens.collect();
            for order in tables.orders.values().map(|row| &row.order) {
                let holds = order.lines.iter().map(|line| line.hold_id);
                let used = holds.filter(|id| read_set.holds.contains(id));
                rows.order_by_hold.extend(used.map(|id| (id, order.id)));
            }
            let named = |names: &[String], of: &BTreeMap<String, OrderId>| {
                let found = names.iter().filter_map(|name| Some((name.clone(), *of.get(name)?)));
                found.collect::<Vec<_>>()
            };
            rows.order_by_reference.extend(named(&read_set.references, &tables.order_references));
            let sku = |sku: &String| Some((sku.clone(), tables.product_of_sku(sku)?));
            rows.product_by_sku.extend(read_set.skus.iter().filter_map(sku));
            let names = &read_set.payment_references;
            rows.order_by_payment.extend(named(names, &tables.payment_references));
        });
        for id in &read_set.orders {
            let is_there = |tables: &Tables, _: &WriteSet| tables.orders.contains_key(id);
            let what = LockKey::Order(*id);
            if self.database.lock_if_there(txn, what, self.lock_wait, is_there).await? {
                let row = self.database.read(|tables| tables.orders.get(id).cloned());
                rows.orders.extend(row.map(|row| (*id, row)));
            }
        }
        self.database.read(|tables| {
            let known = read_set.payments.iter().filter_map(|key| tables.payments.get(key));
            rows.payments.extend(known.map(|row| (row.key.clone(), row.clone())));
            let awaited = tables.waiting.iter();
            let awaited = awaited.filter(|((id, _), _)| read_set.awaited_orders.contains(id));
            let mut awaited: Vec<_> = awaited
                .filter_map(|((_, key), position)| Some((tables.payments.get(key)?, *position)))
                .collect();
            awaited.sort_by_key(|(row, position)| (row.received_at, *position));
            for (row, _) in awaited {
                rows.waiting.entry(row.order_id).or_default().push(row.clone());
                rows.payments.insert(row.key.clone(), row.clone());
            }
            let known = read_set.keys.iter().filter_map(|key| tables.keys.get(key));
            rows.keys.extend(known.map(|(row, _)| (row.key.clone(), row.clone())));
        });
        Ok((rows, time.unwrap_or_else(clock)))
    }

    /// Returns the products whose due rows the batch needs, and marks the others
    /// as having more.
    pub(super) fn mark_due(rows: &mut Rows, read_set: &ReadSet, now: Timestamp) -> Vec<ProductId> {
        let is_dead = |hold: &&HoldRow| hold.status == HoldStatus::Active && hold.expires_at <= now;
        let paid = read_set.orders.iter().filter_map(|id| rows.orders.get(id));
        let dead = rows.holds.values().filter(is_dead).map(|hold| hold.product_id);
        let lines = paid.flat_map(|row| row.order.lines.iter());
        let named: BTreeSet<ProductId> = lines.map(|line| line.product_id).chain(dead).collect();
        let added = rows.units_added(&read_set.resized);
        let is_needed = |row: &&ProductRow| {
            let id = row.product.id;
            let wanted = [&read_set.wanted, &added].map(|of| of.get(&id).copied().unwrap_or(0));
            row.product.stock < wanted.iter().sum()
                || read_set.due.contains(&id)
                || named.contains(&id)
        };
        let due = rows.products.values().filter(|row| row.next_due.is_some_and(|at| at <= now));
        let (due, left): (Vec<_>, Vec<_>) = due.partition(is_needed);
        let ids = |rows: Vec<&ProductRow>| rows.into_iter().map(|row| row.product.id).collect();
        let (due, left): (Vec<ProductId>, Vec<ProductId>) = (ids(due), ids(left));
        rows.due.extend(left.into_iter().map(|id| (id, Due { more: true, ..Due::default() })));
        due
    }
}
