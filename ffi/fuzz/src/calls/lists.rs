//! Lists, waiting payments, and the erasure of a customer.

use std::mem::offset_of;
use std::ptr;

use stockade_ffi::customers::*;
use stockade_ffi::holds::stockade_hold;
use stockade_ffi::lists::*;
use stockade_ffi::orders::{stockade_order, stockade_order_lines_free};
use stockade_ffi::waiting_payments::*;

use super::super::call_result::{expect_result, text};
use super::super::line::{Line, pointer, unless_null};
use super::super::program::Program;
use super::super::struct_memory::StructMemory;

/// A page of holds.
pub fn holds(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (sku, customer) = (line.text("sku"), line.text("customer"));
    let query = stockade_hold_query {
        struct_size: 0,
        limit: line.number("limit") as u32,
        after: line.number("after"),
        product_id: line.number("product"),
        sku: pointer(&sku),
        customer: pointer(&customer),
        created_after_us: line.number("begins").cast_signed(),
        created_before_us: line.number("ends").cast_signed(),
        status: line.number("number") as u32,
        reserved: line.number("reserved") as u32,
    };
    let query = StructMemory::request(line, query);
    let hold = StructMemory::answer::<stockade_hold>(line);
    let mut page = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut page);
    // SAFETY: the engine lives or is null, structs are as large as they declare,
    // texts are NUL-terminated, and the page is freed once.
    unsafe {
        expect_result(line, |error| stockade_engine_holds(engine, query.pointer(), place, error));
        let (index, count) = (line.number("index") as usize, stockade_hold_page_count(page));
        let found =
            expect_result(line, |error| stockade_hold_page_get(page, index, hold.pointer(), error));
        assert!(!found || index < count);
        assert!(hold.text(offset_of!(stockade_hold, token), 40).is_empty(), "a list shows none");
        hold.text(offset_of!(stockade_hold, sku), 520);
        hold.text(offset_of!(stockade_hold, customer), 256);
        stockade_hold_page_next(page);
        stockade_hold_page_free(page);
    }
}

/// A page of orders.
pub fn orders(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (sku, customer) = (line.text("sku"), line.text("customer"));
    let (reference, payment) = (line.text("reference"), line.text("payment"));
    let query = stockade_order_query {
        struct_size: 0,
        limit: line.number("limit") as u32,
        after: line.number("after"),
        product_id: line.number("product"),
        sku: pointer(&sku),
        customer: pointer(&customer),
        created_after_us: line.number("begins").cast_signed(),
        created_before_us: line.number("ends").cast_signed(),
        status: line.number("number") as u32,
        disposition: line.number("disposition") as u32,
        reference: pointer(&reference),
        payment_reference: pointer(&payment),
    };
    let query = StructMemory::request(line, query);
    let order = StructMemory::answer::<stockade_order>(line);
    let mut page = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut page);
    // SAFETY: as in `holds`; the lines are freed once.
    unsafe {
        expect_result(line, |error| stockade_engine_orders(engine, query.pointer(), place, error));
        let (index, count) = (line.number("index") as usize, stockade_order_page_count(page));
        let mut lines = ptr::null_mut();
        let place = unless_null(line, "lines", &raw mut lines);
        let found = expect_result(line, |error| {
            stockade_order_page_get(page, index, order.pointer(), place, error)
        });
        assert!(!found || index < count);
        let token = order.text(offset_of!(stockade_order, payment_token), 64);
        assert!(token.is_empty(), "a list shows none");
        order.text(offset_of!(stockade_order, customer), 256);
        stockade_order_lines_free(lines);
        stockade_order_page_next(page);
        stockade_order_page_free(page);
    }
}

/// A page of waiting payments, and the one after it.
pub fn waiting_payments(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let payment = StructMemory::answer::<stockade_waiting_payment>(line);
    let after = line.text("key");
    let mut page = ptr::null_mut();
    let mut second = ptr::null_mut();
    let place = unless_null(line, "answer", &raw mut page);
    let limit = line.number("limit") as u32;
    // SAFETY: as in `holds`; both pages are freed once.
    unsafe {
        expect_result(line, |error| {
            stockade_engine_waiting_payments(engine, pointer(&after), limit, place, error)
        });
        let (index, count) = (line.number("index") as usize, stockade_waiting_payments_count(page));
        let found = expect_result(line, |error| {
            stockade_waiting_payments_get(page, index, payment.pointer(), error)
        });
        assert!(!found || index < count);
        texts(&payment);
        let next = stockade_waiting_payments_next(page);
        text(next);
        if !next.is_null() {
            expect_result(line, |error| {
                stockade_engine_waiting_payments(engine, next, limit, &mut second, error)
            });
        }
        stockade_waiting_payments_free(page);
        stockade_waiting_payments_free(second);
    }
}

/// Reads the texts of a waiting payment.
fn texts(payment: &StructMemory) {
    payment.text(offset_of!(stockade_waiting_payment, key), 264);
    payment.text(offset_of!(stockade_waiting_payment, amount), 32);
    payment.text(offset_of!(stockade_waiting_payment, currency), 8);
    payment.text(offset_of!(stockade_waiting_payment, payment_reference), 256);
    payment.text(offset_of!(stockade_waiting_payment, order_reference), 520);
}

/// A call that takes one text.
pub fn one(program: &mut Program, line: &Line<'_>) {
    let engine = program.engine(line);
    let (key, customer) = (line.text("key"), line.text("customer"));
    // SAFETY: as in `holds`.
    expect_result(line, |error| unsafe {
        if line.call == "erase_customer" {
            let erased = StructMemory::answer::<stockade_erased>(line);
            return stockade_engine_erase_customer(
                engine,
                pointer(&customer),
                erased.pointer(),
                error,
            );
        }
        let payment = StructMemory::answer::<stockade_waiting_payment>(line);
        let place = payment.pointer();
        stockade_engine_remove_waiting_payment(engine, pointer(&key), place, error)
    });
}
