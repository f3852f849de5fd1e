//! Result codes and their names.

use std::ffi::{CStr, c_char};

use stockade::ErrorKind;

/// The result of a call. The numbers are stable and the same in every language.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_code {
    /// Success.
    Ok = 0,
    /// The request is invalid; retrying it unchanged never succeeds.
    InvalidArgument = 1,
    /// More units than allowed for one hold or one customer.
    QuantityLimit = 2,
    /// No such product, hold or order.
    NotFound = 3,
    /// The hold is for another product; it was not changed.
    ProductMismatch = 4,
    /// Not enough stock; the error's short lines give the available units.
    InsufficientStock = 5,
    /// The hold has expired or was released; its stock was returned.
    HoldExpired = 6,
    /// The hold was already used by an order; the error names it.
    HoldAlreadyUsed = 7,
    /// The idempotency key was used with another request.
    IdempotencyMismatch = 8,
    /// Overload: too many concurrent requests. Nothing changed; retry later.
    Contention = 9,
    /// The store or the network is unavailable. The request took effect in
    /// whole or not at all; with an idempotency key it can be retried safely.
    Unavailable = 10,
    /// A missing or invalid credential.
    Unauthorized = 11,
    /// The engine was used incorrectly: it is closed, or was opened before a
    /// fork.
    Misuse = 12,
    /// A bug of Stockade or corrupt data in its store; nothing changed.
    Internal = 13,
    /// The product has another version than the caller expected; nothing
    /// changed.
    VersionMismatch = 14,
    /// The name is taken: another product or another order has it; the error names
    /// the one that has it.
    AlreadyExists = 15,
    /// The product is not for sale now; the error says why.
    NotOnSale = 16,
    /// The order is paid, so that it can only be refunded.
    AlreadyPaid = 17,
    /// The order is cancelled.
    OrderCancelled = 18,
    /// The order was never paid, so that nothing can be refunded.
    NotPaid = 19,
    /// More money or more units than are left to refund.
    RefundTooLarge = 20,
    /// Fewer units of the order are returned than are to be restocked.
    NothingReturned = 21,
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
    VersionMismatch: c"version_mismatch",
    AlreadyExists: c"already_exists",
    NotOnSale: c"not_on_sale",
    AlreadyPaid: c"already_paid",
    OrderCancelled: c"order_cancelled",
    NotPaid: c"not_paid",
    RefundTooLarge: c"refund_too_large",
    NothingReturned: c"nothing_returned",
}

impl stockade_code {
    /// Returns the code with this stable name.
    pub(crate) fn of_name(name: &str) -> Self {
        let known = CODES.iter().find(|(_, word)| word.to_bytes() == name.as_bytes());
        known.map_or(Self::Internal, |(code, _)| *code)
    }

    /// Returns the code of an engine error's kind.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        let known = CODES.iter().find(|(code, _)| *code as u32 == kind as u32);
        known.map_or(Self::Internal, |(code, _)| *code)
    }
}

/// Returns the stable name of a code, such as "not_found"; "ok" for 0 and NULL
/// for an unknown number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_code_name(code: u32) -> *const c_char {
    if code == stockade_code::Ok as u32 {
        return c"ok".as_ptr();
    }
    let known = CODES.iter().find(|(known, _)| *known as u32 == code);
    known.map_or(std::ptr::null(), |(_, word)| word.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_engines() {
        assert_eq!(CODES.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            // SAFETY: null or a literal.
            let word = unsafe { stockade_code_name(*kind as u32).as_ref() };
            // SAFETY: as above.
            let word = word.map(|word| unsafe { CStr::from_ptr(word) });
            assert_eq!(word.and_then(|word| word.to_str().ok()), Some(kind.code()));
        }
        assert!(stockade_code_name(9_999).is_null());
    }
}
