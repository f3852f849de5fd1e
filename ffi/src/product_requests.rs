//! What makes and changes products: creating, putting and changing them, and
//! adjusting their stock.

use std::ffi::c_char;

use stockade::{
    Change, Currency, Metadata, Money, NewProduct, ProductChange, ProductId, PutOutcome,
    PutProduct, StockAdjustment, Timestamp,
};

use crate::batch;
use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, null, out_of_range};
use crate::handle;
use crate::holds::flag;
use crate::product_ref;
use crate::products::stockade_product;
use crate::responses::{answered, respond};
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// The most requests that stockade_engine_put_products accepts.
pub const STOCKADE_PRODUCT_BATCH_MAX: u64 = 65_536;

/// A product to create.
#[repr(C)]
pub struct stockade_new_product {
    /// sizeof(stockade_new_product), set by the caller.
    pub struct_size: u32,
    /// 1 to use id, 0 for an id that no product has.
    pub has_id: u32,
    /// The name, at most 255 characters.
    pub name: *const c_char,
    /// The unit price in minor units of the currency, or in hundredths without a
    /// currency; at least 0. 0 where price is set.
    pub price_minor: i64,
    /// The units in stock.
    pub stock: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The id, from 1 to 2^53 - 1; used only with has_id.
    pub id: u64,
    /// The shop's own id of the product, of 1 to 128 characters, compared byte by
    /// byte; or NULL. No two products have the same.
    pub sku: *const c_char,
    /// The unit price as a decimal, such as "19.99"; NULL for price_minor.
    pub price: *const c_char,
    /// The currency of the price, such as "EUR"; NULL for the "currency" setting.
    pub currency: *const c_char,
    /// What the shop keeps with it: the text of a JSON object of at most 4096
    /// bytes; or NULL.
    pub metadata: *const c_char,
    /// When it begins to be sold, in microseconds since 1970 in UTC; 0 for at once.
    pub on_sale_from_us: i64,
    /// When it ends to be sold, in microseconds since 1970 in UTC; 0 for never.
    pub on_sale_until_us: i64,
    /// Units in stock that holds do not take.
    pub safety_stock: u64,
}
versioned_struct!(stockade_new_product, first 32, now 104);
request_struct!(stockade_new_product);

/// A product to make, or to replace what it is. What is not set is reset to its
/// default, but for the units in stock. A product that is archived stays so.
#[repr(C)]
pub struct stockade_product_put {
    /// sizeof(stockade_product_put), set by the caller.
    pub struct_size: u32,
    /// 1 to use stock, 0 to leave the units in stock as they are, none of a new
    /// product.
    pub has_stock: u32,
    /// The product, which is made with this id if there is none.
    pub product_id: u64,
    /// The SKU that names the product, instead of product_id; it is made with this
    /// SKU if there is none. Or NULL.
    pub product_sku: *const c_char,
    /// The name, at most 255 characters.
    pub name: *const c_char,
    /// The unit price as a decimal, such as "19.99".
    pub price: *const c_char,
    /// The currency of the price; NULL for the "currency" setting.
    pub currency: *const c_char,
    /// The SKU; NULL for the one that names the product, else none.
    pub sku: *const c_char,
    /// As in stockade_new_product.
    pub metadata: *const c_char,
    /// As in stockade_new_product.
    pub on_sale_from_us: i64,
    /// As in stockade_new_product.
    pub on_sale_until_us: i64,
    /// Units in stock that holds do not take.
    pub safety_stock: u64,
    /// The units in stock that it shall have, which an adjustment with the reason
    /// "import" sees to; used only with has_stock.
    pub stock: u64,
    /// The version that the caller expects (optimistic concurrency control):
    /// another one, and no product, is rejected with version_mismatch. 0 for any.
    pub version: u64,
}
versioned_struct!(stockade_product_put, first 104, now 104);
request_struct!(stockade_product_put);

