//! Payment events that wait for their order.

use std::ffi::{CString, c_char};
use std::ptr;

use stockade::{Outcome, WaitingPayment};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::handle;
use crate::responses::{entry, respond};
use crate::text;
use crate::versioned_struct::versioned_struct;

/// The outcome of a payment.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_outcome {
    /// A value that this header does not list.
    Unknown = 0,
    /// The payment succeeded.
    Success = 1,
    /// An attempt to pay failed.
    Failure = 2,
    /// The payment ended without money.
    Cancelled = 3,
    /// The payment goes on; nothing says yet how it ends.
    Neutral = 4,
    /// The customer disputes the payment: an event tells of it, and nothing else
    /// changes.
    Disputed = 5,
}

enum_names!(Outcome => stockade_outcome {
    Success: c"success",
    Failure: c"failure",
    Cancelled: c"cancelled",
    Neutral: c"neutral",
    Disputed: c"disputed",
});

/// A payment event that came before its order and waits for it.
#[repr(C)]
pub struct stockade_waiting_payment {
    /// sizeof(stockade_waiting_payment), set by the caller.
    pub struct_size: u32,
    /// The outcome.
    pub outcome: stockade_outcome,
    /// The order that it names, by its id or its payment token; 0 for one that names it
    /// by a reference alone.
    pub order_id: u64,
    /// 1 if it named the order by its payment token, else 0.
    pub by_token: u64,
    /// When it arrived, in microseconds since 1970 in UTC.
    pub received_at_us: i64,
    /// An order that is created at this time or later is not affected by it, in
    /// microseconds since 1970 in UTC.
    pub ends_at_us: i64,
    /// The event's idempotency key, NUL-terminated. That of an event without one is
    /// derived, and begins with the control character U+0001.
    pub key: [c_char; 264],
    /// The amount paid as a decimal, NUL-terminated; "" if the event did not say.
    pub amount: [c_char; 32],
    /// The currency of the amount, NUL-terminated; "" if the event did not say.
    pub currency: [c_char; 8],
    /// The provider's own name of the payment, NUL-terminated; "" if the event did
    /// not say.
    pub payment_reference: [c_char; 256],
    /// The shop's own number of the order, NUL-terminated; "" if the event did not say.
    pub order_reference: [c_char; 520],
}
versioned_struct!(stockade_waiting_payment, first 600, now 1120);

impl From<&WaitingPayment> for stockade_waiting_payment {
    fn from(payment: &WaitingPayment) -> Self {
        let amount = payment.amount.map_or_else(String::new, |amount| amount.to_string());
        Self {
            struct_size: 0,
            outcome: payment.outcome.into(),
            order_id: payment.order_id.map_or(0, |id| id.0),
            by_token: payment.by_token.into(),
            received_at_us: payment.received_at.micros(),
            ends_at_us: payment.ends_at.micros(),
            key: text::inline(&payment.key),
            amount: text::inline(&amount),
            currency: text::inline(payment.currency.map_or("", |currency| currency.code())),
            payment_reference: text::inline(payment.payment_reference.as_deref().unwrap_or("")),
            order_reference: text::inline(payment.order_reference.as_deref().unwrap_or("")),
        }
    }
}

/// A page of waiting payment events, the oldest first. Owned by the caller, who
/// frees it with stockade_waiting_payments_free.
pub struct stockade_waiting_payments {
    items: Vec<WaitingPayment>,
    next: Option<CString>,
}

/// Reads up to `limit` (1 to 1000) payment events that wait for their order, the
/// oldest first. `after` is what stockade_waiting_payments_next returned for the page
/// before; NULL for the first.
///
/// Errors: invalid_argument for another limit or another `after`, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_waiting_payments(
    engine: *const stockade_engine,
    after: *const c_char,
    limit: u32,
    payments: *mut *mut stockade_waiting_payments,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(payments, "payments", || {
                let engine = self::engine(engine)?;
                let page = engine.waiting_payments(text::copied(after, "after")?, limit)?;
                let next = page.next.map(text::to_c_string);
                Ok(stockade_waiting_payments { items: page.items, next })
            })
        })
    }
}

/// Returns the number of events on the page; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_waiting_payments_count(
    payments: *const stockade_waiting_payments,
) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { payments.as_ref() }.map_or(0, |page| page.items.len())
}

/// Reads an event of the page, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_waiting_payments_get(
    payments: *const stockade_waiting_payments,
    index: usize,
    payment: *mut stockade_waiting_payment,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(payments, |page| page.items.as_slice(), index, payment, error) }
}

/// Returns `after` for the next page, which lives as long as this one; NULL on the
/// last page and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_waiting_payments_next(
    payments: *const stockade_waiting_payments,
) -> *const c_char {
    // SAFETY: guaranteed by the caller, see the header.
    let page = unsafe { payments.as_ref() };
    page.and_then(|page| page.next.as_ref()).map_or(ptr::null(), |next| next.as_ptr())
}

/// Frees a page. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_waiting_payments_free(payments: *mut stockade_waiting_payments) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(payments) }
}

/// Takes the payment event with this idempotency key from those that wait for their
/// order, and returns it: it stays recorded, and is never applied.
///
/// Errors: not_found if no event with this key waits, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_remove_waiting_payment(
    engine: *const stockade_engine,
    key: *const c_char,
    payment: *mut stockade_waiting_payment,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, payment, error, |engine| {
            let key = text::required(key, "key")?;
            Ok((&engine.remove_waiting_payment(key.to_owned())?).into())
        })
    }
}

/// Returns the name of an outcome, such as "success"; NULL for an unknown number.
/// Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_outcome_name(outcome: u32) -> *const c_char {
    stockade_outcome::name(outcome)
}
