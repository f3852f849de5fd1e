//! The rows that a decision reads and the changes that it makes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::{
    CartId, EventKind, Hold, HoldId, HoldStatus, Metadata, Order, OrderId, OrderStatus, Outcome,
    PaymentDisposition, PaymentStatus, Product, ProductId, Timestamp, Token,
};

use super::{CommandResult, Decision, IdempotencyKey, PaymentTerms, Refusal};

/// A product with the columns that only the engine uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductRow {
    pub product: Product,
    /// The units ever received, counted separately: an audit compares it with the
    /// sum of the others.
    pub received: u64,
    /// The greatest fencing token under which the row was written.
    pub fence: u64,
    /// A lower bound of the next due time of the product's holds and orders;
    /// `None`: there are none. It may be too early, never too late.
    pub next_due: Option<Timestamp>,
}

/// A hold as its row has it, small enough to be copied: most holds have no customer and
/// no metadata, and those of the others stand beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HoldRow {
    pub id: HoldId,
    pub product_id: ProductId,
    pub quantity: u32,
    pub status: HoldStatus,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub token: Token,
    pub cart_id: Option<CartId>,
}

impl HoldRow {
    /// Returns the hold with its token, and without what other rows know of it.
    pub fn to_hold(self) -> Hold {
        Hold {
            id: self.id,
            product_id: self.product_id,
            sku: None,
            quantity: self.quantity,
            status: self.status,
            expires_at: self.expires_at,
            created_at: self.created_at,
            token: Some(self.token),
            order_id: None,
            cart_id: self.cart_id,
            customer: None,
            metadata: None,
        }
    }
}

/// An order with the columns that only the engine uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    /// The order, without its token.
    pub order: Order,
    /// The secret of its payment token.
    pub secret: Token,
    /// Raised by each write; guards it (optimistic concurrency).
    pub version: u64,
    /// Whether the shop cancelled it: late money never revives it.
    pub is_closed: bool,
    /// Whether an attempt to pay it has failed.
    pub has_failed_attempt: bool,
    /// The provider's name of the payment that paid it, if the event told.
    pub paid_by: Option<String>,
    /// The names of other payments whose money came: of a wrong amount, too late, or a
    /// second time. It must be refunded, or was.
    pub other_payments: Vec<String>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

impl OrderRow {
    /// Whether a payment of this name is another one than those whose money came before;
    /// not, as long as none of those has a name.
    pub fn is_further_payment(&self, reference: Option<&str>) -> bool {
        let mut known = self.paid_by.iter().chain(&self.other_payments).peekable();
        known.peek().is_some() && reference.is_some_and(|name| known.all(|it| it != name))
    }

    /// Notes a payment whose money must be refunded. Of very many, the first are known.
    pub fn note_other_payment(&mut self, reference: Option<&String>) {
        let new = reference.filter(|name| {
            self.paid_by.as_ref() != Some(*name) && !self.other_payments.contains(*name)
        });
        if self.other_payments.len() < OTHER_PAYMENTS_MAX {
            self.other_payments.extend(new.cloned());
        }
    }

    /// Returns the units of a product that count for the customer's limit: those of an
    /// unpaid order, or of a paid one less what was refunded.
    pub fn units_of(&self, product: ProductId) -> u64 {
        let lines = self.order.lines.iter().filter(|line| line.product_id == product);
        match self.order.status {
            OrderStatus::PendingPayment => lines.map(|line| u64::from(line.quantity)).sum(),
            OrderStatus::Paid | OrderStatus::PartiallyRefunded => {
                lines.map(|line| u64::from(line.quantity - line.refunded)).sum()
            }
            OrderStatus::Cancelled | OrderStatus::Refunded => 0,
        }
    }

    /// Returns until when, and a window longer, the order counts for its customer's
    /// limit on a product: since it was paid, or for ever while it is not paid.
    pub fn counted(&self, product: ProductId) -> Option<Timestamp> {
        if self.units_of(product) == 0 {
            return None;
        }
        match self.order.status {
            OrderStatus::PendingPayment => Some(UNPAID),
            _ => self.paid_at,
        }
    }
}

/// The most payments that an order knows beside the one that paid it.
const OTHER_PAYMENTS_MAX: usize = 16;