/// A change of a product: of what is set. All else stays, and so does what was held
/// or ordered before.
#[repr(C)]
pub struct stockade_product_change {
    /// sizeof(stockade_product_change), set by the caller.
    pub struct_size: u32,
    /// 1 to use stock, else 0.
    pub has_stock: u32,
    /// The product.
    pub product_id: u64,
    /// The SKU that names the product, instead of product_id; or NULL.
    pub product_sku: *const c_char,
    /// The name, or NULL.
    pub name: *const c_char,
    /// The unit price as a decimal, or NULL.
    pub price: *const c_char,
    /// The currency of the price, or NULL. The price, changed or not, must fit its
    /// decimals.
    pub currency: *const c_char,
    /// The SKU, "" to take it away; or NULL.
    pub sku: *const c_char,
    /// The text of a JSON object, "" to take it away; or NULL.
    pub metadata: *const c_char,
    /// 1 to use on_sale_from_us, else 0.
    pub has_on_sale_from: u32,
    /// 1 to use on_sale_until_us, else 0.
    pub has_on_sale_until: u32,
    /// When it begins to be sold, in microseconds since 1970 in UTC; 0 for at once.
    pub on_sale_from_us: i64,
    /// When it ends to be sold, in microseconds since 1970 in UTC; 0 for never.
    pub on_sale_until_us: i64,
    /// 1 to use safety_stock, else 0.
    pub has_safety_stock: u32,
    /// 1 to use archived, else 0.
    pub has_archived: u32,
    /// Units in stock that holds do not take.
    pub safety_stock: u64,
    /// 1 to archive the product, 0 to sell it again.
    pub archived: u64,
    /// The units in stock that it shall have, which an adjustment with the reason
    /// "import" sees to.
    pub stock: u64,
    /// The version that the caller expects, as in stockade_product_put.
    pub version: u64,
}
versioned_struct!(stockade_product_change, first 128, now 128);
request_struct!(stockade_product_change);

/// A stock adjustment by an operator: goods received or written off, or counted.
#[repr(C)]
pub struct stockade_stock_adjustment {
    /// sizeof(stockade_stock_adjustment), set by the caller.
    pub struct_size: u32,
    /// 1 to use to, 0 to use delta.
    pub has_to: u32,
    /// The product.
    pub product_id: u64,
    /// Units received, or written off if negative; not 0, but with has_to.
    pub delta: i64,
    /// The reason, for the log and the event; at most 255 characters.
    pub reason: *const c_char,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The version that the caller expects (optimistic concurrency control):
    /// another one is rejected with version_mismatch. 0 for any.
    pub version: u64,
    /// The SKU that names the product, instead of product_id; or NULL.
    pub sku: *const c_char,
    /// The units in stock that the product shall have, as a count found them; used
    /// only with has_to.
    pub to: u64,
}
versioned_struct!(stockade_stock_adjustment, first 32, now 64);
request_struct!(stockade_stock_adjustment);

/// The results of stockade_engine_put_products, in the order of its requests. Owned
/// by the caller, who frees it with stockade_put_results_free.
pub struct stockade_put_results {
    results: Vec<Result<PutOutcome, FfiError>>,
}

/// Reads a number that its `has_` field turns on. Rejects one that would be ignored,
/// because the caller meant it.
fn number(what: &str, has: u32, number: u64) -> Result<Option<u64>, FfiError> {
    if flag(&format!("has_{what}"), has.into())? {
        return Ok(Some(number));
    }
    if number != 0 {
        let why = format!("{what} is set but has_{what} is 0; set has_{what} to 1");
        return Err(FfiError::invalid_argument(why));
    }
    Ok(None)
}

/// Returns a moment; None for 0.
fn moment(micros: i64) -> Option<Timestamp> {
    (micros != 0).then_some(Timestamp::from_micros(micros))
}

/// Reads the change of a moment, which 0 clears.
fn moment_change(what: &str, has: u32, micros: i64) -> Result<Change<Timestamp>, FfiError> {
    let given = number(what, has, micros.cast_unsigned())?;
    let change = |at: Option<Timestamp>| at.map_or(Change::Clear, Change::Set);
    Ok(given.map_or(Change::Keep, |_| change(moment(micros))))
}

