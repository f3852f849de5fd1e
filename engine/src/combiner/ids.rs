//! Allocates ids from blocks (hi/lo allocation), so that they are known before a
//! transaction begins and most batches need no round trip for them.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::runtime;
use crate::store::{ID_BLOCK_AGE_MAX, Sequence, Store, StoreResult};

/// Block sizes double from the first to the last, so that a busy engine seldom
/// allocates a block and an idle one wastes few ids.
const BLOCK_MIN: u64 = 16;
const BLOCK_MAX: u64 = 1 << 14;

pub(super) struct IdAllocator {
    store: Arc<dyn Store>,
    holds: BlockAllocator,
    orders: BlockAllocator,
    batches: BlockAllocator,
}

struct BlockAllocator {
    sequence: Sequence,
    /// Guards the free ids. A plain mutex: critical sections never await.
    free: Mutex<FreeIds>,
    /// Single-flight: held across the round trip that allocates a block, so that
    /// concurrent callers wait for one block. An async mutex, since it is held
    /// across an await.
    refill: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct FreeIds {
    /// Free ids, descending: the next to use is last.
    ids: Vec<u64>,
    /// The size of the last block.
    block: u64,
    /// When the oldest of the free ids was drawn, and the first of its block. Ids
    /// before it are of a block that was discarded.
    drawn: Option<(Instant, u64)>,
}

impl IdAllocator {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let blocks = |sequence| BlockAllocator {
            sequence,
            free: Mutex::default(),
            refill: tokio::sync::Mutex::default(),
        };
        Self {
            store,
            holds: blocks(Sequence::Hold),
            orders: blocks(Sequence::Order),
            batches: blocks(Sequence::Batch),
        }
    }

    fn blocks(&self, sequence: Sequence) -> &BlockAllocator {
        match sequence {
            Sequence::Order => &self.orders,
            Sequence::Batch => &self.batches,
            Sequence::Hold | Sequence::Product => &self.holds,
        }
    }

    pub async fn take(&self, sequence: Sequence, count: usize) -> StoreResult<Vec<u64>> {
        let blocks = self.blocks(sequence);
        loop {
            if let Some(ids) = blocks.take(count) {
                return Ok(ids);
            }
            let _single_flight = blocks.refill.lock().await;
            if let Some(ids) = blocks.take(count) {
                return Ok(ids);
            }
            let wanted = blocks.next_block(count);
            let first = self.store.draw(blocks.sequence, wanted).await?;
            blocks.add(first, wanted);
        }
    }

    /// Takes back ids that no row used.
    pub fn release(&self, sequence: Sequence, ids: Vec<u64>) {
        if ids.is_empty() {
            return;
        }
        let mut free = self.blocks(sequence).free.lock();
        let Some((_, first)) = free.drawn else { return };
        free.ids.extend(ids.into_iter().filter(|id| *id >= first));
        free.ids.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Discards the free ids of holds and orders after another process was found
    /// to use them, too. The next block is a small one.
    pub fn discard_blocks(&self) {
        for blocks in [&self.holds, &self.orders] {
            *blocks.free.lock() = FreeIds::default();
        }
    }
}

impl BlockAllocator {
    fn take(&self, count: usize) -> Option<Vec<u64>> {
        let mut free = self.free.lock();
        // Retention relies on ids that ascend with time.
        if free.drawn.is_some_and(|(at, _)| runtime::elapsed(at) >= ID_BLOCK_AGE_MAX / 2) {
            *free = FreeIds::default();
        }
        let rest = free.ids.len().checked_sub(count)?;
        let mut ids = free.ids.split_off(rest);
        ids.reverse();
        Some(ids)
    }

    fn next_block(&self, count: usize) -> u64 {
        let mut free = self.free.lock();
        free.block = (free.block * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        free.block.max(u64::try_from(count).unwrap_or(BLOCK_MAX))
    }

    fn add(&self, first: u64, count: u64) {
        let mut free = self.free.lock();
        if free.ids.is_empty() || free.drawn.is_none() {
            free.drawn = Some((runtime::now(), first));
        }
        free.ids.extend(first..first + count);
        free.ids.sort_unstable_by(|a, b| b.cmp(a));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> BlockAllocator {
        let (free, refill) = (Mutex::default(), tokio::sync::Mutex::default());
        BlockAllocator { sequence: Sequence::Hold, free, refill }
    }

    #[test]
    fn next_block_doubles_up_to_the_maximum() {
        let blocks = blocks();
        let sizes: Vec<u64> = (0..12).map(|_| blocks.next_block(1)).collect();
        let doubled = (0..11).map(|times| BLOCK_MIN << times);
        assert!(sizes.iter().copied().eq(doubled.chain([BLOCK_MAX])), "{sizes:?}");
        assert_eq!(blocks.next_block(1 << 20), 1 << 20, "at least as many as requested");
        assert_eq!(blocks.next_block(1), BLOCK_MAX);
    }

    #[test]
    fn take_returns_ids_in_order_and_only_if_all_are_free() {
        let blocks = blocks();
        assert_eq!(blocks.take(1), None);
        blocks.add(7, 3);
        assert_eq!(blocks.take(4), None, "only three are free");
        assert_eq!(blocks.take(2), Some(vec![7, 8]));
        blocks.add(20, 2);
        assert_eq!(blocks.take(3), Some(vec![9, 20, 21]));
        assert_eq!(blocks.take(0), Some(vec![]));
    }
}
