//! Creates, releases, extends and expires holds; adjusts stock.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{EventKind, Hold, HoldId, HoldStatus, ProductId, ShortLine};

use super::batch_state::BatchState;
use super::{Answer, CommandResult, Decision, NewHold, Refusal};

impl BatchState<'_> {
    /// Creates a hold for every line, or none.
    pub(super) fn hold_lines(
        &mut self,
        lines: &[NewHold],
        ttl: Duration,
        customer: Option<&Arc<str>>,
    ) -> Result<Result<Vec<Hold>, Refusal>, Decision> {
        let mut short = Vec::new();
        for line in lines {
            let Some(row) = self.rows.products.get(&line.product_id) else {
                return Ok(Err(Refusal::NoProduct(line.product_id)));
            };
            if row.product.stock < u64::from(line.quantity) {
                short.push(ShortLine {
                    product_id: line.product_id,
                    requested: line.quantity.into(),
                    available: row.product.stock,
                });
            }
        }
        if let Some(refusal) =
            customer.and_then(|customer| self.check_customer_limit(lines, customer))
        {
            return Ok(Err(refusal));
        }
        if short.iter().any(|line| self.has_unloaded_due(line.product_id)) {
            return Err(Decision::Deferred);
        }
        if !short.is_empty() {
            return Ok(Err(Refusal::Insufficient(short)));
        }
        Ok(Ok(lines.iter().map(|line| self.create_hold(line, ttl, customer)).collect()))
    }

    /// Refuses the first line that would exceed the customer limit.
    fn check_customer_limit(&self, lines: &[NewHold], customer: &str) -> Option<Refusal> {
        let most = self.policy.max_per_customer?;
        lines.iter().find_map(|line| {
            let (product_id, requested) = (line.product_id, line.quantity);
            let held = self.customer_units(customer, product_id);
            let is_over_limit = held + u64::from(requested) > u64::from(most);
            is_over_limit.then_some(Refusal::CustomerLimit { product_id, held, requested, most })
        })
    }

    /// Sums the units of the customer's active holds. An expired hold does not
    /// count, reclaimed or not.
    fn customer_units(&self, customer: &str, product_id: ProductId) -> u64 {
        let ids = self.rows.customers.get(&product_id).and_then(|of| of.get(customer));
        let holds = ids.into_iter().flatten().filter_map(|id| self.rows.holds.get(id));
        let is_active =
            |hold: &&Hold| hold.status == HoldStatus::Active && hold.expires_at > self.now;
        holds.filter(is_active).map(|hold| u64::from(hold.quantity)).sum()
    }

    fn create_hold(&mut self, line: &NewHold, ttl: Duration, customer: Option<&Arc<str>>) -> Hold {
        let hold = line.to_hold(self.now, ttl);
        if let Some(row) = self.rows.products.get_mut(&line.product_id) {
            row.product.stock -= u64::from(line.quantity);
            row.product.held += u64::from(line.quantity);
        }
        self.lower_next_due(hold.product_id, hold.expires_at);
        self.record_hold(hold.id, None);
        self.rows.holds.insert(hold.id, hold.clone());
        if let Some(customer) = customer {
            self.record_customer(&hold, customer);
        }
        self.emit_event(
            EventKind::HoldCreated,
            hold.product_id,
            Some(hold.id),
            None,
            hold.quantity.into(),
        );
        hold
    }

    /// Ends an active hold with status `to` and returns its stock; reports whether
    /// it was active. No other code returns the stock of a hold.
    fn end_hold(&mut self, hold_id: HoldId, to: HoldStatus, kind: EventKind) -> bool {
        let Some(hold) = self.rows.holds.get_mut(&hold_id) else { return false };
        if hold.status != HoldStatus::Active {
            return false;
        }
        let Some(row) = self.rows.products.get_mut(&hold.product_id) else { return false };
        row.product.held -= u64::from(hold.quantity);
        row.product.stock += u64::from(hold.quantity);
        let before = (hold.status, hold.expires_at);
        hold.status = to;
        let (product_id, quantity) = (hold.product_id, hold.quantity);
        self.record_hold(hold_id, Some(before));
        self.emit_event(kind, product_id, Some(hold_id), None, quantity.into());
        true
    }

    /// Expires the hold if it is due.
    pub(super) fn expire_if_due(&mut self, hold_id: HoldId) {
        let due = self.rows.holds.get(&hold_id).is_some_and(|hold| hold.expires_at <= self.now);
        if due {
            self.end_hold(hold_id, HoldStatus::Expired, EventKind::HoldExpired);
        }
    }

    /// Returns the hold as it is now; expires it first if it is due.
    fn current_hold(&mut self, hold_id: HoldId) -> Result<Result<Hold, Refusal>, Decision> {
        let Some(hold) = self.rows.holds.get(&hold_id) else {
            return Ok(Err(Refusal::NoHold(hold_id)));
        };
        if !self.rows.products.contains_key(&hold.product_id) {
            return Err(Decision::ReadSetMiss(hold.product_id));
        }
        self.expire_if_due(hold_id);
        Ok(self.rows.holds.get(&hold_id).cloned().ok_or(Refusal::NoHold(hold_id)))
    }

    /// Returns the hold if it is active now.
    pub(super) fn active_hold(
        &mut self,
        hold_id: HoldId,
    ) -> Result<Result<Hold, Refusal>, Decision> {
        let current = self.current_hold(hold_id)?;
        Ok(current.and_then(|hold| match hold.status {
            HoldStatus::Active => Ok(hold),
            HoldStatus::Converted => Err(self.already_used(hold_id)),
            HoldStatus::Released => Err(Refusal::HoldReleased(hold_id)),
            HoldStatus::Expired => Err(Refusal::HoldExpired(hold_id)),
        }))
    }

    fn already_used(&self, hold_id: HoldId) -> Refusal {
        let order_id = self.rows.order_by_hold.get(&hold_id).copied();
        Refusal::HoldAlreadyUsed { hold_id, order_id }
    }

    pub(super) fn release(&mut self, hold_id: HoldId) -> Result<CommandResult, Decision> {
        let hold = match self.current_hold(hold_id)? {
            Ok(hold) => hold,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if hold.status == HoldStatus::Converted {
            return Ok(Err(self.already_used(hold_id)));
        }
        self.end_hold(hold_id, HoldStatus::Released, EventKind::HoldReleased);
        Ok(self.rows.holds.get(&hold_id).cloned().map(Answer::Hold).ok_or(Refusal::NoHold(hold_id)))
    }

    pub(super) fn extend(
        &mut self,
        hold_id: HoldId,
        ttl: Duration,
    ) -> Result<CommandResult, Decision> {
        let mut hold = match self.active_hold(hold_id)? {
            Ok(hold) => hold,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let latest = hold.created_at.after(self.policy.hold_ttl_max);
        let end = hold.expires_at.max(self.now.after(ttl).min(latest));
        if end != hold.expires_at {
            self.record_hold(hold_id, Some((hold.status, hold.expires_at)));
            hold.expires_at = end;
            self.rows.holds.insert(hold_id, hold.clone());
            let (product_id, quantity) = (hold.product_id, hold.quantity.into());
            self.emit_event(EventKind::HoldExtended, product_id, Some(hold_id), None, quantity);
        }
        Ok(Ok(Answer::Hold(hold)))
    }

    /// Adds received goods to the stock, or writes goods off if `delta` is negative.
    pub(super) fn adjust(
        &mut self,
        product_id: ProductId,
        delta: i64,
        version: Option<u64>,
    ) -> Result<CommandResult, Decision> {
        let more_due = self.has_unloaded_due(product_id);
        let current = self.current_version(product_id);
        let Some(row) = self.rows.products.get_mut(&product_id) else {
            return Ok(Err(Refusal::NoProduct(product_id)));
        };
        if let Some(asked) = version.filter(|asked| *asked != current) {
            return Ok(Err(Refusal::VersionMismatch { product_id, asked, version: current }));
        }
        let Some(stock) = row.product.stock.checked_add_signed(delta) else {
            if delta > 0 {
                return Ok(Err(Refusal::StockTooLarge(product_id)));
            }
            if more_due {
                return Err(Decision::Deferred);
            }
            return Ok(Err(Refusal::Insufficient(vec![ShortLine {
                product_id,
                requested: delta.unsigned_abs(),
                available: row.product.stock,
            }])));
        };
        // The stores have signed 64-bit columns.
        let received = row.received.checked_add_signed(delta);
        let Some(received) = received.filter(|sum| i64::try_from(*sum).is_ok()) else {
            return Ok(Err(Refusal::StockTooLarge(product_id)));
        };
        row.product.stock = stock;
        row.received = received;
        let mut product = row.product.clone();
        // The version that the commit will give the row.
        product.version = self.next_version(product_id);
        self.emit_event(EventKind::StockAdjusted, product_id, None, None, delta);
        Ok(Ok(Answer::Product(product)))
    }
}
