//! The desk on which a batch is decided: the rows as they stand, and a note
//! of how each touched row stood before.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, OrderId, OrderStatus, PaymentDisposition, ProductId,
    Timestamp,
};

use super::{
    Answer, Changes, Command, CommandResult, CustomerHold, Decision, HoldMove, IdempotencyKey,
    KeyRow, LedgerEvent, OrderMove, PaymentRow, ProductChange, ProductRow, Refusal, Rows,
};

/// The settings that rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The longest a hold may live in all.
    pub hold_ttl_max: Duration,
    /// How long an order may stay unpaid; `None`: for ever.
    pub payment_ttl: Option<Duration>,
    /// Whether late money takes the units again.
    pub re_reserve: bool,
    /// Whether what is asked of a hold must show its token.
    pub require_hold_token: bool,
    /// The most units of a product that one customer may hold; `None`: any
    /// number.
    pub max_per_customer: Option<u32>,
}

impl Policy {
    /// What tests go by that are about something else.
    #[cfg(test)]
    pub const PLAIN: Self = Self {
        hold_ttl_max: Duration::from_secs(60),
        payment_ttl: None,
        re_reserve: true,
        require_hold_token: false,
        max_per_customer: None,
    };

    /// Whether the command can only be decided once it is known what its
    /// customer holds.
    pub fn needs_customer_holds(&self, command: &Command) -> bool {
        self.max_per_customer.is_some() && command.customer().is_some()
    }
}

pub(super) struct BatchState<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) rows: Rows,
    products_before: BTreeMap<ProductId, ProductRow>,
    /// As each touched hold stood; `None` for a new one.
    holds_before: BTreeMap<HoldId, Option<(HoldStatus, Timestamp)>>,
    orders_before: BTreeMap<OrderId, Option<(OrderStatus, PaymentDisposition)>>,
    /// Due holds and orders given back, for the first who asks.
    reclaimed: BTreeMap<ProductId, (u32, u32)>,
    customer_holds: Vec<CustomerHold>,
    new_payments: Vec<String>,
    new_keys: Vec<String>,
    settled: Vec<(OrderId, String)>,
    events: Vec<LedgerEvent>,
}

