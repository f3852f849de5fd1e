//! The engine's calls, with the arguments of a line.

use std::mem::offset_of;
use std::ptr;

use stockade_ffi::code::stockade_code_name;
use stockade_ffi::engine::*;
use stockade_ffi::events::*;
use stockade_ffi::hold_batch::*;
use stockade_ffi::holds::*;
use stockade_ffi::numbers::*;
use stockade_ffi::orders::*;
use stockade_ffi::payments::*;
use stockade_ffi::products::*;
use stockade_ffi::text::*;

use super::call_result::{expect_result, text};
use super::line::{Line, pointer, unless_null};
use super::program::Program;
use super::struct_memory::StructMemory;

/// The most requests of a batch, which bounds its memory: each may declare 64
/// KiB.
const BATCH_MAX: usize = 16;

/// Makes a call; ignores unknown ones.
pub fn run(program: &mut Program, line: &Line<'_>) {
    match line.call {
        "create_product" | "adjust_stock" | "product" | "products" => products(program, line),
        "create_hold" | "create_holds" | "release_hold" | "release_hold_with" | "extend_hold"
        | "hold" => {
            holds(program, line);
        }
        "create_hold_batch" => hold_batch(program, line),
        "create_order" | "order" | "record_payment" => orders(program, line),
        "ping" | "sweep" | "events" | "metrics" | "close" => housekeeping(program, line),
        "id" | "quantity" | "price" | "names" => without_an_engine(line),
        _ => {}
    }
}

fn products(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_product>(line);
    let (name, reason, key) = (line.text("name"), line.text("reason"), line.text("key"));
    // SAFETY: the engine lives or is null, structs are as large as they
    // declare, and texts are NUL-terminated.
    let done = expect_result(line, |error| unsafe {
        match line.call {
            "create_product" => {
                let request = stockade_new_product {
                    struct_size: 0,
                    reserved: line.number("reserved") as u32,
                    name: pointer(&name),
                    price_minor: line.number("price").cast_signed(),
                    stock: line.number("stock"),
                    key: pointer(&key),
                };
                let request = StructMemory::request(line, request);
                stockade_engine_create_product(engine, request.pointer(), answer.pointer(), error)
            }
            "adjust_stock" => {
                let request = stockade_stock_adjustment {
                    struct_size: 0,
                    reserved: line.number("reserved") as u32,
                    product_id: line.number("id"),
                    delta: line.number("delta").cast_signed(),
                    reason: pointer(&reason),
                    key: pointer(&key),
                    version: line.number("version"),
                };
                let request = StructMemory::request(line, request);
                stockade_engine_adjust_stock(engine, request.pointer(), answer.pointer(), error)
            }
            "product" => {
                stockade_engine_product(engine, line.number("id"), answer.pointer(), error)
            }
            _ => {
                let mut page = ptr::null_mut();
                let place = unless_null(line, "answer", &raw mut page);
                let (after, limit) = (line.number("after"), line.number("limit") as u32);
                let code = stockade_engine_products(engine, after, limit, place, error);
                let count = stockade_products_count(page);
                let index = line.number("index") as usize;
                let found = expect_result(line, |error| {
                    stockade_products_get(page, index, answer.pointer(), error)
                });
                assert!(!found || index < count);
                stockade_products_next(page);
                stockade_products_free(page);
                code
            }
        }
    });
    if done {
        answer.text(offset_of!(stockade_product, name), 1_024);
    }
}

