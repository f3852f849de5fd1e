//! Dispatches a command to its rule, after the checks that all rules share: the
//! hold token and the idempotency key.

use super::batch_state::BatchState;
use super::{Answer, Command, Decision, IdempotencyKey, KeyRow, Refusal};

impl BatchState<'_> {
    pub(super) fn decide(&mut self, command: &Command) -> Decision {
        if let Err(refusal) = self.check_token(command) {
            return refusal.into();
        }
        match command {
            Command::Hold { hold, ttl, customer, key } => {
                self.with_idempotency_key(key.as_ref(), |batch| {
                    batch.check_lines(std::slice::from_ref(hold), customer.as_ref())?;
                    Ok(Answer::Hold(batch.create_hold(hold, *ttl, customer.as_ref())))
                })
            }
            Command::Cart { lines, ttl, customer, key } => {
                self.with_idempotency_key(key.as_ref(), |batch| {
                    batch.check_lines(lines, customer.as_ref())?;
                    let created =
                        lines.iter().map(|line| batch.create_hold(line, *ttl, customer.as_ref()));
                    Ok(Answer::Cart(created.collect()))
                })
            }
            Command::Release { hold_id, .. } => decision(self.release(*hold_id)),
            Command::Extend { hold_id, ttl, .. } => decision(self.extend(*hold_id, *ttl)),
            Command::Order { order_id, secret, hold_id, product_id, key, .. } => self
                .with_idempotency_key(key.as_ref(), |batch| {
                    batch.order(*order_id, *secret, *hold_id, *product_id)
                }),
            Command::Payment { key, body_hash, order_id, secret, outcome } => {
                self.payment(key, *body_hash, *order_id, *secret, *outcome)
            }
            Command::Adjust { product_id, delta, version, key } => self
                .with_idempotency_key(key.as_ref(), |batch| {
                    batch.adjust(*product_id, *delta, *version)
                }),
            Command::Reclaim { product_id } => {
                let (holds, orders) = self.reclaimed.remove(product_id).unwrap_or_default();
                let more = self.has_unloaded_due(*product_id);
                decision(Ok(Answer::Reclaimed { holds, orders, more }))
            }
        }
    }

    /// Refuses a request without the right token of its hold. A token is checked
    /// whenever one is given. The check precedes the idempotency key, so that a
    /// caller without the token gets no replay of an order's payment token, and
    /// does not use up a key.
    fn check_token(&self, command: &Command) -> Result<(), Refusal> {
        let Some((id, given)) = command.used_hold() else { return Ok(()) };
        let Some(hold) = self.rows.holds.get(&id) else { return Ok(()) };
        match given {
            Some(given) if !hold.token.is(given) => Err(Refusal::WrongHoldToken(id)),
            None if self.policy.require_hold_token => Err(Refusal::NoHoldToken(id)),
            _ => Ok(()),
        }
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
