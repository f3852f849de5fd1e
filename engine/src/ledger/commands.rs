//! The commands of the ledger.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::products::ProductCommand;
use super::{HoldRow, Refusal};
use crate::model::{
    CartId, Currency, HoldId, HoldStatus, LineUnits, Metadata, Money, OrderId, OrderedHold,
    Outcome, ProductId, ReportedRefund, Timestamp, Token,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    pub key: String,
    pub fingerprint: [u8; 32],
    /// Whether a refusal is stored, too. One that cannot have been delivered need
    /// not be: no caller can tell that it is decided again.
    pub keeps_refusals: bool,
    /// Whether it was generated for this request, which is sent for the first
    /// time. No answer is stored under it then, unless a later copy of the
    /// request overtook this one.
    pub is_fresh: bool,
}

/// A hold to create; its id and token are allocated before the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewHold {
    pub id: HoldId,
    pub token: Token,
    /// 0 where no product had the SKU.
    pub product_id: ProductId,
    /// The SKU that the product must have.
    pub sku: Option<Arc<str>>,
    pub quantity: u32,
    /// The fewest units that it may have, where no more are left: `quantity` but for
    /// a request that takes what is left.
    pub least: u32,
}

impl NewHold {
    pub fn to_row(&self, now: Timestamp, ttl: Duration, cart_id: Option<CartId>) -> HoldRow {
        HoldRow {
            id: self.id,
            product_id: self.product_id,
            quantity: self.quantity,
            status: HoldStatus::Active,
            expires_at: now.after(ttl),
            created_at: now,
            token: self.token,
            cart_id,
        }
    }

    /// The refusal of a line whose product does not exist.
    pub fn no_product(&self) -> Refusal {
        match &self.sku {
            Some(sku) => Refusal::NoSku(sku.to_string()),
            None => Refusal::NoProduct(self.product_id),
        }
    }
}

/// The new units in stock of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewStock {
    /// More by so many, fewer if negative.
    By(i64),
    To(u64),
}

/// What an order's request says beyond its holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OrderTerms {
    pub amount: Option<Money>,
    pub currency: Option<Currency>,
    pub reference: Option<String>,
    pub payment_ttl: Option<Duration>,
    pub metadata: Option<Metadata>,
}

/// What a payment event says beyond its order and its outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaymentTerms {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The provider's name of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The shop's own number of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_reference: Option<String>,
}

/// LineUnits and money to give back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refund {
    pub lines: Vec<LineUnits>,
    pub amount: Option<Money>,
    pub restock: bool,
    /// Settles money that must be refunded, and nothing else.
    pub owed: bool,
    pub reason: Option<String>,
    /// The secret of the order's payment token, if the caller shows it.
    pub secret: Option<Token>,
    /// What a payment provider reports of it, which decides what it moves.
    pub reported: Option<ReportedRefund>,
}

/// A validated request, complete with all that its decision needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Hold {
        hold: NewHold,
        ttl: Duration,
        customer: Option<Arc<str>>,
        metadata: Option<Metadata>,
        key: Option<Box<IdempotencyKey>>,
    },
    /// Lines by ascending product, each product once.
    Cart {
        lines: Vec<NewHold>,
        /// Allocated with the holds' ids.
        token: Token,
        ttl: Duration,
        customer: Option<Arc<str>>,
        /// Of each of the holds.
        metadata: Option<Metadata>,
        key: Option<Box<IdempotencyKey>>,
    },
    Release {
        hold_id: HoldId,
        token: Option<Token>,
        /// An operator needs no token.
        by_operator: bool,
    },
    Extend {
        hold_id: HoldId,
        ttl: Duration,
        token: Option<Token>,
    },
    ChangeQuantity {
        hold_id: HoldId,
        quantity: u32,
        token: Option<Token>,
        key: Option<Box<IdempotencyKey>>,
    },
    /// Releases the active ones of a cart's holds, which ascend by id.
    ReleaseCart {
        cart_id: CartId,
        holds: Vec<HoldId>,
        token: Option<Token>,
    },
    /// Extends a cart's holds, which ascend by id, all or none.
    ExtendCart {
        cart_id: CartId,
        holds: Vec<HoldId>,
        ttl: Duration,
        token: Option<Token>,
    },
    Order {
        order_id: OrderId,
        secret: Token,
        /// At least one; each hold once.
        holds: SmallVec<[OrderedHold; 1]>,
        /// `None` for an order that is all default.
        terms: Option<Box<OrderTerms>>,
        key: Option<Box<IdempotencyKey>>,
    },
    ExtendOrder {
        order_id: OrderId,
        ttl: Option<Duration>,
    },
    CancelOrder {
        order_id: OrderId,
        reason: Option<String>,
    },
    Refund {
        order_id: OrderId,
        refund: Box<Refund>,
        key: Option<Box<IdempotencyKey>>,
    },
    Restock {
        order_id: OrderId,
        lines: Vec<LineUnits>,
        key: Option<Box<IdempotencyKey>>,
    },
    /// Ties a provider's name of a payment to an order.
    SetPaymentReference {
        order_id: OrderId,
        reference: String,
    },
    Payment {
        key: String,
        fingerprint: [u8; 32],
        /// Of an event that names its order by a reference, the order that had it when it
        /// was looked up; 0 for none.
        order_id: OrderId,
        /// Whether the references in the terms name the order.
        is_named: bool,
        secret: Option<Token>,
        outcome: Outcome,
        /// `None` for an event that says no more.
        terms: Option<Box<PaymentTerms>>,
    },
    Adjust {
        product_id: ProductId,
        /// The SKU that the product must have.
        sku: Option<Arc<str>>,
        stock: NewStock,
        reason: Arc<str>,
        /// The version that the product must have (optimistic concurrency).
        version: Option<u64>,
        key: Option<Box<IdempotencyKey>>,
    },
    /// Makes a product or changes it.
    WriteProduct {
        product: Box<ProductCommand>,
        key: Option<Box<IdempotencyKey>>,
    },
    /// Reclaims what is due of one product.
    Reclaim {
        product_id: ProductId,
    },
}