/// Reads the change of a text, which an empty one clears.
///
/// # Safety
/// `text` is null or NUL-terminated.
unsafe fn text_change<T>(
    text: *const c_char,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, FfiError>,
) -> Result<Change<T>, FfiError> {
    // SAFETY: guaranteed by the caller.
    match unsafe { text::optional(text, what) }? {
        None => Ok(Change::Keep),
        Some("") => Ok(Change::Clear),
        Some(given) => parse(given).map(Change::Set),
    }
}

/// Reads the price of a new product.
fn new_price(
    text: Option<Money>,
    minor: i64,
    currency: Option<Currency>,
) -> Result<Money, FfiError> {
    match (text, minor) {
        (None, minor) => Ok(Money::from_minor_of(minor, currency.unwrap_or(Currency::EUR))?),
        (Some(price), 0) => Ok(price),
        _ => Err(FfiError::invalid_argument("price and price_minor are both set; set one of them")),
    }
}

/// Reads a product to put.
///
/// # Safety
/// `request` is null or points to as many readable bytes as it declares, with
/// NUL-terminated texts.
unsafe fn put_request(request: *const stockade_product_put) -> Result<PutProduct, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let given = versioned_struct::read(request)?;
        let product = product_ref::required(given.product_id, given.product_sku)?;
        let name = text::required(given.name, "name")?;
        let price = text::parsed(given.price, "price")?.ok_or_else(|| null("price"))?;
        let mut request = PutProduct::new(product, name, price);
        request.currency = text::parsed(given.currency, "currency")?;
        request.sku = text::copied(given.sku, "sku")?;
        request.metadata = text::parsed(given.metadata, "metadata")?;
        request.on_sale_from = moment(given.on_sale_from_us);
        request.on_sale_until = moment(given.on_sale_until_us);
        request.safety_stock = given.safety_stock;
        request.stock = number("stock", given.has_stock, given.stock)?;
        request.version = expected(given.version);
        Ok(request)
    }
}

/// Returns the version that a caller expects; None for 0.
fn expected(version: u64) -> Option<u64> {
    (version != 0).then_some(version)
}

/// Creates a product and returns it. A repeated request with the same idempotency
/// key returns the product as first created. `replayed` may be NULL.
///
/// Errors: invalid_argument, already_exists with the product that has the id or the
/// SKU, idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_product(
    engine: *const stockade_engine,
    request: *const stockade_new_product,
    product: *mut stockade_product,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let given = versioned_struct::read(request)?;
            let currency = text::parsed(given.currency, "currency")?;
            let price =
                new_price(text::parsed(given.price, "price")?, given.price_minor, currency)?;
            let mut product =
                NewProduct::new(text::required(given.name, "name")?, price, given.stock);
            product.currency = currency;
            product.id = number("id", given.has_id, given.id)?.map(ProductId);
            product.sku = text::copied(given.sku, "sku")?;
            product.metadata = text::parsed(given.metadata, "metadata")?;
            product.on_sale_from = moment(given.on_sale_from_us);
            product.on_sale_until = moment(given.on_sale_until_us);
            product.safety_stock = given.safety_stock;
            product.key = text::copied(given.key, "key")?;
            Ok((&answered(engine.create_product(&product)?, replayed)).into())
        })
    }
}

/// Makes a product, or replaces what it is, and returns it. `created` may be NULL; it
/// tells whether the product was made.
///
/// Errors: invalid_argument, already_exists with the product that has the SKU,
/// version_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_put_product(
    engine: *const stockade_engine,
    request: *const stockade_product_put,
    product: *mut stockade_product,
    created: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let made = engine.put_product(&put_request(request)?)?;
            handle::write_optional(created, made.created);
            Ok((&made.product).into())
        })
    }
}

