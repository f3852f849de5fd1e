//! Products: reading them.

use std::ffi::c_char;

use stockade::{Product, ProductId, ProductRef};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::handle;
use crate::responses::{entry, respond};
use crate::text;
use crate::versioned_struct::versioned_struct;

/// A product and its stock accounting:
/// received = in_stock + held + pending + sold + returned after every commit.
#[repr(C)]
pub struct stockade_product {
    /// sizeof(stockade_product), set by the caller.
    pub struct_size: u32,
    /// 1 if it is archived, which means no longer sold; else 0.
    pub archived: u32,
    /// The product's id.
    pub id: u64,
    /// The unit price in minor units of the currency.
    pub price_minor: i64,
    /// Units that can be held: those in stock beyond the safety stock.
    pub stock: u64,
    /// Units in active holds.
    pub held: u64,
    /// Units in unpaid orders.
    pub pending: u64,
    /// Units in paid orders, less those refunded.
    pub sold: u64,
    /// Incremented by every committed change of the product or its stock.
    pub version: u64,
    /// The name, at most 255 characters of UTF-8, NUL-terminated.
    pub name: [c_char; 1024],
    /// Units refunded and not for sale again.
    pub returned: u64,
    /// Units in stock.
    pub in_stock: u64,
    /// Units in stock that holds do not take.
    pub safety_stock: u64,
    /// When it begins to be sold, in microseconds since 1970 in UTC; 0: it always
    /// was.
    pub on_sale_from_us: i64,
    /// When it ends to be sold, in microseconds since 1970 in UTC; 0: never.
    pub on_sale_until_us: i64,
    /// The currency of the price, such as "EUR", NUL-terminated.
    pub currency: [c_char; 8],
    /// The unit price as a decimal, such as "19.99", NUL-terminated.
    pub price: [c_char; 32],
    /// The shop's own id of the product, NUL-terminated; "" for none.
    pub sku: [c_char; 520],
    /// What the shop keeps with it: the text of a JSON object as it came,
    /// NUL-terminated; "" for none.
    pub metadata: [c_char; 4104],
}
versioned_struct!(stockade_product, first 1088, now 5792);

impl From<&Product> for stockade_product {
    fn from(product: &Product) -> Self {
        Self {
            struct_size: 0,
            archived: product.archived.into(),
            id: product.id.0,
            // The column that it was read from has this type.
            price_minor: product.price.to_minor(product.currency).unwrap_or(i64::MAX),
            stock: product.stock,
            held: product.held,
            pending: product.pending,
            sold: product.sold,
            version: product.version,
            name: text::inline(&product.name),
            returned: product.returned,
            in_stock: product.in_stock,
            safety_stock: product.safety_stock,
            on_sale_from_us: product.on_sale_from.map_or(0, |at| at.micros()),
            on_sale_until_us: product.on_sale_until.map_or(0, |at| at.micros()),
            currency: text::inline(product.currency.code()),
            price: text::inline(&product.price.to_string()),
            sku: text::inline(product.sku.as_deref().unwrap_or_default()),
            metadata: text::inline(product.metadata.as_ref().map_or("", |json| json.as_str())),
        }
    }
}

/// A page of products. Owned by the caller, who frees it with
/// stockade_products_free.
pub struct stockade_products {
    page: stockade::ProductPage,
}

/// Reads a product, from the cache if the entry is fresh.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_product(
    engine: *const stockade_engine,
    id: u64,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| Ok((&engine.product(ProductId(id))?).into()))
    }
}

/// Reads the product with this SKU, from the cache if the entry is fresh.
///
/// Errors: invalid_argument for a SKU that no product can have, not_found,
/// unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_product_by_sku(
    engine: *const stockade_engine,
    sku: *const c_char,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let sku = text::required(sku, "sku")?;
            Ok((&engine.product(ProductRef::sku(sku))?).into())
        })
    }
}

/// Reads up to `limit` (1 to 1000) products with ids above `after`, 0 for the
/// first page. Archived ones are among them.
///
/// Errors: invalid_argument for another limit, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_products(
    engine: *const stockade_engine,
    after: u64,
    limit: u32,
    products: *mut *mut stockade_products,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(products, "products", || {
                let page = self::engine(engine)?.products(Some(ProductId(after)), limit)?;
                Ok(stockade_products { page })
            })
        })
    }
}

/// Returns the number of products on the page; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_products_count(products: *const stockade_products) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { products.as_ref() }.map_or(0, |products| products.page.items.len())
}

/// Reads a product of the page, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_products_get(
    products: *const stockade_products,
    index: usize,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(products, |list| list.page.items.as_slice(), index, product, error) }
}

/// Returns `after` for the next page; 0 on the last page and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_products_next(products: *const stockade_products) -> u64 {
    // SAFETY: guaranteed by the caller, see the header.
    let next = unsafe { products.as_ref() }.and_then(|products| products.page.next);
    next.map_or(0, |id| id.0)
}

/// Frees a page. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_products_free(products: *mut stockade_products) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(products) }
}
