//! Creates, releases, extends and expires holds; adjusts stock.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{EventKind, Hold, HoldId, HoldStatus, ProductId, ShortLine};

use super::batch_state::BatchState;
use super::{Answer, Decision, NewHold, Refusal};

impl BatchState<'_> {
    /// Refuses holds that cannot be created together.
    pub(super) fn check_lines(
        &self,
        lines: &[NewHold],
        customer: Option<&Arc<str>>,
    ) -> Result<(), Decision> {
        let mut short = Vec::new();
        for line in lines {
            let row = self.rows.products.get(&line.product_id);
            let row = row.ok_or(Refusal::NoProduct(line.product_id))?;
            if row.product.stock < u64::from(line.quantity) {
                short.push(ShortLine {
                    product_id: line.product_id,
                    requested: line.quantity.into(),
                    available: row.product.stock,
                });
            }
        }
        if let Some(customer) = customer {
            self.check_customer_limit(lines, customer)?;
        }
        if short.iter().any(|line| self.has_unloaded_due(line.product_id)) {
            return Err(Decision::Deferred);
        }
        if !short.is_empty() {
            return Err(Refusal::Insufficient(short).into());
        }
        Ok(())
    }

    /// Refuses the first line that would exceed the customer limit.
    fn check_customer_limit(&self, lines: &[NewHold], customer: &str) -> Result<(), Refusal> {
        let Some(most) = self.policy.max_per_customer else { return Ok(()) };
        for line in lines {
            let (product_id, requested) = (line.product_id, line.quantity);
            let held = self.customer_units(customer, product_id);
            if held + u64::from(requested) > u64::from(most) {
                return Err(Refusal::CustomerLimit { product_id, held, requested, most });
            }
        }
        Ok(())
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

    /// Creates a hold that [`BatchState::check_lines`] did not refuse.
    pub(super) fn create_hold(
        &mut self,
        line: &NewHold,
        ttl: Duration,
        customer: Option<&Arc<str>>,
    ) -> Hold {
        let hold = line.to_hold(self.now, ttl);
        if let Some(row) = self.rows.products.get_mut(&line.product_id) {
            row.product.stock -= u64::from(line.quantity);
            row.product.held += u64::from(line.quantity);
        }
        self.lower_next_due(hold.product_id, hold.expires_at);
        self.add_hold(hold.clone());
        if let Some(customer) = customer {
            self.record_customer(&hold, customer);
        }
        self.emit_hold_event(EventKind::HoldCreated, &hold);
        hold
    }

    fn emit_hold_event(&mut self, kind: EventKind, hold: &Hold) {
        self.emit_event(kind, hold.product_id, Some(hold.id), None, hold.quantity.into());
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
        let hold = hold.clone();
        self.record_hold(hold_id, before);
        self.emit_hold_event(kind, &hold);
        true
    }

    pub(super) fn expire_if_due(&mut self, hold_id: HoldId) {
        let due = self.rows.holds.get(&hold_id).is_some_and(|hold| hold.expires_at <= self.now);
        if due {
            self.end_hold(hold_id, HoldStatus::Expired, EventKind::HoldExpired);
        }
    }

    /// Returns the hold as it is now; expires it first if it is due.
    fn current_hold(&mut self, hold_id: HoldId) -> Result<Hold, Decision> {
        let hold = self.rows.hold(hold_id)?;
        if !self.rows.products.contains_key(&hold.product_id) {
            return Err(Decision::ReadSetMiss(hold.product_id));
        }
        self.expire_if_due(hold_id);
        Ok(self.rows.hold(hold_id)?.clone())
    }

    pub(super) fn active_hold(&mut self, hold_id: HoldId) -> Result<Hold, Decision> {
        let hold = self.current_hold(hold_id)?;
        match hold.status {
            HoldStatus::Active => Ok(hold),
            HoldStatus::Converted => Err(self.already_used(hold_id).into()),
            HoldStatus::Released => Err(Refusal::HoldReleased(hold_id).into()),
            HoldStatus::Expired => Err(Refusal::HoldExpired(hold_id).into()),
        }
    }

    fn already_used(&self, hold_id: HoldId) -> Refusal {
        let order_id = self.rows.order_by_hold.get(&hold_id).copied();
        Refusal::HoldAlreadyUsed { hold_id, order_id }
    }

    pub(super) fn release(&mut self, hold_id: HoldId) -> Result<Answer, Decision> {
        if self.current_hold(hold_id)?.status == HoldStatus::Converted {
            return Err(self.already_used(hold_id).into());
        }
        self.end_hold(hold_id, HoldStatus::Released, EventKind::HoldReleased);
        Ok(Answer::Hold(self.rows.hold(hold_id)?.clone()))
    }

    pub(super) fn extend(&mut self, hold_id: HoldId, ttl: Duration) -> Result<Answer, Decision> {
        let mut hold = self.active_hold(hold_id)?;
        let latest = hold.created_at.after(self.policy.hold_ttl_max);
        let end = hold.expires_at.max(self.now.after(ttl).min(latest));
        if end != hold.expires_at {
            self.record_hold(hold_id, (hold.status, hold.expires_at));
            hold.expires_at = end;
            self.rows.holds.insert(hold_id, hold.clone());
            self.emit_hold_event(EventKind::HoldExtended, &hold);
        }
        Ok(Answer::Hold(hold))
    }

    /// Adds received goods to the stock, or writes goods off if `delta` is negative.
    pub(super) fn adjust(
        &mut self,
        product_id: ProductId,
        delta: i64,
        version: Option<u64>,
    ) -> Result<Answer, Decision> {
        let more_due = self.has_unloaded_due(product_id);
        let current = self.current_version(product_id);
        let row = self.rows.products.get_mut(&product_id);
        let row = row.ok_or(Refusal::NoProduct(product_id))?;
        if let Some(asked) = version.filter(|asked| *asked != current) {
            return Err(Refusal::VersionMismatch { product_id, asked, version: current }.into());
        }
        let Some(stock) = row.product.stock.checked_add_signed(delta) else {
            if delta > 0 {
                return Err(Refusal::StockTooLarge(product_id).into());
            }
            if more_due {
                return Err(Decision::Deferred);
            }
            let (requested, available) = (delta.unsigned_abs(), row.product.stock);
            let short = vec![ShortLine { product_id, requested, available }];
            return Err(Refusal::Insufficient(short).into());
        };
        // The stores have signed 64-bit columns.
        let received = row.received.checked_add_signed(delta);
        let received = received.filter(|sum| i64::try_from(*sum).is_ok());
        let received = received.ok_or(Refusal::StockTooLarge(product_id))?;
        row.product.stock = stock;
        row.received = received;
        let mut product = row.product.clone();
        // The version that the commit will give the row.
        product.version = self.next_version(product_id);
        self.emit_event(EventKind::StockAdjusted, product_id, None, None, delta);
        Ok(Answer::Product(product))
    }
}
