//! The SKU index maps SKUs to the products that had them when they were last seen, so
//! that a request which names a product by its SKU finds its lane without a read.
//!
//! An entry is a hint and may be stale: another process may have given the SKU to
//! another product. Its user checks, under the product's lock or on its row,
//! that the product still has the SKU, and else looks it up again. Callers that arrive
//! during a lookup share the next one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Changes, ProductRowChange};
use crate::model::{Product, ProductId, ProductRef};
use crate::runtime::Runtime;
use crate::store::{SKUS_MAX, Store};

/// The products of SKUs; those that no product has are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Skus(pub BTreeMap<String, ProductId>);

impl Skus {
    /// The product; 0 for a SKU that no product has.
    pub fn id(&self, product: &ProductRef) -> ProductId {
        match product {
            ProductRef::Id(id) => *id,
            ProductRef::Sku(sku) => self.0.get(sku).copied().unwrap_or(ProductId(0)),
        }
    }
}

pub(crate) struct SkuIndex {
    store: Arc<dyn Store>,
    runtime: Runtime,
    entries: Cache<String, ProductId>,
    /// A plain mutex: each critical section is a few operations and never awaits.
    lookups: Mutex<Lookups>,
}

#[derive(Default)]
struct Lookups {
    /// The callers that wait for the next lookup.
    waiting: Vec<(Vec<String>, oneshot::Sender<LookupResult>)>,
    is_looking_up: bool,
}

type LookupResult = Result<Arc<HashMap<String, ProductId>>>;

impl SkuIndex {
    /// An index of at most so many SKUs, whose lookups run on `runtime`.
    pub fn new(store: &Arc<dyn Store>, runtime: &Runtime, capacity: u32) -> Arc<Self> {
        let entries = Cache::new(usize::try_from(capacity).unwrap_or(usize::MAX));
        let (store, runtime) = (Arc::clone(store), runtime.clone());
        Arc::new(Self { store, runtime, entries, lookups: Mutex::default() })
    }

    /// Returns the product that had the SKU when it was last seen.
    pub fn peek(&self, sku: &str) -> Option<ProductId> {
        self.entries.get(sku)
    }

    /// Remembers the SKUs that a transaction has given to products.
    pub fn record(&self, changes: &Changes) {
        let changed =
            |change: &&ProductRowChange| change.before.product.sku != change.after.product.sku;
        for change in changes.products.iter().filter(changed) {
            if let Some(sku) = &change.before.product.sku {
                self.entries.remove(sku);
            }
        }
        let changed = changes.products.iter().filter(changed).map(|change| &change.after.product);
        let new = changes.new_products.iter().map(|row| &row.product);
        changed.chain(new).for_each(|product| self.remember(product));
    }

    fn remember(&self, product: &Product) {
        if let Some(sku) = &product.sku {
            self.entries.insert(sku.clone(), product.id);
        }
    }

    /// Finds the products of SKUs: those that are known, unless `afresh`, and the
    /// others in the store.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be queried.
    pub async fn find(self: &Arc<Self>, skus: Vec<String>, afresh: bool) -> Result<Skus> {
        if skus.is_empty() {
            return Ok(Skus::default());
        }
        if !afresh {
            let known = skus.iter().map(|sku| Some((sku.clone(), self.peek(sku)?)));
            if let Some(known) = known.collect::<Option<BTreeMap<_, _>>>() {
                // One product has one SKU: of two, one entry is stale.
                let products: std::collections::BTreeSet<_> = known.values().collect();
                if products.len() == known.len() {
                    return Ok(Skus(known));
                }
            }
        }
        let mut found = BTreeMap::new();
        for some in skus.chunks(SKUS_MAX) {
            let products = self.look_up_soon(some.to_vec()).await?;
            let of = |sku: &String| Some((sku.clone(), *products.get(sku)?));
            found.extend(some.iter().filter_map(of));
        }
        Ok(Skus(found))
    }

    async fn look_up_soon(self: &Arc<Self>, skus: Vec<String>) -> LookupResult {
        let (result, looked_up) = oneshot::channel();
        {
            let mut lookups = self.lookups.lock();
            lookups.waiting.push((skus, result));
            if !lookups.is_looking_up {
                lookups.is_looking_up = true;
                let index = Arc::clone(self);
                drop(self.runtime.spawn(async move { index.look_up().await }));
            }
        }
        looked_up.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the engine's runtime has shut down"))
        })
    }

    /// Looks up what callers wait for, batch by batch, until none waits.
    async fn look_up(&self) {
        loop {
            let batch = {
                let mut lookups = self.lookups.lock();
                let mut skus = 0;
                let fits = |(of, _): &&(Vec<String>, _)| {
                    skus += of.len();
                    skus <= SKUS_MAX
                };
                let count = lookups.waiting.iter().take_while(fits).count();
                lookups.is_looking_up = count > 0;
                lookups.waiting.drain(..count).collect::<Vec<_>>()
            };
            if batch.is_empty() {
                return;
            }
            let skus: Vec<String> = batch.iter().flat_map(|(skus, _)| skus.clone()).collect();
            let found = self.store.products_of_skus(&skus).await.map(Arc::new).map_err(Error::from);
            if let Ok(found) = &found {
                for sku in &skus {
                    match found.get(sku) {
                        Some(product) => self.entries.insert(sku.clone(), *product),
                        None => drop(self.entries.remove(sku)),
                    }
                }
            }
            for (_, result) in batch {
                // Fails only if the caller dropped its future.
                let _ = result.send(found.clone());
            }
        }
    }
}
