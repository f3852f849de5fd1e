//! The payment provider's word.

use std::ffi::c_char;
use std::str::FromStr;

use stockade::{OrderId, Outcome, PaymentAnswer, PaymentEvent, PaymentToken, Replayable};

use crate::border;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::failure::{Failure, null};
use crate::handle;
use crate::names::names;
use crate::plain::{self, incoming, plain};
use crate::text;

/// The most bytes that stockade_engine_payment reads of a body: 16 MiB, well
/// over what payment providers send.
pub const STOCKADE_BODY_LENGTH_MAX: u64 = 16_777_216;

/// How a payment event was taken.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_payment_answer {
    /// The event was recorded and its order knows of it.
    Recorded = 1,
    /// The order is not there yet: the event waits for it.
    Waiting = 2,
}

names!(PaymentAnswer => stockade_payment_answer {
    Recorded: c"recorded",
    Waiting: c"waiting",
});

/// A payment provider's word on how the payment of one order ended. The order
/// is named by its id, by its payment token, or by both.
#[repr(C)]
pub struct stockade_payment_event {
    /// sizeof(stockade_payment_event), set by the caller.
    pub struct_size: u32,
    /// Whether order_id names the order (1) or only payment_token (0).
    pub has_order_id: u32,
    /// The order's id.
    pub order_id: u64,
    /// The order's payment token, or NULL.
    pub payment_token: *const c_char,
    /// How the payment ended, in the provider's word: success, succeeded, paid
    /// or completed; failed, failure, cancelled, canceled, declined or expired.
    pub status: *const c_char,
    /// The event's idempotency key, or NULL to derive one from the order, the
    /// token and the outcome.
    pub key: *const c_char,
    /// The body the event came in, or NULL: a key that returns with another
    /// body is refused.
    pub body: *const u8,
    /// The body's length in bytes, at most STOCKADE_BODY_LENGTH_MAX.
    pub body_length: u64,
}
plain!(stockade_payment_event, first 56, now 56);
incoming!(stockade_payment_event);

/// Reads the event as the engine takes it.
///
/// # Safety
/// Its pointers are null or as the header asks of the caller.
unsafe fn event(given: &stockade_payment_event) -> Result<PaymentEvent, Failure> {
    // SAFETY: as the caller promised.
    let (token, status, key) = unsafe {
        let token = text::given(given.payment_token, "payment_token")?;
        let key = text::given(given.key, "key")?;
        (token, text::needed(given.status, "status")?, key)
    };
    let outcome = Outcome::from_str(status)?;
    let token = token.map(PaymentToken::from_str).transpose()?;
    let order_id = match given.has_order_id {
        0 if given.order_id == 0 => None,
        1 => Some(OrderId(given.order_id)),
        _ => {
            let why = "order_id counts only when has_order_id is 1";
            return Err(Failure::invalid_argument(why));
        }
    };
    let mut event = PaymentEvent::for_either(order_id, token, outcome)
        .ok_or_else(|| Failure::invalid_argument("order_id or payment_token is needed"))?;
    event.key = key.map(str::to_owned);
    if !given.body.is_null() {
        let length = given.body_length;
        if length > STOCKADE_BODY_LENGTH_MAX {
            let why =
                format!("body_length must be at most {STOCKADE_BODY_LENGTH_MAX}, got {length}");
            return Err(Failure::invalid_argument(why));
        }
        let bytes = usize::try_from(length)
            .map_err(|_| Failure::invalid_argument("body_length is beyond this machine"))?;
        // SAFETY: it is not null and has as many bytes as the caller says.
        event = event.body(unsafe { std::slice::from_raw_parts(given.body, bytes) });
    } else if given.body_length != 0 {
        return Err(null("body"));
    }
    Ok(event)
}

/// Takes the payment provider's word on an order, once for each key however
/// often it comes, and also before the order is there. `replayed` may be NULL.
///
/// Errors: invalid_argument (also for an unknown status and for a token that
/// is not the order's), idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_payment(
    engine: *const stockade_engine,
    request: *const stockade_payment_event,
    answer: *mut stockade_payment_answer,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let engine = self::engine(engine)?;
            let event = event(&plain::read(request)?)?;
            let Replayable { value, replayed: again } = engine.payment(&event)?;
            handle::tell(answer, value.into());
            handle::tell(replayed, again);
            Ok(())
        })
    }
}

/// The word for an answer to a payment event, such as "waiting". Lives as long
/// as the program; NULL for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_payment_answer_name(answer: u32) -> *const c_char {
    stockade_payment_answer::word(answer)
}
