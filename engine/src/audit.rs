//! The report of an audit, which checks the store's invariants.

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, named_enum};

/// The result of checking a store's totals against its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Whether there are no findings.
    pub consistent: bool,
    /// Products checked.
    pub products: u64,
    /// Units by state, over all products.
    pub units: Units,
    /// Payment events that wait for an order which does not exist yet. Not a fault
    /// by itself.
    pub waiting_events: u64,
    /// When the oldest of them arrived.
    pub oldest_waiting_event: Option<Timestamp>,
    /// Products with due holds or orders that were not swept yet. Not a fault:
    /// every request treats these as ended.
    pub products_due: u64,
    /// The violations, at most [`AuditReport::FINDINGS_PER_CHECK`] for
    /// each check.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// The most findings that one check reports.
    pub const FINDINGS_PER_CHECK: u32 = 100;

    /// The report of a store without rows.
    pub(crate) fn empty() -> Self {
        Self {
            consistent: true,
            products: 0,
            units: Units::default(),
            waiting_events: 0,
            oldest_waiting_event: None,
            products_due: 0,
            findings: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, check: Check, id: u64, detail: String) {
        self.consistent = false;
        self.findings.push(Finding { check, id, detail });
    }
}

/// Units by state, over all products. 128 bits, since they are sums of 63-bit
/// numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Units {
    /// Received in all, less those written off.
    pub received: i128,
    /// In stock, safety stocks included.
    pub stock: i128,
    /// In active holds.
    pub held: i128,
    /// In unpaid orders.
    pub pending: i128,
    /// In paid orders, less those refunded.
    pub sold: i128,
    /// Refunded and not for sale again.
    pub returned: i128,
}

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The check that failed.
    pub check: Check,
    /// The id of the product, hold or order, depending on the check.
    pub id: u64,
    /// What was expected and what was found.
    pub detail: String,
}

named_enum!(
    /// An invariant that an audit checks.
    Check {
        /// `received = stock + held + pending + sold + returned`, for each product.
        Conservation = "conservation",
        /// A product's `held` is the sum of its active holds.
        Held = "held",
        /// A product's `pending` is the sum of its unpaid orders.
        Pending = "pending",
        /// A product's `sold` is the sum of its paid orders less what was refunded, those
        /// that retention has deleted included.
        Sold = "sold",
        /// A converted hold has an order, every hold a product, an extended hold its own
        /// row, and what is kept of its customer fits it.
        GhostHold = "ghost_hold",
        /// An order has a converted hold of the same product and quantity, and what is
        /// kept of its customer and its disposition fits it.
        OrphanOrder = "orphan_order",
        /// A payment event that waits has no order yet, and is marked as waiting.
        StuckEvent = "stuck_event",
        /// A product's `next_due` is not later than its first due hold or order.
        NextDue = "next_due",
        /// A cached product at the stored version equals the stored row.
        CacheDrift = "cache_drift",
        /// A row of holds counts what its packed statuses say, and shares no id with
        /// another row.
        HoldBatch = "hold_batch",
        /// A product's `returned` is the sum of what its orders' lines say, those that
        /// retention has deleted included.
        Returned = "returned",
        /// No two products have the same SKU.
        Sku = "sku",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_str_equals_the_serialized_check() {
        for check in [
            Check::Conservation,
            Check::Held,
            Check::Pending,
            Check::Sold,
            Check::GhostHold,
            Check::OrphanOrder,
            Check::StuckEvent,
            Check::NextDue,
            Check::CacheDrift,
            Check::HoldBatch,
            Check::Returned,
            Check::Sku,
        ] {
            assert_eq!(serde_json::to_value(check).expect("a string"), check.as_str());
        }
    }
}
