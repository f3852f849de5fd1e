//! Ids from blocks drawn ahead, so that they are known before a transaction
//! begins.

use std::sync::{Arc, Mutex, PoisonError};

use crate::store::{Sequence, Store, StoreResult};

/// Blocks grow from the first to the last size, so that a busy engine seldom
/// draws and an idle one wastes few ids.
const BLOCK_FIRST: u64 = 16;
const BLOCK_LAST: u64 = 1 << 14;

pub(super) struct Ids {
    store: Arc<dyn Store>,
    holds: Blocks,
    orders: Blocks,
    batches: Blocks,
}

struct Blocks {
    sequence: Sequence,
    /// Held for moments only.
    stock: Mutex<Stock>,
    /// Held while a block is drawn, so that only one is.
    drawing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Stock {
    /// Unused ids, the next to use last.
    ids: Vec<u64>,
    block: u64,
}

impl Ids {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let blocks = |sequence| Blocks {
            sequence,
            stock: Mutex::default(),
            drawing: tokio::sync::Mutex::default(),
        };
        Self {
            store,
            holds: blocks(Sequence::Hold),
            orders: blocks(Sequence::Order),
            batches: blocks(Sequence::Batch),
        }
    }

    fn blocks(&self, sequence: Sequence) -> &Blocks {
        match sequence {
            Sequence::Order => &self.orders,
            Sequence::Batch => &self.batches,
            Sequence::Hold | Sequence::Product => &self.holds,
        }
    }

    /// Takes `count` ids, ascending.
    pub async fn take(&self, sequence: Sequence, count: usize) -> StoreResult<Vec<u64>> {
        let blocks = self.blocks(sequence);
        loop {
            if let Some(ids) = blocks.take(count) {
                return Ok(ids);
            }
            let _alone = blocks.drawing.lock().await;
            if let Some(ids) = blocks.take(count) {
                return Ok(ids);
            }
            let wanted = blocks.next_block(count);
            let first = self.store.draw(blocks.sequence, wanted).await?;
            blocks.add(first, wanted);
        }
    }

    /// Gives back ids that no row got.
    pub fn give_back(&self, sequence: Sequence, ids: Vec<u64>) {
        if ids.is_empty() {
            return;
        }
        let mut stock = self.blocks(sequence).stock();
        stock.ids.extend(ids);
        stock.ids.sort_unstable_by(|a, b| b.cmp(a));
    }
}

impl Ids {
    /// Drops the ids of holds and orders that are left, since another process
    /// has been found to use them, too; the next block is a small one.
    pub fn discard(&self) {
        for blocks in [&self.holds, &self.orders] {
            *blocks.stock() = Stock::default();
        }
    }
}

impl Blocks {
    fn stock(&self) -> std::sync::MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, count: usize) -> Option<Vec<u64>> {
        let mut stock = self.stock();
        let rest = stock.ids.len().checked_sub(count)?;
        let mut ids = stock.ids.split_off(rest);
        ids.reverse();
        Some(ids)
    }

    fn next_block(&self, count: usize) -> u64 {
        let mut stock = self.stock();
        stock.block = (stock.block * 2).clamp(BLOCK_FIRST, BLOCK_LAST);
        stock.block.max(u64::try_from(count).unwrap_or(BLOCK_LAST))
    }

    fn add(&self, first: u64, count: u64) {
        let mut stock = self.stock();
        stock.ids.extend(first..first + count);
        stock.ids.sort_unstable_by(|a, b| b.cmp(a));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Blocks {
        let (stock, drawing) = (Mutex::default(), tokio::sync::Mutex::default());
        Blocks { sequence: Sequence::Hold, stock, drawing }
    }

    #[test]
    fn each_block_is_twice_the_one_before_it_up_to_the_last_size() {
        let blocks = blocks();
        let sizes: Vec<u64> = (0..12).map(|_| blocks.next_block(1)).collect();
        let doubled = (0..11).map(|times| BLOCK_FIRST << times);
        assert!(sizes.iter().copied().eq(doubled.chain([BLOCK_LAST])), "{sizes:?}");
        assert_eq!(blocks.next_block(1 << 20), 1 << 20, "no less than is wanted at once");
        assert_eq!(blocks.next_block(1), BLOCK_LAST);
    }

    #[test]
    fn ids_are_taken_in_their_order_and_only_if_all_are_there() {
        let blocks = blocks();
        assert_eq!(blocks.take(1), None);
        blocks.add(7, 3);
        assert_eq!(blocks.take(4), None, "there are but three");
        assert_eq!(blocks.take(2), Some(vec![7, 8]));
        blocks.add(20, 2);
        assert_eq!(blocks.take(3), Some(vec![9, 20, 21]));
        assert_eq!(blocks.take(0), Some(vec![]));
    }
}
