//! The holds of carts that this process made, so that what follows on a cart, which
//! is mostly its order, needs no read of it.

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::generations::Generations;
use crate::ledger::{HoldRow, IdMap};
use crate::model::{CartId, HoldId, ProductId};

/// The holds of a cart by ascending product, each with its product.
pub(crate) type CartHolds = SmallVec<[(HoldId, ProductId); 4]>;

/// The holds of carts; a cart keeps them, whatever becomes of them.
pub(crate) struct Carts {
    /// A plain mutex: each critical section is a few map operations.
    entries: Mutex<Generations<IdMap<CartId, CartHolds>>>,
}

impl Carts {
    pub fn new() -> Self {
        Self { entries: Mutex::new(Generations::new()) }
    }

    /// Remembers the carts of new holds. Those of one cart are all among them.
    pub fn remember(&self, created: &[HoldRow]) {
        if created.iter().all(|hold| hold.cart_id.is_none()) {
            return;
        }
        let mut made: IdMap<CartId, CartHolds> = IdMap::default();
        for (cart, hold) in created.iter().filter_map(|hold| Some((hold.cart_id?, hold))) {
            made.entry(cart).or_default().push((hold.id, hold.product_id));
        }
        made.values_mut().for_each(|holds| holds.sort_unstable_by_key(|(_, product)| *product));
        let mut entries = self.entries.lock();
        entries.make_room(IdMap::len);
        entries.current.extend(made);
    }

    /// Returns a cart's holds, if this process made it not long ago.
    pub fn get(&self, id: CartId) -> Option<CartHolds> {
        let mut entries = self.entries.lock();
        entries.rotate();
        entries.current.get(&id).or_else(|| entries.previous.get(&id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::generations::TTL;
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
        carts.entries.lock().since = ago(TTL);
        assert_eq!(carts.get(CartId(4)), Some(expected));
        carts.entries.lock().since = ago(2 * TTL);
        assert_eq!(carts.get(CartId(4)), None);
    }
}
