//! The probe, once the faults are over.

use std::time::Duration;

use super::log::{HoldOp, Told, Wrong, marked_life};
use super::shop::{PATIENCE, Seat, Shop};
use crate::error::ErrorKind;
use crate::model::{Hold, HoldRequest, ProductId};
use crate::runtime;

/// Longer than what is sold out is remembered.
const REMEMBERED: Duration = Duration::from_millis(60);

/// Whether each engine serves again, and sells all that there is.
pub(super) async fn probe(shop: &Shop) {
    let seats = shop.seats().clone();
    for seat in seats {
        runtime::sleep(REMEMBERED).await;
        for id in &shop.products {
            let probed = runtime::timeout(PATIENCE, probe_product(shop, &seat, *id)).await;
            let wrong = match probed {
                None => "the service was not back".to_owned(),
                Some(Err(why)) => why,
                Some(Ok(())) => continue,
            };
            shop.log.wrong(Wrong::Unexplained, format!("product {id} after the faults: {wrong}"));
        }
    }
}

async fn probe_product(shop: &Shop, seat: &Seat, id: ProductId) -> Result<(), String> {
    let in_stock = || {
        let row = shop.database.read(|tables| tables.products.get(&id).cloned());
        u32::try_from(row.map_or(0, |row| row.product.stock)).unwrap_or(u32::MAX)
    };
    let stock = in_stock();
    refused(seat, id, stock + 1, stock).await?;
    if stock == 0 {
        return Ok(());
    }
    let hold = hold_all(shop, seat, id, stock).await?;
    refused(seat, id, 1, 0).await?;
    release(shop, seat, hold).await?;
    // What has come back is for sale at once.
    let hold = hold_all(shop, seat, id, stock).await?;
    release(shop, seat, hold).await?;
    let back = in_stock();
    if back == stock { Ok(()) } else { Err(format!("{back} of {stock} came back")) }
}

/// Asks for more than there is, which is refused.
async fn refused(seat: &Seat, id: ProductId, quantity: u32, available: u32) -> Result<(), String> {
    match seat.core.hold(HoldRequest::new(id, quantity), None).await {
        Ok(held) => Err(format!("{:?} was held beyond {available}", held.value)),
        Err(error) if error.kind() != ErrorKind::InsufficientStock => {
            Err(format!("instead of a refusal: {error}"))
        }
        Err(error) if error.available() != Some(available.into()) => {
            Err(format!("{:?} instead of {available} are left", error.available()))
        }
        Err(_) => Ok(()),
    }
}

/// Holds all that there is.
async fn hold_all(shop: &Shop, seat: &Seat, id: ProductId, quantity: u32) -> Result<Hold, String> {
    let op = shop.log.begin();
    let request = HoldRequest::new(id, quantity).ttl(marked_life(op) + Duration::from_secs(600));
    let record = HoldOp { lines: [(id, quantity)].into(), ..HoldOp::default() };
    shop.log.records().holds.insert(op, record);
    let held = seat.core.hold(request, None).await;
    let held = held.map_err(|error| format!("{quantity} in stock were not held: {error}"))?.value;
    if let Some(record) = shop.log.records().holds.get_mut(&op) {
        record.told.push(Told::Done);
        record.answers.push(vec![held.clone()]);
    }
    Ok(held)
}

async fn release(shop: &Shop, seat: &Seat, hold: Hold) -> Result<(), String> {
    shop.log.begin();
    let released = seat.core.release(hold.id.into()).await;
    released.map_err(|error| format!("a hold was not released: {error}"))?;
    shop.log.records().releases.push((hold.id, Told::Done));
    Ok(())
}