/// Changes what is set of a product, archives it or sells it again, and returns it.
///
/// Errors: invalid_argument, not_found, already_exists with the product that has the
/// SKU, version_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_change_product(
    engine: *const stockade_engine,
    request: *const stockade_product_change,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let given = versioned_struct::read(request)?;
            let product = product_ref::required(given.product_id, given.product_sku)?;
            let mut change = ProductChange::new(product);
            change.name = text::copied(given.name, "name")?;
            change.price = text::parsed(given.price, "price")?;
            change.currency = text::parsed(given.currency, "currency")?;
            change.sku = text_change(given.sku, "sku", |sku| Ok(sku.to_owned()))?;
            change.metadata =
                text_change(given.metadata, "metadata", |json| Ok(json.parse::<Metadata>()?))?;
            let (from, until) = (given.on_sale_from_us, given.on_sale_until_us);
            change.on_sale_from = moment_change("on_sale_from", given.has_on_sale_from, from)?;
            change.on_sale_until = moment_change("on_sale_until", given.has_on_sale_until, until)?;
            change.safety_stock =
                number("safety_stock", given.has_safety_stock, given.safety_stock)?;
            change.stock = number("stock", given.has_stock, given.stock)?;
            let archived = number("archived", given.has_archived, given.archived)?;
            change.archived = archived.map(|archived| flag("archived", archived)).transpose()?;
            change.version = expected(given.version);
            Ok((&engine.change_product(&change)?).into())
        })
    }
}

/// Adjusts a product's stock and returns the product afterwards. `replayed` may be
/// NULL.
///
/// Errors: invalid_argument, not_found, insufficient_stock if stock would
/// become negative, version_mismatch, idempotency_mismatch, contention,
/// unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_adjust_stock(
    engine: *const stockade_engine,
    request: *const stockade_stock_adjustment,
    product: *mut stockade_product,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let given = versioned_struct::read(request)?;
            let product = product_ref::required(given.product_id, given.sku)?;
            let reason = text::required(given.reason, "reason")?;
            let mut adjustment = match number("to", given.has_to, given.to)? {
                None => StockAdjustment::new(product, given.delta, reason),
                Some(to) if given.delta == 0 => StockAdjustment::to(product, to, reason),
                Some(_) => {
                    let why = "delta and to are both set; set one of them";
                    return Err(FfiError::invalid_argument(why));
                }
            };
            adjustment.key = text::copied(given.key, "key")?;
            adjustment.version = expected(given.version);
            Ok((&answered(engine.adjust_stock(&adjustment)?, replayed)).into())
        })
    }
}

/// Makes or replaces many products by one call, as an import does: each as
/// stockade_engine_put_product does. They are written many at a time, in no order:
/// one that needs another's SKU goes into a later call. `results` gets one result for
/// each request, in the same order; a request that fails, or that cannot be read,
/// costs only itself.
///
/// `requests` is an array of `count` structs, at most STOCKADE_PRODUCT_BATCH_MAX, all
/// with the same struct_size; may be NULL if `count` is 0.
///
/// Errors of the call as a whole: invalid_argument for another count, an array
/// that is NULL or not aligned, or structs without their size or of different
/// sizes; misuse; unavailable, after which each request took effect in whole or
/// not at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_put_products(
    engine: *const stockade_engine,
    requests: *const stockade_product_put,
    count: u64,
    results: *mut *mut stockade_put_results,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(results, "results", || {
                let engine = self::engine(engine)?;
                let read = |request| put_request(request);
                let requests = batch::read(requests, count, STOCKADE_PRODUCT_BATCH_MAX, read)?;
                let results = batch::ask(engine, requests, |engine, all| engine.put_products(all))?;
                Ok(stockade_put_results { results })
            })
        })
    }
}

/// Returns the number of results; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_put_results_count(results: *const stockade_put_results) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { results.as_ref() }.map_or(0, |results| results.results.len())
}

/// Reads a result of the list, counted from 0: writes the product, or returns the
/// error of that request as stockade_engine_put_product would have. `created` may be
/// NULL; it is written with the product.
///
/// Errors: those of stockade_engine_put_product; invalid_argument also if the index is
/// out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_put_results_get(
    results: *const stockade_put_results,
    index: usize,
    product: *mut stockade_product,
    created: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let results = &handle::borrow(results, "the list")?.results;
            versioned_struct::check(product)?;
            let result = results.get(index).ok_or_else(|| out_of_range(index, results.len()))?;
            let made = result.as_ref().map_err(Clone::clone)?;
            versioned_struct::write(product, (&made.product).into())?;
            handle::write_optional(created, made.created);
            Ok(())
        })
    }
}

/// Frees the list. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_put_results_free(results: *mut stockade_put_results) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(results) }
}