fn holds(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_hold>(line);
    let mut replayed = false;
    let replayed = unless_null(line, "replayed", &raw mut replayed);
    let (key, customer, token) = (line.text("key"), line.text("customer"), line.text("token"));
    let (id, has_ttl) = (line.number("id"), line.number("has_ttl") as u32);
    let has_ttl = if line.given("ttl").is_some() { 1 } else { has_ttl };
    let ttl_us = line.number("ttl");
    let reserved = line.number("reserved") as u32;
    // SAFETY: as in `products`.
    let done = expect_result(line, |error| unsafe {
        match line.call {
            "create_hold" => {
                let request = stockade_hold_request {
                    struct_size: 0,
                    quantity: line.number("quantity") as u32,
                    product_id: line.number("product"),
                    ttl_us,
                    has_ttl,
                    reserved,
                    key: pointer(&key),
                    customer: pointer(&customer),
                };
                let request = StructMemory::request(line, request);
                stockade_engine_create_hold(
                    engine,
                    request.pointer(),
                    answer.pointer(),
                    replayed,
                    error,
                )
            }
            "create_holds" => {
                let lines = lines(line);
                let count = lines.len() as u64;
                let request = stockade_cart_request {
                    struct_size: 0,
                    has_ttl,
                    ttl_us,
                    lines: if line.is_null("lines") { ptr::null() } else { lines.as_ptr() },
                    // A count beyond the array is forbidden, unless it is so
                    // large that the library rejects it unread.
                    line_count: match line.given("count") {
                        Some(given) if given > STOCKADE_CART_LINES_MAX => given,
                        given => given.unwrap_or(count).min(count),
                    },
                    key: pointer(&key),
                    customer: pointer(&customer),
                };
                let request = StructMemory::request(line, request);
                let mut holds = ptr::null_mut();
                let place = unless_null(line, "answer", &raw mut holds);
                let code =
                    stockade_engine_create_holds(engine, request.pointer(), place, replayed, error);
                let count = stockade_holds_count(holds);
                let index = line.number("index") as usize;
                let found = expect_result(line, |error| {
                    stockade_holds_get(holds, index, answer.pointer(), error)
                });
                assert!(!found || index < count);
                stockade_holds_free(holds);
                code
            }
            "release_hold" => stockade_engine_release_hold(engine, id, answer.pointer(), error),
            "release_hold_with" => {
                let token = pointer(&token);
                let request =
                    stockade_release_request { struct_size: 0, reserved, hold_id: id, token };
                let request = StructMemory::request(line, request);
                stockade_engine_release_hold_with(
                    engine,
                    request.pointer(),
                    answer.pointer(),
                    error,
                )
            }
            "extend_hold" => {
                let token = pointer(&token);
                let request =
                    stockade_extend_request { struct_size: 0, has_ttl, hold_id: id, ttl_us, token };
                let request = StructMemory::request(line, request);
                stockade_engine_extend_hold(engine, request.pointer(), answer.pointer(), error)
            }
            _ => stockade_engine_hold(engine, id, answer.pointer(), error),
        }
    });
    if done {
        program.hold = answer.text(offset_of!(stockade_hold, token), 40).to_vec();
    }
}

/// Makes a batch of the lines, `lines=1x2,2x3`. The other fields are those of
/// the requests at `from` and later; the last declares the size `last`.
fn hold_batch(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (key, customer) = (line.text("key"), line.text("customer"));
    let from = line.number("from") as usize;
    let mut requests = Vec::new();
    for (index, one) in lines(line).into_iter().take(BATCH_MAX).enumerate() {
        let mut request = stockade_hold_request {
            struct_size: 0,
            quantity: one.quantity,
            product_id: one.product_id,
            ttl_us: 0,
            has_ttl: 0,
            reserved: 0,
            key: ptr::null(),
            customer: ptr::null(),
        };
        if index >= from {
            request.ttl_us = line.number("ttl");
            let is_given = u64::from(line.given("ttl").is_some());
            request.has_ttl = line.given("has_ttl").unwrap_or(is_given) as u32;
            request.reserved = line.number("reserved") as u32;
            (request.key, request.customer) = (pointer(&key), pointer(&customer));
        }
        requests.push(request);
    }
    let count = requests.len() as u64;
    let array = StructMemory::requests(line, requests);
    // As for the lines of a cart.
    let given = match line.given("count") {
        Some(given) if given > STOCKADE_HOLD_BATCH_MAX => given,
        given => given.unwrap_or(count).min(count),
    };
    let mut results = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut results);
    // SAFETY: as in `holds`.
    let done = expect_result(line, |error| unsafe {
        stockade_engine_create_hold_batch(engine, array.pointer(), given, place, error)
    });
    // SAFETY: null or a live list.
    let made = unsafe { stockade_hold_results_count(results) };
    assert_eq!(made as u64, if done { given } else { 0 });
    let hold = StructMemory::answer::<stockade_hold>(line);
    let mut replayed = false;
    let replayed = unless_null(line, "replayed", &raw mut replayed);
    for index in (0..made).chain([line.number("index") as usize]) {
        // SAFETY: as above; the struct is as large as it declares.
        let found = expect_result(line, |error| unsafe {
            stockade_hold_results_get(results, index, hold.pointer(), replayed, error)
        });
        assert!(!found || index < made);
        if found {
            program.hold = hold.text(offset_of!(stockade_hold, token), 40).to_vec();
        }
    }
    // SAFETY: it came from the call, and is freed once.
    unsafe { stockade_hold_results_free(results) };
}

/// Parses the lines of a cart: `lines=1x2,2x3`.
fn lines(line: &Line<'_>) -> Vec<stockade_cart_line> {
    let text = String::from_utf8_lossy(line.bytes("lines").unwrap_or_default()).into_owned();
    let lines = text.split(',').filter_map(|one| one.split_once('x'));
    let line = |(product, quantity): (&str, &str)| stockade_cart_line {
        product_id: product.parse().unwrap_or(0),
        quantity: quantity.parse().unwrap_or(0),
        reserved: 0,
    };
    lines.map(line).collect()
}

