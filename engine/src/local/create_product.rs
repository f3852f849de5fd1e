//! Creates a product: draws its id, inserts its row once under its
//! idempotency key, and tells a lost answer from a row of another product.

use backon::BackoffBuilder;

use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, IdempotencyKey, KeyRow};
use crate::model::{NewProduct, Product, ProductId, Replayable};
use crate::runtime;
use crate::store::{
    Fault, ProductInsert, ReadSet, Sequence, Store, StoreResult, batch_id, pauses, with_retries,
};

/// Inserts a product under an id that no other row has, unless its idempotency
/// key has an answer already, which is replayed.
///
/// # Errors
/// `idempotency_mismatch` if the key was used for another request; the store's.
pub(super) async fn insert_product(
    store: &dyn Store,
    new: &NewProduct,
    keyed: Option<&IdempotencyKey>,
    retries: u32,
) -> Result<Replayable<Product>> {
    // A key drawn for this request has no answer before the request was sent.
    if let Some(keyed) = keyed.filter(|keyed| !keyed.is_fresh)
        && let Some(replayed) = replay(store, keyed, retries).await?
    {
        return Ok(replayed);
    }
    let mut batch = batch_id(store.draw(Sequence::Batch, 1).await?);
    let mut product = with_id(new, store.draw(Sequence::Product, 1).await?);
    let mut pauses = pauses(retries).build();
    loop {
        let key = keyed.map(|keyed| KeyRow::new(keyed, Ok(Answer::Product(product.clone()))));
        let Product { id, ref name, price, stock, .. } = product;
        let insert = ProductInsert { id, name, price, stock, batch_id: batch, key: key.as_ref() };
        let Err(error) = store.insert_product(insert).await else { return Ok(created(product)) };
        if !error.fault.is_transient() {
            return Err(error.into());
        }
        // The answer to a commit may be lost though it landed: the row of its
        // batch tells. A row with the product's id does not, since it may be
        // another product's.
        if has_landed(store, batch, retries).await? {
            return Ok(created(product));
        }
        if let Some(keyed) = keyed
            && let Some(replayed) = replay(store, keyed, retries).await?
        {
            return Ok(replayed);
        }
        let Some(pause) = pauses.next() else { return Err(error.into()) };
        if error.fault == Fault::Duplicate {
            // Either id may be another row's.
            batch = batch_id(store.draw(Sequence::Batch, 1).await?);
            product = with_id(new, store.draw(Sequence::Product, 1).await?);
        } else {
            runtime::sleep(pause).await;
        }
    }
}

fn with_id(new: &NewProduct, id: u64) -> Product {
    let NewProduct { name, price, stock, .. } = new;
    Product {
        id: ProductId(id),
        name: name.clone(),
        price: *price,
        stock: *stock,
        held: 0,
        pending: 0,
        sold: 0,
        version: 1,
    }
}

fn created(value: Product) -> Replayable<Product> {
    Replayable { value, replayed: false }
}

/// Replays the answer kept under an idempotency key, if there is one.
async fn replay(
    store: &dyn Store,
    keyed: &IdempotencyKey,
    retries: u32,
) -> Result<Option<Replayable<Product>>> {
    let read_set = &ReadSet { keys: vec![keyed.key.clone()], ..ReadSet::default() };
    let mut rows = with_retries(retries, || async move {
        let mut session = store.session().await?;
        let rows = session.begin(read_set).await?.rows;
        session.rollback().await?;
        Ok(rows)
    })
    .await?;
    let Some(kept) = rows.keys.remove(&keyed.key) else { return Ok(None) };
    let (answer, replayed) = kept.replay(keyed);
    match answer {
        Ok(Answer::Product(value)) => Ok(Some(Replayable { value, replayed })),
        Ok(other) => Err(Error::new(
            ErrorKind::Internal,
            format!("the answer kept under the key of a new product is {other:?}"),
        )),
        Err(refusal) => Err(Error::refused(refusal, replayed)),
    }
}

async fn has_landed(store: &dyn Store, batch_id: u64, retries: u32) -> StoreResult<bool> {
    with_retries(retries, || async move { store.session().await?.landed(batch_id).await }).await
}