/// What stands for the time of payment of an order that is not paid yet.
pub(crate) const UNPAID: Timestamp = Timestamp::from_micros(i64::MAX);

/// A payment event in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    pub key: String,
    pub fingerprint: [u8; 32],
    pub order_id: OrderId,
    pub secret: Option<Token>,
    pub outcome: Outcome,
    pub terms: PaymentTerms,
    pub answer: PaymentStatus,
    /// Whether its order does not exist yet.
    pub waiting: bool,
    pub received_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub key: String,
    pub fingerprint: [u8; 32],
    pub answer: CommandResult,
}

impl KeyRow {
    /// The answer is kept without the customer's name and the metadata, which may be
    /// erased.
    pub fn new(keyed: &IdempotencyKey, mut answer: CommandResult) -> Self {
        if let Ok(answer) = &mut answer {
            answer.set_erasable(|_| (None, None));
        }
        Self { key: keyed.key.clone(), fingerprint: keyed.fingerprint, answer }
    }

    /// Replays the result for a request with the same key, or refuses one with
    /// another fingerprint. Also returns whether it is a replay.
    pub fn replay(&self, keyed: &IdempotencyKey) -> (CommandResult, bool) {
        if self.fingerprint == keyed.fingerprint {
            (self.answer.clone(), true)
        } else {
            (Err(Refusal::KeyMismatch), false)
        }
    }
}

/// The due holds and orders of one product, up to the limit of the read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// Active holds with `expires_at <= now`; their rows are in [`Rows::holds`].
    pub holds: Vec<HoldId>,
    /// Pending orders with `pay_until <= now` whose first line is of the product; their
    /// rows are in [`Rows::orders`].
    pub orders: Vec<OrderId>,
    /// Whether more is due than was loaded.
    pub more: bool,
    /// The next due time after `now`.
    pub next: Option<Timestamp>,
}

/// A map by ids, which needs no SipHash: its seed is random, too.
pub(crate) type IdMap<Id, Row> = HashMap<Id, Row, foldhash::fast::RandomState>;

/// The rows loaded for one transaction: its read set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub products: BTreeMap<ProductId, ProductRow>,
    /// Products by the SKUs that commands give.
    pub product_by_sku: HashMap<String, ProductId>,
    pub holds: IdMap<HoldId, HoldRow>,
    /// The customers and the metadata of those holds that have them, of the holds that
    /// commands make or use.
    pub hold_customers: IdMap<HoldId, String>,
    pub hold_metadata: IdMap<HoldId, Metadata>,
    /// The active holds of customers, by product, that count against the limit of
    /// one of the commands; their rows are in `holds`.
    pub customers: HashMap<ProductId, HashMap<Arc<str>, Vec<HoldId>>>,
    /// The tokens of the carts that the holds of the commands belong to.
    pub cart_tokens: IdMap<CartId, Token>,
    pub orders: IdMap<OrderId, OrderRow>,
    /// Orders by the hold they were created from.
    pub order_by_hold: IdMap<HoldId, OrderId>,
    /// Orders by the shop's references that commands name.
    pub order_by_reference: HashMap<String, OrderId>,
    /// Orders by the providers' names of payments that commands name.
    pub order_by_payment: HashMap<String, OrderId>,
    pub payments: HashMap<String, PaymentRow>,
    /// Payments whose order does not exist yet, in order of arrival.
    pub waiting: IdMap<OrderId, Vec<PaymentRow>>,
    pub keys: HashMap<String, KeyRow>,
    pub due: BTreeMap<ProductId, Due>,
}

impl Rows {
    pub fn hold(&self, id: HoldId) -> Result<&HoldRow, Refusal> {
        self.holds.get(&id).ok_or(Refusal::NoHold(id))
    }

    pub fn order(&self, id: OrderId) -> Result<&OrderRow, Refusal> {
        self.orders.get(&id).ok_or(Refusal::NoOrder(id))
    }

    /// Returns all of these products if the rows of some were not read.
    pub fn check_read(&self, products: impl Iterator<Item = ProductId>) -> Result<(), Decision> {
        let products: SmallVec<[ProductId; 1]> = products.collect();
        if products.iter().all(|id| self.products.contains_key(id)) {
            return Ok(());
        }
        Err(Decision::ReadSetMiss(products))
    }

