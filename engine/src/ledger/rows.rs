//! The rows a decision reads and the changes it makes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{
    EventKind, Hold, HoldId, HoldStatus, Order, OrderId, OrderStatus, Outcome, PaymentAnswer,
    PaymentDisposition, Product, ProductId, Timestamp, Token,
};

use super::{CommandResult, IdempotencyKey, Refusal};

/// A product with what only the engine needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductRow {
    pub product: Product,
    /// Counted on its own, so that an audit can hold the sum against it.
    pub received: u64,
    /// The greatest fencing token that wrote the row.
    pub fence: u64,
    /// Nothing of the product is due before this moment; `None`: nothing is
    /// due ever. It may be too early, never too late.
    pub next_due: Option<Timestamp>,
}

/// An order with the moment at which it is cancelled if still unpaid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub order: Order,
    pub due_at: Option<Timestamp>,
}

/// A payment event as the inbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    pub key: String,
    pub body_hash: [u8; 32],
    pub order_id: OrderId,
    pub secret: Option<Token>,
    pub outcome: Outcome,
    pub answer: PaymentAnswer,
    /// Whether it still waits for its order.
    pub waiting: bool,
    pub received_at: Timestamp,
}

/// The answer kept under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub key: String,
    pub fingerprint: [u8; 32],
    pub answer: CommandResult,
}

impl KeyRow {
    /// Builds the row that keeps an answer under a key.
    pub fn new(keyed: &IdempotencyKey, answer: CommandResult) -> Self {
        Self { key: keyed.key.clone(), fingerprint: keyed.fingerprint, answer }
    }

    /// Replays the answer for a request with the same key, or refuses one with
    /// another fingerprint. Also tells whether it is a replay.
    pub fn replay(&self, keyed: &IdempotencyKey) -> (CommandResult, bool) {
        if self.fingerprint == keyed.fingerprint {
            (self.answer.clone(), true)
        } else {
            (Err(Refusal::KeyMismatch), false)
        }
    }
}

/// What of one product is due, as far as it was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// Active holds with `expires_at <= now`; their rows stand in [`Rows::holds`].
    pub holds: Vec<HoldId>,
    /// Pending orders with `due_at <= now`; their rows stand in [`Rows::orders`].
    pub orders: Vec<OrderId>,
    /// Whether more is due than was loaded.
    pub more: bool,
    /// The next moment after `now` at which something falls due.
    pub next: Option<Timestamp>,
}

/// All that was loaded for one transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub products: BTreeMap<ProductId, ProductRow>,
    pub holds: HashMap<HoldId, Hold>,
    /// The active holds of customers, by product, as far as they count for one
    /// of the commands; their rows stand in `holds`.
    pub customers: HashMap<ProductId, HashMap<Arc<str>, Vec<HoldId>>>,
    pub orders: HashMap<OrderId, OrderRow>,
    /// Orders by the hold they used up.
    pub order_by_hold: HashMap<HoldId, OrderId>,
    pub payments: HashMap<String, PaymentRow>,
    /// Events that wait for an order, in the order of their arrival.
    pub waiting: HashMap<OrderId, Vec<PaymentRow>>,
    pub keys: HashMap<String, KeyRow>,
    pub due: BTreeMap<ProductId, Due>,
}

/// A product row before and after; the write is guarded by `before.version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductChange {
    pub before: ProductRow,
    pub after: ProductRow,
}

/// A hold made for a named customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerHold {
    pub product_id: ProductId,
    pub customer: Arc<str>,
    pub hold_id: HoldId,
}

/// Holds that make the same transition; the write is guarded by `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldMove {
    pub from: HoldStatus,
    pub to: HoldStatus,
    pub ids: Vec<HoldId>,
}

/// Orders that make the same transition; the write is guarded by `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderMove {
    pub from: (OrderStatus, PaymentDisposition),
    pub to: (OrderStatus, PaymentDisposition),
    pub ids: Vec<OrderId>,
}

/// A transition to be told to readers of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerEvent {
    pub kind: EventKind,
    pub product_id: ProductId,
    pub hold_id: Option<HoldId>,
    pub order_id: Option<OrderId>,
    pub qty: i64,
    pub version: u64,
}

/// All that one transaction writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub products: Vec<ProductChange>,
    pub new_holds: Vec<Hold>,
    /// Those of them that have a customer.
    pub customer_holds: Vec<CustomerHold>,
    pub hold_moves: Vec<HoldMove>,
    pub extensions: Vec<(HoldId, Timestamp)>,
    pub new_orders: Vec<OrderRow>,
    pub order_moves: Vec<OrderMove>,
    pub new_payments: Vec<PaymentRow>,
    /// Keys of events that waited for an order and wait no more.
    pub settled_payments: Vec<(OrderId, String)>,
    pub new_keys: Vec<KeyRow>,
    pub events: Vec<LedgerEvent>,
}

impl Changes {
    /// Whether there is nothing to write.
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
