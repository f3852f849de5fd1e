//! From requests about products to commands: everything that can be refused without
//! looking at a row is refused here, before any lock.

use std::sync::Arc;

use super::commands::{check_product, check_sku, check_text, keyed, sku_of};
use crate::call::Retry;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ledger::{Command, NewStock, ProductCommand, ProductTerms, ProductWrite};
use crate::model::{
    Change, EXACT_ID_MAX, NewProduct, ProductChange, ProductId, ProductRef, PutProduct,
    StockAdjustment,
};
use crate::sku_index::Skus;

pub(super) fn create_product(
    config: &Config,
    request: &NewProduct,
    retry: Option<Retry>,
) -> Result<Command> {
    if let Some(id) = request.id {
        check_chosen(id)?;
    }
    let terms = ProductTerms {
        sku: request.sku.clone(),
        name: request.name.clone(),
        price: request.price,
        currency: request.currency.unwrap_or(config.currency),
        safety_stock: request.safety_stock,
        on_sale_from: request.on_sale_from,
        on_sale_until: request.on_sale_until,
        metadata: request.metadata.clone(),
    };
    check_terms(&terms)?;
    let stock = request.stock;
    check_units("stock", stock)?;
    // All that the request says but its key.
    let text = text_of(&NewProduct { key: None, ..request.clone() });
    let key = keyed("create", request.key.as_deref(), retry, &[], Some(&text))?;
    let product = ProductCommand {
        id: request.id.unwrap_or(ProductId(0)),
        is_drawn: request.id.is_none(),
        named_sku: None,
        write: ProductWrite::Create { terms, stock },
    };
    Ok(Command::WriteProduct { product: Box::new(product), key })
}

/// Refuses what no engine with this configuration would put, whatever it stores.
pub(crate) fn check_put(config: &Config, request: &PutProduct) -> Result<()> {
    put_product(config, request, &Skus::default(), None).map(drop)
}

pub(super) fn put_product(
    config: &Config,
    request: &PutProduct,
    skus: &Skus,
    retry: Option<Retry>,
) -> Result<Command> {
    // First: 0 is no product that is missing, but one that cannot be made.
    if let ProductRef::Id(id) = request.product {
        check_chosen(id)?;
    }
    check_product(&request.product)?;
    let named_sku = sku_of(&request.product);
    let terms = ProductTerms {
        sku: request.sku.clone().or_else(|| named_sku.as_deref().map(str::to_owned)),
        name: request.name.clone(),
        price: request.price,
        currency: request.currency.unwrap_or(config.currency),
        safety_stock: request.safety_stock,
        on_sale_from: request.on_sale_from,
        on_sale_until: request.on_sale_until,
        metadata: request.metadata.clone(),
    };
    check_terms(&terms)?;
    check_units("stock", request.stock.unwrap_or(0))?;
    check_units("version", request.version.unwrap_or(0))?;
    let id = skus.id(&request.product);
    let (stock, version) = (request.stock, request.version);
    let key = keyed("put", None, retry, &[], Some(&text_of(request)))?;
    let product = ProductCommand {
        id,
        is_drawn: id == ProductId(0),
        named_sku,
        write: ProductWrite::Put { terms, stock, version },
    };
    Ok(Command::WriteProduct { product: Box::new(product), key })
}

pub(super) fn change_product(
    request: &ProductChange,
    skus: &Skus,
    retry: Option<Retry>,
) -> Result<Command> {
    check_product(&request.product)?;
    let ProductChange { name, sku, safety_stock, stock, version, .. } = request;
    if let Some(name) = name {
        check_name(name)?;
    }
    if let Change::Set(sku) = sku {
        check_sku(sku)?;
    }
    check_units("safety_stock", safety_stock.unwrap_or(0))?;
    check_units("stock", stock.unwrap_or(0))?;
    check_units("version", version.unwrap_or(0))?;
    let key = keyed("change", None, retry, &[], Some(&text_of(request)))?;
    let product = ProductCommand {
        id: skus.id(&request.product),
        is_drawn: false,
        named_sku: sku_of(&request.product),
        write: ProductWrite::Change(request.clone()),
    };
    Ok(Command::WriteProduct { product: Box::new(product), key })
}

pub(super) fn adjust_stock(
    request: &StockAdjustment,
    skus: &Skus,
    retry: Option<Retry>,
) -> Result<Command> {
    let StockAdjustment { product, delta, to, reason, version, key } = request;
    let stock = match (*delta, *to) {
        (Some(0), None) => return Err(Error::invalid_argument("delta must not be 0")),
        (Some(delta), None) => NewStock::By(delta),
        (None, Some(to)) => NewStock::To(to),
        _ => return Err(Error::invalid_argument("an adjustment has either delta or to")),
    };
    check_units("to", to.unwrap_or(0))?;
    check_text("reason", reason)?;
    check_product(product)?;
    check_units("version", version.unwrap_or(0))?;
    let expected = version.map_or([0, 0], |version| [1, version]);
    let id = product.id().map_or(0, |id| id.0);
    let (what, units) = match stock {
        NewStock::By(delta) => ("adjust", delta.cast_unsigned()),
        NewStock::To(units) => ("adjust_to", units),
    };
    let parts = [id, units, expected[0], expected[1]];
    let text = match product {
        ProductRef::Id(_) => reason.clone(),
        ProductRef::Sku(sku) => format!("{sku}\0{reason}"),
    };
    let key = keyed(what, key.as_deref(), retry, &parts, Some(&text))?;
    let (product_id, sku) = (skus.id(product), sku_of(product));
    let (reason, version) = (Arc::from(reason.as_str()), *version);
    Ok(Command::Adjust { product_id, sku, stock, reason, version, key })
}

/// Refuses an id that no product may be given.
fn check_chosen(id: ProductId) -> Result<()> {
    if (1..=EXACT_ID_MAX).contains(&id.0) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("a product's id is from 1 to {EXACT_ID_MAX}")))
}

/// What a request says, for its fingerprint.
fn text_of(request: &impl serde::Serialize) -> String {
    // Plain data: serializing it cannot fail.
    serde_json::to_string(request).unwrap_or_default()
}

fn check_terms(terms: &ProductTerms) -> Result<()> {
    check_name(&terms.name)?;
    if let Some(sku) = &terms.sku {
        check_sku(sku)?;
    }
    check_units("safety_stock", terms.safety_stock)?;
    // For its words: the ledger refuses the price of a partial change.
    terms.price.to_minor(terms.currency)?;
    terms.check().map_err(|refusal| Error::refused(refusal, false))
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid_argument("a product needs a name"));
    }
    check_text("name", name)
}

fn check_units(what: &str, units: u64) -> Result<()> {
    if i64::try_from(units).is_err() {
        return Err(Error::invalid_argument(format!("{what} must be at most {}", i64::MAX)));
    }
    Ok(())
}
