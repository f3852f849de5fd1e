//! Carts: several holds with one end and one token, and what a caller can change
//! of holds after they were made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::requests::setters;
use super::{CartId, Hold, HoldId, Metadata, ProductRef, Token};

/// The holds of one request for several products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cart {
    /// The cart's id: the smallest id of its holds.
    pub id: CartId,
    /// A secret that authorizes the use of the cart and of each of its holds. Only the
    /// answer that makes the cart has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The holds by ascending product, one for each product.
    pub holds: Vec<Hold>,
}

impl IntoIterator for Cart {
    type Item = Hold;
    type IntoIter = std::vec::IntoIter<Hold>;

    /// Iterates over the holds.
    fn into_iter(self) -> Self::IntoIter {
        self.holds.into_iter()
    }
}

/// One line of a cart.
///
/// ```
/// use stockade::{CartLine, CartRequest};
/// let cart = CartRequest::new([CartLine::new(1, 2), CartLine::new(2, 5).at_most()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartLine {
    /// The product.
    pub product: ProductRef,
    /// Units, from 1 to the `max_per_hold` setting.
    pub quantity: u32,
    /// Whether to take what is left, at least one unit, where fewer than `quantity`
    /// can be held. Limits apply to `quantity`.
    #[serde(default)]
    pub at_most: bool,
}

impl CartLine {
    /// A line of exactly `quantity` units.
    pub fn new(product: impl Into<ProductRef>, quantity: u32) -> Self {
        Self { product: product.into(), quantity, at_most: false }
    }

    /// Takes what is left, at least one unit, where fewer than `quantity` can be
    /// held.
    #[must_use]
    pub fn at_most(mut self) -> Self {
        self.at_most = true;
        self
    }
}

impl<P: Into<ProductRef>> From<(P, u32)> for CartLine {
    fn from((product, quantity): (P, u32)) -> Self {
        Self::new(product, quantity)
    }
}

/// A request to hold several products, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartRequest {
    /// The lines; those of the same product are summed. Of a sum with a line that
    /// takes what is left, the other lines are the least that is taken.
    pub items: Vec<CartLine>,
    /// The time to live; default: the `hold_ttl` setting.
    pub ttl: Option<Duration>,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// The customer, as any identifier of 1 to 255 bytes; the `max_per_customer`
    /// setting limits the units in one customer's holds. Default: none, whose
    /// holds have no limit.
    pub customer: Option<String>,
    /// What the shop keeps with each of the holds; default: nothing.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl CartRequest {
    /// A cart of these lines, each a [`CartLine`] or a product with its units, with
    /// the default time to live.
    pub fn new<L: Into<CartLine>>(items: impl IntoIterator<Item = L>) -> Self {
        let items = items.into_iter().map(Into::into).collect();
        Self { items, ttl: None, key: None, customer: None, metadata: None }
    }
}

setters!(CartRequest: ttl, key, customer, metadata);

/// A request to release the active holds of a cart. A cart id alone converts into
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleaseCartRequest {
    /// The cart.
    pub cart_id: CartId,
    /// The cart's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ReleaseCartRequest {
    /// A release of this cart.
    pub fn new(cart_id: impl Into<CartId>) -> Self {
        Self { cart_id: cart_id.into(), token: None }
    }
}

setters!(ReleaseCartRequest: token);

impl From<CartId> for ReleaseCartRequest {
    fn from(cart_id: CartId) -> Self {
        Self::new(cart_id)
    }
}

/// A request to extend all holds of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtendCartRequest {
    /// The cart.
    pub cart_id: CartId,
    /// The time to live from now on; default: the `hold_ttl` setting. An extension
    /// never shortens a hold, nor lets it outlive the `hold_ttl_max` setting.
    pub ttl: Option<Duration>,
    /// The cart's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ExtendCartRequest {
    /// An extension by the default time to live from now on.
    pub fn new(cart_id: impl Into<CartId>) -> Self {
        Self { cart_id: cart_id.into(), ttl: None, token: None }
    }
}

setters!(ExtendCartRequest: ttl, token);

/// A request to change the quantity of an active hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangeQuantityRequest {
    /// The hold.
    pub hold_id: HoldId,
    /// The units that it shall have, from 1 to the `max_per_hold` setting.
    pub quantity: u32,
    /// The hold's token or its cart's, which authorizes the request; a wrong one is
    /// refused. Default: none, which is refused under the `require_hold_token`
    /// setting.
    pub token: Option<Token>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl ChangeQuantityRequest {
    /// A change of `hold_id` to `quantity` units.
    pub fn new(hold_id: impl Into<HoldId>, quantity: u32) -> Self {
        Self { hold_id: hold_id.into(), quantity, token: None, key: None }
    }
}

setters!(ChangeQuantityRequest: token, key);
