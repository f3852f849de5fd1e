//! Requests. The engine validates them, so that every binding rejects the same
//! requests with the same codes.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    HoldId, HoldStatus, InvalidArgument, Money, OrderId, PaymentToken, ProductId, Token, named_enum,
};

/// Defines setters of optional fields that several requests have.
macro_rules! setters {
    ($Request:ident: $($field:ident),*) => {
        impl $Request {
            $(setters!($field);)*
        }
    };
    (ttl) => {
        /// Sets the time to live.
        #[must_use]
        pub fn ttl(mut self, ttl: Duration) -> Self {
            self.ttl = Some(ttl);
            self
        }
    };
    (key) => {
        /// Sets the idempotency key: a retry with the same key gets the same result.
        #[must_use]
        pub fn key(mut self, key: impl Into<String>) -> Self {
            self.key = Some(key.into());
            self
        }
    };
    (customer) => {
        /// Sets the customer.
        #[must_use]
        pub fn customer(mut self, customer: impl Into<String>) -> Self {
            self.customer = Some(customer.into());
            self
        }
    };
    (token) => {
        /// Sets the hold's token.
        #[must_use]
        pub fn token(mut self, token: Token) -> Self {
            self.token = Some(token);
            self
        }
    };
}

/// A query for holds, by ascending id.
///
/// ```
/// use stockade::{HoldQuery, HoldStatus};
/// let query = HoldQuery::new(100).product(7).status(HoldStatus::Active);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldQuery {
    /// Only holds with ids above this one: the `next` of the page before.
    pub after: Option<HoldId>,
    /// The most holds of a page, from 1 to 1,000.
    pub limit: u32,
    /// Only holds of this product.
    pub product_id: Option<ProductId>,
    /// Only holds with this status; one that is due counts as expired.
    pub status: Option<HoldStatus>,
}

impl HoldQuery {
    /// All holds, up to `limit` on a page.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { after: None, limit, product_id: None, status: None }
    }

    /// Sets the id after which the page begins.
    #[must_use]
    pub fn after(mut self, after: impl Into<HoldId>) -> Self {
        self.after = Some(after.into());
        self
    }

    /// Sets the product.
    #[must_use]
    pub fn product(mut self, product_id: impl Into<ProductId>) -> Self {
        self.product_id = Some(product_id.into());
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: HoldStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns whether it asks for a hold of this product with this status.
    pub(crate) fn matches(&self, product_id: ProductId, status: HoldStatus) -> bool {
        self.product_id.is_none_or(|id| id == product_id)
            && self.status.is_none_or(|wanted| wanted == status)
    }
}

/// A request to hold units of one product.
///
/// ```
/// use std::time::Duration;
/// use stockade::HoldRequest;
/// let request = HoldRequest::new(1, 2).ttl(Duration::from_secs(60)).key("cart-77");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldRequest {
    /// The product.
    pub product_id: ProductId,
    /// Units, from 1 to the `max_per_hold` setting.
    pub quantity: u32,
    /// The time to live; default: the `hold_ttl` setting.
    pub ttl: Option<Duration>,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// The customer, as any identifier of 1 to 255 bytes; the `max_per_customer`
    /// setting limits the units in one customer's holds. Default: none, whose
    /// holds have no limit.
    pub customer: Option<String>,
}

impl HoldRequest {
    /// A hold of `quantity` units of `product_id` with the default time to live.
    pub fn new(product_id: impl Into<ProductId>, quantity: u32) -> Self {
        Self { product_id: product_id.into(), quantity, ttl: None, key: None, customer: None }
    }
}

setters!(HoldRequest: ttl, key, customer);

/// A request to hold several products, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CartRequest {
    /// Product and units of each line; lines of the same product are summed.
    pub items: Vec<(ProductId, u32)>,
    /// The time to live; default: the `hold_ttl` setting.
    pub ttl: Option<Duration>,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// The customer, as any identifier of 1 to 255 bytes; the `max_per_customer`
    /// setting limits the units in one customer's holds. Default: none, whose
    /// holds have no limit.
    pub customer: Option<String>,
}

impl CartRequest {
    /// A cart of these lines with the default time to live.
    pub fn new<P: Into<ProductId>>(items: impl IntoIterator<Item = (P, u32)>) -> Self {
        let items = items.into_iter().map(|(product, quantity)| (product.into(), quantity));
        Self { items: items.collect(), ttl: None, key: None, customer: None }
    }
}

setters!(CartRequest: ttl, key, customer);

/// A request to release a hold. A hold id alone converts into one.
///
/// ```
/// # use stockade::{Engine, HoldRequest, NewProduct, ReleaseRequest};
/// # let engine = Engine::open("sqlite::memory:")?;
/// # let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
/// let one = engine.create_hold(HoldRequest::new(lamp.id, 1))?.value;
/// engine.release_hold(one.id)?;
/// let other = engine.create_hold(HoldRequest::new(lamp.id, 2))?.value;
/// engine.release_hold(ReleaseRequest::new(other.id).token(other.token))?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The hold.
    pub hold_id: HoldId,
    /// The hold's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ReleaseRequest {
    /// A release of this hold.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), token: None }
    }
}

setters!(ReleaseRequest: token);

impl From<HoldId> for ReleaseRequest {
    fn from(hold_id: HoldId) -> Self {
        Self::new(hold_id)
    }
}

/// A request to extend a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtendRequest {
    /// The hold.
    pub hold_id: HoldId,
    /// The time to live from now on; default: the `hold_ttl` setting. An extension
    /// never shortens a hold, nor lets it outlive the `hold_ttl_max` setting.
    pub ttl: Option<Duration>,
    /// The hold's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    pub token: Option<Token>,
}

