//! What a caller asks for. A request is checked when it is made to an engine,
//! so that every face refuses the same things with the same codes.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{HoldId, InvalidArgument, Money, OrderId, PaymentToken, ProductId, Token};

/// Asks to hold units of one product.
///
/// ```
/// use std::time::Duration;
/// use stockade::HoldRequest;
/// let request = HoldRequest::new(1, 2).ttl(Duration::from_secs(60)).key("cart-77");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldRequest {
    /// The product wanted.
    pub product_id: ProductId,
    /// Units wanted, from 1 to the `max_per_hold` setting.
    pub quantity: u32,
    /// How long to hold them; default: the `hold_ttl` setting.
    pub ttl: Option<Duration>,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// Whom they are held for, by any word that names one buyer in 1 to 255
    /// bytes; under the `max_per_customer` setting their holds count together.
    /// Default: nobody, whose holds are not counted.
    pub customer: Option<String>,
}

impl HoldRequest {
    /// Asks for `quantity` units of `product_id` for the default life.
    pub fn new(product_id: impl Into<ProductId>, quantity: u32) -> Self {
        Self { product_id: product_id.into(), quantity, ttl: None, key: None, customer: None }
    }

    /// Asks for another life than the default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Makes the request safe to repeat: the same key gets the same answer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Says whom the units are held for.
    #[must_use]
    pub fn customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }
}

/// Asks to hold several products, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartRequest {
    /// Product and units of each line; lines of the same product are summed.
    pub items: Vec<(ProductId, u32)>,
    /// How long to hold them; default: the `hold_ttl` setting.
    pub ttl: Option<Duration>,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// Whom they are held for, by any word that names one buyer in 1 to 255
    /// bytes; under the `max_per_customer` setting their holds count together.
    /// Default: nobody, whose holds are not counted.
    pub customer: Option<String>,
}

impl CartRequest {
    /// Asks for these lines for the default life.
    pub fn new<P: Into<ProductId>>(items: impl IntoIterator<Item = (P, u32)>) -> Self {
        let items = items.into_iter().map(|(product, quantity)| (product.into(), quantity));
        Self { items: items.collect(), ttl: None, key: None, customer: None }
    }

    /// Asks for another life than the default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Makes the request safe to repeat: the same key gets the same answer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Says whom the units are held for.
    #[must_use]
    pub fn customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }
}

/// Asks to give a hold back. The hold's id alone is such a request, too.
///
/// ```
/// # use stockade::{Engine, HoldRequest, NewProduct, ReleaseRequest};
/// # let engine = Engine::open("sqlite::memory:")?;
/// # let lamp = engine.create_product(&NewProduct::new("Lamp", "19.99".parse()?, 5))?;
/// let [one, other] = [1, 2].map(|units| engine.hold(&HoldRequest::new(lamp.id, units)));
/// engine.release(one?.id)?;
/// let other = other?;
/// engine.release(ReleaseRequest::new(other.id).token(other.token))?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The hold.
    pub hold_id: HoldId,
    /// The hold's token, to show whose it is; one that is not the hold's is
    /// refused. Default: none, which is refused under the
    /// `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ReleaseRequest {
    /// Asks to give this hold back.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), token: None }
    }

    /// Shows the hold's token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }
}

impl From<HoldId> for ReleaseRequest {
    fn from(hold_id: HoldId) -> Self {
        Self::new(hold_id)
    }
}

/// Asks that a hold live longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtendRequest {
    /// The hold.
    pub hold_id: HoldId,
    /// Its life from now on; default: the `hold_ttl` setting. A hold never
    /// gets shorter, and never older than the `hold_ttl_max` setting in all.
    pub ttl: Option<Duration>,
    /// The hold's token, to show whose it is; one that is not the hold's is
    /// refused. Default: none, which is refused under the
    /// `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ExtendRequest {
    /// Asks for the default life from now on.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), ttl: None, token: None }
    }

    /// Asks for another life than the default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Shows the hold's token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }
}

/// Asks to turn a hold into an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderRequest {
    /// The hold to use up.
    pub hold_id: HoldId,
    /// The product the caller believes it holds.
    pub product_id: ProductId,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// The hold's token, to show whose it is; one that is not the hold's is
    /// refused. Default: none, which is refused under the
    /// `require_hold_token` setting.
    pub token: Option<Token>,
}

impl OrderRequest {
    /// Asks for an order from `hold_id`, which holds `product_id`.
    pub fn new(hold_id: impl Into<HoldId>, product_id: impl Into<ProductId>) -> Self {
        Self { hold_id: hold_id.into(), product_id: product_id.into(), key: None, token: None }
    }

