//! Turns holds into orders; extends and cancels orders that are not paid.

use smallvec::SmallVec;

use crate::model::{
    EventKind, HoldId, HoldStatus, Money, Order, OrderId, OrderLine, OrderLines, OrderStatus,
    OrderedHold, PaymentDisposition, PaymentToken, Product, ProductId, ProductRef, Token,
};

use super::batch_state::{BatchState, is_paid_by};
use super::{Answer, Decision, HoldRow, OrderRow, OrderTerms, Refusal};

impl BatchState<'_> {
    /// Turns active holds into one order, all or none, and applies the payments that
    /// arrived before it.
    pub(super) fn order(
        &mut self,
        order_id: OrderId,
        secret: Token,
        holds: &[OrderedHold],
        terms: &OrderTerms,
    ) -> Result<Answer, Decision> {
        let known = holds.iter().filter_map(|used| self.rows.holds.get(&used.hold_id));
        self.rows.check_read(known.map(|hold| hold.product_id))?;
        let holds = self.usable_holds(holds)?;
        let taken = terms.reference.as_ref().and_then(|it| self.rows.order_by_reference.get(it));
        if let Some(other) = taken {
            return Err(Refusal::ReferenceTaken(*other).into());
        }
        let row = self.new_order(order_id, secret, &holds, terms)?;
        for hold in &holds {
            self.convert(hold);
            self.rows.order_by_hold.insert(hold.id, order_id);
        }
        if let Some(due_at) = row.order.pay_until {
            self.lower_next_due(row.order.home(), due_at);
        }
        if let Some(reference) = terms.reference.clone() {
            self.rows.order_by_reference.insert(reference, order_id);
        }
        self.record_order(order_id, None);
        self.emit_order_events(EventKind::OrderCreated, &row.order);
        self.index_customer(&row.order);
        self.rows.orders.insert(order_id, row);
        self.apply_early_payments(order_id);
        let mut made = self.order_answer(order_id)?;
        made.payment_token = Some(PaymentToken { order_id, secret });
        Ok(Answer::Order(Box::new(made)))
    }

    /// Returns the holds if all are active and of the products that the caller expects.
    /// Due ones have expired after it.
    fn usable_holds(&mut self, holds: &[OrderedHold]) -> Result<SmallVec<[HoldRow; 1]>, Decision> {
        let mut usable = SmallVec::with_capacity(holds.len());
        let mut refusals = Vec::new();
        for used in holds {
            match self.usable_hold(used) {
                Ok(hold) => usable.push(hold),
                Err(Decision::Done { answer: Err(refusal), .. }) => refusals.push(refusal),
                Err(other) => return Err(other),
            }
        }
        if holds.len() > 1 && !refusals.is_empty() {
            return Err(Refusal::UnusableHolds(refusals).into());
        }
        refusals.pop().map_or(Ok(usable), |refusal| Err(refusal.into()))
    }

    fn usable_hold(&mut self, used: &OrderedHold) -> Result<HoldRow, Decision> {
        let OrderedHold { hold_id, ref product, .. } = *used;
        let of = self.rows.hold(hold_id)?.product_id;
        match product {
            Some(ProductRef::Id(asked)) if *asked != of => {
                Err(Refusal::ProductMismatch { hold_id, asked: *asked }.into())
            }
            Some(ProductRef::Sku(asked)) if !self.has_sku(of, asked) => {
                Err(Refusal::SkuMismatch { hold_id, asked: asked.clone() }.into())
            }
            _ => self.active_hold(hold_id),
        }
    }

    fn has_sku(&self, id: ProductId, sku: &str) -> bool {
        let product = self.rows.products.get(&id);
        product.is_some_and(|row| row.product.sku.as_deref() == Some(sku))
    }

    fn new_order(
        &self,
        id: OrderId,
        secret: Token,
        holds: &[HoldRow],
        terms: &OrderTerms,
    ) -> Result<OrderRow, Refusal> {
        let mut lines = SmallVec::<[OrderLine; 1]>::with_capacity(holds.len());
        let mut currency = terms.currency;
        let mut sum = 0_i64;
        for (number, hold) in (1..).zip(holds) {
            let product = self.rows.products.get(&hold.product_id).map(|row| &row.product);
            let product = product.ok_or(Refusal::NoProduct(hold.product_id))?;
            let expected = *currency.get_or_insert(product.currency);
            if product.currency != expected {
                return Err(Refusal::MixedCurrencies(expected));
            }
            let price = product.price.to_minor(expected).unwrap_or(i64::MAX);
            let of_line = price.checked_mul(hold.quantity.into());
            sum = of_line.and_then(|it| sum.checked_add(it)).ok_or(Refusal::AmountTooLarge)?;
            lines.push(OrderLine {
                line: number,
                hold_id: hold.id,
                product_id: hold.product_id,
                sku: product.sku.clone(),
                quantity: hold.quantity,
                price: product.price,
                refunded: 0,
                returned: 0,
            });
        }
        let mut lines = lines.into_iter();
        let (Some(first), Some(currency)) = (lines.next(), currency) else {
            return Err(Refusal::NoHold(HoldId(0)));
        };
        if terms.amount.is_some_and(|amount| amount.to_minor(currency).is_err()) {
            return Err(Refusal::AmountDecimals(currency));
        }
        let ttl = terms.payment_ttl.or(self.policy.payment_ttl);
        let order = Order {
            id,
            lines: OrderLines::new(first, lines.collect()),
            status: OrderStatus::PendingPayment,
            payment_token: None,
            payment_disposition: PaymentDisposition::None,
            amount: terms.amount.unwrap_or_else(|| Money::from_row(sum, currency)),
            currency,
            refunded_amount: Money::ZERO,
            reference: terms.reference.clone(),
            customer: holds.iter().find_map(|hold| self.rows.hold_customers.get(&hold.id)).cloned(),
            metadata: terms.metadata.clone(),
            created_by: self.actor(),
            pay_until: ttl.map(|ttl| self.now.after(ttl)),
            created_at: self.now,
            updated_at: self.now,
        };
        let (is_closed, has_failed_attempt) = (false, false);
        Ok(OrderRow {
            order,
            secret,
            version: 1,
            is_closed,
            has_failed_attempt,
            paid_by: None,
            other_payments: Vec::new(),
            paid_at: None,
        })
    }

    /// Moves the units of an active hold to pending ones.
    fn convert(&mut self, hold: &HoldRow) {
        self.record_hold(hold.id, (hold.status, hold.expires_at));
        if let Some(row) = self.rows.holds.get_mut(&hold.id) {
            row.status = HoldStatus::Converted;
        }
        if let Some(row) = self.rows.products.get_mut(&hold.product_id) {
            row.product.held -= u64::from(hold.quantity);
            row.product.pending += u64::from(hold.quantity);
        }
    }

    /// Returns an order with all its products as it is now; cancels it first if it is
    /// due.
    pub(super) fn current_order(&mut self, order_id: OrderId) -> Result<Order, Decision> {
        self.rows.check_read(self.rows.order(order_id)?.order.products())?;
        self.cancel_if_due(order_id);
        Ok(self.rows.order(order_id)?.order.clone())
    }

    /// Lets a pending order be paid until `ttl` from now, within its longest life.
    pub(super) fn extend_order(
        &mut self,
        order_id: OrderId,
        ttl: Option<std::time::Duration>,
    ) -> Result<Answer, Decision> {
        let order = self.pending_order(order_id)?;
        let latest = order.created_at.after(self.policy.payment_ttl_max);
        let ttl = ttl.or(self.policy.payment_ttl).unwrap_or(self.policy.payment_ttl_max);
        let wanted = self.now.after(ttl).min(latest);
        // One that waits for ever has no end to move.
        let end = order.pay_until.map(|end| end.max(wanted));
        if end != order.pay_until {
            if let Some(row) = self.order_mut(order_id) {
                row.order.pay_until = end;
            }
            self.emit_order_event(EventKind::OrderExtended, order_id);
        }
        self.answer_order(order_id)
    }

    fn pending_order(&mut self, order_id: OrderId) -> Result<Order, Decision> {
        let order = self.current_order(order_id)?;
        match order.status {
            OrderStatus::PendingPayment => Ok(order),
            OrderStatus::Cancelled => Err(Refusal::OrderCancelled(order_id).into()),
            _ => Err(Refusal::AlreadyPaid(order_id).into()),
        }
    }

    /// Cancels a pending order for good.
    pub(super) fn cancel_order(&mut self, order_id: OrderId) -> Result<Answer, Decision> {
        match self.pending_order(order_id) {
            Ok(_) => {
                self.cancel_pending(order_id);
                if let Some(row) = self.order_mut(order_id) {
                    row.is_closed = true;
                }
            }
            Err(Decision::Done { answer: Err(Refusal::OrderCancelled(_)), .. }) => {}
            Err(refused) => return Err(refused),
        }
        self.answer_order(order_id)
    }

    /// Ties a provider's name of a payment to the order.
    pub(super) fn set_payment_reference(
        &mut self,
        order_id: OrderId,
        reference: &str,
    ) -> Result<Answer, Decision> {
        self.current_order(order_id)?;
        match self.rows.order_by_payment.get(reference) {
            Some(other) if *other != order_id => {
                return Err(Refusal::ReferenceTaken(*other).into());
            }
            Some(_) => {}
            None => {
                self.apply_payments_of(order_id, reference)?;
                self.record_payment_reference(reference.to_owned(), order_id);
            }
        }
        self.answer_order(order_id)
    }

    /// Answers with an order, with the SKUs of its products as they are now.
    pub(super) fn answer_order(&self, order_id: OrderId) -> Result<Answer, Decision> {
        Ok(Answer::Order(Box::new(self.order_answer(order_id)?)))
    }

    /// Returns an order with its products' SKUs.
    fn order_answer(&self, order_id: OrderId) -> Result<Order, Refusal> {
        let mut order = self.rows.order(order_id)?.order.clone();
        for line in order.lines.iter_mut() {
            let product = self.rows.products.get(&line.product_id);
            line.sku = product.and_then(|row| row.product.sku.clone());
        }
        Ok(order)
    }

    /// Cancels an order that is due, unless the rows of its products were not read.
    /// Returns whether it did.
    pub(super) fn cancel_if_due(&mut self, order_id: OrderId) -> bool {
        let Some(row) = self.rows.orders.get(&order_id) else { return false };
        let is_due = row.order.is_due(self.now);
        if !is_due || self.rows.check_read(row.order.products()).is_err() {
            return false;
        }
        self.unattributed(|batch| batch.cancel_pending(order_id));
        true
    }

    /// Cancels a pending order and returns its stock. No other code returns the stock
    /// of a pending order.
    pub(super) fn cancel_pending(&mut self, order_id: OrderId) {
        let Some(order) = self.take_pending(order_id, |product| &mut product.in_stock) else {
            return;
        };
        // Money of a wrong amount has come, and pays for nothing now.
        let is_owed = order.payment_disposition == PaymentDisposition::AmountMismatch;
        let disposition =
            if is_owed { PaymentDisposition::NeedsRefund } else { order.payment_disposition };
        self.set_order_status(order_id, OrderStatus::Cancelled, disposition);
        self.emit_order_events(EventKind::OrderCancelled, &order);
        if is_owed {
            self.emit_order_event(EventKind::PaymentNeedsRefund, order_id);
        }
    }

    pub(super) fn pay_pending(&mut self, order_id: OrderId) {
        let Some(order) = self.take_pending(order_id, |product| &mut product.sold) else { return };
        self.set_order_status(order_id, OrderStatus::Paid, PaymentDisposition::None);
        self.emit_order_events(EventKind::OrderPaid, &order);
    }

    /// Moves the pending units of an order to another counter of their products, and
    /// returns the order as it was.
    fn take_pending(
        &mut self,
        order_id: OrderId,
        to: fn(&mut Product) -> &mut u64,
    ) -> Option<Order> {
        let order = self.rows.orders.get(&order_id)?.order.clone();
        for line in order.lines.iter() {
            if let Some(row) = self.rows.products.get_mut(&line.product_id) {
                row.product.pending -= u64::from(line.quantity);
                *to(&mut row.product) += u64::from(line.quantity);
                row.product.set_in_stock(row.product.in_stock);
            }
        }
        Some(order)
    }

    pub(super) fn set_order_status(
        &mut self,
        order_id: OrderId,
        status: OrderStatus,
        disposition: PaymentDisposition,
    ) {
        let now = self.now;
        if let Some(row) = self.order_mut(order_id) {
            if is_paid_by(row.order.status, status) {
                row.paid_at = Some(now);
            }
            row.order.status = status;
            row.order.payment_disposition = disposition;
        }
    }

    /// Emits an event of each line, since each is of another product.
    pub(super) fn emit_order_events(&mut self, kind: EventKind, order: &Order) {
        for line in order.lines.iter() {
            let (hold, order) = (Some(line.hold_id), Some(order.id));
            self.emit_event(kind, line.product_id, hold, order, line.quantity.into());
        }
    }

    /// Emits an event that is about the whole order and moves no unit of it, with its
    /// units for the payments' events.
    pub(super) fn emit_order_event(&mut self, kind: EventKind, order_id: OrderId) {
        let Some(row) = self.rows.orders.get(&order_id) else { return };
        let units = row.order.lines.iter().map(|line| i64::from(line.quantity)).sum();
        let quantity = match kind {
            EventKind::OrderRefunded | EventKind::OrderExtended => 0,
            _ => units,
        };
        let line = row.order.lines.first();
        let (product, hold) = (line.product_id, Some(line.hold_id));
        self.emit_event(kind, product, hold, Some(order_id), quantity);
    }

    /// Sums the units of the order's lines by product.
    pub(super) fn units_by_product(order: &Order) -> SmallVec<[(ProductId, u64); 1]> {
        let mut units = SmallVec::<[(ProductId, u64); 1]>::new();
        for line in order.lines.iter() {
            match units.iter_mut().find(|(product, _)| *product == line.product_id) {
                Some((_, sum)) => *sum += u64::from(line.quantity),
                None => units.push((line.product_id, line.quantity.into())),
            }
        }
        units
    }
}
