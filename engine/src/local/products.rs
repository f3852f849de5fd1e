//! The operations on products, and the way from a product's name to its lane.

use std::sync::Arc;

use futures_util::future::join_all;

use super::operations::{no_such, page_limit, replayable, unexpected};
use super::{LocalBackend, commands, product_commands};
use crate::cache::CachedProduct;
use crate::call::Retry;
use crate::combiner::{CommandResponse, LaneId};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Answer, Command};
use crate::model::{
    NewProduct, Product, ProductChange, ProductId, ProductPage, ProductRef, PutOutcome, PutProduct,
    Replayable, StockAdjustment,
};
use crate::sku_index::Skus;
use crate::store::Store;

/// How often a request looks up its SKU, if that is another product's each time.
const SKU_LOOKUPS_MAX: usize = 8;
/// The most products of an import that are queued at a time: some transactions' worth.
const WAVE_MAX: usize = 2_048;

/// Whether a request's name of a product is this one's.
pub(super) fn is_named(product: &Product, named: &ProductRef) -> bool {
    match named {
        ProductRef::Id(id) => product.id == *id,
        ProductRef::Sku(sku) => product.sku.as_ref() == Some(sku),
    }
}

/// The error of a SKU that goes from product to product faster than it is looked up.
pub(super) fn sku_moves() -> Error {
    let why = "the SKU was given to another product in the meantime, again and again; try again";
    Error::new(ErrorKind::Contention, why)
}

pub(super) fn no_such_product(named: &ProductRef) -> Error {
    match named {
        ProductRef::Id(id) => no_such("product", id.0),
        ProductRef::Sku(sku) => {
            Error::new(ErrorKind::NotFound, format!("there is no product with the SKU `{sku}`"))
        }
    }
}

impl LocalBackend {
    /// Finds the products of the SKUs among these names.
    pub(super) async fn find_skus<'a>(
        &self,
        names: impl Iterator<Item = &'a ProductRef>,
        afresh: bool,
    ) -> Result<Skus> {
        let mut skus: Vec<String> = Vec::new();
        for name in names {
            if let ProductRef::Sku(sku) = name {
                commands::check_sku(sku)?;
                skus.push(sku.clone());
            }
        }
        skus.sort_unstable();
        skus.dedup();
        self.services.sku_index.find(skus, afresh).await
    }

    /// Executes a command about products that a request names, and looks up their SKUs
    /// again where they have become another product's.
    pub(super) async fn submit_named(
        &self,
        names: &[&ProductRef],
        command: impl Fn(&Skus) -> Result<Command>,
    ) -> Result<CommandResponse> {
        for lookup in 0..SKU_LOOKUPS_MAX {
            let skus = self.find_skus(names.iter().copied(), lookup > 0).await?;
            let command = command(&skus)?;
            let ids = names.iter().map(|name| skus.id(name)).filter(|id| id.is_possible());
            let lanes = ids.map(|id| self.combiner.lane(id));
            let done = self.submit(command, lanes).await?;
            if !matches!(done.answer, Answer::StaleName) {
                return Ok(done);
            }
        }
        Err(sku_moves())
    }

    pub async fn product(&self, named: ProductRef) -> Result<Product> {
        commands::check_product(&named)?;
        for lookup in 0..SKU_LOOKUPS_MAX {
            let skus = self.find_skus(std::iter::once(&named), lookup > 0).await?;
            let id = skus.id(&named);
            if !id.is_possible() {
                return Err(no_such_product(&named));
            }
            let load = async || {
                let read = self.read_store(move |store| async move { store.product(id).await });
                Ok(read.await?.map(|(product, _)| product))
            };
            // The row in the cache may be older than the SKU's entry.
            let found = if lookup < 2 {
                self.services.cache.get_or_load(id, self.services.store.now(), load).await?
            } else {
                load().await?
            };
            match found.map(|cached| cached.product) {
                Some(product) if is_named(&product, &named) => return Ok(product),
                None if named.id().is_some() => return Err(no_such_product(&named)),
                _ => {}
            }
        }
        Err(sku_moves())
    }

    pub async fn products(&self, after: Option<ProductId>, limit: u32) -> Result<ProductPage> {
        let size = page_limit(limit)?;
        // Stores keep ids as signed integers: none is larger.
        let after = after.map_or(0, |id| id.0).min(i64::MAX.unsigned_abs());
        // Reads one more than asked for, to see whether there is a next page.
        let read =
            move |store: Arc<dyn Store>| async move { store.products(after, limit + 1).await };
        let mut found: Vec<CachedProduct> = self.read_store(read).await?;
        let is_last = found.len() <= size;
        found.truncate(size);
        let items: Vec<Product> = found.into_iter().map(|cached| cached.product).collect();
        let next = items.last().map(|product| product.id).filter(|_| !is_last);
        Ok(ProductPage { items, next })
    }

    pub async fn create_product(
        &self,
        new: NewProduct,
        retry: Option<Retry>,
    ) -> Result<Replayable<Product>> {
        let command = product_commands::create_product(&self.services.config, &new, retry)?;
        let lanes: Vec<LaneId> = new.id.map(|id| self.combiner.lane(id)).into_iter().collect();
        replayable!(self.submit(command, lanes).await?, boxed Product)
    }

    pub async fn put_product(
        &self,
        request: PutProduct,
        retry: Option<Retry>,
    ) -> Result<PutOutcome> {
        let config = &self.services.config;
        let command = |skus: &Skus| product_commands::put_product(config, &request, skus, retry);
        put_outcome(self.submit_named(&[&request.product], command).await?)
    }

    /// Makes or replaces products in waves, each of which is queued at once.
    pub async fn put_products(
        &self,
        requests: Vec<PutProduct>,
        retry: Option<Retry>,
    ) -> Result<Vec<Result<PutOutcome>>> {
        let wave_max = self.services.config.queue_limit.clamp(1, WAVE_MAX);
        let mut results = Vec::with_capacity(requests.len());
        for wave in requests.chunks(wave_max) {
            let first = results.len();
            // One read finds the SKUs of many, of which few may be known.
            let names = wave.iter().map(|request| &request.product);
            let known = names.filter(|name| commands::check_product(name).is_ok());
            self.find_skus(known, false).await?;
            let puts = wave.iter().enumerate().map(|(at, request)| {
                let retry = retry.map(|retry| retry.of_item(first + at));
                self.put_product(request.clone(), retry)
            });
            results.extend(join_all(puts).await);
        }
        Ok(results)
    }

    pub async fn change_product(
        &self,
        request: ProductChange,
        retry: Option<Retry>,
    ) -> Result<Product> {
        let command = |skus: &Skus| product_commands::change_product(&request, skus, retry);
        let done = self.submit_named(&[&request.product], command).await?;
        Ok(replayable!(done, boxed Product)?.value)
    }

    pub async fn adjust_stock(
        &self,
        adjustment: StockAdjustment,
        retry: Option<Retry>,
    ) -> Result<Replayable<Product>> {
        let command = |skus: &Skus| product_commands::adjust_stock(&adjustment, skus, retry);
        let done = self.submit_named(&[&adjustment.product], command).await?;
        let StockAdjustment { product, delta, to, reason, .. } = &adjustment;
        let replayed = done.replayed;
        tracing::info!(%product, delta, to, reason, replayed, "adjusted stock");
        replayable!(done, boxed Product)
    }
}

fn put_outcome(done: CommandResponse) -> Result<PutOutcome> {
    match done.answer {
        Answer::Put { product, created } => Ok(PutOutcome { product: *product, created }),
        other => Err(unexpected(&other)),
    }
}
