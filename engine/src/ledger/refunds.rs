//! Gives back money and units of paid orders, and sells returned units again.

use crate::model::{
    EventKind, LineUnits, Money, Order, OrderId, OrderStatus, PaymentDisposition, ReportedRefund,
};

use super::batch_state::BatchState;
use super::{Answer, Decision, Refund, Refusal};

/// Why a part of owed money does not settle it.
const PART_OF_OWED: &str = "a part of the money that it owes was refunded, and the rest is owed";

/// What a refund moves.
struct Moved {
    units: Vec<LineUnits>,
    /// In minor units of the order's currency.
    money: i64,
}

impl BatchState<'_> {
    /// Refunds money, units or both of an order that was paid.
    pub(super) fn refund(
        &mut self,
        order_id: OrderId,
        refund: &Refund,
    ) -> Result<Answer, Decision> {
        let order = self.current_order(order_id)?;
        if let Some(reported) = &refund.reported {
            return self.reported_refund(&order, reported);
        }
        if refund.owed {
            return self.settle_owed(&order);
        }
        self.give_back(&order, refund)
    }

    /// Takes a refund over from a payment provider. That of a payment whose money must be
    /// refunded settles it; that of the payment that paid the order gives back what it
    /// paid for.
    fn reported_refund(
        &mut self,
        order: &Order,
        reported: &ReportedRefund,
    ) -> Result<Answer, Decision> {
        let paid_by = self.rows.order(order.id)?.paid_by.as_ref();
        let names = reported.payment.as_ref().zip(paid_by);
        let is_of_payer = names.map(|(this, payer)| this == payer);
        let is_paid = order.status.was_paid();
        let is_owed = order.payment_disposition == PaymentDisposition::NeedsRefund;
        if is_owed && !(is_paid && is_of_payer == Some(true)) {
            return match reported.is_full {
                Some(false) => Err(Refusal::RefundTooLarge(order.id, PART_OF_OWED.into()).into()),
                _ => self.settle_owed(order),
            };
        }
        if !is_paid || is_of_payer == Some(false) {
            return Err(Refusal::NotPaid(order.id).into());
        }
        let amount = reported
            .amount
            .filter(|_| reported.currency.is_none_or(|currency| currency == order.currency));
        let is_full = reported.is_full.unwrap_or(amount == Some(order.amount));
        if !is_full && amount.is_none() {
            let why = "it does not say how much in the order's currency".to_owned();
            return Err(Refusal::RefundTooLarge(order.id, why).into());
        }
        let refund = Refund { amount: amount.filter(|_| !is_full), ..Refund::default() };
        self.give_back(order, &refund)
    }

    /// Gives back money, units or both of an order that was paid.
    fn give_back(&mut self, order: &Order, refund: &Refund) -> Result<Answer, Decision> {
        let order_id = order.id;
        if !order.status.was_paid() {
            return Err(Refusal::NotPaid(order_id).into());
        }
        let moved = moved(order, refund)?;
        let refunded = minor(order, order.refunded_amount) + moved.money;
        for units in &moved.units {
            self.move_refunded(order, *units, refund.restock);
        }
        let Some(row) = self.order_mut(order_id) else {
            return Err(Refusal::NoOrder(order_id).into());
        };
        row.order.refunded_amount = Money::from_row(refunded, order.currency);
        row.order.status = status_after(&row.order);
        if moved.units.is_empty() {
            self.emit_order_event(EventKind::OrderRefunded, order_id);
        }
        self.answer_order(order_id)
    }

    /// Settles money that must be refunded and paid for nothing.
    fn settle_owed(&mut self, order: &Order) -> Result<Answer, Decision> {
        if order.payment_disposition != PaymentDisposition::NeedsRefund {
            let why = "it owes no money".to_owned();
            return Err(Refusal::RefundTooLarge(order.id, why).into());
        }
        self.set_order_status(order.id, order.status, PaymentDisposition::Refunded);
        self.emit_order_event(EventKind::OrderRefunded, order.id);
        self.answer_order(order.id)
    }

    /// Moves units of one line from sold to stock, or to returned.
    fn move_refunded(
        &mut self,
        order: &Order,
        LineUnits { line, quantity }: LineUnits,
        restock: bool,
    ) {
        let Some(row) = self.order_mut(order.id) else { return };
        let Some(line) = row.order.lines.iter_mut().find(|it| it.line == line) else { return };
        line.refunded += quantity;
        line.returned += if restock { 0 } else { quantity };
        let (product, hold) = (line.product_id, line.hold_id);
        if let Some(row) = self.rows.products.get_mut(&product) {
            row.product.sold -= u64::from(quantity);
            let to = if restock { &mut row.product.in_stock } else { &mut row.product.returned };
            *to += u64::from(quantity);
            row.product.set_in_stock(row.product.in_stock);
        }
        // Who adds up the events sees the units come back before they are sold again.
        let kinds = [Some(EventKind::OrderRefunded), restock.then_some(EventKind::OrderRestocked)];
        for kind in kinds.into_iter().flatten() {
            self.emit_event(kind, product, Some(hold), Some(order.id), quantity.into());
        }
    }

    /// Moves returned units of an order to stock: those named, or all.
    pub(super) fn restock(
        &mut self,
        order_id: OrderId,
        lines: &[LineUnits],
    ) -> Result<Answer, Decision> {
        let order = self.current_order(order_id)?;
        let units = match lines {
            [] => all_units(&order, |line| line.returned),
            some => some.to_vec(),
        };
        let returned = |wanted: &LineUnits| {
            let line = order.lines.iter().find(|line| line.line == wanted.line);
            line.is_some_and(|line| line.returned >= wanted.quantity)
        };
        if units.is_empty() || !units.iter().all(returned) {
            return Err(Refusal::NothingReturned(order_id).into());
        }
        for LineUnits { line, quantity } in units {
            let Some(row) = self.order_mut(order_id) else { continue };
            let Some(line) = row.order.lines.iter_mut().find(|it| it.line == line) else {
                continue;
            };
            line.returned -= quantity;
            let (product, hold) = (line.product_id, line.hold_id);
            if let Some(row) = self.rows.products.get_mut(&product) {
                row.product.returned -= u64::from(quantity);
                row.product.set_in_stock(row.product.in_stock + u64::from(quantity));
            }
            let kind = EventKind::OrderRestocked;
            self.emit_event(kind, product, Some(hold), Some(order_id), quantity.into());
        }
        self.answer_order(order_id)
    }
}

