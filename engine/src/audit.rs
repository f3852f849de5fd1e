//! What an audit found: whether every unit is where the books say it is.

use serde::{Deserialize, Serialize};

use crate::model::{ProductId, Timestamp};

/// The result of comparing all of a store's numbers with each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Whether nothing was found wrong.
    pub consistent: bool,
    /// Products looked at.
    pub products: u64,
    /// Units over all products.
    pub units: Units,
    /// Payment events that wait for an order which is not there yet. Not a
    /// fault by itself.
    pub waiting_events: u64,
    /// When the oldest of them came.
    pub oldest_waiting_event: Option<Timestamp>,
    /// Products with due holds or orders that no sweep has taken back yet. Not
    /// a fault: they are dead all the same.
    pub products_due: u64,
    /// What is wrong and where, at most [`AuditReport::FINDINGS_PER_CHECK`] of
    /// each check.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// The most findings that one check reports.
    pub const FINDINGS_PER_CHECK: u32 = 100;
}

/// Units by where they are, over all products. Sums of 63-bit numbers, so
/// they may be greater than each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Units {
    /// Ever received, less those written off.
    pub received: i128,
    /// Can be held.
    pub stock: i128,
    /// In active holds.
    pub held: i128,
    /// In unpaid orders.
    pub pending: i128,
    /// In paid orders.
    pub sold: i128,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The check that found it.
    pub check: Check,
    /// The id of the product, hold or order, as the check is about one or another.
    pub id: u64,
    /// What was expected and what was found.
    pub detail: String,
}

/// What an audit compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// `received = stock + held + pending + sold`, for each product.
    Conservation,
    /// A product's `held` is the sum of its active holds.
    Held,
    /// A product's `pending` is the sum of its unpaid orders.
    Pending,
    /// A product's `sold` is the sum of its paid orders.
    Sold,
    /// A converted hold has an order, every hold a product, and what is kept of
    /// a customer's hold is of an active one.
    GhostHold,
    /// An order has a converted hold of the same product and quantity.
    OrphanOrder,
    /// An event that waits has no order yet, and is marked as waiting.
    StuckEvent,
    /// A product's `next_due` is not later than its first due hold or order.
    NextDue,
    /// A cached product with the stored version has the stored numbers.
    CacheDrift,
}

impl Check {
    /// The check as it is written in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conservation => "conservation",
            Self::Held => "held",
            Self::Pending => "pending",
            Self::Sold => "sold",
            Self::GhostHold => "ghost_hold",
            Self::OrphanOrder => "orphan_order",
            Self::StuckEvent => "stuck_event",
            Self::NextDue => "next_due",
            Self::CacheDrift => "cache_drift",
        }
    }
}

/// What a store read for an audit, in one snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditFacts {
    pub products: u64,
    pub units: Units,
    pub waiting_events: u64,
    pub oldest_waiting_event: Option<Timestamp>,
    pub products_due: u64,
    pub findings: Vec<Finding>,
}

impl AuditFacts {
    /// The report, with what the caches were found to hold.
    pub fn report(
        mut self,
        cache_drift: impl IntoIterator<Item = (ProductId, String)>,
    ) -> AuditReport {
        self.findings.extend(cache_drift.into_iter().map(|(id, detail)| Finding {
            check: Check::CacheDrift,
            id: id.0,
            detail,
        }));
        AuditReport {
            consistent: self.findings.is_empty(),
            products: self.products,
            units: self.units,
            waiting_events: self.waiting_events,
            oldest_waiting_event: self.oldest_waiting_event,
            products_due: self.products_due,
            findings: self.findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_one_word_everywhere() {
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
        ] {
            assert_eq!(serde_json::to_value(check).expect("a word"), check.as_str());
        }
    }
}
