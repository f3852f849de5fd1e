//! Changes the quantity of an active hold.

use std::sync::Arc;

use super::batch_state::BatchState;
use super::{Answer, Decision, Refusal};
use crate::model::{EventKind, HoldId, ProductId, ShortLine};

impl BatchState<'_> {
    /// Gives an active hold this quantity, with units from stock or back to it. Its
    /// end stays.
    pub(super) fn change_quantity(
        &mut self,
        hold_id: HoldId,
        quantity: u32,
    ) -> Result<Answer, Decision> {
        let mut hold = self.active_hold(hold_id)?;
        let before = hold.quantity;
        if quantity == before {
            return Ok(self.answer_hold(hold));
        }
        if quantity > before {
            self.check_growth(hold_id, hold.product_id, quantity - before)?;
        }
        if let Some(row) = self.rows.products.get_mut(&hold.product_id) {
            let in_stock = row.product.in_stock + u64::from(before) - u64::from(quantity);
            row.product.set_in_stock(in_stock);
            row.product.held = row.product.held + u64::from(quantity) - u64::from(before);
        }
        self.record_quantity(hold_id, before);
        hold.quantity = quantity;
        self.rows.holds.insert(hold_id, hold);
        let (product_id, moved) = (hold.product_id, i64::from(quantity) - i64::from(before));
        self.emit_event(EventKind::HoldChanged, product_id, Some(hold_id), None, moved);
        Ok(self.answer_hold(hold))
    }

    /// Refuses further units of a hold that its customer may not have, or that are
    /// not in stock.
    fn check_growth(
        &self,
        hold_id: HoldId,
        product_id: ProductId,
        added: u32,
    ) -> Result<(), Decision> {
        let row = self.rows.products.get(&product_id).ok_or(Refusal::NoProduct(product_id))?;
        self.check_on_sale(&row.product)?;
        if let Some(customer) = self.customer_of(hold_id, product_id) {
            self.check_customer_units(&customer, product_id, added)?;
        }
        let available = row.product.stock;
        if available >= u64::from(added) {
            return Ok(());
        }
        self.check_nothing_due(product_id)?;
        let short = ShortLine {
            product_id,
            sku: self.sku_of(product_id),
            requested: added.into(),
            available,
        };
        Err(Refusal::Insufficient(vec![short]).into())
    }

    /// Returns the customer of a hold, whose holds are loaded if they are limited.
    fn customer_of(&self, hold_id: HoldId, product_id: ProductId) -> Option<Arc<str>> {
        let mut customers = self.rows.customers.get(&product_id)?.iter();
        let (customer, _) = customers.find(|(_, holds)| holds.contains(&hold_id))?;
        Some(Arc::clone(customer))
    }
}
