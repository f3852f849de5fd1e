//! The stored form of an order's lines.

use serde::{Deserialize, Serialize};

use crate::model::{HoldId, ProductId};

/// A line of an order as it is stored: an array of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(super) struct StoredLine {
    hold: u64,
    product: u64,
    pub quantity: u32,
    /// In minor units of the order's currency.
    pub price: i64,
    pub refunded: u32,
    pub returned: u32,
    purged: u8,
}

type Packed = (u64, u64, u32, i64, u32, u32, u8);

impl From<Packed> for StoredLine {
    fn from((hold, product, quantity, price, refunded, returned, purged): Packed) -> Self {
        Self { hold, product, quantity, price, refunded, returned, purged }
    }
}

impl From<StoredLine> for Packed {
    fn from(line: StoredLine) -> Self {
        let StoredLine { hold, product, quantity, price, refunded, returned, purged } = line;
        (hold, product, quantity, price, refunded, returned, purged)
    }
}

impl StoredLine {
    /// A line of which nothing was refunded.
    pub fn new(hold: u64, product: u64, quantity: u32, price: i64) -> Self {
        Self { hold, product, quantity, price, refunded: 0, returned: 0, purged: 0 }
    }

    pub fn hold_id(&self) -> HoldId {
        HoldId(self.hold)
    }

    pub fn product_id(&self) -> ProductId {
        ProductId(self.product)
    }

    /// Whether retention has deleted the line's hold: its units are in the product's
    /// counters of deleted ones.
    pub fn is_purged(&self) -> bool {
        self.purged != 0
    }

    /// The line after refunds of so many units, and with so many returned.
    pub fn refunded(self, refunded: u32, returned: u32) -> Self {
        Self { refunded, returned, ..self }
    }

    /// The line once its hold is deleted.
    pub fn purged(self) -> Self {
        Self { purged: 1, ..self }
    }

    /// Units that count as sold while the order was paid.
    pub fn sold(&self) -> u32 {
        self.quantity.saturating_sub(self.refunded)
    }

    /// Packs lines; a line is plain numbers, so that this cannot fail.
    pub fn pack(lines: &[Self]) -> String {
        serde_json::to_string(lines).unwrap_or_default()
    }

    /// Unpacks at least one line.
    pub fn unpack(packed: &str) -> Option<Vec<Self>> {
        let lines: Vec<Self> = serde_json::from_str(packed).ok()?;
        (!lines.is_empty()).then_some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_unpack_as_they_were_packed() {
        let first = StoredLine::new(7, 3, 4, 1_999).refunded(2, 1);
        let lines = [first, StoredLine::new(8, 5, 1, 0).purged()];
        let packed = StoredLine::pack(&lines);
        assert_eq!(packed, "[[7,3,4,1999,2,1,0],[8,5,1,0,0,0,1]]");
        assert_eq!(StoredLine::unpack(&packed).as_deref(), Some(lines.as_slice()));
        assert_eq!(StoredLine::unpack("[]"), None);
        assert_eq!(StoredLine::unpack("[[1,2,3]]"), None);
        assert_eq!((first.sold(), lines[1].sold()), (2, 1));
    }
}
