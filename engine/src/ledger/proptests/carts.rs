//! Carts and quantities: their part of the reference model, and the commands about
//! them.

use std::time::Duration;

use super::generators::Target;
use super::harness::Harness;
use super::harness::commands::{newest, token_of};
use super::reference::ReferenceModel;
use crate::ledger::{Answer, Command, CommandResult, Refusal};
use crate::model::{Cart, CartId, EventKind, Hold, HoldId, HoldStatus, Token};

/// The token of each cart.
pub(super) fn cart_token_of(id: CartId) -> Token {
    Token(u128::from(id.0) << 64 | 5)
}

impl ReferenceModel {
    /// Makes new holds a cart, named after the first of them.
    pub(super) fn join(&mut self, holds: &mut [Hold]) {
        let cart_id = Some(CartId(holds[0].id.0));
        for hold in holds {
            hold.cart_id = cart_id;
            self.holds.insert(hold.id, hold.clone());
        }
    }

    pub(super) fn change_quantity(&mut self, id: HoldId, quantity: u32) -> CommandResult {
        let hold = self.active_hold(id)?;
        let product_id = hold.product_id;
        if let Some(added @ 1..) = quantity.checked_sub(hold.quantity) {
            self.check_on_sale(product_id)?;
            if let Some((_, customer)) = self.customers.get(&id) {
                self.check_customer((product_id, added), customer)?;
            }
            if self.available(product_id) < i128::from(added) {
                return Err(Refusal::Insufficient(vec![self.short_line(product_id, added.into())]));
            }
        }
        let added = i64::from(quantity) - i64::from(hold.quantity);
        if added != 0 {
            self.add_stock(product_id, -i128::from(added));
            self.holds.insert(id, Hold { quantity, ..hold });
            self.events.push((EventKind::HoldChanged, product_id, Some(id), None, added));
        }
        self.hold(id).map(|hold| Answer::Hold(Box::new(hold)))
    }

    pub(super) fn release_cart(&mut self, cart_id: CartId, holds: &[HoldId]) -> CommandResult {
        for id in holds {
            if self.holds.get(id).is_some_and(|hold| hold.status == HoldStatus::Active) {
                self.end_hold(*id, HoldStatus::Released);
                self.emit_hold_event(EventKind::HoldReleased, *id);
            }
        }
        self.cart(cart_id, holds)
    }

    pub(super) fn extend_cart(
        &mut self,
        cart_id: CartId,
        holds: &[HoldId],
        ttl: Duration,
    ) -> CommandResult {
        self.cart(cart_id, holds)?;
        let active: Vec<Hold> =
            holds.iter().map(|id| self.active_hold(*id)).collect::<Result<_, _>>()?;
        let end_of = |hold: &Hold| {
            let longest = hold.created_at.after(self.policy.hold_ttl_max);
            hold.expires_at.max(self.now.after(ttl).min(longest))
        };
        let end = active.iter().map(end_of).max().expect("a cart has holds");
        for hold in active {
            if hold.expires_at < end {
                let id = hold.id;
                self.holds.insert(id, Hold { expires_at: end, ..hold });
                self.emit_hold_event(EventKind::HoldExtended, id);
            }
        }
        self.cart(cart_id, holds)
    }

    fn cart(&self, id: CartId, holds: &[HoldId]) -> CommandResult {
        let order_of = |id: HoldId| {
            let state = self.orders.values().find(|state| state.uses(id));
            state.map(|state| state.order.id)
        };
        let found = holds.iter().filter_map(|id| self.holds.get(id));
        let holds: Vec<Hold> =
            found.map(|hold| Hold { order_id: order_of(hold.id), ..hold.clone() }).collect();
        if holds.is_empty() {
            return Err(Refusal::NoCart(id));
        }
        Ok(Answer::Cart(Cart { id, token: None, holds }))
    }

    pub(super) fn check_cart_token(
        &self,
        id: CartId,
        holds: &[HoldId],
        given: Option<Token>,
    ) -> Result<(), Refusal> {
        if !holds.iter().any(|id| self.holds.contains_key(id)) {
            return Ok(());
        }
        match given {
            None if self.policy.require_hold_token => Err(Refusal::NoCartToken(id)),
            Some(given) if given != cart_token_of(id) => Err(Refusal::WrongCartToken(id)),
            _ => Ok(()),
        }
    }
}

impl Harness {
    pub(super) fn release_cart(&self, position: usize, token: Target) -> Command {
        let (cart_id, holds) = self.cart(position);
        Command::ReleaseCart { cart_id, holds, token: given_cart_token(token, cart_id) }
    }

    pub(super) fn extend_cart(&self, position: usize, ttl: Duration, token: Target) -> Command {
        let (cart_id, holds) = self.cart(position);
        Command::ExtendCart { cart_id, holds, ttl, token: given_cart_token(token, cart_id) }
    }

    /// Returns the token that a request about a hold shows.
    pub(super) fn given_token(&self, token: Target, hold_id: HoldId) -> Option<Token> {
        match token {
            Target::Valid => Some(token_of(hold_id)),
            Target::Wrong => Some(Token(1)),
            Target::Absent => None,
            Target::Cart => {
                let cart = self.carts.iter().find(|(_, holds)| holds.contains(&hold_id));
                Some(cart.map_or(token_of(hold_id), |(id, _)| cart_token_of(*id)))
            }
        }
    }

    /// Returns a cart and its holds, or one that does not exist.
    fn cart(&self, position: usize) -> (CartId, Vec<HoldId>) {
        let place = newest(&(0..self.carts.len()).collect::<Vec<_>>(), position);
        let found = place.and_then(|at| self.carts.get(at)).cloned();
        found.unwrap_or((CartId(99_999), vec![HoldId(99_999)]))
    }
}

fn given_cart_token(token: Target, id: CartId) -> Option<Token> {
    match token {
        Target::Valid | Target::Cart => Some(cart_token_of(id)),
        Target::Wrong => Some(Token(1)),
        Target::Absent => None,
    }
}
