//! The commands of the ledger, and their answers and refusals.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    Hold, HoldId, HoldStatus, Order, OrderId, Outcome, PaymentStatus, Product, ProductId,
    ShortLine, Timestamp, Token,
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
    pub product_id: ProductId,
    pub quantity: u32,
}

impl NewHold {
    pub fn to_hold(&self, now: Timestamp, ttl: Duration) -> Hold {
        Hold {
            id: self.id,
            product_id: self.product_id,
            quantity: self.quantity,
            status: HoldStatus::Active,
            expires_at: now.after(ttl),
            created_at: now,
            token: self.token,
            order_id: None,
        }
    }
}

/// A validated request, complete with all that its decision needs.
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
        /// The version that the product must have (optimistic concurrency).
        version: Option<u64>,
        key: Option<IdempotencyKey>,
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
            | Self::Order { key, .. }
            | Self::Adjust { key, .. } => key.as_ref(),
            _ => None,
        }
    }

    pub fn customer(&self) -> Option<&Arc<str>> {
        match self {
            Self::Hold { customer, .. } | Self::Cart { customer, .. } => customer.as_ref(),
            _ => None,
        }
    }

    /// Returns the hold that the command is about, and the token given for it.
    pub fn used_hold(&self) -> Option<(HoldId, Option<Token>)> {
        match self {
            Self::Release { hold_id, token }
            | Self::Extend { hold_id, token, .. }
            | Self::Order { hold_id, token, .. } => Some((*hold_id, *token)),
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Hold(Hold),
    Cart(Vec<Hold>),
    Order(Order),
    Payment(PaymentStatus),
    Product(Product),
    /// The numbers of due holds and orders reclaimed in this transaction; `more`:
    /// others are still due.
    Reclaimed {
        holds: u32,
        orders: u32,
        more: bool,
    },
}

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
    /// The customer already holds so many units.
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

/// The result of a command, as it is stored under an idempotency key.
pub(crate) type CommandResult = Result<Answer, Refusal>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Done {
        answer: CommandResult,
        replayed: bool,
    },
    /// Deferred to the next transaction, without effect: more is due than was
    /// loaded, and it could change the answer.
    Deferred,
    /// Without effect: the read set lacks the row of this product. Retry with it.
    ReadSetMiss(ProductId),
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self::Done { answer: Err(refusal), replayed: false }
    }
}