fn orders(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_order>(line);
    let mut replayed = false;
    let replayed = unless_null(line, "replayed", &raw mut replayed);
    let (key, token, status) = (line.text("key"), line.text("token"), line.text("status"));
    // SAFETY: as in `products`; a body is as long as declared.
    let done = expect_result(line, |error| unsafe {
        match line.call {
            "create_order" => {
                let request = stockade_order_request {
                    struct_size: 0,
                    reserved: line.number("reserved") as u32,
                    hold_id: line.number("hold"),
                    product_id: line.number("product"),
                    key: pointer(&key),
                    token: pointer(&token),
                };
                let request = StructMemory::request(line, request);
                stockade_engine_create_order(
                    engine,
                    request.pointer(),
                    answer.pointer(),
                    replayed,
                    error,
                )
            }
            "order" => stockade_engine_order(engine, line.number("id"), answer.pointer(), error),
            _ => {
                let body = line.bytes("body");
                let has_order_id = u64::from(line.given("order").is_some());
                let impossible =
                    line.given("length").filter(|length| i64::try_from(*length).is_err());
                let request = stockade_payment_event {
                    struct_size: 0,
                    has_order_id: line.given("has_order").unwrap_or(has_order_id) as u32,
                    order_id: line.number("order"),
                    payment_token: pointer(&token),
                    status: pointer(&status),
                    key: pointer(&key),
                    body: body.map_or(ptr::null(), <[u8]>::as_ptr),
                    body_length: impossible.unwrap_or(body.map_or(0, <[u8]>::len) as u64),
                };
                let request = StructMemory::request(line, request);
                let mut taken = stockade_payment_status::Recorded;
                let taken = unless_null(line, "answer", &raw mut taken);
                stockade_engine_record_payment(engine, request.pointer(), taken, replayed, error)
            }
        }
    });
    if done && line.call != "record_payment" {
        let field = answer.text(offset_of!(stockade_order, payment_token), 64);
        program.payment = field.to_vec();
    }
}

fn housekeeping(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    // SAFETY: as in `products`; returned objects are freed once.
    expect_result(line, |error| unsafe {
        match line.call {
            "ping" => stockade_engine_ping(engine, error),
            "close" => stockade_engine_close(engine, error),
            "sweep" => {
                let report = StructMemory::answer::<stockade_sweep_report>(line);
                stockade_engine_sweep(engine, report.pointer(), error)
            }
            "metrics" => {
                let mut metrics = ptr::null_mut();
                let place = unless_null(line, "answer", &raw mut metrics);
                let code = stockade_engine_metrics_text(engine, place, error);
                text(metrics);
                stockade_string_free(metrics);
                code
            }
            _ => {
                let mut events = ptr::null_mut();
                let place = unless_null(line, "answer", &raw mut events);
                let (after, limit) = (line.number("after"), line.number("limit") as u32);
                let code = stockade_engine_events_after(engine, after, limit, place, error);
                let count = stockade_events_count(events);
                let (index, event) =
                    (line.number("index") as usize, StructMemory::answer::<stockade_event>(line));
                let found = expect_result(line, |error| {
                    stockade_events_get(events, index, event.pointer(), error)
                });
                assert!(!found || index < count);
                stockade_events_free(events);
                code
            }
        }
    });
}

fn without_an_engine(line: &Line<'_>) {
    let given = line.text("text");
    let given = pointer(&given);
    let (mut id, mut quantity, mut price) = (0, 0, 0);
    // SAFETY: the text is NUL-terminated or null, and the numbers live.
    unsafe {
        match line.call {
            "id" => {
                let place = unless_null(line, "answer", &raw mut id);
                expect_result(line, |error| stockade_id_from_text(given, place, error));
            }
            "quantity" => {
                let place = unless_null(line, "answer", &raw mut quantity);
                let done =
                    expect_result(line, |error| stockade_quantity_from_text(given, place, error));
                assert_eq!(done, quantity > 0);
            }
            "price" => {
                let place = unless_null(line, "answer", &raw mut price);
                expect_result(line, |error| stockade_price_from_text(given, place, error));
                assert!(price >= 0);
            }
            _ => {
                let number = line.number("number") as u32;
                text(stockade_code_name(number));
                text(stockade_hold_status_name(number));
                text(stockade_order_status_name(number));
                text(stockade_payment_disposition_name(number));
                text(stockade_payment_status_name(number));
                text(stockade_event_kind_name(number));
            }
        }
    }
}
