//! The stored codes of statuses and kinds. A code never changes.

use crate::model::{
    EventKind, HoldStatus, OrderStatus, Outcome, PaymentDisposition, PaymentStatus,
};

/// A value that the database stores as a small number.
pub(super) trait Coded: Copy + PartialEq + Sized + 'static {
    /// All values; the position of one is its code.
    const ALL: &'static [Self];

    fn code(self) -> i64 {
        let position = Self::ALL.iter().position(|value| *value == self);
        position.and_then(|position| i64::try_from(position).ok()).unwrap_or(-1)
    }

    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

impl Coded for HoldStatus {
    const ALL: &'static [Self] = &[Self::Active, Self::Converted, Self::Released, Self::Expired];
}

impl Coded for OrderStatus {
    const ALL: &'static [Self] = &[Self::PendingPayment, Self::Paid, Self::Cancelled];
}

impl Coded for PaymentDisposition {
    const ALL: &'static [Self] = &[Self::None, Self::ReReserved, Self::NeedsRefund];
}

impl Coded for Outcome {
    const ALL: &'static [Self] = &[Self::Success, Self::Failure];
}

impl Coded for PaymentStatus {
    const ALL: &'static [Self] = &[Self::Recorded, Self::Waiting];
}

impl Coded for EventKind {
    const ALL: &'static [Self] = &EventKind::ALL;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_in_sql_texts_are_right() {
        assert_eq!(HoldStatus::Active.code(), 0);
        assert_eq!(HoldStatus::Converted.code(), 1);
        assert_eq!(OrderStatus::PendingPayment.code(), 0);
        assert_eq!(OrderStatus::Paid.code(), 1);
        assert_eq!(EventKind::StockAdjusted.code(), 9);
        assert_eq!(HoldStatus::from_code(3), Some(HoldStatus::Expired));
        assert_eq!(HoldStatus::from_code(4), None);
        assert_eq!(HoldStatus::from_code(-1), None);
    }
}
