//! Calls about products.

use std::mem::offset_of;
use std::ptr;

use stockade_ffi::product_requests::*;
use stockade_ffi::products::*;

use super::super::call_result::expect_result;
use super::super::line::{Line, pointer, unless_null};
use super::super::program::Program;
use super::super::struct_memory::StructMemory;
use super::BATCH_MAX;

/// A call that returns one product.
pub fn one(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_product>(line);
    let mut told = false;
    let told = unless_null(line, "replayed", &raw mut told);
    let (name, reason, key) = (line.text("name"), line.text("reason"), line.text("key"));
    let (sku, price, currency) = (line.text("sku"), line.text("amount"), line.text("currency"));
    let (by_sku, metadata) = (line.text("by"), line.text("metadata"));
    let (from, until) = (line.number("begins").cast_signed(), line.number("ends").cast_signed());
    // SAFETY: the engine lives or is null, structs are as large as they
    // declare, and texts are NUL-terminated.
    let done = expect_result(line, |error| unsafe {
        match line.call {
            "create_product" => {
                let request = stockade_new_product {
                    struct_size: 0,
                    has_id: line.number("has_id") as u32,
                    name: pointer(&name),
                    price_minor: line.number("price").cast_signed(),
                    stock: line.number("stock"),
                    key: pointer(&key),
                    id: line.number("id"),
                    sku: pointer(&sku),
                    price: pointer(&price),
                    currency: pointer(&currency),
                    metadata: pointer(&metadata),
                    on_sale_from_us: from,
                    on_sale_until_us: until,
                    safety_stock: line.number("safety"),
                };
                let request = StructMemory::request(line, request);
                let request = request.pointer();
                stockade_engine_create_product(engine, request, answer.pointer(), told, error)
            }
            "adjust_stock" => {
                let request = stockade_stock_adjustment {
                    struct_size: 0,
                    has_to: line.number("has_to") as u32,
                    product_id: line.number("id"),
                    delta: line.number("delta").cast_signed(),
                    reason: pointer(&reason),
                    key: pointer(&key),
                    version: line.number("version"),
                    sku: pointer(&by_sku),
                    to: line.number("to"),
                };
                let request = StructMemory::request(line, request);
                let request = request.pointer();
                stockade_engine_adjust_stock(engine, request, answer.pointer(), told, error)
            }
            "put_product" => {
                let (name, amount) = (pointer(&name), pointer(&price));
                let mut request = put(line, line.number("id"));
                (request.product_sku, request.name, request.price) =
                    (pointer(&by_sku), name, amount);
                (request.sku, request.metadata) = (pointer(&sku), pointer(&metadata));
                (request.currency, request.on_sale_from_us) = (pointer(&currency), from);
                request.on_sale_until_us = until;
                let request = StructMemory::request(line, request);
                let request = request.pointer();
                stockade_engine_put_product(engine, request, answer.pointer(), told, error)
            }
            "change_product" => {
                let given = |name: &str| line.number(name) as u32;
                let request = stockade_product_change {
                    struct_size: 0,
                    has_stock: given("has_stock"),
                    product_id: line.number("id"),
                    product_sku: pointer(&by_sku),
                    name: pointer(&name),
                    price: pointer(&price),
                    currency: pointer(&currency),
                    sku: pointer(&sku),
                    metadata: pointer(&metadata),
                    has_on_sale_from: given("has_begins"),
                    has_on_sale_until: given("has_ends"),
                    on_sale_from_us: from,
                    on_sale_until_us: until,
                    has_safety_stock: given("has_safety"),
                    has_archived: given("has_archived"),
                    safety_stock: line.number("safety"),
                    archived: line.number("archived"),
                    stock: line.number("stock"),
                    version: line.number("version"),
                };
                let request = StructMemory::request(line, request);
                stockade_engine_change_product(engine, request.pointer(), answer.pointer(), error)
            }
            "product_by_sku" => {
                stockade_engine_product_by_sku(engine, pointer(&by_sku), answer.pointer(), error)
            }
            _ => stockade_engine_product(engine, line.number("id"), answer.pointer(), error),
        }
    });
    if done {
        texts(&answer);
    }
}

/// Reads the texts of a product.
fn texts(product: &StructMemory) {
    product.text(offset_of!(stockade_product, name), 1_024);
    product.text(offset_of!(stockade_product, currency), 8);
    product.text(offset_of!(stockade_product, price), 32);
    product.text(offset_of!(stockade_product, sku), 520);
    product.text(offset_of!(stockade_product, metadata), 4_104);
}

/// Returns a request to put a product, without its texts.
fn put(line: &Line<'_>, product_id: u64) -> stockade_product_put {
    stockade_product_put {
        struct_size: 0,
        has_stock: line.number("has_stock") as u32,
        product_id,
        product_sku: ptr::null(),
        name: ptr::null(),
        price: ptr::null(),
        currency: ptr::null(),
        sku: ptr::null(),
        metadata: ptr::null(),
        on_sale_from_us: 0,
        on_sale_until_us: 0,
        safety_stock: line.number("safety"),
        stock: line.number("stock"),
        version: line.number("version"),
    }
}

/// A page of products.
pub fn page(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_product>(line);
    let mut page = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut page);
    let (after, limit) = (line.number("after"), line.number("limit") as u32);
    // SAFETY: as in `one`; the page is freed once.
    unsafe {
        expect_result(line, |error| stockade_engine_products(engine, after, limit, place, error));
        let (index, count) = (line.number("index") as usize, stockade_products_count(page));
        let found = expect_result(line, |error| {
            stockade_products_get(page, index, answer.pointer(), error)
        });
        assert!(!found || index < count);
        stockade_products_next(page);
        stockade_products_free(page);
    }
    texts(&answer);
}

/// A batch of products by their ids, `lines=1,2`. The other fields are those of the
/// requests at `from` and later.
pub fn batch(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (name, price, sku) = (line.text("name"), line.text("amount"), line.text("sku"));
    let text = String::from_utf8_lossy(line.bytes("lines").unwrap_or_default()).into_owned();
    let from = line.number("from") as usize;
    let request = |(index, id): (usize, &str)| {
        let mut request = put(line, id.parse().unwrap_or(0));
        if index >= from {
            (request.name, request.price) = (pointer(&name), pointer(&price));
            request.sku = pointer(&sku);
        }
        request
    };
    let ids = text.split(',').filter(|id| !id.is_empty()).take(BATCH_MAX);
    let requests: Vec<_> = ids.enumerate().map(request).collect();
    let count = requests.len() as u64;
    let array = StructMemory::requests(line, requests);
    let given = match line.given("count") {
        Some(given) if given > STOCKADE_PRODUCT_BATCH_MAX => given,
        given => given.unwrap_or(count).min(count),
    };
    let mut results = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut results);
    // SAFETY: as in `one`.
    let done = expect_result(line, |error| unsafe {
        stockade_engine_put_products(engine, array.pointer(), given, place, error)
    });
    // SAFETY: null or a live list.
    let made = unsafe { stockade_put_results_count(results) };
    assert_eq!(made as u64, if done { given } else { 0 });
    let product = StructMemory::answer::<stockade_product>(line);
    let mut created = false;
    let created = unless_null(line, "replayed", &raw mut created);
    for index in (0..made).chain([line.number("index") as usize]) {
        // SAFETY: as above; the struct is as large as it declares.
        let found = expect_result(line, |error| unsafe {
            stockade_put_results_get(results, index, product.pointer(), created, error)
        });
        assert!(!found || index < made);
    }
    texts(&product);
    // SAFETY: it came from the call, and is freed once.
    unsafe { stockade_put_results_free(results) };
}
