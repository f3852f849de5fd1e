//! Payment events.

use std::ffi::c_char;
use std::str::FromStr;

use stockade::{OrderId, Outcome, PaymentEvent, PaymentStatus, PaymentToken, Replayable};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::ffi_error::FfiError;
use crate::handle;
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// How a payment event was processed.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_payment_status {
    /// A value that this header does not list.
    Unknown = 0,
    /// The event was recorded and left its order's status as it was.
    Recorded = 1,
    /// The order does not exist yet: the event waits for it.
    Waiting = 2,
    /// The event was recorded and changed its order's status.
    Applied = 3,
}

enum_names!(PaymentStatus => stockade_payment_status {
    Recorded: c"recorded",
    Waiting: c"waiting",
    Applied: c"applied",
});

/// A payment provider's event: the outcome of one order's payment. The order is
/// named by its id, its payment token, or both; else by a reference: it is the one to
/// which payment_reference is tied, otherwise the one with order_reference. An event
/// whose order is not known by any of them waits for it.
#[repr(C)]
pub struct stockade_payment_event {
    /// sizeof(stockade_payment_event), set by the caller.
    pub struct_size: u32,
    /// 1 to use order_id, 0 to use payment_token or the references.
    pub has_order_id: u32,
    /// The order's id.
    pub order_id: u64,
    /// The order's payment token, or NULL.
    pub payment_token: *const c_char,
    /// The outcome, as providers name it, in any case: success, succeeded, paid,
    /// completed or captured; failed, failure, declined or refused; cancelled,
    /// canceled, expired or voided; pending, processing, authorized or
    /// requires_action, which change nothing; disputed or chargeback, which an event
    /// tells of.
    pub status: *const c_char,
    /// The event's idempotency key, or NULL to derive one from the order or the
    /// references that name it, the token, the outcome and the amount. A key that is
    /// reused with another of these is rejected.
    pub key: *const c_char,
    /// The amount paid, a decimal such as "59.97", or NULL. A success with another
    /// amount than the order's does not pay it.
    pub amount: *const c_char,
    /// The currency of the amount, such as "EUR"; NULL for the order's.
    pub currency: *const c_char,
    /// The provider's own name of the payment, such as "stripe/pi_3N", or NULL. A
    /// success of another payment than the one that paid the order must be
    /// refunded. Without order_id and payment_token it names the order to which
    /// stockade_engine_set_payment_reference tied it.
    pub payment_reference: *const c_char,
    /// The shop's own number of the order, of 1 to 128 characters, or NULL. It names
    /// the order without order_id and payment_token, unless payment_reference does.
    pub order_reference: *const c_char,
}
versioned_struct!(stockade_payment_event, first 56, now 72);
request_struct!(stockade_payment_event);

/// Converts the event to the engine's request.
///
/// # Safety
/// Its pointers are null or as the header requires.
unsafe fn event(given: &stockade_payment_event) -> Result<PaymentEvent, FfiError> {
    // SAFETY: guaranteed by the caller.
    let (token, status, order_reference, payment_reference) = unsafe {
        let token = text::optional(given.payment_token, "payment_token")?;
        let status = text::required(given.status, "status")?;
        let order_reference = text::copied(given.order_reference, "order_reference")?;
        let payment_reference = text::copied(given.payment_reference, "payment_reference")?;
        (token, status, order_reference, payment_reference)
    };
    let outcome = Outcome::from_str(status)?;
    let token = token.map(PaymentToken::from_str).transpose()?;
    let order_id = match given.has_order_id {
        0 if given.order_id == 0 => None,
        1 => Some(OrderId(given.order_id)),
        _ => {
            let why = "order_id is set but has_order_id is 0; set has_order_id to 1";
            return Err(FfiError::invalid_argument(why));
        }
    };
    let by_reference = || {
        let by_number = |number| PaymentEvent::for_reference(number, outcome);
        let by_payment = |name| PaymentEvent::for_payment(name, outcome);
        let by_number = order_reference.clone().map(by_number);
        by_number.or_else(|| payment_reference.clone().map(by_payment))
    };
    let named = PaymentEvent::for_either(order_id, token, outcome).or_else(by_reference);
    let mut event = named.ok_or_else(|| {
        let why =
            "one of order_id, payment_token, order_reference and payment_reference is required";
        FfiError::invalid_argument(why)
    })?;
    // SAFETY: guaranteed by the caller.
    unsafe {
        event.key = text::copied(given.key, "key")?;
        event.amount = text::parsed(given.amount, "amount")?;
        event.currency = text::parsed(given.currency, "currency")?;
    }
    event.order_reference = order_reference;
    event.payment_reference = payment_reference;
    Ok(event)
}

/// Applies a payment event to its order, once per key however often it is
/// delivered, even before the order exists. `status` and `replayed`
/// may be NULL.
///
/// Errors: invalid_argument (also for an unknown status and for another order's
/// token), idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_record_payment(
    engine: *const stockade_engine,
    request: *const stockade_payment_event,
    status: *mut stockade_payment_status,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let engine = self::engine(engine)?;
            let event = event(&versioned_struct::read(request)?)?;
            let Replayable { value, replayed: again, .. } = engine.record_payment(&event)?;
            handle::write_optional(status, value.status.into());
            handle::write_optional(replayed, again);
            Ok(())
        })
    }
}

/// Returns the name of a payment event's status, such as "waiting"; NULL for an
/// unknown number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_payment_status_name(status: u32) -> *const c_char {
    stockade_payment_status::name(status)
}
