//! What the server has acknowledged to the buyers, and so has to account for.

/// An acknowledged hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldUnits {
    pub hold_id: u64,
    /// The product's place in the sale.
    pub product: usize,
    pub quantity: u64,
}

/// How the holds of a buyer, and its order, must be found in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The holds have expired.
    Expired,
    Released,
    /// Ordered, and cancelled without a payment.
    Cancelled,
    /// Ordered and paid.
    Paid,
    /// Ordered, and paid after its end: paid, or the money has to be refunded.
    PaidLate,
    /// A request was not answered in time: anything that conserves units.
    Unresolved,
}

/// What a buyer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    pub holds: Vec<HeldUnits>,
    pub order_id: Option<u64>,
    pub expected: Expected,
}

/// What became of a buyer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// None if the buyer was refused, or does not know.
    pub purchase: Option<Purchase>,
    /// Contradictions between answers.
    pub findings: Vec<String>,
    /// Requests without an answer, or with one that makes no sense.
    pub errors: Vec<String>,
}
