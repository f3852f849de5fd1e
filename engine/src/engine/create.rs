//! Creates a product: draws its id, and is sure whose row has it.

use backon::BackoffBuilder;

use crate::model::{NewProduct, ProductId};
use crate::runtime;
use crate::store::{
    Fault, ProductInsert, Sequence, Store, StoreResult, batch_id, pauses, steadily,
};

/// Inserts a product under an id that no other has, and returns the id.
pub(super) async fn insert_product(
    store: &dyn Store,
    new: &NewProduct,
    retries: u32,
) -> StoreResult<ProductId> {
    let NewProduct { name, price, stock } = new;
    let (price, stock) = (*price, *stock);
    let mut id = ProductId(store.draw(Sequence::Product, 1).await?);
    let batch_id = batch_id(store.draw(Sequence::Batch, 1).await?);
    let mut pauses = pauses(retries).build();
    loop {
        let insert = ProductInsert { id, name, price, stock, batch_id };
        let Err(error) = store.insert_product(insert).await else { return Ok(id) };
        if !error.fault.is_passing() {
            return Err(error);
        }
        // The answer to a commit may be lost though it landed: the row of its
        // batch tells. That there is a product of this id does not, since it
        // may be another's.
        if has_landed(store, batch_id, retries).await? {
            return Ok(id);
        }
        let Some(pause) = pauses.next() else { return Err(error) };
        if error.fault == Fault::Duplicate {
            id = ProductId(store.draw(Sequence::Product, 1).await?);
        } else {
            runtime::sleep(pause).await;
        }
    }
}

async fn has_landed(store: &dyn Store, batch_id: u64, retries: u32) -> StoreResult<bool> {
    steadily(retries, || async move { store.session().await?.landed(batch_id).await }).await
}
