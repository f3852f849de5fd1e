//! The engine's calls, with the arguments of a line.

mod lists;
mod products;

use std::mem::offset_of;
use std::ptr;

use stockade_ffi::carts::*;
use stockade_ffi::code::stockade_code_name;
use stockade_ffi::engine::*;
use stockade_ffi::events::*;
use stockade_ffi::hold_batch::*;
use stockade_ffi::holds::*;
use stockade_ffi::numbers::*;
use stockade_ffi::order_requests::*;
use stockade_ffi::orders::*;
use stockade_ffi::payments::*;
use stockade_ffi::text::*;
use stockade_ffi::waiting_payments::stockade_outcome_name;

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
        "create_product" | "put_product" | "change_product" | "adjust_stock" | "product"
        | "product_by_sku" => products::one(program, line),
        "products" => products::page(program, line),
        "put_products" => products::batch(program, line),
        "holds" => lists::holds(program, line),
        "orders" => lists::orders(program, line),
        "waiting_payments" => lists::waiting_payments(program, line),
        "remove_waiting_payment" | "erase_customer" => lists::one(program, line),
        "create_hold" | "create_holds" | "release_hold" | "release_hold_with" | "extend_hold"
        | "change_quantity" | "hold" => {
            holds(program, line);
        }
        "create_hold_batch" => hold_batch(program, line),
        "create_order" | "order" | "record_payment" => orders(program, line),
        "ping" | "sweep" | "advance_clock" | "events" | "metrics" | "close" | "act" => {
            housekeeping(program, line);
        }
        "id" | "quantity" | "price" | "time" | "names" => without_an_engine(line),
        _ => {}
    }
}

fn holds(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_hold>(line);
    let mut replayed = false;
    let replayed = unless_null(line, "replayed", &raw mut replayed);
    let (key, customer, token) = (line.text("key"), line.text("customer"), line.text("token"));
    let (sku, metadata) = (line.text("sku"), line.text("metadata"));
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
                    at_most: line.number("at_most"),
                    sku: pointer(&sku),
                    metadata: pointer(&metadata),
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
                let mut lines = lines(line);
                for line in &mut lines {
                    line.sku = pointer(&sku);
                }
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
                    metadata: pointer(&metadata),
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
            "change_quantity" => {
                let (token, key) = (pointer(&token), pointer(&key));
                let quantity = line.number("quantity") as u32;
                let request =
                    stockade_quantity_request { struct_size: 0, quantity, hold_id: id, token, key };
                let request = StructMemory::request(line, request);
                stockade_engine_change_quantity(
                    engine,
                    request.pointer(),
                    answer.pointer(),
                    replayed,
                    error,
                )
            }
            _ => stockade_engine_hold(engine, id, answer.pointer(), error),
        }
    });
    if done {
        program.hold = answer.text(offset_of!(stockade_hold, token), 40).to_vec();
        answer.text(offset_of!(stockade_hold, metadata), 4_104);
    }
}

/// Makes a batch of the lines, `lines=1x2,2x3`. The other fields are those of
/// the requests at `from` and later; the last declares the size `last`.
fn hold_batch(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (key, customer, sku) = (line.text("key"), line.text("customer"), line.text("sku"));
    let metadata = line.text("metadata");
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
            at_most: 0,
            sku: ptr::null(),
            metadata: ptr::null(),
        };
        if index >= from {
            request.ttl_us = line.number("ttl");
            let is_given = u64::from(line.given("ttl").is_some());
            request.has_ttl = line.given("has_ttl").unwrap_or(is_given) as u32;
            request.reserved = line.number("reserved") as u32;
            (request.key, request.customer) = (pointer(&key), pointer(&customer));
            (request.sku, request.metadata) = (pointer(&sku), pointer(&metadata));
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
        at_most: 0,
        sku: ptr::null(),
    };
    lines.map(line).collect()
}