impl Command {
    /// Returns the idempotency key under which the answer is stored.
    pub fn key(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::Hold { key, .. }
            | Self::Cart { key, .. }
            | Self::ChangeQuantity { key, .. }
            | Self::Order { key, .. }
            | Self::Refund { key, .. }
            | Self::Restock { key, .. }
            | Self::WriteProduct { key, .. }
            | Self::Adjust { key, .. } => key.as_deref(),
            _ => None,
        }
    }

    pub fn customer(&self) -> Option<&Arc<str>> {
        match self {
            Self::Hold { customer, .. } | Self::Cart { customer, .. } => customer.as_ref(),
            _ => None,
        }
    }

    /// Returns the metadata of the holds or the order that the command creates.
    pub fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::Hold { metadata, .. } | Self::Cart { metadata, .. } => metadata.as_ref(),
            Self::Order { terms, .. } => terms.as_deref()?.metadata.as_ref(),
            _ => None,
        }
    }

    /// Returns the reason that its events keep.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::CancelOrder { reason, .. } => reason.as_deref(),
            Self::Refund { refund, .. } => refund.reason.as_deref(),
            _ => None,
        }
    }

    /// Lists the holds that the command is about, each with the token given for it.
    pub fn used_holds(&self) -> SmallVec<[(HoldId, Option<Token>); 1]> {
        match self {
            Self::Release { hold_id, token, .. }
            | Self::Extend { hold_id, token, .. }
            | Self::ChangeQuantity { hold_id, token, .. } => {
                SmallVec::from_buf([(*hold_id, *token)])
            }
            Self::Order { holds, .. } => {
                holds.iter().map(|hold| (hold.hold_id, hold.token)).collect()
            }
            _ => SmallVec::new(),
        }
    }

    /// Returns the existing order that the command is about.
    pub fn used_order(&self) -> Option<OrderId> {
        match self {
            Self::ExtendOrder { order_id, .. }
            | Self::CancelOrder { order_id, .. }
            | Self::Refund { order_id, .. }
            | Self::Restock { order_id, .. }
            | Self::SetPaymentReference { order_id, .. }
            | Self::Payment { order_id, .. } => Some(*order_id).filter(|id| id.0 != 0),
            _ => None,
        }
    }

    /// Returns the cart that the command is about, its holds, and the token given
    /// for it.
    pub fn used_cart(&self) -> Option<(CartId, &[HoldId], Option<Token>)> {
        match self {
            Self::ReleaseCart { cart_id, holds, token }
            | Self::ExtendCart { cart_id, holds, token, .. } => Some((*cart_id, holds, *token)),
            _ => None,
        }
    }

    pub fn new_holds(&self) -> &[NewHold] {
        match self {
            Self::Hold { hold, .. } => std::slice::from_ref(hold),
            Self::Cart { lines, .. } => lines,
            _ => &[],
        }
    }

    pub fn new_holds_mut(&mut self) -> &mut [NewHold] {
        match self {
            Self::Hold { hold, .. } => std::slice::from_mut(hold),
            Self::Cart { lines, .. } => lines,
            _ => &mut [],
        }
    }
}

/// A command, and who sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributed<'a> {
    pub command: &'a Command,
    /// Whom the command's events and its order name.
    pub actor: Option<&'a Arc<str>>,
}

impl<'a> From<&'a Command> for Attributed<'a> {
    fn from(command: &'a Command) -> Self {
        Self { command, actor: None }
    }
}

impl<'a> From<&'a Attributed<'_>> for Attributed<'a> {
    fn from(attributed: &'a Attributed<'_>) -> Self {
        *attributed
    }
}
