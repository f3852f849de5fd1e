//! Records one caller's requests and responses with their times.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stockade::{
    Error, ErrorKind, Hold, HoldStatus, ManualClock, Order, OrderStatus, PaymentDisposition,
    Product, Token,
};

/// A point in time by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Nanoseconds of the monotonic clock, which all processes of the machine
    /// share: these define the real-time order.
    pub nanos: u64,
    /// Microseconds of the engine's clock: these define expiry.
    pub time: i64,
}

/// Reads both clocks.
#[derive(Clone)]
pub enum Watch {
    /// The engine uses a manual clock.
    Stepped(Arc<ManualClock>),
    /// The engine uses the store's clock, on this machine.
    Real,
}

impl Watch {
    pub fn moment(&self) -> Moment {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let whole = |part: i64| u64::try_from(part).unwrap_or(0);
        let nanos = whole(now.tv_sec) * 1_000_000_000 + whole(now.tv_nsec);
        Moment { nanos, time: self.time() }
    }

    pub fn time(&self) -> i64 {
        match self {
            Self::Stepped(clock) => clock.time().micros(),
            Self::Real => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
        }
    }
}

/// A request. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    Hold {
        product: u64,
        quantity: u32,
        ttl: i64,
        /// The customer's number.
        customer: Option<u8>,
        key: Option<String>,
    },
    /// Several lines may name one product.
    Cart {
        lines: Vec<(u64, u32)>,
        ttl: i64,
        customer: Option<u8>,
        key: Option<String>,
    },
    Release {
        hold: u64,
    },
    Extend {
        hold: u64,
        ttl: i64,
    },
    ChangeQuantity {
        hold: u64,
        quantity: u32,
        key: Option<String>,
    },
    Order {
        hold: u64,
        product: u64,
        key: Option<String>,
    },
    Payment {
        order: u64,
        by_token: bool,
        success: bool,
        key: Option<String>,
        /// The amount that the event names, in minor units.
        amount: Option<i64>,
    },
    CancelOrder {
        order: u64,
    },
    /// Gives units and their price back.
    Refund {
        order: u64,
        quantity: u32,
        restock: bool,
        key: Option<String>,
    },
    Restock {
        order: u64,
        quantity: u32,
        key: Option<String>,
    },
    Adjust {
        product: u64,
        delta: i64,
    },
    /// Reads the cache while it is fresh.
    ReadCached {
        product: u64,
    },
    /// Reads the store.
    Read {
        product: u64,
    },
    ReadHold {
        hold: u64,
    },
    ReadOrder {
        order: u64,
    },
    Sweep,
}

/// A product's units by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Units {
    pub stock: u64,
    pub held: u64,
    pub pending: u64,
    pub sold: u64,
    pub returned: u64,
}

/// A hold as returned by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    pub id: u64,
    pub product: u64,
    pub quantity: u32,
    pub status: HoldStatus,
    pub created_at: i64,
    pub expires_at: i64,
}

/// An order as returned by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ordered {
    pub id: u64,
    pub hold: u64,
    pub product: u64,
    pub quantity: u32,
    pub status: OrderStatus,
    pub disposition: PaymentDisposition,
    pub refunded: u32,
    pub returned: u32,
    pub created_at: i64,
}

/// A rejection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refused {
    pub code: String,
    /// Product, requested units, available units.
    pub short: Vec<(u64, u64, u64)>,
    pub order: Option<u64>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    Held(Held),
    Cart(Vec<Held>),
    Ordered(Ordered),
    Payment {
        is_waiting: bool,
    },
    Units(Units),
    Swept,
    Refused(Refused),
    /// In doubt: it may take effect at any time after the invocation, or never.
    Unknown,
}

/// One call of one caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub caller: u32,
    /// The process's number; its callers share an engine.
    pub process: u32,
    pub call: Call,
    pub answer: Answer,
    /// Whether the response is marked as a replay.
    pub replayed: bool,
    /// The product version in the response, if any.
    pub version: Option<u64>,
    /// The tokens of the holds in the response, if it shows any, in their order.
    pub tokens: Vec<Token>,
    pub invoked: Moment,
    pub answered: Moment,
}

impl From<&Product> for Units {
    fn from(product: &Product) -> Self {
        let Product { stock, held, pending, sold, returned, .. } = *product;
        Self { stock, held, pending, sold, returned }
    }
}

impl From<&Hold> for Held {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id.0,
            product: hold.product_id.0,
            quantity: hold.quantity,
            status: hold.status,
            created_at: hold.created_at.micros(),
            expires_at: hold.expires_at.micros(),
        }
    }
}

impl From<&Order> for Ordered {
    fn from(order: &Order) -> Self {
        // The orders of the histories have one line.
        let line = order.lines.first();
        Self {
            id: order.id.0,
            hold: line.hold_id.0,
            product: line.product_id.0,
            quantity: line.quantity,
            refunded: line.refunded,
            returned: line.returned,
            status: order.status,
            disposition: order.payment_disposition,
            created_at: order.created_at.micros(),
        }
    }
}

impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        if error.kind() == ErrorKind::Unavailable {
            return Self::Unknown;
        }
        let short = error.short().iter();
        Self::Refused(Refused {
            code: error.code().to_owned(),
            short: short.map(|line| (line.product_id.0, line.requested, line.available)).collect(),
            order: error.order_id().map(|id| id.0),
        })
    }
}