    /// Shows the hold's token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes the request safe to repeat: the same key gets the same answer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// How a payment ended, in the provider's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The money is there.
    Success,
    /// It is not and will not be.
    Failure,
}

impl FromStr for Outcome {
    type Err = InvalidArgument;

    /// Reads a provider's word for an outcome; an unknown word is
    /// `invalid_argument`.
    fn from_str(word: &str) -> Result<Self, InvalidArgument> {
        match word {
            "success" | "succeeded" | "paid" | "completed" => Ok(Self::Success),
            "failed" | "failure" | "cancelled" | "canceled" | "declined" | "expired" => {
                Ok(Self::Failure)
            }
            other => Err(InvalidArgument::new(format!(
                "unknown payment status `{}`",
                other.chars().take(40).collect::<String>()
            ))),
        }
    }
}

/// A payment provider's word on how the payment of one order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentEvent {
    /// The order, if the event names it by id.
    pub order_id: Option<OrderId>,
    /// The order's payment token, if the event names it so.
    pub payment_token: Option<PaymentToken>,
    /// How the payment ended.
    pub outcome: Outcome,
    /// The event's idempotency key; without one it is derived from the order,
    /// the token and the outcome.
    pub key: Option<String>,
    /// The SHA-256 digest of the body the event came in: a key that returns with
    /// another body is refused. Without one the other fields stand for it.
    pub body_digest: Option<[u8; 32]>,
}

impl PaymentEvent {
    /// An event for the order that is named by its id, by its payment token, or
    /// by both; `None` if by neither.
    #[must_use]
    pub fn for_either(
        order_id: Option<OrderId>,
        payment_token: Option<PaymentToken>,
        outcome: Outcome,
    ) -> Option<Self> {
        let is_named = order_id.is_some() || payment_token.is_some();
        is_named.then_some(Self { order_id, payment_token, outcome, key: None, body_digest: None })
    }

    /// An event for the order with this id.
    pub fn for_order(order_id: impl Into<OrderId>, outcome: Outcome) -> Self {
        Self {
            order_id: Some(order_id.into()),
            payment_token: None,
            outcome,
            key: None,
            body_digest: None,
        }
    }

    /// An event for the order that was given this payment token.
    pub fn for_token(payment_token: PaymentToken, outcome: Outcome) -> Self {
        Self {
            order_id: None,
            payment_token: Some(payment_token),
            outcome,
            key: None,
            body_digest: None,
        }
    }

    /// Names the event, so that it counts once however often it is delivered.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Also names the order by its payment token.
    #[must_use]
    pub fn token(mut self, payment_token: PaymentToken) -> Self {
        self.payment_token = Some(payment_token);
        self
    }

    /// Keeps the digest of the body the event came in, for comparison when the
    /// key returns.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body_digest = Some(Sha256::digest(body).into());
        self
    }
}

/// A product to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewProduct {
    /// What the shop calls it; at most 255 characters.
    pub name: String,
    /// The price of one unit.
    pub price: Money,
    /// Units received with it.
    pub stock: u64,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl NewProduct {
    /// A product with this name and price and `stock` units.
    pub fn new(name: impl Into<String>, price: Money, stock: u64) -> Self {
        Self { name: name.into(), price, stock, key: None }
    }

    /// Creates the product once, however often a request with this key is sent.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Goods received or written off by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StockAdjustment {
    /// The product.
    pub product_id: ProductId,
    /// Units received, or written off when negative; not 0.
    pub delta: i64,
    /// Why, for the log; at most 255 characters.
    pub reason: String,
    /// The version that the caller saw; the adjustment is refused with
    /// `version_mismatch` if the product has another by now. Default: none,
    /// which adjusts whatever version there is.
    #[serde(default)]
    pub version: Option<u64>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl StockAdjustment {
    /// Receives `delta` units, or writes them off when negative.
    pub fn new(product_id: impl Into<ProductId>, delta: i64, reason: impl Into<String>) -> Self {
        Self {
            product_id: product_id.into(),
            delta,
            reason: reason.into(),
            version: None,
            key: None,
        }
    }

    /// Refuses the adjustment if the product no longer has this version
    /// (optimistic concurrency).
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Makes the request safe to repeat: the same key gets the same answer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Lets a request be passed to an engine by reference; it is cloned.
macro_rules! from_reference {
    ($($Request:ident),*) => {
        $(impl From<&$Request> for $Request {
            fn from(request: &$Request) -> Self {
                request.clone()
            }
        })*
    };
}
from_reference!(
    HoldRequest,
    CartRequest,
    ReleaseRequest,
    ExtendRequest,
    OrderRequest,
    PaymentEvent,
    NewProduct,
    StockAdjustment
);
