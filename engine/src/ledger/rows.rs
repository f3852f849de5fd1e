//! The rows that a decision reads and the changes that it makes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, Order, OrderId, OrderStatus, Outcome, PaymentDisposition,
    PaymentStatus, Product, ProductId, Timestamp, Token,
};

use super::{CommandResult, IdempotencyKey, Refusal};

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

/// An order with the time at which it is cancelled if unpaid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub order: Order,
    pub due_at: Option<Timestamp>,
}

/// A payment event in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    pub key: String,
    pub body_hash: [u8; 32],
    pub order_id: OrderId,
    pub secret: Option<Token>,
    pub outcome: Outcome,
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
    pub fn new(keyed: &IdempotencyKey, answer: CommandResult) -> Self {
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
    /// Pending orders with `due_at <= now`; their rows are in [`Rows::orders`].
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
    pub holds: IdMap<HoldId, Hold>,
    /// The active holds of customers, by product, that count against the limit of
    /// one of the commands; their rows are in `holds`.
    pub customers: HashMap<ProductId, HashMap<Arc<str>, Vec<HoldId>>>,
    pub orders: HashMap<OrderId, OrderRow>,
    /// Orders by the hold they were created from.
    pub order_by_hold: HashMap<HoldId, OrderId>,
    pub payments: HashMap<String, PaymentRow>,
    /// Payments whose order does not exist yet, in order of arrival.
    pub waiting: HashMap<OrderId, Vec<PaymentRow>>,
    pub keys: HashMap<String, KeyRow>,
    pub due: BTreeMap<ProductId, Due>,
}

impl Rows {
    pub fn hold(&self, id: HoldId) -> Result<&Hold, Refusal> {
        self.holds.get(&id).ok_or(Refusal::NoHold(id))
    }
}

/// A product row before and after; the write is guarded by `before.version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductChange {
    pub before: ProductRow,
    pub after: ProductRow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerHold {
    pub product_id: ProductId,
    pub customer: Arc<str>,
    pub hold_id: HoldId,
}

/// Rows that make the same transition; the write is guarded by `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move<Status, Id> {
    pub from: Status,
    pub to: Status,
    pub ids: Vec<Id>,
}

pub(crate) type HoldMove = Move<HoldStatus, HoldId>;
pub(crate) type OrderMove = Move<(OrderStatus, PaymentDisposition), OrderId>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerEvent {
    pub kind: EventKind,
    pub product_id: ProductId,
    pub hold_id: Option<HoldId>,
    pub order_id: Option<OrderId>,
    pub quantity: i64,
    pub version: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub products: Vec<ProductChange>,
    /// Products that were read and are not written.
    pub unchanged: Vec<ProductRow>,
    pub new_holds: Vec<Hold>,
    /// The new holds that have a customer.
    pub customer_holds: Vec<CustomerHold>,
    pub hold_moves: Vec<HoldMove>,
    pub extensions: Vec<(HoldId, Timestamp)>,
    pub new_orders: Vec<OrderRow>,
    pub order_moves: Vec<OrderMove>,
    pub new_payments: Vec<PaymentRow>,
    /// Keys of early payments whose order now exists.
    pub settled_payments: Vec<(OrderId, String)>,
    pub new_keys: Vec<KeyRow>,
    pub events: Vec<LedgerEvent>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
            && self.new_holds.is_empty()
            && self.hold_moves.is_empty()
            && self.extensions.is_empty()
            && self.new_orders.is_empty()
            && self.order_moves.is_empty()
            && self.new_payments.is_empty()
            && self.settled_payments.is_empty()
            && self.new_keys.is_empty()
            && self.events.is_empty()
    }
}
