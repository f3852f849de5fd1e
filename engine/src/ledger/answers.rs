//! The answers and refusals of the ledger's commands, and its decisions.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::{
    Cart, CartId, Currency, Hold, HoldId, Metadata, OffSale, Order, OrderId, PaymentStatus,
    Product, ProductId, ShortLine, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Boxed, as orders and products are: an answer is moved from queue to queue.
    Hold(Box<Hold>),
    Cart(Cart),
    Order(Box<Order>),
    Payment(PaymentStatus),
    Product(Box<Product>),
    Put {
        product: Box<Product>,
        created: bool,
    },
    /// The product or the order that the request names by its SKU or its reference no
    /// longer has it. Never stored.
    #[serde(skip)]
    StaleName,
    /// The numbers of due holds and orders reclaimed in this transaction; `more`:
    /// others are still due.
    Reclaimed {
        holds: u32,
        orders: u32,
        more: bool,
    },
}

/// Something in an answer that may have a customer and metadata.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OfCustomer<'a> {
    Hold(HoldId),
    Order(&'a Order),
}

/// What an erasure empties: the customer's name, and the metadata.
pub(crate) type Erasable = (Option<String>, Option<Metadata>);

impl Answer {
    /// Sets the customer and the metadata of each hold and order to what `of` returns.
    pub fn set_erasable(&mut self, of: impl Fn(OfCustomer<'_>) -> Erasable) {
        let set = |hold: &mut Hold| {
            (hold.customer, hold.metadata) = of(OfCustomer::Hold(hold.id));
        };
        match self {
            Self::Hold(hold) => set(hold),
            Self::Cart(cart) => cart.holds.iter_mut().for_each(set),
            Self::Order(order) => {
                (order.customer, order.metadata) = of(OfCustomer::Order(order));
            }
            Self::Payment(_)
            | Self::Product(_)
            | Self::Put { .. }
            | Self::StaleName
            | Self::Reclaimed { .. } => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    NoProduct(ProductId),
    NoSku(String),
    NoHold(HoldId),
    NoOrder(OrderId),
    NoHoldToken(HoldId),
    WrongHoldToken(HoldId),
    NoCart(CartId),
    NoCartToken(CartId),
    WrongCartToken(CartId),
    ProductMismatch {
        hold_id: HoldId,
        asked: ProductId,
    },
    SkuMismatch {
        hold_id: HoldId,
        asked: String,
    },
    Insufficient(Vec<ShortLine>),
    NotOnSale(ProductId, OffSale),
    /// Another product has this id, or this SKU.
    IdTaken(ProductId),
    SkuTaken(ProductId, String),
    /// The sale would end before it begins.
    EmptySale(Timestamp, Timestamp),
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
    /// Some of several holds cannot be used: the refusal of each, in the order of the
    /// request.
    UnusableHolds(Vec<Refusal>),
    /// The holds' products are not all sold in this currency.
    MixedCurrencies(Currency),
    /// The amount has more decimals than the currency.
    AmountDecimals(Currency),
    /// The sum of the lines is beyond what can be stored.
    AmountTooLarge,
    /// Another order has this reference.
    ReferenceTaken(OrderId),
    AlreadyPaid(OrderId),
    OrderCancelled(OrderId),
    NotPaid(OrderId),
    /// More units or money than are left to refund; with the reason in words.
    RefundTooLarge(OrderId, String),
    NothingReturned(OrderId),
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

impl Refusal {
    /// The hold that cannot be used.
    pub fn hold_id(&self) -> Option<HoldId> {
        match self {
            Self::NoHold(id)
            | Self::NoHoldToken(id)
            | Self::WrongHoldToken(id)
            | Self::HoldExpired(id)
            | Self::HoldReleased(id) => Some(*id),
            Self::ProductMismatch { hold_id, .. }
            | Self::SkuMismatch { hold_id, .. }
            | Self::HoldAlreadyUsed { hold_id, .. } => Some(*hold_id),
            _ => None,
        }
    }
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
    /// Without effect: the read set lacks the rows of some of these products. Retry
    /// with all of them.
    ReadSetMiss(SmallVec<[ProductId; 1]>),
    /// Without effect: the product or the order no longer has the SKU or the reference by
    /// which the request names it. Look up which one has it.
    StaleName,
}

impl From<Refusal> for Decision {
    fn from(refusal: Refusal) -> Self {
        Self::Done { answer: Err(refusal), replayed: false }
    }
}
