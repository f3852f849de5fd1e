//! Creates, releases and extends carts.

use std::time::Duration;

use super::batch_state::BatchState;
use super::holds::HoldTerms;
use super::{Answer, Decision, HoldRow, NewHold, Refusal};
use crate::model::{Cart, CartId, EventKind, Hold, HoldId, HoldStatus, Token};

impl BatchState<'_> {
    /// Creates the holds of a cart, all or none.
    pub(super) fn create_cart(
        &mut self,
        lines: &[NewHold],
        token: Token,
        terms: HoldTerms<'_>,
    ) -> Result<Answer, Decision> {
        self.check_lines(lines, terms.customer)?;
        let id = CartId(lines.iter().map(|line| line.id.0).min().unwrap_or_default());
        self.rows.cart_tokens.insert(id, token);
        let terms = HoldTerms { cart_id: Some(id), ..terms };
        let create = |line| self.create_hold(line, terms);
        let holds = lines.iter().map(create).collect();
        Ok(Answer::Cart(Cart { id, token: Some(token), holds }))
    }

    /// Returns whether a token is that of the hold's cart.
    pub(super) fn is_cart_token(&self, hold: &HoldRow, given: Token) -> bool {
        let token = hold.cart_id.and_then(|id| self.rows.cart_tokens.get(&id));
        token.is_some_and(|token| token.is(given))
    }

    /// Refuses a request without the right token of its cart.
    pub(super) fn check_cart_token(&self, id: CartId, given: Option<Token>) -> Result<(), Refusal> {
        let Some(token) = self.rows.cart_tokens.get(&id) else { return Ok(()) };
        match given {
            Some(given) if !token.is(given) => Err(Refusal::WrongCartToken(id)),
            None if self.policy.require_hold_token => Err(Refusal::NoCartToken(id)),
            _ => Ok(()),
        }
    }

    /// Releases those holds of a cart that are active. The others stay as they are.
    pub(super) fn release_cart(
        &mut self,
        cart_id: CartId,
        holds: &[HoldId],
    ) -> Result<Answer, Decision> {
        self.load_cart(cart_id, holds)?;
        for id in holds {
            self.end_hold(*id, HoldStatus::Released, EventKind::HoldReleased);
        }
        self.cart(cart_id, holds)
    }

    /// Extends the holds of a cart to one common end, if all are active.
    pub(super) fn extend_cart(
        &mut self,
        cart_id: CartId,
        holds: &[HoldId],
        ttl: Duration,
    ) -> Result<Answer, Decision> {
        self.load_cart(cart_id, holds)?;
        let mut end = None;
        for id in holds {
            // One that retention has deleted had ended before.
            let hold = match self.active_hold(*id) {
                Err(Decision::Done { answer: Err(Refusal::NoHold(id)), .. }) => {
                    return Err(Refusal::HoldExpired(id).into());
                }
                other => other?,
            };
            let latest = hold.created_at.after(self.policy.hold_ttl_max);
            let own = hold.expires_at.max(self.now.after(ttl).min(latest));
            end = end.max(Some(own));
        }
        for id in holds {
            let (Some(end), Some(hold)) = (end, self.rows.holds.get_mut(id)) else { continue };
            if hold.expires_at != end {
                let before = (hold.status, hold.expires_at);
                hold.expires_at = end;
                let hold = *hold;
                self.record_hold(*id, before);
                self.emit_hold_event(EventKind::HoldExtended, &hold);
            }
        }
        self.cart(cart_id, holds)
    }

    /// Expires those holds of a cart that are due, once the rows of all are there.
    fn load_cart(&mut self, cart_id: CartId, holds: &[HoldId]) -> Result<(), Decision> {
        let mut found = holds.iter().filter_map(|id| self.rows.holds.get(id)).peekable();
        if found.peek().is_none() {
            return Err(Refusal::NoCart(cart_id).into());
        }
        self.rows.check_read(found.map(|hold| hold.product_id))?;
        for id in holds {
            self.expire_if_due(*id);
        }
        Ok(())
    }

    /// Returns a cart as it is now: its holds by ascending product.
    fn cart(&self, id: CartId, holds: &[HoldId]) -> Result<Answer, Decision> {
        if !self.rows.cart_tokens.contains_key(&id) {
            return Err(Refusal::NoCart(id).into());
        }
        let known = holds.iter().filter_map(|id| self.rows.holds.get(id));
        let mut found: Vec<Hold> = known
            .map(|hold| Hold {
                order_id: self.rows.order_by_hold.get(&hold.id).copied(),
                sku: self.sku_of(hold.product_id),
                token: None,
                ..hold.to_hold()
            })
            .collect();
        found.sort_unstable_by_key(|hold| hold.product_id);
        Ok(Answer::Cart(Cart { id, token: None, holds: found }))
    }
}
