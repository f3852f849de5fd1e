//! The packed form of holds: one row for the holds that one transaction creates of
//! one product with one end.
//!
//! The ids of a row are consecutive. Quantities have one fixed width, the least of
//! 1, 2 and 4 bytes that fits the greatest; it follows from the length and the
//! number of holds. A status is one byte. A row with holds of carts has the id of
//! each hold's cart in 8 bytes. Tokens are derived from the seed. See
//! `docs/internals/hold-batches.md`.

use crate::ledger::HoldRow;
use crate::model::{
    CartId, Coded, HoldId, HoldQuery, HoldStatus, ProductId, Timestamp, TokenDeriver, TokenSeed,
};

/// The most holds of one row. The binary log carries both images of a row at each
/// of its transitions, which bounds what a larger row would save.
pub(super) const HOLDS_MAX: usize = 256;

/// The status of a hold whose status and end are in a row of its own.
pub(super) const DETACHED: u8 = 4;

/// The number of statuses: those of [`HoldStatus`], then [`DETACHED`].
const STATUSES: usize = 5;

/// A row of holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldBatch {
    pub first_id: u64,
    pub product_id: ProductId,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// Raised by each write; guards it (optimistic concurrency).
    pub version: u64,
    pub seed: TokenSeed,
    quantities: Vec<u8>,
    statuses: Vec<u8>,
    /// The carts of the holds, 0 for none; empty if no hold has one.
    carts: Vec<u8>,
}

/// The bytes of a cart's id.
const CART_WIDTH: usize = 8;

/// What a row counts of its holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Holds by the code of their status.
    pub holds: [u64; STATUSES],
    /// The units of the active ones.
    pub active_units: u64,
}

/// Returns the stored code of a status.
pub(super) fn code(status: HoldStatus) -> u8 {
    status as u8
}