    /// Sums by product the units that holds lack to have so many.
    pub fn units_added(&self, resized: &[(HoldId, u32)]) -> BTreeMap<ProductId, u64> {
        let mut added: BTreeMap<ProductId, u64> = BTreeMap::new();
        for (id, quantity) in resized {
            if let Some(hold) = self.holds.get(id) {
                let more = quantity.saturating_sub(hold.quantity);
                *added.entry(hold.product_id).or_default() += u64::from(more);
            }
        }
        added
    }
}

/// A product row before and after; the write is guarded by `before.version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductRowChange {
    pub before: ProductRow,
    pub after: ProductRow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerHold {
    pub product_id: ProductId,
    pub customer: Arc<str>,
    pub hold_id: HoldId,
    /// Whether it has not ended in the batch that created it.
    pub is_active: bool,
}

/// What an order counts for its customer's limit on a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerOrder {
    pub order_id: OrderId,
    pub product_id: ProductId,
    /// The customer of a new order.
    pub customer: Option<String>,
    /// See [`OrderRow::counted`].
    pub counted: Option<Timestamp>,
}

/// Rows that make the same transition; the write is guarded by `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move<Status, Id> {
    pub from: Status,
    pub to: Status,
    pub ids: Vec<Id>,
}

/// A stored hold's new quantity; the write is guarded by `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuantityChange {
    pub id: HoldId,
    pub from: u32,
    pub to: u32,
}

pub(crate) type HoldMove = Move<HoldStatus, HoldId>;
pub(crate) type OrderMove = Move<(OrderStatus, PaymentDisposition), OrderId>;

/// An order of which more than status and disposition changed; the write is guarded
/// by the version before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderChange {
    pub version_before: u64,
    pub after: OrderRow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerEvent {
    pub kind: EventKind,
    pub product_id: ProductId,
    pub hold_id: Option<HoldId>,
    pub order_id: Option<OrderId>,
    pub quantity: i64,
    pub version: u64,
    /// What few events have.
    pub details: Option<Box<EventDetails>>,
}

/// What an event says beyond its numbers. The outbox keeps it as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The metadata of a product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub products: Vec<ProductRowChange>,
    pub new_products: Vec<ProductRow>,
    /// Products that were read and are not written.
    pub unchanged: Vec<ProductRow>,
    pub new_holds: Vec<HoldRow>,
    /// The new holds that have a customer.
    pub customer_holds: Vec<CustomerHold>,
    /// The new holds that have metadata.
    pub hold_metadata: Vec<(HoldId, Metadata)>,
    pub hold_moves: Vec<HoldMove>,
    pub extensions: Vec<(HoldId, Timestamp)>,
    /// New quantities of stored holds, by ascending id.
    pub quantities: Vec<QuantityChange>,
    pub new_orders: Vec<OrderRow>,
    pub order_moves: Vec<OrderMove>,
    pub order_changes: Vec<OrderChange>,
    /// What orders of named customers count, as far as it changed.
    pub customer_orders: Vec<CustomerOrder>,
    /// The dispositions of orders, as far as they changed.
    pub dispositions: Vec<(OrderId, PaymentDisposition)>,
    /// Providers' names of payments that are tied to an order from now on.
    pub payment_references: Vec<(String, OrderId)>,
    pub new_payments: Vec<PaymentRow>,
    /// Keys of early payments whose order now exists.
    pub settled_payments: Vec<(OrderId, String)>,
    pub new_keys: Vec<KeyRow>,
    pub events: Vec<LedgerEvent>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
            && self.new_products.is_empty()
            && self.new_holds.is_empty()
            && self.hold_moves.is_empty()
            && self.extensions.is_empty()
            && self.quantities.is_empty()
            && self.new_orders.is_empty()
            && self.order_moves.is_empty()
            && self.order_changes.is_empty()
            && self.payment_references.is_empty()
            && self.new_payments.is_empty()
            && self.settled_payments.is_empty()
            && self.new_keys.is_empty()
            && self.events.is_empty()
    }
}