impl<'a> BatchState<'a> {
    pub(super) fn new(policy: &'a Policy, rows: Rows, now: Timestamp) -> Self {
        Self {
            policy,
            now,
            products_before: rows.products.clone(),
            rows,
            holds_before: BTreeMap::new(),
            orders_before: BTreeMap::new(),
            reclaimed: BTreeMap::new(),
            customer_holds: Vec::new(),
            new_payments: Vec::new(),
            new_keys: Vec::new(),
            settled: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn decide(&mut self, command: &Command) -> Decision {
        if let Err(refusal) = self.check_token(command) {
            return Decision::Done { answer: Err(refusal), replayed: false };
        }
        match command {
            Command::Hold { hold, ttl, customer, key } => self.keyed(key.as_ref(), |batch| {
                let lines = std::slice::from_ref(hold);
                let made = batch.hold_lines(lines, *ttl, customer.as_ref())?;
                Ok(made.map(|mut holds| Answer::Hold(holds.swap_remove(0))))
            }),
            Command::Cart { lines, ttl, customer, key } => self.keyed(key.as_ref(), |batch| {
                Ok(batch.hold_lines(lines, *ttl, customer.as_ref())?.map(Answer::Cart))
            }),
            Command::Release { hold_id, .. } => decision(self.release(*hold_id)),
            Command::Extend { hold_id, ttl, .. } => decision(self.extend(*hold_id, *ttl)),
            Command::Order { order_id, secret, hold_id, product_id, key, .. } => self
                .keyed(key.as_ref(), |batch| {
                    batch.order(*order_id, *secret, *hold_id, *product_id)
                }),
            Command::Payment { key, body_hash, order_id, secret, outcome } => {
                self.payment(key, *body_hash, *order_id, *secret, *outcome)
            }
            Command::Adjust { product_id, delta, version, key } => {
                self.keyed(key.as_ref(), |batch| batch.adjust(*product_id, *delta, *version))
            }
            Command::Reclaim { product_id } => {
                let (holds, orders) = self.reclaimed.remove(product_id).unwrap_or_default();
                let more = self.more_due(*product_id);
                decision(Ok(Ok(Answer::Reclaimed { holds, orders, more })))
            }
        }
    }

    /// Refuses whoever does not show that the hold is theirs. A token that is
    /// shown is looked at in any case. An idempotency key comes after it: who
    /// has no token is not told how to pay, and does not use up a key.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        let Some((id, shown)) = command.used_hold() else { return Ok(()) };
        let Some(hold) = self.rows.holds.get(&id) else { return Ok(()) };
        match shown {
            Some(shown) if !hold.token.is(shown) => Err(Refusal::WrongHoldToken(id)),
            None if self.policy.require_hold_token => Err(Refusal::NoHoldToken(id)),
            _ => Ok(()),
        }
    }

    /// Answers from memory if the key was used before, and remembers the
    /// answer if it was not; refusals, too, if the key keeps them.
    fn keyed(
        &mut self,
        keyed: Option<&IdempotencyKey>,
        work: impl FnOnce(&mut Self) -> Result<CommandResult, Decision>,
    ) -> Decision {
        let Some(keyed) = keyed else {
            return decision(work(self));
        };
        if let Some(kept) = self.rows.keys.get(&keyed.key) {
            let (answer, replayed) = kept.replay(keyed);
            return Decision::Done { answer, replayed };
        }
        let answer = match work(self) {
            Ok(answer) => answer,
            Err(undecided) => return undecided,
        };
        if answer.is_err() && !keyed.keeps_refusals {
            return Decision::Done { answer, replayed: false };
        }
        self.rows.keys.insert(keyed.key.clone(), KeyRow::new(keyed, answer.clone()));
        self.new_keys.push(keyed.key.clone());
        Decision::Done { answer, replayed: false }
    }

    /// Gives back all that is due as far as it was loaded.
    pub(super) fn reclaim_due(&mut self) {
        let due: Vec<_> = self
            .rows
            .due
            .iter()
            .map(|(product_id, due)| (*product_id, due.holds.clone(), due.orders.clone()))
            .collect();
        for (product_id, holds, orders) in due {
            let told = self.events.len();
            for hold_id in holds {
                self.expire_if_due(hold_id);
            }
            let expired = self.events.len() - told;
            for order_id in orders {
                self.cancel_if_due(order_id);
            }
            let cancelled = self.events.len() - told - expired;
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            self.reclaimed.insert(product_id, (count(expired), count(cancelled)));
            self.due_is_done(product_id);
        }
    }

    /// Moves the product's `next_due` on to what is left, if all that was due
    /// was loaded. What the commands add comes on top of it.
    fn due_is_done(&mut self, product_id: ProductId) {
        if let Some(due) = self.rows.due.get(&product_id)
            && !due.more
            && let Some(row) = self.rows.products.get_mut(&product_id)
        {
            row.next_due = due.next;
        }
    }

    /// Whether stock that is due but was not loaded could still come back.
    pub(super) fn more_due(&self, product_id: ProductId) -> bool {
        self.rows.due.get(&product_id).is_some_and(|due| due.more)
    }

    /// The version that a caller who reads the product after this decision
    /// sees: a batch raises it once, with the first command that moves units.
    pub(super) fn current_version(&self, product_id: ProductId) -> u64 {
        let moves = |event: &LedgerEvent| event.product_id == product_id && moves_units(event.kind);
        let before = self.products_before.get(&product_id);
        let raised = u64::from(self.events.iter().any(moves));
        before.map_or(0, |row| row.product.version + raised)
    }

    /// The version that this batch's commit gives the product.
    pub(super) fn version_to_be(&self, product_id: ProductId) -> u64 {
        let before = self.products_before.get(&product_id);
        before.map_or(0, |row| row.product.version + 1)
    }

    /// Moves the product's `next_due` forward to `at` if that is sooner.
    pub(super) fn falls_due(&mut self, product_id: ProductId, at: Timestamp) {
        if let Some(row) = self.rows.products.get_mut(&product_id) {
            row.next_due = Some(row.next_due.map_or(at, |known| known.min(at)));
        }
    }

    pub(super) fn record_hold(&mut self, id: HoldId, before: Option<(HoldStatus, Timestamp)>) {
        self.holds_before.entry(id).or_insert(before);
    }

    /// Notes whom a new hold is for, and counts it from now on.
    pub(super) fn record_customer(&mut self, hold: &Hold, customer: &Arc<str>) {
        let (product_id, hold_id) = (hold.product_id, hold.id);
        if self.policy.max_per_customer.is_some() {
            let of_product = self.rows.customers.entry(product_id).or_default();
            of_product.entry(Arc::clone(customer)).or_default().push(hold_id);
        }
        let customer = Arc::clone(customer);
        self.customer_holds.push(CustomerHold { product_id, customer, hold_id });
    }

    pub(super) fn record_order(
        &mut self,
        id: OrderId,
        before: Option<(OrderStatus, PaymentDisposition)>,
    ) {
        self.orders_before.entry(id).or_insert(before);
    }

    pub(super) fn record_payment(&mut self, row: PaymentRow) {
        self.new_payments.push(row.key.clone());
        self.rows.payments.insert(row.key.clone(), row);
    }

    pub(super) fn record_settled(&mut self, order_id: OrderId, key: String) {
        self.settled.push((order_id, key));
    }

    /// Notes a transition; its version is known when the batch is done.
    pub(super) fn tell(
        &mut self,
        kind: EventKind,
        product_id: ProductId,
        hold_id: Option<HoldId>,
        order_id: Option<OrderId>,
        qty: i64,
    ) {
        self.events.push(LedgerEvent { kind, product_id, hold_id, order_id, qty, version: 0 });
    }

    /// The difference between the rows as they stood and as they stand.
    pub(super) fn into_changes(mut self) -> Changes {
        let mut changes = Changes::default();
        self.finish_products(&mut changes);
        for (id, before) in std::mem::take(&mut self.holds_before) {
            let Some(hold) = self.rows.holds.get(&id) else { continue };
            match before {
                None => changes.new_holds.push(hold.clone()),
                Some((from, expires_at)) => {
                    if from != hold.status {
                        push_hold_move(&mut changes.hold_moves, from, hold.status, id);
                    }
                    if expires_at != hold.expires_at {
                        changes.extensions.push((id, hold.expires_at));
                    }
                }
            }
        }
        for (id, before) in std::mem::take(&mut self.orders_before) {
            let Some(row) = self.rows.orders.get(&id) else { continue };
            let to = (row.order.status, row.order.payment_disposition);
            match before {
                None => changes.new_orders.push(row.clone()),
                // No order comes back to where it was.
                Some(from) => push_order_move(&mut changes.order_moves, from, to, id),
            }
        }
        // An event that came and was settled within the batch is written once, settled.
        let new: HashSet<&String> = self.new_payments.iter().collect();
        changes.settled_payments =
            self.settled.iter().filter(|(_, key)| !new.contains(key)).cloned().collect();
        changes.new_payments = self
            .new_payments
            .iter()
            .filter_map(|key| self.rows.payments.get(key).cloned())
            .collect();
        changes.new_keys =
            self.new_keys.iter().filter_map(|key| self.rows.keys.get(key).cloned()).collect();
        // What was ended at once counts for nobody.
        let is_active = |row: &CustomerHold| {
            let hold = self.rows.holds.get(&row.hold_id);
            hold.is_some_and(|hold| hold.status == HoldStatus::Active)
        };
        changes.customer_holds = self.customer_holds.into_iter().filter(is_active).collect();
        changes.events = self.events;
        changes
    }

    fn finish_products(&mut self, changes: &mut Changes) {
        let moved: HashSet<ProductId> = self
            .events
            .iter()
            .filter(|event| moves_units(event.kind))
            .map(|e| e.product_id)
            .collect();
        for (id, before) in std::mem::take(&mut self.products_before) {
            let Some(after) = self.rows.products.get_mut(&id) else { continue };
            if moved.contains(&id) {
                after.product.version += 1;
            }
            if *after != before {
                changes.products.push(ProductChange { before, after: after.clone() });
            }
        }
        for event in &mut self.events {
            event.version =
                self.rows.products.get(&event.product_id).map_or(0, |row| row.product.version);
        }
    }
}

/// Whether a transition of this kind moves units of its product.
fn moves_units(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::HoldExtended | EventKind::PaymentConflict | EventKind::PaymentNeedsRefund
    )
}

fn decision(answer: Result<CommandResult, Decision>) -> Decision {
    match answer {
        Ok(answer) => Decision::Done { answer, replayed: false },
        Err(undecided) => undecided,
    }
}

fn push_hold_move(moves: &mut Vec<HoldMove>, from: HoldStatus, to: HoldStatus, id: HoldId) {
    match moves.iter_mut().find(|known| known.from == from && known.to == to) {
        Some(known) => known.ids.push(id),
        None => moves.push(HoldMove { from, to, ids: vec![id] }),
    }
}

fn push_order_move(
    moves: &mut Vec<OrderMove>,
    from: (OrderStatus, PaymentDisposition),
    to: (OrderStatus, PaymentDisposition),
    id: OrderId,
) {
    match moves.iter_mut().find(|known| known.from == from && known.to == to) {
        Some(known) => known.ids.push(id),
        None => moves.push(OrderMove { from, to, ids: vec![id] }),
    }
}