fn orders(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let answer = StructMemory::answer::<stockade_order>(line);
    let mut replayed = false;
    let replayed = unless_null(line, "replayed", &raw mut replayed);
    let (key, token, status) = (line.text("key"), line.text("token"), line.text("status"));
    let (amount, sku) = (line.text("amount"), line.text("sku"));
    let (reference, metadata) = (line.text("reference"), line.text("metadata"));
    let payment = line.text("payment");
    // SAFETY: as in `products`; the lines are freed once.
    let done = expect_result(line, |error| unsafe {
        match line.call {
            "create_order" => {
                let request = stockade_order_request {
                    struct_size: 0,
                    has_payment_ttl: line.number("reserved") as u32,
                    hold_id: line.number("hold"),
                    product_id: line.number("product"),
                    key: pointer(&key),
                    token: pointer(&token),
                    holds: ptr::null(),
                    hold_count: line.number("count"),
                    amount: pointer(&amount),
                    currency: ptr::null(),
                    reference: pointer(&reference),
                    payment_ttl_us: line.number("ttl"),
                    cart_id: line.number("cart"),
                    sku: pointer(&sku),
                    metadata: pointer(&metadata),
                };
                let request = StructMemory::request(line, request);
                let mut lines = ptr::null_mut();
                let place = unless_null(line, "lines", &raw mut lines);
                let code = stockade_engine_create_order(
                    engine,
                    request.pointer(),
                    answer.pointer(),
                    place,
                    replayed,
                    error,
                );
                stockade_order_lines_free(lines);
                code
            }
            "order" => {
                let id = line.number("id");
                stockade_engine_order(engine, id, answer.pointer(), ptr::null_mut(), error)
            }
            _ => {
                let has_order_id = u64::from(line.given("order").is_some());
                let request = stockade_payment_event {
                    struct_size: 0,
                    has_order_id: line.given("has_order").unwrap_or(has_order_id) as u32,
                    order_id: line.number("order"),
                    payment_token: pointer(&token),
                    status: pointer(&status),
                    key: pointer(&key),
                    amount: pointer(&amount),
                    currency: ptr::null(),
                    payment_reference: pointer(&payment),
                    order_reference: pointer(&reference),
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
        answer.text(offset_of!(stockade_order, metadata), 4_104);
        answer.text(offset_of!(stockade_order, created_by), 256);
    }
}

fn housekeeping(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    // SAFETY: as in `products`; returned objects are freed once.
    expect_result(line, |error| unsafe {
        match line.call {
            "ping" => stockade_engine_ping(engine, error),
            "close" => stockade_engine_close(engine, error),
            // From here on the session goes on as this actor.
            "act" => {
                let name = line.text("name");
                let mut acting = ptr::null_mut();
                let place = unless_null(line, "answer", &raw mut acting);
                let code = stockade_engine_acting_as(engine, pointer(&name), place, error);
                program.act(acting);
                code
            }
            "sweep" => {
                let report = StructMemory::answer::<stockade_sweep_report>(line);
                stockade_engine_sweep(engine, report.pointer(), error)
            }
            "advance_clock" => {
                let mut now = 0;
                let place = unless_null(line, "answer", &raw mut now);
                stockade_engine_advance_clock(engine, line.number("by"), place, error)
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
                if found {
                    event_texts(&event);
                }
                stockade_events_free(events);
                code
            }
        }
    });
}

/// Reads the texts of an event, as far as the struct has room for them.
///
/// # Safety
/// It was read from a list that lives.
unsafe fn event_texts(event: &StructMemory) {
    for from in [
        offset_of!(stockade_event, sku),
        offset_of!(stockade_event, customer),
        offset_of!(stockade_event, reason),
        offset_of!(stockade_event, metadata),
        offset_of!(stockade_event, actor),
        offset_of!(stockade_event, reference),
    ] {
        if let Ok(address) = event.bytes(from, size_of::<usize>()).try_into() {
            let pointer = ptr::with_exposed_provenance(usize::from_ne_bytes(address));
            // SAFETY: null or NUL-terminated, and it lives as the list does.
            unsafe { text(pointer) };
        }
    }
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
            "time" => {
                let mut micros = 0;
                let place = unless_null(line, "answer", &raw mut micros);
                expect_result(line, |error| stockade_time_from_text(given, place, error));
            }
            _ => {
                let number = line.number("number") as u32;
                text(stockade_code_name(number));
                text(stockade_hold_status_name(number));
                text(stockade_order_status_name(number));
                text(stockade_payment_disposition_name(number));
                text(stockade_payment_status_name(number));
                text(stockade_event_kind_name(number));
                text(stockade_outcome_name(number));
            }
        }
    }
}
