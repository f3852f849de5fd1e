//! The error object and the codes.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use stockade::ErrorKind;

use crate::border::{self, answer};
use crate::plain::{self, plain};
use crate::text::ended;

/// What became of a call. The numbers are for ever and the same in every
/// language.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_code {
    /// It was done.
    Ok = 0,
    /// The request makes no sense; it will never succeed as it is.
    InvalidArgument = 1,
    /// More units than one hold may have, or one customer.
    QuantityLimit = 2,
    /// No such product, hold or order.
    NotFound = 3,
    /// The hold is of another product; it was left as it is.
    ProductMismatch = 4,
    /// Not enough stock; the error's short lines say how much there is.
    InsufficientStock = 5,
    /// The hold's time is over, or it was released; its stock is back.
    HoldExpired = 6,
    /// The hold became an order before; the error names it.
    HoldAlreadyUsed = 7,
    /// The idempotency key was used for another request.
    IdempotencyMismatch = 8,
    /// Too many ask at once; nothing changed. Try again later.
    Contention = 9,
    /// The store or the network is gone. Nothing is half done; with an
    /// idempotency key the request can be repeated safely.
    Unavailable = 10,
    /// A secret is missing or wrong.
    Unauthorized = 11,
    /// The engine cannot be used so: it is closed, or was opened before a fork.
    Misuse = 12,
    /// A fault of Stockade or of its store's content; nothing changed.
    Internal = 13,
}

macro_rules! codes {
    ($($name:ident: $word:literal,)*) => {
        const CODES: &[(stockade_code, &CStr)] = &[$((stockade_code::$name, $word),)*];
        $(const _: () = assert!(stockade_code::$name as u32 == ErrorKind::$name as u32);)*
    };
}

codes! {
    InvalidArgument: c"invalid_argument",
    QuantityLimit: c"quantity_limit",
    NotFound: c"not_found",
    ProductMismatch: c"product_mismatch",
    InsufficientStock: c"insufficient_stock",
    HoldExpired: c"hold_expired",
    HoldAlreadyUsed: c"hold_already_used",
    IdempotencyMismatch: c"idempotency_mismatch",
    Contention: c"contention",
    Unavailable: c"unavailable",
    Unauthorized: c"unauthorized",
    Misuse: c"misuse",
    Internal: c"internal",
}

/// Why a call did not do what was asked. Owned by the caller, who frees it
/// with stockade_error_free.
pub struct stockade_error {
    failure: Failure,
    message: CString,
}

/// A failure on its way out.
#[derive(Clone)]
pub(crate) enum Failure {
    /// The engine's word.
    Engine(stockade::Error),
    /// What only this border refuses.
    Border(stockade_code, String),
}

impl From<stockade::Error> for Failure {
    fn from(error: stockade::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<stockade::InvalidArgument> for Failure {
    fn from(error: stockade::InvalidArgument) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::Engine(stockade::Error::invalid_argument(message))
    }

    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Border(stockade_code::Misuse, message.into())
    }

    pub fn panicked() -> Self {
        let why = "Stockade panicked; this is a fault of its own".to_owned();
        Self::Border(stockade_code::Internal, why)
    }

    pub fn code(&self) -> stockade_code {
        let number = match self {
            Self::Engine(error) => error.kind() as u32,
            Self::Border(code, _) => return *code,
        };
        let known = CODES.iter().find(|(code, _)| *code as u32 == number);
        known.map_or(stockade_code::Internal, |(code, _)| *code)
    }

    pub fn into_raw(self) -> *mut stockade_error {
        let message = match &self {
            Self::Engine(error) => error.message().to_owned(),
            Self::Border(_, message) => message.clone(),
        };
        Box::into_raw(Box::new(stockade_error { failure: self, message: ended(message) }))
    }

    fn engine(&self) -> Option<&stockade::Error> {
        match self {
            Self::Engine(error) => Some(error),
            Self::Border(..) => None,
        }
    }
}

/// One line of a request for which there is not enough stock.
#[repr(C)]
pub struct stockade_short_line {
    /// sizeof(stockade_short_line), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The product.
    pub product_id: u64,
    /// Units asked for, summed over the request.
    pub requested: u64,
    /// Units that could have been held.
    pub available: u64,
}
plain!(stockade_short_line, first 32, now 32);

