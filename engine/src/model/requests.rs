//! Requests. The engine validates them, so that every binding rejects the same
//! requests with the same codes.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Currency, HoldId, InvalidArgument, Metadata, Money, OrderId, PaymentToken, ProductRef, Token,
    named_enum,
};

/// Defines setters of optional fields that several requests have.
macro_rules! setters {
    ($Request:ident: $($field:ident),*) => {
        impl $Request {
            $($crate::model::requests::setters!($field);)*
        }
    };
    (ttl) => {
        /// Sets the time to live.
        #[must_use]
        pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
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
    (metadata) => {
        /// Sets what the shop keeps with it.
        #[must_use]
        pub fn metadata(mut self, metadata: $crate::model::Metadata) -> Self {
            self.metadata = Some(metadata);
            self
        }
    };
    (reason) => {
        /// Sets the reason, which its events keep.
        #[must_use]
        pub fn reason(mut self, reason: impl Into<String>) -> Self {
            self.reason = Some(reason.into());
            self
        }
    };
    (token) => {
        /// Sets the hold's token.
        #[must_use]
        pub fn token(mut self, token: impl Into<Option<Token>>) -> Self {
            self.token = token.into();
            self
        }
    };
}

pub(super) use setters;

/// Defines the setters that the queries of holds and of orders share.
macro_rules! query_setters {
    ($Query:ident) => {
        impl $Query {
            /// Sets the customer.
            #[must_use]
            pub fn customer(mut self, customer: impl Into<String>) -> Self {
                self.customer = Some(customer.into());
                self
            }

            /// Sets the product.
            #[must_use]
            pub fn product(mut self, product: impl Into<$crate::model::ProductRef>) -> Self {
                self.product = Some(product.into());
                self
            }

            /// Sets the time from which on they were created.
            #[must_use]
            pub fn created_after(mut self, at: Timestamp) -> Self {
                self.created_after = Some(at);
                self
            }

            /// Sets the time before which they were created.
            #[must_use]
            pub fn created_before(mut self, at: Timestamp) -> Self {
                self.created_before = Some(at);
                self
            }
        }
    };
}
pub(super) use query_setters;

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
    pub product: ProductRef,
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
    /// Whether to take what is left, at least one unit, where fewer than `quantity`
    /// can be held. Limits apply to `quantity`.
    #[serde(default)]
    pub at_most: bool,
    /// What the shop keeps with the hold; default: nothing.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl HoldRequest {
    /// A hold of `quantity` units of `product` with the default time to live.
    pub fn new(product: impl Into<ProductRef>, quantity: u32) -> Self {
        Self {
            product: product.into(),
            quantity,
            ttl: None,
            key: None,
            customer: None,
            at_most: false,
            metadata: None,
        }
    }

    /// Takes what is left, at least one unit, where fewer than `quantity` can be
    /// held.
    #[must_use]
    pub fn at_most(mut self) -> Self {
        self.at_most = true;
        self
    }
}

setters!(HoldRequest: ttl, key, customer, metadata);

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
    /// Whether an operator asks, who needs no token. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_operator: bool,
}

impl ReleaseRequest {
    /// A release of this hold.
    pub fn new(hold_id: impl Into<HoldId>) -> Self {
        Self { hold_id: hold_id.into(), token: None, by_operator: false }
    }

    /// Releases the hold without its token, under the `require_hold_token` setting, too.
    #[must_use]
    pub fn by_operator(mut self) -> Self {
        self.by_operator = true;
        self
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
        /// The customer disputes the payment: an event tells of it, and nothing else
        /// changes.
        Disputed = "disputed",
    }
);

/// The words by which payment providers name an outcome; `docs/guide.md` lists them.
const PROVIDERS_WORDS: [(Outcome, &[&str]); 5] = [
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
    (Outcome::Disputed, &["disputed", "chargeback"]),
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
            let known: Vec<_> =
                PROVIDERS_WORDS.iter().flat_map(|(_, words)| *words).copied().collect();
            let known = known.join(", ");
            InvalidArgument::new(format!("unknown payment status `{word}`; known are {known}"))
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
    /// The shop's own number of the order, by which an event without id and token names
    /// it. Default: none.
    #[serde(default)]
    pub order_reference: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// The amount paid, compared with the order's; default: none, which is not
    /// compared.
    #[serde(default)]
    pub amount: Option<Money>,
    /// The currency of the amount; default: the order's.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The provider's own name of the payment, such as `stripe/pi_3N`, of 1 to 255
    /// bytes: a success of another payment than the one that paid an order must be
    /// refunded. An event without id and token is for the order that it is tied to
    /// ([`Engine::set_payment_reference`](crate::Engine::set_payment_reference)), rather
    /// than for that of [`order_reference`](Self::order_reference). Default: none.
    #[serde(default)]
    pub payment_reference: Option<String>,
    /// The event's idempotency key; default: derived from the order, the token, the
    /// outcome and the amount. A key that returns with another of these is refused.
    pub key: Option<String>,
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
        Self {
            order_id,
            payment_token,
            order_reference: None,
            outcome,
            amount: None,
            currency: None,
            payment_reference: None,
            key: None,
        }
    }

    /// An event for the order with this id.
    pub fn for_order(order_id: impl Into<OrderId>, outcome: Outcome) -> Self {
        Self::new(Some(order_id.into()), None, outcome)
    }

    /// An event for the order with this payment token.
    pub fn for_token(payment_token: PaymentToken, outcome: Outcome) -> Self {
        Self::new(None, Some(payment_token), outcome)
    }

    /// An event for the order with this number of the shop's.
    pub fn for_reference(order_reference: impl Into<String>, outcome: Outcome) -> Self {
        Self { order_reference: Some(order_reference.into()), ..Self::new(None, None, outcome) }
    }

    /// An event for the order that the provider's name of the payment is tied to, such as
    /// `stripe/pi_3N`.
    pub fn for_payment(payment_reference: impl Into<String>, outcome: Outcome) -> Self {
        Self { payment_reference: Some(payment_reference.into()), ..Self::new(None, None, outcome) }
    }

    /// Adds the order's payment token.
    #[must_use]
    pub fn token(mut self, payment_token: PaymentToken) -> Self {
        self.payment_token = Some(payment_token);
        self
    }

    /// Sets the amount paid.
    #[must_use]
    pub fn amount(mut self, amount: Money) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Sets the currency of the amount.
    #[must_use]
    pub fn currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// Sets the provider's own name of the payment.
    #[must_use]
    pub fn payment_reference(mut self, reference: impl Into<String>) -> Self {
        self.payment_reference = Some(reference.into());
        self
    }
}

setters!(PaymentEvent: key);

/// Lets a request be passed to an engine by reference; it is cloned.
macro_rules! from_reference {
    ($($Request:ty),*) => {
        $(impl From<&$Request> for $Request {
            fn from(request: &$Request) -> Self {
                request.clone()
            }
        })*
    };
}
pub(super) use from_reference;

from_reference!(
    HoldRequest,
    super::CartRequest,
    super::ReleaseCartRequest,
    super::ExtendCartRequest,
    super::ChangeQuantityRequest,
    ReleaseRequest,
    ExtendRequest,
    PaymentEvent
);