impl ExtendRequest {
    /// An extension by the default time to live from now on.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), ttl: None, token: None }
    }
}

setters!(ExtendRequest: ttl, token);

/// A request to convert a hold into an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderRequest {
    /// The hold to convert.
    pub hold_id: HoldId,
    /// The product that the caller expects the hold to be for.
    pub product_id: ProductId,
    /// The idempotency key; default: none.
    pub key: Option<String>,
    /// The hold's token, which authorizes the request; a wrong one is refused.
    /// Default: none, which is refused under the `require_hold_token` setting.
    pub token: Option<Token>,
}

impl OrderRequest {
    /// An order from `hold_id`, which holds `product_id`.
    pub fn new(hold_id: impl Into<HoldId>, product_id: impl Into<ProductId>) -> Self {
        Self { hold_id: hold_id.into(), product_id: product_id.into(), key: None, token: None }
    }
}

setters!(OrderRequest: key, token);

named_enum!(
    /// The outcome of a payment, as the provider reports it.
    Outcome {
        /// The payment succeeded.
        Success = "success",
        /// An attempt to pay failed.
        Failure = "failure",
        /// The payment ended without money: it was cancelled or voided, or expired.
        Cancelled = "cancelled",
        /// The payment goes on; nothing says yet how it ends.
        Neutral = "neutral",
    }
);

/// The words by which payment providers name an outcome; `docs/guide.md` lists them.
const PROVIDERS_WORDS: [(Outcome, &[&str]); 4] = [
    (Outcome::Success, &["success", "succeeded", "paid", "completed", "captured"]),
    (Outcome::Failure, &["failed", "failure", "declined", "refused"]),
    (Outcome::Cancelled, &["cancelled", "canceled", "expired", "voided"]),
    (
        Outcome::Neutral,
        &[
            "neutral",
            "pending",
            "processing",
            "authorized",
            "authorised",
            "requires_action",
            "requires_confirmation",
            "requires_capture",
            "created",
            "open",
        ],
    ),
];

impl FromStr for Outcome {
    type Err = InvalidArgument;

    /// Parses a provider's status, such as `paid` or `declined`, in any case; an
    /// unknown one is `invalid_argument`.
    fn from_str(word: &str) -> Result<Self, InvalidArgument> {
        let is_one_of = |words: &[&str]| words.iter().any(|one| one.eq_ignore_ascii_case(word));
        let listed = PROVIDERS_WORDS.iter().find(|(_, words)| is_one_of(words));
        listed.map(|(outcome, _)| *outcome).ok_or_else(|| {
            let word: String = word.chars().take(40).collect();
            InvalidArgument::new(format!("unknown payment status `{word}`"))
        })
    }
}

/// A payment provider's report of the outcome of one order's payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentEvent {
    /// The order's id, if the event has it.
    pub order_id: Option<OrderId>,
    /// The order's payment token, if the event has it.
    pub payment_token: Option<PaymentToken>,
    /// The outcome.
    pub outcome: Outcome,
    /// The event's idempotency key; default: derived from the order, the token and
    /// the outcome.
    pub key: Option<String>,
    /// The SHA-256 digest of the body the event came in: a key that returns with
    /// another body is refused. Without one the other fields stand for it.
    pub body_digest: Option<[u8; 32]>,
}

impl PaymentEvent {
    /// An event for the order with this id, this payment token, or both; `None` if
    /// there is neither.
    #[must_use]
    pub fn for_either(
        order_id: Option<OrderId>,
        payment_token: Option<PaymentToken>,
        outcome: Outcome,
    ) -> Option<Self> {
        let is_named = order_id.is_some() || payment_token.is_some();
        is_named.then_some(Self::new(order_id, payment_token, outcome))
    }

    fn new(
        order_id: Option<OrderId>,
        payment_token: Option<PaymentToken>,
        outcome: Outcome,
    ) -> Self {
        Self { order_id, payment_token, outcome, key: None, body_digest: None }
    }

    /// An event for the order with this id.
    pub fn for_order(order_id: impl Into<OrderId>, outcome: Outcome) -> Self {
        Self::new(Some(order_id.into()), None, outcome)
    }

    /// An event for the order with this payment token.
    pub fn for_token(payment_token: PaymentToken, outcome: Outcome) -> Self {
        Self::new(None, Some(payment_token), outcome)
    }

    /// Adds the order's payment token.
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

setters!(PaymentEvent: key);

/// A request to create a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewProduct {
    /// The name; at most 255 characters.
    pub name: String,
    /// The price of one unit.
    pub price: Money,
    /// The initial stock.
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
}

setters!(NewProduct: key);

/// A request to receive or write off units of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StockAdjustment {
    /// The product.
    pub product_id: ProductId,
    /// Units received, or written off if negative; not 0.
    pub delta: i64,
    /// The reason, for the log; at most 255 characters.
    pub reason: String,
    /// The expected version (optimistic concurrency); another one is refused with
    /// `version_mismatch`. Default: none, which adjusts any version.
    #[serde(default)]
    pub version: Option<u64>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl StockAdjustment {
    /// An adjustment by `delta` units, written off if negative.
    pub fn new(product_id: impl Into<ProductId>, delta: i64, reason: impl Into<String>) -> Self {
        Self {
            product_id: product_id.into(),
            delta,
            reason: reason.into(),
            version: None,
            key: None,
        }
    }

    /// Sets the expected version (optimistic concurrency).
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }
}

setters!(StockAdjustment: key);

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