/// Reads the engine's part of an error.
///
/// # Safety
/// `error` is null or came from this library and is not freed meanwhile.
unsafe fn look<T>(
    error: *const stockade_error,
    otherwise: T,
    read: impl FnOnce(&stockade::Error) -> T,
) -> T {
    // SAFETY: as the caller promised.
    let engine = unsafe { error.as_ref() }.and_then(|error| error.failure.engine());
    match engine {
        Some(engine) => answer(otherwise, || read(engine)),
        None => otherwise,
    }
}

/// The error's code; STOCKADE_CODE_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_code(error: *const stockade_error) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { error.as_ref() }.map_or(stockade_code::Ok, |error| error.failure.code())
}

/// The stable word of a code, such as "not_found", and "ok" for 0. Lives as
/// long as the program; NULL for a number that is no code.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_code_name(code: u32) -> *const c_char {
    if code == stockade_code::Ok as u32 {
        return c"ok".as_ptr();
    }
    let known = CODES.iter().find(|(known, _)| *known as u32 == code);
    known.map_or(std::ptr::null(), |(_, word)| word.as_ptr())
}

/// One line for a person, in UTF-8. Lives as long as the error; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_message(error: *const stockade_error) -> *const c_char {
    // SAFETY: as the header asks of the caller.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// Whether exactly one line is short, and then the units of it that could have
/// been held. `available` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_available(
    error: *const stockade_error,
    available: *mut u64,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let Some(units) = look(error, None, stockade::Error::available) else { return false };
        border::tell(available, units);
    }
    true
}

/// How many lines of the request are short: 0 unless the code is
/// insufficient_stock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_count(error: *const stockade_error) -> usize {
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, 0, |error| error.short().len()) }
}

/// Reads a short line, counted from 0, by ascending product. False when there
/// is none so far, or `line` is NULL or has no size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_short_line(
    error: *const stockade_error,
    index: usize,
    line: *mut stockade_short_line,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let found = look(error, None, |error| error.short().get(index).copied());
        let Some(short) = found else { return false };
        let stockade::ShortLine { product_id, requested, available, .. } = short;
        let product_id = product_id.0;
        let value =
            stockade_short_line { struct_size: 0, reserved: 0, product_id, requested, available };
        plain::write(line, value).is_ok()
    }
}

/// Whether the error names an order, as hold_already_used does, and which.
/// `order_id` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_order_id(
    error: *const stockade_error,
    order_id: *mut u64,
) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe {
        let Some(id) = look(error, None, stockade::Error::order_id) else { return false };
        border::tell(order_id, id.0);
    }
    true
}

/// Whether this refusal repeats the answer of an earlier call with the same
/// idempotency key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_replayed(error: *const stockade_error) -> bool {
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, false, stockade::Error::replayed) }
}

/// Milliseconds after which trying again makes sense; 0 when it never does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_retry_after_ms(error: *const stockade_error) -> u64 {
    let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    // SAFETY: as the header asks of the caller.
    unsafe { look(error, 0, |error| error.retry_after().map_or(0, millis)) }
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_error_free(error: *mut stockade_error) {
    // SAFETY: as the header asks of the caller.
    unsafe { border::free(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_engines() {
        assert_eq!(CODES.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            // SAFETY: it is null or a literal.
            let word = unsafe { stockade_code_name(*kind as u32).as_ref() };
            // SAFETY: as above.
            let word = word.map(|word| unsafe { CStr::from_ptr(word) });
            assert_eq!(word.and_then(|word| word.to_str().ok()), Some(kind.code()));
        }
        assert!(stockade_code_name(9_999).is_null());
    }

    #[test]
    fn a_panic_stops_at_the_border() {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` may be written to, and is freed once.
        unsafe {
            let code = border::call(&mut error, || panic!("on purpose"));
            assert_eq!(code, stockade_code::Internal);
            assert_eq!(stockade_error_code(error), stockade_code::Internal);
            assert!(!CStr::from_ptr(stockade_error_message(error)).is_empty());
            stockade_error_free(error);
        }
    }
}
