//! The holds of carts that this process made, so that what follows on a cart, which
//! is mostly its order, needs no read of it.

use std::time::Instant;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{GENERATION_MAX, GENERATION_TTL};
use crate::ledger::{HoldRow, IdMap};
use crate::model::{CartId, HoldId, ProductId};
use crate::runtime;

/// The holds of a cart by ascending product, each with its product.
pub(crate) type CartHolds = SmallVec<[(HoldId, ProductId); 4]>;

/// The holds of carts; a cart keeps them, whatever becomes of them.
pub(crate) struct Carts {
    /// A plain mutex: each critical section is a few map operations.
    state: Mutex<State>,
}

struct State {
    /// Since when the current generation is filled.
    since: Instant,
    current: IdMap<CartId, CartHolds>,
    previous: IdMap<CartId, CartHolds>,
}

impl Carts {
    pub fn new() -> Self {
        let (current, previous) = (IdMap::default(), IdMap::default());
        Self { state: Mutex::new(State { since: runtime::now(), current, previous }) }
    }

    /// Remembers the carts of new holds. Those of one cart are all among them.
    pub fn remember(&self, created: &[HoldRow]) {
        if created.iter().all(|hold| hold.cart_id.is_none()) {
            return;
        }
        let mut state = self.state.lock();
        state.rotate();
        let of_carts = created.iter().filter_map(|hold| Some((hold.cart_id?, hold)));
        for (cart, hold) in of_carts {
            let holds = state.current.entry(cart).or_default();
            let at = holds.partition_point(|(_, product)| *product < hold.product_id);
            holds.insert(at, (hold.id, hold.product_id));
        }
    }

    /// Returns a cart's holds, if this process made it not long ago.
    pub fn get(&self, id: CartId) -> Option<CartHolds> {
        let mut state = self.state.lock();
        state.rotate();
        state.current.get(&id).or_else(|| state.previous.get(&id)).cloned()
    }
}

impl State {
    /// Starts a new generation when the current one is over or full.
    fn rotate(&mut self) {
        let age = runtime::elapsed(self.since);
        if age >= GENERATION_TTL || self.current.len() >= GENERATION_MAX {
            let current = std::mem::take(&mut self.current);
            self.previous = if age < 2 * GENERATION_TTL { current } else { IdMap::default() };
            self.since = runtime::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HoldStatus, Timestamp, Token};

    fn hold(id: u64, product: u64, cart: Option<u64>) -> HoldRow {
        HoldRow {
            id: HoldId(id),
            product_id: ProductId(product),
            quantity: 1,
            status: HoldStatus::Active,
            expires_at: Timestamp::from_micros(2),
            created_at: Timestamp::from_micros(1),
            token: Token(1),
            cart_id: cart.map(CartId),
        }
    }

    #[test]
    fn a_cart_has_its_holds_by_product_until_two_generations_are_over() {
        let carts = Carts::new();
        carts.remember(&[hold(4, 9, Some(4)), hold(5, 3, Some(4)), hold(6, 3, None)]);
        let expected: CartHolds =
            [(HoldId(5), ProductId(3)), (HoldId(4), ProductId(9))].into_iter().collect();
        assert_eq!(carts.get(CartId(4)), Some(expected.clone()));
        assert_eq!(carts.get(CartId(6)), None);
        let ago = |time| Instant::now().checked_sub(time).expect("uptime");
        carts.state.lock().since = ago(GENERATION_TTL);
        assert_eq!(carts.get(CartId(4)), Some(expected));
        carts.state.lock().since = ago(2 * GENERATION_TTL);
        assert_eq!(carts.get(CartId(4)), None);
    }
}
