//! What can be asked of the ledger, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    Hold, HoldId, HoldStatus, Order, OrderId, Outcome, PaymentAnswer, Product, ProductId,
    ShortLine, Timestamp, Token,
};

/// An idempotency key with the fingerprint of the request that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    pub key: String,
    pub fingerprint: [u8; 32],
    /// Whether a refusal is remembered, too. One that was never delivered need
    /// not be: nobody can tell that it is made anew.
    pub keeps_refusals: bool,
    /// Whether it was drawn for this request, which is sent for the first
    /// time. No answer stands under it then, unless a copy of the request that
    /// was sent later has overtaken this one.
    pub is_fresh: bool,
}

/// A hold to be made; id and token are drawn before the transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewHold {
    pub id: HoldId,
    pub token: Token,
    pub product_id: ProductId,
    pub qty: u32,
    /// From when it counts, if its row was written ahead of the decision; else
    /// from the decision.
    pub created_at: Option<Timestamp>,
}

impl NewHold {
    /// The hold that this becomes.
    pub fn to_hold(&self, now: Timestamp, ttl: Duration) -> Hold {
        let created_at = self.created_at.unwrap_or(now);
        Hold {
            id: self.id,
            product_id: self.product_id,
            qty: self.qty,
            status: HoldStatus::Active,
            expires_at: created_at.after(ttl),
            created_at,
            token: self.token,
            order_id: None,
        }
    }
}

/// One request, checked for sense and complete with all it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Hold {
        hold: NewHold,
        ttl: Duration,
        customer: Option<Arc<str>>,
        key: Option<IdempotencyKey>,
    },
    /// Lines by ascending product, each product once.
    Cart {
        lines: Vec<NewHold>,
        ttl: Duration,
        customer: Option<Arc<str>>,
        key: Option<IdempotencyKey>,
    },
    Release {
        hold_id: HoldId,
        token: Option<Token>,
    },
    Extend {
        hold_id: HoldId,
        ttl: Duration,
        token: Option<Token>,
    },
    Order {
        order_id: OrderId,
        secret: Token,
        hold_id: HoldId,
        product_id: ProductId,
        token: Option<Token>,
        key: Option<IdempotencyKey>,
    },
    Payment {
        key: String,
        body_hash: [u8; 32],
        order_id: OrderId,
        secret: Option<Token>,
        outcome: Outcome,
    },
    Adjust {
        product_id: ProductId,
        delta: i64,
        /// The version that the product must have.
        version: Option<u64>,
        key: Option<IdempotencyKey>,
    },
    /// Takes back what is due of one product.
    Reclaim {
        product_id: ProductId,
    },
}

impl Command {
    /// The idempotency key under which its answer is kept.
    pub fn key(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::Hold { key, .. }
            | Self::Cart { key, .. }
            | Self::Order { key, .. }
            | Self::Adjust { key, .. } => key.as_ref(),
            _ => None,
        }
    }

    /// Whom it would make holds for.
    pub fn customer(&self) -> Option<&Arc<str>> {
        match self {
            Self::Hold { customer, .. } | Self::Cart { customer, .. } => customer.as_ref(),
            _ => None,
        }
    }

    /// The hold that it is asked of, and the token shown for it.
    pub fn used_hold(&self) -> Option<(HoldId, Option<Token>)> {
        match self {
            Self::Release { hold_id, token }
            | Self::Extend { hold_id, token, .. }
            | Self::Order { hold_id, token, .. } => Some((*hold_id, *token)),
            _ => None,
        }
    }

    /// The holds that it would make.
    pub fn new_holds(&self) -> &[NewHold] {
        match self {
            Self::Hold { hold, .. } => std::slice::from_ref(hold),
            Self::Cart { lines, .. } => lines,
            _ => &[],
        }
    }

    /// The holds that it would make.
    pub fn new_holds_mut(&mut self) -> &mut [NewHold] {
        match self {
            Self::Hold { hold, .. } => std::slice::from_mut(hold),
            Self::Cart { lines, .. } => lines,
            _ => &mut [],
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Hold(Hold),
    Cart(Vec<Hold>),
    Order(Order),
    Payment(PaymentAnswer),
    Product(Product),
    /// So many due holds and orders went back in this transaction; `more` is
    /// due still.
    Reclaimed {
        holds: u32,
        orders: u32,
        more: bool,
    },
}

/// Why a request was refused by the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    NoProduct(ProductId),
    NoHold(HoldId),
    NoHoldToken(HoldId),
    WrongHoldToken(HoldId),
    ProductMismatch {
        hold_id: HoldId,
        asked: ProductId,
    },
    Insufficient(Vec<ShortLine>),
    /// The customer holds so many units already.
    CustomerLimit {
        product_id: ProductId,
        held: u64,
        requested: u32,
        most: u32,
    },
    HoldExpired(HoldId),
    HoldReleased(HoldId),
    HoldAlreadyUsed {
        hold_id: HoldId,
        order_id: Option<OrderId>,
    },
    KeyMismatch,
    WrongPaymentToken(OrderId),
    StockTooLarge(ProductId),
    /// The product was changed since the caller read it.
    VersionMismatch {
        product_id: ProductId,
        asked: u64,
        version: u64,
    },
}

/// An answer as it is kept under an idempotency key.
pub(crate) type CommandResult = Result<Answer, Refusal>;

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Done {
        answer: CommandResult,
        replayed: bool,
    },
    /// Nothing was done: more is due than was loaded, and it may tip the
    /// scales. Ask again in the next transaction.
    Deferred,
    /// Nothing was done: the command concerns this product, whose row was not
    /// loaded. Ask again with it.
    ReadSetMiss(ProductId),
}