impl HoldBatch {
    /// Packs holds, which must ascend by id, into rows of version 1. A row ends
    /// where the ids have a gap, where the product, the creation or the end
    /// changes, and after [`HOLDS_MAX`] holds.
    pub fn pack<'a>(holds: impl IntoIterator<Item = &'a HoldRow>, seed: TokenSeed) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        let mut quantities: Vec<u32> = Vec::new();
        for hold in holds {
            match rows.last_mut() {
                Some(row) if row.is_continued_by(hold) => {
                    row.statuses.push(code(hold.status));
                    row.push_cart(hold.cart_id);
                }
                last => {
                    if let Some(last) = last {
                        last.quantities = pack_quantities(&quantities);
                        quantities.clear();
                    }
                    let mut row = Self {
                        first_id: hold.id.0,
                        product_id: hold.product_id,
                        expires_at: hold.expires_at,
                        created_at: hold.created_at,
                        version: 1,
                        seed,
                        quantities: Vec::new(),
                        statuses: vec![code(hold.status)],
                        carts: Vec::new(),
                    };
                    row.push_cart(hold.cart_id);
                    rows.push(row);
                }
            }
            quantities.push(hold.quantity);
        }
        if let Some(last) = rows.last_mut() {
            last.quantities = pack_quantities(&quantities);
        }
        rows
    }

    fn is_continued_by(&self, hold: &HoldRow) -> bool {
        self.statuses.len() < HOLDS_MAX
            && self.end_id() == hold.id.0
            && self.product_id == hold.product_id
            && self.expires_at == hold.expires_at
            && self.created_at == hold.created_at
    }

    /// Adds the cart of the last hold.
    fn push_cart(&mut self, cart_id: Option<CartId>) {
        if cart_id.is_some() || !self.carts.is_empty() {
            let before = self.statuses.len().saturating_sub(1);
            self.carts.resize(before * CART_WIDTH, 0);
            self.carts.extend(cart_id.map_or(0, |id| id.0).to_be_bytes());
        }
    }

    /// Takes the packed carts of a row with its other packed columns, if they are
    /// well-formed.
    pub fn with_carts(self, carts: Option<Vec<u8>>) -> Option<Self> {
        let Some(carts) = carts else { return Some(self) };
        (carts.len() == self.count() * CART_WIDTH).then_some(Self { carts, ..self })
    }

    /// Takes the packed columns of a row, if they are well-formed.
    pub fn with_packed(self, quantities: Vec<u8>, statuses: Vec<u8>) -> Option<Self> {
        let (count, length) = (statuses.len(), quantities.len());
        let is_well_formed = (1..=HOLDS_MAX).contains(&count)
            && [count, 2 * count, 4 * count].contains(&length)
            && statuses.iter().all(|status| usize::from(*status) < STATUSES);
        is_well_formed.then_some(Self { quantities, statuses, ..self })
    }

    /// A row without its packed columns, for [`HoldBatch::with_packed`].
    pub fn unpacked(
        first_id: u64,
        product_id: ProductId,
        expires_at: Timestamp,
        created_at: Timestamp,
        version: u64,
        seed: TokenSeed,
    ) -> Self {
        let (quantities, statuses, carts) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            first_id,
            product_id,
            expires_at,
            created_at,
            version,
            seed,
            quantities,
            statuses,
            carts,
        }
    }

    /// The number of holds.
    pub fn count(&self) -> usize {
        self.statuses.len()
    }

    /// The id after the last.
    pub fn end_id(&self) -> u64 {
        self.first_id.saturating_add(self.statuses.len() as u64)
    }

    /// The last id.
    pub fn last_id(&self) -> HoldId {
        HoldId(self.end_id().saturating_sub(1))
    }

    /// Returns the position of a hold, if the row has it.
    pub fn position(&self, id: HoldId) -> Option<usize> {
        let at = usize::try_from(id.0.checked_sub(self.first_id)?).ok()?;
        (at < self.statuses.len()).then_some(at)
    }

    /// Returns the stored status of the hold at a position.
    pub fn status(&self, at: usize) -> Option<u8> {
        self.statuses.get(at).copied()
    }

    pub fn set_status(&mut self, at: usize, status: u8) {
        if let Some(stored) = self.statuses.get_mut(at) {
            *stored = status;
        }
    }

    pub fn quantity(&self, at: usize) -> Option<u32> {
        let width = self.quantities.len().checked_div(self.statuses.len())?;
        let bytes = self.quantities.get(at * width..(at + 1) * width)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Sets the units of the hold at a position. Packs all of them again, since the
    /// width may change.
    pub fn set_quantity(&mut self, at: usize, quantity: u32) {
        let mut all: Vec<u32> = (0..self.count()).filter_map(|at| self.quantity(at)).collect();
        if let Some(stored) = all.get_mut(at) {
            *stored = quantity;
        }
        self.quantities = pack_quantities(&all);
    }

    /// Returns the cart of the hold at a position.
    pub fn cart_id(&self, at: usize) -> Option<CartId> {
        let bytes = self.carts.get(at * CART_WIDTH..(at + 1) * CART_WIDTH)?;
        let id = u64::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(CartId(id))
    }

    /// Unpacks the holds, each with its stored status; those that are detached
    /// look active.
    pub fn holds(&self) -> impl Iterator<Item = (u8, HoldRow)> {
        let tokens = self.seed.deriver();
        (0..self.count()).filter_map(move |at| Some((self.status(at)?, self.unpack(at, &tokens)?)))
    }

    /// Unpacks the hold at a position, as [`HoldBatch::holds`] does.
    pub fn hold(&self, at: usize) -> Option<HoldRow> {
        self.unpack(at, &self.seed.deriver())
    }

    fn unpack(&self, at: usize, tokens: &TokenDeriver) -> Option<HoldRow> {
        let id = HoldId(self.first_id.checked_add(u64::try_from(at).ok()?)?);
        Some(HoldRow {
            id,
            product_id: self.product_id,
            quantity: self.quantity(at)?,
            status: HoldStatus::from_code(self.status(at)?.into()).unwrap_or(HoldStatus::Active),
            expires_at: self.expires_at,
            created_at: self.created_at,
            token: tokens.token(id),
            cart_id: self.cart_id(at),
        })
    }

    /// Counts the holds that match a query and have ids above `after`, but for
    /// detached ones.
    pub fn holds_matching(&self, query: &HoldQuery, after: u64, now: Timestamp) -> usize {
        let skipped = usize::try_from(after.saturating_add(1).saturating_sub(self.first_id));
        let codes = self.statuses.iter().skip(skipped.unwrap_or(usize::MAX));
        let statuses = codes.filter_map(|code| HoldStatus::from_code(i64::from(*code)));
        let statuses = statuses.map(|status| status.at(now, self.expires_at));
        let matches =
            |status: &HoldStatus| query.matches(self.product_id, *status, self.created_at);
        statuses.filter(matches).count()
    }

    /// Counts the holds by their statuses.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (at, status) in self.statuses.iter().enumerate() {
            if let Some(holds) = counts.holds.get_mut(usize::from(*status)) {
                *holds += 1;
            }
            if *status == 0 {
                counts.active_units += u64::from(self.quantity(at).unwrap_or(0));
            }
        }
        counts
    }

    /// When the row falls due; `None` if no hold is active.
    pub fn due(&self) -> Option<Timestamp> {
        self.statuses.contains(&0).then_some(self.expires_at)
    }

    pub fn packed_quantities(&self) -> &[u8] {
        &self.quantities
    }

    pub fn packed_statuses(&self) -> &[u8] {
        &self.statuses
    }

    /// The packed carts, if a hold has one.
    pub fn packed_carts(&self) -> Option<&[u8]> {
        (!self.carts.is_empty()).then_some(&self.carts)
    }
}

/// Packs quantities in the least width that fits the greatest, big-endian.
fn pack_quantities(quantities: &[u32]) -> Vec<u8> {
    let width = match quantities.iter().copied().max().unwrap_or(0) {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    };
    quantities
        .iter()
        .flat_map(|quantity| quantity.to_be_bytes().into_iter().skip(4 - width))
        .collect()
}

#[cfg(test)]
mod tests;
