//! Finds the end of the event stream, however long it is, by few reads of one event.

use stockade::{AsyncEngine, Result};

/// Beyond all cursors, and small enough for a store to add to it.
const CURSOR_MAX: u64 = 1 << 62;

/// Returns the cursor of the newest event, or `from` if there is none after it. Gallops
/// forward, then bisects: 2 reads for each doubling of the distance.
///
/// # Errors
/// `unavailable`
pub async fn newest(engine: &AsyncEngine, from: u64) -> Result<u64> {
    let first_after = async |cursor: u64| -> Result<Option<u64>> {
        Ok(engine.events_after(cursor, 1).await?.first().map(|event| event.cursor))
    };
    // An event is at `low`, or it is `from`; after `high` there was none when it was read.
    let (mut low, mut step) = (from, 1_u64);
    let mut high = loop {
        let probe = low.saturating_add(step).min(CURSOR_MAX);
        match first_after(probe).await? {
            Some(found) => (low, step) = (found, step.saturating_mul(2)),
            None => break probe,
        }
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match first_after(middle).await? {
            Some(found) => low = found,
            None => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stockade::{Money, NewProduct, StockAdjustment};

    #[tokio::test]
    async fn the_newest_event_is_found_from_everywhere() {
        let engine = AsyncEngine::open("sqlite::memory:").await.unwrap();
        assert_eq!(newest(&engine, 0).await.unwrap(), 0);
        let price = Money::from_minor(100).unwrap();
        let product = engine.create_product(&NewProduct::new("Lamp", price, 5)).await.unwrap();
        for _ in 0..20 {
            let last = engine.events_after(0, 1_000).await.unwrap().last().unwrap().cursor;
            for from in [0, 1, last / 2, last.saturating_sub(1), last] {
                assert_eq!(newest(&engine, from).await.unwrap(), last, "{from}");
            }
            let adjusted = StockAdjustment::new(product.value.id, 1, "count");
            engine.adjust_stock(&adjusted).await.unwrap();
        }
        engine.close().await;
    }
}