/// Returns what a refund moves, if so much is left.
fn moved(order: &Order, refund: &Refund) -> Result<Moved, Refusal> {
    let too_large = |why: String| Refusal::RefundTooLarge(order.id, why);
    let left = minor(order, order.amount) - minor(order, order.refunded_amount);
    let units = match (refund.lines.as_slice(), refund.amount) {
        ([], None) => all_units(order, |line| line.quantity - line.refunded),
        (lines, _) => lines.to_vec(),
    };
    let mut price = 0_i64;
    for LineUnits { line: number, quantity } in &units {
        let line = order.lines.iter().find(|line| line.line == *number);
        let Some(line) = line else { return Err(too_large(format!("it has no line {number}"))) };
        let units_left = line.quantity - line.refunded;
        if units_left < *quantity {
            return Err(too_large(format!(
                "line {number} has {units_left} units left to refund, {quantity} requested"
            )));
        }
        let of_line = minor(order, line.price).saturating_mul((*quantity).into());
        price = price.saturating_add(of_line);
    }
    let money = match (refund.amount, refund.lines.is_empty()) {
        (Some(amount), _) => {
            let currency = order.currency;
            amount.to_minor(currency).map_err(|_| Refusal::AmountDecimals(currency))?
        }
        // All that is left; of lines at most so much, since a coupon may have lowered
        // the order's amount below their price.
        (None, true) => left,
        (None, false) => price.min(left),
    };
    if money > left {
        let (left, asked) =
            (Money::from_row(left, order.currency), Money::from_row(money, order.currency));
        return Err(too_large(format!(
            "{left} {} is left to refund, {asked} requested",
            order.currency
        )));
    }
    if money == 0 && units.is_empty() {
        let why = match refund.amount {
            Some(_) => "an amount of 0 without lines gives nothing back: name lines, or no amount",
            None => "nothing is left to refund",
        };
        return Err(too_large(why.to_owned()));
    }
    Ok(Moved { units, money })
}

fn all_units(order: &Order, of: impl Fn(&crate::model::OrderLine) -> u32) -> Vec<LineUnits> {
    let lines = order.lines.iter().map(|line| LineUnits::new(line.line, of(line)));
    lines.filter(|units| units.quantity > 0).collect()
}

/// An amount of the order in minor units of its currency.
fn minor(order: &Order, amount: Money) -> i64 {
    amount.to_minor(order.currency).unwrap_or(i64::MAX)
}

/// Returns the status of a paid order after a refund: refunded when no money is left,
/// or no unit of a free order.
fn status_after(order: &Order) -> OrderStatus {
    let is_free = minor(order, order.amount) == 0;
    let has_money = order.refunded_amount != order.amount;
    let has_units = order.lines.iter().any(|line| line.refunded < line.quantity);
    match (is_free, has_money, has_units) {
        (true, _, true) | (false, true, _) => OrderStatus::PartiallyRefunded,
        _ => OrderStatus::Refunded,
    }
}
