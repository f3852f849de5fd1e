//! Dispatches a command to its rule, after the checks that all rules share: the
//! hold token and the idempotency key.

use super::answers::{Erasable, OfCustomer};
use super::batch_state::BatchState;
use super::commands::Attributed;
use super::holds::HoldTerms;
use super::{Answer, Command, Decision, IdempotencyKey, KeyRow, OrderTerms, Refusal};

impl BatchState<'_> {
    pub(super) fn decide(&mut self, attributed: Attributed<'_>) -> Decision {
        let Attributed { command, actor } = attributed;
        if let Err(refusal) = self.check_token(command) {
            return refusal.into();
        }
        self.attribute_to(actor, command.reason());
        let mut decision = self.dispatch(command);
        self.attribute_to(None, None);
        if let Decision::Done { answer: Ok(answer), replayed: true } = &mut decision {
            // It is kept without them.
            answer.set_erasable(|of| self.erasable_in(command, of));
        }
        decision
    }

    /// Returns the customer and the metadata of a hold or order in the answer to a
    /// command that is repeated: what the command itself says, else the rows.
    fn erasable_in(&self, command: &Command, of: OfCustomer<'_>) -> Erasable {
        let customer_of = |id| self.rows.hold_customers.get(&id).cloned();
        let told = command.metadata().cloned();
        match of {
            OfCustomer::Hold(id) => {
                let named = command.customer().map(|name| String::from(&**name));
                let customer = named.or_else(|| customer_of(id));
                (customer, told.or_else(|| self.rows.hold_metadata.get(&id).cloned()))
            }
            OfCustomer::Order(order) => match self.rows.orders.get(&order.id) {
                Some(row) => (row.order.customer.clone(), row.order.metadata.clone()),
                None => (order.lines.iter().find_map(|line| customer_of(line.hold_id)), told),
            },
        }
    }

    fn dispatch(&mut self, command: &Command) -> Decision {
        match command {
            Command::Hold { hold, ttl, customer, metadata, key } => {
                self.with_idempotency_key(key.as_deref(), |batch| {
                    batch.check_lines(std::slice::from_ref(hold), customer.as_ref())?;
                    let terms = HoldTerms::new(*ttl, customer.as_ref(), metadata.as_ref());
                    Ok(Answer::Hold(Box::new(batch.create_hold(hold, terms))))
                })
            }
            Command::Cart { lines, token, ttl, customer, metadata, key } => self
                .with_idempotency_key(key.as_deref(), |batch| {
                    let terms = HoldTerms::new(*ttl, customer.as_ref(), metadata.as_ref());
                    batch.create_cart(lines, *token, terms)
                }),
            Command::Release { hold_id, .. } => decision(self.release(*hold_id)),
            Command::Extend { hold_id, ttl, .. } => decision(self.extend(*hold_id, *ttl)),
            Command::ChangeQuantity { hold_id, quantity, key, .. } => self
                .with_idempotency_key(key.as_deref(), |batch| {
                    batch.change_quantity(*hold_id, *quantity)
                }),
            Command::ReleaseCart { cart_id, holds, .. } => {
                decision(self.release_cart(*cart_id, holds))
            }
            Command::ExtendCart { cart_id, holds, ttl, .. } => {
                decision(self.extend_cart(*cart_id, holds, *ttl))
            }
            Command::Order { order_id, secret, holds, terms, key } => {
                self.with_idempotency_key(key.as_deref(), |batch| {
                    let plain = OrderTerms::default();
                    batch.order(*order_id, *secret, holds, terms.as_deref().unwrap_or(&plain))
                })
            }
            Command::ExtendOrder { order_id, ttl } => decision(self.extend_order(*order_id, *ttl)),
            Command::CancelOrder { order_id, .. } => decision(self.cancel_order(*order_id)),
            Command::SetPaymentReference { order_id, reference } => {
                decision(self.set_payment_reference(*order_id, reference))
            }
            Command::Refund { order_id, refund, key, .. } => {
                self.with_idempotency_key(key.as_deref(), |batch| batch.refund(*order_id, refund))
            }
            Command::Restock { order_id, lines, key } => {
                self.with_idempotency_key(key.as_deref(), |batch| batch.restock(*order_id, lines))
            }
            Command::Payment { key, fingerprint, order_id, is_named, secret, outcome, terms } => {
                let terms = terms.as_deref();
                let row = self.new_payment(key, *fingerprint, *order_id, *secret, *outcome, terms);
                self.payment(row, *is_named)
            }
            Command::Adjust { product_id, sku, stock, reason, version, key } => self
                .with_idempotency_key(key.as_deref(), |batch| {
                    batch.adjust(*product_id, sku.as_deref(), *stock, reason, *version)
                }),
            Command::WriteProduct { product, key } => {
                self.with_idempotency_key(key.as_deref(), |batch| batch.write_product(product))
            }
            Command::Reclaim { product_id } => {
                if let Some(products) = self.products_of_due_orders(*product_id) {
                    return Decision::ReadSetMiss(products);
                }
                let (holds, orders) = self.reclaimed.remove(product_id).unwrap_or_default();
                let more = self.has_unloaded_due(*product_id);
                decision(Ok(Answer::Reclaimed { holds, orders, more }))
            }
        }
    }

    /// Refuses a request without the right token of its hold, cart or order. A cart's token
    /// opens each of its holds. A token is checked whenever one is given. The check
    /// precedes the idempotency key, so that a caller without the token gets no replay
    /// of an order's payment token, and does not use up a key.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        if let Some((cart_id, _, given)) = command.used_cart() {
            return self.check_cart_token(cart_id, given);
        }
        if let Command::Refund { order_id, refund, .. } = command
            && let (Some(given), Some(row)) = (refund.secret, self.rows.orders.get(order_id))
            && !row.secret.is(given)
        {
            return Err(Refusal::WrongPaymentToken(*order_id));
        }
        let by_operator = matches!(command, Command::Release { by_operator: true, .. });
        for (id, given) in command.used_holds() {
            let Some(hold) = self.rows.holds.get(&id) else { continue };
            match given {
                Some(given) if !hold.token.is(given) && !self.is_cart_token(hold, given) => {
                    return Err(Refusal::WrongHoldToken(id));
                }
                None if self.policy.require_hold_token && !by_operator => {
                    return Err(Refusal::NoHoldToken(id));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Replays the stored answer if the idempotency key was used before;
    /// otherwise executes the command and stores its answer under the key.
    /// Stores a refusal only if the key keeps refusals.
    fn with_idempotency_key(
        &mut self,
        key: Option<&IdempotencyKey>,
        execute: impl FnOnce(&mut Self) -> Result<Answer, Decision>,
    ) -> Decision {
        let Some(key) = key else {
            return decision(execute(self));
        };
        if let Some(stored) = self.rows.keys.get(&key.key) {
            let (answer, replayed) = stored.replay(key);
            return Decision::Done { answer, replayed };
        }
        let decision = decision(execute(self));
        if let Decision::Done { answer, .. } = &decision
            && (answer.is_ok() || key.keeps_refusals)
        {
            self.record_key(KeyRow::new(key, answer.clone()));
        }
        decision
    }
}

fn decision(answer: Result<Answer, Decision>) -> Decision {
    answer
        .map_or_else(|other| other, |answer| Decision::Done { answer: Ok(answer), replayed: false })
}
