//! Refunds and restocks in the reference model.

use super::{OrderState, ReferenceModel};
use crate::ledger::{CommandResult, Refund, Refusal};
use crate::model::{
    EventKind, LineUnits, Money, Order, OrderId, OrderLine, OrderStatus, PaymentDisposition,
    ReportedRefund,
};

impl ReferenceModel {
    /// Returns what is asked for by a refund that a provider reports.
    fn asked_by_report(&self, id: OrderId, report: &ReportedRefund) -> Result<Refund, Refusal> {
        let OrderState { order, paid_by, .. } = &self.orders[&id];
        let is_unpaid =
            matches!(order.status, OrderStatus::PendingPayment | OrderStatus::Cancelled);
        let is_other = report.payment.is_some() && paid_by.is_some() && report.payment != *paid_by;
        let is_payer = report.payment.is_some() && report.payment == *paid_by;
        if order.payment_disposition == PaymentDisposition::NeedsRefund && (is_unpaid || !is_payer)
        {
            return match report.is_full {
                Some(false) => Err(Refusal::RefundTooLarge(id, String::new())),
                _ => Ok(Refund { owed: true, ..Refund::default() }),
            };
        }
        if is_unpaid || is_other {
            return Err(Refusal::NotPaid(id));
        }
        match (report.is_full, report.amount) {
            (Some(true), _) => Ok(Refund::default()),
            (None, Some(amount)) if amount == order.amount => Ok(Refund::default()),
            (_, Some(amount)) => Ok(Refund { amount: Some(amount), ..Refund::default() }),
            (_, None) => Err(Refusal::RefundTooLarge(id, String::new())),
        }
    }

    pub(super) fn refund(&mut self, id: OrderId, refund: &Refund) -> CommandResult {
        let order = self.settled(id)?;
        let asked = refund.reported.as_ref().map(|report| self.asked_by_report(id, report));
        let asked = asked.transpose()?;
        let refund = asked.as_ref().unwrap_or(refund);
        // The words of the refusal are not the model's.
        let too_large = Err(Refusal::RefundTooLarge(id, String::new()));
        if refund.owed {
            if order.payment_disposition != PaymentDisposition::NeedsRefund {
                return too_large;
            }
            self.set_order(id, order.status, PaymentDisposition::Refunded);
            self.emit_alone(EventKind::OrderRefunded, id);
            return self.answer(id);
        }
        if matches!(order.status, OrderStatus::PendingPayment | OrderStatus::Cancelled) {
            return Err(Refusal::NotPaid(id));
        }
        let minor = |money: Money| money.to_minor(order.currency);
        let unrefunded = |line: &OrderLine| line.quantity - line.refunded;
        let is_whole = refund.lines.is_empty() && refund.amount.is_none();
        let units = if is_whole { units_of(&order, unrefunded) } else { refund.lines.clone() };
        let lines: Vec<_> =
            units.iter().map(|it| (line_of(&order, it.line), it.quantity)).collect();
        if lines.iter().any(|(line, units)| line.is_none_or(|line| unrefunded(line) < *units)) {
            return too_large;
        }
        let [amount, refunded] =
            [order.amount, order.refunded_amount].map(|it| minor(it).expect("fits"));
        let price =
            lines.iter().filter_map(|(line, units)| Some(((*line)?.price, i64::from(*units))));
        let price: i64 = price.map(|(price, units)| minor(price).expect("fits") * units).sum();
        let left = amount - refunded;
        let money = match refund.amount {
            Some(asked) => minor(asked).map_err(|_| Refusal::AmountDecimals(order.currency))?,
            None if is_whole => left,
            None => price.min(left),
        };
        if money > left || (money == 0 && units.is_empty()) {
            return too_large;
        }
        let state = self.orders.get_mut(&id).expect("it is there");
        let refunded = refunded + money;
        state.order.refunded_amount =
            Money::from_minor_of(refunded, order.currency).expect("not negative");
        for line in state.order.lines.iter_mut() {
            for moved in units.iter().filter(|moved| moved.line == line.line) {
                line.refunded += moved.quantity;
                line.returned += if refund.restock { 0 } else { moved.quantity };
            }
        }
        let has_units = state.order.lines.iter().any(|line| line.refunded < line.quantity);
        let is_over = if amount == 0 { !has_units } else { refunded == amount };
        state.order.status =
            if is_over { OrderStatus::Refunded } else { OrderStatus::PartiallyRefunded };
        for moved in &units {
            let line = line_of(&order, moved.line).expect("it is there");
            self.emit_line(EventKind::OrderRefunded, id, line, moved.quantity);
            if refund.restock {
                self.add_stock(line.product_id, moved.quantity.into());
                self.emit_line(EventKind::OrderRestocked, id, line, moved.quantity);
            }
        }
        if units.is_empty() {
            self.emit_alone(EventKind::OrderRefunded, id);
        }
        self.answer(id)
    }

    pub(super) fn restock(&mut self, id: OrderId, lines: &[LineUnits]) -> CommandResult {
        let order = self.settled(id)?;
        let units =
            if lines.is_empty() { units_of(&order, |line| line.returned) } else { lines.to_vec() };
        let is_short = |it: &LineUnits| {
            line_of(&order, it.line).is_none_or(|line| line.returned < it.quantity)
        };
        if units.is_empty() || units.iter().any(is_short) {
            return Err(Refusal::NothingReturned(id));
        }
        for moved in units {
            let line = line_of(&order, moved.line).expect("it is there");
            let state = self.orders.get_mut(&id).expect("it is there");
            let mut lines = state.order.lines.iter_mut();
            if let Some(line) = lines.find(|line| line.line == moved.line) {
                line.returned -= moved.quantity;
            }
            drop(lines);
            self.add_stock(line.product_id, moved.quantity.into());
            self.emit_line(EventKind::OrderRestocked, id, line, moved.quantity);
        }
        self.answer(id)
    }
}

fn line_of(order: &Order, number: u32) -> Option<&OrderLine> {
    order.lines.iter().find(|line| line.line == number)
}

fn units_of(order: &Order, of: impl Fn(&OrderLine) -> u32) -> Vec<LineUnits> {
    let lines = order.lines.iter().map(|line| LineUnits { line: line.line, quantity: of(line) });
    lines.filter(|units| units.quantity > 0).collect()
}
