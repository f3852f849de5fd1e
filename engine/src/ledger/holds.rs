//! Creates, releases, extends and expires holds.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    CartId, EventKind, Hold, HoldId, HoldStatus, Metadata, OrderStatus, ProductId, ShortLine,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, HoldRow, NewHold, OrderRow, Refusal};

/// What a hold's request says beyond its product and its units.
#[derive(Debug, Clone, Copy)]
pub(super) struct HoldTerms<'a> {
    pub ttl: Duration,
    pub customer: Option<&'a Arc<str>>,
    pub metadata: Option<&'a Metadata>,
    pub cart_id: Option<CartId>,
}

impl<'a> HoldTerms<'a> {
    /// The terms of a hold that is in no cart, until one creates it.
    pub fn new(
        ttl: Duration,
        customer: Option<&'a Arc<str>>,
        metadata: Option<&'a Metadata>,
    ) -> Self {
        Self { ttl, customer, metadata, cart_id: None }
    }
}

impl BatchState<'_> {
    /// Refuses holds that cannot be created together.
    pub(super) fn check_lines(
        &self,
        lines: &[NewHold],
        customer: Option<&Arc<str>>,
    ) -> Result<(), Decision> {
        let mut short = Vec::new();
        // More units may suit a line that takes what is left, too.
        let mut too_few = Vec::new();
        for line in lines {
            let row = self.rows.products.get(&line.product_id);
            let row = row.ok_or_else(|| line.no_product())?;
            if line.sku.is_some() && line.sku.as_deref() != row.product.sku.as_deref() {
                return Err(Decision::StaleName);
            }
            self.check_on_sale(&row.product)?;
            if row.product.stock < u64::from(line.quantity) {
                too_few.push(line.product_id);
            }
            if row.product.stock < u64::from(line.least) {
                short.push(ShortLine {
                    product_id: line.product_id,
                    sku: row.product.sku.clone(),
                    requested: line.quantity.into(),
                    available: row.product.stock,
                });
            }
        }
        if let Some(customer) = customer {
            self.check_customer_limit(lines, customer)?;
        }
        too_few.into_iter().try_for_each(|product| self.check_nothing_due(product))?;
        if !short.is_empty() {
            return Err(Refusal::Insufficient(short).into());
        }
        Ok(())
    }

    /// Refuses the first line that would exceed the customer limit.
    fn check_customer_limit(&self, lines: &[NewHold], customer: &str) -> Result<(), Refusal> {
        let check =
            |line: &NewHold| self.check_customer_units(customer, line.product_id, line.quantity);
        lines.iter().try_for_each(check)
    }

    /// Refuses units of a product beyond the customer limit.
    pub(super) fn check_customer_units(
        &self,
        customer: &str,
        product_id: ProductId,
        requested: u32,
    ) -> Result<(), Refusal> {
        let Some(most) = self.policy.max_per_customer else { return Ok(()) };
        let held =
            self.customer_units(customer, product_id) + self.ordered_units(customer, product_id);
        if held + u64::from(requested) > u64::from(most) {
            return Err(Refusal::CustomerLimit { product_id, held, requested, most });
        }
        Ok(())
    }

    /// Sums the units of the customer's active holds. An expired hold does not
    /// count, reclaimed or not.
    fn customer_units(&self, customer: &str, product_id: ProductId) -> u64 {
        let ids = self.rows.customers.get(&product_id).and_then(|of| of.get(customer));
        let holds = ids.into_iter().flatten().filter_map(|id| self.rows.holds.get(id));
        let is_active =
            |hold: &&HoldRow| hold.status == HoldStatus::Active && hold.expires_at > self.now;
        holds.filter(is_active).map(|hold| u64::from(hold.quantity)).sum()
    }

    /// Sums the units of the customer's orders that count: of those that wait for their
    /// payment, and of those paid within the window, less what was refunded.
    fn ordered_units(&self, customer: &str, product_id: ProductId) -> u64 {
        let Some(window) = self.policy.customer_window else { return 0 };
        let since = self.now.before(window);
        let counts = |row: &&OrderRow| match row.order.status {
            OrderStatus::PendingPayment => !row.order.is_due(self.now),
            _ => row.paid_at.is_some_and(|at| at > since),
        };
        let orders = self.orders_of_customer(customer, product_id).filter(counts);
        orders.map(|row| row.units_of(product_id)).sum()
    }

    /// Creates a hold that [`BatchState::check_lines`] did not refuse: of what is
    /// left, if that is fewer units than asked for.
    pub(super) fn create_hold(&mut self, line: &NewHold, terms: HoldTerms<'_>) -> Hold {
        let HoldTerms { ttl, customer, metadata, cart_id } = terms;
        let mut hold = line.to_row(self.now, ttl, cart_id);
        let mut sku = None;
        if let Some(row) = self.rows.products.get_mut(&line.product_id) {
            sku.clone_from(&row.product.sku);
            let left = u32::try_from(row.product.stock).unwrap_or(u32::MAX);
            hold.quantity = hold.quantity.min(left);
            row.product.set_in_stock(row.product.in_stock - u64::from(hold.quantity));
            row.product.held += u64::from(hold.quantity);
        }
        self.lower_next_due(hold.product_id, hold.expires_at);
        self.add_hold(hold);
        if let Some(customer) = customer {
            self.record_customer(&hold, customer);
        }
        if let Some(metadata) = metadata {
            self.record_metadata(hold.id, metadata.clone());
        }
        self.emit_hold_event(EventKind::HoldCreated, &hold);
        let customer = customer.map(|name| String::from(&**name));
        Hold { sku, customer, metadata: metadata.cloned(), ..hold.to_hold() }
    }

    pub(super) fn emit_hold_event(&mut self, kind: EventKind, hold: &HoldRow) {
        self.emit_event(kind, hold.product_id, Some(hold.id), None, hold.quantity.into());
    }

    /// Ends an active hold with status `to` and returns its stock; reports whether
    /// it was active. No other code returns the stock of a hold.
    pub(super) fn end_hold(&mut self, hold_id: HoldId, to: HoldStatus, kind: EventKind) -> bool {
        let Some(hold) = self.rows.holds.get_mut(&hold_id) else { return false };
        if hold.status != HoldStatus::Active {
            return false;
        }
        let Some(row) = self.rows.products.get_mut(&hold.product_id) else { return false };
        row.product.held -= u64::from(hold.quantity);
        row.product.set_in_stock(row.product.in_stock + u64::from(hold.quantity));
        let before = (hold.status, hold.expires_at);
        hold.status = to;
        let hold = *hold;
        self.record_hold(hold_id, before);
        self.emit_hold_event(kind, &hold);
        true
    }

    /// Expires a hold that is due; returns whether it did.
    pub(super) fn expire_if_due(&mut self, hold_id: HoldId) -> bool {
        let due = self.rows.holds.get(&hold_id).is_some_and(|hold| hold.expires_at <= self.now);
        due && self.unattributed(|batch| {
            batch.end_hold(hold_id, HoldStatus::Expired, EventKind::HoldExpired)
        })
    }

    /// Returns the hold as it is now; expires it first if it is due.
    fn current_hold(&mut self, hold_id: HoldId) -> Result<HoldRow, Decision> {
        let hold = self.rows.hold(hold_id)?;
        self.rows.check_read(std::iter::once(hold.product_id))?;
        self.expire_if_due(hold_id);
        Ok(*self.rows.hold(hold_id)?)
    }

    pub(super) fn active_hold(&mut self, hold_id: HoldId) -> Result<HoldRow, Decision> {
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
        Ok(self.answer_hold(*self.rows.hold(hold_id)?))
    }

    /// Answers with a hold that was made before: with the SKU of its product, and without
    /// its token.
    pub(super) fn answer_hold(&self, hold: HoldRow) -> Answer {
        let sku = self.sku_of(hold.product_id);
        Answer::Hold(Box::new(Hold { sku, token: None, ..hold.to_hold() }))
    }

    pub(super) fn sku_of(&self, id: ProductId) -> Option<String> {
        self.rows.products.get(&id)?.product.sku.clone()
    }

    pub(super) fn extend(&mut self, hold_id: HoldId, ttl: Duration) -> Result<Answer, Decision> {
        let mut hold = self.active_hold(hold_id)?;
        let latest = hold.created_at.after(self.policy.hold_ttl_max);
        let end = hold.expires_at.max(self.now.after(ttl).min(latest));
        if end != hold.expires_at {
            self.record_hold(hold_id, (hold.status, hold.expires_at));
            hold.expires_at = end;
            self.rows.holds.insert(hold_id, hold);
            self.emit_hold_event(EventKind::HoldExtended, &hold);
        }
        Ok(self.answer_hold(hold))
    }
}
