//! Products.

use std::ffi::c_char;

use stockade::{Money, NewProduct, Product, ProductId, StockAdjustment};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::handle;
use crate::responses::{entry, respond};
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// A product and its stock accounting:
/// received = stock + held + pending + sold after every commit.
#[repr(C)]
pub struct stockade_product {
    /// sizeof(stockade_product), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The product's id.
    pub id: u64,
    /// The unit price in minor units (hundredths).
    pub price_minor: i64,
    /// Units available to hold.
    pub stock: u64,
    /// Units in active holds.
    pub held: u64,
    /// Units in unpaid orders.
    pub pending: u64,
    /// Units in paid orders.
    pub sold: u64,
    /// Incremented by every committed change of the product's stock.
    pub version: u64,
    /// The name, at most 255 characters of UTF-8, NUL-terminated.
    pub name: [c_char; 1024],
}
versioned_struct!(stockade_product, first 1088, now 1088);

impl From<&Product> for stockade_product {
    fn from(product: &Product) -> Self {
        Self {
            struct_size: 0,
            reserved: 0,
            id: product.id.0,
            price_minor: product.price.minor(),
            stock: product.stock,
            held: product.held,
            pending: product.pending,
            sold: product.sold,
            version: product.version,
            name: text::inline(&product.name),
        }
    }
}

/// A product to create.
#[repr(C)]
pub struct stockade_new_product {
    /// sizeof(stockade_new_product), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The name, at most 255 characters.
    pub name: *const c_char,
    /// The unit price in minor units (hundredths); at least 0.
    pub price_minor: i64,
    /// The initial stock.
    pub stock: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
}
versioned_struct!(stockade_new_product, first 32, now 40);
request_struct!(stockade_new_product, reserved);

/// A stock adjustment by an operator: goods received or written off.
#[repr(C)]
pub struct stockade_stock_adjustment {
    /// sizeof(stockade_stock_adjustment), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The product.
    pub product_id: u64,
    /// Units received, or written off if negative; not 0.
    pub delta: i64,
    /// The reason, for the log; at most 255 characters.
    pub reason: *const c_char,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The version that the caller expects (optimistic concurrency control):
    /// another one is rejected with version_mismatch. 0 for any.
    pub version: u64,
}
versioned_struct!(stockade_stock_adjustment, first 32, now 48);
request_struct!(stockade_stock_adjustment, reserved);

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

/// Reads up to `limit` (1 to 1000) products with ids above `after`, 0 for the
/// first page.
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

/// Creates a product and returns it. A repeated request with the same
/// idempotency key returns the product as first created.
///
/// Errors: invalid_argument, idempotency_mismatch, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_product(
    engine: *const stockade_engine,
    request: *const stockade_new_product,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let given = versioned_struct::read(request)?;
            let price = Money::from_minor(given.price_minor)?;
            let name = text::required(given.name, "name")?;
            let mut product = NewProduct::new(name, price, given.stock);
            product.key = text::optional(given.key, "key")?.map(str::to_owned);
            Ok((&engine.create_product(&product)?.value).into())
        })
    }
}

/// Adjusts a product's stock and returns the product afterwards.
///
/// Errors: invalid_argument, not_found, insufficient_stock if stock would
/// become negative, version_mismatch, idempotency_mismatch, contention,
/// unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_adjust_stock(
    engine: *const stockade_engine,
    request: *const stockade_stock_adjustment,
    product: *mut stockade_product,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, product, error, |engine| {
            let given = versioned_struct::read(request)?;
            let reason = text::required(given.reason, "reason")?;
            let mut adjustment = StockAdjustment::new(given.product_id, given.delta, reason);
            adjustment.key = text::optional(given.key, "key")?.map(str::to_owned);
            adjustment.version = Some(given.version).filter(|version| *version > 0);
            Ok((&engine.adjust_stock(&adjustment)?.value).into())
        })
    }
}
