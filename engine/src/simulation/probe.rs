//! Probes every engine after the faults end.

use std::time::Duration;

use super::log::{HoldOp, Response, Violation, tagged_ttl};
use super::shop::{ProcessHandle, RESPONSE_TIMEOUT, Shop};
use crate::error::ErrorKind;
use crate::model::{Hold, HoldRequest, ProductId};
use crate::runtime;

/// Longer than the engine caches that a product is sold out.
const SOLD_OUT_MEMORY: Duration = Duration::from_millis(60);

/// Checks that each engine serves again and can sell the whole stock.
pub(super) async fn probe(shop: &Shop) {
    let handles = shop.handles().clone();
    for handle in handles {
        runtime::sleep(SOLD_OUT_MEMORY).await;
        for id in &shop.products {
            let probed =
                runtime::timeout(RESPONSE_TIMEOUT, probe_product(shop, &handle, *id)).await;
            let violation = match probed {
                None => "no response after the faults ended".to_owned(),
                Some(Err(why)) => why,
                Some(Ok(())) => continue,
            };
            shop.log.report(
                Violation::Unexplained,
                format!("product {id} after the faults: {violation}"),
            );
        }
    }
}

async fn probe_product(shop: &Shop, handle: &ProcessHandle, id: ProductId) -> Result<(), String> {
    let in_stock = || {
        let row = shop.database.read(|tables| tables.products.get(&id).cloned());
        u32::try_from(row.map_or(0, |row| row.product.stock)).unwrap_or(u32::MAX)
    };
    let stock = in_stock();
    refused(handle, id, stock + 1, stock).await?;
    if stock == 0 {
        return Ok(());
    }
    let hold = hold_all(shop, handle, id, stock).await?;
    refused(handle, id, 1, 0).await?;
    release(shop, handle, hold).await?;
    // Returned units are available at once.
    let hold = hold_all(shop, handle, id, stock).await?;
    release(shop, handle, hold).await?;
    let back = in_stock();
    if back == stock { Ok(()) } else { Err(format!("{back} of {stock} units returned")) }
}

/// Checks that a hold beyond the stock is rejected.
async fn refused(
    handle: &ProcessHandle,
    id: ProductId,
    quantity: u32,
    available: u32,
) -> Result<(), String> {
    match handle.backend.create_hold(HoldRequest::new(id, quantity), None).await {
        Ok(held) => Err(format!("{:?} was held beyond the available {available}", held.value)),
        Err(error) if error.kind() != ErrorKind::InsufficientStock => {
            Err(format!("expected insufficient_stock, got: {error}"))
        }
        Err(error) if error.available() != Some(available.into()) => {
            Err(format!("reported {:?} available instead of {available}", error.available()))
        }
        Err(_) => Ok(()),
    }
}

/// Holds the whole stock.
async fn hold_all(
    shop: &Shop,
    handle: &ProcessHandle,
    id: ProductId,
    quantity: u32,
) -> Result<Hold, String> {
    let op = shop.log.begin();
    let request = HoldRequest::new(id, quantity).ttl(tagged_ttl(op) + Duration::from_secs(600));
    let record = HoldOp { lines: [(id, quantity)].into(), ..HoldOp::default() };
    shop.log.records().holds.insert(op, record);
    let held = handle.backend.create_hold(request, None).await;
    let held = held.map_err(|error| format!("cannot hold the {quantity} in stock: {error}"))?.value;
    if let Some(record) = shop.log.records().holds.get_mut(&op) {
        record.responses.push(Response::Done);
        record.answers.push(vec![held.clone()]);
    }
    Ok(held)
}

async fn release(shop: &Shop, handle: &ProcessHandle, hold: Hold) -> Result<(), String> {
    shop.log.begin();
    let released = handle.backend.release_hold(hold.id.into()).await;
    released.map_err(|error| format!("cannot release a hold: {error}"))?;
    shop.log.records().releases.push((hold.id, Response::Done));
    Ok(())
}
